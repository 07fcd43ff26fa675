package sess_test

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/fibersess/sess"
)

func TestTenThousandAnonymousRequestsCauseNoWriteAndNoCookie(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "style.css"), []byte("body{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	site := newSite(t, sess.Config{AllowEmpty: true, Rolling: true, RollingAlways: true})
	site.app = fiber.New()
	site.app.Use(site.manager.Handle)
	site.app.Static("/static", dir)
	site.app.Get("/read", func(c *fiber.Ctx) error { return c.SendString("hello") })
	b := site.browser(t)
	garbage := []string{
		"", "theme=dark", "koa.sid", "koa.sid=", "koa.sid=;koa.sid.sig=", "koa.sid=x; koa.sid.sig=y", "=koa.sid=x", `koa.sid="x"`,
		"koa.sid=" + inventedID, "koa.sid=" + inventedID + "; koa.sid.sig=" + strings.Repeat("A", 43), "KOA.SID=x; KOA.SID.SIG=y",
		"koa.sid=\xe9\xff; koa.sid.sig=\xff", "koa.sid=" + strings.Repeat("x", 3000), strings.Repeat("koa.sid=x;", 200), ";;;===,,,",
	}
	for i := range 10_000 {
		method := [...]string{"GET", "HEAD", "OPTIONS"}[i%3]
		path := [...]string{"/read", "/none", "/static/style.css", "/static/none"}[i/3%4]
		b.prepare = func(r *fasthttp.Request) { r.Header.Set("Cookie", garbage[i%len(garbage)]) }
		if r := b.send(method, path, nil); len(r.header["Set-Cookie"]) != 0 || r.status >= 500 {
			t.Fatalf("%s %s, cookies %q: got status %d and %d cookies, want none", method, path, garbage[i%len(garbage)], r.status, len(r.header["Set-Cookie"]))
		}
	}
	site.store.wantCalls(t, "anonymous requests", 0, 0)
	if n := site.store.Len(); n != 0 {
		t.Errorf("got %d records, want none", n)
	}
}

func TestSecureAutoGoesByTLSAndByTrustedProxiesOnly(t *testing.T) {
	trusting := fiber.Config{EnableTrustedProxyCheck: true, TrustedProxies: []string{"10.0.0.1"}}
	for _, c := range []struct {
		name  string
		fiber fiber.Config
		from  string
		proto string
		mode  sess.SecureMode
		want  bool
	}{
		{name: "plain", from: "10.0.0.1"},
		{name: "a stranger says https, nothing is checked", from: "10.0.0.2", proto: "https"},
		{name: "a stranger says https", fiber: trusting, from: "10.0.0.2", proto: "https"},
		{name: "a trusted proxy says https", fiber: trusting, from: "10.0.0.1", proto: "https", want: true},
		{name: "a trusted proxy says http", fiber: trusting, from: "10.0.0.1", proto: "http"},
		{name: "a trusted proxy says nothing", fiber: trusting, from: "10.0.0.1"},
		{name: "always", from: "10.0.0.2", mode: sess.SecureAlways, want: true},
		{name: "never", fiber: trusting, from: "10.0.0.1", proto: "https", mode: sess.SecureNever},
	} {
		site := newSiteOf(t, c.fiber, sess.Config{Cookie: sess.Cookie{Secure: c.mode}})
		b := site.browser(t)
		b.from = &net.TCPAddr{IP: net.ParseIP(c.from), Port: 4000}
		b.prepare = func(r *fasthttp.Request) {
			if c.proto != "" {
				r.Header.Set("X-Forwarded-Proto", c.proto)
			}
		}
		b.visit(setN).wantSecure(t, c.name, c.want)
		b.visit(func(s sess.Session) { s.Destroy() }).wantSecure(t, c.name+", destroyed", c.want)
	}
}

// wantSecure reports if the two cookies that r sets do not bear Secure as wanted.
func (r *reply) wantSecure(t *testing.T, when string, want bool) {
	t.Helper()
	if len(r.cookies) != 2 {
		t.Errorf("%s: got %d cookies, want 2", when, len(r.cookies))
	}
	for name, cookie := range r.cookies {
		if cookie.Secure != want {
			t.Errorf("%s: cookie %s: got Secure %v, want %v", when, name, cookie.Secure, want)
		}
	}
}

