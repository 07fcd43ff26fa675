package sess_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	fiberrecover "github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// The rules of how a session's request ends, from errors and logouts to what the store does wrong.

func TestRule09AHandlersErrorSavesAndTheCookieSurvivesFibersErrorHandler(t *testing.T) {
	site := newSite(t, sess.Config{})
	b := site.browser(t)
	for want := 1; want <= 3; want++ {
		r := b.handle("POST", "/login", func(c *fiber.Ctx) error {
			sess.Update(sess.From(c), "failures", func(n int, _ bool) int { return n + 1 })
			return fiber.NewError(fiber.StatusUnauthorized, "wrong password")
		})
		if r.status != 401 || r.body != "wrong password" {
			t.Errorf("got %d %q, want the handler's 401", r.status, r.body)
		}
		r.wantCookies(t, "a handler's error")
		wantValue(b, "failures", want)
	}
}

func TestRule09APanicThatPassesThroughSavesNothing(t *testing.T) {
	site := newSite(t, sess.Config{}, fiberrecover.New())
	b := site.browser(t)
	r := b.handle("GET", "/", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "n", 1)
		panic("oops")
	})
	if r.status != 500 {
		t.Errorf("got status %d, want 500", r.status)
	}
	r.forbidCookie(t, "a panic")
	site.store.wantCalls(t, "a panic", 0, 0)
	b.visit(func(s sess.Session) { sess.Set(s, "n", 2) })
	wantValue(b, "n", 2)
}

func TestRule09APanicRecoveredInsideSavesLikeAnError(t *testing.T) {
	site := newSite(t, sess.Config{})
	b := site.browser(t)
	r := b.handle("GET", "/", func(c *fiber.Ctx) error {
		return recoverInside(func() { sess.Set(sess.From(c), "n", 1); panic("oops") })
	})
	if r.status != 500 {
		t.Errorf("got status %d, want 500", r.status)
	}
	wantValue(b, "n", 1)
}

// recoverInside runs f as Fiber's recover middleware would that stands behind the session's.
func recoverInside(f func()) (err error) {
	defer func() {
		if recover() != nil {
			err = fiber.ErrInternalServerError
		}
	}()
	f()
	return nil
}

func TestRule09IfHandlerAndSaveBothFailTheHandlersErrorIsReturned(t *testing.T) {
	var heard []error
	site := newSite(t, sess.Config{
		Hooks: sess.Hooks{StoreError: func(e sess.Event) { heard = append(heard, e.Err) }},
		ErrorHandler: func(_ *fasthttp.RequestCtx, err error) error {
			t.Errorf("ErrorHandler: got %v, want no call", err)
			return err
		},
	})
	b := site.browser(t)
	for _, c := range []struct {
		name string
		do   func(s sess.Session)
		want error
	}{
		{"the store fails", func(s sess.Session) { sess.Set(s, "n", 1) }, errBroken},
		{"the handler wrote nonsense", func(s sess.Session) { sess.Set(s, "$", 1) }, sess.ErrReserved},
	} {
		heard = nil
		site.store.broken.Store(true)
		r := b.handle("GET", "/", func(ctx *fiber.Ctx) error { c.do(sess.From(ctx)); return fiber.ErrTeapot })
		if r.status != fiber.StatusTeapot {
			t.Errorf("%s: got status %d, want the handler's 418", c.name, r.status)
		}
		r.forbidCookie(t, c.name)
		if len(heard) != 1 || !errors.Is(heard[0], c.want) {
			t.Errorf("%s: the hook heard %v, want %v once", c.name, heard, c.want)
		}
	}
}

func TestRule10DestroyExpiresBothCookiesWithTheAttributesTheyWereSetWith(t *testing.T) {
	site := newSite(t, sess.Config{Cookie: sess.Cookie{
		Path: "/shop", Domain: "shop.test", Secure: sess.SecureAlways, SameSite: sess.SameSiteNone, Partitioned: true, MaxAge: time.Hour,
	}})
	b := site.browser(t)
	b.handle("GET", "/shop", func(c *fiber.Ctx) error { sess.Set(sess.From(c), "n", 1); return nil })
	id := b.id()
	r := b.handle("POST", "/shop/logout", func(c *fiber.Ctx) error { sess.From(c).Destroy(); return nil })
	for _, name := range []string{"koa.sid", "koa.sid.sig"} {
		c := r.cookies[name]
		if c == nil {
			t.Fatalf("%s: got no cookie, want it expired", name)
		}
		if c.Value != "" || !c.Expires.Equal(time.Unix(0, 0)) {
			t.Errorf("%s: got expiry %v, want the epoch and no value", name, c.Expires)
		}
		if c.Path != "/shop" || c.Domain != "shop.test" || !c.Secure || c.SameSite != http.SameSiteNoneMode || !c.Partitioned || !c.HttpOnly {
			t.Errorf("%s: got %q, want every attribute it was set with", name, c.Raw)
		}
	}
	if site.store.kept(t, id) != "" {
		t.Error("got a record after Destroy, want none")
	}
}

