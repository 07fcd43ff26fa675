package sess_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/fibersess/sess/sesstest"
)

// portal is an app with users, and the manager behind it.
type portal struct {
	*testing.T
	m   *sess.Manager
	app *fiber.App
}

// newPortal serves handlers beside a few that every site has: /in logs ?user in, /out logs out, /who says who is logged in,
// /set writes ?key, /has says whether ?key is there, /guard is what everybody writes before a page for users.
func newPortal(t *testing.T, config sess.Config, more routes) *portal {
	t.Helper()
	config.Keys = sess.Keys(clientKey)
	m, err := sess.NewManager(config)
	if err != nil {
		t.Fatal(err)
	}
	st := &portal{t, m, fiber.New(fiber.Config{DisableStartupMessage: true})}
	st.app.Use(m.Handle)
	handlers := routes{
		"in": func(c *fiber.Ctx, s sess.Session) error {
			s.Login(c.Query("user", "ann"))
			if key := c.Query("key"); key != "" {
				sess.Set(s, key, true)
			}
			return nil
		},
		"out": func(_ *fiber.Ctx, s sess.Session) error { s.Destroy(); return nil },
		"who": func(c *fiber.Ctx, s sess.Session) error {
			user, _ := s.User()
			return c.SendString(user)
		},
		"set": func(c *fiber.Ctx, s sess.Session) error { sess.Set(s, c.Query("key"), true); return nil },
		"has": func(c *fiber.Ctx, s sess.Session) error { return c.SendString(fmt.Sprint(s.Has(c.Query("key")))) },
		"guard": func(_ *fiber.Ctx, s sess.Session) error {
			if _, ok := s.User(); !ok {
				s.Destroy()
			}
			return nil
		},
	}
	for name, handler := range more {
		handlers[name] = handler
	}
	for name, handler := range handlers {
		st.app.Get("/"+name, func(c *fiber.Ctx) error { return handler(c, sess.From(c)) })
	}
	return st
}

func (st *portal) browser() *client { return newClient(st.app) }

// loggedIn returns a browser of user.
func (st *portal) loggedIn(user string) *client {
	st.Helper()
	c := st.browser()
	st.wantReply("the login", c.get("/in?user="+user), 200, "")
	return c
}

func (st *portal) wantReply(what string, got response, status int, body string) {
	st.Helper()
	wantReply(st.T, what, got, status, body)
}

func (st *portal) wantUser(what string, c *client, want string) {
	st.Helper()
	st.wantReply(what+": who", c.get("/who"), 200, want)
}

// sessions returns the user's sessions.
func (st *portal) sessions(user string) (all []sess.Info) {
	st.Helper()
	for info, err := range st.m.User(user).Sessions(st.Context()) {
		if err != nil {
			st.Fatalf("Sessions: got the error %+v, want none", err)
		}
		all = append(all, info)
	}
	return all
}

func (st *portal) wantSessions(when, user string, want int) {
	st.Helper()
	if got := len(st.sessions(user)); got != want {
		st.Errorf("sessions of %s %s: got %d, want %d", user, when, got, want)
	}
}

// onEveryStore runs f on the stores that have an index: in memory, and on Redis, where a second site is another node.
func onEveryStore(t *testing.T, config sess.Config, more routes, f func(t *testing.T, here, there *portal)) {
	t.Run("memory", func(t *testing.T) {
		config := config
		config.Store = sess.NewMemoryStore()
		st := newPortal(t, config, more)
		f(t, st, st)
	})
	t.Run("Redis, two nodes", func(t *testing.T) {
		server := redistest.Start(t)
		here, there := config, config
		here.Store, there.Store = openRueidis(t, addresses(server.Addr)), openRueidis(t, addresses(server.Addr))
		f(t, newPortal(t, here, more), newPortal(t, there, more))
	})
}

