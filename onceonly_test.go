package sess_test

import (
	"bufio"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

func TestAWriteAfterTheSaveIsNeverLostInSilence(t *testing.T) {
	for _, where := range []string{"ErrorHandler", "deferred"} {
		for _, save := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, Save %v", where, save), func(t *testing.T) { writeLate(t, where, save) })
		}
	}
}

// writeLate writes to a session, in an ErrorHandler or a deferred function, after the middleware has saved it.
func writeLate(t *testing.T, where string, save bool) {
	late := func(c *fiber.Ctx) {
		s := sess.From(c)
		if user, ok := sess.Get[string](s, "user"); !ok || user != "ann" {
			t.Errorf("a read after the save: got %q, %v, want ann", user, ok)
		}
		sess.Set(s, "user", "late")
		if err := s.Err(); !errors.Is(err, sess.ErrCommitted) {
			t.Errorf("Err after a write after the save: got %v, want ErrCommitted", err)
		}
		if !save {
			return
		}
		if err := s.Save(); err != nil {
			t.Errorf("Save after the save: got %v, want nil", err)
		}
	}
	var dropped []sess.Event
	config := sess.Config{Store: newSpyStore(), Keys: sess.Keys(clientKey)}
	config.Hooks.Dropped = func(e sess.Event) { dropped = append(dropped, e) }
	app := fiber.New(fiber.Config{ErrorHandler: func(c *fiber.Ctx, _ error) error {
		if where == "ErrorHandler" {
			late(c)
		}
		return c.SendStatus(418)
	}})
	app.Use(func(c *fiber.Ctx) error {
		if where == "deferred" && c.Path() == "/act" {
			defer late(c)
		}
		return c.Next()
	})
	app.Mount("/", routed(config, routes{
		"act": func(*fiber.Ctx, sess.Session) error { return errors.New("on purpose") },
	}))
	c := newClient(app)
	c.get("/login")
	if r := c.get("/act"); r.status != 418 {
		t.Errorf("status: got %d, want the ErrorHandler's 418", r.status)
	}
	want, drops := "ann", 1
	if save {
		want, drops = "late", 0
	}
	wantReply(t, "the session afterwards", c.get("/user"), 200, want)
	if len(dropped) != drops || drops == 1 && dropped[0].Reason != sess.ReasonCommitted {
		t.Errorf("changes told to be dropped: got %v, want %d with the reason committed", dropped, drops)
	}
}

func TestAWriteFromABodyStreamIsNeverLostInSilence(t *testing.T) {
	for _, save := range []bool{false, true} {
		t.Run(fmt.Sprintf("Save %v", save), func(t *testing.T) {
			dropped := make(chan sess.Event, 1)
			committed, written := make(chan struct{}), make(chan struct{})
			config := sess.Config{Store: newSpyStore(), Keys: sess.Keys(clientKey)}
			config.Hooks.Dropped = func(e sess.Event) { dropped <- e }
			stream := func(s sess.Session) {
				defer close(written)
				<-committed
				sess.Set(s, "user", "late")
				if err := s.Err(); !errors.Is(err, sess.ErrCommitted) {
					t.Errorf("Err after a write from the stream: got %v, want ErrCommitted", err)
				}
				if save {
					if err := s.Save(); err != nil {
						t.Errorf("Save from the stream: got %v, want nil", err)
					}
				}
			}
			app := fiber.New(fiber.Config{DisableStartupMessage: true})
			app.Use("/stream", func(c *fiber.Ctx) error {
				defer close(committed)
				return c.Next()
			})
			app.Mount("/", routed(config, routes{
				"stream": func(c *fiber.Ctx, s sess.Session) error {
					c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
						stream(s)
						_, _ = w.WriteString("streamed")
					})
					return nil
				},
			}))
			base := serveApp(t, app)
			browser := newHTTPClient(t)
			fetch(t, browser, base+"/login")
			wantReply(t, "the stream", fetch(t, browser, base+"/stream"), 200, "streamed")
			<-written
			want := "ann"
			if save {
				want = "late"
			}
			wantReply(t, "the session afterwards", fetch(t, browser, base+"/user"), 200, want)
			if save {
				return
			}
			if e := <-dropped; e.Reason != sess.ReasonCommitted {
				t.Errorf("reason of the dropped change: got %q, want %q", e.Reason, sess.ReasonCommitted)
			}
		})
	}
}

