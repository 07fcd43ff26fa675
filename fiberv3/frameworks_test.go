package sess_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	fiber2 "github.com/gofiber/fiber/v2"
	fiber3 "github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	core "github.com/fibersess/sess"
	csrf2 "github.com/fibersess/sess/csrf"
	sess "github.com/fibersess/sess/fiberv3"
	"github.com/fibersess/sess/fiberv3/csrf"
	"github.com/fibersess/sess/sesstest"
)

// What has to do with a framework, as one table over Fiber v2, Fiber v3 and plain fasthttp.

func digits(n int) string { return strconv.Itoa(n) }

func TestASessionGoesFromRequestToRequest(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		s.sessions(newManager(t, sess.Config{}))
		s.get("/untouched", func(v visit) error { v.ctx.SetBodyString("hello"); return nil })
		withLogins(s)
		b := newBrowser(t, listen(t, s.serve()))
		if b.want("/untouched", 200, "hello").setsCookie() {
			t.Error("an untouched request: got a cookie, want none")
		}
		for i := range 3 {
			b.want("/count", 200, digits(i+1))
		}
		before := b.id()
		b.want("/login?user=ann", 200, "")
		b.want("/user", 200, "ann")
		if after := b.id(); after == "" || after == before {
			t.Error("a login: got the id of before, want a new one")
		}
		b.want("/logout", 200, "")
		b.want("/user", 200, "")
		if b.id() != "" {
			t.Error("a logout: got a cookie left in the browser, want none")
		}
	})
}

func TestAHandlersErrorIsAnsweredAndSaves(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		s.sessions(newManager(t, sess.Config{}))
		fail := func(err func(v visit) error) step {
			return func(v visit) error {
				sess.Update(v.session(), "n", func(n int, _ bool) int { return n + 1 })
				return err(v)
			}
		}
		s.get("/teapot", fail(func(v visit) error { return v.error(418) }))
		s.get("/plain", fail(func(visit) error { return errors.New("on purpose") }))
		withLogins(s)
		b := newBrowser(t, listen(t, s.serve()))
		if !b.want("/teapot", 418, "I'm a teapot").setsCookie() {
			t.Error("a handler that fails: got no cookie, want one")
		}
		b.want("/plain", 500, "on purpose")
		b.want("/count", 200, "3")
	})
}

func TestErrorsOfASessionAreAnsweredWithTheirStatusAndNoMore(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		faulty := sesstest.NewFaulty(sess.NewMemoryStore())
		s.use(func(v visit) error { // A middleware outside, which looks at the error as a logger does.
			err := v.next()
			if e := (*core.Error)(nil); errors.As(err, &e) && fmt.Sprintf("%v", err) != e.Error() {
				t.Errorf("the error: got the text %v, want the status alone", err)
			}
			return err
		})
		s.sessions(newManager(t, sess.Config{Store: faulty.Store()}))
		withLogins(s)
		s.get("/save", func(v visit) error {
			sess.Set(v.session(), "x", 1)
			return v.session().Save()
		})
		s.get("/wrapped", func(v visit) error {
			sess.Set(v.session(), "x", v.ctx.ID())
			if err := v.session().Save(); err != nil {
				return fmt.Errorf("%w", err)
			}
			return nil
		})
		s.get("/reserved", func(v visit) error {
			sess.Set(v.session(), "cookie", 1)
			return nil
		})
		s.get("/ended", func(visit) error { return sess.ErrEnded })
		b := newBrowser(t, listen(t, s.serve()))
		b.want("/count", 200, "1")
		for _, c := range []struct {
			path   string
			op     sesstest.Op
			status int
			body   string
		}{
			{"/count", sesstest.Get, 503, "Service Unavailable"},
			{"/count", sesstest.Swap, 503, "Service Unavailable"},
			{"/save", sesstest.Swap, 503, "Service Unavailable"},
			{"/wrapped", sesstest.Swap, 503, "Service Unavailable"},
			{"/reserved", "", 500, "Internal Server Error"},
			{"/ended", "", 401, "Unauthorized"},
		} {
			if _, ok := s.(*plain); ok && c.path == "/ended" {
				continue // A handler of plain fasthttp returns no error.
			}
			if c.op != "" {
				faulty.Fail(c.op, sesstest.Always)
			}
			if b.want(c.path, c.status, c.body).setsCookie() {
				t.Errorf("%s with a failing %s: got a cookie, want none", c.path, c.op)
			}
			faulty.Heal()
		}
		b.want("/count", 200, "2")
	})
}

