package engine

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/group"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/memory"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/sign"
	"github.com/valyala/fasthttp"
)

// newManager returns a Manager with a memory store, or what change makes of that.
func newManager(t *testing.T, change func(*Config)) *Manager {
	t.Helper()
	store := memory.New(100, nil)
	c := Config{
		Store:  Store{Keeper: &store, Swapper: &store, Peeker: &store, Ender: &store, Local: true},
		Logger: slog.New(slog.DiscardHandler), Keys: sign.Keys("a secret of more than sixteen bytes"),
		Cookie: cookies.Cookie{}.WithDefaults(), StoreTimeout: time.Second, LiveSilence: time.Minute, MaxRecordBytes: 64 << 10,
	}
	change(&c)
	return New(c)
}

// newRemoteManager returns a Manager whose store is not local, and holds json under the id of the tests.
func newRemoteManager(t *testing.T, json string, change func(*Config)) *Manager {
	t.Helper()
	m := newManager(t, func(c *Config) {
		c.Store.Local = false
		change(c)
	})
	keep(t, m, json)
	return m
}

const testIDText = "bGX1r5jcQHX4CqO1Heiy_DLvkTpQvx3M"

func testID(t *testing.T) ident.ID {
	t.Helper()
	id, err := ident.ParseID(testIDText)
	if err != nil {
		t.Fatalf("ParseID of the tests' id: got %v, want nil", err)
	}
	return id
}

// keep stores json under the id of the tests.
func keep(t *testing.T, m *Manager, json string) {
	t.Helper()
	r, err := record.ParseRecord(json)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.config.Store.Set(t.Context(), testID(t), r, time.Hour); err != nil {
		t.Fatal(err)
	}
}

// kept returns what is stored under the id of the tests.
func kept(t *testing.T, m *Manager) *record.Record {
	t.Helper()
	r, err := m.config.Store.Get(t.Context(), testID(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAWriteThatTheCommitDidNotSeeIsTold writes, as a goroutine of the handler's may, between the frame's look at an
// untouched session and the frame's end.
func TestAWriteThatTheCommitDidNotSeeIsTold(t *testing.T) {
	var dropped []Event
	m := newManager(t, func(c *Config) { c.Hooks.Dropped = func(e Event) { dropped = append(dropped, e) } })
	var ctx fasthttp.RequestCtx
	st := m.enter(&ctx, nil)
	if err := errors.Join(st.begin(), st.commit()); err != nil {
		t.Fatal(err)
	}
	h := m.From(&ctx)
	Set(h, "late", 1)
	st.leave()
	if err := h.Err(); !errors.Is(err, ErrCommitted) {
		t.Errorf("Err after the write: got %v, want ErrCommitted", err)
	}
	ctx.ResetUserValues()
	if len(dropped) != 1 || dropped[0].Reason != ReasonCommitted {
		t.Errorf("changes told as dropped: got %v, want one that came too late", dropped)
	}
	if n := m.config.Store.Keeper.(*memory.Store).Len(); n != 0 {
		t.Errorf("sessions stored: got %d, want 0", n)
	}
}

// queue makes the next commit of the tests' id queue for a moment, behind one that changes nothing.
func queue(t *testing.T, m *Manager) {
	t.Helper()
	id, seen := testID(t), kept(t, m)
	begun := make(chan struct{})
	go func() {
		_, _, _ = m.shelf.queue.Store(context.Background(), &id, seen, group.BuildFunc(func(now *record.Record) (*record.Record, time.Duration, error) {
			close(begun)
			time.Sleep(5 * time.Millisecond)
			return now, 0, nil
		}))
	}()
	<-begun
}

func TestAnIDThatExistsIsNotAdoptedFromTheQueue(t *testing.T) {
	m := newRemoteManager(t, `{"user":"ann"}`, func(c *Config) {
		c.GenerateID = func(*fasthttp.RequestCtx) (string, error) { return testIDText, nil }
	})
	queue(t, m)
	var ctx fasthttp.RequestCtx
	err := m.Run(&ctx, nil, func() error { Set(m.From(&ctx), "mine", 1); return nil })
	if err == nil || len(ctx.Response.Header.PeekCookie("koa.sid")) > 0 {
		t.Errorf("a new session under the id of another: got the error %v, and a cookie: %v", err, len(ctx.Response.Header.PeekCookie("koa.sid")) > 0)
	}
	if r := kept(t, m); r.JSON() != `{"user":"ann"}` {
		t.Errorf("the other session: got %s, want it as it was", r.JSON())
	}
}

func TestAnEqualRecordFromTheQueueIsNoMerge(t *testing.T) {
	m := newRemoteManager(t, `{"n":1}`, func(*Config) {})
	var ctx fasthttp.RequestCtx
	present(t, m, &ctx)
	err := m.Run(&ctx, nil, func() error {
		Set(m.From(&ctx), "n", 2)
		keep(t, m, `{"n":1}`) // read again
		queue(t, m)
		return nil
	})
	if stats := m.Stats(); err != nil || stats.Saved != 1 || stats.Merged != 0 {
		t.Errorf("saved on top of an equal record: got %v, %+v, want it saved and nothing merged", err, stats)
	}
}

func TestATombstoneFromTheQueueStays(t *testing.T) {
	const tombstone = `{"$":{"c":1,"e":253402300799999,"to":"where.the.session.went"}}`
	m := newRemoteManager(t, `{"n":1}`, func(*Config) {})
	var ctx fasthttp.RequestCtx
	present(t, m, &ctx)
	err := m.Run(&ctx, nil, func() error {
		Set(m.From(&ctx), "n", 2)
		keep(t, m, tombstone)
		queue(t, m)
		return nil
	})
	if r := kept(t, m); err != nil || r.JSON() != tombstone || m.Stats().Dropped != 1 {
		t.Errorf("a save that queued behind a renewal: got %v, %s, %+v, want the change dropped", err, r.JSON(), m.Stats())
	}
}