func TestANewSessionCannotBeSavedAfterTheResponseIsDecided(t *testing.T) {
	app := fiber.New()
	store := newSpyStore()
	app.Use(func(c *fiber.Ctx) error {
		defer func() {
			s := sess.From(c)
			sess.Set(s, "user", "late")
			if err := s.Save(); !errors.Is(err, sess.ErrCommitted) {
				t.Errorf("Save of a new session after the response: got %v, want ErrCommitted", err)
			}
		}()
		return c.Next()
	})
	app.Mount("/", routed(sess.Config{Store: store}, nil))
	wantNoCookie(t, "a request that wrote too late", newClient(app).get("/user"))
	if n := store.count(); n != 0 {
		t.Errorf("store calls: got %d, want 0", n)
	}
}

// up counts in the session, and answers with the count.
func up(c *fiber.Ctx) error {
	s := sess.From(c)
	sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
	n, _ := sess.Get[int](s, "n")
	return c.SendString(fmt.Sprint(n))
}

func TestARequestThatPassesUsTwiceLoadsAndSavesOnce(t *testing.T) {
	for how, build := range map[string]func(mw fiber.Handler) *fiber.App{
		"registered twice": func(mw fiber.Handler) *fiber.App {
			app := fiber.New()
			app.Use(mw, mw)
			app.Use(mw)
			app.Get("/up", mw, up)
			return app
		},
		"a mounted app": func(mw fiber.Handler) *fiber.App {
			app, sub := fiber.New(), fiber.New()
			app.Use(mw)
			sub.Use(mw)
			sub.Get("/up", up)
			app.Mount("/", sub)
			return app
		},
		"a restarted routing": func(mw fiber.Handler) *fiber.App {
			app := fiber.New()
			app.Use(mw)
			app.Get("/up", func(c *fiber.Ctx) error {
				sess.Set(sess.From(c), "before", true)
				c.Path("/again")
				return c.RestartRouting()
			})
			app.Get("/again", up)
			return app
		},
	} {
		t.Run(how, func(t *testing.T) {
			store := newSpyStore()
			c := newClient(build(sess.New(sess.Config{Store: store, Keys: sess.Keys(clientKey)})))
			for n, calls := range []struct{ gets, swaps, lines int }{{0, 1, 2}, {1, 1, 2}, {1, 1, 2}} {
				r := c.get("/up")
				wantReply(t, "the count", r, 200, fmt.Sprint(n+1))
				if len(r.setCookie) != calls.lines {
					t.Errorf("request %d: got %d Set-Cookie lines, want %d", n, len(r.setCookie), calls.lines)
				}
				gets := store.calls["get"]
				if all := store.count(); gets != calls.gets || all-gets != calls.swaps {
					t.Errorf("request %d: got %d loads and %d saves, want %d and %d", n, gets, all-gets, calls.gets, calls.swaps)
				}
			}
		})
	}
}

