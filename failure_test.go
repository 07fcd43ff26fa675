package sess_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/sesstest"
)

var errStore = errors.New("the server at 10.0.0.1 is on fire")

// outage makes a store fail in one way.
type outage func(ctx context.Context, call string, id sess.ID) error

var outages = map[string]outage{
	"fails": func(context.Context, string, sess.ID) error { return errStore },
	"hangs": func(ctx context.Context, _ string, _ sess.ID) error {
		<-ctx.Done()
		return errors.Join(errStore, ctx.Err())
	},
}

// only limits an outage to the calls of one name.
func (o outage) only(name string) outage {
	return func(ctx context.Context, call string, id sess.ID) error {
		if call != name {
			return nil
		}
		return o(ctx, call, id)
	}
}

// TestAFailingStoreIsA503 runs in a bubble of virtual time, which also ends only when every goroutine has.
func TestAFailingStoreIsA503(t *testing.T) {
	for how, out := range outages {
		for _, call := range []string{"get", "swap"} {
			for act := range lateActs {
				if call == "swap" && act == "touch" { // A renewal that fails costs the client nothing.
					continue
				}
				t.Run(how+" "+call+" "+act, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { failOnce(t, out.only(call), "/"+act) })
				})
			}
		}
	}
}

// failOnce sends one request while the store is out, and one when it is back.
func failOnce(t *testing.T, out outage, path string) {
	const timeout = 300 * time.Millisecond
	store := newSpyStore()
	config := rolling(store)
	config.StoreTimeout = timeout
	var told error
	config.ErrorHandler = func(_ *fasthttp.RequestCtx, err error) error {
		told = err
		return err
	}
	c := newClient(routed(config, lateActs))
	c.get("/login")
	time.Sleep(time.Minute)
	store.ask(out)
	start := time.Now()
	r := c.get(path)
	most := timeout // One phase fails, and none follows: a Take is one of its own, before the commit.
	if path == "/take" {
		most = 2 * timeout
	}
	if took := time.Since(start); took > most {
		t.Errorf("the answer took %v, want at most %v", took, most)
	}
	wantReply(t, "a request while the store is out", r, http.StatusServiceUnavailable, "Service Unavailable")
	wantNoCookie(t, "a request while the store is out", r)
	var e *sess.Error
	if path != "/take" && path != "/save" && !errors.As(told, &e) || told != nil && !errors.Is(told, errStore) {
		t.Errorf("the error that ErrorHandler was told: got %v, want one that is the store's", told)
	}
	store.ask(nil)
	wantReply(t, "the next request", c.get("/user"), http.StatusOK, "ann")
	time.Sleep(timeout) // A renewal takes back what it has stored, behind its answer.
	if n := store.kept.Len(); n != 1 {
		t.Errorf("sessions in the store: got %d, want 1", n)
	}
}

func TestAFailedRenewalOfTheEndIsNotTheClientsBusiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSpyStore()
		config := rolling(store)
		failures := 0
		config.Hooks.StoreError = func(sess.Event) { failures++ }
		c := newClient(routed(config, lateActs))
		c.get("/login")
		time.Sleep(time.Minute)
		store.ask(outages["fails"].only("swap"))
		r := c.get("/user")
		wantReply(t, "a read while writes fail", r, 200, "ann")
		wantNoCookie(t, "a read while writes fail", r)
		if failures != 1 {
			t.Errorf("failures told to the hook: got %d, want 1", failures)
		}
	})
}

func TestADeferredSessionNobodyUsesDoesNotNoticeAFailingStore(t *testing.T) {
	store := newSpyStore()
	c := newClient(routed(sess.Config{Store: store, Defer: true, Rolling: true}, routes{
		"static": func(c *fiber.Ctx, _ sess.Session) error { return c.SendString("page") },
	}))
	c.get("/login")
	store.count()
	store.ask(outages["fails"])
	r := c.get("/static")
	wantReply(t, "an untouched request", r, 200, "page")
	wantNoCookie(t, "an untouched request", r)
	if n := store.count(); n != 0 {
		t.Errorf("store calls of an untouched request: got %d, want 0", n)
	}
	wantReply(t, "a request that reads", c.get("/user"), 503, "Service Unavailable")
}

// garbageStore returns ErrCorrupt for what it holds, as a store does whose records were damaged.
type garbageStore struct{ *spyStore }

func (s garbageStore) Get(context.Context, sess.ID) (*sess.Record, error) {
	return sess.ParseRecord(`{"user":"ann","user":"eve"}`)
}

