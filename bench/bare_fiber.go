package main

import "github.com/gofiber/fiber/v2"

var bareFiber = contestant{
	id: "fiber", name: "bare Fiber v2", bare: "fiber",
	modules: []string{"github.com/gofiber/fiber/v2", "github.com/valyala/fasthttp"},
	open: func(string) (app, error) {
		return routeFiber(work[fiber.Handler]{
			login: func([]field) fiber.Handler {
				return func(c *fiber.Ctx) error {
					for _, cookie := range bareCookies() {
						c.Response().Header.Add("Set-Cookie", cookie)
					}
					return sayOK(c)
				}
			},
			read:      func(c *fiber.Ctx) error { return sayProfile(c, profileName, profileEmail) },
			count:     sayOK,
			peek:      func(c *fiber.Ctx) error { return c.SendString("0") },
			create:    sayOK,
			anonymous: sayOK,
			more:      map[string]fiber.Handler{write.path: sayOK},
		}), nil
	},
}

// routeFiber is an app of Fiber v2 handlers behind the given middleware.
func routeFiber(w work[fiber.Handler], middleware ...fiber.Handler) app {
	fiberApp := fiber.New(fiber.Config{DisableStartupMessage: true})
	for _, m := range middleware {
		fiberApp.Use(m)
	}
	for path, handler := range w.routes() {
		fiberApp.Get(path, handler)
	}
	return fasthttpApp(fiberApp.Handler(), fiberApp.Listener)
}

func sayOK(c *fiber.Ctx) error { return c.SendString("ok") }

// sayProfile answers without joining its parts: an allocation here would be counted as the session layer's.
func sayProfile(c *fiber.Ctx, name, email string) error {
	c.WriteString(name)
	c.WriteString("\n")
	c.WriteString(email)
	return nil
}