func TestLoginBeginsASessionUnderANewIDAndKeepsTheData(t *testing.T) {
	onEveryStore(t, sess.Config{}, nil, func(t *testing.T, here, there *portal) {
		c := here.browser()
		c.get("/set?key=cart")
		old := c.twin()
		here.wantReply("login", c.get("/in"), 200, "")
		if c.id() == old.id() || c.id() == "" {
			t.Error("the id after a login: got the old one or none, want another")
		}
		there.wantUser("on another node", &client{there.app.Handler(), c.jar}, "ann")
		here.wantReply("data from before the login", c.get("/has?key=cart"), 200, "true")
		here.wantUser("with the id from before the login", old.twin(), "")
		here.wantReply("data with the id from before", old.twin().get("/has?key=cart"), 200, "false")
		old.get("/set?key=planted")
		here.wantReply("what the old id wrote", c.get("/has?key=planted"), 200, "false")
		there.wantSessions("after the login", "ann", 1)
	})
}

func TestGuardWithTheOldCookieDoesNotEndTheLogin(t *testing.T) {
	onEveryStore(t, sess.Config{}, nil, func(t *testing.T, here, there *portal) {
		c := here.browser()
		c.get("/set?key=cart")
		old := c.twin()
		c.get("/in")
		wantNoCookie(t, "a logout that met the tombstone of a login", old.get("/guard"))
		here.wantUser("after a logout with the old cookie", c, "ann")
	})
}

func TestDoubleClickMakesOneSessionAndTwoEqualCookies(t *testing.T) {
	onEveryStore(t, sess.Config{}, nil, func(t *testing.T, here, there *portal) {
		first := here.browser()
		first.get("/set?key=cart")
		second := first.twin()
		second.handler = there.app.Handler()
		first.get("/in?key=one")
		here.wantReply("the second login", second.get("/in?key=two"), 200, "")
		if first.id() != second.id() {
			t.Error("the cookies of a double click: got two ids, want one")
		}
		for _, key := range []string{"one", "two", "cart"} {
			here.wantReply(key, second.get("/has?key="+key), 200, "true")
		}
		here.wantSessions("after a double click", "ann", 1)
	})
}

func TestTwoUsersWithOneOldIDHaveASessionEach(t *testing.T) {
	onEveryStore(t, sess.Config{}, nil, func(t *testing.T, here, there *portal) {
		ann := here.browser()
		ann.get("/set?key=cart")
		bob := ann.twin()
		ann.get("/in?user=ann&key=anns")
		bob.get("/in?user=bob")
		here.wantUser("ann", ann, "ann")
		here.wantUser("bob", bob, "bob")
		here.wantReply("ann's data with bob", bob.get("/has?key=anns"), 200, "false")
		bob.get("/in?user=ann")
		here.wantReply("bob's session, taken over by ann", bob.get("/has?key=cart"), 200, "false")
		here.wantSessions("after bob's browser logged her in", "ann", 2)
		here.wantSessions("after ann took his browser", "bob", 0)
	})
}

func TestEndAllEndsEverySessionOfTheUserAndNoOther(t *testing.T) {
	onEveryStore(t, sess.Config{}, nil, func(t *testing.T, here, there *portal) {
		one, two, bob := here.loggedIn("ann"), there.loggedIn("ann"), here.loggedIn("bob")
		before := here.m.Stats().Destroyed
		if n, err := here.m.User("ann").EndAll(t.Context()); n != 2 || err != nil {
			t.Errorf("EndAll: got %d and the error %v, want 2 and none", n, err)
		}
		if n := here.m.Stats().Destroyed - before; n != 2 {
			t.Errorf("sessions counted as destroyed: got %d, want 2", n)
		}
		here.wantUser("ann's first session", one, "")
		here.wantUser("ann's second session", &client{here.app.Handler(), two.jar}, "")
		here.wantUser("bob's session", bob, "bob")
		here.wantSessions("after EndAll", "ann", 0)
		here.wantUser("a login after EndAll", here.loggedIn("ann"), "ann")
	})
}

func TestEndOthersSparesTheSessionOfTheRequest(t *testing.T) {
	var here *portal
	more := routes{"others": func(c *fiber.Ctx, s sess.Session) error {
		n, err := here.m.User(c.Query("user", "ann")).EndOthers(c.UserContext(), s)
		if err != nil {
			return err
		}
		return c.SendString(fmt.Sprint(n))
	}}
	onEveryStore(t, sess.Config{}, more, func(t *testing.T, h, there *portal) {
		here = h
		one, two := here.loggedIn("ann"), there.loggedIn("ann")
		here.wantReply("EndOthers", one.get("/others"), 200, "1")
		here.wantUser("the session of the request", one, "ann")
		here.wantUser("the other one", &client{here.app.Handler(), two.jar}, "")
		here.wantReply("EndOthers of another user", one.get("/others?user=bob"), 500, "Internal Server Error")
		here.wantUser("after that", one, "ann")
	})
}