func TestRule10DestroyExpiresACookieOfTheSessionsOwnOptions(t *testing.T) {
	b := newSite(t, sess.Config{}).browser(t)
	b.visit(func(s sess.Session) {
		sess.Set(s, "n", 1)
		if err := s.SetCookie(sess.Cookie{Path: "/", Domain: "shop.test", SameSite: sess.SameSiteStrict}); err != nil {
			t.Fatal(err)
		}
	})
	r := b.visit(func(s sess.Session) { s.Destroy() })
	if c := r.cookies["koa.sid"]; c == nil || c.Domain != "shop.test" || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("got %v, want the session's own domain and SameSite", r.header["Set-Cookie"])
	}
}

func TestRule10DestroyingANewSessionDoesNothing(t *testing.T) {
	site := newSite(t, sess.Config{})
	site.browser(t).visit(func(s sess.Session) { sess.Set(s, "n", 1); s.Destroy() }).forbidCookie(t, "a new session destroyed")
	site.store.wantCalls(t, "a new session destroyed", 0, 0)
}

func TestRule11RegenerateKeepsTheDataAndTheOldRecordGoesLast(t *testing.T) {
	site := newSite(t, sess.Config{})
	b := site.browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "cart", "a book") })
	thief, old := b.clone(), b.id()
	site.store.log = nil
	b.visit(func(s sess.Session) {
		created := s.Created()
		s.Regenerate()
		sess.Set(s, "user", "ann")
		if got := s.Created(); !got.Equal(created) {
			t.Errorf("Created: got %v after Regenerate, want %v", got, created)
		}
		if s.ID().Value() == old {
			t.Error("ID: got the old one after Regenerate, want a new one")
		}
	})
	if want := []string{"create", "change", "change"}; !slices.Equal(site.store.log, want) {
		t.Errorf("the store heard %v, want %v: the new record first, at last its full life", site.store.log, want)
	}
	if b.id() == old {
		t.Error("got the old id in the cookie, want a new one")
	}
	wantValue(b, "cart", "a book")
	wantValue(b, "user", "ann")
	wantNone(thief, "cart")
}

func TestRule11RegenerateAfterClearIsAnEmptySession(t *testing.T) {
	b := newSite(t, sess.Config{}).browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "cart", "a book") })
	old := b.id()
	b.visit(func(s sess.Session) { s.Clear(); s.Regenerate() })
	b.visit(func(s sess.Session) {
		if !s.Exists() || len(s.Keys()) != 0 || b.id() == old {
			t.Errorf("got Exists %v, %d keys, the old id %v; want an empty session under a new id", s.Exists(), len(s.Keys()), b.id() == old)
		}
	})
}

func TestRule11ARenewalThatCannotBeStoredLeavesTheOldSession(t *testing.T) {
	site := newSite(t, sess.Config{})
	b := site.browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
	r := b.handle("GET", "/", func(c *fiber.Ctx) error {
		site.store.broken.Store(true)
		sess.From(c).Regenerate()
		return nil
	})
	site.store.broken.Store(false)
	if r.status != 503 {
		t.Errorf("got status %d, want 503", r.status)
	}
	r.forbidCookie(t, "a renewal that failed")
	wantValue(b, "n", 1)
}

