package sess_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/timeout"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// misuse does everything with a handle that a program can, and reports what reached anything.
func misuse(s sess.Session) (reached string) {
	if user, ok := sess.Get[string](s, "user"); ok {
		reached += " Get:" + user
	}
	sess.Set(s, "user", "crossing")
	sess.Update(s, "user", func(string, bool) string { return "crossing" })
	s.Delete("user")
	s.Clear()
	s.ForceSave()
	s.Discard()
	s.Regenerate()
	s.Destroy()
	if err := s.SetCookie(sess.Cookie{MaxAge: time.Minute}); !errors.Is(err, sess.ErrReleased) {
		reached += " SetCookie"
	}
	if !s.ID().IsZero() || s.Exists() || s.Has("user") || len(s.Keys()) > 0 || !s.Created().IsZero() {
		reached += " read"
	}
	if _, ok, err := sess.Take[string](s, "user"); ok || !errors.Is(err, sess.ErrReleased) {
		reached += " Take"
	}
	for _, err := range []error{s.Save(), s.Refresh(), s.Err()} {
		if !errors.Is(err, sess.ErrReleased) {
			reached += fmt.Sprintf(" %v", err)
		}
	}
	return reached
}

// wantInert checks that misuse of a handle reaches nothing.
func wantInert(t *testing.T, what string, s sess.Session) {
	t.Helper()
	if reached := misuse(s); reached != "" {
		t.Errorf("%s: got%s, want ErrReleased and nothing else", what, reached)
	}
}

// keeper is an app with the route /keep, whose handler keeps its handle, and /misuse, whose handler uses what was kept.
func keeper(t *testing.T, config sess.Config) (app *fiber.App, kept *sess.Session) {
	kept = new(sess.Session)
	return routed(config, routes{
		"keep": func(_ *fiber.Ctx, s sess.Session) error {
			*kept = s
			return nil
		},
		"misuse": func(c *fiber.Ctx, s sess.Session) error {
			wantInert(t, "the handle of the request before", *kept)
			user, _ := sess.Get[string](s, "user")
			return c.SendString(user)
		},
	}), kept
}

func TestAHandleIsInertWhenItsRequestIsOver(t *testing.T) {
	for range 20 { // Under -race a pool gives a state back only sometimes.
		app, kept := keeper(t, sess.Config{})
		ann, bob := newClient(app), newClient(app)
		ann.get("/login?user=ann")
		bob.get("/login?user=bob")
		ann.get("/keep")
		wantInert(t, "a handle after its request", *kept)
		r := bob.get("/misuse")
		wantReply(t, "another user's request", r, 200, "bob")
		wantNoCookie(t, "another user's request", r)
		done := make(chan struct{})
		go func() {
			defer close(done)
			wantInert(t, "a handle in a goroutine", *kept)
		}()
		<-done
		wantReply(t, "the first user", ann.get("/user"), 200, "ann")
		wantReply(t, "the second user", bob.get("/user"), 200, "bob")
	}
}

func TestAHandleIsInertInTheNextRequestOfItsConnection(t *testing.T) {
	app, _ := keeper(t, sess.Config{})
	base := serveApp(t, app)
	ann, bob := newHTTPClient(t), newHTTPClient(t)
	bob.Transport = ann.Transport // One connection.
	fetch(t, ann, base+"/login?user=ann")
	fetch(t, bob, base+"/login?user=bob")
	fetch(t, ann, base+"/keep")
	r := fetch(t, bob, base+"/misuse")
	wantReply(t, "the next request of the connection", r, 200, "bob")
	wantNoCookie(t, "the next request of the connection", r)
	wantReply(t, "the first user", fetch(t, ann, base+"/user"), 200, "ann")
	wantReply(t, "the second user", fetch(t, bob, base+"/user"), 200, "bob")
}

func TestATimedOutHandlerInsideOfUsReachesNobody(t *testing.T) {
	held, over := newPause(), make(chan struct{})
	app := routed(sess.Config{}, nil)
	app.Get("/slow", awaiting(held), timeout.New(func(c *fiber.Ctx) error {
		defer close(over)
		s := sess.From(c)
		held.wait()
		wantInert(t, "the handle of a timed-out handler", s)
		return nil
	}, 10*time.Millisecond))
	checkTimeout(t, app, held, over)
}

