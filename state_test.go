package sess

import (
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

func TestTwoClosesAtOnceEndOneGeneration(t *testing.T) {
	for _, used := range []bool{false, true} {
		for range 2000 {
			st := boundState(t, Hooks{})
			if used {
				st.session().Exists()
			}
			st.leave()
			next := (st.life.Load()/generation + 1) * generation
			start := make(chan struct{})
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					<-start
					_ = st.Close()
				})
			}
			close(start)
			wg.Wait()
			if got := st.life.Load(); got != next {
				t.Fatalf("used %v: life: got %b, want %b: the next generation, without an owner", used, got, next)
			}
		}
	}
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
