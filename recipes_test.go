package sess_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/sesstest"
)

// guest is a browser at the site of the recipes.
type guest struct {
	*http.Client
	site *recipes
}

func (site *recipes) guest() *guest { return &guest{sesstest.NewClient(site.app), site} }

// loggedIn is a browser whose user has logged in on a device.
func (site *recipes) loggedIn(user, device string, more ...string) *guest {
	site.Helper()
	v := site.guest()
	v.wantSent("login of "+user, "/login", "", append(more, "user="+user, "password=old", "device="+device)...)
	return v
}

// thief is a browser with the cookies of v.
func (v *guest) thief() *guest {
	other := v.site.guest()
	other.Jar.SetCookies(&url.URL{Path: "/"}, v.Jar.Cookies(&url.URL{Path: "/"}))
	return other
}

// send posts a form of fields such as "name=value" and returns the text of the page behind all redirects.
func (v *guest) send(path string, fields ...string) string {
	v.site.Helper()
	form, err := url.ParseQuery(strings.Join(fields, "&"))
	if err != nil {
		v.site.Fatal(err)
	}
	res, err := v.PostForm(path, form)
	return v.text(res, err)
}

func (v *guest) look(path string) string {
	v.site.Helper()
	res, err := v.Get(path)
	return v.text(res, err)
}

func (v *guest) text(res *http.Response, err error) string {
	v.site.Helper()
	if err != nil {
		v.site.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.site.Fatal(err)
	}
	return string(body)
}

func (v *guest) wantSent(what, path, want string, fields ...string) {
	v.site.Helper()
	if got := v.send(path, fields...); got != want {
		v.site.Errorf("%s: got the page %q, want %q", what, got, want)
	}
}

// wantUser checks who is logged in; "" is nobody.
func (v *guest) wantUser(what, user string) {
	v.site.Helper()
	want := "hello " + user
	if user == "" {
		want = "log in"
	}
	if got := v.look("/account"); got != want {
		v.site.Errorf("/account of %s: got the page %q, want %q", what, got, want)
	}
}

// handles are those of the sessions page, by device. The session of the page must be the one of device.
func (v *guest) handles(device string) map[string]string {
	v.site.Helper()
	all := map[string]string{}
	for line := range strings.Lines(v.look("/sessions")) {
		fields := strings.Fields(line) // device, date, time, handle, whether it is this one
		if len(fields) != 5 || (fields[4] == "true") != (fields[0] == device) {
			v.site.Fatalf("a line of the sessions page: got %q, want the device, the time, the handle, and true for %s alone", line, device)
		}
		all[fields[0]] = fields[3]
	}
	return all
}

func TestTheRecipeOfALoginNamesTheDeviceAndRemembers(t *testing.T) {
	site := newRecipes(t, sess.Config{})
	ann := site.guest()
	res, err := ann.PostForm("/login", url.Values{"user": {"ann"}, "password": {"old"}, "device": {"laptop"}})
	if ann.text(res, err); len(res.Cookies()) == 0 || res.Cookies()[0].MaxAge != 0 {
		t.Errorf("the cookies of a login: got %d, want some that end with the browser", len(res.Cookies()))
	}
	ann.wantUser("ann", "ann")
	res, err = site.guest().PostForm("/login", url.Values{"user": {"ann"}, "password": {"old"}, "device": {"phone"}, "remember": {"on"}})
	if ann.text(res, err); len(res.Cookies()) == 0 || res.Cookies()[0].MaxAge != 30*24*60*60 {
		t.Errorf("the cookies of a login that is remembered: got %d, want some that last for 30 days", len(res.Cookies()))
	}
	if got := ann.handles("laptop"); len(got) != 2 || got["phone"] == "" {
		t.Errorf("the sessions: got those of %d devices, want the laptop's and the phone's", len(got))
	}
}

func TestTheRecipeOfALogoutEndsTheSessionForWhoeverHasItsCookie(t *testing.T) {
	site := newRecipes(t, sess.Config{})
	ann, other := site.loggedIn("ann", "laptop"), site.loggedIn("ann", "phone")
	thief := ann.thief()
	thief.wantUser("a copy of the cookie", "ann")
	ann.wantSent("logout", "/logout", "")
	ann.wantUser("ann after the logout", "")
	thief.wantUser("a copy of the cookie after the logout", "")
	other.wantUser("another browser of ann's", "ann")
}

func TestTheRecipeOfSudoModeAsksForThePasswordAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newRecipes(t, sess.Config{})
		site.guest().wantSent("who is nobody", "/email", "log in")
		ann := site.loggedIn("ann", "laptop")
		ann.wantSent("a fresh login", "/email", "hello ann")
		time.Sleep(11 * time.Minute)
		ann.wantUser("an old login", "ann")
		ann.wantSent("an old login", "/email", "your password again")
		ann.wantSent("the password again", "/login", "", "user=ann", "password=old")
		ann.wantSent("a fresh login again", "/email", "hello ann")
		if got := ann.look("/forged"); got == "your password again" || got == "" {
			t.Errorf("a forged form: got the page %q, want the text of csrf's error", got)
		}
	})
}

