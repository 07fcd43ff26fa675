package main

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/csrf"
	"github.com/fibersess/sess/examples/web"
)

// site is the application: its sessions, its accounts, and the handlers of its routes.
type site struct {
	app       *fiber.App
	sessions  *sess.Manager
	accounts  accounts
	passwords *passwords
}

const (
	day   = 24 * time.Hour
	month = 30 * day // how long "remember me" lasts
)

func newSite(o options) (*site, error) {
	sessions, err := sess.NewManager(o.config())
	if err != nil {
		return nil, err
	}
	passwords, err := newPasswords(o.iterations)
	if err != nil {
		return nil, err
	}
	s := &site{sessions: sessions, accounts: o.accounts, passwords: passwords}
	config := fiber.Config{
		DisableStartupMessage: true,
		ErrorHandler:          s.fail,
		BodyLimit:             16 << 10, // a form
	}
	if o.https { // The proxy is on this machine, and says from where a request comes.
		config.EnableTrustedProxyCheck, config.TrustedProxies = true, []string{"127.0.0.1", "::1"}
		config.ProxyHeader, config.EnableIPValidation = "X-Real-Ip", true
	}
	s.app = fiber.New(config)
	s.app.Use(recover.New(), headers(o.https))
	web.Use(s.app)
	s.app.Get("/stream.js", script)
	s.app.Use(sessions.Handle, csrf.New(csrf.Config{Token: true}))
	s.routes(o)
	return s, nil
}

func (s *site) routes(o options) {
	user := sess.RequireLogin(0)
	fresh := sess.RequireLogin(o.fresh)
	slow := (&guesses{max: o.guesses}).handle
	s.app.Get("/", s.home)
	s.app.Get("/events", s.events)

	s.app.Get("/register", s.form("register"))
	s.app.Post("/register", slow, s.register)
	s.app.Get("/login", s.form("login"))
	s.app.Post("/login", slow, s.login)
	s.app.Post("/logout", s.logout)

	s.app.Get("/sessions", user, s.list)
	s.app.Post("/sessions/end", fresh, s.end)
	s.app.Post("/sessions/others", fresh, s.endOthers)
	s.app.Post("/sessions/all", fresh, s.endAll)

	s.app.Get("/password", fresh, s.form("password"))
	s.app.Post("/password", fresh, s.changePassword)
	s.app.Get("/confirm", user, s.form("confirm"))
	s.app.Post("/confirm", user, slow, s.confirm)
}

// config is sess.Hardened, and longer for those who asked to be remembered.
func (o *options) config() sess.Config {
	c := sess.Hardened(sess.Keys(o.key)...)
	c.Store = o.store
	c.Lifetime = month
	c.Valid = func(_ *fasthttp.RequestCtx, s sess.Session) bool { // the others are out after a day, as in Hardened
		return remembered(s) || s.LoginTime().IsZero() || time.Since(s.LoginTime()) < day
	}
	if !o.https { // From plain http browsers take no such cookie.
		c.Cookie.Name, c.Cookie.Secure = "sid", sess.SecureAuto
	}
	return c
}

// headers tells browsers to run and load nothing but the site's own files, and to keep no page: none is shown again by
// the back button after a logout.
func headers(https bool) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
		c.Set(fiber.HeaderReferrerPolicy, "same-origin") // not no-referrer: a form would come with Origin: null
		c.Set("Cross-Origin-Opener-Policy", "same-origin")
		c.Set(fiber.HeaderCacheControl, "no-store")
		if https {
			c.Set(fiber.HeaderStrictTransportSecurity, "max-age=31536000")
		}
		return c.Next()
	}
}

// fail is the ErrorHandler: who is not logged in is sent to the login, and who logged in too long ago is asked for the
// password. It runs behind the session middleware, so it cannot leave a flash.
func (s *site) fail(c *fiber.Ctx, err error) error {
	status, text := fiber.StatusInternalServerError, "Something went wrong."
	var known *fiber.Error
	if errors.As(err, &known) {
		status, text = known.Code, known.Message
	}
	switch {
	case errors.Is(err, csrf.ErrToken):
		text = "This page was opened before a login or logout. Open it again."
	case errors.Is(err, csrf.ErrOrigin):
		text = "Another site caused this request. Nothing was done."
	case errors.Is(err, sess.ErrLoginRequired), errors.Is(err, sess.ErrLoginRefused), errors.Is(err, sess.ErrEnded):
		return c.Redirect("/login?again=1", fiber.StatusSeeOther)
	case errors.Is(err, sess.ErrLoginTooOld):
		place, _, _ := strings.Cut(strings.TrimPrefix(c.Path(), "/"), "/")
		return c.Redirect("/confirm?to="+place, fiber.StatusSeeOther)
	}
	if status >= fiber.StatusInternalServerError {
		slog.Error("login: a request failed", "path", c.Path(), "error", err)
	}
	return write(c, status, "message", view{Title: "Sorry", Text: text})
}
