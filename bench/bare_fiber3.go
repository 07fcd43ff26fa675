package main

import (
	"net"

	"github.com/gofiber/fiber/v3"
)

var bareFiber3 = contestant{
	id: "fiber3", name: "bare Fiber v3", bare: "fiber3",
	modules: []string{"github.com/gofiber/fiber/v3", "github.com/valyala/fasthttp"},
	open: func(string) (app, error) {
		return routeFiber3(work[fiber.Handler]{
			login: func([]field) fiber.Handler {
				return func(c fiber.Ctx) error {
					for _, cookie := range bareCookies() {
						c.Response().Header.Add("Set-Cookie", cookie)
					}
					return sayOK3(c)
				}
			},
			read:      func(c fiber.Ctx) error { return sayProfile3(c, profileName, profileEmail) },
			count:     sayOK3,
			peek:      func(c fiber.Ctx) error { return c.SendString("0") },
			create:    sayOK3,
			anonymous: sayOK3,
		}), nil
	},
}

// routeFiber3 is an app of Fiber v3 handlers behind the given middleware.
func routeFiber3(w work[fiber.Handler], middleware ...fiber.Handler) app {
	fiberApp := fiber.New()
	for _, m := range middleware {
		fiberApp.Use(m)
	}
	for path, handler := range w.routes() {
		fiberApp.Get(path, handler)
	}
	return fasthttpApp(fiberApp.Handler(), func(ln net.Listener) error {
		return fiberApp.Listener(ln, fiber.ListenConfig{DisableStartupMessage: true})
	})
}

func sayOK3(c fiber.Ctx) error { return c.SendString("ok") }

func sayProfile3(c fiber.Ctx, name, email string) error {
	c.WriteString(name)
	c.WriteString("\n")
	c.WriteString(email)
	return nil
}