func TestSecureAutoIsOnOverTLS(t *testing.T) {
	unstarted := httptest.NewUnstartedServer(nil) // for its certificate
	unstarted.StartTLS()
	defer unstarted.Close()
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(sess.New())
	app.Get("/", func(c *fiber.Ctx) error { sess.Set(sess.From(c), "n", 1); return nil })
	listener := fasthttputil.NewInmemoryListener()
	served := make(chan error, 1)
	go func() { served <- app.Listener(tls.NewListener(listener, unstarted.TLS)) }()
	defer func() { listener.Close(); <-served }()

	roots := unstarted.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	client := fasthttp.HostClient{IsTLS: true, Addr: "example.com:443", TLSConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"},
		Dial: func(string) (net.Conn, error) { return listener.Dial() }}
	var request fasthttp.Request
	var response fasthttp.Response
	request.SetRequestURI("https://example.com/")
	if err := client.DoTimeout(&request, &response, time.Minute); err != nil {
		t.Fatal(err)
	}
	newBrowser(t, nil).receive("GET", &response).wantSecure(t, "over TLS", true)
}

func TestAValueFromTheRequestSurvivesTheRequestsBuffer(t *testing.T) {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(sess.New())
	app.Get("/set/:p", func(c *fiber.Ctx) error {
		s := sess.From(c)
		sess.Set(s, "q", c.Query("q"))
		sess.Set(s, c.Query("key"), c.Params("p"))
		sess.Set(s, "list", []string{c.Query("q"), c.Get("X-Header")})
		return nil
	})
	app.Get("/get", func(c *fiber.Ctx) error {
		s := sess.From(c)
		q, _ := sess.Get[string](s, "q")
		p, _ := sess.Get[string](s, "some-key")
		list, _ := sess.Get[[]string](s, "list")
		return c.SendString(fmt.Sprint(q, " ", p, " ", list))
	})
	app.Get("/other/*", func(c *fiber.Ctx) error { return c.SendString(c.Query("q")) })
	listener := fasthttputil.NewInmemoryListener()
	served := make(chan error, 1)
	go func() { served <- app.Listener(listener) }()
	defer func() { listener.Close(); <-served }()

	client := fasthttp.HostClient{Addr: "shop.test", MaxConns: 1, Dial: func(string) (net.Conn, error) { return listener.Dial() }}
	b := newBrowser(t, func(ctx *fasthttp.RequestCtx) {
		if err := client.DoTimeout(&ctx.Request, &ctx.Response, time.Minute); err != nil {
			t.Fatal(err)
		}
	})
	b.prepare = func(r *fasthttp.Request) { r.Header.Set("X-Header", "of-the-header") }
	b.get("/set/of-the-path?q=of-the-query&key=some-key")
	stranger := newBrowser(t, b.serve)
	stranger.prepare = func(r *fasthttp.Request) { r.Header.Set("X-Header", strings.Repeat("z", 40)) }
	for range 20 {
		stranger.get("/other/" + strings.Repeat("y", 40) + "?q=" + strings.Repeat("x", 200))
	}
	if got, want := b.get("/get").body, "of-the-query of-the-path [of-the-query of-the-header]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestResponsesThatSetTheCookieAreKeptOutOfSharedCaches(t *testing.T) {
	b := newSite(t, sess.Config{}).browser(t)
	r := b.get("/")
	if got := r.header["Vary"]; len(got) != 0 {
		t.Errorf("untouched: got Vary %q, want none", got)
	}
	r = b.visit(setN)
	if got := r.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("a cookie set: got Cache-Control %q, want no-store", got)
	}
	r = b.visit(func(s sess.Session) { s.Keys() })
	if got := r.header.Get("Vary"); got != "Cookie" || r.header.Get("Cache-Control") != "" {
		t.Errorf("read only: got Vary %q and Cache-Control %q, want Cookie and none", got, r.header.Get("Cache-Control"))
	}
}

