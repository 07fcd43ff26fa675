package csrf_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess/csrf"
)

// request is what decides whether a request passes.
type request struct {
	method, site, origin, upgrade string
}

func (r request) String() string {
	return fmt.Sprintf("%s, Sec-Fetch-Site %q, Origin %q, Upgrade %q", r.method, r.site, r.origin, r.upgrade)
}

// wire returns the request to shop.test as it travels, with the names of the fields changed by name.
func (r request) wire(name func(string) string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s /buy HTTP/1.1\r\n%s: shop.test\r\n", r.method, name("Host"))
	for _, f := range [][2]string{{"Sec-Fetch-Site", r.site}, {"Origin", r.origin}, {"Upgrade", r.upgrade}} {
		if f[1] != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name(f[0]), f[1])
		}
	}
	fmt.Fprintf(&b, "%s: 0\r\n\r\n", name("Content-Length"))
	return b.Bytes()
}

func asIs(name string) string { return name }

// read returns the request as a server has it.
func read(t testing.TB, wire []byte) *fasthttp.RequestCtx {
	t.Helper()
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	if err := ctx.Request.Read(bufio.NewReader(bytes.NewReader(wire))); err != nil {
		t.Fatalf("read the request: got %v, want no error", err)
	}
	return &ctx
}

func protection(t testing.TB, config csrf.Config) *csrf.Protection {
	t.Helper()
	p, err := csrf.NewProtection(config)
	if err != nil {
		t.Fatalf("NewProtection: got %v, want no error", err)
	}
	return p
}

var (
	methods = []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get"}
	sites   = []string{"", "same-origin", "none", "same-site", "cross-site", "Same-Origin", "anything"}
	origins = []string{
		"", "https://shop.test", "http://shop.test", "https://pay.test", "http://pay.test", "https://shop.test.evil.test", "https://evil.test",
		"https://shop.test:8443", "https://www.shop.test", "null", "shop.test", "https://", "https://evil.test/shop.test",
	}
	upgrades = []string{"", "websocket", "WebSocket, x", "h2c"}
)

// The whole rule, in every combination, beside a statement of it in other words.
func TestARequestPassesIfItChangesNothingOrNoOtherOriginCausedIt(t *testing.T) {
	p := protection(t, csrf.Config{TrustedOrigins: []string{"https://pay.test"}})
	safe := map[string]bool{"GET": true, "HEAD": true, "OPTIONS": true}
	passed, refused := 0, 0
	for _, method := range methods {
		for _, site := range sites {
			for _, origin := range origins {
				for _, upgrade := range upgrades {
					r := request{method, site, origin, upgrade}
					ownHost := origin == "https://shop.test" || origin == "http://shop.test"
					want := safe[method] && upgrade == "" ||
						site == "same-origin" || site == "none" ||
						site == "" && (origin == "" || ownHost) ||
						origin == "https://pay.test"
					err := p.Check(read(t, r.wire(asIs)))
					if got := err == nil; got != want {
						t.Errorf("%v: got %v, want it to pass: %v", r, err, want)
					}
					if err != nil && err != csrf.ErrOrigin {
						t.Errorf("%v: got the error %v, want ErrOrigin", r, err)
					}
					if want {
						passed++
					} else {
						refused++
					}
				}
			}
		}
	}
	if passed == 0 || refused == 0 {
		t.Errorf("got %d that should pass and %d that should not, want some of each", passed, refused)
	}
}

// Without an upgrade, which net/http does not look at, the answer is that of the standard library.
func TestTheRuleIsThatOfTheStandardLibrary(t *testing.T) {
	p := protection(t, csrf.Config{TrustedOrigins: []string{"https://pay.test"}})
	standard := http.NewCrossOriginProtection()
	if err := standard.AddTrustedOrigin("https://pay.test"); err != nil {
		t.Fatal(err)
	}
	for _, method := range methods {
		for _, site := range sites {
			for _, origin := range origins {
				r := request{method: method, site: site, origin: origin}
				theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.wire(asIs))))
				if err != nil {
					t.Fatalf("%v: net/http: got %v, want no error", r, err)
				}
				want := standard.Check(theirs)
				if got := p.Check(read(t, r.wire(asIs))); (got == nil) != (want == nil) {
					t.Errorf("%v: got %v, want what net/http says: %v", r, got, want)
				}
			}
		}
	}
}

