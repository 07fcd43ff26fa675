package streams

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
)

// withRecipe gives a site the recipe of docs/users.md for a WebSocket. What stands between the comments is what stands on
// the page: a test of the root module holds both to each other.
func withRecipe(app *fiber.App, serve func(c *websocket.Conn)) {
	// Recipe: Sockets and streams
	app.Get("/socket", func(c *fiber.Ctx) error {
		live, err := sess.From(c).Detach(c.UserContext())
		if err != nil {
			return err
		}
		c.Locals("live", live) // closes it with the connection
		return c.Next()
	}, websocket.New(func(c *websocket.Conn) {
		live, closed := c.Locals("live").(*sess.Live), make(chan struct{})
		conn := c.NetConn().(interface{ UnsafeConn() net.Conn }).UnsafeConn() // c.Close has no effect before the handler returns
		stop := context.AfterFunc(live.Context(), func() {
			defer close(closed)
			conn.Close() // ends each read and write of the handler
		})
		defer func() {
			if !stop() {
				<-closed
			}
		}()
		serve(c) // reads messages until there is an error
	}))
	// Recipe ends.
}

func TestTheRecipeOfASocketClosesItWithItsSessionAndNoOther(t *testing.T) {
	served := make(chan struct{}, 1)
	at := newNodeWith(t, sess.NewMemoryStore(), func(app *fiber.App) {
		withRecipe(app, func(c *websocket.Conn) {
			defer func() { served <- struct{}{} }()
			for {
				kind, message, err := c.ReadMessage()
				if err != nil || c.WriteMessage(kind, message) != nil {
					return
				}
			}
		})
	})
	returns := func(when string) {
		t.Helper()
		select {
		case <-served:
		case <-time.After(patience):
			t.Fatalf("%s: the handler goes on, want that it returns", when)
		}
	}
	ann, bob := loggedIn(t, at, "ann"), loggedIn(t, at, "bob")
	hers, his := ann.socket(at), bob.socket(at)
	hers.open("ann's socket")
	his.open("bob's socket")
	ann.post(at, "/logout")
	var late net.Error
	if _, _, err := hers.conn.ReadMessage(); err == nil || errors.As(err, &late) && late.Timeout() {
		t.Errorf("ann's socket after the logout: got the error %v, want that the server closes it", err)
	}
	returns("after ann's logout")
	at.wantLives(t, "after ann's logout", 1)
	his.open("bob's socket after ann's logout")
	his.leave()
	returns("when bob has left")
	at.wantLives(t, "when bob has left", 0)
	res, err := ann.Get("http://" + at.addr + "/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols || res.StatusCode == http.StatusOK {
		t.Errorf("a socket without a session: got the status %d, want an error", res.StatusCode)
	}
}