func TestTheRecipesOfTheSessionsPageEndOneAndTheOthers(t *testing.T) {
	site := newRecipes(t, sess.Config{})
	laptop, phone, tablet := site.loggedIn("ann", "laptop"), site.loggedIn("ann", "phone"), site.loggedIn("ann", "tablet")
	bob := site.loggedIn("bob", "laptop")
	handles := laptop.handles("laptop")
	bob.wantSent("bob with a handle of ann's", "/sessions/end", "", "handle="+handles["phone"])
	phone.wantUser("the phone after bob has guessed its handle", "ann")
	laptop.wantSent("ann ends her phone", "/sessions/end", "", "handle="+handles["phone"])
	phone.wantUser("the phone that was ended", "")
	tablet.wantUser("the tablet", "ann")
	laptop.wantSent("ann ends the others", "/sessions/others", "1")
	tablet.wantUser("the tablet that was ended", "")
	laptop.wantUser("the laptop, which ended the others", "ann")
	bob.wantUser("bob", "bob")
}

func TestTheRecipeOfLogOutEverywhereEndsAllOfTheUserAndNobodyElse(t *testing.T) {
	site := newRecipes(t, sess.Config{})
	laptop, phone, bob := site.loggedIn("ann", "laptop"), site.loggedIn("ann", "phone"), site.loggedIn("bob", "laptop")
	laptop.wantSent("ann logs out everywhere", "/sessions/all", "2")
	laptop.wantUser("the laptop", "")
	phone.wantUser("the phone", "")
	bob.wantUser("bob", "bob")
	site.loggedIn("ann", "laptop").wantUser("a login after it", "ann")
}

func TestTheRecipeOfAKickLetsTheUserInNoMore(t *testing.T) {
	site := newRecipes(t, sess.Config{})
	laptop, phone, bob := site.loggedIn("ann", "laptop"), site.loggedIn("ann", "phone"), site.loggedIn("bob", "laptop")
	bob.wantSent("the kick", "/admin/kick", "", "user=ann")
	laptop.wantUser("the laptop", "")
	phone.wantUser("the phone", "")
	laptop.wantSent("a login to the closed account", "/login", "wrong password", "user=ann", "password=old")
	bob.wantUser("bob", "bob")
}

func TestTheRecipeOfAPasswordChangeKeepsThisBrowserAlone(t *testing.T) {
	site := newRecipes(t, sess.Config{})
	laptop, phone := site.loggedIn("ann", "laptop"), site.loggedIn("ann", "phone")
	thief := laptop.thief()
	laptop.wantSent("the change", "/password", "")
	laptop.wantUser("who changed it", "ann")
	phone.wantUser("another browser", "")
	thief.wantUser("a copy of the cookie from before", "")
	phone.wantSent("the old password", "/login", "wrong password", "user=ann", "password=old")
	phone.wantSent("the new password", "/login", "", "user=ann", "password=new")
	phone.wantUser("who knows the new password", "ann")
}

func TestTheRecipeOfALimitEndsTheOldestLogin(t *testing.T) {
	var lines bytes.Buffer
	log.SetOutput(&lines)
	defer log.SetOutput(os.Stderr)
	synctest.Test(t, func(t *testing.T) {
		site := newRecipes(t, limited())
		var all []*guest
		for range 4 {
			all = append(all, site.loggedIn("ann", "device"))
			time.Sleep(time.Second)
		}
		all[0].wantUser("the oldest login of four", "")
		for _, g := range all[1:] {
			g.wantUser("one of the three newest", "ann")
		}
	})
	if got := strings.Count(lines.String(), "ended: too many of one user\n"); got != 1 {
		t.Errorf("lines in the log: got %d, want 1", got)
	}
}

// jobEnds waits for a job and returns what it has ended with.
func (site *recipes) jobEnds() (err error) {
	site.Helper()
	select {
	case err = <-site.jobs:
	case <-time.After(10 * time.Second):
		site.Fatal("the job: got no end within 10 s, want one")
	}
	return err
}

// wantLives waits until so many Lives are open.
func (site *recipes) wantLives(what string, want int) {
	site.Helper()
	for deadline := time.Now().Add(10 * time.Second); site.m.Stats().Lives != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			site.Fatalf("%s: got %d Lives, want %d", what, site.m.Stats().Lives, want)
		}
	}
}