func TestATimedOutHandlerOutsideOfUsReachesNobody(t *testing.T) {
	held, over := newPause(), make(chan struct{})
	store := newSpyStore()
	m, err := sess.NewManager(sess.Config{Store: store, Keys: sess.Keys(clientKey)})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/slow", awaiting(held), timeout.New(func(c *fiber.Ctx) error {
		defer close(over)
		return m.Handle(c)
	}, 10*time.Millisecond), func(c *fiber.Ctx) error {
		s := sess.From(c)
		sess.Set(s, "user", "crossing")
		held.wait()
		s.Regenerate()
		return nil
	})
	app.Use(m.Handle)
	app.Get("/login", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "user", c.Query("user"))
		return nil
	})
	app.Get("/user", func(c *fiber.Ctx) error {
		user, _ := sess.Get[string](sess.From(c), "user")
		return c.SendString(user)
	})
	checkTimeout(t, app, held, over)
}

// What runs outside of Fiber's timeout goes on while our frame loads: its handle waits for the session.
func TestAHandleWaitsForTheLoadOfATimedOutRequest(t *testing.T) {
	held, over := newPause(), make(chan struct{})
	store := newSpyStore()
	m, err := sess.NewManager(sess.Config{Store: store, Keys: sess.Keys(clientKey), StoreTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	outer := func(c *fiber.Ctx) error {
		err := c.Next() // the timeout
		<-held.reached
		s := sess.From(c)
		time.AfterFunc(20*time.Millisecond, func() { close(held.proceed) })
		user, _ := sess.Get[string](s, "user")
		if user != "ann" || !s.Exists() {
			t.Errorf("a handle during the load: got the user %q, %v, want ann, true", user, s.Exists())
		}
		<-over
		return err
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/slow", outer, timeout.New(func(c *fiber.Ctx) error {
		defer close(over)
		return m.Handle(c)
	}, 10*time.Millisecond), func(*fiber.Ctx) error { return nil })
	app.Get("/login", m.Handle, func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "user", "ann")
		return nil
	})
	c := newClient(app)
	c.get("/login")
	store.ask(func(_ context.Context, call string, _ sess.ID) error {
		if call == "get" {
			held.wait()
		}
		return nil
	})
	c.get("/slow")
}

// awaiting keeps the request until held is reached: what a handler under Fiber's timeout does to its c before that would
// race with the request's end otherwise, whatever we do.
func awaiting(held *pause) fiber.Handler {
	return func(c *fiber.Ctx) error {
		defer func() { <-held.reached }()
		return c.Next()
	}
}

// checkTimeout lets ann's handler time out, and go on when bob has used the connection.
func checkTimeout(t *testing.T, app *fiber.App, held *pause, over chan struct{}) {
	t.Helper()
	base := serveApp(t, app)
	ann, bob := newHTTPClient(t), newHTTPClient(t)
	bob.Transport = ann.Transport
	fetch(t, ann, base+"/login?user=ann")
	fetch(t, bob, base+"/login?user=bob")
	r := fetch(t, ann, base+"/slow")
	if r.status != 408 {
		t.Errorf("a handler that takes too long: got %d, want 408", r.status)
	}
	<-held.reached
	wantReply(t, "the next request", fetch(t, bob, base+"/user"), 200, "bob")
	close(held.proceed)
	<-over
	wantReply(t, "the first user", fetch(t, ann, base+"/user"), 200, "ann")
	wantReply(t, "the second user", fetch(t, bob, base+"/user"), 200, "bob")
}