func TestAWebSocketOfAnotherOriginIsRefused(t *testing.T) {
	p := protection(t, csrf.Config{})
	for _, c := range []struct {
		r    request
		want bool
	}{
		{request{"GET", "", "https://shop.test", "websocket"}, true},
		{request{"GET", "same-origin", "https://shop.test", "websocket"}, true},
		{request{"GET", "", "", "websocket"}, true}, // not a browser: they all send Origin with it
		{request{"GET", "", "https://evil.test", "websocket"}, false},
		{request{"GET", "same-site", "https://www.shop.test", "websocket"}, false},
		{request{"GET", "cross-site", "https://evil.test", "websocket"}, false},
	} {
		if err := p.Check(read(t, c.r.wire(asIs))); (err == nil) != c.want {
			t.Errorf("%v: got %v, want it to pass: %v", c.r, err, c.want)
		}
	}
}

// A server that does not normalize names has them as a proxy wrote them, for one in lower case.
func TestNamesInLowerCaseAreSeenByAServerThatDoesNotNormalizeThem(t *testing.T) {
	p := protection(t, csrf.Config{})
	check := func(r request) error {
		t.Helper()
		var ctx fasthttp.RequestCtx
		ctx.Init(&fasthttp.Request{}, nil, nil)
		ctx.Request.Header.DisableNormalizing()
		if err := ctx.Request.Read(bufio.NewReader(bytes.NewReader(r.wire(strings.ToLower)))); err != nil {
			t.Fatalf("read the request: got %v, want no error", err)
		}
		return p.Check(&ctx)
	}
	for _, c := range []struct {
		r    request
		want bool
	}{
		{request{"POST", "cross-site", "https://evil.test", ""}, false},
		{request{"POST", "", "https://evil.test", ""}, false},
		{request{"POST", "same-origin", "https://shop.test", ""}, true},
		{request{"POST", "", "https://shop.test", ""}, true},
	} {
		if err := check(c.r); (err == nil) != c.want {
			t.Errorf("%v, in lower case: got %v, want it to pass: %v", c.r, err, c.want)
		}
	}
}

// Whether a request is refused depends on fields that no cache compares. A cache that keeps what it likes, as some keep any answer to
// a GET, would hand the refusal of another site's WebSocket to the application's own page.
func TestNoCacheKeepsARefusal(t *testing.T) {
	p := protection(t, csrf.Config{})
	for _, c := range []struct {
		r    request
		want string
	}{
		{request{"POST", "cross-site", "https://evil.test", ""}, "no-store"},
		{request{"GET", "", "https://evil.test", "websocket"}, "no-store"},
		{request{"POST", "same-origin", "https://shop.test", ""}, "public"},
		{request{"GET", "cross-site", "", ""}, "public"},
	} {
		ctx := read(t, c.r.wire(asIs))
		ctx.Response.Header.Set("Cache-Control", "public")
		_ = p.Check(ctx)
		if got := string(ctx.Response.Header.Peek("Cache-Control")); got != c.want {
			t.Errorf("%v: got Cache-Control %q, want %q", c.r, got, c.want)
		}
	}
	app := fiber.New()
	app.Use(csrf.New())
	app.Get("/socket", func(*fiber.Ctx) error { return nil })
	ctx := read(t, request{"GET", "", "https://evil.test", "websocket"}.wire(asIs))
	ctx.Request.SetRequestURI("/socket")
	app.Handler()(ctx)
	if status, got := ctx.Response.StatusCode(), string(ctx.Response.Header.Peek("Cache-Control")); status != 403 || got != "no-store" {
		t.Errorf("behind Fiber's ErrorHandler: got %d and Cache-Control %q, want 403 and no-store", status, got)
	}
}

func TestAPortIsPartOfTheHost(t *testing.T) {
	p := protection(t, csrf.Config{})
	for origin, want := range map[string]bool{"http://127.0.0.1:8080": true, "http://127.0.0.1:9090": false, "http://127.0.0.1": false} {
		wire := "POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nOrigin: " + origin + "\r\nContent-Length: 0\r\n\r\n"
		if err := p.Check(read(t, []byte(wire))); (err == nil) != want {
			t.Errorf("Origin %s at 127.0.0.1:8080: got %v, want it to pass: %v", origin, err, want)
		}
	}
}

