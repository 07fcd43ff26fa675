package sess_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/extractors"
	"github.com/gofiber/fiber/v3/middleware/cache"
	"github.com/gofiber/fiber/v3/middleware/limiter"
	"github.com/gofiber/fiber/v3/middleware/session"
	"github.com/gofiber/fiber/v3/middleware/timeout"
	"github.com/redis/rueidis"
	"github.com/valyala/fasthttp"

	sess "github.com/fibersess/sess/fiberv3"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/fibersess/sess/sesstest"
)

// The code of docs/from-fiber-v3.md, line for line.

func TestTheCodeOfFromFiberV3IsThatOfThisFile(t *testing.T) {
	doc, err := os.ReadFile("../docs/from-fiber-v3.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("fromfiber_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(doc), "```")
	code := 0
	for i := 1; i < len(blocks); i += 2 {
		lines, isGo := strings.CutPrefix(blocks[i], "go\n")
		if !isGo {
			continue
		}
		code++
		if !strings.Contains(squeezed(string(source)), squeezed(lines)) {
			t.Errorf("a block of docs/from-fiber-v3.md: want it in this file, line for line, got\n%s", lines)
		}
	}
	if code < 5 {
		t.Errorf("blocks of code in docs/from-fiber-v3.md: got %d, want 5 or more", code)
	}
}

// squeezed is text without what gofmt changes when a line stands elsewhere: indentation, and blanks in front of comments.
func squeezed(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.Join(strings.Fields(line), " "))
		b.WriteString("\n")
	}
	return b.String()
}

func oldApp(storage fiber.Storage) *fiber.App {
	app := fiber.New()
	app.Use(session.New(session.Config{Storage: storage, IdleTimeout: time.Hour})) // 1

	app.Get("/", func(c fiber.Ctx) error {
		s := session.FromContext(c) // 2
		n, _ := s.Get("n").(int)    // 3
		s.Set("n", n+1)             // 4, 5
		return c.JSON(n + 1)
	})
	return app
}

func newApp(storage fiber.Storage) *fiber.App {
	app := fiber.New()
	app.Use(sess.New(sess.Config{ // 1
		Store:   sess.NewStorageStore(storage, "sess:"),
		Keys:    sess.Keys(os.Getenv("SESSION_KEY")),
		TTL:     time.Hour,
		Rolling: true,
	}))

	app.Get("/", func(c fiber.Ctx) error {
		s := sess.From(c)             // 2
		n, _ := sess.Get[int](s, "n") // 3
		sess.Set(s, "n", n+1)         // 4, 5
		return c.JSON(n + 1)
	})
	return app
}

func TestTheTwoProgramsOfFromFiberV3Count(t *testing.T) {
	t.Setenv("SESSION_KEY", aKey)
	for name, app := range map[string]*fiber.App{"old": oldApp(&mapStorage{}), "new": newApp(&mapStorage{})} {
		client := sesstest.NewClient(app)
		for i := range 3 {
			if got := text(client.Get("/")); got != "200 "+digits(i+1) {
				t.Errorf("%s, request %d: got %q, want 200 %d", name, i+1, got, i+1)
			}
		}
	}
}

// bearer carries a session in Authorization: Bearer.
type bearer struct{}

func (bearer) Field() string { return "Authorization" }

func (bearer) Read(ctx *fasthttp.RequestCtx) []byte {
	token, _ := bytes.CutPrefix(ctx.Request.Header.Peek("Authorization"), []byte("Bearer "))
	return token
}

func (bearer) Write(ctx *fasthttp.RequestCtx, token string, _ time.Duration) {
	ctx.Response.Header.Set("Session-Token", token)
}

func (bearer) Expire(ctx *fasthttp.RequestCtx) { ctx.Response.Header.Set("Session-Token", "") }

func TestABearerTransportCarriesASession(t *testing.T) {
	app := fiber.New()
	app.Use(sess.New(sess.Config{Transport: bearer{}}))
	app.Get("/", func(c fiber.Ctx) error {
		n, _ := sess.Get[int](sess.From(c), "n")
		sess.Set(sess.From(c), "n", n+1)
		return c.JSON(n + 1)
	})
	b := newBrowser(t, listen(t, app.Handler()))
	token := b.want("/", 200, "1").header.Get("Session-Token")
	b.head.Set("Authorization", "Bearer "+token)
	b.want("/", 200, "2")
	b.head.Set("Authorization", "Bearer x"+token)
	b.want("/", 200, "1")
}

