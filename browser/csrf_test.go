package browser_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/csrf"
)

// bank is an application that counts what reaches its handlers behind csrf. Its cookie is SameSite=None, so that
// nothing but csrf protects it.
type bank struct {
	base, host string

	mu      sync.Mutex
	reached map[string]int    // by path
	site    map[string]string // Sec-Fetch-Site of the last request, by path, refused ones too
}

func newBank(t *testing.T, overTLS bool, config csrf.Config) *bank {
	t.Helper()
	b := &bank{reached: map[string]int{}, site: map[string]string{}}
	app := newApp()
	cookie := sess.Cookie{}
	if overTLS {
		cookie = sess.Cookie{Secure: sess.SecureAlways, SameSite: sess.SameSiteNone}
	}
	app.Use(sess.New(sess.Config{Keys: keys, Cookie: cookie}))
	app.Use(func(c *fiber.Ctx) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.site[c.Path()] = strings.Clone(c.Get("Sec-Fetch-Site"))
		return c.Next()
	})
	app.Use(csrf.New(config))
	app.Get("/", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "user", "ann")
		c.Type("html", "utf-8")
		return c.SendString(`<!doctype html><link rel="icon" href="data:,"><form method="post" action="/pay"><button>Pay</button></form>`)
	})
	reach := func(c *fiber.Ctx) error { // under the lock of the handler above
		b.reached[c.Path()]++
		return page(c, "paid")
	}
	app.Post("/pay", reach)
	app.Post("/fetched", reach)
	app.Get("/socket", reach)
	app.Get("/image", reach)
	scheme := "http"
	if overTLS {
		scheme = "https"
	}
	b.host = fmt.Sprintf("shop.test:%d", serve(t, app, overTLS))
	b.base = scheme + "://" + b.host
	return b
}

func (b *bank) want(t *testing.T, what, path string, reached int, site string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reached[path] != reached || b.site[path] != site {
		t.Errorf("%s: got %d requests at the handler, the last to arrive with Sec-Fetch-Site %q; want %d and %q", what, b.reached[path], b.site[path], reached, site)
	}
}

const fetching = `fetch(%q, {method: "POST", mode: "no-cors", credentials: "include", body: "a=1"}).then(() => "sent", () => "failed")`

// It ends when the socket has, which it does at once: the handler answers without an upgrade.
const connecting = `new Promise(done => { const s = new WebSocket(%q); s.onerror = s.onclose = s.onopen = () => done("over") })`

func TestABrowsersOwnFormsFetchesAndSocketsPass(t *testing.T) {
	b := newBank(t, true, csrf.Config{})
	w := newWindow(t)
	w.open(b.base + "/")
	evaluate[string](w, fmt.Sprintf(fetching, b.base+"/fetched"))
	b.want(t, "fetch", "/fetched", 1, "same-origin")
	evaluate[string](w, fmt.Sprintf(connecting, "wss://"+b.host+"/socket"))
	b.mu.Lock()
	if b.reached["/socket"] != 1 {
		t.Errorf("socket: got %d requests at the handler, want 1", b.reached["/socket"])
	}
	b.mu.Unlock()
	w.run(chromedp.Click("button"), chromedp.WaitVisible("#answer"))
	wantText(t, "form", w.text(), "paid")
	b.want(t, "form", "/pay", 1, "same-origin")
}

