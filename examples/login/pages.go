package main

import (
	"bytes"
	"embed"
	"html/template"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/csrf"
)

//go:embed pages
var files embed.FS

// pages are the templates by name, each within the layout.
var pages = func() map[string]*template.Template {
	layout := template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"iso":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"text": func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 MST") },
	}).ParseFS(files, "pages/layout.html"))
	all := map[string]*template.Template{}
	for _, name := range []string{"home", "register", "login", "sessions", "password", "confirm", "message"} {
		all[name] = template.Must(template.Must(layout.Clone()).ParseFS(files, "pages/"+name+".html"))
	}
	return all
}()

var titles = map[string]string{
	"home": "Home", "register": "New account", "login": "Log in", "sessions": "Your sessions", "password": "Change your password", "confirm": "Your password again",
}

// view is what a page shows.
type view struct {
	Page    string
	Title   string
	User    string   // who is logged in
	Token   string   // of the forms
	Flashes []string // messages of the request before
	Fault   string   // what is wrong with the form that was sent
	Name    string   // as typed

	Text     string // of a message
	Login    time.Time
	Sessions []entry
	Min      int // characters of a password
}

// form shows a page without more than a form.
func (s *site) form(page string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		v := view{}
		if c.Query("again") != "" {
			v.Fault = "Please log in."
		}
		return s.render(c, fiber.StatusOK, page, v)
	}
}

func (s *site) home(c *fiber.Ctx) error { return s.render(c, fiber.StatusOK, "home", view{}) }

// render answers with a page for whoever is logged in. A visitor without a session gets none by looking: the forms need no
// token then.
func (s *site) render(c *fiber.Ctx, status int, page string, v view) (err error) {
	session := sess.From(c)
	v.User, _ = session.User()
	v.Login = session.LoginTime()
	if session.Exists() {
		v.Token = csrf.Token(c)
		if v.Flashes, err = sess.Flashes[string](session); err != nil {
			return err
		}
	}
	v.Title, v.Min = titles[page], minPassword
	return write(c, status, page, v)
}

// write answers with a page. It is executed into a buffer, so that a fault in a template is no half a page.
func write(c *fiber.Ctx, status int, page string, v view) error {
	v.Page = page
	var html bytes.Buffer
	if err := pages[page].Execute(&html, v); err != nil {
		return err
	}
	c.Type("html", "utf-8")
	return c.Status(status).Send(html.Bytes())
}
