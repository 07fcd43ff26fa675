package sess_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/redis/rueidis"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
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
	app.Get("/", func(c *fiber.Ctx) error {
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

func ExampleGet() {
	app := fiber.New()
	app.Use(sess.New())
	app.Get("/", func(c *fiber.Ctx) error {
		s := sess.From(c)
		sess.Set(s, "age", 41)

		age, ok := sess.Get[int](s, "age")
		fmt.Println(age, ok)
		_, ok = sess.Get[string](s, "age") // it is no string
		fmt.Println(ok)
		_, ok = sess.Get[string](s, "name") // there is none
		fmt.Println(ok)
		return nil
	})
	text(sesstest.NewClient(app).Get("/"))
	// Output:
	// 41 true
	// false
	// false
}

func ExampleSet() {
	type item struct {
		ID, N int
	}
	app := fiber.New()
	app.Use(sess.New())
	app.Post("/cart", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "cart", []item{{ID: 7, N: 2}}) // any type that encoding/json can write
		return nil
	})
	app.Get("/cart", func(c *fiber.Ctx) error {
		cart, _ := sess.Get[[]item](sess.From(c), "cart")
		return c.SendString(fmt.Sprintf("%+v", cart))
	})

	client := sesstest.NewClient(app)
	text(client.Post("/cart", "", nil))
	fmt.Println(text(client.Get("/cart")))
	// Output: 200 [{ID:7 N:2}]
}

// Requests that count at the same time all count.
func ExampleUpdate() {
	app := fiber.New()
	app.Use(sess.New())
	app.Get("/", func(c *fiber.Ctx) error {
		n := 0
		sess.Update(sess.From(c), "hits", func(old int, _ bool) int {
			n = old + 1
			return n
		})
		return c.SendString(fmt.Sprint(n))
	})

	client := sesstest.NewClient(app)
	text(client.Get("/"))
	fmt.Println(text(client.Get("/")))
	// Output: 200 2
}

// A code that is good once: of several requests that bring it, one gets it.
func ExampleTake() {
	app := fiber.New()
	app.Use(sess.New())
	app.Get("/send", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "code", "4711")
		return nil
	})
	app.Get("/enter", func(c *fiber.Ctx) error {
		code, ok, err := sess.Take[string](sess.From(c), "code")
		if err != nil {
			return err
		}
		if !ok || c.Query("code") != code {
			return fiber.ErrForbidden
		}
		return c.SendString("welcome")
	})

	client := sesstest.NewClient(app)
	text(client.Get("/send"))
	fmt.Println(text(client.Get("/enter?code=4711")))
	fmt.Println(text(client.Get("/enter?code=4711")))
	// Output:
	// 200 welcome
	// 403 Forbidden
}

func ExampleSession_Destroy() {
	app := fiber.New()
	app.Use(sess.New())
	app.Get("/begin", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "cart", []int{7})
		return nil
	})
	app.Get("/logout", func(c *fiber.Ctx) error {
		sess.From(c).Destroy() // the record and the cookies
		return nil
	})
	app.Get("/", func(c *fiber.Ctx) error { return c.SendString(fmt.Sprint(sess.From(c).Exists())) })

	client := sesstest.NewClient(app)
	text(client.Get("/begin"))
	fmt.Println(text(client.Get("/")))
	text(client.Get("/logout"))
	fmt.Println(text(client.Get("/")))
	// Output:
	// 200 true
	// 200 false
}

func ExampleAddFlash() {
	app := fiber.New()
	app.Use(sess.New())
	app.Post("/save", func(c *fiber.Ctx) error {
		sess.AddFlash(sess.From(c), "Saved.")
		return c.Redirect("/", fiber.StatusSeeOther)
	})
	app.Get("/", func(c *fiber.Ctx) error {
		messages, err := sess.Flashes[string](sess.From(c))
		if err != nil {
			return err
		}
		return c.SendString(fmt.Sprint(messages))
	})

	client := sesstest.NewClient(app)
	fmt.Println(text(client.Post("/save", "", nil))) // the client follows the redirect
	fmt.Println(text(client.Get("/")))
	// Output:
	// 200 [Saved.]
	// 200 []
}