// Browsers have a cookie and devices a header, each with a manager that Next lets alone where the other one's is.
func TestBrowsersAndDevicesHaveAManagerEach(t *testing.T) {
	config := sess.Config{Store: sess.NewMemoryStore(), Keys: sess.Keys(aKey)}
	app := fiber.New()
	device := func(ctx *fasthttp.RequestCtx) bool { return len(ctx.Request.Header.Peek("X-Session")) > 0 }

	browsers, devices := config, config
	browsers.Next = device
	devices.Transport = sess.HeaderTransport("X-Session")
	devices.Next = func(ctx *fasthttp.RequestCtx) bool { return !device(ctx) }
	app.Use(sess.New(browsers), sess.New(devices))
	app.Get("/", func(c fiber.Ctx) error {
		n, _ := sess.Get[int](sess.From(c), "n")
		sess.Set(sess.From(c), "n", n+1)
		return c.JSON(n + 1)
	})
	base := listen(t, app.Handler())
	browser, apparatus := newBrowser(t, base), newBrowser(t, base)
	browser.want("/", 200, "1")
	browser.want("/", 200, "2")
	apparatus.head.Set("X-Session", "none yet")
	first := apparatus.want("/", 200, "1")
	if first.setsCookie() {
		t.Error("a device: got a cookie, want a header alone")
	}
	apparatus.head.Set("X-Session", first.header.Get("X-Session"))
	apparatus.want("/", 200, "2")
	browser.want("/", 200, "3")
}

// getdel reads and deletes a key in one step, which one of several requests wins.
func getdel(ctx context.Context, client rueidis.Client, key string) ([]byte, bool) {
	stored, err := client.Do(ctx, client.B().Getdel().Key(key).Build()).ToString()
	return []byte(stored), err == nil
}

// takeFiberV3 takes a session of Fiber v3's away.
func takeFiberV3(ctx context.Context, client rueidis.Client, h *fasthttp.RequestHeader) (map[string]any, bool) {
	stored, ok := getdel(ctx, client, "old:"+string(h.Cookie("session_id"))) // old: is the prefix of the storage
	var all map[any]any
	if !ok || gob.NewDecoder(bytes.NewReader(stored)).Decode(&all) != nil {
		return nil, false
	}
	values := map[string]any{}
	for key, value := range all {
		if key, ok := key.(string); ok {
			values[key] = value
		} else if end, ok := value.(time.Time); ok && time.Now().After(end) { // AbsoluteTimeout
			return nil, false
		}
	}
	return values, true
}

func TestSessionsOfFiberV3GoOnAndAreAdoptedOnce(t *testing.T) {
	server := redistest.Start(t)
	option := rueidis.ClientOption{InitAddress: []string{server.Addr}}
	store, err := sess.NewRueidisStore(option)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	client, err := rueidis.NewClient(option)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	old := fiber.New()
	old.Use(session.New(session.Config{Storage: store.Storage("old:"), AbsoluteTimeout: time.Hour, CookiePath: "/"}))
	old.Get("/old", func(c fiber.Ctx) error {
		session.FromContext(c).Set("user", "ann")
		session.FromContext(c).Set("n", 7)
		return nil
	})
	config := sess.Config{Store: store, Keys: sess.Keys(aKey)}
	config.Adopt = func(ctx *fasthttp.RequestCtx) (user string, values map[string]any, ok bool) {
		within, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		values, ok = takeFiberV3(within, client, &ctx.Request.Header)
		user, _ = values["user"].(string)
		delete(values, "user")
		return user, values, ok
	}
	m, err := sess.NewManager(config)
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New()
	app.Use(m.Handle)
	app.Get("/", func(c fiber.Ctx) error {
		user, _ := sess.From(c).User()
		n, _ := sess.Get[int](sess.From(c), "n")
		return c.SendString(user + digits(n))
	})
	app.Get("/logout", func(c fiber.Ctx) error { sess.From(c).Destroy(); return nil })
	serve, serveOld := app.Handler(), old.Handler()
	b := newBrowser(t, listen(t, func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/old" {
			serveOld(ctx)
			return
		}
		serve(ctx)
	}))
	b.want("/old", 200, "")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { b.get("/") })
	}
	wg.Wait()
	b.want("/", 200, "ann7")
	b.want("/logout", 200, "")
	b.want("/", 200, "0")
	if got := m.Stats().Created; got != 1 {
		t.Errorf("sessions made of one old session, by 4 requests at once and one behind a logout: got %d, want 1", got)
	}
}

func TestOneRedisServesFiberV3sOtherMiddleware(t *testing.T) {
	store, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{redistest.Start(t).Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	app := fiber.New()
	app.Use(limiter.New(limiter.Config{Storage: store.Storage("limit:"), Max: 3, Expiration: time.Minute}))
	app.Use(cache.New(cache.Config{Storage: store.Storage("cache:")}))
	var ran atomic.Int32
	app.Get("/", func(c fiber.Ctx) error { ran.Add(1); return c.SendString("hello") })
	b := newBrowser(t, listen(t, app.Handler()))
	for range 3 {
		b.want("/", 200, "hello")
	}
	if got := b.get("/").status; got != 429 {
		t.Errorf("the fourth request: got %d, want 429", got)
	}
	if got := ran.Load(); got != 1 {
		t.Errorf("requests that reached the handler: got %d, want 1, and the others from the cache", got)
	}
}

// What docs/from-fiber-v3.md says of Fiber v3's own session middleware, shown on it.
func TestInFiberV3sSessionEveryRequestStores(t *testing.T) {
	storage := &mapStorage{}
	app := fiber.New()
	app.Use(session.New(session.Config{Storage: storage, Extractor: extractors.FromCookie("session_id")}))
	app.Get("/", func(c fiber.Ctx) error { return nil })
	res, err := sesstest.NewClient(app).Get("/")
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Cookies()) != 1 || len(storage.entries) != 1 {
		t.Errorf("a request that touches no session: got %d cookies and %d records; the page says one of each", len(res.Cookies()), len(storage.entries))
	}
	if c := res.Cookies(); len(c) == 1 && (c[0].HttpOnly || c[0].Secure) {
		t.Errorf("its cookie: got %v; the page says that scripts can read it", c[0])
	}
}