func TestACorruptRecordIsNoSession(t *testing.T) {
	var rejected []sess.Event
	config := sess.Config{Store: garbageStore{newSpyStore()}}
	config.Hooks.Rejected = func(e sess.Event) { rejected = append(rejected, e) }
	c := newClient(routed(config, lateActs))
	c.get("/login")
	damaged := c.id()
	r := c.get("/user")
	wantReply(t, "a request with a corrupt record", r, 200, "")
	wantNoCookie(t, "a request with a corrupt record", r)
	if len(rejected) != 1 || rejected[0].Reason != sess.ReasonCorrupt {
		t.Errorf("events: got %v, want one with the reason corrupt", rejected)
	}
	wantReply(t, "a write", c.get("/set"), 200, "")
	if c.id() == damaged {
		t.Error("the id after a write: got that of the corrupt record, want a new one")
	}
}

func TestAPanicOutsideOfWhichWeStandSavesNothing(t *testing.T) {
	for _, deferred := range []bool{false, true} {
		store := newSpyStore()
		app := fiber.New()
		app.Use(recover.New())
		app.Mount("/", panicking(sess.Config{Store: store, Defer: deferred}))
		c := newClient(app)
		c.get("/login")
		store.count()
		r := c.get("/panic")
		wantReply(t, "a panic", r, 500, "on purpose")
		wantNoCookie(t, "a panic", r)
		if n := store.count("swap", "set", "end", "destroy"); n != 0 {
			t.Errorf("writes of a request that panicked: got %d, want 0", n)
		}
		wantReply(t, "the session after the panic", c.get("/user"), 200, "ann")
	}
}

func TestAPanicRecoveredInsideOfUsIsAnErrorLikeAnyOther(t *testing.T) {
	c := newClient(panicking(sess.Config{}, recover.New()))
	c.get("/login")
	wantReply(t, "a panic", c.get("/panic"), 500, "on purpose")
	wantReply(t, "the session after the panic", c.get("/user"), 200, "eve")

	r := newClient(panicking(sess.Config{}, recover.New())).get("/panic")
	if len(r.setCookie) != 2 {
		t.Errorf("a panic in a request that made a session: got %d Set-Cookie lines, want 2", len(r.setCookie))
	}
}

// panicking is an app whose handler writes and then panics.
func panicking(config sess.Config, inside ...fiber.Handler) *fiber.App {
	app := routed(config, nil)
	for _, h := range inside {
		app.Use(h)
	}
	app.Get("/panic", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "user", "eve")
		panic("on purpose")
	})
	return app
}

// panicky is a value whose own encoding panics.
type panicky struct{ fuse func() }

func (p panicky) MarshalJSON() ([]byte, error) { p.fuse(); return []byte("1"), nil }

func (*panicky) UnmarshalJSON([]byte) error { return nil }

func TestAPanicInACallbackLeavesNothingLocked(t *testing.T) {
	for _, where := range []string{"Update", "Valid", "BeforeSave", "TTLFunc", "Rejected", "Saved", "GenerateID", "ErrorHandler", "Store", "encoding"} {
		t.Run(where, func(t *testing.T) {
			armed := false
			fuse := func() {
				if armed {
					armed = false
					panic("in " + where)
				}
			}
			at := func(name string) {
				if where == name {
					fuse()
				}
			}
			store := newSpyStore()
			config := sess.Config{
				Store:      store,
				Valid:      func(*fasthttp.RequestCtx, sess.Session) bool { at("Valid"); return true },
				BeforeSave: func(*fasthttp.RequestCtx, sess.Session) error { at("BeforeSave"); return nil },
				TTLFunc:    func(sess.Session) time.Duration { at("TTLFunc"); return time.Hour },
				GenerateID: func(*fasthttp.RequestCtx) (string, error) {
					at("GenerateID")
					return strings.Repeat("g", 16+store.count()), nil
				},
				ErrorHandler: func(_ *fasthttp.RequestCtx, err error) error {
					at("ErrorHandler")
					return err
				},
			}
			config.Hooks.Saved = func(sess.Event) { at("Saved") }
			config.Hooks.Rejected = func(sess.Event) { at("Rejected") }
			var kept sess.Session
			app := fiber.New()
			app.Use(recover.New())
			app.Mount("/", routed(config, routes{
				"act": func(_ *fiber.Ctx, s sess.Session) error {
					kept = s
					switch {
					case where == "GenerateID":
						s.Regenerate()
					case where == "ErrorHandler" && armed:
						store.ask(outages["fails"])
					case where == "Store" && armed:
						store.ask(func(context.Context, string, sess.ID) error { at("Store"); return nil })
					case where == "encoding" && armed:
						sess.Set(s, "fuse", panicky{fuse})
					}
					sess.Update(s, "n", func(n int, _ bool) int { at("Update"); return n + 1 })
					return nil
				},
			}))
			c := newClient(app)
			c.get("/login")
			sender := c
			if where == "Rejected" {
				sender = c.holding("unknown")
			}
			armed = true
			wantReply(t, "the panic", sender.get("/act"), 500, "in "+where)
			if armed {
				t.Fatalf("the callback %s never ran", where)
			}
			store.ask(nil)
			_ = kept.Err() // Would wait for ever on a lock that was kept.
			wantReply(t, "the next request", c.get("/user"), 200, "ann")
			wantReply(t, "the next write", c.get("/act"), 200, "")
		})
	}
}

