package sess

import (
	"errors"
	"testing"

	"github.com/valyala/fasthttp"
)

// boundRequest returns a request that presents nothing.
func boundRequest(t *testing.T, hooks Hooks) *request {
	t.Helper()
	m, err := NewManager(Config{Hooks: hooks, Keys: Keys(longKey)})
	if err != nil {
		t.Fatal(err)
	}
	return m.enter(new(fasthttp.RequestCtx), nil)
}

// TestAWriteBehindAnOrphanedCommitIsTold: by a goroutine of a handler whose request was reset, before its frame ends.
func TestAWriteBehindAnOrphanedCommitIsTold(t *testing.T) {
	for _, used := range []bool{false, true} {
		var dropped []Event
		r := boundRequest(t, Hooks{Dropped: func(e Event) { dropped = append(dropped, e) }})
		mine := r.ctx.UserValue(frameKey{}).(*ticket)
		s := mine.session()
		if used {
			s.Exists()
		}
		_ = mine.Close()
		if err := r.commit(); err != nil {
			t.Errorf("used %v: commit: got %v, want nil", used, err)
		}
		Set(s, "n", 1)
		r.leave()
		if len(dropped) != 1 || dropped[0].Reason != ReasonCommitted {
			t.Errorf("used %v: told to be dropped: got %v, want one with the reason committed", used, dropped)
		}
		if err := s.Err(); !errors.Is(err, ErrReleased) {
			t.Errorf("used %v: Err: got %v, want ErrReleased", used, err)
		}
	}
}