func TestRule12TheMiddlewareActsUnderItsPathOnly(t *testing.T) {
	site := newSite(t, sess.Config{Cookie: sess.Cookie{Path: "/app"}})
	for path, inside := range map[string]bool{
		"/app": true, "/app/": true, "/app/x": true, "/app?q": true, "/app/%78": true,
		"/": false, "/application": false, "/APP": false, "/x/app": false, "/ap": false,
	} {
		b := site.browser(t)
		b.carry(inventedID)
		site.store.calls()
		r := b.handle("GET", path, func(c *fiber.Ctx) error {
			s := sess.From(c)
			sess.Set(s, "n", 1)
			if got := s.Err() == nil; got != inside {
				t.Errorf("%s: got Err %v, want it inert %v", path, s.Err(), !inside)
			}
			return nil
		})
		if got := len(r.cookies) == 2; got != inside || r.status != 200 {
			t.Errorf("%s: got status %d, cookies %v; want 200, %v", path, r.status, got, inside)
		}
		if reads, _ := site.store.calls(); (reads > 0) != inside {
			t.Errorf("%s: got %d reads of the store, want some: %v", path, reads, inside)
		}
	}
}

func TestRule13RegisteredTwiceItActsOnce(t *testing.T) {
	site := newSite(t, sess.Config{})
	site.app = fiber.New()
	site.app.Use(site.manager.Handle, site.manager.Handle)
	sub := fiber.New()
	sub.Use(site.manager.Handle)
	restarted := false
	sub.Get("/count", func(c *fiber.Ctx) error {
		if !restarted {
			restarted = true
			return c.RestartRouting()
		}
		n := 0
		sess.Update(sess.From(c), "n", func(old int, _ bool) int { n = old + 1; return n })
		return c.JSON(n)
	})
	site.app.Mount("/sub", sub)
	b := site.browser(t)
	for _, want := range []string{"1", "2"} {
		restarted = false
		site.store.calls()
		r := b.get("/sub/count")
		if r.body != want || len(r.cookies) != 2 {
			t.Errorf("got %s and %d cookies, want %s and 2", r.body, len(r.cookies), want)
		}
		if reads, writes := site.store.calls(); reads > 1 || writes != 1 {
			t.Errorf("got %d reads and %d writes of the store, want at most one and one", reads, writes)
		}
	}
}

func TestRule13TwoManagersAreIndependent(t *testing.T) {
	admin, err := sess.NewManager(sess.Config{Cookie: sess.Cookie{Name: "admin"}})
	if err != nil {
		t.Fatal(err)
	}
	site := newSite(t, sess.Config{}, admin.Handle)
	b := site.browser(t)
	do := func(f func(outer, inner sess.Session)) *reply {
		return b.handle("GET", "/", func(c *fiber.Ctx) error { f(admin.From(c), site.manager.From(c)); return nil })
	}
	if r := do(func(outer, inner sess.Session) { sess.Set(outer, "n", 1); sess.Set(inner, "n", 2) }); len(r.cookies) != 4 {
		t.Errorf("got %d cookies, want 4", len(r.cookies))
	}
	do(func(outer, inner sess.Session) { inner.Destroy() })
	do(func(outer, inner sess.Session) {
		if n, _ := sess.Get[int](outer, "n"); n != 1 || inner.Exists() {
			t.Errorf("got %d and Exists %v, want 1 and the other one's session ended", n, inner.Exists())
		}
	})
}

func TestRule14ADeferredSessionIsLoadedOnFirstUse(t *testing.T) {
	site := newSite(t, sess.Config{Defer: true})
	b := site.browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "n", 1) }) // assigned without a read, without a cookie
	if site.store.kept(t, "undefined") != "" {
		t.Error("got a record of nobody's, want none")
	}
	id := b.id()
	b.visit(func(s sess.Session) { sess.Set(s, "m", 2) }) // assigned without a read
	if b.id() != id {
		t.Error("got a new id, want the session's")
	}
	wantValue(b, "n", 1)
	wantValue(b, "m", 2)
	r := b.handle("GET", "/", func(c *fiber.Ctx) error { sess.Set(sess.From(c), "n", 3); return fiber.ErrTeapot })
	if r.status != fiber.StatusTeapot {
		t.Errorf("got status %d, want 418", r.status)
	}
	wantValue(b, "n", 3)

	site.store.calls()
	site.store.broken.Store(true)
	if r := b.get("/"); r.status != 200 {
		t.Errorf("untouched, the store down: got status %d, want 200", r.status)
	}
	site.store.wantCalls(t, "untouched", 0, 0)
}

