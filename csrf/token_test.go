package csrf_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/csrf"
)

// visitor is a browser of an application behind sess and csrf with tokens.
type visitor struct {
	t       *testing.T
	app     *fiber.App
	cookies map[string]string
	header  fasthttp.ResponseHeader // of the last answer
	paid    int                     // requests that reached the handler of /pay
}

func newVisitor(t *testing.T, config sess.Config, protect csrf.Config) *visitor {
	app := fiber.New()
	v := &visitor{t: t, app: app, cookies: map[string]string{}}
	config.Keys = sess.Keys("a key of these tests, 32 bytes..")
	app.Use(sess.New(config))
	app.Use(csrf.New(protect))
	app.Get("/form", func(c *fiber.Ctx) error { return c.SendString(csrf.Token(c)) })
	app.Get("/look", func(c *fiber.Ctx) error { return nil })
	app.Post("/login", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "user", "ann")
		sess.From(c).Regenerate()
		return c.SendString("in")
	})
	app.Post("/logout", func(c *fiber.Ctx) error {
		sess.From(c).Destroy()
		return c.SendString("out")
	})
	app.Post("/pay", func(c *fiber.Ctx) error {
		v.paid++
		return c.SendString("paid")
	})
	return v
}

// send sends a request that the application's own page causes, changed by prepare.
func (v *visitor) send(method, path string, prepare func(*fasthttp.Request)) (status int, body string) {
	v.t.Helper()
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI("http://shop.test" + path)
	ctx.Request.Header.Set("Sec-Fetch-Site", "same-origin")
	for name, value := range v.cookies {
		ctx.Request.Header.SetCookie(name, value)
	}
	if prepare != nil {
		prepare(&ctx.Request)
	}
	v.app.Handler()(&ctx)
	for name, line := range ctx.Response.Header.Cookies() {
		value, _, _ := strings.Cut(strings.TrimPrefix(string(line), string(name)+"="), ";")
		if v.cookies[string(name)] = value; value == "" {
			delete(v.cookies, string(name))
		}
	}
	ctx.Response.Header.CopyTo(&v.header)
	defer ctx.ResetUserValues() // as the server does when the response is written
	return ctx.Response.StatusCode(), string(ctx.Response.Body())
}

func (v *visitor) want(what, path string, prepare func(*fasthttp.Request), status int, body string) {
	v.t.Helper()
	if got, text := v.send("POST", path, prepare); got != status || text != body {
		v.t.Errorf("%s: got %d %q, want %d %q", what, got, text, status, body)
	}
}

func inHeader(token string) func(*fasthttp.Request) {
	return func(r *fasthttp.Request) { r.Header.Set("X-CSRF-Token", token) }
}

func inForm(token string) func(*fasthttp.Request) {
	return func(r *fasthttp.Request) {
		r.Header.SetContentType("application/x-www-form-urlencoded")
		r.SetBodyString("amount=1000&csrf=" + token)
	}
}

func inMultipart(token string) func(*fasthttp.Request) {
	return func(r *fasthttp.Request) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		_ = w.WriteField("csrf", token)
		_ = w.Close()
		r.Header.SetContentType(w.FormDataContentType())
		r.SetBody(b.Bytes())
	}
}

var tokens = csrf.Config{Token: true}

func TestATokenOfTheSessionIsWantedInHeaderOrForm(t *testing.T) {
	v := newVisitor(t, sess.Config{}, tokens)
	_, token := v.send("GET", "/form", nil)
	v.want("none", "/pay", nil, 403, csrf.ErrToken.Error())
	if got := v.header.Peek("Cache-Control"); string(got) != "no-store" {
		t.Errorf("the refusal: got Cache-Control %q, want no-store", got)
	}
	v.want("in a header", "/pay", inHeader(token), 200, "paid")
	v.want("in a form", "/pay", inForm(token), 200, "paid")
	v.want("in a form with files", "/pay", inMultipart(token), 200, "paid")
	v.want("in the address", "/pay?csrf="+token, nil, 403, csrf.ErrToken.Error())
	v.want("another text", "/pay", inHeader(token[1:]+token[:1]), 403, csrf.ErrToken.Error())
	_, other := newVisitor(t, sess.Config{}, tokens).send("GET", "/form", nil)
	v.want("of another session", "/pay", inHeader(other), 403, csrf.ErrToken.Error())
	if status, _ := v.send("GET", "/look", nil); status != 200 {
		t.Errorf("a GET without a token: got status %d, want 200", status)
	}
}

