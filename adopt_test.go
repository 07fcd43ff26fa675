package sess_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// foreign is another library's sessions, by the value of its cookie "other".
type foreign struct {
	mu    sync.Mutex
	users map[string]string
	asked int
}

// adopt takes the session away and returns it, as Config.Adopt must.
func (f *foreign) adopt(ctx *fasthttp.RequestCtx) (string, map[string]any, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	id := string(ctx.Request.Header.Cookie("other"))
	user, ok := f.users[id]
	delete(f.users, id)
	return user, map[string]any{"from": "other", "n": 7}, ok
}

// wantUser checks who the browser is.
func wantUser(b *browser, what, want string) {
	b.t.Helper()
	b.visit(func(s sess.Session) {
		if got, ok := s.User(); got != want || ok != (want != "") {
			b.t.Errorf("%s: got the user %q, want %q", what, got, want)
		}
	})
}

func adopting(t *testing.T, config sess.Config) (*foreign, *site) {
	f := &foreign{users: map[string]string{"a": "ann"}}
	config.Adopt = f.adopt
	return f, newSite(t, config)
}

func TestAnAdoptedSessionIsLoggedInFromItsFirstRequest(t *testing.T) {
	for name, config := range map[string]sess.Config{"at once": {}, "deferred": {Defer: true}} {
		f, site := adopting(t, config)
		b := site.browser(t)
		b.cookies["other"] = "a"
		wantUser(b, name+": the request that adopts", "ann")
		wantValue(b, "n", 7)
		wantUser(b, name+": the next one", "ann")
		if f.asked != 1 {
			t.Errorf("%s: got %d calls of Adopt, want 1: there was a session then", name, f.asked)
		}
	}
}

func TestAdoptIsNoUseOfTheSession(t *testing.T) {
	f, site := adopting(t, sess.Config{AllowEmpty: true})
	b := site.browser(t)
	b.cookies["other"] = "unknown"
	b.get("/").forbidCookie(t, "nothing to adopt")
	site.store.wantCalls(t, "nothing to adopt", 0, 0)
	if f.asked != 1 {
		t.Errorf("nothing to adopt: got %d calls of Adopt, want 1", f.asked)
	}
}

func TestParallelRequestsAdoptOnce(t *testing.T) {
	_, site := adopting(t, sess.Config{})
	const n = 8
	var all sync.WaitGroup
	var mu sync.Mutex
	cookies, users := 0, 0
	for range n {
		b := site.browser(t)
		b.cookies["other"] = "a"
		all.Go(func() {
			var user string
			r := b.visit(func(s sess.Session) { user, _ = s.User() })
			mu.Lock()
			defer mu.Unlock()
			if r.cookies["koa.sid"] != nil {
				cookies++
			}
			if user == "ann" {
				users++
			}
		})
	}
	all.Wait()
	if cookies != 1 || users != 1 {
		t.Errorf("got %d new sessions and %d requests of ann, want 1 and 1", cookies, users)
	}
}

func TestNothingIsAdoptedAfterALogout(t *testing.T) {
	_, site := adopting(t, sess.Config{})
	b := site.browser(t)
	b.cookies["other"] = "a"
	wantUser(b, "adopted", "ann")
	b.visit(func(s sess.Session) { s.Destroy() })
	if b.cookies["other"] != "a" {
		t.Fatal("got no foreign cookie any more, want the browser to keep it: that is what the test is about")
	}
	wantUser(b, "after the logout", "")
}

func TestAPanicInAdoptSavesNothing(t *testing.T) {
	site := newSite(t, sess.Config{Adopt: func(*fasthttp.RequestCtx) (string, map[string]any, bool) { panic("adopt") }})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("got no panic, want it to pass through")
			}
		}()
		site.browser(t).send(http.MethodGet, "/", nil)
	}()
	site.store.wantCalls(t, "behind the panic", 0, 0)
}
