package sess

import (
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/valyala/fasthttp"
)

// boundState returns the state of a request that presents nothing.
func boundState(t *testing.T, hooks Hooks) *state {
	t.Helper()
	m, err := NewManager(Config{Hooks: hooks, Keys: Keys(longKey)})
	if err != nil {
		t.Fatal(err)
	}
	st := newState(m)
	st.bind(new(fasthttp.RequestCtx), nil, nil)
	st.loaded = true
	return st
}

// TestTwoClosesAtOnceEndOneGeneration lets both come as far as the lock, where one finds the other's work done.
func TestTwoClosesAtOnceEndOneGeneration(t *testing.T) {
	st := boundState(t, Hooks{})
	st.session().Exists()
	st.leave()
	next := (st.life.Load()/generation + 1) * generation
	st.mu.Lock()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { _ = st.Close() })
	}
	for locking("sess.(*state).close") < 2 {
		runtime.Gosched()
	}
	st.mu.Unlock()
	wg.Wait()
	if got := st.life.Load(); got != next {
		t.Errorf("life: got %b, want %b: the next generation, without an owner", got, next)
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

// TestAWriteBehindAnOrphanedCommitIsTold: by a goroutine of a handler whose request was reset, before its frame ends.
func TestAWriteBehindAnOrphanedCommitIsTold(t *testing.T) {
	for _, used := range []bool{false, true} {
		var dropped []Event
		st := boundState(t, Hooks{Dropped: func(e Event) { dropped = append(dropped, e) }})
		s := st.session()
		if used {
			s.Exists()
		}
		_ = st.Close()
		if err := st.commit(); err != nil {
			t.Errorf("used %v: commit: got %v, want nil", used, err)
		}
		Set(s, "n", 1)
		st.leave()
		if len(dropped) != 1 || dropped[0].Reason != ReasonCommitted {
			t.Errorf("used %v: told to be dropped: got %v, want one with the reason committed", used, dropped)
		}
		if err := s.Err(); err != ErrReleased {
			t.Errorf("used %v: Err: got %v, want ErrReleased", used, err)
		}
	}
}
