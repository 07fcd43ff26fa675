package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
)

// entry is a session on the page that lists them.
type entry struct {
	Handle     string
	Device     string
	Login, End time.Time
	Remembered bool
	This       bool
}

// list shows the user's sessions: this one first, then the newest logins.
func (s *site) list(c *fiber.Ctx) error {
	session := sess.From(c)
	user, _ := session.User()
	var entries []entry
	for info, err := range s.sessions.User(user).Sessions(c.UserContext()) {
		if err != nil {
			return err
		}
		e := entry{Handle: info.Handle, Login: info.Login, End: info.Expires, This: info.Handle == session.Handle()}
		e.Device, _ = sess.Value[string](info.Record, "device")
		e.Remembered, _ = sess.Value[bool](info.Record, "remember")
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		switch {
		case a.This:
			return -1
		case b.This:
			return 1
		}
		return b.Login.Compare(a.Login)
	})
	return s.render(c, fiber.StatusOK, "sessions", view{Sessions: entries})
}

// end ends one of the user's sessions. A handle of another user's session ends nothing.
func (s *site) end(c *fiber.Ctx) error {
	session := sess.From(c)
	user, _ := session.User()
	handle := strings.Clone(c.FormValue("session"))
	if handle == session.Handle() {
		return s.logout(c)
	}
	if err := s.sessions.User(user).End(c.UserContext(), handle); err != nil {
		return err
	}
	sess.AddFlash(session, "It is logged out.")
	return c.Redirect("/sessions", fiber.StatusSeeOther)
}

func (s *site) endOthers(c *fiber.Ctx) error {
	session := sess.From(c)
	user, _ := session.User()
	n, err := s.sessions.User(user).EndOthers(c.UserContext(), session)
	if err != nil {
		return err
	}
	sess.AddFlash(session, ended(n))
	return c.Redirect("/sessions", fiber.StatusSeeOther)
}

func (s *site) endAll(c *fiber.Ctx) error {
	session := sess.From(c)
	user, _ := session.User()
	if _, err := s.sessions.User(user).EndAll(c.UserContext()); err != nil {
		return err
	}
	return s.logout(c) // which takes the cookie away
}

// ended says how many other sessions are.
func ended(n int) string {
	switch {
	case n <= 0:
		return "You were logged in nowhere else."
	case n == 1:
		return "One other session is logged out."
	}
	return fmt.Sprintf("%d other sessions are logged out.", n)
}

// device says in two words what a User-Agent stands for.
func device(agent string) string {
	find := func(rest string, of ...[2]string) string {
		for _, o := range of {
			if strings.Contains(agent, o[0]) {
				return o[1]
			}
		}
		return rest
	}
	browser := find("A program", [2]string{"Edg", "Edge"}, [2]string{"OPR/", "Opera"}, [2]string{"Firefox/", "Firefox"},
		[2]string{"Chrome/", "Chrome"}, [2]string{"Safari/", "Safari"}, [2]string{"curl/", "curl"})
	system := find("", [2]string{"iPhone", "iPhone"}, [2]string{"iPad", "iPad"}, [2]string{"Android", "Android"},
		[2]string{"Windows", "Windows"}, [2]string{"Mac OS X", "Mac"}, [2]string{"CrOS", "Chromebook"}, [2]string{"Linux", "Linux"})
	if system == "" {
		return browser
	}
	return browser + " on " + system
}

//go:embed stream.js
var streamScript string

func script(c *fiber.Ctx) error { return c.Type("js", "utf-8").SendString(streamScript) }

// ping is how often a stream shows that it is there, and finds out that nobody reads it any more.
const ping = 15 * time.Second

// events is a stream that lasts as long as the session. It begins with who is logged in, and ends with why he is no more;
// stream.js makes words of it.
func (s *site) events(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set("X-Accel-Buffering", "no") // tells nginx to pass on each event at once
	session := sess.From(c)
	user, ok := session.User()
	if !ok {
		return c.SendString(event("nobody", ""))
	}
	live, err := session.Detach(c.UserContext())
	switch {
	case errors.Is(err, sess.ErrRenewed):
		return c.SendString(event("end", "renewed"))
	case errors.Is(err, sess.ErrEnded):
		return c.SendString(event("nobody", ""))
	case err != nil:
		return err
	}
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) { // it runs on when this handler has returned
		defer live.Close()
		beat := time.NewTicker(ping)
		defer beat.Stop()
		for text := event("user", user); ; text = ":\n\n" {
			_, _ = w.WriteString(text)
			if w.Flush() != nil { // the browser is gone
				return
			}
			select {
			case <-beat.C:
			case <-live.Done():
				if why := reason(context.Cause(live.Context())); why != "" {
					_, _ = w.WriteString(event("end", why))
					_ = w.Flush()
				}
				return
			}
		}
	})
	return nil
}

// reason is why a session ended, "" if only the stream did: then the browser asks again.
func reason(cause error) string {
	switch {
	case errors.Is(cause, sess.ErrRenewed): // the browser itself may have done it
		return "renewed"
	case errors.Is(cause, sess.ErrExpired):
		return "expired"
	case errors.Is(cause, sess.ErrEnded):
		return "ended"
	}
	return ""
}

// event is one event of a stream.
func event(name, data string) string {
	return "retry: 1000\nevent: " + name + "\ndata: " + data + "\n\n"
}
