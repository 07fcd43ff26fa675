package main

import (
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/session"
	"github.com/gofiber/storage/redis/v3"
)

var fiberMemory = contestant{
	id: "fiber-memory", name: "Fiber v2 session, memory", bare: "fiber",
	lacks:   []string{noMiddleware, noSignature, noMerge},
	modules: []string{"github.com/gofiber/fiber/v2"},
	open:    func(string) (app, error) { return fiberSession(session.New()), nil },
}

var fiberRedis = contestant{
	id: "fiber-redis", name: "Fiber v2 session, Redis", bare: "fiber", redis: true,
	lacks:   []string{noMiddleware, noSignature, noMerge},
	modules: []string{"github.com/gofiber/fiber/v2", "github.com/gofiber/storage/redis/v3"},
	open: func(address string) (app, error) {
		storage := redis.New(redis.Config{URL: "redis://" + address, PoolSize: redisPool})
		return fiberSession(session.New(session.Config{Storage: storage})), nil
	},
}

// fiberSession saves only where it changed something: Fiber's session has no middleware that would do more.
func fiberSession(store *session.Store) app {
	change := func(f func(s *session.Session)) fiber.Handler {
		return func(c *fiber.Ctx) error {
			s, err := store.Get(c)
			if err != nil {
				return err
			}
			f(s)
			if err := s.Save(); err != nil {
				return err
			}
			return sayOK(c)
		}
	}
	return routeFiber(work[fiber.Handler]{
		login: func(values []field) fiber.Handler {
			return change(func(s *session.Session) {
				for _, f := range values {
					s.Set(f.key, f.value)
				}
			})
		},
		read: func(c *fiber.Ctx) error {
			s, err := store.Get(c)
			if err != nil {
				return err
			}
			name, _ := s.Get("name").(string)
			email, _ := s.Get("email").(string)
			return sayProfile(c, name, email)
		},
		count: change(func(s *session.Session) { s.Set("count", asInt(s.Get("count"))+1) }),
		peek: func(c *fiber.Ctx) error {
			s, err := store.Get(c)
			if err != nil {
				return err
			}
			return c.SendString(strconv.Itoa(asInt(s.Get("count"))))
		},
		create:    change(func(s *session.Session) { s.Set("name", profileName) }),
		anonymous: sayOK,
	})
}