func TestNothingThatIsPrintedShowsAnIDAKeyOrAValue(t *testing.T) {
	const value, key = "a-value-that-is-private", "a-key-of-the-sessions"
	store := sess.NewMemoryStore()
	var events []sess.Event
	config := sess.Config{
		Store: store,
		Keys:  sess.Keys(testKey),
		Hooks: sess.Hooks{Created: func(e sess.Event) { events = append(events, e) }, Regenerated: func(e sess.Event) { events = append(events, e) }},
	}
	site := newSite(t, config)
	b := site.browser(t)
	r := b.visit(func(s sess.Session) { sess.Set(s, key, value) })
	signature := r.cookies["koa.sid.sig"].Value
	ids := []string{b.id()}
	var printed []string
	show := func(what string, v any) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			printed = append(printed, what+" "+verb+": "+fmt.Sprintf(verb, v))
		}
		var text, json strings.Builder
		slog.New(slog.NewTextHandler(&text, nil)).Info("log", "v", v)
		slog.New(slog.NewJSONHandler(&json, nil)).Info("log", "v", v)
		printed = append(printed, what+" slog: "+text.String(), what+" slog JSON: "+json.String())
	}
	b.visit(func(s sess.Session) {
		s.Regenerate()
		sess.Set(s, "another", value)
		show("Session", s)
		show("*Session", &s)
		show("ID", s.ID())
		id := s.ID()
		show("*ID", &id)
		show("struct of ID", struct{ ID sess.ID }{id})
		sess.Set(s, "$", value)
		show("Err", s.Err())
		show("Cookie", s.Cookie())
		s.Discard()
	})
	b.visit(func(s sess.Session) { s.Regenerate() })
	ids = append(ids, b.id())
	record, err := store.Get(t.Context(), parseID(t, b.id()))
	if err != nil {
		t.Fatal(err)
	}
	show("Record", record)
	show("Record by value", *record)
	show("Manager", site.manager)
	show("Config", config)
	show("*Config", &config)
	show("MemoryStore", store)
	show("Key", config.Keys[0])
	show("Stats", site.manager.Stats())
	if len(events) == 0 {
		t.Error("got no event, want some")
	}
	for _, e := range events {
		show("Event", e)
		show("*Event", &e)
	}
	secrets := map[string]string{"an id": ids[0], "the new id": ids[1], "a value": value, "a name": key, "the signature": signature, "the key": testKey}
	for _, text := range printed {
		for what, secret := range secrets {
			for _, form := range writings(secret) {
				if strings.Contains(text, form) {
					t.Errorf("got %s in %.80q…, want nothing of it", what, text)
				}
			}
		}
	}
}

// writings returns how fmt may write a text: as it is, in hexadecimal, and as bytes.
func writings(text string) []string {
	return []string{
		text,
		fmt.Sprintf("%x", text),
		fmt.Sprintf("%X", text),
		strings.Trim(fmt.Sprintf("%v", []byte(text)), "[]"),
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", []byte(text)), "[]byte{"), "}"),
	}
}

// A value of each kind that a handler may put into a session, and back in the next request.
func TestValuesOfEveryTypeComeBackInTheNextRequest(t *testing.T) {
	type address struct{ Street, City string }
	type user struct {
		Name    string
		Address *address
		Tags    map[string][]int
	}
	type color string
	type level uint8
	site := newSite(t, sess.Config{})
	roundTrip(t, site, true)
	roundTrip(t, site, math64)
	roundTrip(t, site, int8(-128))
	roundTrip(t, site, uint64(1<<64-1))
	roundTrip(t, site, float32(0.1))
	roundTrip(t, site, 1e300)
	roundTrip(t, site, complex(1.5, -2))
	roundTrip(t, site, "")
	roundTrip(t, site, "text with \" \\ \x00 \u2028 <b> 日本")
	roundTrip(t, site, []byte{0, 1, 255})
	roundTrip(t, site, time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC))
	roundTrip(t, site, 90*time.Minute)
	roundTrip(t, site, color("red"))
	roundTrip(t, site, level(3))
	roundTrip(t, site, []string{"a", ""})
	roundTrip(t, site, [2]bool{true, false})
	roundTrip(t, site, map[string]int{"a": 1})
	roundTrip(t, site, user{"Ann", &address{"Main St", "Springfield"}, map[string][]int{"x": {1, 2}}})
	roundTrip(t, site, &address{"a", "b"})
	roundTrip(t, site, (*address)(nil))
	roundTrip[any](t, site, nil)
	roundTrip(t, site, []user(nil))

	b := site.browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "v", int64(math64)) })
	b.visit(func(s sess.Session) {
		if got, ok := sess.Get[uint64](s, "v"); !ok || got != math64 {
			t.Errorf("int64 as uint64: got %d, %v; want %d, true", got, ok, uint64(math64))
		}
		if got, ok := sess.Get[int32](s, "v"); ok {
			t.Errorf("int64 as int32: got %d, true; want false, since it does not fit", got)
		}
		if got, ok := sess.Get[float64](s, "v"); ok {
			t.Errorf("int64 as float64: got %v, true; want false, since it is not exact", got)
		}
		if _, ok := sess.Get[string](s, "v"); ok {
			t.Error("int64 as string: got true, want false")
		}
		if _, ok := sess.Get[user](s, "v"); ok {
			t.Error("int64 as a struct: got true, want false")
		}
	})
}

// math64 is beyond 2^53: a float64 does not hold it.
const math64 = 1<<62 + 1

func roundTrip[T any](t *testing.T, site *site, want T) {
	t.Helper()
	b := site.browser(t)
	check := func(s sess.Session) {
		if got, ok := sess.Get[T](s, "v"); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%T: got %#v, %v; want %#v, true", want, got, ok, want)
		}
	}
	b.visit(func(s sess.Session) { sess.Set(s, "v", want); check(s) })
	b.visit(check)
}
