package reliability

import (
	"testing"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/gofiber/fiber/v2"

	_ "github.com/anishathalye/porcupine"
)

func TestTwoNodesShareASession(t *testing.T) {
	redis := redistest.Start(t)
	routes := func(app *fiber.App) {
		app.Get("/login", func(c *fiber.Ctx) error { sess.Set(sess.From(c), "user", "ann"); return nil })
		app.Get("/", func(c *fiber.Ctx) error {
			user, _ := sess.Get[string](sess.From(c), "user")
			return c.SendString(user)
		})
	}
	a := startNode(t, at(redis.Addr), sess.RueidisConfig{}, nil, routes)
	b := startNode(t, at(redis.Addr), sess.RueidisConfig{}, nil, routes)
	ann := newBrowser(t)
	ann.must(t, a, "/login")
	if got := ann.must(t, b, "/").body; got != "ann" {
		t.Errorf("user on the other node: got %q, want ann", got)
	}
}
