package interop

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/fibersess/sess/sesstest"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/cache"
	"github.com/gofiber/fiber/v2/middleware/csrf"
	"github.com/gofiber/fiber/v2/middleware/idempotency"
	"github.com/gofiber/fiber/v2/middleware/limiter"
	"github.com/gofiber/storage/redis/v3"
	"github.com/redis/rueidis"
)

// A driver of gofiber/storage as it is published keeps the contract of sess.Store behind the adapter.
func TestADriverOfGofiberStorageServesAsAStore(t *testing.T) {
	driver := redis.New(redisConfig(t, redistest.Start(t)))
	t.Cleanup(func() { driver.Close() })
	sesstest.TestStore(t, func(t *testing.T) sess.Store { return sess.NewStorageStore(driver, t.Name()+":") })
}

func TestSessionsLiveInADriverOfGofiberStorage(t *testing.T) {
	server := redistest.Start(t)
	driver := redis.New(redisConfig(t, server))
	t.Cleanup(func() { driver.Close() })
	app := fiber.New()
	app.Use(sess.New(sess.Config{Store: sess.NewStorageStore(driver, "sess:"), Keys: sess.Keys(appKeys...)}))
	app.Get("/", func(c *fiber.Ctx) error {
		s := sess.From(c)
		sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
		n, _ := sess.Get[int](s, "n")
		return c.JSON(n)
	})
	b := newBrowser(t, app)
	for _, want := range []string{"1", "2", "3"} {
		_, got := b.do("GET", "/", nil)
		wantEqual(t, "n", got, want)
	}
	keys, _ := server.Do("KEYS", "*").([]any)
	wantEqual(t, "keys in Redis", len(keys), 1)
}

func redisConfig(t *testing.T, server *redistest.Server) redis.Config {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return redis.Config{Host: host, Port: n}
}

// newStore returns a store on a server of its own.
func newStore(t *testing.T) (*sess.RueidisStore, *redistest.Server) {
	t.Helper()
	server := redistest.Start(t)
	store, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{server.Addr}})
	if err != nil {
		t.Fatalf("NewRueidisStore: got the error %v, want nil", err)
	}
	t.Cleanup(func() { store.Close() })
	return store, server
}

func TestFibersCSRFRunsOnTheSessionsConnections(t *testing.T) {
	store, server := newStore(t)
	app := fiber.New()
	app.Use(csrf.New(csrf.Config{Storage: store.Storage("csrf:")}))
	app.Get("/", func(c *fiber.Ctx) error { return c.SendString("form") })
	app.Post("/", func(c *fiber.Ctx) error { return c.SendString("sent") })

	b := newBrowser(t, app)
	b.do("GET", "/", nil)
	token := b.cookies["csrf_"]
	status, _ := b.do("POST", "/", map[string]string{csrf.HeaderName: token})
	wantEqual(t, "status of a POST with the token", status, http.StatusOK)
	status, _ = b.do("POST", "/", map[string]string{csrf.HeaderName: "another"})
	wantEqual(t, "status of a POST with another token", status, http.StatusForbidden)
	wantKeys(t, server, "csrf:*")
}

func TestFibersLimiterCountsInRedis(t *testing.T) {
	store, server := newStore(t)
	// Two apps stand for two processes.
	var browsers []*browser
	for range 2 {
		app := fiber.New()
		app.Use(limiter.New(limiter.Config{Storage: store.Storage("limit:"), Max: 4, Expiration: time.Hour}))
		app.Get("/", func(c *fiber.Ctx) error { return c.SendString("ok") })
		browsers = append(browsers, newBrowser(t, app))
	}
	for i := range 4 {
		status, _ := browsers[i%2].do("GET", "/", nil)
		wantEqual(t, "status within the limit", status, http.StatusOK)
	}
	for _, b := range browsers {
		status, _ := b.do("GET", "/", nil)
		wantEqual(t, "status beyond the limit", status, http.StatusTooManyRequests)
	}
	wantKeys(t, server, "limit:*")
}

func TestFibersCacheLivesInRedis(t *testing.T) {
	store, server := newStore(t)
	var calls atomic.Int64
	app := fiber.New()
	app.Use(cache.New(cache.Config{Storage: store.Storage("cache:"), Expiration: time.Hour}))
	app.Get("/:page", func(c *fiber.Ctx) error { calls.Add(1); return c.SendString(c.Params("page")) })
	b := newBrowser(t, app)
	for range 3 {
		for _, page := range []string{"a", "b"} {
			_, got := b.do("GET", "/"+page, nil)
			wantEqual(t, "page", got, page)
		}
	}
	wantEqual(t, "calls of the handler", calls.Load(), 2)
	wantKeys(t, server, "cache:*")
}

func TestFibersIdempotencyAnswersFromRedis(t *testing.T) {
	store, server := newStore(t)
	var orders atomic.Int64
	app := fiber.New()
	app.Use(idempotency.New(idempotency.Config{Storage: store.Storage("once:"), Lifetime: time.Hour}))
	app.Post("/", func(c *fiber.Ctx) error { return c.JSON(orders.Add(1)) })
	b := newBrowser(t, app)
	key := map[string]string{"X-Idempotency-Key": "00000000-0000-4000-8000-000000000000"}
	for range 3 {
		_, got := b.do("POST", "/", key)
		wantEqual(t, "order", got, "1")
	}
	wantEqual(t, "orders", orders.Load(), 1)
	wantKeys(t, server, "once:*")
}

func wantKeys(t *testing.T, server *redistest.Server, pattern string) {
	t.Helper()
	all, _ := server.Do("KEYS", "*").([]any)
	mine, _ := server.Do("KEYS", pattern).([]any)
	if len(mine) == 0 || len(mine) != len(all) {
		t.Errorf("keys in Redis: got %v, want some, all of them %s", all, pattern)
	}
}

// browser asks an app in the same process and keeps its cookies.
type browser struct {
	t       *testing.T
	app     *fiber.App
	cookies map[string]string
}

func newBrowser(t *testing.T, app *fiber.App) *browser {
	return &browser{t, app, map[string]string{}}
}

func (b *browser) do(method, path string, header map[string]string) (status int, body string) {
	b.t.Helper()
	req := httptest.NewRequest(method, path, nil)
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := b.app.Test(req, 10_000)
	if err != nil {
		b.t.Fatalf("%s %s: got the error %v, want an answer", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatalf("%s %s: got the error %v, want a body", method, path, err)
	}
	for _, c := range resp.Cookies() {
		b.cookies[c.Name] = c.Value
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}
