package sess_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// client is a browser that calls the app without a network: a jar of cookies, and the sequence of calls that a fasthttp
// server makes of one request.
type client struct {
	handler fasthttp.RequestHandler
	jar     map[string]string
}

// response is what a client was answered.
type response struct {
	status    int
	body      string
	setCookie []string
}

func newClient(app *fiber.App) *client {
	return &client{handler: app.Handler(), jar: map[string]string{}}
}

// twin is another window of the same browser: it has the cookies of now, and keeps its own from here on.
func (c *client) twin() *client {
	jar := map[string]string{}
	for name, value := range c.jar {
		jar[name] = value
	}
	return &client{handler: c.handler, jar: jar}
}

// holding returns a client of the app that presents id, correctly signed with clientKey.
func (c *client) holding(id string) *client {
	return &client{handler: c.handler, jar: map[string]string{"koa.sid": id, "koa.sid.sig": signature(id)}}
}

// send sends one request and leaves its context as it is then.
func (c *client) send(ctx *fasthttp.RequestCtx, uri string) {
	ctx.Request.SetRequestURI(uri)
	for name, value := range c.jar {
		ctx.Request.Header.SetCookie(name, value)
	}
	c.handler(ctx)
}

// get sends one request and resets its context, as the server does when the response has left.
func (c *client) get(uri string) response {
	var ctx fasthttp.RequestCtx
	c.send(&ctx, uri)
	r := response{status: ctx.Response.StatusCode(), body: string(ctx.Response.Body())}
	for name, line := range ctx.Response.Header.Cookies() {
		r.setCookie = append(r.setCookie, string(line))
		value, _, _ := strings.Cut(strings.TrimPrefix(string(line), string(name)+"="), ";")
		if c.jar[string(name)] = value; value == "" {
			delete(c.jar, string(name))
		}
	}
	ctx.Response.Reset()
	ctx.ResetUserValues()
	ctx.Request.Reset()
	return r
}

// id is the session id in the jar.
func (c *client) id() string { return c.jar["koa.sid"] }

// clientKey signs the sessions of these tests.
const clientKey = "a key of these tests, 32 bytes.."

// signature is what the second cookie of id must hold.
func signature(id string) string {
	mac := hmac.New(sha256.New, []byte(clientKey))
	mac.Write([]byte("koa.sid=" + id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// serveApp lets app listen on loopback until the test ends.
func serveApp(t *testing.T, app *fiber.App) (base string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = app.Listener(ln)
	}()
	t.Cleanup(func() {
		_ = app.Shutdown()
		<-served
	})
	return "http://" + ln.Addr().String()
}

// newHTTPClient is an HTTP client with a jar that keeps to one connection.
func newHTTPClient(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxConnsPerHost: 1}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}

// fetch sends one request over HTTP.
func fetch(t *testing.T, browser *http.Client, url string) response {
	t.Helper()
	res, err := browser.Get(url)
	if err != nil {
		t.Errorf("GET: got the error %v, want a response", err)
		return response{}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("GET: reading the body: got the error %v, want none", err)
	}
	return response{res.StatusCode, string(body), res.Header.Values("Set-Cookie")}
}

// wantReply checks status and body.
func wantReply(t *testing.T, what string, got response, status int, body string) {
	t.Helper()
	if got.status != status || got.body != body {
		t.Errorf("%s: got %d %q, want %d %q", what, got.status, got.body, status, body)
	}
}

// wantNoCookie checks that the response leaves the client's cookies alone.
func wantNoCookie(t *testing.T, what string, got response) {
	t.Helper()
	if len(got.setCookie) != 0 {
		t.Errorf("%s: got %d Set-Cookie lines, want none", what, len(got.setCookie))
	}
}

// routes are the handlers of an app, each by its path without the slash.
type routes = map[string]func(c *fiber.Ctx, s sess.Session) error

// routed is an app whose path /name runs the handler of that name behind the session middleware.
func routed(config sess.Config, handlers routes) *fiber.App {
	if config.Store == nil {
		config.Store = sess.NewMemoryStore()
	}
	config.Keys = sess.Keys(clientKey)
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(named, sess.New(config))
	for name, handler := range handlers {
		app.Get("/"+name, func(c *fiber.Ctx) error { return handler(c, sess.From(c)) })
	}
	app.Get("/login", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "user", c.Query("user", "ann"))
		return nil
	})
	app.Get("/logout", func(c *fiber.Ctx) error {
		sess.From(c).Destroy()
		return nil
	})
	app.Get("/exists", func(c *fiber.Ctx) error { return c.SendString(fmt.Sprint(sess.From(c).Exists())) })
	app.Get("/user", func(c *fiber.Ctx) error {
		user, _ := sess.Get[string](sess.From(c), "user")
		return c.SendString(user)
	})
	return app
}

// lateActs are what a request can do with a session that another request ends.
var lateActs = routes{
	"set": func(_ *fiber.Ctx, s sess.Session) error {
		sess.Set(s, "late", true)
		return nil
	},
	"update": func(_ *fiber.Ctx, s sess.Session) error {
		sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
		return nil
	},
	"take": func(_ *fiber.Ctx, s sess.Session) error {
		_, _, err := sess.Take[string](s, "user")
		return err
	},
	"touch": func(*fiber.Ctx, sess.Session) error { return nil },
	"clear": func(_ *fiber.Ctx, s sess.Session) error {
		s.Clear()
		return nil
	},
	"setcookie": func(_ *fiber.Ctx, s sess.Session) error {
		cookie := s.Cookie()
		cookie.MaxAge = time.Hour
		return s.SetCookie(cookie)
	},
	"forcesave": func(_ *fiber.Ctx, s sess.Session) error {
		s.ForceSave()
		return nil
	},
	"save": func(_ *fiber.Ctx, s sess.Session) error {
		sess.Set(s, "late", true)
		return s.Save()
	},
	"regenerate": func(_ *fiber.Ctx, s sess.Session) error {
		s.Regenerate()
		return nil
	},
}

// rolling is a configuration in which every request writes.
func rolling(store sess.Store) sess.Config {
	return sess.Config{Store: store, TTL: time.Hour, Rolling: true, RollingAlways: true}
}
