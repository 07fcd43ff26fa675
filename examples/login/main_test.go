package main

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersess/sess/internal/redistest"
	"github.com/fibersess/sess/sesstest"
)

func TestAnAccountIsMadeLoggedOutAndLoggedInAgain(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		_, base := serve(t, o)
		b := newBrowser(t, base, firefox)
		b.get("/")
		b.wantPage("a visitor", "/", 200, "You have no session and no cookie")
		b.get("/login")
		if got := b.header.Values("Set-Cookie"); len(got) != 0 {
			t.Errorf("the login page: got %d cookies for a visitor who only looks, want none", len(got))
		}
		b.post("/register", "name", "Ann", "password", secret)
		b.wantPage("a new account", "/", 200, "Hello ann", "Welcome. Your account is there")
		if got := b.cookies(); !slices.Equal(got, []string{"sid", "sid.sig"}) { // another name has to be Secure
			t.Errorf("over plain http: got the cookies %q, want sid and sid.sig", got)
		}
		b.get("/")
		if strings.Contains(b.text(), "Welcome.") {
			t.Error("the page loaded again: got the message again, want it once")
		}
		b.post("/logout")
		b.wantUser("after the logout", "")
		b.logIn("ann")
		b.wantPage("a login", "/", 200, "Hello ann")
		if b.listed(); b.path != "/sessions" || !strings.Contains(b.text(), "Firefox on Linux this one") {
			t.Errorf("the page of sessions: got %q at %s, want this browser in it", b.text(), b.path)
		}
	})
}

func TestWrongCredentialsAreRefusedInOneWayAndAtOneCost(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		s, base := serve(t, o)
		member(t, base, firefox, "ann")
		var answers []string
		for _, name := range []string{"ann", "bob"} { // one exists, the other does not
			derived := 0
			s.passwords.derived = func() { derived++ }
			b := newBrowser(t, base, firefox)
			b.get("/login")
			b.post("/login", "name", name, "password", "battery staple")
			b.wantPage("a wrong password of "+name, "/login", 401, "Wrong name or password.")
			answers = append(answers, strings.ReplaceAll(b.body, `value="`+name+`"`, ""))
			if derived != 1 {
				t.Errorf("a wrong password of %s: got %d derivations, want 1", name, derived)
			}
			b.wantUser("after a wrong password", "")
		}
		if answers[0] != answers[1] {
			t.Error("a wrong password and an unknown name: got two different pages, want the same one")
		}
	})
}

func TestNamesAndPasswordsThatAnAccountCannotHaveAreRefused(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		_, base := serve(t, o)
		member(t, base, firefox, "ann")
		b := newBrowser(t, base, firefox)
		for _, c := range []struct {
			name, password string
			status         int
			want           string
		}{
			{"ann", secret, 409, "This name is taken."},
			{"ANN", secret, 409, "This name is taken."},
			{"", secret, 422, "A name has"},
			{"ann smith", secret, 422, "A name has"},
			{`"><script>alert(1)</script>`, secret, 422, "A name has"},
			{strings.Repeat("a", 33), secret, 422, "A name has"},
			{"ann\nbob", secret, 422, "A name has"},
			{"bob", "short", 422, "A password has"},
			{"bob", "", 422, "A password has"},
			{"bob", strings.Repeat("x", 257), 422, "A password has"},
		} {
			b.get("/register")
			b.post("/register", "name", c.name, "password", c.password)
			b.wantPage("the name "+c.name, "/register", c.status, c.want)
			if strings.Contains(b.body, "<script>alert") {
				t.Errorf("the name %s: got it as markup, want it escaped", c.name)
			}
			if c.password != "" && strings.Contains(b.body, c.password) {
				t.Errorf("the name %s: got the password in the page, want it never shown", c.name)
			}
			b.wantUser("after it was refused", "")
		}
		b.logIn("ann")
		b.wantUser("the password of the account that was there", "ann")
	})
}

