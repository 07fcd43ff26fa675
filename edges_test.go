package sess_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/redis/rueidis"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// cookiePair is a cookie of id with its signature, as a browser sends both.
func cookiePair(id string) string { return "koa.sid=" + id + "; koa.sid.sig=" + signature(id) }

// ask sends a request with a Cookie header, by hand, and returns the response.
func ask(app *fiber.App, uri, cookies string) response {
	var ctx fasthttp.RequestCtx
	ctx.Request.SetRequestURI(uri)
	ctx.Request.Header.Set("Cookie", cookies)
	app.Handler()(&ctx)
	r := response{status: ctx.Response.StatusCode(), body: string(ctx.Response.Body())}
	r.setCookie = setCookies(&ctx.Response.Header)
	ctx.ResetUserValues()
	return r
}

// setCookies returns the Set-Cookie lines of h.
func setCookies(h *fasthttp.ResponseHeader) (lines []string) {
	for _, line := range h.Cookies() {
		lines = append(lines, string(line))
	}
	return lines
}

// A dead cookie of another path or domain does not hide the live one behind it, whatever it died of; a logout ends the
// session of each.
func TestADeadCookieDoesNotHideTheLiveOne(t *testing.T) {
	const live, dead = "the.live.session.of.ann", "a.dead.session.of.ann.."
	keep := func(t *testing.T, store *spyStore, id, json string) {
		t.Helper()
		r, err := sess.ParseRecord(json)
		if err == nil {
			parsed, _ := sess.ParseID(id)
			err = store.kept.Set(t.Context(), parsed, r, time.Hour)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		before func(t *testing.T, store *spyStore)
		status int
		user   string
	}{
		"unknown": {func(*testing.T, *spyStore) {}, 200, "ann"},
		"ended":   {func(t *testing.T, s *spyStore) { keep(t, s, dead, `{"$":{"c":1,"e":2}}`) }, 200, "ann"},
		"corrupt": {func(t *testing.T, s *spyStore) {
			s.ask(func(_ context.Context, call string, id sess.ID) error {
				if call == "get" && id.Value() == dead {
					return sess.ErrCorrupt
				}
				return nil
			})
		}, 200, "ann"},
		"renewed": {func(t *testing.T, s *spyStore) {
			keep(t, s, dead, `{"$":{"c":1,"e":253402300799999,"to":"where.the.session.went"}}`)
		}, 200, ""},
		"a failing store": {func(t *testing.T, s *spyStore) {
			s.ask(func(_ context.Context, call string, id sess.ID) error {
				if call == "get" && id.Value() == dead {
					return errStore
				}
				return nil
			})
		}, 503, "Service Unavailable"},
	} {
		for _, deferred := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " deferred ", deferred), func(t *testing.T) {
				store := newSpyStore()
				keep(t, store, live, `{"user":"ann"}`)
				c.before(t, store)
				app := routed(sess.Config{Store: store, Defer: deferred}, nil)
				wantReply(t, "the user", ask(app, "/user", cookiePair(dead)+"; "+cookiePair(live)), c.status, c.user)
				if c.status != 200 {
					return
				}
				r := ask(app, "/logout", cookiePair(dead)+"; "+cookiePair(live))
				if len(r.setCookie) != 2 {
					t.Errorf("the logout: got %d Set-Cookie lines, want the two that expire the cookie", len(r.setCookie))
				}
				store.ask(nil)
				if id, _ := sess.ParseID(live); c.user != "" || name == "renewed" {
					if _, err := store.kept.Get(t.Context(), id); !errors.Is(err, sess.ErrNotFound) {
						t.Errorf("the live session after the logout: got %v, want it gone", err)
					}
				}
			})
		}
	}
}

func TestThousandCookiesCostNoMoreThanFour(t *testing.T) {
	store := newSpyStore()
	app := routed(sess.Config{Store: store}, nil)
	var many []string
	for i := range 1000 {
		many = append(many, cookiePair(fmt.Sprintf("an.id.of.nobody.%04d", i)))
	}
	ask(app, "/user", strings.Join(many, "; "))
	if n := store.count("get"); n > 4 {
		t.Errorf("look-ups: got %d, want at most 4", n)
	}
}

