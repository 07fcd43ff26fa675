package sess_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/csrf"
	"github.com/fibersess/sess/sesstest"
)

// check stands for the application's own look at a password.
func check(user, password string) (name string, ok bool) { return user, password == "secret" }

// A login with CSRF protection and a message for who mistyped, as in README.
func ExampleSession_Login() {
	app := fiber.New()
	app.Use(sess.New(sess.Hardened(sess.Keys("32 random bytes, from a secret..")...)))
	app.Use(csrf.New())

	app.Post("/login", func(c *fiber.Ctx) error {
		user, ok := check(c.FormValue("user"), c.FormValue("password"))
		s := sess.From(c)
		if !ok {
			sess.AddFlash(s, "Wrong name or password.")
			return c.Redirect("/login", fiber.StatusSeeOther)
		}
		s.Login(user)
		return c.Redirect("/", fiber.StatusSeeOther)
	})
	app.Get("/login", func(c *fiber.Ctx) error {
		messages, err := sess.Flashes[string](sess.From(c))
		if err != nil {
			return err
		}
		return c.SendString(fmt.Sprint("log in ", messages))
	})
	app.Get("/", func(c *fiber.Ctx) error {
		user, ok := sess.From(c).User()
		if !ok {
			return c.Redirect("/login", fiber.StatusSeeOther)
		}
		return c.SendString("Hello " + user)
	})
	app.Post("/logout", func(c *fiber.Ctx) error {
		sess.From(c).Destroy()
		return c.Redirect("/login", fiber.StatusSeeOther)
	})

	client := sesstest.NewClient(app)
	fmt.Println(text(client.PostForm("/login", url.Values{"user": {"ann"}, "password": {"secrte"}})))
	fmt.Println(text(client.PostForm("/login", url.Values{"user": {"ann"}, "password": {"secret"}})))
	fmt.Println(text(client.PostForm("/logout", nil)))
	fmt.Println(text(client.Get("/")))
	// Output:
	// 200 log in [Wrong name or password.]
	// 200 Hello ann
	// 200 log in []
	// 200 log in []
}

// Remember me: whoever ticked the box stays for 30 days, everybody else until the browser is closed or a day has passed.
func ExampleSession_Remember() {
	const month = 30 * 24 * time.Hour
	app := fiber.New()
	app.Use(sess.New(sess.Config{TTL: 24 * time.Hour, Rolling: true, Lifetime: month}))
	app.Post("/login", func(c *fiber.Ctx) error {
		s := sess.From(c)
		s.Login(c.FormValue("user"))
		if c.FormValue("remember") != "" {
			return s.Remember(month)
		}
		return nil
	})

	for _, form := range []url.Values{{"user": {"ann"}}, {"user": {"ann"}, "remember": {"yes"}}} {
		res, err := sesstest.NewClient(app).PostForm("/login", form)
		if err != nil {
			fmt.Println(err)
			return
		}
		c := res.Cookies()[0]
		fmt.Println(!c.Expires.IsZero() || c.MaxAge > 0)
	}
	// Output:
	// false
	// true
}

// What is sensitive asks for the password again: 401 without a user, 403 if the login is older than ten minutes. An
// ErrorHandler makes pages of both.
func ExampleRequireLogin() {
	m, err := sess.NewManager(sess.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	app := fiber.New(fiber.Config{ErrorHandler: func(c *fiber.Ctx, err error) error {
		switch {
		case errors.Is(err, sess.ErrLoginRequired):
			return c.Status(fiber.StatusUnauthorized).SendString("log in")
		case errors.Is(err, sess.ErrLoginTooOld):
			return c.Status(fiber.StatusForbidden).SendString("enter your password again")
		}
		return fiber.DefaultErrorHandler(c, err)
	}})
	app.Use(m.Handle)
	app.Get("/strict", sess.RequireLogin(time.Nanosecond), func(c *fiber.Ctx) error { return c.SendString("shown") })
	app.Post("/email", sess.RequireLogin(10*time.Minute), func(c *fiber.Ctx) error { return c.SendString("changed") })

	fmt.Println(text(sesstest.NewClient(app).PostForm("/email", nil)))
	app.Post("/login", func(c *fiber.Ctx) error {
		sess.From(c).Login("ann")
		return nil
	})
	client := sesstest.NewClient(app)
	text(client.PostForm("/login", nil))
	fmt.Println(text(client.PostForm("/email", nil)))
	time.Sleep(time.Millisecond)
	fmt.Println(text(client.Get("/strict")))
	// Output:
	// 401 log in
	// 200 changed
	// 403 enter your password again
}

// A page that shows more to a user who has just logged in, and less to everybody else.
func ExampleSession_CheckLogin() {
	app := fiber.New()
	app.Use(sess.New())
	app.Post("/login", func(c *fiber.Ctx) error {
		sess.From(c).Login("ann")
		return nil
	})
	app.Get("/card", func(c *fiber.Ctx) error {
		switch err := sess.From(c).CheckLogin(10 * time.Minute); {
		case err == nil:
			return c.SendString("4929 1234 5678 9012")
		case errors.Is(err, sess.ErrLoginRequired), errors.Is(err, sess.ErrLoginTooOld):
			return c.SendString("•••• 9012")
		default: // The session could not be read.
			return err
		}
	})

	client := sesstest.NewClient(app)
	fmt.Println(text(client.Get("/card")))
	text(client.PostForm("/login", nil))
	fmt.Println(text(client.Get("/card")))
	// Output:
	// 200 •••• 9012
	// 200 4929 1234 5678 9012
}

// Log out everywhere else.
func ExampleUser_EndOthers() {
	m, err := sess.NewManager(sess.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	app := fiber.New()
	app.Use(m.Handle)
	app.Post("/login", func(c *fiber.Ctx) error {
		sess.From(c).Login("ann")
		return nil
	})
	app.Get("/", func(c *fiber.Ctx) error {
		_, ok := sess.From(c).User()
		return c.SendString(fmt.Sprint(ok))
	})
	app.Post("/others", func(c *fiber.Ctx) error {
		n, err := m.User("ann").EndOthers(context.Background(), sess.From(c))
		if err != nil {
			return err
		}
		return c.SendString(fmt.Sprint(n))
	})

	telephone, laptop := sesstest.NewClient(app), sesstest.NewClient(app)
	text(telephone.PostForm("/login", nil))
	text(laptop.PostForm("/login", nil))
	fmt.Println(text(laptop.PostForm("/others", nil)))
	fmt.Println(text(telephone.Get("/")))
	fmt.Println(text(laptop.Get("/")))
	// Output:
	// 200 1
	// 200 false
	// 200 true
}

// Sessions of another library go on. Here they are in a map, by the value of the cookie "old".
func ExampleConfig_adopt() {
	old := map[string]string{"4711": "ann"}
	app := fiber.New()
	app.Use(sess.New(sess.Config{
		Adopt: func(ctx *fasthttp.RequestCtx) (user string, values map[string]any, ok bool) {
			id := string(ctx.Request.Header.Cookie("old"))
			user, ok = old[id]
			delete(old, id) // in one step with the look, in a real store
			return user, nil, ok
		},
	}))
	app.Get("/", func(c *fiber.Ctx) error {
		user, _ := sess.From(c).User()
		return c.SendString("Hello " + user)
	})

	client := sesstest.NewClient(app)
	client.Jar.SetCookies(&url.URL{Path: "/"}, []*http.Cookie{{Name: "old", Value: "4711"}})
	fmt.Println(text(client.Get("/")))
	fmt.Println(text(client.Get("/")), len(old))
	// Output:
	// 200 Hello ann
	// 200 Hello ann 0
}