func TestOfTwoWhoTakeOneNameAtOnceOneGetsIt(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		s, base := serve(t, o)
		var both sync.WaitGroup
		both.Add(2)
		s.passwords.derived = func() { // both have found the name free, if they look before
			both.Done()
			both.Wait()
		}
		s.passwords.turns = make(chan struct{}, 2)
		browsers := []*browser{newBrowser(t, base, firefox), newBrowser(t, base, iphone)}
		var all sync.WaitGroup
		for i, b := range browsers {
			all.Go(func() { b.post("/register", "name", "ann", "password", secret+[]string{"1", "2"}[i]) })
		}
		all.Wait()
		if a, b := browsers[0].status, browsers[1].status; a+b != 200+409 {
			t.Errorf("got the answers %d and %d, want 200 and 409", a, b)
		}
	})
}

func TestTwoBrowsersSeeAndEndEachOther(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		_, base := serve(t, o)
		laptop, phone := member(t, base, firefox, "ann"), newBrowser(t, base, iphone)
		bob := member(t, base, firefox, "bob")
		phone.logIn("ann")

		list := laptop.listed()
		laptop.wantPage("the page of sessions", "/sessions", 200, "Firefox on Linux this one", "Safari on iPhone Logged in on")
		if len(list) != 2 {
			t.Fatalf("the page of sessions: got %d, want ann's two and not bob's", len(list))
		}
		laptop.post("/sessions/end", "session", list[1])
		laptop.wantPage("ending one", "/sessions", 200, "It is logged out.")
		phone.wantUser("the one that was ended", "")
		laptop.wantUser("the one that ended it", "ann")

		phone.logIn("ann")
		laptop.listed()
		laptop.post("/sessions/others")
		laptop.wantPage("ending the others", "/sessions", 200, "One other session is logged out.")
		phone.wantUser("another one", "")
		laptop.wantUser("this one", "ann")

		phone.logIn("ann")
		laptop.listed()
		laptop.post("/sessions/all")
		laptop.wantPage("ending all", "/", 200, "You have no session and no cookie")
		if got := laptop.cookies(); len(got) != 0 {
			t.Errorf("ending all: got the cookies %q left, want none", got)
		}
		phone.wantUser("another one of all", "")
		bob.wantUser("somebody else's", "bob")

		laptop.logIn("ann")
		list = laptop.listed()
		laptop.post("/sessions/end", "session", list[0])
		laptop.wantPage("ending this one", "/", 200, "You have no session and no cookie")
	})
}

func TestAHandleOfSomebodyElsesEndsNothing(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		_, base := serve(t, o)
		ann, bob := member(t, base, firefox, "ann"), member(t, base, iphone, "bob")
		foreign := ann.listed()[0]
		for _, handle := range []string{foreign, "", "*", strings.Repeat("A", 10_000)} {
			bob.listed()
			bob.post("/sessions/end", "session", handle)
			bob.wantPage("a foreign handle", "/sessions", 200)
		}
		ann.wantUser("whose handle it was", "ann")
		bob.wantUser("who sent it", "bob")
	})
}

func TestAFormWithoutItsTokenAndOneOfAnotherSiteAreRefused(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		_, base := serve(t, o)
		ann, phone := member(t, base, firefox, "ann"), newBrowser(t, base, iphone)
		phone.logIn("ann")
		ann.get("/sessions")
		for _, path := range []string{"/sessions/others", "/sessions/all", "/logout", "/password", "/confirm", "/login", "/register"} {
			for what, token := range map[string]string{"no token": "", "a wrong one": strings.Repeat("A", 86), "another session's": first(csrfField, phone.body)} {
				ann.post(path, "csrf", token, "name", "eve", "password", secret, "repeat", secret)
				ann.wantPage(path+" with "+what, path, 403, "Open it again.")
			}
			req := ann.form(path)
			req.Header.Set("Origin", "https://evil.test")
			ann.do(req)
			ann.wantPage(path+" of another site", path, 403, "Another site caused this request.")
		}
		ann.wantUser("after all that", "ann")
		phone.wantUser("the other one after all that", "ann")
	})
}

func TestWhoIsNotLoggedInIsSentToTheLogin(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		_, base := serve(t, o)
		b := newBrowser(t, base, firefox)
		for _, path := range []string{"/sessions", "/password", "/confirm"} {
			b.get(path)
			b.wantPage(path, "/login?again=1", 200, "Please log in.")
		}
		for _, path := range []string{"/sessions/end", "/sessions/others", "/sessions/all", "/password", "/confirm"} {
			b.post(path)
			b.wantPage("POST "+path, "/login?again=1", 200, "Please log in.")
		}
		b.get("/nowhere")
		b.wantPage("a page that is not there", "/nowhere", 404)
	})
}