func TestAHandlersErrorSavesAndKeepsTheCookie(t *testing.T) {
	c := newClient(routed(sess.Config{}, routes{
		"fail": func(_ *fiber.Ctx, s sess.Session) error {
			sess.Set(s, "user", "bob")
			return fiber.NewError(http.StatusForbidden, "no")
		},
	}))
	r := c.get("/fail")
	wantReply(t, "a failing handler", r, 403, "no")
	if len(r.setCookie) != 2 {
		t.Errorf("a failing handler: got %d Set-Cookie lines, want 2", len(r.setCookie))
	}
	wantReply(t, "what it wrote", c.get("/user"), 200, "bob")
}

// TestASaveWhoseOutcomeIsUnknownIsNotMadeAgain loses the answer to a Save: the store has it. What the commit would save
// on top of the record of before would be counted twice.
func TestASaveWhoseOutcomeIsUnknownIsNotMadeAgain(t *testing.T) {
	for name, c := range map[string]struct {
		fresh  bool // a new session
		after  func(s sess.Session, err error) error
		status int
		want   string
	}{
		"returned":           {false, func(_ sess.Session, err error) error { return err }, 503, "true 2"},
		"ignored":            {false, func(sess.Session, error) error { return nil }, 503, "true 2"},
		"tried again":        {false, func(s sess.Session, _ error) error { return s.Save() }, 503, "true 2"},
		"refreshed":          {false, func(s sess.Session, _ error) error { return s.Refresh() }, 503, "true 2"},
		"discarded":          {false, func(s sess.Session, _ error) error { s.Discard(); return nil }, 200, "true 2"},
		"destroyed":          {false, func(s sess.Session, _ error) error { s.Destroy(); return nil }, 200, "false 0"},
		"of a new session":   {true, func(sess.Session, error) error { return nil }, 503, "false 0"},
		"of a new, returned": {true, func(_ sess.Session, err error) error { return err }, 503, "false 0"},
	} {
		t.Run(name, func(t *testing.T) {
			faulty := sesstest.NewFaulty(sess.NewMemoryStore())
			app := routed(sess.Config{Store: faulty.Store()}, routes{
				"up": func(_ *fiber.Ctx, s sess.Session) error {
					sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
					return nil
				},
				"act": func(_ *fiber.Ctx, s sess.Session) error {
					sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
					faulty.Lose(sesstest.Swap, 1)
					err := s.Save()
					if !errors.Is(err, sesstest.ErrInjected) {
						t.Errorf("Save: got %v, want the store's error", err)
					}
					return c.after(s, err)
				},
				"n": func(c *fiber.Ctx, s sess.Session) error {
					n, _ := sess.Get[int](s, "n")
					return c.SendString(fmt.Sprint(s.Exists(), n))
				},
			})
			client := newClient(app)
			if !c.fresh {
				client.get("/up")
			}
			r := client.get("/act")
			if r.status != c.status {
				t.Errorf("status: got %d, want %d", r.status, c.status)
			}
			if name != "destroyed" {
				wantNoCookie(t, name, r)
			}
			wantReply(t, "the session afterwards", client.get("/n"), 200, c.want)
		})
	}
}

// TestWrapKeepsWhatASessionOwesWhenTheSaveFails: the record has its new id, which the client must hear of.
func TestWrapKeepsWhatASessionOwesWhenTheSaveFails(t *testing.T) {
	m, err := sess.NewManager(sess.Config{Keys: sess.Keys(clientKey)})
	if err != nil {
		t.Fatal(err)
	}
	handler := m.Wrap(func(ctx *fasthttp.RequestCtx) {
		s := m.FromRequest(ctx)
		ctx.SetBodyString("half an answer")
		ctx.SetContentType("text/html")
		sess.Set(s, "user", "ann")
		if err := s.Save(); err != nil {
			t.Errorf("Save: got %v, want nil", err)
		}
		sess.Set(s, "bad", make(chan int))
	})
	var ctx fasthttp.RequestCtx
	handler(&ctx)
	h := &ctx.Response.Header
	if ctx.Response.StatusCode() != 500 || string(ctx.Response.Body()) != "Internal Server Error" || !strings.HasPrefix(string(h.ContentType()), "text/plain") {
		t.Errorf("got %d %q of type %s, want 500 Internal Server Error as text/plain", ctx.Response.StatusCode(), ctx.Response.Body(), h.ContentType())
	}
	if len(h.PeekCookie("koa.sid")) == 0 || len(h.PeekCookie("koa.sid.sig")) == 0 || string(h.Peek("Cache-Control")) != "no-store" || string(h.Peek("Vary")) != "Cookie" {
		t.Errorf("got the header %s, want both cookies, no-store and Vary", h.Header())
	}
}

