package sess

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/group"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
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
	st := m.enter(&ctx, nil)
	if err := errors.Join(st.begin(), st.commit()); err != nil {
		t.Fatal(err)
	}
	s := m.FromRequest(&ctx)
	Set(s, "late", 1)
	st.leave()
	if err := s.Err(); !errors.Is(err, ErrCommitted) {
		t.Errorf("Err after the write: got %v, want ErrCommitted", err)
	}
	ctx.ResetUserValues()
	if len(dropped) != 1 || dropped[0].Reason != ReasonCommitted {
		t.Errorf("changes told as dropped: got %v, want one that came too late", dropped)
	}
	if n := m.config.Store.(*MemoryStore).Len(); n != 0 {
		t.Errorf("sessions stored: got %d, want 0", n)
	}
}

// remoteStore is a memory store that is not [Local].
type remoteStore struct {
	Store
	Swapper
	Peeker
}

func newRemoteStore(t *testing.T, id ID, json string) *remoteStore {
	t.Helper()
	kept := NewMemoryStore()
	s := &remoteStore{kept, kept, kept}
	s.keep(t, id, json)
	return s
}

func (s *remoteStore) keep(t *testing.T, id ID, json string) {
	t.Helper()
	r, err := ParseRecord(json)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set(t.Context(), id, r, time.Hour); err != nil {
		t.Fatal(err)
	}
}

// queue makes the next commit of id queue for a moment, behind one that changes nothing.
func queue(t *testing.T, m *Manager, store Store, id ident.ID) {
	t.Helper()
	kept, err := store.Get(t.Context(), ID(id))
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	go func() {
		_, _, _ = m.shelf.queue.Store(context.Background(), &id, (*record.Record)(kept), group.BuildFunc(func(now *record.Record) (*record.Record, time.Duration, error) {
			close(begun)
			time.Sleep(5 * time.Millisecond)
			return now, 0, nil
		}))
	}()
	<-begun
}

func TestAnIDThatExistsIsNotAdoptedFromTheQueue(t *testing.T) {
	id := testID(t, testIDText)
	store := newRemoteStore(t, id, `{"user":"ann"}`)
	m, err := NewManager(Config{Store: store, Keys: Keys(longKey), GenerateID: func(*fasthttp.RequestCtx) (string, error) { return testIDText, nil }})
	if err != nil {
		t.Fatal(err)
	}
	queue(t, m, store, ident.ID(id))
	var ctx fasthttp.RequestCtx
	err = m.Run(&ctx, nil, func() error { Set(m.FromRequest(&ctx), "mine", 1); return nil })
	if err == nil || len(ctx.Response.Header.PeekCookie("koa.sid")) > 0 {
		t.Errorf("a new session under the id of another: got the error %v, and a cookie: %v", err, len(ctx.Response.Header.PeekCookie("koa.sid")) > 0)
	}
	if r, _ := store.Get(t.Context(), id); r.JSON() != `{"user":"ann"}` {
		t.Errorf("the other session: got %s, want it as it was", r.JSON())
	}
}

func TestAnEqualRecordFromTheQueueIsNoMerge(t *testing.T) {
	id := testID(t, testIDText)
	store := newRemoteStore(t, id, `{"n":1}`)
	m, err := NewManager(Config{Store: store, Keys: Keys(longKey)})
	if err != nil {
		t.Fatal(err)
	}
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetCookie("koa.sid", testIDText)
	ctx.Request.Header.SetCookie("koa.sid.sig", string(m.ring.Sign(nil, (*ident.ID)(&id))))
	err = m.Run(&ctx, nil, func() error {
		Set(m.FromRequest(&ctx), "n", 2)
		store.keep(t, id, `{"n":1}`) // read again
		queue(t, m, store, ident.ID(id))
		return nil
	})
	if stats := m.Stats(); err != nil || stats.Saved != 1 || stats.Merged != 0 {
		t.Errorf("saved on top of an equal record: got %v, %+v, want it saved and nothing merged", err, stats)
	}
}

func TestATombstoneFromTheQueueStays(t *testing.T) {
	const tombstone = `{"$":{"c":1,"e":253402300799999,"to":"where.the.session.went"}}`
	id := testID(t, testIDText)
	store := newRemoteStore(t, id, `{"n":1}`)
	m, err := NewManager(Config{Store: store, Keys: Keys(longKey)})
	if err != nil {
		t.Fatal(err)
	}
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetCookie("koa.sid", testIDText)
	ctx.Request.Header.SetCookie("koa.sid.sig", string(m.ring.Sign(nil, (*ident.ID)(&id))))
	err = m.Run(&ctx, nil, func() error {
		Set(m.FromRequest(&ctx), "n", 2)
		store.keep(t, id, tombstone)
		queue(t, m, store, ident.ID(id))
		return nil
	})
	if r, _ := store.Get(t.Context(), id); err != nil || r.JSON() != tombstone || m.Stats().Dropped != 1 {
		t.Errorf("a save that queued behind a renewal: got %v, %s, %+v, want the change dropped", err, r.JSON(), m.Stats())
	}
}
