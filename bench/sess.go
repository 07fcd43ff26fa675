package main

import (
	"strconv"
	"sync/atomic"

	"github.com/fibersess/sess"
	"github.com/gofiber/fiber/v2"
	"github.com/redis/rueidis"
)

func sessContestants() []contestant {
	return append([]contestant{sessMemory, sessRedis}, sessFiber3...)
}

var sessMemory = contestant{
	id: "sess-memory", name: "sess, memory", bare: "fiber",
	modules: []string{"github.com/fibersess/sess", "github.com/gofiber/fiber/v2"},
	open: func(string) (app, error) {
		return sessSession(sess.Config{Store: sess.NewMemoryStore()})
	},
}

var sessRedis = contestant{
	id: "sess-redis", name: "sess, Redis", bare: "fiber", redis: true,
	modules: []string{"github.com/fibersess/sess", "github.com/redis/rueidis"},
	open: func(address string) (app, error) {
		store, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{address}})
		if err != nil {
			return app{}, err
		}
		return sessSession(sess.Config{Store: store})
	},
}

// sessSession signs its cookies with HMAC-SHA-256, the default.
func sessSession(config sess.Config) (app, error) {
	config.Keys = sess.Keys("a key of 32 bytes, for all alike")
	manager, err := sess.NewManager(config)
	if err != nil {
		return app{}, err
	}
	var written atomic.Int64
	return routeFiber(work[fiber.Handler]{
		login: func(values []field) fiber.Handler {
			return func(c *fiber.Ctx) error {
				s := manager.From(c)
				for _, f := range values {
					sess.Set(s, f.key, f.value)
				}
				return sayOK(c)
			}
		},
		read: func(c *fiber.Ctx) error {
			s := manager.From(c)
			name, _ := sess.Get[string](s, "name")
			email, _ := sess.Get[string](s, "email")
			return sayProfile(c, name, email)
		},
		count: func(c *fiber.Ctx) error {
			sess.Update(manager.From(c), "count", func(n int, _ bool) int { return n + 1 })
			return sayOK(c)
		},
		peek: func(c *fiber.Ctx) error {
			n, _ := sess.Get[int](manager.From(c), "count")
			return c.SendString(strconv.Itoa(n))
		},
		create: func(c *fiber.Ctx) error {
			sess.Set(manager.From(c), "name", profileName)
			return sayOK(c)
		},
		anonymous: sayOK,
		more: map[string]fiber.Handler{write.path: func(c *fiber.Ctx) error {
			sess.Set(manager.From(c), "count", int(written.Add(1)))
			return sayOK(c)
		}},
	}, manager.Handle), nil
}
