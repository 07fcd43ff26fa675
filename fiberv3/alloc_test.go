//go:build !race

package sess_test

import (
	"bufio"
	"strings"
	"testing"

	fiber2 "github.com/gofiber/fiber/v2"
	fiber3 "github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	core "github.com/fibersess/sess"
	sess "github.com/fibersess/sess/fiberv3"
)

// What a request costs in allocations, exactly, through a whole app, and the same under both versions of Fiber. The race
// detector allocates by itself, so this runs without it.
func TestAllocationsOfARequest(t *testing.T) {
	act := map[string]func(s sess.Session){
		"untouched": func(sess.Session) {},
		"two values read": func(s sess.Session) {
			user, _ := sess.Get[string](s, "user")
			if n, ok := sess.Get[int](s, "count"); !ok || user == "" {
				t.Errorf("the session: got %q and %d, want what was stored", user, n)
			}
		},
		"one value written": func(s sess.Session) {
			n, _ := sess.Get[int](s, "count")
			sess.Set(s, "count", n+1)
		},
		"created": func(s sess.Session) { sess.Set(s, "user", "ann@shop.test") },
	}
	for _, f := range []struct {
		name string
		open func(m *core.Manager, do func(s sess.Session)) fasthttp.RequestHandler
		more float64
	}{
		{"Fiber v2", func(m *core.Manager, do func(s sess.Session)) fasthttp.RequestHandler {
			app := fiber2.New()
			app.Use(m.Handle)
			app.Get("/", func(c *fiber2.Ctx) error { do(core.From(c)); return nil })
			return app.Handler()
		}, 0},
		{"Fiber v3", func(m *core.Manager, do func(s sess.Session)) fasthttp.RequestHandler {
			return allocationsV3(fiber3.New(), m, do)
		}, 0},
		{"Fiber v3 with a context of its own", func(m *core.Manager, do func(s sess.Session)) fasthttp.RequestHandler {
			return allocationsV3(fiber3.NewWithCustomCtx(func(app *fiber3.App) fiber3.CustomCtx {
				return &ownCtx{DefaultCtx: *fiber3.NewDefaultCtx(app)}
			}), m, do)
		}, 1},
	} {
		for _, c := range []struct {
			name  string
			known bool // the request presents a session
			want  float64
		}{
			{"untouched", false, 0},
			{"untouched", true, 0},
			{"two values read", true, 0},
			{"one value written", true, 2},
			{"created", false, 3},
		} {
			m := newManager(t, sess.Config{})
			cookies := ""
			if c.known {
				cookies = sessionOf(f.open(m, func(s sess.Session) {
					sess.Set(s, "user", "ann@shop.test")
					sess.Set(s, "count", 0)
				}))
			}
			serve := f.open(m, act[c.name])
			var ctx fasthttp.RequestCtx
			ctx.Init(&fasthttp.Request{}, nil, nil)
			wire := "GET / HTTP/1.1\r\nHost: shop.test\r\n"
			if cookies != "" {
				wire += "Cookie: " + cookies + "\r\n"
			}
			if err := ctx.Request.Header.Read(bufio.NewReader(strings.NewReader(wire + "\r\n"))); err != nil {
				t.Fatal(err)
			}
			got := testing.AllocsPerRun(1000, func() {
				serve(&ctx)
				ctx.ResetUserValues()
				ctx.Response.Reset()
			})
			if got != c.want+f.more {
				t.Errorf("%s, %s, a session presented %v: got %v allocations, want %v", f.name, c.name, c.known, got, c.want+f.more)
			}
		}
	}
}

// sessionOf returns the Cookie header of the session that serve begins. It needs no network, whose goroutines would allocate
// beside what is measured.
func sessionOf(serve fasthttp.RequestHandler) string {
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	serve(&ctx)
	var pairs []string
	for _, line := range ctx.Response.Header.Cookies() {
		pair, _, _ := strings.Cut(string(line), ";")
		pairs = append(pairs, pair)
	}
	ctx.ResetUserValues()
	return strings.Join(pairs, "; ")
}

func allocationsV3(app *fiber3.App, m *core.Manager, do func(s sess.Session)) fasthttp.RequestHandler {
	app.Use((&sess.Manager{Manager: m}).Handle)
	app.Get("/", func(c fiber3.Ctx) error { do(sess.From(c)); return nil })
	return app.Handler()
}