// A route behind Strict knows of a logout on another node at once.
func ExampleStrict() {
	app := fiber.New()
	app.Use(sess.New())
	app.Get("/admin", sess.Strict, func(c *fiber.Ctx) error {
		if !sess.From(c).Exists() {
			return fiber.ErrUnauthorized
		}
		return c.SendString("secrets")
	})
	fmt.Println(text(sesstest.NewClient(app).Get("/admin")))
	// Output: 401 Unauthorized
}

// Out after an hour without a request, and after a day in any case.
func ExampleHardened() {
	config := sess.Hardened(sess.Keys("32 random bytes, from a secret..")...)
	app := fiber.New()
	app.Use(sess.New(config))
	app.Get("/", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "n", 1)
		return nil
	})

	res, err := sesstest.NewClient(app).Get("/")
	if err != nil {
		fmt.Println(err)
		return
	}
	c := res.Cookies()[0]
	fmt.Println(c.Name, c.Secure, c.HttpOnly, config.TTL, config.Lifetime)
	// Output: __Host-sid true true 1h0m0s 24h0m0s
}

// A session that ends with the browser: the cookie has no end of its own, and the record ends a day after its last save.
func ExampleConfig_browserSession() {
	app := fiber.New()
	app.Use(sess.New(sess.Config{TTL: 24 * time.Hour}))
	app.Get("/", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "n", 1)
		return nil
	})

	res, err := sesstest.NewClient(app).Get("/")
	if err != nil {
		fmt.Println(err)
		return
	}
	c := res.Cookies()[0]
	fmt.Println(c.MaxAge, c.Expires.IsZero())
	// Output: 0 true
}

func ExampleManager_Wrap() {
	m, err := sess.NewManager(sess.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := m.Wrap(func(ctx *fasthttp.RequestCtx) { // for fasthttp.ListenAndServe
		s := sess.FromRequest(ctx)
		sess.Set(s, "n", 1)
		fmt.Fprint(ctx, "hello")
	})

	var ctx fasthttp.RequestCtx
	handler(&ctx)
	fmt.Println(string(ctx.Response.Body()))
	for name := range ctx.Response.Header.Cookies() {
		fmt.Println(string(name))
	}
	// Output:
	// hello
	// koa.sid
	// koa.sid.sig
}

func ExampleNewStorageStore() {
	storage := &mapStorage{} // any fiber.Storage, such as a driver of gofiber/storage
	app := fiber.New()
	app.Use(sess.New(sess.Config{
		Store: sess.NewStorageStore(storage, "sess:"),
		Keys:  sess.Keys("32 random bytes, from a secret.."),
	}))
	app.Get("/", func(c *fiber.Ctx) error {
		sess.Update(sess.From(c), "n", func(n int, _ bool) int { return n + 1 })
		n, _ := sess.Get[int](sess.From(c), "n")
		return c.SendString(fmt.Sprint(n))
	})

	client := sesstest.NewClient(app)
	text(client.Get("/"))
	fmt.Println(text(client.Get("/")))
	// Output: 200 2
}

// It needs a Redis at REDIS_ADDR, such as 127.0.0.1:6379.
func ExampleNewRueidisStore() {
	addr := os.Getenv("REDIS_ADDR")
	if addr == "" {
		fmt.Println("200 2")
		return
	}
	store, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{addr}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	app := fiber.New()
	app.Use(sess.New(sess.Config{Store: store, Keys: sess.Keys("32 random bytes, from a secret..")}))
	app.Get("/", func(c *fiber.Ctx) error {
		s := sess.From(c)
		n, _ := sess.Get[int](s, "n")
		sess.Set(s, "n", n+1)
		return c.SendString(fmt.Sprint(n + 1))
	})

	client := sesstest.NewClient(app)
	text(client.Get("/"))
	fmt.Println(text(client.Get("/")))
	// Output: 200 2
}

// Clients that are no browsers carry the session in a header.
func ExampleHeaderTransport() {
	app := fiber.New()
	app.Use(sess.New(sess.Config{Transport: sess.HeaderTransport("X-Session")}))
	app.Get("/", func(c *fiber.Ctx) error {
		s := sess.From(c)
		n, _ := sess.Get[int](s, "n")
		sess.Set(s, "n", n+1)
		return c.SendString(fmt.Sprint(n + 1))
	})

	client := sesstest.NewClient(app)
	res, err := client.Get("/")
	if err != nil {
		fmt.Println(err)
		return
	}
	req, _ := http.NewRequest(http.MethodGet, "/", nil)
	req.Header.Set("X-Session", res.Header.Get("X-Session"))
	fmt.Println(text(client.Do(req)))
	// Output: 200 2
}

func ExampleHooks() {
	app := fiber.New()
	app.Use(sess.New(sess.Config{
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), // hears of failures
		Hooks: sess.Hooks{
			Created:  func(e sess.Event) { fmt.Println("created") }, // e.ID prints as a hash
			Rejected: func(e sess.Event) { fmt.Println("rejected:", e.Reason) },
		},
	}))
	app.Get("/", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "n", 1)
		return nil
	})

	client := sesstest.NewClient(app)
	text(client.Get("/"))
	req, _ := http.NewRequest(http.MethodGet, "https://elsewhere.test/", nil)
	req.Header.Set("Cookie", "koa.sid=0123456789abcdef; koa.sid.sig=forged")
	text(client.Do(req))
	// Output:
	// created
	// rejected: signature
	// created
}

