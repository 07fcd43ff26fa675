package sess_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
)

// What docs/security.md promises by a call: one test for each requirement. That it holds beside other requests is tested
// elsewhere.

func login(s sess.Session) { s.Login("ann") }

func TestALoginGivesANewIDAndEndsTheOldOne(t *testing.T) {
	site := newSite(t, sess.Config{})
	b := site.browser(t)
	b.visit(setN)
	thief := site.browser(t)
	for name, value := range b.cookies {
		thief.cookies[name] = value
	}
	for _, what := range []string{"a login", "a login again"} {
		before := b.cookies["koa.sid"]
		b.visit(login)
		if after := b.cookies["koa.sid"]; after == before || after == "" {
			t.Errorf("%s: got the old id or none, want a new one", what)
		}
		wantUser(b, what, "ann")
		wantUser(thief, what+", with the id from before", "")
	}
}

func TestAllSessionsOfAUserEndAtOnce(t *testing.T) {
	site := newSite(t, sess.Config{})
	one, two, other := site.browser(t), site.browser(t), site.browser(t)
	one.visit(login)
	two.visit(login)
	other.visit(func(s sess.Session) { s.Login("bob") })
	if n, err := site.manager.User("ann").EndAll(context.Background()); n != 2 || err != nil {
		t.Errorf("EndAll: got %d and %v, want 2 and no error", n, err)
	}
	wantUser(one, "one of them", "")
	wantUser(two, "the other", "")
	wantUser(other, "another user", "bob")
}

func TestAUserCanEndTheOtherSessionsAndKeepThisOne(t *testing.T) {
	site := newSite(t, sess.Config{})
	here, there := site.browser(t), site.browser(t)
	here.visit(login)
	there.visit(login)
	here.visit(func(s sess.Session) {
		if n, err := site.manager.User("ann").EndOthers(context.Background(), s); n != 1 || err != nil {
			t.Errorf("EndOthers: got %d and %v, want 1 and no error", n, err)
		}
	})
	wantUser(here, "this one", "ann")
	wantUser(there, "the other", "")
}

func TestAPasswordChangeEndsEverySessionAndBeginsANewOne(t *testing.T) {
	site := newSite(t, sess.Config{})
	here, there := site.browser(t), site.browser(t)
	here.visit(login)
	there.visit(login)
	here.visit(func(s sess.Session) {
		if _, err := site.manager.User("ann").EndAll(context.Background(), s); err != nil {
			t.Errorf("EndAll: got %v, want no error", err)
		}
		s.Login("ann")
	})
	wantUser(here, "here", "ann")
	wantUser(there, "there", "")
}

func TestAUserSeesTheSessionsAndCanEndEachOfThem(t *testing.T) {
	site := newSite(t, sess.Config{})
	one, two := site.browser(t), site.browser(t)
	one.visit(login)
	two.visit(login)
	mine := ""
	one.visit(func(s sess.Session) { mine = s.Handle() })
	u, found := site.manager.User("ann"), 0
	for info, err := range u.Sessions(context.Background()) {
		if err != nil {
			t.Fatalf("Sessions: got %v, want no error", err)
		}
		found++
		if info.Handle == mine {
			if err := u.End(context.Background(), info.Handle); err != nil {
				t.Errorf("End: got %v, want no error", err)
			}
		}
	}
	if found != 2 {
		t.Errorf("got %d sessions, want 2", found)
	}
	wantUser(one, "the one that was ended", "")
	wantUser(two, "the other", "ann")
}

func TestALoginBeyondMaxPerUserEndsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newSite(t, sess.Config{MaxPerUser: 2})
		var browsers []*browser
		for range 3 {
			b := site.browser(t)
			b.visit(login)
			browsers = append(browsers, b)
			time.Sleep(time.Second)
		}
		wantUser(browsers[0], "the oldest", "")
		wantUser(browsers[1], "the second", "ann")
		wantUser(browsers[2], "the youngest", "ann")
	})
}

func TestRequireLoginAsksForTheLoginAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newSite(t, sess.Config{})
		require := sess.RequireLogin(10 * time.Minute)
		b := site.browser(t)
		want := func(what string, status int) {
			t.Helper()
			r := b.handle(http.MethodPost, "/", func(c *fiber.Ctx) error {
				err := require(c)
				var fe *fiber.Error
				if errors.As(err, &fe) && fe.Code == http.StatusNotFound { // no further handler here: it let the request through
					return nil
				}
				return err
			})
			if r.status != status {
				t.Errorf("%s: got status %d, want %d", what, r.status, status)
			}
		}
		want("nobody", http.StatusUnauthorized)
		b.visit(login)
		want("just logged in", http.StatusOK)
		time.Sleep(11 * time.Minute)
		want("eleven minutes later", http.StatusForbidden)
		b.visit(login)
		want("logged in again", http.StatusOK)
	})
}