func TestTwoManagersInOneAppAreIndependent(t *testing.T) {
	manager := func(name string) *sess.Manager {
		m, err := sess.NewManager(sess.Config{Cookie: sess.Cookie{Name: name}})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	shop, admin := manager("shop"), manager("admin")
	app := fiber.New()
	app.Use(shop.Handle, admin.Handle)
	app.Get("/set", func(c *fiber.Ctx) error {
		sess.Set(shop.From(c), "who", "customer")
		sess.Set(admin.From(c), "who", "boss")
		return nil
	})
	app.Get("/leave", func(c *fiber.Ctx) error {
		admin.From(c).Destroy()
		return nil
	})
	app.Get("/who", func(c *fiber.Ctx) error {
		customer, _ := sess.Get[string](shop.From(c), "who")
		boss, _ := sess.Get[string](admin.From(c), "who")
		innermost, _ := sess.Get[string](sess.From(c), "who")
		return c.SendString(customer + " " + boss + " " + innermost)
	})
	c := newClient(app)
	if r := c.get("/set"); len(r.setCookie) != 4 {
		t.Errorf("two new sessions: got %d Set-Cookie lines, want 4", len(r.setCookie))
	}
	wantReply(t, "both sessions", c.get("/who"), 200, "customer boss boss")
	c.get("/leave")
	wantReply(t, "one after the other's end", c.get("/who"), 200, "customer  ")
}

func TestALateSaveTakesWhatBeforeSaveWrites(t *testing.T) {
	var kept sess.Session
	config := sess.Config{BeforeSave: func(_ *fasthttp.RequestCtx, s sess.Session) error {
		sess.Update(s, "saves", func(n int, _ bool) int { return n + 1 })
		return nil
	}}
	app := routed(config, routes{
		"keep": func(_ *fiber.Ctx, s sess.Session) error {
			kept = s
			s.Has("user")
			return nil
		},
		"saves": func(c *fiber.Ctx, s sess.Session) error {
			n, _ := sess.Get[int](s, "saves")
			return c.SendString(fmt.Sprint(n))
		},
	})
	c := newClient(app)
	c.get("/login")
	var ctx fasthttp.RequestCtx
	c.send(&ctx, "/keep")
	sess.Set(kept, "user", "late")
	if err := kept.Save(); err != nil {
		t.Errorf("Save after the response was decided: got %v, want nil", err)
	}
	sess.Set(kept, "user", "later")
	if err := kept.Err(); !errors.Is(err, sess.ErrCommitted) {
		t.Errorf("Err after the next write: got %v, want ErrCommitted", err)
	}
	ctx.ResetUserValues()
	wantReply(t, "what was saved late", c.get("/user"), 200, "late")
	wantReply(t, "saves", c.get("/saves"), 200, "2")
}

// TestASaveUnderAResetSaysThatItDidNothing resets the request while the save's BeforeSave runs.
func TestASaveUnderAResetSaysThatItDidNothing(t *testing.T) {
	var kept sess.Session
	var held *pause
	var dropped []sess.Event
	config := sess.Config{BeforeSave: func(*fasthttp.RequestCtx, sess.Session) error {
		if held != nil {
			held.wait()
		}
		return nil
	}}
	config.Hooks.Dropped = func(e sess.Event) { dropped = append(dropped, e) }
	app := routed(config, routes{
		"keep": func(_ *fiber.Ctx, s sess.Session) error {
			kept = s
			s.Has("user")
			return nil
		},
	})
	c := newClient(app)
	c.get("/login")
	var ctx fasthttp.RequestCtx
	c.send(&ctx, "/keep")
	held = newPause()
	saved, reset := make(chan error), make(chan struct{})
	go func() {
		sess.Set(kept, "user", "late")
		saved <- kept.Save()
	}()
	<-held.reached
	go func() {
		defer close(reset)
		ctx.ResetUserValues()
	}()
	for !waiting("guard.(*Guard).Close", "sync.(*Cond).Wait") {
		runtime.Gosched()
	}
	close(held.proceed)
	if err := <-saved; !errors.Is(err, sess.ErrReleased) {
		t.Errorf("Save of a request that was reset meanwhile: got %v, want ErrReleased", err)
	}
	<-reset
	held = nil
	if len(dropped) != 1 || dropped[0].Reason != sess.ReasonOrphaned {
		t.Errorf("told to be dropped: got %v, want one with the reason orphaned", dropped)
	}
	wantReply(t, "the session afterwards", c.get("/user"), 200, "ann")
}

// TestAWriteThroughADeadHandleIsTold: once for each write, and not for what only reads.
func TestAWriteThroughADeadHandleIsTold(t *testing.T) {
	var kept sess.Session
	var dropped []sess.Event
	config := sess.Config{}
	config.Hooks.Dropped = func(e sess.Event) { dropped = append(dropped, e) }
	app := routed(config, routes{
		"keep": func(_ *fiber.Ctx, s sess.Session) error {
			kept = s
			return nil
		},
	})
	newClient(app).get("/keep")
	for name, use := range map[string]struct {
		drops int
		act   func(s sess.Session)
	}{
		"Set":        {1, func(s sess.Session) { sess.Set(s, "n", 1) }},
		"Update":     {1, func(s sess.Session) { sess.Update(s, "n", func(n int, _ bool) int { return n }) }},
		"Delete":     {1, func(s sess.Session) { s.Delete("n") }},
		"Clear":      {1, sess.Session.Clear},
		"ForceSave":  {1, sess.Session.ForceSave},
		"Regenerate": {1, sess.Session.Regenerate},
		"Destroy":    {1, sess.Session.Destroy},
		"SetCookie":  {1, func(s sess.Session) { _ = s.SetCookie(sess.Cookie{}) }},
		"Discard":    {0, sess.Session.Discard},
		"Get":        {0, func(s sess.Session) { sess.Get[int](s, "n") }},
		"Keys":       {0, func(s sess.Session) { s.Keys() }},
		"Save":       {0, func(s sess.Session) { _ = s.Save() }},
	} {
		dropped = nil
		use.act(kept)
		if len(dropped) != use.drops || use.drops == 1 && (dropped[0].Reason != sess.ReasonReleased || !dropped[0].ID.IsZero()) {
			t.Errorf("%s: told to be dropped: got %v, want %d with the reason released", name, dropped, use.drops)
		}
		use.act(sess.Session{}) // which has nobody to tell
	}
}
