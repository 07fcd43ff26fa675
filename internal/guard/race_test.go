package guard

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestTwoClosesAtOnceEndOneGeneration lets both come as far as the lock, where one finds the other's work done.
func TestTwoClosesAtOnceEndOneGeneration(t *testing.T) {
	var g Guard
	g.Init()
	g.Begin(true)
	if end := g.Leave(); end != Held {
		t.Fatalf("Leave of a touched state: got %d, want Held", end)
	}
	g.Part()
	g.Lock()
	var wg sync.WaitGroup
	var last atomic.Int32
	for range 2 {
		wg.Go(func() {
			if g.Close(1) == Last {
				last.Add(1)
				g.Release()
			}
		})
	}
	for locking("guard.(*Guard).Close") < 2 {
		runtime.Gosched()
	}
	g.Unlock()
	wg.Wait()
	if n, life := last.Load(), g.life.Load(); n != 1 || life != 2*generation {
		t.Errorf("two Closes: got %d releases and life %b, want 1 and %b: the next generation, without an owner", n, life, 2*generation)
	}
}

// locking returns how many goroutines wait for a lock inside of function.
func locking(function string) (n int) {
	stacks := make([]byte, 1<<20)
	for _, stack := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(stack, function) && strings.Contains(stack, "sync.(*Mutex).Lock") {
			n++
		}
	}
	return n
}

// TestOwnersThatGoAtOnceReleaseOnce lets the frame, two copies of the request, handles of this generation and of the last
// one, and a Close of the last one run at once, again and again on one guard. The orders within the methods, which no
// barrier reaches, come about by chance. pooled is what a state holds: the race detector sees whoever comes too close.
func TestOwnersThatGoAtOnceReleaseOnce(t *testing.T) {
	const rounds = 1000
	var g Guard
	g.Init()
	pooled := 0
	for round := range rounds {
		now := g.Generation()
		pooled = round
		g.Begin(round%3 == 0)
		var releases atomic.Int32
		release := func(end End) {
			switch end {
			case LastIdle:
				releases.Add(1)
			case Last:
				pooled = -1
				releases.Add(1)
				g.Release()
			}
		}
		use := func(gen Generation) {
			if _, ok := g.Enter(gen, 0); ok {
				if pooled != round || gen != now {
					t.Errorf("a handle of generation %d: got into generation %d, which has %d", gen, now, pooled)
				}
				if round%2 == 0 {
					g.Call(func(turn Turn) {
						if _, ok := g.Enter(gen, turn); !ok {
							t.Error("a handle with the turn: got refused, want it let in")
							return
						}
						g.Unlock()
					})
				}
				g.Unlock()
			}
		}
		together(
			func() {
				if end := g.Leave(); end == Held {
					release(g.Part())
				} else {
					release(end)
				}
			},
			func() { release(g.Close(now)) },
			func() { release(g.Close(now)) },
			func() { release(g.Close(now - 1)) },
			func() { use(now) },
			func() { use(now - 1) },
		)
		if n := releases.Load(); n != 1 || g.Generation() != now+1 {
			t.Fatalf("round %d: got %d releases and generation %d, want 1 and %d", round, n, g.Generation(), now+1)
		}
	}
}

// together runs the functions at once, as well as two cores can.
func together(functions ...func()) {
	var ready sync.WaitGroup
	var done sync.WaitGroup
	ready.Add(len(functions))
	for _, f := range functions {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			f()
		})
	}
	done.Wait()
}
