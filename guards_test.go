package sess_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// sessionless are applications in whose requests there is no session, each with what it hands to the handler.
func sessionless(t *testing.T, errorHandler fiber.ErrorHandler) map[string]*fiber.App {
	t.Helper()
	apps := map[string]*fiber.App{}
	for name, config := range map[string]*sess.Config{
		"no middleware":       nil,
		"outside of the Path": {Cookie: sess.Cookie{Path: "/app"}},
		"Next says so":        {Next: func(*fasthttp.RequestCtx) bool { return true }},
	} {
		apps[name] = fiber.New(fiber.Config{DisableStartupMessage: true, ErrorHandler: errorHandler})
		if config != nil {
			apps[name].Use(sess.New(*config))
		}
	}
	return apps
}

// A guard that lets a request through because it finds no session to look at guards nothing.
func TestAGuardRefusesARequestWithoutASessionMiddleware(t *testing.T) {
	var got error
	for name, app := range sessionless(t, func(c *fiber.Ctx, err error) error {
		got = err
		return fiber.DefaultErrorHandler(c, err)
	}) {
		entered := false
		in := func(*fiber.Ctx) error { entered = true; return nil }
		app.Get("/strict", sess.Strict, in)
		app.Get("/users", sess.RequireLogin(0), in)
		for _, path := range []string{"/strict", "/users"} {
			got = nil
			r := newBrowser(t, app.Handler()).get(path)
			if r.status != 500 || r.body != "Internal Server Error" || entered || !errors.Is(got, sess.ErrReleased) {
				t.Errorf("%s, %s: got %d %q, entered %v, the error %+v; want 500 Internal Server Error, not entered, ErrReleased",
					name, path, r.status, r.body, entered, got)
			}
		}
	}
}

func TestAGuardOfPlainFasthttpRefusesARequestThatIsNotWrapped(t *testing.T) {
	m, err := sess.NewManager(sess.Config{})
	if err != nil {
		t.Fatal(err)
	}
	entered := false
	guarded := m.RequireLogin(0, func(*fasthttp.RequestCtx) { entered = true })
	var ctx fasthttp.RequestCtx
	guarded(&ctx)
	if got := ctx.Response.StatusCode(); got != 500 || entered {
		t.Errorf("RequireLogin outside of Wrap: got %d, entered %v; want 500, not entered", got, entered)
	}
	if err := sess.RunStrict(&ctx, func() error { entered = true; return nil }); !errors.Is(err, sess.ErrReleased) || entered {
		t.Errorf("RunStrict outside of Wrap: got %+v, entered %v; want ErrReleased, not entered", err, entered)
	}
}

// Reads find nothing and writes do nothing; whatever returns an error says why, and Err does where there is none to return.
func TestASessionOfNoMiddlewareSaysSo(t *testing.T) {
	for name, app := range sessionless(t, nil) {
		app.Get("/", func(c *fiber.Ctx) error {
			s := sess.From(c)
			sess.AddFlash(s, "lost")
			_, flashes := sess.Flashes[string](s)
			_, _, take := sess.Take[string](s, "k")
			for what, err := range map[string]error{
				"Flashes": flashes, "Take": take, "Err": s.Err(), "Save": s.Save(), "Refresh": s.Refresh(), "Remember": s.Remember(time.Hour),
				"SetCookie": s.SetCookie(sess.Cookie{}), "CheckLogin": s.CheckLogin(0),
			} {
				if !errors.Is(err, sess.ErrReleased) {
					t.Errorf("%s: %s: got %+v, want ErrReleased", name, what, err)
				}
			}
			return nil
		})
		newBrowser(t, app.Handler()).get("/")
	}
}

// What is stored in a session for the page behind Strict must not make that page an error when the session ends meanwhile.
func TestFlashesOfAnEndedSessionAreNone(t *testing.T) {
	store := sess.NewMemoryStore()
	app := routed(sess.Config{Store: store}, routes{"page": func(c *fiber.Ctx, s sess.Session) error {
		if err := store.Destroy(c.UserContext(), s.ID()); err != nil {
			return err
		}
		return sess.Strict(c)
	}})
	app.Get("/page", func(c *fiber.Ctx) error {
		got, err := sess.Flashes[string](sess.From(c))
		return c.SendString(fmt.Sprint(got, err))
	})
	c := newClient(app)
	c.get("/login")
	if r := c.get("/page"); r.status != 200 || r.body != "[] <nil>" {
		t.Errorf("got %d %q, want 200 and no messages", r.status, r.body)
	}
}

