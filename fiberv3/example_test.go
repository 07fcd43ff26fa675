package sess_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	fiber2 "github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	sess "github.com/fibersess/sess/fiberv3"
	"github.com/fibersess/sess/sesstest"
)

// text returns the status and the body of a response, for the examples.
func text(res *http.Response, err error) string {
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(res.StatusCode, " ", string(body))
}

func ExampleNew() {
	app := fiber.New()
	app.Use(sess.New())
	app.Get("/", func(c fiber.Ctx) error {
		s := sess.From(c)
		views, _ := sess.Get[int](s, "views")
		sess.Set(s, "views", views+1)
		return c.JSON(views + 1)
	})

	client := sesstest.NewClient(app) // a browser
	fmt.Println(text(client.Get("/")))
	fmt.Println(text(client.Get("/")))
	// Output:
	// 200 1
	// 200 2
}

func ExampleFrom() {
	app := fiber.New()
	app.Use(sess.New())
	app.Post("/login", func(c fiber.Ctx) error {
		sess.From(c).Login("ann") // behind the check of a password
		return nil
	})
	app.Get("/", func(c fiber.Ctx) error {
		user, ok := sess.From(c).User()
		if !ok {
			return fiber.ErrUnauthorized
		}
		return c.SendString("Hello " + user)
	})

	client := sesstest.NewClient(app)
	fmt.Println(text(client.Get("/")))
	text(client.Post("/login", "", nil))
	fmt.Println(text(client.Get("/")))
	// Output:
	// 401 Unauthorized
	// 200 Hello ann
}

// One Manager in a program that has handlers on both versions of Fiber.
func ExampleManager() {
	m, err := sess.NewManager(sess.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	app := fiber.New()
	app.Use(m.Handle)
	app.Get("/count", func(c fiber.Ctx) error {
		n := 0
		sess.Update(m.From(c), "n", func(old int, _ bool) int { n = old + 1; return n })
		return c.JSON(n)
	})
	old := fiber2.New()
	old.Use(m.Manager.Handle) // Manager.Manager is that of the package for Fiber v2.
	old.Get("/old/count", func(c *fiber2.Ctx) error {
		n, _ := sess.Get[int](m.Manager.From(c), "n")
		return c.JSON(n)
	})

	serve, serveOld := app.Handler(), old.Handler()
	moving := sesstest.Handler(func(ctx *fasthttp.RequestCtx) {
		if strings.HasPrefix(string(ctx.Path()), "/old/") {
			serveOld(ctx)
			return
		}
		serve(ctx)
	})
	client := sesstest.NewClient(moving)
	fmt.Println(text(client.Get("/count")))
	fmt.Println(text(client.Get("/old/count")))
	// Output:
	// 200 1
	// 200 1
}
