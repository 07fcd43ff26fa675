package sess

import (
	"errors"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestAWriteThatTheCommitDidNotSeeIsTold writes, as a goroutine of the handler's may, between the frame's look at an
// untouched session and the frame's end.
func TestAWriteThatTheCommitDidNotSeeIsTold(t *testing.T) {
	var dropped []Event
	m, err := NewManager(Config{Hooks: Hooks{Dropped: func(e Event) { dropped = append(dropped, e) }}})
	if err != nil {
		t.Fatal(err)
	}
	var ctx fasthttp.RequestCtx
	st := m.acquire(&ctx, nil)
	if err := errors.Join(st.begin(), st.commit()); err != nil {
		t.Fatal(err)
	}
	s := m.FromRequest(&ctx)
	Set(s, "late", 1)
	st.leave(st.generation())
	if err := s.Err(); !errors.Is(err, ErrCommitted) {
		t.Errorf("Err after the write: got %v, want ErrCommitted", err)
	}
	ctx.ResetUserValues()
	if len(dropped) != 1 || dropped[0].Reason != ReasonCommitted {
		t.Errorf("changes told as dropped: got %v, want one that came too late", dropped)
	}
	if n := m.store.(*MemoryStore).Len(); n != 0 {
		t.Errorf("sessions stored: got %d, want 0", n)
	}
}
