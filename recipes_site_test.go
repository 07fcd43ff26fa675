package sess_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/csrf"
)

// recipes is a site of the recipes of docs/users.md. What stands between the comments "Recipe" and "Recipe ends" is what
// stands on the page; TestTheRecipesOfTheUsersPageAreTheCodeThatRuns holds both to each other.
type recipes struct {
	*testing.T
	m    *sess.Manager
	app  *fiber.App
	jobs chan error   // what each job has ended with
	ids  chan sess.ID // of sessions whose user wants a mail

	mu       sync.Mutex
	password map[string]string // of each account
	closed   map[string]bool   // accounts that nobody can log in to
}

func newRecipes(t *testing.T, config sess.Config) *recipes {
	t.Helper()
	m, err := sess.NewManager(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	site := &recipes{T: t, m: m, jobs: make(chan error, 1), ids: make(chan sess.ID, 1),
		password: map[string]string{"ann": "old", "bob": "old"}, closed: map[string]bool{}}
	site.app = withErrorPages()
	site.app.Use(m.Handle)
	site.enter(site.app)
	site.list(site.app)
	site.work(site.app)
	account, changeEmail := site.account, site.account
	app := site.app
	// Recipe: Pages for users, and for those who have just logged in
	app.Get("/account", sess.RequireLogin(0), account)                 // 401 without a user
	app.Post("/email", sess.RequireLogin(10*time.Minute), changeEmail) // 403 if the login is older
	// Recipe ends.
	return site
}

func (site *recipes) account(c *fiber.Ctx) error {
	user, _ := sess.From(c).User()
	return c.SendString("hello " + user)
}

// withErrorPages returns an application that makes pages of what RequireLogin and csrf refuse.
func withErrorPages() *fiber.App {
	// Recipe: Pages for users, and for those who have just logged in
	app := fiber.New(fiber.Config{ErrorHandler: func(c *fiber.Ctx, err error) error {
		switch {
		case errors.Is(err, sess.ErrLoginRequired), errors.Is(err, sess.ErrLoginRefused), errors.Is(err, sess.ErrEnded):
			return c.Redirect("/login", fiber.StatusSeeOther)
		case errors.Is(err, sess.ErrLoginTooOld):
			return c.Redirect("/confirm", fiber.StatusSeeOther) // where the password is asked for again
		}
		return fiber.DefaultErrorHandler(c, err)
	}})
	// Recipe ends.
	app.Get("/forged", func(c *fiber.Ctx) error { return csrf.ErrToken })
	app.Get("/login", func(c *fiber.Ctx) error { return c.SendString("log in") })
	app.Get("/confirm", func(c *fiber.Ctx) error { return c.SendString("your password again") })
	return app
}

// enter has the recipes of logging in and out.
func (site *recipes) enter(app *fiber.App) {
	app.Post("/login", func(c *fiber.Ctx) error {
		user, device, s := c.FormValue("user"), c.FormValue("device"), sess.From(c)
		if !site.admits(user, c.FormValue("password")) {
			return c.Status(fiber.StatusForbidden).SendString("wrong password")
		}
		// Recipe: Log in
		s.Login(user)                 // a new id; the age of the session begins now
		sess.Set(s, "device", device) // what your sessions page shows
		// Recipe ends.
		if c.FormValue("remember") == "" {
			return nil
		}
		// Recipe: Log in
		err := s.Remember(30 * 24 * time.Hour) // not above Config.Lifetime
		// Recipe ends.
		return err
	})
	app.Post("/logout", func(c *fiber.Ctx) error {
		s := sess.From(c)
		// Recipe: Log out
		s.Destroy()
		// Recipe ends.
		return nil
	})
	app.Post("/password", sess.RequireLogin(10*time.Minute), func(c *fiber.Ctx) error {
		m, ctx, s := site.m, c.UserContext(), sess.From(c)
		user, _ := s.User()
		changePassword := func(user string) { site.setPassword(user, "new") }
		// Recipe: Change the password
		changePassword(user)
		if _, err := m.User(user).EndAll(ctx, s); err != nil { // with s: this request may log in
			return err // the password is another one, and old sessions may live: try again
		}
		s.Login(user)
		// Recipe ends.
		return nil
	})
}

// list has the recipes of whose sessions there are.
func (site *recipes) list(app *fiber.App) {
	m := site.m
	app.Get("/sessions", func(c *fiber.Ctx) error {
		ctx, s := c.UserContext(), sess.From(c)
		user, _ := s.User()
		// Recipe: Your sessions
		for info, err := range m.User(user).Sessions(ctx) {
			if err != nil {
				return err
			}
			device, _ := sess.Value[string](info.Record, "device")
			this := info.Handle == s.Handle() // the session of this request
			fmt.Fprintln(c, device, info.Login.Format(time.DateTime), info.Handle, this)
		}
		// Recipe ends.
		return nil
	})
	app.Post("/sessions/end", func(c *fiber.Ctx) error {
		ctx, handle := c.UserContext(), c.FormValue("handle")
		user, _ := sess.From(c).User()
		// Recipe: Your sessions
		err := m.User(user).End(ctx, handle) // one of this user's, or nothing happens
		// Recipe ends.
		return err
	})
	app.Post("/sessions/others", func(c *fiber.Ctx) error {
		ctx, s := c.UserContext(), sess.From(c)
		user, _ := s.User()
		// Recipe: Your sessions
		n, err := m.User(user).EndOthers(ctx, s) // all but this one
		// Recipe ends.
		return errors.Join(err, c.SendString(fmt.Sprint(n)))
	})
	app.Post("/sessions/all", func(c *fiber.Ctx) error {
		ctx := c.UserContext()
		user, _ := sess.From(c).User()
		// Recipe: Log out everywhere
		n, err := m.User(user).EndAll(ctx) // how many there were
		// Recipe ends.
		return errors.Join(err, c.SendString(fmt.Sprint(n)))
	})
	app.Post("/admin/kick", func(c *fiber.Ctx) error {
		ctx, user := c.UserContext(), c.FormValue("user")
		closeAccount := site.close
		// Recipe: Throw a user out
		closeAccount(user)                 // from now on a login fails
		_, err := m.User(user).EndAll(ctx) // and who is logged in is out
		// Recipe ends.
		return err
	})
}

// limited has the recipe of how many sessions a user may have.
func limited() (config sess.Config) {
	// Recipe: How many
	config.MaxPerUser = 3
	config.Hooks.Displaced = func(e sess.Event) { log.Printf("session %v ended: too many of one user", e.ID) }
	// Recipe ends.
	return config
}

// work has the recipes of what goes on when the request is over.
func (site *recipes) work(app *fiber.App) {
	app.Post("/report", func(c *fiber.Ctx) error {
		ctx, s, forever := c.UserContext(), sess.From(c), c.FormValue("until") == "logout"
		build := func(ctx context.Context) string {
			if forever {
				<-ctx.Done()
			}
			return "all is well"
		}
		done := func(err error) { site.jobs <- err }
		// Recipe: Jobs
		live, err := s.Detach(ctx) // before the handler returns
		if err != nil {
			return err // ErrEnded: the session is over
		}
		go func() {
			defer live.Close()
			report := build(live.Context()) // is canceled when the session ends, by a logout for one
			err := live.Do(context.Background(), func(s sess.Session) error {
				sess.Set(s, "report", report) // saved when this function returns, beside what others have saved
				return nil
			})
			done(err) // ErrEnded: nobody is there to read the report
		}()
		// Recipe ends.
		return nil
	})
	app.Get("/report", func(c *fiber.Ctx) error {
		report, _ := sess.Get[string](sess.From(c), "report")
		mails, _ := sess.Get[int](sess.From(c), "mails")
		return c.SendString(fmt.Sprintf("%q, %d mails", report, mails))
	})
	app.Post("/mail", func(c *fiber.Ctx) error {
		site.ids <- sess.From(c).ID()
		return nil
	})
	app.Get("/events", func(c *fiber.Ctx) error {
		s := sess.From(c)
		// Recipe: Sockets and streams
		live, err := s.Detach(c.UserContext())
		if err != nil {
			return err // ErrEnded: nobody is logged in; ErrRenewed: come again with the new cookie
		}
		c.Set(fiber.HeaderContentType, "text/event-stream")
		c.Context().SetBodyStreamWriter(func(w *bufio.Writer) { // runs on when the handler has returned
			defer live.Close()
			for {
				select {
				case <-live.Done():
					fmt.Fprintf(w, "data: %v\n\n", context.Cause(live.Context()))
					w.Flush()
					return
				case <-time.After(15 * time.Second):
					if fmt.Fprint(w, ":\n\n"); w.Flush() != nil { // the browser is gone
						return
					}
				}
			}
		})
		return nil
		// Recipe ends.
	})
}

// mail has the recipe of a job that knows the id alone.
func (site *recipes) mail(ctx context.Context, id sess.ID) error {
	m := site.m
	// Recipe: Jobs
	live, err := m.Open(ctx, id) // ErrEnded, or ErrRenewed: there was a login since
	if err != nil {
		return err
	}
	defer live.Close()
	return live.Do(ctx, func(s sess.Session) error {
		sess.Update(s, "mails", func(n int, _ bool) int { return n + 1 })
		return nil
	})
	// Recipe ends.
}

func (site *recipes) admits(user, password string) bool {
	site.mu.Lock()
	defer site.mu.Unlock()
	return !site.closed[user] && site.password[user] == password
}

func (site *recipes) setPassword(user, password string) {
	site.mu.Lock()
	defer site.mu.Unlock()
	site.password[strings.Clone(user)] = password
}

func (site *recipes) close(user string) {
	site.mu.Lock()
	defer site.mu.Unlock()
	site.closed[strings.Clone(user)] = true
}