func TestRule14ALazyLoadThatFailsSavesNothingAndIsTheRequestsError(t *testing.T) {
	site := newSite(t, sess.Config{Defer: true})
	b := site.browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
	site.store.broken.Store(true)
	site.store.calls()
	for name, do := range map[string]func(s sess.Session){
		"read":  func(s sess.Session) { sess.Get[int](s, "n") },
		"write": func(s sess.Session) { sess.Set(s, "n", 2); sess.Get[int](s, "m") },
	} {
		r := b.handle("GET", "/", func(c *fiber.Ctx) error {
			s := sess.From(c)
			do(s)
			if _, ok := sess.Get[int](s, "m"); ok || !errors.Is(s.Err(), errBroken) {
				t.Errorf("%s: got ok %v, Err %v; want false and the store's error", name, ok, s.Err())
			}
			return nil
		})
		if r.status != 503 {
			t.Errorf("%s: got status %d, want 503", name, r.status)
		}
		r.forbidCookie(t, name)
	}
	if _, writes := site.store.calls(); writes != 0 {
		t.Errorf("got %d writes, want none", writes)
	}
}

func TestRule15AStoreErrorIsNeitherALogoutNorANewSession(t *testing.T) {
	for name, handler := range map[string]func(*fasthttp.RequestCtx, error) error{
		"by default": nil,
		"swallowed":  func(ctx *fasthttp.RequestCtx, _ error) error { ctx.SetStatusCode(503); return nil },
	} {
		site := newSite(t, sess.Config{ErrorHandler: handler})
		b := site.browser(t)
		b.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
		site.store.broken.Store(true)
		r := b.handle("GET", "/", func(c *fiber.Ctx) error {
			t.Errorf("%s: the handler ran, want it not to", name)
			return nil
		})
		if r.status != 503 || strings.Contains(r.body, "broken") {
			t.Errorf("%s: got %d %q, want 503 and nothing of the cause", name, r.status, r.body)
		}
		r.forbidCookie(t, name)
		site.store.broken.Store(false)
		wantValue(b, "n", 1)
	}
}

func TestRule16ACorruptRecordIsNoSessionAndOneEvent(t *testing.T) {
	store := &corrupt{witness: &witness{MemoryStore: sess.NewMemoryStore()}}
	var rejected []sess.Reason
	site := newSite(t, sess.Config{
		Store: store,
		Keys:  sess.Keys(testKey),
		Hooks: sess.Hooks{Rejected: func(e sess.Event) { rejected = append(rejected, e.Reason) }},
	})
	b := site.browser(t)
	b.carry(inventedID)
	for name, text := range map[string]string{
		"not JSON":         "\x00\x01 gob",
		"not an object":    "[1]",
		"a member twice":   `{"n":1,"n":2}`,
		"over the limit":   `{"n":"` + strings.Repeat("x", 64<<10) + `"}`,
		"a strange header": `{"$":1,"n":1}`,
	} {
		store.text, rejected = text, nil
		r := b.visit(func(s sess.Session) {
			if s.Exists() || s.Has("n") {
				t.Errorf("%s: got a session, want none", name)
			}
		})
		r.forbidCookie(t, name)
		if want := []sess.Reason{sess.ReasonCorrupt}; !slices.Equal(rejected, want) {
			t.Errorf("%s: got events %v, want %v", name, rejected, want)
		}
	}
	b.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
	if b.id() == inventedID {
		t.Error("got the id of the corrupt record, want a new one on write")
	}
}

// A session that Save has stored and that another request ends before the response leaves gets no cookie.
func TestRule08NoCookieForASessionThatEndedAfterItsSave(t *testing.T) {
	store := newSpyStore()
	b := newBrowser(t, routed(sess.Config{Store: store}, routes{
		"act": func(_ *fiber.Ctx, s sess.Session) error {
			sess.Set(s, "n", 2)
			if err := s.Save(); err != nil {
				return err
			}
			if err := store.Destroy(t.Context(), s.ID()); err != nil {
				return err
			}
			return s.Refresh()
		},
	}).Handler())
	b.get("/login")
	r := b.get("/act")
	if r.status != 401 { // The handler returned what Refresh said: ErrEnded.
		t.Errorf("got status %d, want 401", r.status)
	}
	r.forbidCookie(t, "ended after its Save")
}