func TestTheRecipesOfJobsSaveAndEndWithTheSession(t *testing.T) {
	site := newRecipes(t, sess.Config{})
	ann := site.loggedIn("ann", "laptop")
	wantReport := func(what, want string) {
		t.Helper()
		if got := ann.look("/report"); got != want {
			t.Errorf("%s: got the report %q, want %q", what, got, want)
		}
	}
	ann.wantSent("a job", "/report", "")
	if err := site.jobEnds(); err != nil {
		t.Errorf("the job: got the error %v, want none", err)
	}
	ann.wantSent("the id for a job", "/mail", "")
	id := <-site.ids
	if err := site.mail(t.Context(), id); err != nil {
		t.Errorf("the job that has the id: got the error %v, want none", err)
	}
	wantReport("after both jobs", `"all is well", 1 mails`)
	site.wantLives("after the jobs", 0)

	ann.wantSent("a job without end", "/report", "", "until=logout")
	ann.thief().wantSent("a logout elsewhere", "/logout", "")
	if err := site.jobEnds(); !errors.Is(err, sess.ErrEnded) {
		t.Errorf("the job whose session ended: got the error %v, want ErrEnded", err)
	}
	if err := site.mail(t.Context(), id); !errors.Is(err, sess.ErrEnded) {
		t.Errorf("the job with the id of a session that ended: got the error %v, want ErrEnded", err)
	}
	site.guest().wantSent("who is nobody", "/report", "", "until=logout")
}

func TestTheRecipeOfAStreamTellsOfTheEndAndEndsWithTheBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newRecipes(t, sess.Config{})
		ann := site.loggedIn("ann", "laptop")
		told := ""
		go func() { told = ann.look("/events") }()
		synctest.Wait()
		ann.thief().wantSent("a logout elsewhere", "/logout", "")
		synctest.Wait()
		if want := "data: " + sess.ErrEnded.Error() + "\n\n"; told != want {
			t.Errorf("the stream: got %q, want %q", told, want)
		}

		bob := site.loggedIn("bob", "laptop")
		ctx, leave := context.WithCancel(t.Context())
		stream, err := http.NewRequestWithContext(ctx, "GET", "/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = bob.Do(stream) }()
		synctest.Wait()
		site.wantLives("with a stream", 1)
		leave()
		time.Sleep(time.Minute)
		site.wantLives("a minute after the browser has left", 0)
	})
}

// recipe is lines of Go under a heading of docs/users.md, without what formatting does to them.
type recipe struct{ heading, lines string }

// TestTheRecipesOfTheUsersPageAreTheCodeThatRuns: what a reader copies is what the tests above, and those of the module
// streams, have run.
func TestTheRecipesOfTheUsersPageAreTheCodeThatRuns(t *testing.T) {
	page, err := os.ReadFile("docs/users.md")
	if err != nil {
		t.Fatal(err)
	}
	running := map[recipe]int{}
	for _, file := range []string{"recipes_site_test.go", filepath.Join("streams", "recipe_test.go")} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range ofCode(string(source)) {
			running[r]++
		}
	}
	written := ofPage(string(page))
	under := map[string]bool{}
	for _, r := range written {
		under[r.heading] = true
		if running[r]--; running[r] < 0 {
			t.Errorf("docs/users.md, %s: got a recipe that no test runs, want the lines of one of recipes_site_test.go:\n%s", r.heading, r.lines)
		}
	}
	for r, n := range running {
		if n > 0 {
			t.Errorf("a recipe that runs under %q is not on the page:\n%s", r.heading, r.lines)
		}
	}
	for _, heading := range []string{
		"Log in", "Log out", "Pages for users, and for those who have just logged in", "Your sessions", "Log out everywhere",
		"Throw a user out", "Change the password", "How many", "Jobs", "Sockets and streams",
	} {
		if !under[heading] {
			t.Errorf("docs/users.md, %s: got no recipe, want one", heading)
		}
	}

	tests := testNames(t)
	named := regexp.MustCompile(`\bTest[A-Z][A-Za-z0-9]+\b`).FindAllString(string(page), -1)
	if len(named) < len(written) {
		t.Errorf("got %d tests named beside %d recipes, want one for each", len(named), len(written))
	}
	for _, name := range named {
		if !tests[name] {
			t.Errorf("docs/users.md: got the test %s, want the name of one that exists", name)
		}
	}
}

// ofCode returns what stands in Go between the comments "Recipe: HEADING" and "Recipe ends."
func ofCode(source string) (all []recipe) {
	heading, block := "", ""
	for line := range strings.Lines(source) {
		line = spaced(line)
		switch name, begins := strings.CutPrefix(line, "// Recipe: "); {
		case begins:
			heading, block = name, ""
		case line == "// Recipe ends.":
			all = append(all, recipe{heading, block})
			heading = ""
		case heading != "":
			block += line + "\n"
		}
	}
	return all
}

// ofPage returns the blocks of Go of a page, indented or fenced.
func ofPage(page string) (all []recipe) {
	heading, block, fenced := "", "", false
	for line := range strings.Lines(page + "\nend\n") {
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case fenced, indented:
			block += spaced(code) + "\n"
		case strings.TrimSpace(line) == "" && block != "":
			block += "\n"
		default:
			if block = strings.TrimRight(block, "\n"); block != "" && !strings.HasPrefix(block, "go run ") {
				all = append(all, recipe{heading, block + "\n"})
			}
			block = ""
			if name, ok := strings.CutPrefix(line, "## "); ok {
				heading = spaced(name)
			}
		}
	}
	return all
}

// spaced has one space where a line has several, and none at its ends.
func spaced(line string) string { return strings.Join(strings.Fields(line), " ") }