// TestARequestThatTimedOutInItsLoadGoesNoFurther: another request may own the *fiber.Ctx that
// Next would be called on.
func TestARequestThatTimedOutInItsLoadGoesNoFurther(t *testing.T) {
	for _, fails := range []bool{false, true} {
		store := newSpyStore()
		var ran, handled atomic.Int32
		app := fiber.New()
		app.Use(sess.New(sess.Config{Store: store, Keys: sess.Keys(clientKey), StoreTimeout: time.Minute,
			ErrorHandler: func(*fasthttp.RequestCtx, error) error { handled.Add(1); return nil }}))
		app.Get("/login", func(c *fiber.Ctx) error {
			sess.Set(sess.From(c), "user", "ann")
			return nil
		})
		app.Get("/act", func(*fiber.Ctx) error { ran.Add(1); return nil })
		c := newClient(app)
		c.get("/login")

		held := newPause()
		store.ask(func(context.Context, string, sess.ID) error {
			held.wait()
			if fails {
				return errStore
			}
			return nil
		})
		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI("/act")
		ctx.Request.Header.SetCookie("koa.sid", c.id())
		ctx.Request.Header.SetCookie("koa.sid.sig", signature(c.id()))
		over := make(chan struct{})
		go func() {
			defer close(over)
			c.handler(&ctx)
		}()
		<-held.reached
		reset := make(chan struct{})
		go func() {
			defer close(reset)
			ctx.ResetUserValues() // What the server does of a request that timed out.
		}()
		for !closing() {
			runtime.Gosched()
		}
		close(held.proceed)
		<-over
		<-reset
		if n := ran.Load(); n != 0 {
			t.Errorf("handlers run for a request that was reset: got %d, want 0", n)
		}
		if n := handled.Load(); n != 0 {
			t.Errorf("ErrorHandler calls for a request that was reset: got %d, want 0", n)
		}
	}
}

// closing reports whether a goroutine waits inside of a Close, for the lock that a load holds.
func closing() bool { return waiting("guard.(*Guard).Close", "sync.(*Mutex).Lock") }

// waiting reports whether a goroutine is inside of both functions.
func waiting(caller, callee string) bool {
	stacks := make([]byte, 1<<20)
	for _, stack := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(stack, caller) && strings.Contains(stack, callee) {
			return true
		}
	}
	return false
}

func TestABodyStreamReadsAndThenReachesNobody(t *testing.T) {
	kept := make(chan sess.Session, 1)
	app := routed(sess.Config{}, routes{
		"stream": func(c *fiber.Ctx, s sess.Session) error {
			c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
				user, _ := sess.Get[string](s, "user")
				_, _ = w.WriteString(strings.Repeat(user, 1000))
				_ = w.Flush()
				kept <- s
			})
			return nil
		},
	})
	base := serveApp(t, app)
	ann, bob := newHTTPClient(t), newHTTPClient(t)
	bob.Transport = ann.Transport
	fetch(t, ann, base+"/login?user=ann")
	fetch(t, bob, base+"/login?user=bob")
	wantReply(t, "a body stream", fetch(t, ann, base+"/stream"), 200, strings.Repeat("ann", 1000))
	s := <-kept
	wantReply(t, "the next request", fetch(t, bob, base+"/user"), 200, "bob")
	wantInert(t, "the handle of a stream that has ended", s)
	wantReply(t, "the first user", fetch(t, ann, base+"/user"), 200, "ann")
}

// TestNoRequestCrossesIntoAnother lets one request of a hundred keep its handle and use it while the states and
// contexts are in use by others. Every session is tagged with its user, and so is what an offender writes.
func TestNoRequestCrossesIntoAnother(t *testing.T) {
	requests := 1_000_000
	switch {
	case testing.Short():
		requests = 100_000
	case raceDetector: // The gate runs the million without it.
		requests = 250_000
	}
	const workers, users = 4, 32
	type offence struct {
		s    sess.Session
		user string
	}
	offences := make(chan offence, 64)
	app := routed(sess.Config{}, routes{
		"check": func(c *fiber.Ctx, s sess.Session) error {
			want := c.Get("X-User")
			if got, _ := sess.Get[string](s, "user"); got != want {
				t.Errorf("a request's session: got that of %q, want that of %q", got, want)
			}
			if mark, ok := sess.Get[string](s, "mark"); ok && mark != string([]byte(want)) {
				t.Errorf("a session of %q: got the mark of %q, want none", want, mark)
			}
			if c.Get("X-Offend") != "" {
				offences <- offence{s, strings.Clone(want)}
			}
			return nil
		},
	})
	home := newClient(app)
	sessions := make([]*client, users)
	for i := range sessions {
		sessions[i] = home.twin()
		sessions[i].get(fmt.Sprintf("/login?user=u%d", i))
	}

	var offenders, wg sync.WaitGroup
	for range 2 {
		offenders.Go(func() {
			for o := range offences {
				for range 20 {
					if got, ok := sess.Get[string](o.s, "user"); ok && got != o.user {
						t.Errorf("an offender of %q: got the session of %q", o.user, got)
					}
					sess.Set(o.s, "mark", o.user)
					_, _, _ = sess.Take[string](o.s, "nothing")
				}
			}
		})
	}
	for w := range workers {
		wg.Go(func() {
			var ctx fasthttp.RequestCtx // Used again and again, as a keep-alive connection does.
			for n := range requests / workers {
				user := (n*7 + w) % users
				ctx.Request.SetRequestURI("/check")
				ctx.Request.Header.Set("X-User", fmt.Sprintf("u%d", user))
				for name, value := range sessions[user].jar {
					ctx.Request.Header.SetCookie(name, value)
				}
				if n%100 == 0 {
					ctx.Request.Header.Set("X-Offend", "1")
				}
				home.handler(&ctx)
				if cookie := ctx.Response.Header.PeekCookie("koa.sid"); len(cookie) > 0 && !strings.Contains(string(cookie), sessions[user].id()) {
					t.Errorf("the response to u%d: got the cookie of another session", user)
				}
				ctx.Response.Reset()
				if n%3 != 0 { // A context used again without this is the past's, and must not matter.
					ctx.ResetUserValues()
				}
				ctx.Request.Reset()
			}
		})
	}
	wg.Wait()
	close(offences)
	offenders.Wait()
	for i, c := range sessions {
		wantReply(t, "a session at the end", c.get("/user"), 200, fmt.Sprintf("u%d", i))
	}
}