// The cookie of a session says what the store has of it, not what was written after the save and never stored.
func TestRule08TheCookieHasTheOptionsThatWereStored(t *testing.T) {
	b := newBrowser(t, routed(sess.Config{}, routes{
		"act": func(_ *fiber.Ctx, s sess.Session) error {
			if err := s.SetCookie(sess.Cookie{Path: "/stored"}); err != nil {
				return err
			}
			if err := s.Save(); err != nil {
				return err
			}
			s.Discard()
			return s.SetCookie(sess.Cookie{Path: "/discarded"})
		},
	}).Handler())
	b.get("/login")
	lines := b.get("/act").header["Set-Cookie"]
	if len(lines) != 4 || !strings.Contains(lines[0], "path=/stored;") || !strings.Contains(lines[2], "path=/;") {
		t.Errorf("got the cookies %q, want two of the path that Save stored, and two to remove those of before", lines)
	}
}

// TestACookieIsOwedForWhatIsStored: a Save, then a renewal that is not stored. The cookie must be that of the session
// which the store has, and not of an id that nothing is kept under.
func TestACookieIsOwedForWhatIsStored(t *testing.T) {
	for name, end := range map[string]func(s sess.Session, refuse *bool){
		"discarded":                func(s sess.Session, _ *bool) { s.Discard() },
		"discarded, the id asked":  func(s sess.Session, _ *bool) { s.ID(); s.Discard() },
		"refused":                  func(_ sess.Session, refuse *bool) { *refuse = true },
		"refused, the id asked":    func(s sess.Session, refuse *bool) { s.ID(); *refuse = true },
		"renewed twice, discarded": func(s sess.Session, _ *bool) { s.Regenerate(); s.Discard() },
	} {
		for _, stored := range []bool{false, true} {
			refuse := false
			app := routed(sess.Config{BeforeSave: func(*fasthttp.RequestCtx, sess.Session) error {
				if refuse {
					return errors.New("on purpose")
				}
				return nil
			}}, routes{
				"act": func(_ *fiber.Ctx, s sess.Session) error {
					sess.Set(s, "user", "bob")
					if err := s.Save(); err != nil {
						t.Errorf("%s: Save: got %v, want nil", name, err)
					}
					s.Regenerate()
					end(s, &refuse)
					return nil
				},
			})
			c := newClient(app)
			if stored {
				c.get("/login")
			}
			if r := c.get("/act"); len(r.setCookie) != 2 {
				t.Errorf("%s, stored before %v: got %d Set-Cookie lines, want 2", name, stored, len(r.setCookie))
			}
			refuse = false
			wantReply(t, fmt.Sprintf("%s, stored before %v: the session of the cookie", name, stored), c.get("/user"), 200, "bob")
		}
	}
}

// TestACookieIsNotOwedForASessionThatAnotherRenewed: it would take the place of the new one.
func TestACookieIsNotOwedForASessionThatAnotherRenewed(t *testing.T) {
	for _, rolling := range []bool{false, true} {
		var other *client
		app := routed(sess.Config{Rolling: rolling, RollingAlways: rolling, Cookie: sess.Cookie{MaxAge: time.Hour}}, routes{
			"renew": func(_ *fiber.Ctx, s sess.Session) error {
				s.Regenerate()
				return nil
			},
			"act": func(_ *fiber.Ctx, s sess.Session) error {
				sess.Set(s, "n", 1)
				if err := s.Save(); err != nil {
					t.Errorf("Save: got %v, want nil", err)
				}
				other.get("/renew")
				if rolling {
					time.Sleep(2 * time.Millisecond) // so that there is something to move
				} else {
					sess.Set(s, "n", 2)
				}
				return nil
			},
		})
		c := newClient(app)
		c.get("/login")
		other = c.twin()
		wantNoCookie(t, fmt.Sprintf("a session that was renewed meanwhile, rolling %v", rolling), c.get("/act"))
		wantReply(t, "the renewed one", other.get("/user"), 200, "ann")
	}
}

func TestTakeReachesWhatARenewalWillMove(t *testing.T) {
	app := routed(sess.Config{}, routes{
		"act": func(c *fiber.Ctx, s sess.Session) error {
			s.Regenerate()
			user, ok, err := sess.Take[string](s, "user")
			_, again, _ := sess.Take[string](s, "user")
			return c.SendString(fmt.Sprint(user, ok, err, again, s.Has("user")))
		},
		"keys": func(c *fiber.Ctx, s sess.Session) error { return c.SendString(fmt.Sprint(s.Exists(), s.Keys())) },
	})
	c := newClient(app)
	c.get("/login")
	old := c.twin()
	wantReply(t, "a token taken after Regenerate", c.get("/act"), 200, "anntrue <nil> false false")
	if c.id() == old.id() {
		t.Error("the id after Regenerate: got the old one")
	}
	wantReply(t, "the session under its new id", c.get("/keys"), 200, "true []")
	wantReply(t, "the old id", old.get("/keys"), 200, "false []")
}

