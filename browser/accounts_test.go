package browser_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/gofiber/fiber/v2"
)

const password = "correct horse"

// fill types text into the field of a name.
func (w *window) fill(name, text string) {
	w.t.Helper()
	if !evaluate[bool](w, fmt.Sprintf(`(f => f ? (f.value = %q, true) : false)(document.querySelector("[name=%s]"))`, text, name)) {
		w.t.Fatalf("the page at %s: got no field %s", evaluate[string](w, "location.href"), name)
	}
}

// lookedAt has the window count as one that is looked at, whatever other windows there are.
func (w *window) lookedAt() *window {
	w.t.Helper()
	w.run(func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return chromedp.Void{}, err
	})
	return w
}

// agent has the window say that it is another browser.
func (w *window) agent(name string) {
	w.t.Helper()
	w.run(func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: name})
		return chromedp.Void{}, err
	})
}

// tab is another window of the same profile.
func (w *window) tab() *window {
	w.t.Helper()
	ctx, cancel := chromedp.NewContext(w.ctx)
	w.t.Cleanup(cancel)
	return (&window{w.t, ctx}).lookedAt()
}

// member registers name in a profile of its own.
func member(t *testing.T, base, name string) *window {
	t.Helper()
	w := newWindow(t).lookedAt()
	w.open(base + "/register")
	w.fill("name", name)
	w.fill("password", password)
	w.press("Make the account")
	w.see("Hello " + name)
	return w
}

func (w *window) logIn(base, name string) {
	w.t.Helper()
	w.open(base + "/login")
	w.fill("name", name)
	w.fill("password", password)
	w.press("Log in")
	w.see("Hello " + name)
}

// notice is what the page says of its session; "" is nothing.
func (w *window) notice() string {
	w.t.Helper()
	return evaluate[string](w, `document.querySelector("#notice").innerText`)
}

