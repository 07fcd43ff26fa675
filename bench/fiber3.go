package main

import (
	"strconv"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/session"
)

// fiber3Memory uses the session as Fiber v3's documentation does, as middleware; it saves at the end of every request.
var fiber3Memory = contestant{
	id: "fiber3-memory", name: "Fiber v3 session, memory", bare: "fiber3",
	lacks:   []string{noSignature, noMerge},
	modules: []string{"github.com/gofiber/fiber/v3"},
	open: func(string) (app, error) {
		return routeFiber3(work[fiber.Handler]{
			login: func(values []field) fiber.Handler {
				return func(c fiber.Ctx) error {
					s := session.FromContext(c)
					for _, f := range values {
						s.Set(f.key, f.value)
					}
					return sayOK3(c)
				}
			},
			read: func(c fiber.Ctx) error {
				s := session.FromContext(c)
				name, _ := s.Get("name").(string)
				email, _ := s.Get("email").(string)
				return sayProfile3(c, name, email)
			},
			count: func(c fiber.Ctx) error {
				s := session.FromContext(c)
				s.Set("count", asInt(s.Get("count"))+1)
				return sayOK3(c)
			},
			peek: func(c fiber.Ctx) error {
				return c.SendString(strconv.Itoa(asInt(session.FromContext(c).Get("count"))))
			},
			create: func(c fiber.Ctx) error {
				session.FromContext(c).Set("name", profileName)
				return sayOK3(c)
			},
			anonymous: sayOK3,
		}, session.New()), nil
	},
}
