package interop_test

import (
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/session"
	"github.com/valyala/fasthttp"
)

// What README says of Fiber's own session middleware, shown on Fiber's own session middleware.

// fiberVisit runs do in a request that presents id, with a session of Fiber's store.
func fiberVisit(t *testing.T, app *fiber.App, store *session.Store, id string, do func(c *fiber.Ctx, s *session.Session)) {
	t.Helper()
	c := app.AcquireCtx(&fasthttp.RequestCtx{})
	defer app.ReleaseCtx(c)
	if id != "" {
		c.Request().Header.SetCookie("session_id", id)
	}
	s, err := store.Get(c)
	if err != nil {
		t.Fatalf("Get: got %v, want a session", err)
	}
	do(c, s)
}

func save(t *testing.T, s *session.Session) {
	t.Helper()
	if err := s.Save(); err != nil {
		t.Errorf("Save: got %v, want no error", err)
	}
}

func TestInFibersSessionASaveBringsALogoutBack(t *testing.T) {
	app, store := fiber.New(), session.New()
	id := ""
	fiberVisit(t, app, store, "", func(_ *fiber.Ctx, s *session.Session) {
		s.Set("user", "ann")
		id = s.ID()
		save(t, s)
	})
	fiberVisit(t, app, store, id, func(_ *fiber.Ctx, slow *session.Session) {
		slow.Set("seen", 1)
		fiberVisit(t, app, store, id, func(_ *fiber.Ctx, s *session.Session) {
			if err := s.Destroy(); err != nil {
				t.Errorf("Destroy: got %v, want no error", err)
			}
		})
		save(t, slow)
	})
	fiberVisit(t, app, store, id, func(_ *fiber.Ctx, s *session.Session) {
		if got := s.Get("user"); got != "ann" {
			t.Errorf("after the logout: got the user %v; README says that ann is back", got)
		}
	})
}

func TestInFibersSessionTwoRequestsLoseAnUpdate(t *testing.T) {
	app, store := fiber.New(), session.New()
	id := ""
	fiberVisit(t, app, store, "", func(_ *fiber.Ctx, s *session.Session) {
		s.Set("n", 0)
		id = s.ID()
		save(t, s)
	})
	count := func(s *session.Session) {
		n, _ := s.Get("n").(int)
		s.Set("n", n+1)
		save(t, s)
	}
	fiberVisit(t, app, store, id, func(_ *fiber.Ctx, slow *session.Session) {
		fiberVisit(t, app, store, id, func(_ *fiber.Ctx, s *session.Session) { count(s) })
		count(slow)
	})
	fiberVisit(t, app, store, id, func(_ *fiber.Ctx, s *session.Session) {
		if got := s.Get("n"); got != 1 {
			t.Errorf("two requests counted: got %v; README says that one is lost", got)
		}
	})
}

// The pool of the race detector's runtime drops objects at random, so it may take some tries until it gives one back.
func TestInFibersSessionAHandleBecomesAnotherVisitors(t *testing.T) {
	app, store := fiber.New(), session.New()
	for range 100 {
		crossed := false
		fiberVisit(t, app, store, "", func(_ *fiber.Ctx, kept *session.Session) {
			kept.Set("user", "ann")
			save(t, kept)
			fiberVisit(t, app, store, "", func(_ *fiber.Ctx, s *session.Session) {
				s.Set("user", "bob")
				crossed = kept == s && kept.Get("user") == "bob"
				save(t, s)
			})
		})
		if crossed {
			return
		}
	}
	t.Error("got no handle that became another visitor's in 100 tries; README says that it happens")
}
