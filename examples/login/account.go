package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
)

// names are those an account can have.
var names = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,31}$`)

const (
	minPassword = 8 // characters, as bytes; a site without a second factor should ask for 15
	maxPassword = 256
)

// credentials returns what a form says. Both are copied: Fiber's strings are views of the request.
func credentials(c *fiber.Ctx) (name, password string) {
	return strings.ToLower(strings.Clone(c.FormValue("name"))), strings.Clone(c.FormValue("password"))
}

// fault returns what is wrong with a new password.
func fault(password string) string {
	if len(password) < minPassword || len(password) > maxPassword {
		return fmt.Sprintf("A password has %d to %d characters.", minPassword, maxPassword)
	}
	return ""
}

// register makes an account and logs it in. It says that a name is taken; only a site that writes to a mail address first
// can keep that to itself.
func (s *site) register(c *fiber.Ctx) error {
	name, password := credentials(c)
	refuse := func(status int, text string) error {
		return s.render(c, status, "register", view{Name: name, Fault: text})
	}
	if !names.MatchString(name) {
		return refuse(fiber.StatusUnprocessableEntity, "A name has 1 to 32 of a-z, 0-9, dot, dash and underscore, and begins with a letter or digit.")
	}
	if text := fault(password); text != "" {
		return refuse(fiber.StatusUnprocessableEntity, text)
	}
	kept, err := s.passwords.hash(password)
	if err != nil {
		return err
	}
	added, err := s.accounts.add(c.UserContext(), name, kept)
	if err != nil {
		return err
	}
	if !added {
		return refuse(fiber.StatusConflict, "This name is taken.")
	}
	return s.begin(c, name, c.FormValue("remember") != "", "Welcome. Your account is there, and you are logged in.", "/")
}

func (s *site) login(c *fiber.Ctx) error {
	name, password := credentials(c)
	ok, err := s.check(c, name, password)
	if err != nil {
		return err
	}
	if !ok {
		return s.render(c, fiber.StatusUnauthorized, "login", view{Name: name, Fault: "Wrong name or password."})
	}
	return s.begin(c, name, c.FormValue("remember") != "", "", "/")
}

func (s *site) check(c *fiber.Ctx, name, password string) (bool, error) {
	kept, err := s.accounts.find(c.UserContext(), name)
	if err != nil {
		return false, err
	}
	return s.passwords.check(kept, password)
}

// begin logs in. The credentials were checked.
func (s *site) begin(c *fiber.Ctx, name string, remember bool, flash, to string) error {
	session := sess.From(c)
	session.Login(name) // a new id; its age begins now
	sess.Set(session, "device", device(c.Get(fiber.HeaderUserAgent)))
	sess.Set(session, "remember", remember)
	if remember { // also at a repeated login, which begins a session that is not remembered
		if err := session.Remember(month); err != nil {
			return err
		}
	}
	if flash != "" {
		sess.AddFlash(session, flash)
	}
	return c.Redirect(to, fiber.StatusSeeOther)
}

// remembered reports whether the user ticked "remember me".
func remembered(s sess.Session) bool {
	yes, _ := sess.Get[bool](s, "remember")
	return yes
}

func (s *site) logout(c *fiber.Ctx) error {
	sess.From(c).Destroy()
	return c.Redirect("/", fiber.StatusSeeOther)
}

// places are where confirm leads.
var places = map[string]string{"sessions": "/sessions", "password": "/password"}

// confirm asks for the password again, and logs in anew: then the login is young enough for what RequireLogin guards.
func (s *site) confirm(c *fiber.Ctx) error {
	session := sess.From(c)
	user, _ := session.User()
	_, password := credentials(c)
	ok, err := s.check(c, user, password)
	if err != nil {
		return err
	}
	if !ok {
		return s.render(c, fiber.StatusUnauthorized, "confirm", view{Fault: "Wrong password."})
	}
	to := places[c.Query("to")]
	if to == "" {
		to = "/"
	}
	return s.begin(c, user, remembered(session), "Thank you. Go on.", to)
}

// changePassword changes it first, then ends every session, also of logins that are still checking the old password, and
// logs this browser in anew.
func (s *site) changePassword(c *fiber.Ctx) error {
	session := sess.From(c)
	user, _ := session.User()
	_, password := credentials(c)
	text := fault(password)
	if text == "" && password != c.FormValue("repeat") {
		text = "The two are not the same."
	}
	if text != "" {
		return s.render(c, fiber.StatusUnprocessableEntity, "password", view{Fault: text})
	}
	kept, err := s.passwords.hash(password)
	if err != nil {
		return err
	}
	if err := s.accounts.change(c.UserContext(), user, kept); err != nil {
		return err
	}
	remember := remembered(session)
	n, err := s.sessions.User(user).EndAll(c.UserContext(), session)
	if err != nil {
		return err
	}
	return s.begin(c, user, remember, "Your password is changed. "+ended(n-1), "/sessions")
}