// The middleware inside of the session's that asks for the answer itself is a logger, or an ErrorHandler of the
// application's own.
func TestFiberV3KnowsTheStatusOfEveryErrorWhereverItLooks(t *testing.T) {
	refused := []struct {
		err  error
		want int
	}{
		{&sess.Error{Op: "load", Err: errors.New("refused")}, 503},
		{&sess.Error{Op: "save", Err: sess.ErrEnded}, 401},
		{&sess.Error{Op: "save", Err: sess.ErrTooLarge}, 500},
		{fmt.Errorf("wrapped: %w", &sess.Error{Op: "load", Err: errors.New("refused")}), 503},
		{csrf.ErrOrigin, 403},
		{csrf.ErrToken, 403},
	}
	for _, c := range refused {
		if e, ok := errors.AsType[*fiber3.Error](c.err); !ok || e.Code != c.want {
			t.Errorf("%+v as an error of Fiber v3: got %v, want the status %d", c.err, e, c.want)
		}
		if e, ok := errors.AsType[*fiber2.Error](c.err); !ok || e.Code != c.want {
			t.Errorf("%+v as an error of Fiber v2: got %v, want the status %d", c.err, e, c.want)
		}
		app := fiber3.New()
		app.Use(func(c fiber3.Ctx) error {
			if err := c.Next(); err != nil {
				return c.App().ErrorHandler(c, err)
			}
			return nil
		})
		app.Get("/", func(fiber3.Ctx) error { return c.err })
		newBrowser(t, listen(t, app.Handler())).want("/", c.want, c.err.Error())
	}
}

func TestAPanicThatPassesThroughSavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		s.recovering()
		s.sessions(newManager(t, sess.Config{}))
		withLogins(s)
		s.get("/panic", func(v visit) error {
			sess.Set(v.session(), "n", 100)
			panic("on purpose")
		})
		b := newBrowser(t, listen(t, s.serve()))
		b.want("/count", 200, "1")
		if b.want("/panic", 500, "on purpose").setsCookie() {
			t.Error("a panic that passes through: got a cookie, want none")
		}
		b.want("/count", 200, "2")
	})
}

func TestAPanicRecoveredInsideIsAnErrorLikeAnyOther(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		s.sessions(newManager(t, sess.Config{}))
		s.recovering()
		withLogins(s)
		s.get("/panic", func(v visit) error {
			sess.Set(v.session(), "n", 100)
			panic("on purpose")
		})
		b := newBrowser(t, listen(t, s.serve()))
		if !b.want("/panic", 500, "on purpose").setsCookie() {
			t.Error("a panic recovered inside: got no cookie, want one")
		}
		b.want("/count", 200, "101")
	})
}

func TestAMountedAppSharesTheSession(t *testing.T) {
	onNested(t, func(t *testing.T, s nested) {
		m := newManager(t, sess.Config{})
		inner := s.empty()
		inner.sessions(m) // Registered a second time: it does nothing.
		inner.get("/count", count)
		inner.get("/fail", func(v visit) error { _ = count(v); return v.error(418) })
		s.sessions(m)
		s.get("/count", count)
		s.mount("/inner", inner)
		b := newBrowser(t, listen(t, s.serve()))
		b.want("/count", 200, "1")
		if got := b.want("/inner/count", 200, "2").header.Values("Set-Cookie"); len(got) != 2 {
			t.Errorf("a mounted app that has the middleware too: got %d Set-Cookie lines, want 2", len(got))
		}
		b.want("/inner/fail", 418, "I'm a teapot")
		b.want("/count", 200, "4")
		if got := m.Stats().Created; got != 1 {
			t.Errorf("sessions made: got %d, want 1", got)
		}
	})
}

