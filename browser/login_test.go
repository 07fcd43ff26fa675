package browser_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/csrf"
)

// account serves an application with a login, hardened, and returns its base address.
func account(t *testing.T) (base string, m *sess.Manager) {
	t.Helper()
	m, err := sess.NewManager(sess.Hardened(keys...))
	if err != nil {
		t.Fatal(err)
	}
	app := newApp()
	app.Use(m.Handle, csrf.New(csrf.Config{Token: true}))
	form := func(c *fiber.Ctx, text, action, button string) error {
		c.Type("html", "utf-8")
		return c.SendString(`<!doctype html><link rel="icon" href="data:,"><p id="answer">` + text + `</p><form method="post" action="` + action +
			`"><input type="hidden" name="csrf" value="` + csrf.Token(c) + `"><button>` + button + `</button></form>`)
	}
	app.Get("/", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderCacheControl, "no-store") // private
		user, ok := sess.From(c).User()
		if !ok {
			return form(c, "nobody", "/login", "Log in")
		}
		return form(c, "Hello "+user, "/logout", "Log out")
	})
	app.Post("/login", func(c *fiber.Ctx) error {
		sess.From(c).Login("ann")
		return c.Redirect("/", fiber.StatusSeeOther)
	})
	app.Post("/logout", func(c *fiber.Ctx) error {
		sess.From(c).Destroy()
		return c.Redirect("/", fiber.StatusSeeOther)
	})
	app.Get("/others", func(c *fiber.Ctx) error {
		n, err := m.User("ann").EndOthers(c.Context(), sess.From(c))
		if err != nil {
			return err
		}
		return page(c, fmt.Sprint(n))
	})
	return fmt.Sprintf("https://shop.test:%d", serve(t, app, true)), m
}

// want waits until the page says text.
func (w *window) want(text string) {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	got := ""
	for time.Now().Before(deadline) {
		got, _ = chromedp.Run(w.ctx, chromedp.Evaluate[string](`document.getElementById("answer").innerText`))
		if got == text {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Fatalf("got the page %q, want %q", got, text)
}

func TestTheBackButtonAfterALogoutShowsNothingPrivate(t *testing.T) {
	base, _ := account(t)
	w := newWindow(t)
	w.open(base + "/")
	w.press("Log in")
	w.want("Hello ann")
	w.open(base + "/?page=2")
	w.want("Hello ann")
	w.press("Log out")
	w.want("nobody")
	for range 3 {
		evaluate[bool](w, "(setTimeout(() => history.back()), true)")
		time.Sleep(200 * time.Millisecond)
		w.want("nobody")
	}
}

func TestAPageFromBeforeALoginIsRefusedBehindIt(t *testing.T) {
	base, _ := account(t)
	w := newWindow(t)
	w.open(base + "/")
	ctx, cancel := chromedp.NewContext(w.ctx)
	defer cancel()
	old := &window{t, ctx}
	old.open(base + "/")
	w.press("Log in")
	w.want("Hello ann")
	old.press("Log in")
	if got := old.arrivePath("/login"); got != csrf.ErrToken.Error() {
		t.Errorf("the page from before: got %q, want %q", got, csrf.ErrToken)
	}
}

// arrivePath waits until the window has loaded a page of path, and returns its text.
func (w *window) arrivePath(path string) string {
	w.t.Helper()
	for w.ctx.Err() == nil {
		there, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](fmt.Sprintf(`location.pathname === %q && document.readyState === "complete"`, path)))
		if err == nil && there {
			return w.text()
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Fatalf("the browser did not arrive at %s", path)
	return ""
}

func TestOneProfileEndsTheSessionsOfAnother(t *testing.T) {
	base, _ := account(t)
	telephone, laptop := newWindow(t), newWindow(t)
	for _, w := range []*window{telephone, laptop} {
		w.open(base + "/")
		w.press("Log in")
		w.want("Hello ann")
	}
	wantText(t, "ended", laptop.open(base+"/others"), "1")
	telephone.open(base + "/")
	telephone.want("nobody")
	laptop.open(base + "/")
	laptop.want("Hello ann")
}
