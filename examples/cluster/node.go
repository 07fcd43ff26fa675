package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/fibersess/sess"
	"github.com/gofiber/fiber/v2"
	"github.com/redis/rueidis"
)

// maxStale is how old a session may be that another node has changed, on every route without sess.Strict.
const maxStale = time.Second

// newApp is what each node runs, and what to copy: nothing in it knows of the other nodes. They have the Redis and the
// key in common.
func newApp(name string, store sess.Store, key string) (*fiber.App, error) {
	sessions, err := sess.NewManager(sess.Config{
		Store: store,
		Keys:  sess.Keys(key),
		// Over https, name it "__Host-sid" and add Secure: sess.SecureAlways, so that no other host of the domain can
		// set it. Here it is plain http, from which a browser takes no such cookie.
		Cookie:  sess.Cookie{Name: "sid", MaxAge: 24 * time.Hour},
		Rolling: true,
	})
	if err != nil {
		return nil, err
	}
	app := fiber.New(fiber.Config{
		DisableStartupMessage: true,
		// The balancer says by X-Forwarded-Proto whether the browser speaks https, and the cookie is Secure if so.
		EnableTrustedProxyCheck: true,
		TrustedProxies:          []string{"127.0.0.1"},
	})
	app.Use(func(c *fiber.Ctx) error {
		c.Set("X-Node", name)
		return c.Next()
	})
	app.Use(sessions.Handle)
	app.Post("/login", login)
	app.Post("/logout", logout)
	app.Post("/end", func(c *fiber.Ctx) error {
		user, _ := sess.From(c).User()
		n, err := sessions.User(user).EndAll(c.UserContext())
		if err != nil {
			return err
		}
		return c.SendString(fmt.Sprintln("ended", n))
	})
	app.Get("/me", me)                 // from this node's memory: another node's logout shows within maxStale
	app.Get("/admin", sess.Strict, me) // asks Redis each time: another node's logout shows at once
	return app, nil
}

// login begins a session for user. A real one asks for more than a name.
func login(c *fiber.Ctx) error {
	sess.From(c).Login(c.FormValue("user")) // new id, new session
	return me(c)
}

func logout(c *fiber.Ctx) error {
	sess.From(c).Destroy()
	return c.SendString("logged out\n")
}

// me says who is logged in.
func me(c *fiber.Ctx) error {
	user, ok := sess.From(c).User()
	if !ok {
		return c.Status(fiber.StatusUnauthorized).SendString("not logged in\n")
	}
	return c.SendString(user + "\n")
}

// serveNode runs a node until ctx ends.
func serveNode(ctx context.Context, name string) error {
	option, err := redisOption(os.Getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	store, err := sess.NewRueidisStore(option, sess.RueidisConfig{MaxStale: maxStale})
	if err != nil {
		return err
	}
	defer store.Close()
	app, err := newApp(name, store, os.Getenv("SESSION_KEY"))
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = app.ShutdownWithTimeout(time.Second) })
	announce(l.Addr().String())
	return app.Listener(l)
}

// redisOption returns what a REDIS_URL stands for. The error does not repeat it, since it may hold a password.
func redisOption(url string) (rueidis.ClientOption, error) {
	option, err := rueidis.ParseURL(url)
	if err != nil {
		return option, fmt.Errorf("REDIS_URL: got no URL of a Redis; want one like redis://user:password@host:6379")
	}
	return option, nil
}
