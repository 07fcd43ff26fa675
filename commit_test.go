package sess

import (
	"context"
	"errors"
	"testing"
	"time"

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

// A session that is fought over does not keep the commits of others waiting that share its lock.
func TestOnlyWhoCompetesForASessionQueues(t *testing.T) {
	m, err := NewManager(Config{Store: struct{ Store }{NewMemoryStore()}, Keys: Keys(longKey)})
	if err != nil {
		t.Fatal(err)
	}
	busy := m.ids.randomID()
	lock, session := m.locks.of(&busy)
	other := m.ids.randomID()
	for l, _ := m.locks.of(&other); l != lock; l, _ = m.locks.of(&other) {
		other = m.ids.randomID()
	}
	if err := lock.acquire(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	tried := func(id *ID) bool {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		return newState(m).contend(ctx, id, func(context.Context, *Record) (bool, error) { return true, nil }) == nil
	}
	if tried(&busy) {
		t.Error("the session that is fought over: got a try, want it to queue")
	}
	if !tried(&other) {
		t.Error("another session: got it queueing, want a try")
	}
	lock.release()
	if !tried(&busy) {
		t.Error("when it is fought over no more: got it queueing, want a try")
	}
}