func TestNoTwoTokensAreTheSame(t *testing.T) {
	v := newVisitor(t, sess.Config{}, tokens)
	seen := map[string]bool{}
	for range 10 {
		_, token := v.send("GET", "/form", nil)
		if seen[token] || token == "" {
			t.Errorf("got an empty token or one that came before, want another each time")
		}
		seen[token] = true
	}
	for token := range seen {
		v.want("each of them", "/pay", inHeader(token), 200, "paid")
	}
}

func TestALoginEndsTheTokensBeforeIt(t *testing.T) {
	v := newVisitor(t, sess.Config{}, tokens)
	_, before := v.send("GET", "/form", nil)
	v.want("the login with its token", "/login", inHeader(before), 200, "in")
	v.want("the old token", "/pay", inHeader(before), 403, csrf.ErrToken.Error())
	_, after := v.send("GET", "/form", nil)
	v.want("a new token", "/pay", inHeader(after), 200, "paid")
	v.want("the logout", "/logout", inHeader(after), 200, "out")
}

func TestAVisitorWithoutASessionNeedsNoTokenAndGetsNoSession(t *testing.T) {
	v := newVisitor(t, sess.Config{}, tokens)
	if v.send("GET", "/look", nil); len(v.cookies) != 0 {
		t.Errorf("a page without a token: got %d cookies, want none", len(v.cookies))
	}
	v.want("a form", "/pay", nil, 200, "paid")
	if len(v.cookies) != 0 {
		t.Errorf("a form: got %d cookies, want none", len(v.cookies))
	}
	if v.send("GET", "/form", nil); len(v.cookies) != 2 {
		t.Errorf("a page with a token: got %d cookies, want a session's two", len(v.cookies))
	}
}

func TestTheOriginIsCheckedBesidesTheToken(t *testing.T) {
	v := newVisitor(t, sess.Config{}, csrf.Config{Token: true, TrustedOrigins: []string{"https://pay.test"}})
	_, token := v.send("GET", "/form", nil)
	from := func(origin, token string) func(*fasthttp.Request) {
		return func(r *fasthttp.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Origin", origin)
			r.Header.Set("X-CSRF-Token", token)
		}
	}
	v.want("another origin, with a stolen token", "/pay", from("https://evil.test", token), 403, csrf.ErrOrigin.Error())
	v.want("a trusted origin, without one", "/pay", from("https://pay.test", ""), 200, "paid")
	v.want("no browser, without one", "/pay", func(r *fasthttp.Request) { r.Header.Del("Sec-Fetch-Site") }, 403, csrf.ErrToken.Error())
}

func TestATokenLeavesTheBodyToTheHandler(t *testing.T) {
	v := newVisitor(t, sess.Config{}, tokens)
	_, token := v.send("GET", "/form", nil)
	v.app.Post("/echo", func(c *fiber.Ctx) error { return c.SendString(c.FormValue("csrf")) })
	for name, prepare := range map[string]func(*fasthttp.Request){"form": inForm(token), "form with files": inMultipart(token)} {
		v.want(name, "/echo", prepare, 200, token)
	}
}

func TestWithoutASessionMiddlewareTokensAreRefusedAtOnce(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	p := protection(t, tokens)
	for range 2 {
		err := p.Check(read(t, request{method: "POST", site: "same-origin"}.wire(asIs)))
		if !errors.Is(err, sess.ErrReleased) || err.Error() != "Internal Server Error" {
			t.Errorf("got %v, want ErrReleased, of which a client sees the status alone", err)
		}
	}
	lines := strings.Count(log.String(), "register sess in front of csrf: app.Use(sess.New())")
	if want := map[bool]int{true: 0, false: 1}[toldOutside]; lines != want {
		t.Errorf("lines in the log: got %d, want %d, once per process", lines, want)
	}
	toldOutside = true
}

var toldOutside bool // by an earlier run of the test in this process

// failing is a store that cannot be reached once it is told to.
type failing struct {
	sess.Store
	down bool
}

func (f *failing) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	if f.down {
		return nil, errors.New("connection refused")
	}
	return f.Store.Get(ctx, id)
}

// A deferred session is loaded for its token. If that fails nobody knows whether there is one to protect.
func TestAFailingStoreLetsNoRequestPassWithoutItsToken(t *testing.T) {
	store := &failing{Store: sess.NewMemoryStore()}
	v := newVisitor(t, sess.Config{Store: store, Defer: true}, tokens)
	v.send("GET", "/form", nil)
	store.down = true
	if status, _ := v.send("POST", "/pay", nil); status != 503 || v.paid != 0 {
		t.Errorf("got status %d and %d payments, want 503 and none", status, v.paid)
	}
}
