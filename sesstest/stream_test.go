package sesstest_test

import (
	"bufio"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/sesstest"
)

// What NewClient's comment says of streams and bubbles: the client reads a stream as it comes, and in a bubble the hour
// passes at once that ends it.
func TestAClientReadsAStreamThatEndsWithItsSessionInABubble(t *testing.T) {
	new(fasthttp.ResponseHeader).AppendBytes(nil) // The goroutine behind the Date header, before the bubble.
	synctest.Test(t, func(t *testing.T) {
		m, err := sess.NewManager(sess.Config{Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		app := fiber.New()
		app.Use(m.Handle)
		app.Get("/in", func(c *fiber.Ctx) error { sess.From(c).Login("ann"); return nil })
		app.Get("/stream", func(c *fiber.Ctx) error {
			live, err := sess.From(c).Detach(c.UserContext())
			if err != nil {
				return err
			}
			c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
				defer live.Close()
				fmt.Fprintln(w, "open")
				_ = w.Flush()
				<-live.Done()
				fmt.Fprintln(w, "over")
			})
			return nil
		})
		client := sesstest.NewClient(app)
		if _, err := client.Get("/in"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		res, err := client.Get("/stream")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body := bufio.NewReader(res.Body)
		if line, err := body.ReadString('\n'); line != "open\n" || time.Since(began) > time.Second {
			t.Errorf("the first line: got %q, %v after %v, want it at once", line, err, time.Since(began))
		}
		rest, err := io.ReadAll(body)
		if took := time.Since(began); string(rest) != "over\n" || err != nil || took < 59*time.Minute || took > 61*time.Minute {
			t.Errorf("the rest: got %q, %v after %v, want the end when the session ends, an hour later", rest, err, took)
		}
	})
}