func TestEndEndsTheSessionOfAHandleWithinTheUsersOwn(t *testing.T) {
	onEveryStore(t, sess.Config{}, routes{
		"handle": func(c *fiber.Ctx, s sess.Session) error { return c.SendString(s.Handle()) },
	}, func(t *testing.T, here, there *portal) {
		one, two := here.loggedIn("ann"), there.loggedIn("ann")
		handle := two.get("/handle").body
		all := here.sessions("ann")
		if len(all) != 2 || !slices.ContainsFunc(all, func(i sess.Info) bool { return i.Handle == handle }) {
			t.Fatalf("sessions: got %d, want 2 and the handle that the session says", len(all))
		}
		for _, err := range []error{here.m.User("bob").End(t.Context(), handle), here.m.User("ann").End(t.Context(), "unknown")} {
			if err != nil {
				t.Errorf("End of an unknown handle: got the error %v, want none", err)
			}
		}
		here.wantSessions("after two Ends of unknown handles", "ann", 2)
		if err := here.m.User("ann").End(t.Context(), handle); err != nil {
			t.Errorf("End: got the error %v, want none", err)
		}
		here.wantUser("the session of the handle", &client{here.app.Handler(), two.jar}, "")
		here.wantUser("the other one", one, "ann")
		if n := here.m.Stats().Destroyed; n != 1 {
			t.Errorf("sessions counted as destroyed: got %d, want 1", n)
		}
	})
}

func TestManagerEndEndsASessionBehindRenewals(t *testing.T) {
	onEveryStore(t, sess.Config{}, routes{
		"regenerate": func(_ *fiber.Ctx, s sess.Session) error { s.Regenerate(); return nil },
	}, func(t *testing.T, here, there *portal) {
		c := here.loggedIn("ann")
		old, err := sess.ParseID(c.id())
		if err != nil {
			t.Fatal(err)
		}
		c.get("/regenerate")
		here.wantUser("after a renewal", c, "ann")
		here.wantSessions("after a renewal", "ann", 1)
		if err := there.m.End(t.Context(), old); err != nil {
			t.Errorf("End: got the error %v, want none", err)
		}
		there.wantUser("after End with the old id, on the same node", &client{there.app.Handler(), c.jar}, "")
		eventually(t, "the other node has heard of it", func() bool { return c.get("/who").body == "" })
		here.wantSessions("after End", "ann", 0)
	})
}

// TestPasswordChangeLogsInAnew does the recipe: all sessions end, and this request's login is let in.
func TestPasswordChangeLogsInAnew(t *testing.T) {
	var here *portal
	more := routes{"password": func(c *fiber.Ctx, s sess.Session) error {
		user, _ := s.User()
		if _, err := here.m.User(user).EndAll(c.UserContext(), s); err != nil {
			return err
		}
		if c.Query("twice") != "" {
			if _, err := here.m.User(user).EndAll(c.UserContext(), s); err != nil {
				return err
			}
		}
		s.Login(user)
		return nil
	}}
	onEveryStore(t, sess.Config{}, more, func(t *testing.T, h, there *portal) {
		here = h
		for _, path := range []string{"/password", "/password?twice=1"} {
			one, two := here.loggedIn("ann"), there.loggedIn("ann")
			here.wantReply(path, one.get(path), 200, "")
			here.wantUser("who changed the password", one, "ann")
			here.wantUser("another session", &client{here.app.Handler(), two.jar}, "")
			here.wantSessions("after the change", "ann", 1)
			one.get("/out")
		}
	})
}