// A late answer to a request that saved early does not put a retired id over a newer login, nor does a new signature after
// key rotation. A new id is never lost to this check.
func TestALateAnswerDoesNotSendARetiredID(t *testing.T) {
	for name, early := range map[string]func(c *fiber.Ctx, s sess.Session) error{
		"an early Save": func(_ *fiber.Ctx, s sess.Session) error { sess.Set(s, "n", 1); return s.Save() },
		"nothing but a read": func(_ *fiber.Ctx, s sess.Session) error {
			s.Keys()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			held := newPause()
			store := sess.NewMemoryStore()
			build := func(keys []sess.Key) *fiber.App {
				app := fiber.New()
				app.Use(sess.New(sess.Config{Store: store, Keys: keys}))
				app.Get("/login", func(c *fiber.Ctx) error { sess.Set(sess.From(c), "user", "ann"); return nil })
				app.Get("/renew", func(c *fiber.Ctx) error { sess.From(c).Regenerate(); return nil })
				app.Get("/slow", func(c *fiber.Ctx) error {
					if err := early(c, sess.From(c)); err != nil {
						return err
					}
					held.wait()
					return nil
				})
				return app
			}
			c := newClient(build(sess.Keys(clientKey)))
			c.get("/login")
			c.handler = build(sess.Keys("a newer key than the client's own!", clientKey)).Handler()
			late := c.twin()
			answer := make(chan response, 1)
			go func() { answer <- late.get("/slow") }()
			<-held.reached
			c.get("/renew")
			close(held.proceed)
			wantNoCookie(t, "the late answer", <-answer)
		})
	}
	c := newClient(routed(sess.Config{}, routes{"first": func(_ *fiber.Ctx, s sess.Session) error {
		sess.Set(s, "n", 1)
		return s.Save()
	}}))
	if r := c.get("/first"); len(r.setCookie) != 2 {
		t.Errorf("a new session that is saved early: got %d Set-Cookie lines, want 2", len(r.setCookie))
	}
}