func TestAMountedAppMayHaveTheSessionsAlone(t *testing.T) {
	onNested(t, func(t *testing.T, s nested) {
		inner := s.empty()
		inner.sessions(newManager(t, sess.Config{}))
		inner.get("/count", count)
		s.mount("/inner", inner)
		s.get("/outside", func(v visit) error {
			if err := v.session().Err(); !errors.Is(err, sess.ErrReleased) {
				t.Errorf("outside of the mounted app: got %v, want ErrReleased", err)
			}
			return nil
		})
		b := newBrowser(t, listen(t, s.serve()))
		b.want("/inner/count", 200, "1")
		b.want("/inner/count", 200, "2")
		b.want("/outside", 200, "")
	})
}

func TestAGroupHasSessionsOfItsOwn(t *testing.T) {
	onNested(t, func(t *testing.T, s nested) {
		shop, admin := newManager(t, sess.Config{}), newManager(t, sess.Config{Cookie: sess.Cookie{Name: "admin", Path: "/admin"}})
		s.group("/shop", shop).get("/count", count)
		s.group("/admin", admin).get("/count", count)
		s.get("/none", func(v visit) error {
			if v.session().Exists() {
				t.Error("outside of the groups: got a session, want none")
			}
			return nil
		})
		b := newBrowser(t, listen(t, s.serve()))
		b.want("/shop/count", 200, "1")
		b.want("/admin/count", 200, "1")
		b.want("/shop/count", 200, "2")
		b.want("/none", 200, "")
		b.want("/admin/count", 200, "2")
	})
}

func TestARestartedRoutingIsOneRequest(t *testing.T) {
	onNested(t, func(t *testing.T, s nested) {
		m := newManager(t, sess.Config{})
		s.sessions(m)
		s.get("/old", func(v visit) error {
			_ = count(v)
			v.path("/count")
			return v.restart()
		})
		withLogins(s)
		b := newBrowser(t, listen(t, s.serve()))
		if got := b.want("/old", 200, "2").header.Values("Set-Cookie"); len(got) != 2 {
			t.Errorf("a restarted routing: got %d Set-Cookie lines, want 2", len(got))
		}
		b.want("/count", 200, "3")
		if got := m.Stats().Created; got != 1 {
			t.Errorf("sessions made: got %d, want 1", got)
		}
	})
}

func TestNextSkipsTheMiddleware(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		store := sesstest.NewFaulty(sess.NewMemoryStore())
		s.sessions(newManager(t, sess.Config{Store: store.Store(), Next: func(ctx *fasthttp.RequestCtx) bool { return string(ctx.Path()) == "/health" }}))
		withLogins(s)
		s.get("/health", func(v visit) error {
			if err := v.session().Err(); !errors.Is(err, sess.ErrReleased) {
				t.Errorf("a skipped request: got %v, want ErrReleased", err)
			}
			return nil
		})
		b := newBrowser(t, listen(t, s.serve()))
		b.want("/count", 200, "1")
		before := store.Calls(sesstest.Get)
		b.want("/health", 200, "")
		if got := store.Calls(sesstest.Get) - before; got != 0 {
			t.Errorf("a skipped request: got %d reads, want 0", got)
		}
		b.want("/count", 200, "2")
	})
}

func TestABodyStreamHasTheSession(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		s.sessions(newManager(t, sess.Config{}))
		withLogins(s)
		kept := make(chan sess.Session, 1)
		s.get("/stream", func(v visit) error {
			session := v.session()
			v.ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
				user, _ := session.User()
				_, _ = w.WriteString(strings.Repeat(user, 1000))
				kept <- session
			})
			return nil
		})
		b := newBrowser(t, listen(t, s.serve()))
		b.want("/login?user=ann", 200, "")
		b.want("/stream", 200, strings.Repeat("ann", 1000))
		session := <-kept
		b.want("/user", 200, "ann") // The stream's request is over when its connection has the next one.
		if err := session.Err(); !errors.Is(err, sess.ErrReleased) {
			t.Errorf("the handle of a stream that has ended: got %v, want ErrReleased", err)
		}
	})
}

