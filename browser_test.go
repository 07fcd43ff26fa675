package sess_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// browser is a client with a cookie jar in front of an application. It calls the application without a network; what
// it sees of a response is what net/http makes of its bytes.
type browser struct {
	t       testing.TB
	serve   fasthttp.RequestHandler
	cookies map[string]string
	from    net.Addr                // of the client; nil: 0.0.0.0
	prepare func(*fasthttp.Request) // called on each request before it is sent; nil: none
}

// reply is a response, read to its end.
type reply struct {
	status  int
	body    string
	header  http.Header
	cookies map[string]*http.Cookie
}

// visited is the key of what a request has the site's handler do: a fiber.Handler or a func(sess.Session).
type visited struct{}

// site is an application with one manager, whose handler does what the request brings along, see browser.visit.
type site struct {
	app     *fiber.App
	manager *sess.Manager
	store   *witness
}

// newSite starts a site. Without a store in config it gets a witness in front of a MemoryStore, and with that a key.
func newSite(t testing.TB, config sess.Config, around ...fiber.Handler) *site {
	t.Helper()
	return newSiteOf(t, fiber.Config{}, config, around...)
}

// newSiteOf is newSite with a configuration for Fiber, too.
func newSiteOf(t testing.TB, f fiber.Config, config sess.Config, around ...fiber.Handler) *site {
	t.Helper()
	s := &site{app: fiber.New(f)}
	if config.Store == nil {
		s.store = &witness{MemoryStore: sess.NewMemoryStore()}
		config.Store = s.store
	}
	if config.Keys == nil && !config.Cookie.DangerouslyUnsigned {
		config.Keys = sess.Keys(testKey)
	}
	m, err := sess.NewManager(config)
	if err != nil {
		t.Fatalf("NewManager: got error %v, want none", err)
	}
	s.manager = m
	for _, h := range around {
		s.app.Use(h)
	}
	s.app.Use(m.Handle)
	s.app.All("/*", func(c *fiber.Ctx) error {
		switch do := c.Context().UserValue(visited{}).(type) {
		case func(sess.Session):
			do(sess.From(c))
			return nil
		case fiber.Handler:
			return do(c)
		}
		return c.SendString("untouched")
	})
	return s
}

const testKey = "a test's key of more than sixteen bytes"

// browser returns a new browser, without cookies.
func (s *site) browser(t testing.TB) *browser { return newBrowser(t, s.app.Handler()) }

func newBrowser(t testing.TB, serve fasthttp.RequestHandler) *browser {
	return &browser{t: t, serve: serve, cookies: map[string]string{}}
}

// visit runs do with the session of a request to "/", which must succeed.
func (b *browser) visit(do func(s sess.Session)) *reply {
	b.t.Helper()
	r := b.send(http.MethodGet, "/", do)
	if r.status != http.StatusOK {
		b.t.Fatalf("visit: got status %d (%s), want 200", r.status, r.body)
	}
	return r
}

// get requests path; the site's handler leaves the session alone.
func (b *browser) get(path string) *reply {
	b.t.Helper()
	return b.send(http.MethodGet, path, nil)
}

// handle sends a request and has the site answer it with do.
func (b *browser) handle(method, path string, do fiber.Handler) *reply {
	b.t.Helper()
	return b.send(method, path, do)
}

// send sends a request that has the site do what is asked, see visited; nil asks for nothing.
func (b *browser) send(method, path string, do any) *reply {
	b.t.Helper()
	var req fasthttp.Request
	req.Header.SetMethod(method)
	req.SetRequestURI(path)
	req.Header.SetHost("shop.test")
	if len(b.cookies) > 0 {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(b.cookies)) {
			pairs = append(pairs, name+"="+b.cookies[name])
		}
		req.Header.Set("Cookie", strings.Join(pairs, "; "))
	}
	if b.prepare != nil {
		b.prepare(&req)
	}
	var wire bytes.Buffer
	w := bufio.NewWriter(&wire)
	if err := req.Write(w); err != nil {
		b.t.Fatalf("write the request: %v", err)
	}
	w.Flush()
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, b.from, log.New(io.Discard, "", 0))
	if err := ctx.Request.Read(bufio.NewReader(&wire)); err != nil {
		b.t.Fatalf("read the request: %v", err)
	}
	if do != nil {
		ctx.SetUserValue(visited{}, do)
	}
	defer ctx.ResetUserValues() // As the server does when the response is written.
	b.serve(&ctx)
	return b.receive(method, &ctx.Response)
}

