package sess_test

import (
	"bufio"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// What a session costs over the same app without one, each through a whole Fiber app: read the differences to "bare".
func BenchmarkRequest(b *testing.B) {
	bare := func(cookies string) func(b *testing.B) {
		return func(b *testing.B) {
			app := fiber.New()
			app.Use(func(c *fiber.Ctx) error { return c.Next() })
			app.Get("/", untouched)
			run(b, newReplay(b, app, cookies))
		}
	}
	with := func(do fiber.Handler, cookies string, known bool) func(b *testing.B) {
		return func(b *testing.B) {
			app, _, own := newReplaySite(b, do, sess.NewMemoryStore())
			if known {
				cookies = own
			}
			run(b, newReplay(b, app, cookies))
		}
	}
	b.Run("bare/no cookie", bare(""))
	b.Run("untouched/no cookie", with(untouched, "", false))
	b.Run("bare/two foreign cookies", bare(foreignCookies))
	b.Run("untouched/two foreign cookies", with(untouched, foreignCookies, false))
	b.Run("untouched/its cookies", with(untouched, "", true))
	b.Run("read two of ten", with(readTwo, "", true))
	b.Run("count", with(countUp, "", true))
	b.Run("count by Update", with(countByUpdate, "", true))
	b.Run("create", with(create, "", false))
}

// foreignCookies are none of the session layer's.
const foreignCookies = "theme=dark; _ga=GA1.2.1234567890.1234567890"

func run(b *testing.B, r *replay) {
	b.ReportAllocs()
	start := cpuTime()
	for b.Loop() {
		r.run()
	}
	b.ReportMetric(float64(cpuTime()-start)/float64(b.N), "cpu-ns/op")
}

// tenKeys is a session of ten keys, of which "user" and "count" are read.
func tenKeys(s sess.Session) {
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		sess.Set(s, key, "some text of a usual length")
	}
	sess.Set(s, "user", "ann@shop.test")
	sess.Set(s, "count", 0)
}

// replay is one request, served again and again on one RequestCtx as those of a keep-alive connection are.
type replay struct {
	ctx   fasthttp.RequestCtx
	serve fasthttp.RequestHandler
}

// newReplay makes a request with the cookies given, and serves it once to warm the pools. The header is read from
// bytes as from a connection: one that was put together by calls holds its cookies in another form, see presented.find.
func newReplay(t testing.TB, app *fiber.App, cookies string) *replay {
	t.Helper()
	r := &replay{serve: app.Handler()}
	r.ctx.Init(&fasthttp.Request{}, nil, nil)
	wire := "GET / HTTP/1.1\r\nHost: shop.test\r\n"
	if cookies != "" {
		wire += "Cookie: " + cookies + "\r\n"
	}
	if err := r.ctx.Request.Header.Read(bufio.NewReader(strings.NewReader(wire + "\r\n"))); err != nil {
		t.Fatal(err)
	}
	r.run()
	return r
}

func (r *replay) run() {
	r.serve(&r.ctx)
	r.ctx.ResetUserValues()
	r.ctx.Response.Reset()
}

// newReplaySite is an app whose handler is do behind a manager of store; the cookies are those of a session of ten keys.
func newReplaySite(t testing.TB, do fiber.Handler, store sess.Store) (app *fiber.App, m *sess.Manager, cookies string) {
	t.Helper()
	m, err := sess.NewManager(sess.Config{Store: store, Keys: sess.Keys(testKey)})
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

func countByUpdate(c *fiber.Ctx) error {
	sess.Update(sess.From(c), "count", func(n int, _ bool) int { return n + 1 })
	return c.SendString("counted")
}

func create(c *fiber.Ctx) error {
	sess.Set(sess.From(c), "user", "ann@shop.test")
	return c.SendString("created")
}
