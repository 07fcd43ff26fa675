// Package sess keeps sessions for Fiber v2 and plain fasthttp; [github.com/fibersess/sess/fiberv3] is the same for Fiber v3. One
// line gives an application signed session cookies:
//
//	app := fiber.New()
//	app.Use(sess.New())
//
//	app.Get("/", func(c *fiber.Ctx) error {
//		s := sess.From(c)
//		views, _ := sess.Get[int](s, "views")
//		sess.Set(s, "views", views+1)
//		return c.JSON(views + 1)
//	})
//
// The zero [Config] keeps sessions in the memory of the process and signs with a random key. Production wants a shared
// Store and Keys.
//
// # Lifetime
//
// A session begins with the first value written to it, and not before: an untouched request stores nothing and gets
// no cookie. It ends a TTL after its last save. The TTL is [Config.TTL] or TTLFunc, else the Expires or MaxAge of the
// session's cookie, else 24 hours; [Config.Lifetime] bounds it from the login, else from the creation. Rolling sessions are
// also renewed when they are read, once a tenth of the TTL has passed.
//
// What a handler writes is saved when it has returned, with an error or without, and not when a panic passes through
// the middleware. [Session.Save] saves at once.
//
// # Concurrency
//
// A [Session] is a handle: a value to copy and to share between the goroutines of its request. When the request is
// over it is inert, and never another user's.
//
// Parallel requests of one session do not wait for each other. A save compares and swaps; if another request was
// faster, the changes are made to what that one stored, and the swap is tried again. So requests that write different
// keys all win, the last one to write a key wins it, [Update] counts exactly, and [Take] has one winner. A request that
// meets the end of its session drops its changes: a logout is final.
//
// # Consistency
//
// A store that is a [Swapper] gives all of the above, among all processes that share it. With any other store the
// last save wins as a whole, and a save under way can bring a destroyed session back.
//
// # Security
//
// An id is 24 random bytes; the cookie's name and the id are signed, and what is not validly signed does not reach the
// store. An id that a client presents is never adopted. Call [Session.Regenerate] on every change of privilege. Ids,
// signatures, keys and values never appear in logs, errors or panics.
package sess