// An event stream of this kind is what Fiber v3's SendStreamWriter, and v2's SetBodyStreamWriter, are for.
func TestAnEventStreamHearsOfTheLogout(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		s.sessions(newManager(t, sess.Config{}))
		withLogins(s)
		s.get("/events", func(v visit) error {
			live, err := v.session().Detach(v.ctx)
			if err != nil {
				return err
			}
			v.ctx.SetContentType("text/event-stream")
			v.ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
				defer live.Close()
				_, _ = w.WriteString("data: hello\n\n")
				_ = w.Flush()
				<-live.Done()
				fmt.Fprintf(w, "data: %v\n\n", errors.Is(context.Cause(live.Context()), sess.ErrEnded))
			})
			return nil
		})
		base := listen(t, s.serve())
		b := newBrowser(t, base)
		b.want("/login?user=ann", 200, "")
		res, err := b.http.Get(base + "/events")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		events := bufio.NewReader(res.Body)
		if line, err := events.ReadString('\n'); line != "data: hello\n" {
			t.Fatalf("the first event: got %q and %v, want hello", line, err)
		}
		b.want("/logout", 200, "")
		rest, err := io.ReadAll(events)
		if !strings.Contains(string(rest), "data: true") {
			t.Errorf("the event behind a logout: got %q and %v, want that the session has ended", rest, err)
		}
	})
}

// What takes over a connection is, in each framework, a WebSocket: the libraries call Hijack as this does.
func TestAWebSocketHasTheSessionOfItsHandshakeAndHearsOfTheLogout(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		s.sessions(newManager(t, sess.Config{}))
		withLogins(s)
		kept := make(chan sess.Session, 1)
		s.get("/socket", func(v visit) error {
			session := v.session()
			live, err := session.Detach(v.ctx)
			if err != nil {
				return err
			}
			v.ctx.SetStatusCode(fasthttp.StatusSwitchingProtocols)
			v.ctx.Hijack(func(conn net.Conn) {
				defer live.Close()
				user, _ := session.User()
				fmt.Fprintln(conn, "hello", user)
				<-live.Done()
				user, _ = session.User() // The handle shows what the handshake found.
				fmt.Fprintln(conn, "ended for", user)
				kept <- session
			})
			return nil
		})
		b := newBrowser(t, listen(t, s.serve()))
		b.want("/login?user=ann", 200, "")
		_, r := b.upgrade("/socket")
		if line, err := r.ReadString('\n'); line != "hello ann\n" {
			t.Fatalf("the socket: got %q and %v, want hello ann", line, err)
		}
		b.want("/user", 200, "ann")
		b.want("/logout", 200, "")
		if line, err := r.ReadString('\n'); line != "ended for ann\n" {
			t.Errorf("the socket behind a logout: got %q and %v, want that it ended for ann", line, err)
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("behind the end of the socket: got %v, want EOF", err)
		}
		session := <-kept
		eventually(t, "the handle of a socket that is closed is inert", func() bool { return errors.Is(session.Err(), sess.ErrReleased) })
	})
}

// eventually waits for what fasthttp does some time after the client has seen the end.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for start := time.Now(); !is(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatalf("%s: got nothing in 5s", what)
		}
	}
}

func TestATimedOutHandlerReachesNobodyAndTheAnswerHasTheCookie(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		s.sessions(newManager(t, sess.Config{}))
		s.use(func(v visit) error {
			if string(v.ctx.Path()) == "/slow" {
				sess.Set(v.session(), "slow", true)
			}
			return v.next()
		})
		withLogins(s)
		reached, proceed, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
		s.getWithin(10*time.Millisecond, "/slow", func(v visit) error {
			defer close(over)
			session := v.session()
			sess.Set(session, "n", 1)
			close(reached)
			<-proceed
			sess.Set(session, "n", 100)
			session.Destroy()
			return nil
		})
		base := listen(t, s.serve())
		ann, bob := newBrowser(t, base), newBrowser(t, base)
		bob.http.Transport = ann.http.Transport // One connection.
		ann.want("/login?user=ann", 200, "")
		bob.want("/login?user=bob", 200, "")
		if got := ann.get("/slow"); got.status != 408 || !got.setsCookie() {
			t.Errorf("a handler that takes too long: got %d, with a cookie %v; want 408 with one", got.status, got.setsCookie())
		}
		<-reached
		bob.want("/user", 200, "bob")
		close(proceed)
		<-over
		ann.want("/user", 200, "ann")
		bob.want("/user", 200, "bob")
		bob.want("/count", 200, "1")
	})
}

