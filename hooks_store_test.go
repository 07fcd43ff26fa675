package sess_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/gofiber/fiber/v2"
)

// TestHooksStoreHearsOfEveryCall: of the store's and of its index's, and by their names.
func TestHooksStoreHearsOfEveryCall(t *testing.T) {
	var heard []string
	store := newSpyStore()
	config := sess.Config{Store: indexedSpy{store, store.kept}, Hooks: sess.Hooks{
		Store: func(op string, took time.Duration, err error) {
			if err != nil {
				op += ": " + err.Error()
			}
			if took < 0 || took > time.Minute {
				t.Errorf("%s: got %v that it took, want what it took", op, took)
			}
			heard = append(heard, op)
		},
	}}
	var st *portal
	st = newPortal(t, config, routes{
		"refresh": func(_ *fiber.Ctx, s sess.Session) error { return s.Refresh() },
		"late": func(_ *fiber.Ctx, s sess.Session) error {
			_, err := st.m.User("ann").EndAll(context.Background())
			s.Login("ann")
			return err
		},
		"end-all": func(_ *fiber.Ctx, _ sess.Session) error {
			_, err := st.m.User("ann").EndAll(context.Background())
			return err
		},
	})
	want := func(what string, ops ...string) {
		t.Helper()
		if !slices.Equal(heard, ops) {
			t.Errorf("%s: got the calls %q, want %q", what, heard, ops)
		}
		heard = nil
	}
	c := st.browser()
	c.get("/who")
	want("a look of a stranger's")
	c.get("/set?key=a")
	want("a first save", "swap")
	c.get("/set?key=b")
	want("a save", "get", "swap")
	c.get("/refresh")
	want("a refresh", "get", "refresh")
	c.get("/in")
	want("a login", "get", "refresh", "admit", "swap", "swap", "swap", "entries")
	c.get("/who")
	want("a look", "get")
	c.get("/end-all")
	want("the end of all", "get", "mark", "entries", "end", "leave", "entries")
	c.twin().get("/out")
	want("a logout of what has ended", "get", "end")

	st.browser().get("/late")
	want("a login that is refused", "mark", "entries", "admit")

	broken := errors.New("broken")
	store.ask(func(context.Context, string, sess.ID) error { return broken })
	c.get("/who")
	want("a look at a broken store", fmt.Sprint("get: ", broken))
}

// indexedSpy is a spyStore with an index, and a look past a cache.
type indexedSpy struct {
	*spyStore
	index interface {
		sess.UserIndex
		sess.UserMarker
	}
}

func (s indexedSpy) Refresh(ctx context.Context, id sess.ID) (*sess.Record, error) {
	return s.Get(ctx, id)
}

func (s indexedSpy) Enter(ctx context.Context, user string, e sess.UserEntry, keep, grace time.Duration) error {
	return s.index.Enter(ctx, user, e, keep, grace)
}

func (s indexedSpy) Leave(ctx context.Context, user string, entries []sess.UserEntry, grace time.Duration) error {
	return s.index.Leave(ctx, user, entries, grace)
}

func (s indexedSpy) Entries(ctx context.Context, user, cursor string) (sess.UserPage, error) {
	return s.index.Entries(ctx, user, cursor)
}

func (s indexedSpy) Admit(ctx context.Context, user string, id sess.ID, keep time.Duration, a sess.LoginAttempt) (time.Time, error) {
	return s.index.Admit(ctx, user, id, keep, a)
}

func (s indexedSpy) Mark(ctx context.Context, user string, a sess.LoginAttempt) (sess.UserMark, error) {
	return s.index.Mark(ctx, user, a)
}