func TestAPasswordChangeEndsTheOthersAndGoesOnHere(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		_, base := serve(t, o)
		laptop, phone := member(t, base, firefox, "ann"), newBrowser(t, base, iphone)
		phone.logIn("ann")
		laptop.get("/password")
		laptop.post("/password", "password", "battery staple", "repeat", "battery stable")
		laptop.wantPage("two different ones", "/password", 422, "The two are not the same.")
		laptop.post("/password", "password", "short", "repeat", "short")
		laptop.wantPage("a short one", "/password", 422, "A password has")
		phone.wantUser("before the change", "ann")

		laptop.post("/password", "password", "battery staple", "repeat", "battery staple")
		laptop.wantPage("the change", "/sessions", 200, "Your password is changed. One other session is logged out.")
		if got := len(laptop.listed()); got != 1 {
			t.Errorf("after the change: got %d sessions, want this one", got)
		}
		phone.wantUser("the other one", "")
		phone.logIn("ann")
		phone.wantPage("the old password", "/login", 401, "Wrong name or password.")
		phone.post("/login", "name", "ann", "password", "battery staple")
		phone.wantUser("the new password", "ann")
	})
}

// A thief who is having the old password checked while it is changed gets nothing.
func TestALoginThatChecksTheOldPasswordDuringTheChangeIsRefused(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		s, base := serve(t, o)
		ann, thief := member(t, base, firefox, "ann"), newBrowser(t, base, iphone)
		ann.get("/password")

		checking, changed := make(chan struct{}), make(chan struct{})
		var once sync.Once
		s.passwords.turns = make(chan struct{}, 2)
		s.passwords.derived = func() {
			held := false
			once.Do(func() { held = true })
			if held {
				close(checking)
				<-changed
			}
		}
		var all sync.WaitGroup
		all.Go(func() { thief.post("/login", "name", "ann", "password", secret) })
		<-checking
		ann.post("/password", "password", "battery staple", "repeat", "battery staple")
		ann.wantPage("the change", "/sessions", 200, "Your password is changed.")
		close(changed)
		all.Wait()
		thief.wantPage("the login under way", "/login?again=1", 200, "Please log in.")
		thief.wantUser("the thief", "")
		if got := len(ann.listed()); got != 1 {
			t.Errorf("after the change: got %d sessions, want ann's one", got)
		}
	})
}

func TestRememberMeLastsForAMonth(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		_, base := serve(t, o)
		member(t, base, firefox, "ann")
		for what, c := range map[string]struct {
			fields []string
			want   time.Duration // of the cookie; 0: until the browser ends
		}{"without": {nil, 0}, "with": {[]string{"remember", "yes"}, month}} {
			b := newBrowser(t, base, iphone)
			b.get("/login")
			var cookies []*http.Cookie
			b.client.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
				cookies = req.Response.Cookies()
				return nil
			}
			lasts := func(step string) {
				t.Helper()
				if len(cookies) == 0 {
					t.Fatalf("%s %s: got no cookie, want one", step, what)
				}
				if got := time.Duration(cookies[0].MaxAge) * time.Second; got != c.want {
					t.Errorf("%s %s: got a cookie of %v, want %v", step, what, got, c.want)
				}
			}
			b.post("/login", append([]string{"name", "ann", "password", secret}, c.fields...)...)
			lasts("a login")
			b.get("/confirm?to=password")
			b.post("/confirm?to=password", "password", secret)
			b.wantPage("the password again", "/password", 200)
			lasts("the password again")
			b.post("/password", "password", secret, "repeat", secret)
			lasts("a password change")
		}
	})
}

func TestAnOldLoginIsAskedForThePasswordAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := newSite(quick())
		if err != nil {
			t.Fatal(err)
		}
		b := &browser{t: t, base: "https://app.test", agent: firefox, client: sesstest.NewClient(s.app)}
		b.post("/register", "name", "ann", "password", secret)
		b.get("/password")
		b.wantPage("a new login", "/password", 200, "Change your password")
		time.Sleep(11 * time.Minute)
		b.get("/password")
		b.wantPage("a login of 11 minutes", "/confirm?to=password", 200, "Is it you, ann?")
		b.post("/confirm?to=password", "password", "battery staple")
		b.wantPage("a wrong password", "/confirm?to=password", 401, "Wrong password.")
		b.post("/confirm?to=password", "password", secret)
		b.wantPage("the password", "/password", 200, "Change your password")

		time.Sleep(11 * time.Minute)
		b.get("/sessions")
		b.wantPage("looking at the sessions", "/sessions", 200)
		b.post("/sessions/others")
		b.wantPage("ending the others", "/confirm?to=sessions", 200, "Is it you, ann?")
		b.post("/confirm?to=https://evil.test/", "password", secret)
		b.wantPage("a place that is none", "/", 200, "Hello ann")
	})
}

func TestWhoIsNotRememberedIsOutAfterAnIdleHourAndAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := newSite(quick())
		if err != nil {
			t.Fatal(err)
		}
		visitor := func() *browser {
			return &browser{t: t, base: "https://app.test", agent: firefox, client: sesstest.NewClient(s.app)}
		}
		visitor().post("/register", "name", "ann", "password", secret)
		idle, busy, remembered := visitor(), visitor(), visitor()
		idle.logIn("ann")
		busy.logIn("ann")
		remembered.logIn("ann", "remember", "yes")
		for range 47 {
			time.Sleep(30 * time.Minute)
			busy.wantUser("within a day", "ann")
		}
		idle.wantUser("an hour without a request", "")
		time.Sleep(31 * time.Minute)
		busy.wantUser("a day after the login", "")
		remembered.wantUser("remembered, a day after the login", "ann")
		time.Sleep(29 * day)
		remembered.wantUser("remembered, 30 days after the login", "")
	})
}

func TestGuessesAreBounded(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		o.guesses = 3
		_, base := serve(t, o)
		b := member(t, base, firefox, "ann")
		b.post("/logout")
		for range 5 {
			b.logIn("ann") // succeeds, and is no guess
			b.wantPage("the right password", "/", 200)
			b.post("/logout")
		}
		for range 3 {
			b.post("/login", "name", "ann", "password", "battery staple")
			b.wantPage("a guess", "/login", 401)
		}
		b.post("/login", "name", "ann", "password", secret)
		b.wantPage("one guess too many", "/login", 429, "Wait a minute.")
	})
}

func TestBehindAProxyGuessesAreCountedByTheAddressThatItTells(t *testing.T) {
	o := quick()
	o.https, o.guesses = true, 1
	_, base := serve(t, o)
	guess := func(from string, want int) {
		t.Helper()
		b := newBrowser(t, base, firefox)
		req := b.form("/login", "name", "ann", "password", "battery staple")
		req.Header.Set("X-Real-Ip", from)
		b.do(req)
		if b.status != want {
			t.Errorf("a guess from %s: got %d, want %d", from, b.status, want)
		}
	}
	guess("192.0.2.1", 401)
	guess("192.0.2.1", 429)
	guess("192.0.2.2", 401)
}

func TestWithoutRedisTheSiteSaysSoSoonAndLogsNobodyOut(t *testing.T) {
	server := redistest.Start(t)
	o := quick()
	done, err := o.useRedis("redis://" + server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	_, base := serve(t, o)
	ann, visitor := member(t, base, firefox, "ann"), newBrowser(t, base, iphone)
	server.Pause()
	began := time.Now()
	visitor.post("/login", "name", "ann", "password", secret)
	visitor.wantPage("a login", "/login", 503, "Sorry")
	ann.get("/sessions")
	ann.wantPage("a page of a user", "/sessions", 503, "Sorry")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("got the two answers after %v, want them after a second each", took)
	}
	server.Resume()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if ann.get("/sessions"); ann.status == 200 || time.Now().After(deadline) {
			break
		}
	}
	ann.wantPage("when Redis is back", "/sessions", 200, "this one")
}