func TestTheDeadlineOfTheRequestsContextBoundsTheLoad(t *testing.T) {
	onNested(t, func(t *testing.T, s nested) { // Plain fasthttp has no such context.
		faulty := sesstest.NewFaulty(sess.NewMemoryStore())
		s.use(func(v visit) error {
			if string(v.ctx.Path()) == "/user" {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
				defer cancel()
				v.bound(ctx)
			}
			return v.next()
		})
		s.sessions(newManager(t, sess.Config{Store: faulty.Store(), StoreTimeout: time.Minute}))
		withLogins(s)
		b := newBrowser(t, listen(t, s.serve()))
		b.want("/count", 200, "1")
		faulty.Hang(sesstest.Get, 1)
		start := time.Now()
		b.want("/user", 503, "Service Unavailable")
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("a load that hangs: got an answer after %v, want one at the deadline, 10ms", took)
		}
	})
}

func TestSecureGoesByTrustedProxiesOnly(t *testing.T) {
	for _, f := range frameworks {
		for _, c := range []struct {
			proxy, forwarded string
			want             bool
		}{
			{"", "", false},
			{"", "https", false}, // Anybody could say so.
			{"192.0.2.1", "https", false},
			{"127.0.0.1", "http", false},
			{"127.0.0.1", "", false},
			{"127.0.0.1", "https", f.name != "Wrap"}, // Plain fasthttp knows of no proxies.
		} {
			s := f.open(c.proxy)
			s.sessions(newManager(t, sess.Config{}))
			withLogins(s)
			b := newBrowser(t, listen(t, s.serve()))
			if c.forwarded != "" {
				b.head.Set("X-Forwarded-Proto", c.forwarded)
			}
			lines := strings.ToLower(strings.Join(b.get("/count").header.Values("Set-Cookie"), "\n"))
			if got := strings.Contains(lines, "; secure"); got != c.want {
				t.Errorf("%s, trusting %q, which says %q: got Secure %v, want %v", f.name, c.proxy, c.forwarded, got, c.want)
			}
		}
	}
}

func TestStrictAndRequireLoginAskTheStoreAndSayWhatIsMissing(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		store := &refreshing{MemoryStore: sess.NewMemoryStore()}
		s.sessions(newManager(t, sess.Config{Store: store}))
		withLogins(s)
		s.strict("/strict", whoami)
		s.forUsers(0, "/users", whoami)
		s.forUsers(time.Nanosecond, "/again", whoami)
		b := newBrowser(t, listen(t, s.serve()))
		b.want("/strict", 200, "")
		b.want("/users", 401, "Unauthorized")
		b.want("/login?user=ann", 200, "")
		b.want("/strict", 200, "ann")
		b.want("/users", 200, "ann")
		b.want("/again", 403, "Forbidden")
		store.fails.Store(true)
		b.want("/user", 200, "ann")
		b.want("/strict", 503, "Service Unavailable")
		b.want("/users", 503, "Service Unavailable")
	})
}

// Who forgets the middleware must not find guarded routes open, and must be told apart from a visitor.
func TestWhereNoSessionMiddlewareRunsEveryGuardRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		if p, ok := s.(*plain); ok {
			p.m = newManager(t, sess.Config{}) // It has RequireLogin, and wraps nothing.
		}
		s.strict("/strict", whoami)
		s.forUsers(0, "/users", whoami)
		s.get("/flashes", func(v visit) error {
			sess.AddFlash(v.session(), "lost")
			if _, err := sess.Flashes[string](v.session()); !errors.Is(err, sess.ErrReleased) {
				t.Errorf("Flashes: got %+v, want ErrReleased", err)
			}
			if err := v.session().Err(); !errors.Is(err, sess.ErrReleased) {
				t.Errorf("Err: got %+v, want ErrReleased", err)
			}
			return nil
		})
		b := newBrowser(t, listen(t, s.serve()))
		b.want("/strict", 500, "Internal Server Error")
		b.want("/users", 500, "Internal Server Error")
		b.want("/flashes", 200, "")
	})
}

