package browser_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
)

var keys = sess.Keys("a key of these tests, 32 bytes..")

// shop serves an application that counts, over TLS, and returns its base address.
func shop(t *testing.T, config sess.Config) (base string) {
	t.Helper()
	app := newApp()
	if config.Keys == nil {
		config.Keys = keys
	}
	app.Use(sess.New(config))
	counting(app)
	return fmt.Sprintf("https://shop.test:%d", serve(t, app, true))
}

func TestTheBrowserKeepsTheCookieWithItsAttributes(t *testing.T) {
	base := shop(t, sess.Config{Cookie: sess.Cookie{Name: "__Host-sid", Secure: sess.SecureAlways, MaxAge: 12 * time.Hour}})
	w := newWindow(t)
	if got := w.open(base + "/look"); got != "0" || len(w.jar()) != 0 {
		t.Errorf("untouched: got %q and %d cookies, want 0 and none", got, len(w.jar()))
	}
	wantText(t, "first count", w.open(base+"/count"), "1")
	wantText(t, "second count", w.open(base+"/count"), "2")
	kept := w.cookies(base + "/look")
	for _, name := range []string{"__Host-sid", "__Host-sid.sig"} {
		c := kept[name]
		if c == nil {
			t.Fatalf("%s: got none, want it kept", name)
		}
		if !c.HTTPOnly || !c.Secure || c.SameSite != network.CookieSameSiteLax || c.Path != "/" || c.Domain != "shop.test" || c.Session {
			t.Errorf("%s: got HttpOnly %v, Secure %v, SameSite %v, path %q, domain %q, browser session %v; want true, true, Lax, /, shop.test, false",
				name, c.HTTPOnly, c.Secure, c.SameSite, c.Path, c.Domain, c.Session)
		}
		if left := c.Expires - float64(time.Now().Unix()); math.Abs(left-12*3600) > 120 {
			t.Errorf("%s: got %.0f s to live, want 43200", name, left)
		}
	}
	if got := evaluate[string](w, "document.cookie"); got != "" {
		t.Error("a script of the page: got cookies, want none")
	}
}

func TestWithoutAMaxAgeTheCookieEndsWithTheBrowser(t *testing.T) {
	base := shop(t, sess.Config{})
	w := newWindow(t)
	w.open(base + "/count")
	for name, c := range w.cookies(base) {
		if !c.Session || !c.Secure {
			t.Errorf("%s: got a browser session %v, Secure %v; want true and, since it came over TLS, true", name, c.Session, c.Secure)
		}
	}
}

// The reason for "always a new session" that is met most: a cookie for TLS, and a page without.
func TestOverPlainHTTPTheBrowserRefusesASecureCookie(t *testing.T) {
	app := newApp()
	app.Use(sess.New(sess.Config{Keys: keys, Cookie: sess.Cookie{Name: "__Host-sid", Secure: sess.SecureAlways}}))
	counting(app)
	base := fmt.Sprintf("http://shop.test:%d", serve(t, app, false))
	w := newWindow(t)
	wantText(t, "first count", w.open(base+"/count"), "1")
	wantText(t, "second count", w.open(base+"/count"), "1")
	if got := len(w.jar()); got != 0 {
		t.Errorf("got %d cookies kept, want none", got)
	}
}

// The destroyed session's cookies go with the attributes that they came with, or the browser would keep them.
func TestALogoutTakesTheCookiesOutOfTheBrowser(t *testing.T) {
	app := newApp()
	app.Use(sess.New(sess.Config{Keys: keys, Cookie: sess.Cookie{Name: "__Secure-sid", Secure: sess.SecureAlways, Path: "/app", Domain: "shop.test", MaxAge: time.Hour}}))
	app.Get("/app/in", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "user", "ann")
		return page(c, "in")
	})
	app.Get("/app/out", func(c *fiber.Ctx) error {
		sess.From(c).Destroy()
		return page(c, "out")
	})
	base := fmt.Sprintf("https://shop.test:%d", serve(t, app, true))
	w := newWindow(t)
	w.open(base + "/app/in")
	if got := len(w.jar()); got != 2 {
		t.Errorf("logged in: got %d cookies, want 2", got)
	}
	w.open(base + "/app/out")
	if got := len(w.jar()); got != 0 {
		t.Errorf("logged out: got %d cookies, want none", got)
	}
}