// TestLoginThatBeganBeforeEndAllIsRefused stops a login where it checks the password.
func TestLoginThatBeganBeforeEndAllIsRefused(t *testing.T) {
	checking, checked := make(chan struct{}, 1), make(chan struct{})
	more := routes{"slow": func(_ *fiber.Ctx, s sess.Session) error {
		checking <- struct{}{}
		<-checked
		s.Login("ann")
		return nil
	}}
	onEveryStore(t, sess.Config{}, more, func(t *testing.T, here, there *portal) {
		c, answer := here.browser(), make(chan response)
		go func() { answer <- c.get("/slow") }()
		<-checking
		if _, err := there.m.User("ann").EndAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		checked <- struct{}{}
		r := <-answer
		here.wantReply("the login", r, 401, "Unauthorized")
		wantNoCookie(t, "a refused login", r)
		here.wantSessions("after a refused login", "ann", 0)
	})
}

func TestStepUpOfASessionThatWasLoggedOutIsVoid(t *testing.T) {
	checking, checked := make(chan struct{}, 1), make(chan struct{})
	more := routes{"stepup": func(_ *fiber.Ctx, s sess.Session) error {
		user, _ := s.User()
		checking <- struct{}{}
		<-checked
		s.Login(user)
		return nil
	}}
	onEveryStore(t, sess.Config{}, more, func(t *testing.T, here, there *portal) {
		c, answer := here.loggedIn("ann"), make(chan response)
		thief := c.twin()
		go func() { answer <- thief.get("/stepup") }()
		<-checking
		c.get("/out")
		checked <- struct{}{}
		here.wantReply("the step-up", <-answer, 401, "Unauthorized")
		here.wantSessions("after a logout and a step-up", "ann", 0)
	})
}

// TestSaveTellsThatALoginWasRefused also checks that the error says which.
func TestSaveTellsThatALoginWasRefused(t *testing.T) {
	var here *portal
	var told error
	more := routes{"slow": func(c *fiber.Ctx, s sess.Session) error {
		if _, err := here.m.User("ann").EndAll(c.UserContext()); err != nil { // Not with s: it is another's.
			return err
		}
		s.Login("ann")
		told = s.Save()
		return nil
	}}
	onEveryStore(t, sess.Config{}, more, func(t *testing.T, h, _ *portal) {
		here = h
		here.browser().get("/slow")
		if !errors.Is(told, sess.ErrLoginRefused) {
			t.Errorf("Save: got the error %+v, want ErrLoginRefused", told)
		}
	})
}

func TestOldestLoginsEndAboveTheLimit(t *testing.T) {
	displaced := 0
	config := sess.Config{MaxPerUser: 2, Hooks: sess.Hooks{Displaced: func(sess.Event) { displaced++ }}}
	more := routes{"remembered": func(_ *fiber.Ctx, s sess.Session) error {
		s.Login("ann")
		return s.Remember(90 * 24 * time.Hour)
	}}
	onEveryStore(t, config, more, func(t *testing.T, here, there *portal) {
		displaced = 0
		oldest := here.browser()
		oldest.get("/remembered") // It ends last.
		time.Sleep(2 * time.Millisecond)
		second := there.loggedIn("ann")
		time.Sleep(2 * time.Millisecond)
		third := here.loggedIn("ann")
		here.wantUser("the oldest login", &client{here.app.Handler(), oldest.jar}, "")
		here.wantUser("the second", &client{here.app.Handler(), second.jar}, "ann")
		here.wantUser("the third", third, "ann")
		if here.wantSessions("after three logins", "ann", 2); displaced != 1 {
			t.Errorf("Displaced: got %d calls, want 1", displaced)
		}
	})
}

func TestSessionsPageReloadedWithoutPauseHidesNoLogin(t *testing.T) {
	store := sess.NewMemoryStore()
	gate := sesstest.NewGate(store)
	here, there := newPortal(t, sess.Config{Store: gate.Store(), StoreTimeout: time.Minute}, nil), newPortal(t, sess.Config{Store: store}, nil)
	stop := gate.After(sesstest.Admit, 1)
	c, answer := here.browser(), make(chan response)
	go func() { answer <- c.get("/in") }()
	<-stop.Reached
	for range 3 {
		there.wantSessions("before the record is there", "ann", 0)
	}
	stop.Release()
	here.wantReply("the login", <-answer, 200, "")
	there.wantSessions("after the login", "ann", 1)
}