func TestFlashesOfASessionThatCannotBeReadSaySo(t *testing.T) {
	store := newSpyStore()
	refused := errors.New("connection refused")
	app := routed(sess.Config{Store: store, Defer: true}, routes{"page": func(c *fiber.Ctx, s sess.Session) error {
		if _, err := sess.Flashes[string](s); !errors.Is(err, refused) {
			t.Errorf("got %v, want the store's error: whether there are messages is not known", err)
		}
		return nil
	}})
	c := newClient(app)
	c.get("/login")
	store.ask(func(context.Context, string, sess.ID) error { return refused })
	c.get("/page")
}

// The log has one line for a From that finds no middleware, and one for what is lost or refused for want of a session,
// however often that happens. Each case is a process of its own.
func TestTheLogSaysOncePerProcessThatThereIsNoSession(t *testing.T) {
	const (
		from = "sess: From found no session middleware in this request"
		lost = "sess: a write was dropped or a guarded request refused, for want of a session"
	)
	cases := map[string]struct {
		app     string
		handler fiber.Handler
		want    map[string]int
	}{
		"read":          {"no middleware", func(c *fiber.Ctx) error { sess.From(c).Has("k"); return nil }, map[string]int{from: 1, lost: 0}},
		"write":         {"no middleware", func(c *fiber.Ctx) error { sess.AddFlash(sess.From(c), 1); return nil }, map[string]int{from: 1, lost: 1}},
		"guard":         {"no middleware", sess.Strict, map[string]int{from: 1, lost: 1}},
		"outside read":  {"outside of the Path", func(c *fiber.Ctx) error { sess.From(c).Has("k"); return nil }, map[string]int{from: 0, lost: 0}},
		"outside write": {"outside of the Path", func(c *fiber.Ctx) error { sess.Set(sess.From(c), "k", 1); return nil }, map[string]int{from: 0, lost: 1}},
		"outside guard": {"outside of the Path", sess.RequireLogin(0), map[string]int{from: 0, lost: 1}},
	}
	if name := os.Getenv("SESS_TEST_CHILD"); name != "" {
		app := sessionless(t, nil)[cases[name].app]
		app.Get("/", cases[name].handler)
		for range 3 {
			newBrowser(t, app.Handler()).get("/")
		}
		return
	}
	for name, c := range cases {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), "SESS_TEST_CHILD="+name)
		out, err := child.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: got %v and\n%s", name, err, out)
		}
		for line, want := range c.want {
			if got := strings.Count(string(out), line); got != want {
				t.Errorf("%s: got %d lines %q in\n%s\nwant %d", name, got, line, out, want)
			}
		}
	}
}