// Whoever moves the cookie to another path has visitors with two cookies of one name, of which the browser sends the
// one with the longer path first, dead or alive.
func TestAVisitorSurvivesACookieThatMovedToAnotherPath(t *testing.T) {
	store := sess.NewMemoryStore()
	app := newApp()
	old := sess.New(sess.Config{Store: store, Keys: keys, Cookie: sess.Cookie{Path: "/shop"}})
	current := sess.New(sess.Config{Store: store, Keys: keys})
	moved := false
	app.Use(func(c *fiber.Ctx) error {
		if moved {
			return current(c)
		}
		return old(c)
	})
	app.Get("/shop/count", func(c *fiber.Ctx) error {
		s := sess.From(c)
		n, _ := sess.Get[int](s, "n")
		sess.Set(s, "n", n+1)
		return page(c, fmt.Sprint(n+1))
	})
	app.Get("/shop/end", func(c *fiber.Ctx) error {
		return store.Destroy(c.Context(), sess.From(c).ID())
	})
	base := fmt.Sprintf("https://shop.test:%d", serve(t, app, true))
	w := newWindow(t)
	wantText(t, "under /shop", w.open(base+"/shop/count"), "1")
	moved = true
	wantText(t, "under /, with the cookie of /shop", w.open(base+"/shop/count"), "2")
	if got := len(w.jar()); got != 4 {
		t.Errorf("moved: got %d cookies, want both pairs", got)
	}
	w.open(base + "/shop/end") // the record goes, and no cookie does
	wantText(t, "both dead", w.open(base+"/shop/count"), "1")
	wantText(t, "the dead one of /shop in front", w.open(base+"/shop/count"), "2")
	wantText(t, "and again", w.open(base+"/shop/count"), "3")
}

func TestKeysRotateUnderABrowser(t *testing.T) {
	const fresh = "a key that is new, 32 bytes long."
	store := sess.NewMemoryStore()
	app := newApp()
	handlers := map[string]fiber.Handler{}
	for name, list := range map[string][]sess.Key{
		"old":  keys,
		"both": sess.Keys(fresh, "a key of these tests, 32 bytes.."),
		"new":  sess.Keys(fresh),
	} {
		handlers[name] = sess.New(sess.Config{Store: store, Keys: list})
	}
	phase := "old"
	app.Use(func(c *fiber.Ctx) error { return handlers[phase](c) })
	counting(app)
	base := fmt.Sprintf("https://shop.test:%d", serve(t, app, true))
	w := newWindow(t)
	wantText(t, "the old key", w.open(base+"/count"), "1")
	before := w.cookies(base)
	phase = "both"
	wantText(t, "the new key in front", w.open(base+"/look"), "1")
	after := w.cookies(base)
	if before["koa.sid"].Value != after["koa.sid"].Value || before["koa.sid.sig"].Value == after["koa.sid.sig"].Value {
		t.Error("the new key in front: got another id or the old signature, want the id signed anew")
	}
	phase = "new"
	wantText(t, "the old key gone", w.open(base+"/look"), "1")
}

func TestTwoWindowsOfOneProfileShareTheSession(t *testing.T) {
	base := shop(t, sess.Config{})
	w := newWindow(t)
	wantText(t, "first window", w.open(base+"/count"), "1")
	ctx, cancel := chromedp.NewContext(w.ctx)
	defer cancel()
	second := &window{t, ctx}
	wantText(t, "second window", second.open(base+"/count"), "2")
	wantText(t, "another profile", newWindow(t).open(base+"/count"), "1")
}