func TestARefreshThatFindsNothingTellsWhatItDrops(t *testing.T) {
	var other *client
	var dropped []sess.Event
	config := sess.Config{}
	config.Hooks.Dropped = func(e sess.Event) { dropped = append(dropped, e) }
	app := routed(config, routes{
		"write": func(_ *fiber.Ctx, s sess.Session) error {
			sess.Set(s, "n", 1)
			other.get("/logout")
			return s.Refresh()
		},
		"read": func(_ *fiber.Ctx, s sess.Session) error {
			s.Has("n")
			other.get("/logout")
			return s.Refresh()
		},
	})
	for path, drops := range map[string]int{"/write": 1, "/read": 0} {
		dropped = nil
		c := newClient(app)
		c.get("/login")
		other = c.twin()
		wantNoCookie(t, path, c.get(path))
		if len(dropped) != drops || drops == 1 && dropped[0].Reason != sess.ReasonGone {
			t.Errorf("%s: told to be dropped: got %v, want %d with the reason gone", path, dropped, drops)
		}
	}
}

// TestAMovedCookieDoesNotHideTheNewOne has a jar that knows paths: a browser sends the cookie of the longer path first.
func TestAMovedCookieDoesNotHideTheNewOne(t *testing.T) {
	set := func(s sess.Session, path string) {
		if err := s.SetCookie(sess.Cookie{Path: path}); err != nil {
			t.Errorf("SetCookie with the path %s: got %v, want nil", path, err)
		}
	}
	acts := map[string]func(s sess.Session){
		"destroyed and begun anew": func(s sess.Session) { s.Destroy(); sess.Set(s, "user", "bob") },
		"moved and renewed":        func(s sess.Session) { set(s, "/"); s.Regenerate(); sess.Set(s, "user", "bob") },
		"moved, renewed later":     func(s sess.Session) { set(s, "/"); sess.Set(s, "user", "bob") },
	}
	for name, act := range acts {
		base := serveApp(t, routed(sess.Config{}, routes{
			"app/enter": func(_ *fiber.Ctx, s sess.Session) error {
				set(s, "/app")
				sess.Set(s, "user", "ann")
				return nil
			},
			"app/act":   func(_ *fiber.Ctx, s sess.Session) error { act(s); return nil },
			"app/renew": func(_ *fiber.Ctx, s sess.Session) error { s.Regenerate(); return nil },
			"app/user": func(c *fiber.Ctx, s sess.Session) error {
				user, _ := sess.Get[string](s, "user")
				return c.SendString(user)
			},
		}))
		browser := newHTTPClient(t)
		fetch(t, browser, base+"/app/enter")
		wantReply(t, name+": a session of its own path", fetch(t, browser, base+"/app/user"), 200, "ann")
		wantReply(t, name+": and elsewhere", fetch(t, browser, base+"/user"), 200, "")
		fetch(t, browser, base+"/app/act")
		if name == "moved, renewed later" {
			fetch(t, browser, base+"/app/renew")
		}
		wantReply(t, name+": under the old path", fetch(t, browser, base+"/app/user"), 200, "bob")
		wantReply(t, name+": and elsewhere", fetch(t, browser, base+"/user"), 200, "bob")
	}
}

// TestALogoutIsOneCallThatNoWriterCanHold: the session is another one when the logout comes to the store.
func TestALogoutIsOneCallThatNoWriterCanHold(t *testing.T) {
	store := newSpyStore()
	ann := newClient(routed(sess.Config{Store: store}, nil))
	ann.get("/login")
	kept, written := ann.twin(), 0
	store.count()
	store.ask(func(ctx context.Context, call string, id sess.ID) error {
		if call == "get" {
			return nil
		}
		written++
		return store.kept.Set(ctx, id, version(t, written), time.Hour)
	})
	wantReply(t, "the logout", ann.get("/logout"), 200, "")
	store.ask(nil)
	if written != 1 {
		t.Errorf("writes beside the logout: got %d, want 1", written)
	}
	if want := map[string]int{"get": 1, "end": 1}; !maps.Equal(store.calls, want) {
		t.Errorf("calls of the store: got %v, want %v", store.calls, want)
	}
	wantReply(t, "the session after its logout", kept.get("/exists"), 200, "false")
}
