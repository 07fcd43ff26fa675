package sesstest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/sesstest"
)

// newApp counts visits, and remembers a user by a form.
func newApp() *fiber.App {
	app := fiber.New()
	app.Use(sess.New(sess.Hardened(sess.Keys("a key of these tests, 32 bytes..")...)))
	app.Get("/count", func(c *fiber.Ctx) error {
		s := sess.From(c)
		sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
		n, _ := sess.Get[int](s, "n")
		return c.SendString(fmt.Sprint(n))
	})
	app.Post("/login", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "user", c.FormValue("user"))
		return c.Redirect("/me", fiber.StatusSeeOther)
	})
	app.Get("/me", func(c *fiber.Ctx) error {
		user, _ := sess.Get[string](sess.From(c), "user")
		return c.SendString(user + " at " + c.Hostname())
	})
	return app
}

// wantBody checks the body of a response.
func wantBody(t *testing.T, what string, res *http.Response, err error, want string) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: got %v, want no error", what, err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != want {
		t.Errorf("%s: got %q and %v, want %q", what, body, err, want)
	}
}

func TestAClientKeepsSecureCookiesAndFollowsRedirects(t *testing.T) {
	app := newApp()
	client := sesstest.NewClient(app)
	for _, want := range []string{"1", "2"} {
		res, err := client.Get("/count")
		wantBody(t, "count", res, err, want)
	}
	res, err := client.PostForm("/login", url.Values{"user": {"ann"}})
	wantBody(t, "login", res, err, "ann at app.test")
	res, err = client.Get("https://elsewhere.test/count")
	wantBody(t, "another host", res, err, "1")
	res, err = sesstest.NewClient(app).Get("/count")
	wantBody(t, "another client", res, err, "1")
}

func TestAClientIsInFrontOfPlainFasthttpToo(t *testing.T) {
	m, err := sess.NewManager(sess.Config{})
	if err != nil {
		t.Fatal(err)
	}
	client := sesstest.NewClient(sesstest.Handler(m.Wrap(func(ctx *fasthttp.RequestCtx) {
		s := sess.FromRequest(ctx)
		sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
		n, _ := sess.Get[int](s, "n")
		fmt.Fprint(ctx, n, " at ", string(ctx.Host()))
	})))
	for _, want := range []string{"1 at app.test", "2 at app.test"} {
		res, err := client.Get("/")
		wantBody(t, "count", res, err, want)
	}
}

func TestCookiesAreALoggedInUsers(t *testing.T) {
	for name, config := range map[string]sess.Config{"default": {}, "hardened": sess.Hardened(sess.Keys("a key of these tests, 32 bytes..")...)} {
		m, err := sess.NewManager(config)
		if err != nil {
			t.Fatal(err)
		}
		app := fiber.New()
		app.Use(m.Handle)
		app.Get("/", func(c *fiber.Ctx) error {
			user, _ := sess.From(c).User()
			n, _ := sess.Get[int](sess.From(c), "n")
			return c.SendString(fmt.Sprint(user, " ", n))
		})
		client := sesstest.NewClient(app)
		client.Jar.SetCookies(&url.URL{Path: "/"}, sesstest.Cookies(t, m, "ann", map[string]any{"n": 7}))
		res, err := client.Get("/")
		wantBody(t, name+": ann's", res, err, "ann 7")

		client = sesstest.NewClient(app)
		client.Jar.SetCookies(&url.URL{Path: "/"}, sesstest.Cookies(t, m, "", map[string]any{"n": 8}))
		res, err = client.Get("/")
		wantBody(t, name+": nobody's", res, err, " 8")
	}
}