// TestAStateIsGivenBackOnce: of what is given back twice two requests would get one each, and share a session.
func TestAStateIsGivenBackOnce(t *testing.T) {
	for _, path := range []string{"/untouched", "/user"} {
		var bob *client
		app := routed(sess.Config{}, routes{
			"untouched": func(*fiber.Ctx, sess.Session) error { return nil },
			"around": func(c *fiber.Ctx, s sess.Session) error {
				wantReply(t, path+": a request within another", bob.get("/user"), 200, "bob")
				user, _ := sess.Get[string](s, "user")
				return c.SendString(user)
			},
		})
		ann := newClient(app)
		bob = ann.twin()
		ann.get("/login?user=ann")
		bob.get("/login?user=bob")

		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI(path)
		ann.handler(&ctx)
		var closers []io.Closer
		ctx.VisitUserValuesAll(func(_, value any) {
			if c, ok := value.(io.Closer); ok {
				closers = append(closers, c)
			}
		})
		if len(closers) != 1 {
			t.Fatalf("%s: got %d values to close, want ours", path, len(closers))
		}
		ctx.ResetUserValues()
		for range 3 {
			_ = closers[0].Close()
		}
		wantReply(t, path+": a request around another", ann.get("/around"), 200, "ann")
	}
}

// TestASecondCloseReachesNoOuterState: the inner frame runs late, and what its state was nested in is another request's.
func TestASecondCloseReachesNoOuterState(t *testing.T) {
	manager := func(name string) *sess.Manager {
		m, err := sess.NewManager(sess.Config{Keys: sess.Keys(clientKey), Cookie: sess.Cookie{Name: name}})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	outer, inner := manager("outer"), manager("inner")
	for range 20 { // Under -race a pool gives a state back only sometimes.
		held, over := newPause(), make(chan struct{})
		var closer io.Closer
		var one, two fasthttp.RequestCtx
		outer.Wrap(func(ctx *fasthttp.RequestCtx) {
			go func() {
				defer close(over)
				inner.Wrap(func(ctx *fasthttp.RequestCtx) {
					ctx.VisitUserValuesAll(func(_, value any) { closer, _ = value.(io.Closer) })
					held.wait()
				})(ctx)
			}()
			<-held.reached
		})(&one)
		one.ResetUserValues()
		outer.Wrap(func(ctx *fasthttp.RequestCtx) {
			s := outer.FromRequest(ctx)
			sess.Set(s, "user", "two")
			_ = closer.Close()
			if err := s.Save(); err != nil {
				t.Errorf("Save of the next request: got %v, want nil", err)
			}
		})(&two)
		if len(two.Response.Header.PeekCookie("outer")) == 0 {
			t.Error("the next request: got no cookie")
		}
		two.ResetUserValues()
		close(held.proceed)
		<-over
	}
}
