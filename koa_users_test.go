package sess_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/gofiber/fiber/v2"
)

// comesBack ends the session of s, and stores its record again as Koa does that has read it before.
func comesBack(t *testing.T, m *sess.Manager, store sess.Store, id sess.ID) {
	t.Helper()
	before, err := store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.End(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := store.Set(t.Context(), id, before, time.Hour); err != nil {
		t.Fatal(err)
	}
}

// TestBesideKoaNoRequestUnderWayKeepsASessionThatCameBack: the session ends while a request has it, and Koa stores the very
// bytes that the request compares with. Whatever the request does with it, it is nobody's afterwards, and gone.
func TestBesideKoaNoRequestUnderWayKeepsASessionThatCameBack(t *testing.T) {
	for name, act := range map[string]func(s sess.Session) error{
		"a write": func(s sess.Session) error { sess.Set(s, "n", 2); return nil },
		"an early save": func(s sess.Session) error {
			sess.Set(s, "n", 2)
			if err := s.Save(); !errors.Is(err, sess.ErrEnded) {
				t.Errorf("Save: got the error %v, want ErrEnded", err)
			}
			return nil
		},
		"an update": func(s sess.Session) error { sess.Update(s, "n", func(n int, _ bool) int { return n + 1 }); return nil },
		"a take":    func(s sess.Session) error { _, _, err := sess.Take[int](s, "n"); return ignored(err) },
		"a touch":   func(s sess.Session) error { s.Has("n"); return nil },
		"a refresh": func(s sess.Session) error { return ignored(s.Refresh()) },
		"a step-up": func(s sess.Session) error { s.Login("ann"); return nil },
		"a renewal": func(s sess.Session) error { s.Regenerate(); return nil },
		"a Detach":  func(s sess.Session) error { _, err := s.Detach(context.Background()); return ignored(err) },
	} {
		t.Run(name, func(t *testing.T) {
			store := newSpyStore()
			var st *portal
			st = newPortal(t, sess.Config{Store: store, Koa: true, Rolling: true, RollingAlways: true}, routes{
				"under-way": func(_ *fiber.Ctx, s sess.Session) error {
					s.Has("n")
					comesBack(t, st.m, store.kept, s.ID())
					return act(s)
				},
			})
			c := st.loggedIn("ann")
			c.get("/set?key=n")
			before := c.twin()
			want := 200
			if name == "a step-up" {
				want = 401
			}
			if r := c.get("/under-way"); r.status != want {
				t.Errorf("the request under way: got %d %q, want %d", r.status, r.body, want)
			}
			st.wantUser("the cookie of before", before, "")
			st.wantUser("the cookie of after", c, "")
			id, err := sess.ParseID(before.id())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store.kept.Get(t.Context(), id); !errors.Is(err, sess.ErrNotFound) {
				t.Errorf("the session that came back: got the error %v, want ErrNotFound", err)
			}
		})
	}
}

// ignored is nil if err says that the session has ended.
func ignored(err error) error {
	if errors.Is(err, sess.ErrEnded) {
		return nil
	}
	return err
}

// TestBesideKoaASessionThatCameBackCannotBeOpened: neither by a job that has its id, nor with the server's memory warm.
func TestBesideKoaASessionThatCameBackCannotBeOpened(t *testing.T) {
	server := redistest.Start(t)
	store := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{Koa: true})
	st := newPortal(t, sess.Config{Store: store, Koa: true}, nil)
	c := st.loggedIn("ann")
	id, err := sess.ParseID(c.id())
	if err != nil {
		t.Fatal(err)
	}
	text := server.Do("GET", "koa:sess:"+c.id()).(string)
	if err := st.m.End(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	server.Do("SET", "koa:sess:"+c.id(), text, "PX", "3600000")
	if l, err := st.m.Open(t.Context(), id); !errors.Is(err, sess.ErrEnded) {
		t.Errorf("Open: got (%v, %v), want ErrEnded", l, err)
	}
	st.wantUser("behind that Open", c, "")
	if got := server.Do("EXISTS", "koa:sess:"+c.id()); got != int64(0) {
		t.Errorf("records of the session that came back: got %v, want 0", got)
	}
}

// TestBesideKoaWhatAUserHasLeftStaysNobodys: Koa stores again what it has read before the session was renewed, cleared or
// ended, also in the very moment between the end and its revocation.
func TestBesideKoaWhatAUserHasLeftStaysNobodys(t *testing.T) {
	for _, between := range []bool{false, true} {
		for name, user := range map[string]string{"renew": "ann", "in": "ann", "clear": "", "out": ""} {
			if between && name == "clear" {
				continue // It leaves the revocation first.
			}
			t.Run(fmt.Sprintf("%s, between %t", name, between), func(t *testing.T) {
				store := newSpyStore()
				st := newPortal(t, sess.Config{Store: store, Koa: true}, routes{
					"renew": func(_ *fiber.Ctx, s sess.Session) error { s.Regenerate(); return nil },
					"clear": func(_ *fiber.Ctx, s sess.Session) error { s.Clear(); return nil },
				})
				c := st.loggedIn("ann")
				before := c.twin()
				id, err := sess.ParseID(before.id())
				if err != nil {
					t.Fatal(err)
				}
				read, err := store.kept.Get(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				back := func() {
					if err := store.kept.Set(t.Context(), id, read, time.Hour); err != nil {
						t.Error(err)
					}
				}
				if between {
					store.ask(func(_ context.Context, call string, _ sess.ID) error {
						if call == "set" {
							back()
						}
						return nil
					})
				}
				c.get("/" + name)
				store.ask(nil)
				if !between {
					back()
				} else if _, err := store.kept.Get(t.Context(), id); !errors.Is(err, sess.ErrNotFound) {
					t.Errorf("what came back before there was a revocation: got the error %v, want ErrNotFound", err)
				}
				st.wantUser("the cookie of before", before, "")
				if name != "clear" { // which keeps the id, whose record Koa has overwritten
					st.wantUser("the cookie of after", c, user)
				}
			})
		}
	}
}

// TestBesideKoaALogoutWithoutItsRevocationCanBeRepeated: the record is gone already when the logout fails, and it is the
// second logout that leaves the revocation.
func TestBesideKoaALogoutWithoutItsRevocationCanBeRepeated(t *testing.T) {
	store := newSpyStore()
	st := newPortal(t, sess.Config{Store: store, Koa: true}, nil)
	c := st.loggedIn("ann")
	before := c.twin()
	id, err := sess.ParseID(c.id())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := store.kept.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	store.ask(func(_ context.Context, call string, _ sess.ID) error {
		if call == "set" {
			return errors.New("no room")
		}
		return nil
	})
	if r := c.get("/out"); r.status != 503 {
		t.Errorf("a logout that leaves no revocation: got %d, want 503", r.status)
	}
	store.ask(nil)
	if r := before.twin().get("/out"); r.status != 200 {
		t.Errorf("the logout once more: got %d, want 200", r.status)
	}
	if err := store.kept.Set(t.Context(), id, kept, time.Hour); err != nil {
		t.Fatal(err)
	}
	st.wantUser("the session that came back", before, "")
}

// TestBesideKoaAUserIsNobodyWhileRevocationsCannotBeRead: a store that fails there answers nobody as a user.
func TestBesideKoaAUserIsNobodyWhileRevocationsCannotBeRead(t *testing.T) {
	store := newSpyStore()
	st := newPortal(t, sess.Config{Store: store, Koa: true}, nil)
	c := st.loggedIn("ann")
	own := c.id()
	store.ask(func(_ context.Context, _ string, id sess.ID) error {
		if id.Value() != own {
			return errors.New("broken")
		}
		return nil
	})
	if r := c.get("/who"); r.status != 503 || strings.Contains(r.body, "ann") {
		t.Errorf("who, while revocations cannot be read: got %d %q, want 503", r.status, r.body)
	}
	store.ask(nil)
	st.wantUser("afterwards", c, "ann")
}

// TestBesideKoaOnlyUsersPayForRevocations counts calls at a store without a memory of its own, and commands of one with it.
func TestBesideKoaOnlyUsersPayForRevocations(t *testing.T) {
	store := newSpyStore()
	st := newPortal(t, sess.Config{Store: store, Koa: true}, nil)
	nobody, ann := st.browser(), st.loggedIn("ann")
	nobody.get("/set?key=a")
	for _, c := range []struct {
		browser    *client
		path, what string
		calls      int
	}{
		{nobody, "/who", "a look of nobody's", 1},
		{nobody, "/set?key=b", "a save of nobody's", 2},
		{nobody, "/out", "a logout of nobody's", 2},
		{ann, "/who", "a look of ann's", 2},
		{ann, "/set?key=b", "a save of ann's", 4},
		{ann, "/out", "a logout of ann's", 5},
	} {
		store.count()
		if c.browser.get(c.path); t.Failed() {
			return
		}
		if got := store.count(); got != c.calls {
			t.Errorf("calls of %s: got %d, want %d", c.what, got, c.calls)
		}
	}

	server := redistest.Start(t)
	near := newPortal(t, sess.Config{Store: openRueidis(t, addresses(server.Addr), sess.RueidisConfig{Koa: true}), Koa: true}, nil)
	bob := near.loggedIn("bob")
	near.wantUser("the first look", bob, "bob")
	before := calls(t, server, "get")
	for range 10 {
		near.wantUser("what is in memory", bob, "bob")
	}
	if got := calls(t, server, "get") - before; got != 0 {
		t.Errorf("reads of Redis for ten looks at what is in memory: got %d, want none", got)
	}
}