func TestRememberGivesASessionALifeOfItsOwn(t *testing.T) {
	more := routes{
		"remember": func(_ *fiber.Ctx, s sess.Session) error { s.Login("ann"); return s.Remember(30 * 24 * time.Hour) },
		"expires": func(c *fiber.Ctx, s sess.Session) error {
			return c.SendString(fmt.Sprint(time.Until(s.Expires()) > 29*24*time.Hour))
		},
		"tooLong": func(c *fiber.Ctx, s sess.Session) error {
			return c.SendString(fmt.Sprint(s.Remember(61*24*time.Hour) != nil, s.Remember(0) != nil))
		},
	}
	onEveryStore(t, sess.Config{TTL: time.Hour, Lifetime: 60 * 24 * time.Hour}, more, func(t *testing.T, here, there *portal) {
		c := here.browser()
		if r := c.get("/remember"); len(r.setCookie) == 0 || !strings.Contains(strings.ToLower(r.setCookie[0]), "max-age=25920") && !strings.Contains(strings.ToLower(r.setCookie[0]), "max-age=25919") {
			t.Error("the cookie of a remembered session: got no Max-Age of 30 days, want one")
		}
		here.wantReply("end of a remembered session", c.get("/expires"), 200, "true")
		c.get("/set?key=later")
		here.wantReply("end after another save", c.get("/expires"), 200, "true")
		here.wantReply("beyond Lifetime, and nothing", c.get("/tooLong"), 200, "true true")
		c.get("/in")
		here.wantReply("end after a plain login", c.get("/expires"), 200, "false")
	})
}

func TestClearMakesASessionNobodys(t *testing.T) {
	onEveryStore(t, sess.Config{}, routes{
		"clear": func(_ *fiber.Ctx, s sess.Session) error { s.Clear(); return nil },
	}, func(t *testing.T, here, there *portal) {
		c := here.loggedIn("ann")
		c.get("/clear")
		here.wantUser("after Clear", c, "")
		here.wantSessions("after Clear", "ann", 0)
	})
}

func TestRequireLoginAsksForAUserAndForAFreshLogin(t *testing.T) {
	st := newPortal(t, sess.Config{Store: sess.NewMemoryStore()}, nil)
	ok := func(c *fiber.Ctx) error { return c.SendString("in") }
	st.app.Get("/any", sess.RequireLogin(0), ok)
	st.app.Get("/fresh", sess.RequireLogin(time.Hour), ok)
	st.app.Get("/stale", sess.RequireLogin(time.Nanosecond), ok)
	nobody, ann := st.browser(), st.loggedIn("ann")
	time.Sleep(time.Millisecond)
	for path, want := range map[string]int{"/any": 200, "/fresh": 200, "/stale": 403} {
		if got := nobody.get(path).status; got != 401 {
			t.Errorf("%s without a user: got %d, want 401", path, got)
		}
		if got := ann.get(path).status; got != want {
			t.Errorf("%s with a user: got %d, want %d", path, got, want)
		}
	}
}

// TestRequireLoginBehindALoginOfTheSameRequestLetsItIn has a route that logs in before it requires a login.
func TestRequireLoginBehindALoginOfTheSameRequestLetsItIn(t *testing.T) {
	st := newPortal(t, sess.Config{Store: sess.NewMemoryStore()}, nil)
	ok := func(c *fiber.Ctx) error { return c.SendString("in") }
	login := func(c *fiber.Ctx) error { sess.From(c).Login("ann"); return c.Next() }
	anew := func(c *fiber.Ctx) error { sess.From(c).Destroy(); return login(c) }
	gone := func(c *fiber.Ctx) error { sess.From(c).Login("ann"); sess.From(c).Destroy(); return c.Next() }
	st.app.Get("/login", login, sess.RequireLogin(time.Nanosecond), ok)
	st.app.Get("/anew", anew, sess.RequireLogin(time.Nanosecond), ok)
	st.app.Get("/gone", gone, sess.RequireLogin(time.Nanosecond), ok)
	plain := st.m.Wrap(func(ctx *fasthttp.RequestCtx) {
		st.m.FromRequest(ctx).Login("ann")
		st.m.RequireLogin(time.Nanosecond, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("in") })(ctx)
	})
	for name, c := range map[string]*client{"nobody": st.browser(), "ann, logged in before": st.loggedIn("ann")} {
		time.Sleep(time.Millisecond)
		st.wantReply("plain fasthttp, "+name, (&client{plain, c.jar}).get("/"), 200, "in")
		for path, want := range map[string]int{"/login": 200, "/anew": 200, "/gone": 401} {
			if got := c.get(path).status; got != want {
				t.Errorf("%s, %s: got %d, want %d", path, name, got, want)
			}
		}
	}
}

