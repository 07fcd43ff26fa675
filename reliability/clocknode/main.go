// Clocknode is a node of a site as a process of its own. The tests of clocks build it with another package time, which
// reads from the environment how far the clock of this node is off.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/fibersess/sess"
	"github.com/gofiber/fiber/v2"
	"github.com/redis/rueidis"
)

func main() {
	redis := flag.String("redis", "", "host:port of the server")
	key := flag.String("key", "", "signs the cookies")
	ttl := flag.Duration("ttl", time.Hour, "how long a session lives")
	near := flag.Bool("near", true, "whether there is a near cache")
	flag.Parse()

	store, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{*redis}}, sess.RueidisConfig{NoNearCache: !*near})
	if err != nil {
		log.Fatal(err)
	}
	m, err := sess.NewManager(sess.Config{Store: store, Keys: sess.Keys(*key), TTL: *ttl})
	if err != nil {
		log.Fatal(err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(m.Handle)
	app.Get("/login", func(c *fiber.Ctx) error {
		s := sess.From(c)
		s.Clear()
		s.Regenerate()
		sess.Set(s, "user", c.Query("user"))
		return nil
	})
	app.Get("/read", func(c *fiber.Ctx) error {
		user, ok := sess.Get[string](sess.From(c), "user")
		if !ok {
			return c.SendStatus(http.StatusUnauthorized)
		}
		return c.SendString(user)
	})
	app.Get("/hit", func(c *fiber.Ctx) error {
		s := sess.From(c)
		if !s.Has("user") {
			return c.SendStatus(http.StatusUnauthorized)
		}
		sess.Update(s, "hits", func(n int, _ bool) int { return n + 1 })
		return nil
	})
	app.Get("/renew", func(c *fiber.Ctx) error {
		s := sess.From(c)
		if !s.Has("user") {
			return c.SendStatus(http.StatusUnauthorized)
		}
		s.Regenerate()
		return nil
	})
	app.Get("/logout", func(c *fiber.Ctx) error { sess.From(c).Destroy(); return nil })
	app.Get("/clock", func(c *fiber.Ctx) error { return c.SendString(fmt.Sprint(time.Now().UnixMilli())) })

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { // The test is over when it closes our input.
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(l.Addr())
	log.Fatal(app.Listener(l))
}
