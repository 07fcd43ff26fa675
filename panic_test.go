package sess_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	fiberrecover "github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// brittle is a Transport that panics where it is to write.
type brittle struct{}

func (brittle) Field() string { return "Authorization" }
func (brittle) Read(ctx *fasthttp.RequestCtx) []byte {
	return ctx.Request.Header.Peek("Authorization")
}
func (brittle) Write(*fasthttp.RequestCtx, string, time.Duration) { panic("on purpose") }
func (brittle) Expire(*fasthttp.RequestCtx)                       { panic("on purpose") }

// TestAPanicLeavesNoRequestWaiting is about panics behind the middleware's back: in a handler's first use of a session
// that is loaded late, when the cookie is written, and when the request is reset. It must end all the same, and its
// handle be inert.
func TestAPanicLeavesNoRequestWaiting(t *testing.T) {
	for where, config := range map[string]func(fuse func()) sess.Config{
		"Valid, deferred": func(fuse func()) sess.Config {
			return sess.Config{Defer: true, Valid: func(*fasthttp.RequestCtx, sess.Session) bool { fuse(); return true }}
		},
		"Dropped": func(fuse func()) sess.Config {
			return sess.Config{Hooks: sess.Hooks{Dropped: func(sess.Event) { fuse() }}}
		},
		"Transport": func(func()) sess.Config { return sess.Config{Transport: brittle{}} },
	} {
		t.Run(where, func(t *testing.T) {
			armed := false
			app := fiber.New(fiber.Config{DisableStartupMessage: true})
			app.Use(fiberrecover.New())
			var kept sess.Session
			app.Mount("/", routed(config(func() { fire(armed) }), routes{
				"act": func(_ *fiber.Ctx, s sess.Session) error {
					kept = s
					sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
					return nil
				},
			}))
			c := newClient(app)
			c.get("/login")
			armed = true
			var ctx fasthttp.RequestCtx
			within(t, "the request", func() { c.send(&ctx, "/act") })
			sess.Set(kept, "late", true) // and never saved
			within(t, "its reset", func() { swallow(ctx.ResetUserValues) })
			armed = false
			within(t, "a handle of it", func() {
				if err := kept.Err(); !errors.Is(err, sess.ErrReleased) {
					t.Errorf("a handle whose request is over: got %v, want ErrReleased", err)
				}
			})
			if where != "Transport" {
				within(t, "the next request", func() { wantReply(t, "the next request", c.get("/user"), 200, "ann") })
			}
		})
	}
}

// resetting is a Transport that resets the request where it is to write.
type resetting struct{ brittle }

func (resetting) Write(ctx *fasthttp.RequestCtx, _ string, _ time.Duration) { ctx.ResetUserValues() }
func (resetting) Expire(ctx *fasthttp.RequestCtx)                           { ctx.ResetUserValues() }

func TestATransportThatResetsTheRequestDoesNotWaitForItself(t *testing.T) {
	var kept sess.Session
	c := newClient(routed(sess.Config{Transport: resetting{}}, routes{
		"act": func(_ *fiber.Ctx, s sess.Session) error {
			kept = s
			sess.Set(s, "n", 1)
			return nil
		},
	}))
	var ctx fasthttp.RequestCtx
	within(t, "the request", func() { c.send(&ctx, "/act") })
	if err := kept.Err(); !errors.Is(err, sess.ErrReleased) {
		t.Errorf("a handle of the request that was reset: got %v, want ErrReleased", err)
	}
	within(t, "the next request", func() { c.get("/act") })
}

// swallow runs f, which may panic.
func swallow(f func()) {
	defer func() { _ = recover() }()
	f()
}

// fire panics if armed.
func fire(armed bool) {
	if armed {
		panic("on purpose")
	}
}

// within runs f, which must end soon.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: got no end within 10 s", what)
	}
}

// TestALoadThatPanickedSavesNothing: what the request presented is not known to be anything, so nothing may be made of it.
func TestALoadThatPanickedSavesNothing(t *testing.T) {
	store := newSpyStore()
	app := routed(sess.Config{Store: store, Defer: true}, routes{
		"act": func(_ *fiber.Ctx, s sess.Session) error {
			swallow(func() { s.Has("user") })
			sess.Set(s, "user", "bob")
			if s.Err() == nil {
				t.Error("Err after a load that panicked: got nil, want an error")
			}
			return nil
		},
	})
	c := newClient(app)
	c.get("/login")
	store.count()
	store.ask(func(_ context.Context, call string, _ sess.ID) error { fire(call == "get"); return nil })
	r := c.get("/act")
	if r.status != 500 {
		t.Errorf("status: got %d, want 500", r.status)
	}
	wantNoCookie(t, "a load that panicked", r)
	if n := store.count("swap", "set"); n != 0 {
		t.Errorf("saves: got %d, want 0", n)
	}
	store.ask(nil)
	wantReply(t, "the session afterwards", c.get("/user"), 200, "ann")
}