// Keys rotate without a restart. With several nodes add the new key behind the old one on each of them first.
func ExampleManager_SetKeys() {
	m, err := sess.NewManager(sess.Config{Keys: sess.Keys("the old key, 32 random bytes....")})
	if err != nil {
		fmt.Println(err)
		return
	}
	app := fiber.New()
	app.Use(m.Handle)
	app.Get("/", func(c *fiber.Ctx) error {
		s := sess.From(c)
		n, _ := sess.Get[int](s, "n")
		sess.Set(s, "n", n+1)
		return c.SendString(fmt.Sprint(n + 1))
	})
	client := sesstest.NewClient(app)
	text(client.Get("/"))

	if err := m.SetKeys(sess.Keys("the new key, 32 random bytes....", "the old key, 32 random bytes....")...); err != nil {
		fmt.Println(err)
	}
	fmt.Println(text(client.Get("/")), "by the old key:", m.Verified(1))
	fmt.Println(text(client.Get("/")), "by the new key:", m.Verified(0))
	// Output:
	// 200 2 by the old key: 1
	// 200 3 by the new key: 1
}

// served is what a router on fasthttp knows of a request: here, a proxy on this machine may say that the client came by https.
type served struct{ ctx *fasthttp.RequestCtx }

func (r served) Context() context.Context { return context.Background() }

func (r served) Secure() bool {
	return r.ctx.RemoteIP().IsLoopback() && string(r.ctx.Request.Header.Peek("X-Forwarded-Proto")) == "https"
}

// A router that is neither Fiber nor plain fasthttp: its handlers return errors, and it answers them.
func ExampleManager_Run() {
	m, err := sess.NewManager(sess.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	routes := map[string]func(ctx *fasthttp.RequestCtx) error{
		"/count": func(ctx *fasthttp.RequestCtx) error {
			n := 0
			sess.Update(m.FromRequest(ctx), "n", func(old int, _ bool) int { n = old + 1; return n })
			_, err := fmt.Fprint(ctx, n)
			return err
		},
		"/reserved": func(ctx *fasthttp.RequestCtx) error {
			sess.Set(m.FromRequest(ctx), "cookie", "a key that is reserved")
			return m.FromRequest(ctx).Save()
		},
	}
	serve := func(ctx *fasthttp.RequestCtx) {
		err := m.Run(ctx, served{ctx}, func() error {
			if handler, ok := routes[string(ctx.Path())]; ok {
				return handler(ctx)
			}
			ctx.SetStatusCode(fasthttp.StatusNotFound)
			return nil
		})
		if err != nil {
			status := fasthttp.StatusInternalServerError
			if e, ok := errors.AsType[*sess.Error](err); ok {
				status = e.Status()
			}
			ctx.SetStatusCode(status)
			ctx.SetBodyString(err.Error())
		}
	}

	client := sesstest.NewClient(sesstest.Handler(serve))
	fmt.Println(text(client.Get("/count")))
	fmt.Println(text(client.Get("/count")))
	fmt.Println(text(client.Get("/reserved")))
	// Output:
	// 200 1
	// 200 2
	// 500 Internal Server Error
}
