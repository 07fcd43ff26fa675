//go:build !race

package sess_test

import (
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// What a request costs in allocations, exactly, through a whole Fiber app. The race detector allocates by itself, so
// these run without it.

// tenKeys is a session of ten keys, of which "user" and "count" are read.
func tenKeys(s sess.Session) {
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		sess.Set(s, key, "some text of a usual length")
	}
	sess.Set(s, "user", "ann@shop.test")
	sess.Set(s, "count", 0)
}

// replay is one request, served again and again on one RequestCtx as a keep-alive connection does.
type replay struct {
	ctx   fasthttp.RequestCtx
	serve fasthttp.RequestHandler
}

// newReplay makes a request with the cookies given, and serves it once to warm the pools.
func newReplay(app *fiber.App, cookies string) *replay {
	r := &replay{serve: app.Handler()}
	var req fasthttp.Request
	req.SetRequestURI("/")
	req.Header.SetHost("shop.test")
	if cookies != "" {
		req.Header.Set("Cookie", cookies)
	}
	r.ctx.Init(&req, nil, nil)
	r.run()
	return r
}

func (r *replay) run() {
	r.serve(&r.ctx)
	r.ctx.ResetUserValues()
	r.ctx.Response.Reset()
}

// newReplaySite is an app whose handler is do behind a manager; the cookies are those of a session of ten keys.
func newReplaySite(t testing.TB, do fiber.Handler) (app *fiber.App, m *sess.Manager, cookies string) {
	t.Helper()
	m, err := sess.NewManager(sess.Config{Store: sess.NewMemoryStore(), Keys: sess.Keys(testKey)})
	if err != nil {
		t.Fatal(err)
	}
	app = fiber.New()
	app.Use(m.Handle)
	app.Get("/fill", func(c *fiber.Ctx) error { tenKeys(sess.From(c)); return nil })
	app.Get("/", do)
	b := newBrowser(t, app.Handler())
	b.get("/fill").wantCookies(t, "filled")
	return app, m, "koa.sid=" + b.id() + "; koa.sid.sig=" + b.cookies["koa.sid.sig"]
}

func untouched(c *fiber.Ctx) error { return c.SendString("hello") }

func readTwo(c *fiber.Ctx) error {
	s := sess.From(c)
	user, ok := sess.Get[string](s, "user")
	_, counted := sess.Get[int](s, "count")
	if !ok || !counted {
		return fiber.ErrInternalServerError
	}
	return c.SendString(user)
}

func countUp(c *fiber.Ctx) error {
	s := sess.From(c)
	n, _ := sess.Get[int](s, "count")
	sess.Set(s, "count", n+1)
	return c.SendString("counted")
}

func create(c *fiber.Ctx) error {
	sess.Set(sess.From(c), "user", "ann@shop.test")
	return c.SendString("created")
}

func TestAllocationsOfARequest(t *testing.T) {
	const runs = 1000
	for _, c := range []struct {
		name          string
		do            fiber.Handler
		known         bool // the request carries the cookies of the session
		want          float64
		loaded, saved uint64 // by each request
		created       uint64
	}{
		{name: "untouched, without a cookie", do: untouched},
		{name: "untouched, of an existing session", do: untouched, known: true, loaded: 1},
		{name: "two values read", do: readTwo, known: true, loaded: 1},
		// The record and its bytes.
		{name: "one value written", do: countUp, known: true, want: 2, loaded: 1, saved: 1},
		// The record, its bytes, the memory store's entry, and its share of the table's growth.
		{name: "created", do: create, want: 4, created: 1},
	} {
		app, m, cookies := newReplaySite(t, c.do)
		if !c.known {
			cookies = ""
		}
		r := newReplay(app, cookies)
		before := m.Stats()
		if got := testing.AllocsPerRun(runs, r.run); got != c.want {
			t.Errorf("%s: got %v allocations, want %v", c.name, got, c.want)
		}
		after := m.Stats()
		const calls = runs + 1 // AllocsPerRun warms up with one
		if got, want := after.Loaded-before.Loaded, c.loaded*calls; got != want {
			t.Errorf("%s: got %d loads, want %d", c.name, got, want)
		}
		if got, want := after.Saved-before.Saved, c.saved*calls; got != want {
			t.Errorf("%s: got %d saves, want %d", c.name, got, want)
		}
		if got, want := after.Created-before.Created, c.created*calls; got != want {
			t.Errorf("%s: got %d records made, want %d", c.name, got, want)
		}
	}
}