func TestWhereNoSessionMiddlewareRunsCSRFWithTokensRefuses(t *testing.T) {
	app2, app3 := fiber2.New(fiber2.Config{DisableStartupMessage: true}), fiber3.New()
	app2.Use(csrf2.New(csrf2.Config{Token: true}))
	app3.Use(csrf.New(csrf.Config{Token: true}))
	for name, handler := range map[string]fasthttp.RequestHandler{"Fiber v2": app2.Handler(), "Fiber v3": app3.Handler()} {
		t.Run(name, func(t *testing.T) {
			newBrowser(t, listen(t, handler)).wantPost("/form", 500, "Internal Server Error")
		})
	}
}

// An ErrorHandler of Fiber v3 finds both the reason and the error of its own framework.
func TestWhatRequireLoginRefusesIsToldApartOnFiberV3(t *testing.T) {
	var got error
	app := fiber3.New(fiber3.Config{ErrorHandler: func(c fiber3.Ctx, err error) error {
		got = err
		return fiber3.DefaultErrorHandler(c, err)
	}})
	app.Use(sess.New())
	app.Get("/in", func(c fiber3.Ctx) error { sess.From(c).Login("ann"); return nil })
	app.Get("/any", sess.RequireLogin(0), func(fiber3.Ctx) error { return nil })
	app.Get("/fresh", sess.RequireLogin(time.Nanosecond), func(fiber3.Ctx) error { return nil })
	b := newBrowser(t, listen(t, app.Handler()))
	want := func(path string, sentinel error, status int, body string) {
		t.Helper()
		got = nil
		b.want(path, status, body)
		if fe, ok := errors.AsType[*fiber3.Error](got); !errors.Is(got, sentinel) || !ok || fe.Code != status {
			t.Errorf("%s: got the error %+v, want %v, and Fiber's of %d", path, got, sentinel, status)
		}
	}
	want("/any", sess.ErrLoginRequired, 401, "Unauthorized")
	b.get("/in")
	time.Sleep(time.Millisecond)
	want("/fresh", sess.ErrLoginTooOld, 403, "Forbidden")
}

// refreshing is a store that reads from memory, and may fail where it is asked to look past that.
type refreshing struct {
	*sess.MemoryStore
	fails atomic.Bool
}

func (r *refreshing) Refresh(ctx context.Context, id sess.ID) (*sess.Record, error) {
	if r.fails.Load() {
		return nil, sesstest.ErrInjected
	}
	return r.Get(ctx, id)
}

func TestCSRFRefusesOtherSitesAndTakesTokens(t *testing.T) {
	for name, handler := range map[string]fasthttp.RequestHandler{
		"Fiber v2": func() fasthttp.RequestHandler {
			app := fiber2.New()
			app.Use(newManager(t, sess.Config{}).Handle, csrf2.New(csrf2.Config{Token: true}))
			app.Get("/form", func(c *fiber2.Ctx) error { return c.SendString(csrf2.Token(c)) })
			app.Post("/form", func(c *fiber2.Ctx) error { return c.SendString("posted") })
			return app.Handler()
		}(),
		"Fiber v3": func() fasthttp.RequestHandler {
			app := fiber3.New()
			app.Use((&sess.Manager{Manager: newManager(t, sess.Config{})}).Handle, csrf.New(csrf.Config{Token: true}))
			app.Get("/form", func(c fiber3.Ctx) error { return c.SendString(csrf.Token(c)) })
			app.Post("/form", func(c fiber3.Ctx) error { return c.SendString("posted") })
			return app.Handler()
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, listen(t, handler))
			token := b.get("/form").body
			refused := []answer{b.wantPost("/form", 403, csrf.ErrToken.Error())}
			b.head.Set(csrf.HeaderName, token)
			b.wantPost("/form", 200, "posted")
			b.head.Set("Sec-Fetch-Site", "cross-site")
			refused = append(refused, b.wantPost("/form", 403, csrf.ErrOrigin.Error()))
			for _, r := range refused {
				if got := r.header.Get("Cache-Control"); got != "no-store" {
					t.Errorf("%q: got Cache-Control %q, want no-store", r.body, got)
				}
			}
		})
	}
}