func TestDestroyAndLoginInOneRequest(t *testing.T) {
	onEveryStore(t, sess.Config{}, routes{
		"anew":  func(_ *fiber.Ctx, s sess.Session) error { s.Destroy(); s.Login("ann"); return nil },
		"never": func(_ *fiber.Ctx, s sess.Session) error { s.Login("ann"); s.Destroy(); return nil },
		"both":  func(_ *fiber.Ctx, s sess.Session) error { s.Regenerate(); s.Login("ann"); return nil },
		"not":   func(_ *fiber.Ctx, s sess.Session) error { s.Login("ann"); s.Discard(); return nil },
	}, func(t *testing.T, here, _ *portal) {
		for path, want := range map[string]struct {
			user, kept string
		}{"/anew": {"ann", "false"}, "/never": {"", "false"}, "/both": {"ann", "true"}, "/not": {"", "true"}} {
			c := here.browser()
			c.get("/set?key=cart")
			here.wantReply(path, c.get(path), 200, "")
			here.wantUser(path, c, want.user)
			here.wantReply(path+": data", c.get("/has?key=cart"), 200, want.kept)
		}
		here.wantSessions("after two logins", "ann", 2)
	})
}

func TestStoreWithoutIndexLogsInAndListsNobody(t *testing.T) {
	for name, store := range map[string]sess.Store{
		"no Swapper": struct{ sess.Store }{sess.NewMemoryStore()},
		"Swapper":    nil,
	} {
		if name == "Swapper" {
			m := sess.NewMemoryStore()
			store = struct {
				sess.Store
				sess.Swapper
			}{m, m}
		}
		st := newPortal(t, sess.Config{Store: store}, nil)
		c := st.browser()
		c.get("/set?key=cart")
		old := c.twin()
		c.get("/in")
		st.wantUser(name, c, "ann")
		st.wantUser(name+", the old id", old, "")
		st.wantReply(name+": data", c.get("/has?key=cart"), 200, "true")
		if _, err := st.m.User("ann").EndAll(context.Background()); !errors.Is(err, sess.ErrUnsupported) {
			t.Errorf("%s: EndAll: got the error %v, want ErrUnsupported", name, err)
		}
		if _, err := sess.NewManager(sess.Config{Store: store, Keys: sess.Keys(clientKey), MaxPerUser: 5}); err == nil {
			t.Errorf("%s: NewManager with MaxPerUser: got no error, want one", name)
		}
	}
}

func TestKoaCannotWriteAUser(t *testing.T) {
	server := redistest.Start(t)
	store := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{Koa: true})
	st := newPortal(t, sess.Config{Store: store, Koa: true}, nil)
	c := st.loggedIn("ann")
	st.wantUser("a login beside Koa", c, "ann")
	st.wantSessions("beside Koa", "ann", 1)
	proven := server.Do("GET", "koa:sess:"+c.id()).(string)

	reader := newPortal(t, sess.Config{Store: openRueidis(t, addresses(server.Addr), sess.RueidisConfig{Koa: true, NoNearCache: true}), Koa: true}, nil)
	forge := func(what, id, json string) {
		t.Helper()
		server.Do("SET", "koa:sess:"+id, json, "PX", "3600000")
		koa := reader.browser().holding(id)
		mac := hmac.New(sha1.New, []byte(clientKey))
		mac.Write([]byte("koa.sid=" + id))
		koa.jar["koa.sid.sig"] = base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		st.wantUser(what, koa, "")
		koa.get("/set?key=saved")
		st.wantUser(what+", after our own save", koa, "")
	}
	forge("a user without proof", "forged-by-assignment-1", `{"$":{"u":"admin","l":1},"n":1}`)
	forge("a user whose proof is another id's", "copied-by-regenerate-1", proven)
	forge("another user under the same id", c.id(), strings.Replace(proven, `"u":"ann"`, `"u":"bob"`, 1))
}
