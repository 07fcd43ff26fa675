// Counter counts your visits in a session.
//
//	/            a page with buttons
//	/get         counts one up and says the count
//	/remove      ends the session
//	/regenerate  gives the session a new id and keeps the count
package main

import (
	"bytes"
	_ "embed"
	"flag"
	"fmt"
	"html/template"
	"log"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/examples/web"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	fmt.Printf("counter: http://%s/\n", *addr)
	log.Fatal(newApp().Listen(*addr))
}

func newApp() *fiber.App {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	web.Use(app)
	app.Use(sess.New())
	app.Get("/", show)
	for path, do := range map[string]fiber.Handler{"/get": count, "/remove": remove, "/regenerate": regenerate} {
		app.Get(path, do)
		app.Post(path, do, backToPage)
	}
	return app
}

// count counts up. Update and not Set: two visits at the same time count for two.
func count(c *fiber.Ctx) error {
	n := 0
	sess.Update(sess.From(c), "count", func(old int, _ bool) int {
		n = old + 1
		return n
	})
	return say(c, n)
}

// remove ends the session: its record and its cookies.
func remove(c *fiber.Ctx) error {
	sess.From(c).Destroy()
	return say(c, 0)
}

// regenerate renews the id, as a login should.
func regenerate(c *fiber.Ctx) error {
	s := sess.From(c)
	s.Regenerate()
	n, _ := sess.Get[int](s, "count")
	return say(c, n)
}

// say answers a GET with the count; a POST is answered with the page.
func say(c *fiber.Ctx, n int) error {
	if c.Method() == fiber.MethodPost {
		return c.Next()
	}
	return c.SendString(fmt.Sprintln(n))
}

func backToPage(c *fiber.Ctx) error { return c.Redirect("/", fiber.StatusSeeOther) }

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// show renders the page. It only reads, so a visitor who has pressed no button has no session.
func show(c *fiber.Ctx) error {
	s := sess.From(c)
	n, _ := sess.Get[int](s, "count")
	view := struct {
		Count   int
		Exists  bool
		ID      string // a hash: the id itself is a secret
		Created string
	}{Count: n, Exists: s.Exists()}
	if view.Exists {
		view.ID, view.Created = s.ID().String(), s.Created().Format(time.TimeOnly)
	}
	var html bytes.Buffer
	if err := page.Execute(&html, view); err != nil {
		return err
	}
	c.Type("html", "utf-8")
	return c.Send(html.Bytes())
}