// receive reads the response to a request of method and puts its cookies into the jar.
func (b *browser) receive(method string, response *fasthttp.Response) *reply {
	b.t.Helper()
	var wire bytes.Buffer
	w := bufio.NewWriter(&wire)
	if err := response.Write(w); err != nil {
		b.t.Fatalf("write the response: %v", err)
	}
	w.Flush()
	parsed, err := http.ReadResponse(bufio.NewReader(&wire), &http.Request{Method: method})
	if err != nil {
		b.t.Fatalf("read the response: %v", err)
	}
	defer parsed.Body.Close()
	body, err := io.ReadAll(parsed.Body)
	if err != nil {
		b.t.Fatalf("read the response's body: %v", err)
	}
	r := &reply{status: parsed.StatusCode, body: string(body), header: parsed.Header, cookies: map[string]*http.Cookie{}}
	for _, c := range parsed.Cookies() {
		if before := r.cookies[c.Name]; before != nil {
			if before.Path == c.Path && before.Domain == c.Domain {
				b.t.Errorf("Set-Cookie: got %s twice in one response, want once", c.Name)
			}
			continue // It is about a cookie of another path, which this browser does not have.
		}
		r.cookies[c.Name] = c
		if c.MaxAge < 0 || !c.Expires.IsZero() && !c.Expires.After(time.Now()) {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return r
}

// id returns the id in the jar, "" if there is none.
func (b *browser) id() string { return b.cookies["koa.sid"] }

// clone returns another browser with the same cookies: a parallel request, or a thief.
func (b *browser) clone() *browser {
	other := *b
	other.cookies = maps.Clone(b.cookies)
	return &other
}

// forbidCookie reports any cookie that r sets.
func (r *reply) forbidCookie(t testing.TB, when string) {
	t.Helper()
	if got := r.header["Set-Cookie"]; len(got) > 0 {
		t.Errorf("%s: got %d Set-Cookie lines, want none", when, len(got))
	}
}

// wantCookies reports if r does not set both cookies of the session to a value.
func (r *reply) wantCookies(t testing.TB, when string) {
	t.Helper()
	for _, name := range []string{"koa.sid", "koa.sid.sig"} {
		if c := r.cookies[name]; c == nil || c.Value == "" {
			t.Errorf("%s: got no cookie %s, want one with a value", when, name)
		}
	}
}

// wantValue reports if the browser's session does not hold want under key.
func wantValue[T comparable](b *browser, key string, want T) {
	b.t.Helper()
	b.visit(func(s sess.Session) {
		if got, ok := sess.Get[T](s, key); !ok || got != want {
			b.t.Errorf("Get(%q) got %v, %v; want %v, true", key, got, ok, want)
		}
	})
}

// wantNone reports if the browser's session exists or holds something under key.
func wantNone(b *browser, key string) {
	b.t.Helper()
	b.visit(func(s sess.Session) {
		if s.Exists() || s.Has(key) {
			b.t.Errorf("got Exists %v, Has(%q) %v; want false, false", s.Exists(), key, s.Has(key))
		}
	})
}

// witness is a MemoryStore that counts its calls and fails on order. It keeps the order of the calls in log.
type witness struct {
	*sess.MemoryStore
	reads, writes atomic.Int64
	broken        atomic.Bool
	mu            sync.Mutex
	log           []string // calls that write, by method; read by tests without parallel requests
}

var errBroken = errors.New("the store is broken")

func (w *witness) Peek(id sess.ID, now time.Time) (*sess.Record, bool) {
	if w.broken.Load() {
		return nil, false
	}
	r, ok := w.MemoryStore.Peek(id, now)
	if ok {
		w.reads.Add(1)
	}
	return r, ok
}

func (w *witness) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	w.reads.Add(1)
	if w.broken.Load() {
		return nil, errBroken
	}
	return w.MemoryStore.Get(ctx, id)
}

func (w *witness) Set(ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	w.wrote("set")
	if w.broken.Load() {
		return errBroken
	}
	return w.MemoryStore.Set(ctx, id, r, ttl)
}

func (w *witness) Destroy(ctx context.Context, id sess.ID) error {
	w.wrote("destroy")
	if w.broken.Load() {
		return errBroken
	}
	return w.MemoryStore.Destroy(ctx, id)
}

func (w *witness) Swap(ctx context.Context, id sess.ID, old, next *sess.Record, ttl time.Duration) (*sess.Record, error) {
	switch {
	case old == nil:
		w.wrote("create")
	case next == nil:
		w.wrote("delete")
	default:
		w.wrote("change")
	}
	if w.broken.Load() {
		return nil, errBroken
	}
	return w.MemoryStore.Swap(ctx, id, old, next, ttl)
}

func (w *witness) End(ctx context.Context, id sess.ID) (*sess.Record, error) {
	w.wrote("end")
	if w.broken.Load() {
		return nil, errBroken
	}
	return w.MemoryStore.End(ctx, id)
}

func (w *witness) wrote(what string) {
	w.writes.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, what)
}

// calls returns how often the store was read and written to since the last call.
func (w *witness) calls() (reads, writes int64) { return w.reads.Swap(0), w.writes.Swap(0) }

// wantCalls reports if the store was not read and written to that often since it was last asked.
func (w *witness) wantCalls(t testing.TB, when string, wantReads, wantWrites int64) {
	t.Helper()
	if reads, writes := w.calls(); reads != wantReads || writes != wantWrites {
		t.Errorf("%s: got %d reads and %d writes of the store, want %d and %d", when, reads, writes, wantReads, wantWrites)
	}
}

// keep puts a record under id as another process would.
func (w *witness) keep(t testing.TB, id, json string) {
	t.Helper()
	r, err := sess.ParseRecord(json)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.MemoryStore.Set(context.Background(), parseID(t, id), r, time.Hour); err != nil {
		t.Fatal(err)
	}
}

// kept returns the JSON that the store holds under id, "" if it holds nothing.
func (w *witness) kept(t testing.TB, id string) string {
	t.Helper()
	r, err := w.MemoryStore.Get(context.Background(), parseID(t, id))
	if errors.Is(err, sess.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return r.JSON()
}

func parseID(t testing.TB, text string) sess.ID {
	t.Helper()
	id, err := sess.ParseID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// corrupt is a store in which every record is text.
type corrupt struct {
	*witness
	text string
}

func (c *corrupt) Peek(sess.ID, time.Time) (*sess.Record, bool) { return nil, false }

func (c *corrupt) Get(context.Context, sess.ID) (*sess.Record, error) {
	return sess.ParseRecord(c.text)
}