func TestInFiberV3sSessionAFailingStoragePanics(t *testing.T) {
	app := fiber.New()
	app.Use(session.New(session.Config{Storage: &mapStorage{fails: true}}))
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetCookie("session_id", "an id")
	defer func() {
		if recover() == nil {
			t.Error("a failing storage: got no panic; the page says that there is one")
		}
	}()
	app.Handler()(&ctx)
}

func TestInFiberV3sSessionASaveBringsALogoutBack(t *testing.T) {
	app := fiber.New()
	app.Use(session.New())
	reached, proceed := make(chan struct{}), make(chan struct{})
	app.Get("/login", func(c fiber.Ctx) error { session.FromContext(c).Set("user", "ann"); return nil })
	app.Get("/logout", func(c fiber.Ctx) error { return session.FromContext(c).Destroy() })
	app.Get("/user", func(c fiber.Ctx) error {
		user, _ := session.FromContext(c).Get("user").(string)
		return c.SendString(user)
	})
	app.Get("/slow", func(c fiber.Ctx) error {
		close(reached)
		<-proceed
		return nil
	})
	client := sesstest.NewClient(app)
	text(client.Get("/login"))
	cookies := client.Jar.Cookies(&url.URL{Path: "/"})
	slow := make(chan struct{})
	go func() {
		defer close(slow)
		text(client.Get("/slow"))
	}()
	<-reached
	text(client.Get("/logout"))
	close(proceed)
	<-slow
	thief := sesstest.NewClient(app)
	thief.Jar.SetCookies(&url.URL{Path: "/"}, cookies)
	if got := text(thief.Get("/user")); got != "200 ann" {
		t.Errorf("behind a logout: got %q; the page says that ann is back", got)
	}
}

// Outside of the session's middleware the timeout answers alone: what the handler still does is stored, and no cookie tells.
func TestATimeoutOutsideOfUsSendsNoCookieAndReachesNobodyElse(t *testing.T) {
	reached, proceed, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	m := newManager(t, sess.Config{})
	serve := (&sess.Manager{Manager: m}).Handle
	app := fiber.New()
	app.Get("/slow", timeout.New(func(c fiber.Ctx) error {
		defer close(over)
		return serve(c)
	}, timeout.Config{Timeout: 10 * time.Millisecond}), func(c fiber.Ctx) error {
		s := sess.From(c)
		close(reached)
		<-proceed
		sess.Set(s, "late", true)
		return nil
	})
	app.Use(serve)
	app.Get("/count", v3Step(count))
	app.Get("/late", func(c fiber.Ctx) error {
		late, _ := sess.Get[bool](sess.From(c), "late")
		return c.JSON(late)
	})
	base := listen(t, app.Handler())
	ann, bob := newBrowser(t, base), newBrowser(t, base)
	bob.http.Transport = ann.http.Transport
	ann.want("/count", 200, "1")
	bob.want("/count", 200, "1")
	got := ann.get("/slow")
	if got.status != 408 || got.setsCookie() {
		t.Errorf("a timeout: got %d, with a cookie %v; want 408 without", got.status, got.setsCookie())
	}
	<-reached
	bob.want("/count", 200, "2")
	close(proceed)
	<-over
	ann.want("/late", 200, "true")
	bob.want("/late", 200, "false")
	bob.want("/count", 200, "3")
}

// mapStorage is a driver for Fiber v3 in memory, or one that fails.
type mapStorage struct {
	fails   bool
	mu      sync.Mutex
	entries map[string][]byte
}

var errStorage = errors.New("the storage fails on purpose")

func (m *mapStorage) GetWithContext(_ context.Context, key string) ([]byte, error) {
	if m.fails {
		return nil, errStorage
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries[key], nil
}

func (m *mapStorage) SetWithContext(_ context.Context, key string, value []byte, _ time.Duration) error {
	if m.fails {
		return errStorage
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = map[string][]byte{}
	}
	m.entries[strings.Clone(key)] = bytes.Clone(value)
	return nil
}

func (m *mapStorage) DeleteWithContext(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, key)
	return nil
}

func (m *mapStorage) ResetWithContext(context.Context) error { return nil }
func (m *mapStorage) Reset() error                           { return nil }
func (m *mapStorage) Close() error                           { return nil }
func (m *mapStorage) Get(key string) ([]byte, error) {
	return m.GetWithContext(context.Background(), key)
}
func (m *mapStorage) Delete(key string) error { return m.DeleteWithContext(context.Background(), key) }
func (m *mapStorage) Set(key string, value []byte, ttl time.Duration) error {
	return m.SetWithContext(context.Background(), key, value, ttl)
}
