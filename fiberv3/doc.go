// Package sess keeps sessions for Fiber v3. One line gives an application signed session cookies:
//
//	app := fiber.New()
//	app.Use(sess.New())
//
//	app.Get("/", func(c fiber.Ctx) error {
//		s := sess.From(c)
//		views, _ := sess.Get[int](s, "views")
//		sess.Set(s, "views", views+1)
//		return c.JSON(views + 1)
//	})
//
// It is the package [github.com/fibersess/sess], whose documentation says how long sessions live, what parallel requests may
// rely on and what is secure. A program for Fiber v2 becomes one for Fiber v3 by its imports and the type of its handlers.
// What has to do with Fiber is here: [New], [Manager], [From], [Strict], [RequireLogin]. All else has the same name here and
// there and is the same: a [Session], a [Config] or a store may be handed from one to the other.
//
// # Moving from Fiber v2
//
// The cookies and the records are the same. While an application moves, both versions may run, in one process or in several,
// with one Store and the same Keys: each finds the sessions that the other began, and a logout in one is a logout in both.
//
// # Errors
//
// Where a handler returns an error of a [Session], Fiber v3 answers with the status of that [Error]: errors.As finds a
// fiber.Error of Fiber v3 in it. errors.Is finds none of Fiber's own errors there, such as fiber.ErrServiceUnavailable: compare
// with the errors of this package.
package sess
