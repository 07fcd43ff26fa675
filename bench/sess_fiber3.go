//go:build !base

package main

import (
	"strconv"

	"github.com/gofiber/fiber/v3"

	sess "github.com/fibersess/sess/fiberv3"
)

var sessFiber3 = []contestant{{
	id: "sess-fiber3-memory", name: "sess, Fiber v3, memory", bare: "fiber3",
	modules: []string{"github.com/fibersess/sess", "github.com/gofiber/fiber/v3"},
	open: func(string) (app, error) {
		return sessSessionFiber3(sess.Config{Store: sess.NewMemoryStore()})
	},
}}

// sessSessionFiber3 is sessSession with Fiber v3's kind of handler.
func sessSessionFiber3(config sess.Config) (app, error) {
	config.Keys = sess.Keys("a key of 32 bytes, for all alike")
	manager, err := sess.NewManager(config)
	if err != nil {
		return app{}, err
	}
	return routeFiber3(work[fiber.Handler]{
		login: func(values []field) fiber.Handler {
			return func(c fiber.Ctx) error {
				s := manager.From(c)
				for _, f := range values {
					sess.Set(s, f.key, f.value)
				}
				return sayOK3(c)
			}
		},
		read: func(c fiber.Ctx) error {
			s := manager.From(c)
			name, _ := sess.Get[string](s, "name")
			email, _ := sess.Get[string](s, "email")
			return sayProfile3(c, name, email)
		},
		count: func(c fiber.Ctx) error {
			sess.Update(manager.From(c), "count", func(n int, _ bool) int { return n + 1 })
			return sayOK3(c)
		},
		peek: func(c fiber.Ctx) error {
			n, _ := sess.Get[int](manager.From(c), "count")
			return c.SendString(strconv.Itoa(n))
		},
		create: func(c fiber.Ctx) error {
			sess.Set(manager.From(c), "name", profileName)
			return sayOK3(c)
		},
		anonymous: sayOK3,
	}, manager.Handle), nil
}