func TestOverHTTPSTheCookieIsHardened(t *testing.T) {
	o := quick()
	o.https = true
	s, err := newSite(o)
	if err != nil {
		t.Fatal(err)
	}
	client := sesstest.NewClient(s.app)
	var cookies []*http.Cookie
	client.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		cookies = req.Response.Cookies()
		return nil
	}
	res, err := client.PostForm("/register", url.Values{"name": {"ann"}, "password": {secret}})
	if err != nil {
		t.Fatal(err)
	}
	if len(cookies) != 2 {
		t.Fatalf("got %d cookies, want the id and its signature", len(cookies))
	}
	for _, c := range cookies {
		if !strings.HasPrefix(c.Name, "__Host-sid") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("got the cookie %s, Secure %v, HttpOnly %v, SameSite %v; want __Host-sid, true, true, Lax", c.Name, c.Secure, c.HttpOnly, c.SameSite)
		}
	}
	if got := res.Header.Get("Strict-Transport-Security"); got == "" {
		t.Error("got no Strict-Transport-Security, want it")
	}
}

func TestPagesAreNotKeptAndLoadOnlyTheSitesOwnFiles(t *testing.T) {
	_, base := serve(t, quick())
	b := member(t, base, firefox, "ann")
	for _, path := range []string{"/", "/sessions", "/password", "/confirm", "/login", "/register", "/nowhere"} {
		b.get(path)
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Content-Type": "text/html; charset=utf-8",
		} {
			if got := b.header.Get(name); got != want {
				t.Errorf("%s: got %s %q, want %q", path, name, got, want)
			}
		}
		if got := b.header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || !strings.Contains(got, "frame-ancestors 'none'") {
			t.Errorf("%s: got the policy %q, want nothing of other sites", path, got)
		}
		for _, inline := range []string{"<style", " style=", "<script>", " onclick="} {
			if strings.Contains(b.body, inline) {
				t.Errorf("%s: got %s in the page, which the policy forbids", path, inline)
			}
		}
	}
	for path, kind := range map[string]string{"/style.css": "text/css; charset=utf-8", "/icon.svg": "image/svg+xml", "/stream.js": "text/javascript; charset=utf-8"} {
		b.get(path)
		if got := b.header.Get("Content-Type"); b.status != 200 || got != kind || len(b.header.Values("Set-Cookie")) != 0 {
			t.Errorf("%s: got %d, %q and %d cookies; want 200, %q and none", path, b.status, got, len(b.header.Values("Set-Cookie")), kind)
		}
	}
}

func TestADeviceIsNamedByItsUserAgent(t *testing.T) {
	for agent, want := range map[string]string{
		firefox: "Firefox on Linux",
		iphone:  "Safari on iPhone",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0": "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":         "Chrome on Mac",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36":               "Chrome on Android",
		"curl/8.14.1":               "curl",
		"":                          "A program",
		"<script>alert(1)</script>": "A program",
	} {
		if got := device(agent); got != want {
			t.Errorf("%q: got %q, want %q", agent, got, want)
		}
	}
}

func TestWhatIsKeptOfAPasswordChecksItAndHidesIt(t *testing.T) {
	p, err := newPasswords(1)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := p.hash(secret)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := p.hash(secret); again == kept || strings.Contains(kept, secret) {
		t.Error("got the password, or the same text twice, want a salt of its own each time")
	}
	for password, want := range map[string]bool{secret: true, secret + " ": false, "": false} {
		if ok, err := p.check(kept, password); ok != want || err != nil {
			t.Errorf("the password %q: got %v and the error %v, want %v and none", password, ok, err, want)
		}
	}
	for _, broken := range []string{"x", "md5$1$a$b", "pbkdf2-sha256$x$a$b", "pbkdf2-sha256$1$!$b"} {
		if ok, err := p.check(broken, secret); ok || err == nil {
			t.Errorf("what is kept is %q: got %v and no error, want an error", broken, ok)
		}
	}
	if p.nobody, err = p.hash(secret); err != nil {
		t.Fatal(err)
	}
	if ok, err := p.check("", secret); ok || err != nil {
		t.Errorf("the password of nobody: got %v and the error %v, want false and none", ok, err)
	}
	if defaults().iterations < 600_000 {
		t.Errorf("got %d iterations, want 600,000 at least", defaults().iterations)
	}
}