func TestTwoManagersOfOneCookieAreOneSession(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	outer, err := sess.NewManager(sess.Config{Keys: sess.Keys(clientKey), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := sess.NewManager(sess.Config{Keys: sess.Keys(clientKey), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New()
	app.Use(outer.Handle)
	app.Group("/api", inner.Handle).Get("/count", func(c *fiber.Ctx) error {
		n := 0
		sess.Update(inner.From(c), "n", func(old int, _ bool) int { n = old + 1; return n })
		return c.JSON(n)
	})
	c := newClient(app)
	for want := 1; want <= 3; want++ {
		r := c.get("/api/count")
		wantReply(t, "the count", r, 200, fmt.Sprint(want))
		if len(r.setCookie) != 2 {
			t.Errorf("got %d Set-Cookie lines, want 2", len(r.setCookie))
		}
	}
	if n := strings.Count(log.String(), "two managers of one cookie name"); n != 1 {
		t.Errorf("the log says so %d times, want once:\n%s", n, log.String())
	}
}

func TestALogoutOfASessionThatIsGoneExpiresTheCookie(t *testing.T) {
	c := newClient(routed(sess.Config{}, nil)).holding("the.store.never.heard.of.it")
	if r := c.get("/logout"); len(r.setCookie) != 2 || !strings.Contains(r.setCookie[0], "1970") {
		t.Errorf("got %d Set-Cookie lines, want two that expire the cookie", len(r.setCookie))
	}
	if r := newClient(routed(sess.Config{}, nil)).get("/logout"); len(r.setCookie) != 0 {
		t.Errorf("a visitor without a cookie: got %d Set-Cookie lines, want none", len(r.setCookie))
	}
}

// fasthttp sends another response than ctx.Response behind its TimeoutHandler. What the session owes is in that.
func TestTheCookieIsInTheResponseThatATimeoutSends(t *testing.T) {
	m, err := sess.NewManager(sess.Config{Keys: sess.Keys(clientKey)})
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	defer close(release)
	handler := m.Wrap(fasthttp.TimeoutHandler(func(ctx *fasthttp.RequestCtx) {
		s := m.FromRequest(ctx)
		sess.Set(s, "n", 1)
		if err := s.Save(); err != nil {
			t.Errorf("Save: got %v, want nil", err)
		}
		<-release
	}, 50*time.Millisecond, "too late"))
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	handler(&ctx)
	sent := ctx.LastTimeoutErrorResponse()
	if sent == nil {
		t.Fatal("got no response of a timeout, want one")
	}
	if n := len(setCookies(&sent.Header)); sent.StatusCode() != 408 || n != 2 {
		t.Errorf("got %d with %d Set-Cookie lines, want 408 with 2", sent.StatusCode(), n)
	}
}

// lookingTransport is a Transport that looks at the session while it writes.
type lookingTransport struct {
	sess.Transport
	seen func(user string)
}

func (l lookingTransport) Write(ctx *fasthttp.RequestCtx, token string, ttl time.Duration) {
	user, _ := sess.Get[string](sess.FromRequest(ctx), "user")
	l.seen(user)
	l.Transport.Write(ctx, token, ttl)
}

func (l lookingTransport) Expire(ctx *fasthttp.RequestCtx) {
	l.seen(fmt.Sprint(sess.FromRequest(ctx).Exists()))
	l.Transport.Expire(ctx)
}

func TestATransportMayLookAtTheSession(t *testing.T) {
	var seen []string
	config := sess.Config{Transport: lookingTransport{sess.HeaderTransport("X-Session"), func(s string) { seen = append(seen, s) }}}
	app := routed(config, nil)
	var ctx fasthttp.RequestCtx
	ctx.Request.SetRequestURI("/login")
	app.Handler()(&ctx)
	token := string(ctx.Response.Header.Peek("X-Session"))
	ctx.ResetUserValues()
	var out fasthttp.RequestCtx
	out.Request.SetRequestURI("/logout")
	out.Request.Header.Set("X-Session", token)
	app.Handler()(&out)
	out.ResetUserValues()
	if got, want := fmt.Sprint(seen), "[ann false]"; got != want || token == "" {
		t.Errorf("seen: got %s, want %s", got, want)
	}
}

// The functions that get the RequestCtx may ask From for the session as well: they get a handle that is let through.
func TestFromInsideOfAFunctionOfTheConfigDoesNotHang(t *testing.T) {
	config := sess.Config{
		Valid: func(ctx *fasthttp.RequestCtx, _ sess.Session) bool { return sess.FromRequest(ctx).Has("user") },
		BeforeSave: func(ctx *fasthttp.RequestCtx, _ sess.Session) error {
			sess.Set(sess.FromRequest(ctx), "saved", 1)
			return nil
		},
	}
	c := newClient(routed(config, nil))
	c.get("/login")
	wantReply(t, "the user", c.get("/user"), 200, "ann")
}

// From Save, Take and Refresh on, a handle on a session that was ended elsewhere is dead: what was written in the belief
// that it lives does not begin another session.
func TestAHandleIsDeadOnceItsSessionHasEnded(t *testing.T) {
	ways := map[string]func(s sess.Session) error{
		"Save":    func(s sess.Session) error { sess.Set(s, "paid", true); return s.Save() },
		"Take":    func(s sess.Session) error { _, _, err := sess.Take[string](s, "user"); return err },
		"Refresh": func(s sess.Session) error { return s.Refresh() },
	}
	for _, end := range []string{"logout", "regenerate"} {
		for way, tell := range ways {
			t.Run(way+" behind a "+end, func(t *testing.T) {
				held := newPause()
				store := newSpyStore()
				app := routed(sess.Config{Store: store}, routes{
					"regenerate": func(_ *fiber.Ctx, s sess.Session) error { s.Regenerate(); return nil },
					"pay": func(c *fiber.Ctx, s sess.Session) error {
						user, _ := sess.Get[string](s, "user")
						held.wait()
						if err := tell(s); !errors.Is(err, sess.ErrEnded) {
							t.Errorf("got %+v, want ErrEnded", err)
						}
						if _, ok := sess.Get[string](s, "user"); ok || s.Exists() || !s.ID().IsZero() || len(s.Keys()) > 0 {
							t.Error("the handle shows a session, want a dead one")
						}
						sess.Set(s, "user", user)
						if err := s.Save(); !errors.Is(err, sess.ErrEnded) {
							t.Errorf("the second Save: got %+v, want ErrEnded", err)
						}
						if !errors.Is(s.Err(), sess.ErrEnded) {
							t.Errorf("Err: got %+v, want ErrEnded", s.Err())
						}
						return s.Err()
					},
				})
				c := newClient(app)
				c.get("/login")
				late := c.twin()
				answer := make(chan response, 1)
				go func() { answer <- late.get("/pay") }()
				<-held.reached
				c.get("/" + end)
				close(held.proceed)
				r := <-answer
				wantReply(t, "the late request", r, 401, "Unauthorized")
				wantNoCookie(t, "the late request", r)
				want := 0
				if end == "regenerate" {
					want = 1
				}
				wantLive(t, store, c, want)
			})
		}
	}
}

// Destroy begins anew what another request has ended.
func TestDestroyRevivesADeadHandleForANewSession(t *testing.T) {
	held := newPause()
	c := newClient(routed(sess.Config{}, routes{"again": func(_ *fiber.Ctx, s sess.Session) error {
		s.Keys()
		held.wait()
		if err := s.Refresh(); !errors.Is(err, sess.ErrEnded) {
			t.Errorf("Refresh: got %+v, want ErrEnded", err)
		}
		s.Destroy()
		sess.Set(s, "user", "bob")
		return s.Err()
	}}))
	c.get("/login")
	late := c.twin()
	answer := make(chan response, 1)
	go func() { answer <- late.get("/again") }()
	<-held.reached
	c.get("/logout")
	close(held.proceed)
	wantReply(t, "the request that begins anew", <-answer, 200, "")
	wantReply(t, "its session", late.get("/user"), 200, "bob")
}

// A logout comes first, whatever else of the request fails.
func TestALogoutComesBeforeWhatFailsBehindIt(t *testing.T) {
	fails := func(*fasthttp.RequestCtx, sess.Session) error { return errors.New("no") }
	discards := func(_ *fasthttp.RequestCtx, s sess.Session) error { s.Discard(); return nil }
	for name, c := range map[string]struct {
		hook   func(*fasthttp.RequestCtx, sess.Session) error
		write  func(s sess.Session)
		status int
	}{
		"a BeforeSave that fails":    {fails, func(s sess.Session) { sess.Set(s, "flash", "bye") }, 500},
		"a BeforeSave that discards": {discards, func(s sess.Session) { sess.Set(s, "flash", "bye") }, 200},
		"a reserved key":             {nil, func(s sess.Session) { sess.Set(s, "cookie", 1) }, 500},
		"a channel":                  {nil, func(s sess.Session) { sess.Set(s, "c", make(chan int)) }, 500},
	} {
		t.Run(name, func(t *testing.T) {
			store := newSpyStore()
			config := sess.Config{Store: store}
			if c.hook != nil {
				config.BeforeSave = func(ctx *fasthttp.RequestCtx, s sess.Session) error {
					if s.Has("user") {
						return nil
					}
					return c.hook(ctx, s)
				}
			}
			app := routed(config, routes{"out": func(_ *fiber.Ctx, s sess.Session) error {
				s.Destroy()
				c.write(s)
				return nil
			}})
			b := newClient(app)
			b.get("/login")
			id := b.id()
			r := b.get("/out")
			if r.status != c.status {
				t.Errorf("got %d, want %d", r.status, c.status)
			}
			if again := b.holding(id); again.get("/exists").body != "false" {
				t.Error("the session lives, want it ended")
			}
			if len(r.setCookie) == 0 || !strings.Contains(r.setCookie[0], "1970") {
				t.Errorf("got %d Set-Cookie lines, want those that expire the cookie", len(r.setCookie))
			}
		})
	}
}

func TestALogoutFollowsAnyNumberOfRenewals(t *testing.T) {
	store := newSpyStore()
	c := newClient(routed(sess.Config{Store: store}, routes{"regenerate": func(_ *fiber.Ctx, s sess.Session) error { s.Regenerate(); return nil }}))
	c.get("/login")
	old := c.twin()
	for range 40 {
		c.get("/regenerate")
	}
	wantReply(t, "the logout with the first id", old.get("/logout"), 200, "")
	wantReply(t, "the session behind 40 renewals", c.get("/exists"), 200, "false")
}

// Nobody who runs a program without hooks is left without a word, and no line tells a secret.
func TestTheLogHearsOfFailures(t *testing.T) {
	for name, c := range map[string]struct {
		act  func(s sess.Session)
		fail bool
		want string
	}{
		"a failing store":      {func(s sess.Session) { sess.Set(s, "n", 1) }, true, "the store failed"},
		"a value of no JSON":   {func(s sess.Session) { sess.Set(s, "n", func() {}) }, false, "cannot be saved"},
		"a reserved key":       {func(s sess.Session) { sess.Set(s, "cookie", 1) }, false, "cannot be saved"},
		"a record too large":   {func(s sess.Session) { sess.Set(s, "n", strings.Repeat("secret", 20000)) }, false, "cannot be saved"},
		"an untouched session": {func(sess.Session) {}, false, ""},
	} {
		var log bytes.Buffer
		var mu sync.Mutex
		store := newSpyStore()
		if c.fail {
			store.ask(func(context.Context, string, sess.ID) error { return errStore })
		}
		app := routed(sess.Config{Store: store, Logger: slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))}, routes{
			"act": func(_ *fiber.Ctx, s sess.Session) error { c.act(s); return nil },
		})
		b := newClient(app)
		for range 5 {
			b.get("/act")
		}
		if lines := strings.Count(log.String(), "\n"); c.want == "" && lines != 0 || c.want != "" && (lines == 0 || lines > 2) || !strings.Contains(log.String(), c.want) {
			t.Errorf("%s: got %d lines, want one a second that says %q:\n%s", name, lines, c.want, log.String())
		}
		if strings.Contains(log.String(), "secret") || b.id() != "" && strings.Contains(log.String(), b.id()) {
			t.Errorf("%s: the log tells a secret", name)
		}
	}
}

type lockedWriter struct {
	mu  *sync.Mutex
	out *bytes.Buffer
}

func (w lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(b)
}

// What a handler returns of ours, Fiber sends: no more than the text of the status.
func TestErrorsThatReachFiberBearTheStatusAlone(t *testing.T) {
	var late sess.Session
	app := fiber.New()
	app.Get("/none", func(c *fiber.Ctx) error { return sess.From(c).Save() })
	app.Use(sess.New(sess.Config{Keys: sess.Keys(clientKey)}))
	app.Get("/late", func(c *fiber.Ctx) error { return late.Save() })
	app.Get("/cookie", func(c *fiber.Ctx) error { return sess.From(c).SetCookie(sess.Cookie{Path: "no slash"}) })
	app.Get("/take", func(c *fiber.Ctx) error { _, _, err := sess.Take[int](sess.From(c), "$"); return err })
	app.Get("/ended", func(c *fiber.Ctx) error { return sess.ErrEnded })
	c := newClient(app)
	for path, want := range map[string]int{"/none": 500, "/late": 500, "/cookie": 500, "/take": 500, "/ended": 401} {
		wantReply(t, path, c.get(path), want, map[int]string{500: "Internal Server Error", 401: "Unauthorized"}[want])
	}
	if err := late.Save(); !errors.Is(err, sess.ErrReleased) || !strings.Contains(fmt.Sprintf("%+v", err), "no session middleware") {
		t.Errorf("got %+v, want ErrReleased and, by %%+v, what to do", err)
	}
}

// A form of any size costs no more than its length: what passes MaxRecordBytes is refused at once.
func TestKeysThatAClientChoosesCostWhatTheyAre(t *testing.T) {
	app := routed(sess.Config{}, routes{"form": func(c *fiber.Ctx, s sess.Session) error {
		for i := range 64000 {
			sess.Set(s, fmt.Sprintf("field%d", i), "v")
		}
		if !errors.Is(s.Err(), sess.ErrTooLarge) {
			t.Errorf("Err: got %+v, want ErrTooLarge", s.Err())
		}
		if n := len(s.Keys()); n > 64<<10/8 {
			t.Errorf("keys kept: got %d, want no more than fit into a record", n)
		}
		return nil
	}})
	wantReply(t, "a form of 64,000 fields", newClient(app).get("/form"), 500, "Internal Server Error")
}

// User values that were copied into another RequestCtx do not end another user's request when that one is reset.
func TestALateCloseEndsNobodyElsesRequest(t *testing.T) {
	m, err := sess.NewManager(sess.Config{Keys: sess.Keys(clientKey)})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		var first, copied, second fasthttp.RequestCtx
		run := func(ctx *fasthttp.RequestCtx, do func(s sess.Session)) {
			if err := m.Run(ctx, nil, func() error { do(m.FromRequest(ctx)); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		run(&first, func(s sess.Session) { sess.Set(s, "user", "ann") })
		first.VisitUserValuesAll(func(k, v any) { copied.SetUserValue(k, v) })
		first.ResetUserValues()
		run(&second, func(s sess.Session) {
			sess.Set(s, "user", "bob")
			copied.ResetUserValues()
			if user, _ := sess.Get[string](s, "user"); user != "bob" {
				t.Errorf("behind the late Close: got %q, want bob", user)
			}
		})
		if n := len(setCookies(&second.Response.Header)); n != 2 {
			t.Errorf("the second request: got %d Set-Cookie lines, want 2", n)
		}
		second.ResetUserValues()
	}
}

// wrapping is a decorator that says what it decorates.
type wrapping struct{ sess.Store }

func (w wrapping) Unwrap() sess.Store { return w.Store }

// A store that does not know of Koa would miss that Koa moves the ends of its sessions.
func TestKoaIsSetForBothOrForNone(t *testing.T) {
	for _, koa := range []bool{false, true} {
		store, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{"127.0.0.1:1"}},
			sess.RueidisConfig{Lazy: true, Koa: !koa, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		for name, s := range map[string]sess.Store{"a store": store, "a decorated store": wrapping{store}} {
			err := sess.Config{Koa: koa, Store: s, Keys: sess.Keys(clientKey)}.Validate()
			if err == nil || !strings.Contains(err.Error(), "want the same in both") {
				t.Errorf("Koa %v beside %s of the other kind: got %v, want an error", koa, name, err)
			}
		}
	}
}

// The live cookie behind a dead one is signed anew when its key is not the first any more.
func TestALiveCookieBehindADeadOneIsSignedAnew(t *testing.T) {
	store := sess.NewMemoryStore()
	id, _ := sess.ParseID("the.live.session.of.ann")
	r, err := sess.ParseRecord(`{"user":"ann"}`)
	if err == nil {
		err = store.Set(t.Context(), id, r, time.Hour)
	}
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New()
	app.Use(sess.New(sess.Config{Store: store, Keys: sess.Keys("a newer key than the client's own!", clientKey)}))
	app.Get("/user", func(c *fiber.Ctx) error {
		user, _ := sess.Get[string](sess.From(c), "user")
		return c.SendString(user)
	})
	got := ask(app, "/user", cookiePair("a.dead.session.of.ann..")+"; "+cookiePair(id.Value()))
	wantReply(t, "the user", got, 200, "ann")
	if len(got.setCookie) != 2 || !strings.Contains(got.setCookie[0], id.Value()) {
		t.Errorf("got %d Set-Cookie lines, want two with the live id", len(got.setCookie))
	}
}
