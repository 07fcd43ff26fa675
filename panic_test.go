package sess_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
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

// TestAPanicLeavesNothingLocked lets each function of the application's panic, under a middleware that recovers: the
// request must end, its handle be inert, and the next request find the session.
func TestAPanicLeavesNothingLocked(t *testing.T) {
	for name, arm := range map[string]func(c *sess.Config, armed *bool){
		"Valid": func(c *sess.Config, armed *bool) {
			c.Valid = func(*fasthttp.RequestCtx, sess.Session) bool { return !fire(*armed) }
		},
		"Valid, deferred": func(c *sess.Config, armed *bool) {
			c.Defer = true
			c.Valid = func(*fasthttp.RequestCtx, sess.Session) bool { return !fire(*armed) }
		},
		"BeforeSave": func(c *sess.Config, armed *bool) {
			c.BeforeSave = func(*fasthttp.RequestCtx, sess.Session) error { fire(*armed); return nil }
		},
		"TTLFunc": func(c *sess.Config, armed *bool) {
			c.TTLFunc = func(sess.Session) time.Duration { fire(*armed); return time.Hour }
		},
		"the hook Saved":      func(c *sess.Config, armed *bool) { c.Hooks.Saved = func(sess.Event) { fire(*armed) } },
		"the hook Dropped":    func(c *sess.Config, armed *bool) { c.Hooks.Dropped = func(sess.Event) { fire(*armed) } },
		"Transport.Write":     func(c *sess.Config, armed *bool) { c.Transport = brittle{} },
		"the function Update": func(*sess.Config, *bool) {},
	} {
		t.Run(name, func(t *testing.T) {
			var armed bool
			var kept sess.Session
			config := sess.Config{Store: sess.NewMemoryStore(), Keys: sess.Keys(clientKey)}
			arm(&config, &armed)
			app := fiber.New(fiber.Config{DisableStartupMessage: true})
			app.Use(func(c *fiber.Ctx) (err error) {
				defer func() {
					if r := recover(); r != nil {
						err = fmt.Errorf("recovered: %v", r)
					}
				}()
				return c.Next()
			})
			app.Mount("/", routed(config, routes{
				"act": func(_ *fiber.Ctx, s sess.Session) error {
					kept = s
					sess.Update(s, "n", func(n int, _ bool) int {
						fire(armed && name == "the function Update")
						return n + 1
					})
					return nil
				},
			}))
			c := newClient(app)
			c.get("/login")
			armed = true
			var ctx fasthttp.RequestCtx
			within(t, "the request", func() { c.send(&ctx, "/act") })
			if name == "the hook Dropped" {
				sess.Set(kept, "late", true) // never saved
			}
			within(t, "its reset", func() {
				defer func() { _ = recover() }()
				ctx.ResetUserValues()
			})
			armed = false
			within(t, "a handle of it", func() {
				if err := kept.Err(); kept != (sess.Session{}) && !errors.Is(err, sess.ErrReleased) {
					t.Errorf("a handle whose request is over: got %v, want ErrReleased", err)
				}
			})
			if name != "Transport.Write" {
				within(t, "the next request", func() { wantReply(t, "the next request", c.get("/user"), 200, "ann") })
			}
		})
	}
}

// fire panics if armed.
func fire(armed bool) bool {
	if armed {
		panic("on purpose")
	}
	return false
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
			func() {
				defer func() { _ = recover() }()
				s.Has("user")
			}()
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
