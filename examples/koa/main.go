// Command koa is one web application of two halves that share their sessions: a Koa app under /koa/ and a Fiber app
// under /go/. Both are started by
//
//	go run ./examples/koa
//
// which needs Node with npm, and redis-server unless -redis names a Redis. A page on which to click is at the address
// it prints.
package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/examples/web"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/proxy"
	"github.com/redis/rueidis"
)

//go:embed page.html
var page string

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on")
	redis := flag.String("redis", "", "`host:port` of a Redis 6.2 or later (default: start one)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *redis); err != nil {
		fmt.Fprintln(os.Stderr, "examples/koa:", err)
		os.Exit(1)
	}
}

// run serves both halves until ctx ends.
func run(ctx context.Context, addr, redis string) error {
	var procs processes
	defer procs.stop()
	if redis == "" {
		var err error
		if redis, err = procs.startRedis(); err != nil {
			return err
		}
	}
	keys := []string{rand.Text(), rand.Text()} // a real application reads its keys from where Koa does
	koa, err := procs.startKoa(redis, keys)
	if err != nil {
		return err
	}
	app, store, err := newApp(redis, keys, koa)
	if err != nil {
		return err
	}
	defer store.Close()
	go func() {
		<-ctx.Done()
		_ = app.ShutdownWithTimeout(time.Second) // browsers keep their connections open
	}()
	fmt.Printf("Koa under http://%[1]s/koa/ and Fiber under http://%[1]s/go/ share their sessions; click at http://%[1]s/\n", addr)
	return app.Listen(addr)
}

// newApp returns the Fiber half, which hands everything under /koa/ to the Koa half at the address koa.
func newApp(redis string, keys []string, koa string) (*fiber.App, *sess.RueidisStore, error) {
	store, err := sess.NewRueidisStore(
		rueidis.ClientOption{InitAddress: []string{redis}},
		sess.RueidisConfig{Koa: true},
	)
	if err != nil {
		return nil, nil, err
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	web.Use(app)
	app.Get("/", func(c *fiber.Ctx) error { return c.Type("html").SendString(page) })

	// Before the session middleware: of two middlewares that answer one request each would set the cookie.
	app.All("/koa/*", func(c *fiber.Ctx) error {
		return proxy.Do(c, "http://"+koa+strings.TrimPrefix(c.OriginalURL(), "/koa"))
	})

	half := app.Group("/go", sess.New(sess.Config{
		Store:  store,
		Keys:   sess.Keys(keys...),
		Cookie: sess.Cookie{MaxAge: 24 * time.Hour}, // what koa-generic-session does unless told otherwise
		Koa:    true,
	}))
	half.Get("/", show)
	half.Get("/record", record(store))
	half.Post("/count", func(c *fiber.Ctx) error {
		sess.Update(sess.From(c), "count", func(n int, _ bool) int { return n + 1 })
		return show(c)
	})
	half.Post("/login", func(c *fiber.Ctx) error {
		s := sess.From(c)
		s.Login(c.Query("name"))             // new id. sess counts it as this user's, with a proof that Koa's code cannot write
		sess.Set(s, "user", c.Query("name")) // where Koa looks
		return show(c)
	})
	half.Post("/logout", func(c *fiber.Ctx) error {
		sess.From(c).Destroy()
		return show(c)
	})
	return app, store, nil
}

// show answers with what is in the session.
func show(c *fiber.Ctx) error {
	s := sess.From(c)
	user, _ := sess.Get[string](s, "user")
	count, _ := sess.Get[int](s, "count")
	if err := s.Err(); err != nil {
		return err
	}
	c.Type("json")
	return c.SendString(fmt.Sprintf("{\"by\":\"Fiber\",\"user\":%q,\"count\":%d}\n", user, count))
}

// record answers with the session as it stands in Redis.
func record(store *sess.RueidisStore) fiber.Handler {
	return func(c *fiber.Ctx) error {
		s := sess.From(c)
		if !s.Exists() {
			return c.SendString("none\n")
		}
		r, err := store.Refresh(c.UserContext(), s.ID())
		if errors.Is(err, sess.ErrNotFound) {
			return c.SendString("none\n")
		}
		if err != nil {
			return err
		}
		return c.SendString(r.JSON() + "\n")
	}
}
