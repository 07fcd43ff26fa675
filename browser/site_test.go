package browser_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
)

// framing serves an application whose only page has url in a frame, and returns its port. The variable "framed" of the
// page is a promise of what the frame shows.
func framing(t *testing.T, url string) int {
	t.Helper()
	app := newApp()
	app.Get("/", func(c *fiber.Ctx) error {
		c.Type("html", "utf-8")
		return c.SendString(`<!doctype html><link rel="icon" href="data:,"><script>framed = new Promise(done => addEventListener("message", e => done(e.data)))</script><iframe src="` + url + `"></iframe>`)
	})
	return serve(t, app, true)
}

// A partitioned cookie belongs to the site in the address bar as well: a shop in the frame of two sites has two
// sessions, and a third one in a window of its own.
func TestAPartitionedSessionIsOneForEachSiteThatFramesIt(t *testing.T) {
	base := shop(t, sess.Config{Cookie: sess.Cookie{Name: "__Host-sid", Secure: sess.SecureAlways, SameSite: sess.SameSiteNone, Partitioned: true}})
	port := framing(t, base+"/count")
	w := newWindow(t)
	visit := func(host string) {
		w.t.Helper()
		w.open(fmt.Sprintf("https://%s:%d/", host, port))
	}
	visit("news.test")
	visit("news.test")
	visit("blog.test")
	wantText(t, "a window of its own", w.open(base+"/count"), "1")
	keys := map[string]int{}
	for _, c := range w.jar() {
		if c.Name == "__Host-sid" && c.PartitionKey != nil {
			keys[c.PartitionKey.TopLevelSite]++
		}
	}
	for _, site := range []string{"https://news.test", "https://blog.test", "https://shop.test"} {
		if keys[site] != 1 {
			t.Errorf("got %d session cookies in the partition of %s, want 1", keys[site], site)
		}
	}
	visit("news.test")
	if got := evaluate[string](w, "framed"); got != "3" {
		t.Errorf("the third visit in the frame of news.test: got the count %q, want 3", got)
	}
}

// posting serves a page that posts a form to url as soon as it is loaded, and returns its address.
func posting(t *testing.T, host, url string) string {
	t.Helper()
	scheme, _, _ := strings.Cut(url, ":") // browsers warn of a form that leaves TLS
	t.Helper()
	app := newApp()
	app.Get("/", func(c *fiber.Ctx) error {
		c.Type("html", "utf-8")
		return c.SendString(`<!doctype html><link rel="icon" href="data:,"><form method="post" action="` + url +
			`"><input name="amount" value="1000"></form><script>document.forms[0].submit()</script>`)
	})
	return fmt.Sprintf("%s://%s:%d/", scheme, host, serve(t, app, scheme == "https"))
}

func TestSameSiteDecidesWhetherAFormOfAnotherSiteCarriesTheSession(t *testing.T) {
	for name, c := range map[string]struct {
		sameSite sess.SameSite
		want     string
	}{
		"Lax":    {sess.SameSiteLax, "0"},
		"Strict": {sess.SameSiteStrict, "0"},
		"None":   {sess.SameSiteNone, "1"},
	} {
		base := shop(t, sess.Config{Cookie: sess.Cookie{Secure: sess.SecureAlways, SameSite: c.sameSite}})
		w := newWindow(t)
		wantText(t, name+": on the site itself", w.open(base+"/count"), "1")
		w.run(chromedp.Navigate(posting(t, "evil.test", base+"/look")))
		wantText(t, name+": posted from another site", w.arrive(strings.TrimPrefix(base, "https://")), c.want)
	}
}

func TestALinkFromAnotherSiteCarriesALaxSessionAndNoStrictOne(t *testing.T) {
	for name, c := range map[string]struct {
		sameSite sess.SameSite
		want     string
	}{"Lax": {sess.SameSiteLax, "1"}, "Strict": {sess.SameSiteStrict, "0"}} {
		base := shop(t, sess.Config{Cookie: sess.Cookie{SameSite: c.sameSite}})
		w := newWindow(t)
		w.open(base + "/count")
		app := newApp()
		app.Get("/", func(ctx *fiber.Ctx) error {
			ctx.Type("html", "utf-8")
			return ctx.SendString(`<!doctype html><link rel="icon" href="data:,"><a href="` + base + `/look">go</a>`)
		})
		w.open(fmt.Sprintf("https://news.test:%d/", serve(t, app, true)))
		evaluate[float64](w, `setTimeout(() => document.querySelector("a").click())`)
		wantText(t, name+": by a link", w.arrive(strings.TrimPrefix(base, "https://")), c.want)
	}
}