func TestFormsFetchesAndSocketsOfAnotherOriginAreRefused(t *testing.T) {
	b := newBank(t, true, csrf.Config{})
	w := newWindow(t)
	w.open(b.base + "/")
	w.run(chromedp.Navigate(posting(t, "evil.test", b.base+"/pay")))
	wantText(t, "form", w.arrive(b.host), csrf.ErrOrigin.Error())
	b.want(t, "form", "/pay", 0, "cross-site")

	w.open(fmt.Sprintf("https://evil.test:%d/", framing(t, "about:blank")))
	evaluate[string](w, fmt.Sprintf(fetching, b.base+"/fetched"))
	b.want(t, "fetch", "/fetched", 0, "cross-site")
	evaluate[string](w, fmt.Sprintf(connecting, "wss://"+b.host+"/socket"))
	b.mu.Lock()
	if b.reached["/socket"] != 0 {
		t.Errorf("socket: got %d requests at the handler, want 0", b.reached["/socket"])
	}
	if _, arrived := b.site["/socket"]; !arrived {
		t.Error("socket: got no request, want one that is refused")
	}
	b.mu.Unlock()
	evaluate[string](w, fmt.Sprintf(`fetch(%q, {mode: "no-cors", credentials: "include"}).then(() => "sent")`, b.base+"/image"))
	b.want(t, "GET", "/image", 1, "cross-site")
}

func TestATrustedOriginPasses(t *testing.T) {
	app := newApp()
	var target string
	app.Get("/", func(c *fiber.Ctx) error {
		c.Type("html", "utf-8")
		return c.SendString(`<!doctype html><link rel="icon" href="data:,"><form method="post" action="` + target + `"></form><script>document.forms[0].submit()</script>`)
	})
	partner := fmt.Sprintf("https://news.test:%d", serve(t, app, true))
	b := newBank(t, true, csrf.Config{TrustedOrigins: []string{partner}})
	target = b.base + "/pay"
	w := newWindow(t)
	w.run(chromedp.Navigate(partner + "/"))
	wantText(t, "form", w.arrive(b.host), "paid")
	b.want(t, "form", "/pay", 1, "cross-site")
}

// Browsers leave Sec-Fetch-Site out where there is no TLS. Origin decides then.
func TestOverPlainHTTPTheOriginDecides(t *testing.T) {
	b := newBank(t, false, csrf.Config{})
	w := newWindow(t)
	w.run(chromedp.Navigate(posting(t, "evil.test", b.base+"/pay")))
	wantText(t, "form of another origin", w.arrive(b.host), csrf.ErrOrigin.Error())
	b.want(t, "form of another origin", "/pay", 0, "")
	w.open(b.base + "/")
	w.run(chromedp.Click("button"), chromedp.WaitVisible("#answer"))
	b.want(t, "form", "/pay", 1, "")
}

// Over plain HTTP a page whose policy is no-referrer, which is the default of Fiber's helmet, sends its forms with
// Origin: null. With TLS, Sec-Fetch-Site decides.
func TestAFormOfAPageWithoutReferrerIsRefusedOverPlainHTTPAlone(t *testing.T) {
	for name, overTLS := range map[string]bool{"http": false, "https": true} {
		app := newApp()
		app.Use(func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
			return c.Next()
		}, csrf.New())
		app.Get("/", func(c *fiber.Ctx) error {
			c.Type("html", "utf-8")
			return c.SendString(`<!doctype html><link rel="icon" href="data:,"><form method="post" action="/pay"><button>Pay</button></form>`)
		})
		app.Post("/pay", func(c *fiber.Ctx) error { return page(c, "paid") })
		w := newWindow(t)
		w.open(fmt.Sprintf("%s://shop.test:%d/", name, serve(t, app, overTLS)))
		w.press("Pay")
		want := csrf.ErrOrigin.Error()
		if overTLS {
			want = "paid"
		}
		wantText(t, name, w.arrivePath("/pay"), want)
	}
}

// Two hosts of one site are two origins: a form of a subdomain, which carries even a SameSite=Strict cookie, is refused.
func TestASubdomainIsAnotherOrigin(t *testing.T) {
	b := newBank(t, true, csrf.Config{})
	w := newWindow(t)
	w.open(b.base + "/")
	w.run(chromedp.Navigate(posting(t, "www.shop.test", b.base+"/pay")))
	wantText(t, "form", w.arrive(b.host), csrf.ErrOrigin.Error())
	b.want(t, "form", "/pay", 0, "same-site")
}
