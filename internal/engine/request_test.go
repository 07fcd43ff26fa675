package engine

import (
	"errors"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestAWriteBehindAnOrphanedCommitIsTold: by a goroutine of a handler whose request was reset, before its frame ends.
func TestAWriteBehindAnOrphanedCommitIsTold(t *testing.T) {
	for _, used := range []bool{false, true} {
		var dropped []Event
		m := newManager(t, func(c *Config) { c.Hooks.Dropped = func(e Event) { dropped = append(dropped, e) } })
		r := m.enter(new(fasthttp.RequestCtx), nil)
		mine := r.ctx.UserValue(frameKey{}).(*ticket)
		s := mine.handle()
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