// TestADestroyThatComesTooLateSaysSo: by middleware outside of ours.
func TestADestroyThatComesTooLateSaysSo(t *testing.T) {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(func(c *fiber.Ctx) error {
		err := c.Next()
		if c.Path() == "/late" {
			s := sess.From(c)
			s.Destroy()
			if got := s.Err(); !errors.Is(got, sess.ErrCommitted) {
				t.Errorf("Err after a Destroy after the save: got %v, want ErrCommitted", got)
			}
		}
		return err
	})
	app.Mount("/", routed(sess.Config{}, routes{"late": func(_ *fiber.Ctx, s sess.Session) error { s.Exists(); return nil }}))
	c := newClient(app)
	c.get("/login")
	c.get("/late")
	wantReply(t, "the session afterwards", c.get("/user"), 200, "ann")
}

func TestASaveInsideOfACallbackIsRefused(t *testing.T) {
	var err error
	config := sess.Config{BeforeSave: func(_ *fasthttp.RequestCtx, s sess.Session) error {
		err = s.Save()
		return nil
	}}
	c := newClient(routed(config, nil))
	if r := c.get("/login"); r.status != 200 || err == nil {
		t.Errorf("a Save in BeforeSave: got status %d and the error %v, want 200 and an error", r.status, err)
	}
	wantReply(t, "the session afterwards", c.get("/user"), 200, "ann")
}

// TestADeadlineThatEndsAmongConflictsIsAConflict: others change the session before each try, and the deadline ends within
// the third. What that one stored is not known, so a second Save does not try again.
func TestADeadlineThatEndsAmongConflictsIsAConflict(t *testing.T) {
	saved := func(act func(s sess.Session)) func(s sess.Session) error {
		return func(s sess.Session) error { act(s); return s.Save() }
	}
	for name, act := range map[string]func(s sess.Session) error{
		"a save":    saved(func(s sess.Session) { sess.Update(s, "n", func(n int, _ bool) int { return n + 1 }) }),
		"a renewal": saved(func(s sess.Session) { s.Regenerate() }),
		"a login":   saved(func(s sess.Session) { s.Login("ann") }),
		"a take":    func(s sess.Session) error { _, _, err := sess.Take[int](s, "v"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { endAmongConflicts(t, act) })
		})
	}
}

func endAmongConflicts(t *testing.T, act func(s sess.Session) error) {
	store := newSpyStore()
	var told, again error
	calls := -1
	c := newClient(routed(sess.Config{Store: store}, routes{"v": func(_ *fiber.Ctx, s sess.Session) error {
		sess.Set(s, "v", 0)
		return nil
	}, "act": func(_ *fiber.Ctx, s sess.Session) error {
		sess.Set(s, "more", 1)
		told = act(s)
		synctest.Wait() // What a login has to take back is taken back beside its answer.
		store.count()
		if again = s.Save(); errors.Is(again, sess.ErrConflict) {
			calls = store.count()
		}
		s.Discard()
		return nil
	}}))
	c.get("/v")
	id, err := sess.ParseID(c.id())
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	store.ask(func(ctx context.Context, call string, at sess.ID) error {
		if call != "swap" || at != id || tries == 3 {
			return ctx.Err()
		}
		if tries++; tries == 3 {
			<-ctx.Done()
			return ctx.Err()
		}
		return store.kept.Set(ctx, id, version(t, tries), time.Hour)
	})
	c.get("/act")
	if !errors.Is(told, sess.ErrConflict) || !errors.Is(told, context.DeadlineExceeded) {
		t.Errorf("the error: got %v, want ErrConflict and DeadlineExceeded", told)
	}
	if tries != 3 {
		t.Errorf("tries: got %d, want 3", tries)
	}
	if again != nil && calls != 0 {
		t.Errorf("a second Save: got %v with %d calls of the store, want the same error without one", again, calls)
	}
}