func TestARefusedRequestIsAnswered403AndReachesNoHandler(t *testing.T) {
	app := fiber.New()
	app.Use(csrf.New())
	reached := false
	app.Post("/buy", func(*fiber.Ctx) error {
		reached = true
		return nil
	})
	ctx := read(t, request{"POST", "cross-site", "https://evil.test", ""}.wire(asIs))
	app.Handler()(ctx)
	if got := ctx.Response.StatusCode(); got != fiber.StatusForbidden || reached {
		t.Errorf("got status %d, handler reached: %v; want 403 and false", got, reached)
	}
	if got := string(ctx.Response.Body()); got != csrf.ErrOrigin.Error() {
		t.Errorf("got the body %q, want %q", got, csrf.ErrOrigin)
	}
	ctx = read(t, request{"POST", "same-origin", "https://shop.test", ""}.wire(asIs))
	app.Handler()(ctx)
	if got := ctx.Response.StatusCode(); got != fiber.StatusOK || !reached {
		t.Errorf("same origin: got status %d, handler reached: %v; want 200 and true", got, reached)
	}
}

func TestWhatIsSkippedPasses(t *testing.T) {
	p := protection(t, csrf.Config{DangerouslySkip: func(ctx *fasthttp.RequestCtx) bool {
		return string(ctx.Path()) == "/buy"
	}})
	forged := request{"POST", "cross-site", "https://evil.test", ""}.wire(asIs)
	if err := p.Check(read(t, forged)); err != nil {
		t.Errorf("/buy: got %v, want it to pass", err)
	}
	elsewhere := bytes.Replace(forged, []byte("/buy"), []byte("/pay"), 1)
	if err := p.Check(read(t, elsewhere)); !errors.Is(err, csrf.ErrOrigin) {
		t.Errorf("/pay: got %v, want ErrOrigin", err)
	}
}

func TestWrongTrustedOriginsAreAllReportedAtStartUp(t *testing.T) {
	good := []string{
		"https://pay.example.com", "http://127.0.0.1:8080", "https://[::1]:8443", "https://xn--bcher-kva.example",
		"capacitor://localhost", "chrome-extension://abcdefghijklmnop",
	}
	bad := []string{
		"", "null", "pay.example.com", "https://", "//pay.example.com", "https://pay.example.com/", "https://pay.example.com/x", "https://pay.example.com?x",
		"https://pay.example.com#x", "https://ann@pay.example.com", "https://*.example.com", "HTTPS://pay.example.com", "https://Pay.example.com",
		"https://bücher.example", "https://pay.example.com:443", "http://pay.example.com:80", "https://pay.example.com:", "https://:443", " https://pay.example.com",
	}
	if _, err := csrf.NewProtection(csrf.Config{TrustedOrigins: good}); err != nil {
		t.Errorf("got %v, want no error for %q", err, good)
	}
	for _, origin := range bad {
		_, err := csrf.NewProtection(csrf.Config{TrustedOrigins: []string{origin}})
		if err == nil {
			t.Errorf("%q: got no error, want one", origin)
			continue
		}
		if text := err.Error(); !strings.HasPrefix(text, "csrf: Config.TrustedOrigins: ") || !strings.Contains(text, "; want ") {
			t.Errorf("%q: got %q, want what, the value and the remedy", origin, text)
		}
	}
	_, err := csrf.NewProtection(csrf.Config{TrustedOrigins: append(good, bad...)})
	if got := strings.Count(err.Error(), "\n") + 1; got != len(bad) {
		t.Errorf("all at once: got %d mistakes, want %d", got, len(bad))
	}
}

func TestNewPanicsWithWhatIsWrong(t *testing.T) {
	for name, do := range map[string]func(){
		"a wrong origin": func() { csrf.New(csrf.Config{TrustedOrigins: []string{"*"}}) },
		"two Configs":    func() { csrf.New(csrf.Config{}, csrf.Config{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: got no panic, want one", name)
				}
			}()
			do()
		}()
	}
}
