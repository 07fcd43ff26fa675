package main

import (
	sess "github.com/fibersess/sess/fiberv3"
	"github.com/gofiber/fiber/v3"
)

func main() {
	app := fiber.New()
	app.Use(sess.New())

	app.Get("/", func(c fiber.Ctx) error {
		s := sess.From(c)
		views, _ := sess.Get[int](s, "views")
		sess.Set(s, "views", views+1)
		return c.JSON(views + 1)
	})
	app.Listen(":3000")
}