func TestMistakesAreToldWithoutThePassword(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for redis, want := range map[string]string{"localhost:6379": "-redis", "redis://u:hunter2@[x": "-redis"} {
		if err := run(t.Context(), "127.0.0.1:0", redis, false); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("-redis: got the error %v, want one of %s without the password", err, want)
		}
	}
	if err := run(t.Context(), l.Addr().String(), "", false); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("an address in use: got the error %v, want one that says so", err)
	}
}

func TestTheStreamTellsOfALogoutElsewhereAndOfNothingElse(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		_, base := serve(t, o)
		laptop, phone := member(t, base, firefox, "ann"), newBrowser(t, base, iphone)
		bob := member(t, base, firefox, "bob")
		bobs := bob.listen()
		bobs.want("bob's page", "user bob")

		nobodys := phone.listen()
		nobodys.want("a visitor's page", "nobody", "over")

		for what, end := range map[string]func(){
			"one":           func() { laptop.post("/sessions/end", "session", laptop.listed()[1]) },
			"the others":    func() { laptop.post("/sessions/others") },
			"a change":      func() { laptop.post("/password", "password", secret, "repeat", secret) },
			"its own other": func() { phone.listed(); phone.post("/logout") },
		} {
			phone.logIn("ann")
			laptop.listed()
			theirs := phone.listen()
			theirs.want(what+": a page", "user ann")
			laptop.wantUser(what+": another request", "ann")
			phone.get("/sessions") // requests of its own, which the stream does not mind
			end()
			theirs.want(what+": the page of the session that was ended", "end ended", "over")
			again := phone.listen()
			again.want(what+": the page asks again", "nobody", "over")
			if what != "a change" {
				laptop.wantUser(what+": the one that ended it", "ann")
			}
		}
		bobs.wantSilence("somebody else's page")
	})
}

func TestTwoProcessesOnOneRedisAreOneSite(t *testing.T) {
	server := redistest.Start(t)
	var bases []string
	for range 2 {
		o := quick()
		o.key = "one key for both, of 32 bytes..."
		done, err := o.useRedis("redis://" + server.Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(done)
		_, base := serve(t, o)
		bases = append(bases, base)
	}
	laptop, phone := member(t, bases[0], firefox, "ann"), newBrowser(t, bases[1], iphone)
	phone.logIn("ann")
	page := phone.listen()
	page.want("a page of the second", "user ann")
	if got := len(laptop.listed()); got != 2 {
		t.Errorf("the page of sessions of the first: got %d, want those of both", got)
	}
	laptop.post("/sessions/others")
	page.want("a page of the second, after an end on the first", "end ended", "over")
	phone.get("/sessions")
	phone.wantPage("the second, after an end on the first", "/login?again=1", 200)
}

// A login of the browser's own renews the session. The page is told that, asks again with the new cookie, and says nothing.
func TestAPageIsNotLoggedOutByTheBrowsersOwnLogin(t *testing.T) {
	onEveryStore(t, func(t *testing.T, o options) {
		_, base := serve(t, o)
		b := member(t, base, firefox, "ann")
		page := b.listen()
		page.want("a page", "user ann")
		b.get("/confirm")
		b.post("/confirm", "password", secret)
		page.want("the page, after the password was entered again", "end renewed", "over")
		page = b.listen()
		page.want("the page asks again", "user ann")

		b.get("/password")
		b.post("/password", "password", secret, "repeat", secret)
		page.want("the page, after a change of password", "end ended", "over")
		page = b.listen()
		page.want("the page asks again", "user ann")
		page.wantSilence("the page")
	})
}

func TestTheStreamTellsThatTheTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := newSite(quick())
		if err != nil {
			t.Fatal(err)
		}
		b := &browser{t: t, base: "https://app.test", agent: firefox, client: sesstest.NewClient(s.app)}
		b.post("/register", "name", "ann", "password", secret)
		b.get("/events") // it ends with the stream, an hour later
		if want := "event: end\ndata: expired\n"; !strings.Contains(b.body, want) {
			t.Errorf("the stream of an hour: got %q, want %q at its end", b.body, want)
		}
		if got := strings.Count(b.body, ":\n\n"); got < 200 {
			t.Errorf("the stream of an hour: got %d signs of life, want one each 15 s", got)
		}
	})
}