func TestWhatRequireLoginRefusesIsToldApart(t *testing.T) {
	var got error
	app := fiber.New(fiber.Config{DisableStartupMessage: true, ErrorHandler: func(c *fiber.Ctx, err error) error {
		got = err
		return fiber.DefaultErrorHandler(c, err)
	}})
	app.Use(sess.New())
	app.Get("/in", func(c *fiber.Ctx) error { sess.From(c).Login("ann"); return nil })
	app.Get("/any", sess.RequireLogin(0), func(*fiber.Ctx) error { return nil })
	app.Get("/fresh", sess.RequireLogin(time.Nanosecond), func(*fiber.Ctx) error { return nil })
	app.Get("/bare", func(*fiber.Ctx) error { return sess.ErrLoginTooOld })
	b := newBrowser(t, app.Handler())
	want := func(path string, sentinel error, status int, body string, known *fiber.Error) {
		t.Helper()
		got = nil
		r := b.get(path)
		if r.status != status || r.body != body {
			t.Errorf("%s: got %d %q, want %d %q", path, r.status, r.body, status, body)
		}
		if fe, ok := errors.AsType[*fiber.Error](got); !errors.Is(got, sentinel) || !errors.Is(got, known) || !ok || fe.Code != status {
			t.Errorf("%s: got the error %+v, want %v, and Fiber's of %d", path, got, sentinel, status)
		}
		if other := map[error]error{sess.ErrLoginRequired: sess.ErrLoginTooOld, sess.ErrLoginTooOld: sess.ErrLoginRequired}[sentinel]; errors.Is(got, other) {
			t.Errorf("%s: got %v, want it not to be %v", path, got, other)
		}
	}
	want("/any", sess.ErrLoginRequired, 401, "Unauthorized", fiber.ErrUnauthorized)
	want("/bare", sess.ErrLoginTooOld, 403, "Forbidden", fiber.ErrForbidden)
	b.get("/in")
	time.Sleep(time.Millisecond)
	want("/fresh", sess.ErrLoginTooOld, 403, "Forbidden", fiber.ErrForbidden)
}

// Plain fasthttp has no ErrorHandler of a framework: it is the Config's that can answer with a page.
func TestOnPlainFasthttpTheErrorHandlerHearsOfWhatRequireLoginRefuses(t *testing.T) {
	var got error
	m, err := sess.NewManager(sess.Config{ErrorHandler: func(ctx *fasthttp.RequestCtx, err error) error {
		got = err
		if errors.Is(err, sess.ErrLoginRequired) {
			ctx.Redirect("/login", fasthttp.StatusSeeOther)
			return nil
		}
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, m.Wrap(func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/in" {
			m.FromRequest(ctx).Login("ann")
			return
		}
		m.RequireLogin(time.Nanosecond, func(*fasthttp.RequestCtx) { t.Error("got in, want a refusal") })(ctx)
	}))
	if r := b.get("/"); r.status != 303 || !errors.Is(got, sess.ErrLoginRequired) {
		t.Errorf("nobody: got %d and %+v, want 303 by the ErrorHandler, ErrLoginRequired", r.status, got)
	}
	b.get("/in")
	time.Sleep(time.Millisecond)
	if r := b.get("/"); r.status != 403 || r.body != "Forbidden" || !errors.Is(got, sess.ErrLoginTooOld) {
		t.Errorf("an old login: got %d %q and %+v, want 403 Forbidden, ErrLoginTooOld", r.status, r.body, got)
	}
}

// Who asks about a login where the session cannot be read must not be told that nobody is logged in.
func TestCheckLoginTellsAFailingStoreFromAVisitor(t *testing.T) {
	store := newSpyStore()
	app := routed(sess.Config{Store: store, Defer: true}, routes{"page": func(_ *fiber.Ctx, s sess.Session) error { return s.CheckLogin(0) }})
	c := newClient(app)
	c.get("/login")
	store.ask(func(context.Context, string, sess.ID) error { return errors.New("connection refused") })
	if r := c.get("/page"); r.status != 503 {
		t.Errorf("got %d, want 503", r.status)
	}
}

// A Remember whose error nobody reads leaves people logged out after a day, and nothing else would tell why.
func TestACallThatIsRefusedIsLoggedAlthoughItReturnsAnError(t *testing.T) {
	for op, call := range map[string]func(s sess.Session) error{
		"remember": func(s sess.Session) error { return s.Remember(31 * 24 * time.Hour) },
		"cookie":   func(s sess.Session) error { return s.SetCookie(sess.Cookie{Path: "no slash"}) },
	} {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		app := routed(sess.Config{Lifetime: 30 * 24 * time.Hour, Logger: logger}, routes{"call": func(_ *fiber.Ctx, s sess.Session) error {
			if err := call(s); err == nil {
				t.Errorf("%s: got no error, want one", op)
			}
			return nil
		}})
		newClient(app).get("/call")
		newClient(app).get("/call")
		if n := strings.Count(log.String(), "sess: a call was refused\" op="+op); n != 1 {
			t.Errorf("%s: got %d lines, want one in a second:\n%s", op, n, log.String())
		}
	}
}