// listens waits until the page's stream is open.
func (w *window) listens() {
	w.t.Helper()
	for w.ctx.Err() == nil {
		if evaluate[bool](w, `typeof stream === "object" && stream.readyState === EventSource.OPEN`) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Fatal("the page never had an open stream")
}

const elsewhere = "You were logged out elsewhere."

func TestTwoProfilesOfOneUserSeeAndEndEachOther(t *testing.T) {
	base := example(t, "login")
	w := newWindow(t)
	w.open(base + "/login")
	w.see("No account yet?")
	w.picture("login")

	laptop := member(t, base, "ann")
	phone := newWindow(t).lookedAt()
	phone.agent("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1")
	phone.logIn(base, "ann")
	bob := member(t, base, "bob")
	for _, page := range []*window{phone, bob} {
		page.listens()
	}
	laptop.open(base + "/sessions")
	laptop.see("this one")
	laptop.see("Safari on iPhone")
	if got := evaluate[int](laptop, `document.querySelectorAll("li").length`); got != 2 {
		t.Errorf("the page of sessions: got %d, want ann's two", got)
	}
	laptop.picture("login-sessions")

	laptop.press("End all others")
	phone.see(elsewhere)
	phone.picture("login-elsewhere")
	laptop.see("One other session is logged out.")
	laptop.listens()
	time.Sleep(300 * time.Millisecond) // longer than a page waits before it speaks
	for name, page := range map[string]*window{"the page that ended it": laptop, "somebody else's page": bob} {
		if got := page.notice(); got != "" {
			t.Errorf("%s: got the notice %q, want none", name, got)
		}
	}

	phone.logIn(base, "ann")
	laptop.open(base + "/sessions")
	laptop.press("End all, this one too")
	laptop.see("Who are you?")
	phone.see(elsewhere)
}

// A login and a change of password in one tab give the browser a new cookie: the other tabs find that out and say nothing.
func TestATabIsNotLoggedOutByWhatAnotherTabOfTheBrowserDoes(t *testing.T) {
	base := example(t, "login")
	w := member(t, base, "ann")
	w.listens()
	tab := w.tab()
	quiet := func(what string) {
		t.Helper()
		time.Sleep(1500 * time.Millisecond) // longer than a page waits before it speaks
		w.listens()
		if got := w.notice(); got != "" {
			t.Errorf("another tab after %s: got the notice %q, want none", what, got)
		}
		if got := tab.notice(); got != "" {
			t.Errorf("the tab of %s: got the notice %q, want none", what, got)
		}
	}
	tab.open(base + "/confirm?to=password")
	tab.fill("password", password)
	tab.press("Go on")
	tab.see("Change your password")
	quiet("a repeated login")
	tab.fill("password", "battery staple")
	tab.fill("repeat", "battery staple")
	tab.press("Change it")
	tab.see("Your password is changed.")
	quiet("a change of password")

	tab.press("Log out")
	tab.see("Who are you?")
	w.see(elsewhere)
}

// Somebody who has the cookie and the password logs in with both: the session lives on there, and this browser's is over.
func TestAPageSaysWhenSomebodyElseGoesOnWithItsSession(t *testing.T) {
	base := example(t, "login")
	w := member(t, base, "ann")
	w.listens()
	thief, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	site, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range w.jar() {
		thief.SetCookies(site, []*http.Cookie{{Name: c.Name, Value: c.Value}})
	}
	client := http.Client{Jar: thief}
	res, err := client.Get(base + "/confirm")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	form, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	token := regexp.MustCompile(`name="csrf" value="([^"]*)"`).FindSubmatch(form)
	if token == nil {
		t.Fatalf("the form: got %s, want a token in it", form)
	}
	res, err = client.PostForm(base+"/confirm", url.Values{"csrf": {string(token[1])}, "password": {password}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 || res.Request.URL.Path != "/" {
		t.Fatalf("the login: got %d at %s, want 200 at /", res.StatusCode, res.Request.URL.Path)
	}
	w.see("Somebody has logged in with this session elsewhere.")
}

func TestTheBackButtonAfterALogoutOfTheLoginExampleAsksForALogin(t *testing.T) {
	base := example(t, "login")
	w := member(t, base, "ann")
	w.open(base + "/sessions")
	w.see("this one")
	w.press("Log out")
	w.see("Who are you?")
	evaluate[bool](w, "(setTimeout(() => history.back()), true)")
	w.see("Please log in.")
	if got := w.text(); strings.Contains(got, "this one") || strings.Contains(got, "ann") {
		t.Errorf("the back button: got %q, want nothing of ann's", got)
	}
	if got := len(w.jar()); got != 0 {
		t.Errorf("logged out: got %d cookies, want none", got)
	}
}

// One origin is another site, whose form comes without the cookie. The other is another port of the same host, whose form
// comes with it.
func TestFormsOfOtherOriginsDoNothingToTheLoginExample(t *testing.T) {
	base := example(t, "login")
	w := member(t, base, "ann")
	host := strings.TrimPrefix(base, "http://")
	for name, origin := range map[string]string{"another site": "evil.test", "another port": "127.0.0.1"} {
		for _, path := range []string{"/logout", "/sessions/all", "/password", "/login"} {
			app := newApp()
			app.Get("/", func(c *fiber.Ctx) error {
				c.Type("html", "utf-8")
				return c.SendString(`<!doctype html><link rel="icon" href="data:,"><form method="post" action="` + base + path +
					`"><input name="name" value="eve"><input name="password" value="eve's word"><input name="repeat" value="eve's word"></form><script>document.forms[0].submit()</script>`)
			})
			w.run(chromedp.Navigate(fmt.Sprintf("http://%s:%d/", origin, serve(t, app, false))))
			if got := w.arrive(host); !strings.Contains(got, "Another site caused this request.") {
				t.Errorf("%s of %s: got the page %q, want that it is refused", path, name, got)
			}
			w.open(base)
			w.see("Hello ann")
		}
	}
}
