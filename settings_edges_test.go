package sess_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/sesstest"
)

// What browsers send and what handlers are told is the same on every store, by cookie and by header, loaded early or late,
// beside Koa, in Fiber and in fasthttp. Where a store or Koa cannot have it so, the test says what happens instead.
func TestTheEdgesAreTheSameInEverySetting(t *testing.T) {
	inEverySetting(t, map[string]func(h *house){
		"a dead cookie does not hide the live one":          deadCookies,
		"a late answer sends no retired id":                 lateAnswers,
		"a new id is sent whatever happens":                 newIDs,
		"a double click on login is one session":            doubleClick,
		"of two renewals one wins":                          twoRenewals,
		"two managers of one cookie are one session":        twoManagers,
		"a logout of what is gone takes the cookie":         logoutOfNothing,
		"behind a timeout the cookie is in what is sent":    behindATimeout,
		"a Transport may look at the session":               lookingTransports,
		"a handle is dead once its session has ended":       deadHandles,
		"a logout comes before what fails behind it":        logoutFirst,
		"a logout follows renewals":                         logoutBehindRenewals,
		"End follows renewals, Open and Value read":         endByID,
		"a failing store is logged":                         failuresAreLogged,
		"a Set that failed can be taken back":               takenBack,
		"GenerateID gets the request":                       generateID,
		"a Close that is late ends nobody's request":        lateClose,
		"a Rolling that is always sends a cookie each time": rollingAlways,
		"Remember gives a session a life of its own":        remembered,
		"beside Koa the cookie has any name that it sends":  koaNames,
	})
}

func deadCookies(h *house) {
	if h.config.Transport != nil { // A client has one header.
		return
	}
	const newKey = "a newer key than the client's own!"
	faulty := sesstest.NewFaulty(h.here)
	first, n := h.node(), h.node(func(c *sess.Config) {
		c.Store, c.Lifetime = faulty.Store(), time.Hour
		c.Keys = sess.Keys(newKey, clientKey)
	})
	for _, c := range []struct {
		name   string
		kill   func(dead *visitor)
		status int
		user   string
	}{
		{"unknown", func(dead *visitor) { dead.carried = h.carry("the.store.never.heard.of.it") }, 200, "ann"},
		{"logged out", func(dead *visitor) { dead.twin().visit(first, destroy) }, 200, "ann"},
		{"ended", func(dead *visitor) { h.put(dead.id(), `{"user":"dead","$":{"c":1}}`) }, 200, "ann"},
		{"corrupt", func(*visitor) { faulty.Corrupt(sesstest.Get, 1) }, 200, "ann"},
		{"too large", func(dead *visitor) {
			h.put(dead.id(), `{"user":"dead","x":"`+strings.Repeat("x", 64<<10)+`"}`)
		}, 200, "ann"},
		{"renewed", func(dead *visitor) { dead.twin().visit(first, regenerate) }, 200, map[bool]string{true: "", false: "ann"}[h.tombstones()]},
		{"a failing store", func(*visitor) { faulty.Fail(sesstest.Get, 1) }, 503, ""},
	} {
		dead, live := h.begin(first, "dead"), h.begin(first, "ann")
		c.kill(dead)
		both := &visitor{h, dead.carried + "; " + live.carried}
		user := ""
		a := both.visit(n, func(_ *fasthttp.RequestCtx, s sess.Session) error {
			user, _ = sess.Get[string](s, "user")
			return nil
		})
		if a.want(h, c.name, c.status, c.user != "", false); user != c.user {
			h.Errorf("%s: got the user %q, want %q", c.name, user, c.user)
		}
		if a.sent != "" && both.id() != live.id() {
			h.Errorf("%s: signed anew: got another id, want the live one's", c.name)
		}
		faulty.Heal()
		both.carried = dead.carried + "; " + live.carried
		both.visit(n, destroy).want(h, c.name+": the logout", 200, false, true)
		live.wantUser(c.name+": the live session after the logout", h.elsewhere(), "")
	}
	many := make([]string, 1000)
	for i := range many {
		many[i] = h.carry("an.id.of.nobody." + time.Duration(i).String())
	}
	before := faulty.Calls(sesstest.Any)
	(&visitor{h, strings.Join(many, "; ")}).visit(n, func(_ *fasthttp.RequestCtx, s sess.Session) error { s.Keys(); return nil })
	if got := faulty.Calls(sesstest.Any) - before; got != 4 {
		h.Errorf("calls of the store for a thousand ids: got %d, want 4", got)
	}
}

// put keeps a record as another process would.
func (h *house) put(id, json string) {
	h.Helper()
	r, err := sess.ParseRecord(json)
	if err == nil {
		err = h.here.Set(h.Context(), parseID(h, id), r, time.Hour)
	}
	if err != nil {
		h.Fatal(err)
	}
}

func lateAnswers(h *house) {
	n, elsewhere := h.node(), h.elsewhere()
	rotated := h.node(func(c *sess.Config) { c.Keys = sess.Keys("a newer key than the client's own!", clientKey) })
	for name, end := range map[string]act{
		"a renewal": regenerate,
		"a login":   func(_ *fasthttp.RequestCtx, s sess.Session) error { s.Login("ann"); return nil },
		"a logout":  destroy,
	} {
		for _, early := range []bool{true, false} {
			v := h.begin(n, "ann")
			other, server := v.twin(), n
			if !early {
				server = rotated
			}
			v.visit(server, func(_ *fasthttp.RequestCtx, s sess.Session) error {
				if s.Keys(); early {
					sess.Set(s, "n", 1)
					if err := s.Save(); err != nil {
						return err
					}
				}
				other.visit(elsewhere, end)
				return nil
			}).want(h, "an answer behind "+name, 200, false, false)
			if name != "a logout" {
				other.wantUser("the session behind "+name, n, "ann")
			}
		}
	}
	v := h.begin(n, "ann")
	v.visit(rotated, func(_ *fasthttp.RequestCtx, s sess.Session) error { s.Keys(); return nil }).want(h, "a session that stands", 200, true, false)
}

// newIDs has the store fail behind the save that makes the session.
func newIDs(h *house) {
	for name, begin := range map[string]act{"new": touchNothing, "renewed": regenerate} {
		faulty := sesstest.NewFaulty(h.here)
		n := h.node(func(c *sess.Config) { c.Store = faulty.Store() })
		v := h.visitor()
		if name == "renewed" {
			v = h.begin(h.node(), "ann")
		}
		v.visit(n, func(ctx *fasthttp.RequestCtx, s sess.Session) error {
			sess.Set(s, "user", "ann")
			if err := begin(ctx, s); err != nil {
				return err
			}
			if err := s.Save(); err != nil {
				return err
			}
			faulty.Fail(sesstest.Any, sesstest.Always)
			return nil
		}).want(h, name, 200, true, false)
		faulty.Heal()
		v.wantUser(name, n, "ann")
	}
}

// doubleClick has two requests load the same session before either of them logs in.
func doubleClick(h *house) {
	n, elsewhere := h.node(), h.elsewhere()
	v := h.begin(n, "cart")
	second := v.twin()
	logIn := func(_ *fasthttp.RequestCtx, s sess.Session) error {
		s.Keys()
		s.Login("ann")
		sess.Set(s, "user", "ann")
		return nil
	}
	v.visit(n, func(ctx *fasthttp.RequestCtx, s sess.Session) error {
		s.Keys()
		second.visit(elsewhere, logIn).want(h, "the first that commits", 200, true, false)
		return logIn(ctx, s)
	}).want(h, "the second that commits", 200, true, false)
	v.wantUser("the one window", n, "ann")
	second.wantUser("the other window", n, "ann")
	if one := v.id() == second.id(); one != h.tombstones() {
		h.Errorf("one session for both: got %v, want %v", one, h.tombstones())
	}
}

func twoRenewals(h *house) {
	n, elsewhere := h.node(), h.elsewhere()
	v := h.begin(n, "ann")
	other := v.twin()
	var told error
	a := v.visit(n, func(_ *fasthttp.RequestCtx, s sess.Session) error {
		s.Keys()
		other.visit(elsewhere, regenerate)
		s.Regenerate()
		told = s.Save()
		return nil
	})
	other.wantUser("the renewal that won", n, "ann")
	if h.last { // Nothing compares: both have a session.
		h.wantError("the other renewal", told, nil)
		v.wantUser("the other renewal", n, "ann")
		return
	}
	h.wantError("the renewal that lost", told, sess.ErrEnded)
	a.want(h, "the renewal that lost", 200, false, false)
}

func twoManagers(h *house) {
	outer, inner := h.manager(), h.manager()
	n := &node{h, outer, h.serve(outer, inner)}
	v := h.visitor()
	for want := 1; want <= 3; want++ {
		got := 0
		a := v.visit(n, func(ctx *fasthttp.RequestCtx, _ sess.Session) error {
			sess.Update(inner.FromRequest(ctx), "n", func(old int, _ bool) int { got = old + 1; return got })
			return nil
		})
		if a.want(h, "the count", 200, true, false); got != want {
			h.Errorf("the count: got %d, want %d", got, want)
		}
	}
	if got := strings.Count(h.log.String(), "two managers of one cookie name"); got != 1 {
		h.Errorf("lines in the log: got %d, want 1", got)
	}
}

func logoutOfNothing(h *house) {
	n := h.node()
	v := h.visitor()
	v.carried = h.carry("the.store.never.heard.of.it")
	v.visit(n, destroy).want(h, "an id that the store does not know", 200, false, true)
	v = h.begin(n, "ann")
	v.twin().visit(n, destroy)
	v.visit(n, destroy).want(h, "a session that was logged out before", 200, false, true)
	h.visitor().visit(n, destroy).want(h, "a client that carries nothing", 200, false, false)
}

func behindATimeout(h *house) {
	n := h.node()
	v := h.visitor()
	v.visit(n, func(ctx *fasthttp.RequestCtx, s sess.Session) error {
		sess.Set(s, "user", "ann")
		if err := s.Save(); err != nil {
			return err
		}
		ctx.TimeoutError("too late")
		return nil
	}).want(h, "the answer of the timeout", 408, true, false)
	v.wantUser("the session that it tells of", n, "ann")
}

func lookingTransports(h *house) {
	if h.config.Koa { // It reads cookies.
		return
	}
	var seen []string
	n := h.node(func(c *sess.Config) {
		c.Transport = lookingTransport{sess.HeaderTransport(headerName), func(s string) { seen = append(seen, s) }}
	})
	h.config.Transport = sess.HeaderTransport(headerName)
	v := h.begin(n, "ann")
	v.visit(n, destroy).want(h, "the logout", 200, false, true)
	if got := strings.Join(seen, " "); got != "ann false" {
		h.Errorf("seen: got %q, want %q", got, "ann false")
	}
}

// deadHandles ends a session elsewhere while a request has it, which hears of it by Save, Take or Refresh.
func deadHandles(h *house) {
	n, elsewhere := h.node(), h.elsewhere()
	for ending, end := range map[string]act{"a logout": destroy, "a renewal": regenerate} {
		for way, tell := range map[string]func(s sess.Session) error{
			"Save":    func(s sess.Session) error { sess.Set(s, "paid", true); return s.Save() },
			"Take":    func(s sess.Session) error { _, _, err := sess.Take[string](s, "user"); return err },
			"Refresh": func(s sess.Session) error { return s.Refresh() },
		} {
			what := way + " behind " + ending
			v := h.begin(n, "ann")
			other := v.twin()
			a := v.visit(n, func(_ *fasthttp.RequestCtx, s sess.Session) error {
				user, _ := sess.Get[string](s, "user")
				other.visit(elsewhere, end)
				err := tell(s)
				switch {
				case h.last && way == "Take":
					h.wantError(what, err, sess.ErrUnsupported)
					return nil
				case h.last && way == "Save": // Nothing compares: it comes back.
					h.wantError(what, err, nil)
					return nil
				}
				h.wantError(what, err, sess.ErrEnded)
				if _, ok := sess.Get[string](s, "user"); ok || s.Exists() || !s.ID().IsZero() || len(s.Keys()) > 0 {
					h.Errorf("%s: the handle shows a session, want a dead one", what)
				}
				sess.Set(s, "user", user)
				h.wantError(what+", then Set and Save", s.Save(), sess.ErrEnded)
				h.wantError(what+", then Err", s.Err(), sess.ErrEnded)
				return s.Err()
			})
			if h.last && way != "Refresh" {
				v.wantUser(what, n, map[string]string{"Save": "ann", "Take": ""}[way])
				continue
			}
			a.want(h, what, 401, false, false)
			v.wantUser(what+", the old id", n, "")
			if ending == "a renewal" {
				other.wantUser(what, n, "ann")
			}
		}
	}
}

func logoutFirst(h *house) {
	flash := set("flash", "bye")
	for name, c := range map[string]struct {
		hook   func(*fasthttp.RequestCtx, sess.Session) error
		behind act
		status int
	}{
		"a BeforeSave that fails":    {func(*fasthttp.RequestCtx, sess.Session) error { return errors.New("no") }, flash, 500},
		"a BeforeSave that discards": {func(_ *fasthttp.RequestCtx, s sess.Session) error { s.Discard(); return nil }, flash, 200},
		"a reserved key":             {nil, set("cookie", 1), 500},
		"a channel":                  {nil, set("c", make(chan int)), 500},
		"an error of the handler":    {nil, func(*fasthttp.RequestCtx, sess.Session) error { return errors.New("no") }, 500},
	} {
		n := h.node(func(config *sess.Config) { config.BeforeSave = c.hook })
		v := h.begin(h.node(), "ann")
		kept := v.twin()
		v.visit(n, func(ctx *fasthttp.RequestCtx, s sess.Session) error {
			s.Destroy()
			return c.behind(ctx, s)
		}).want(h, name, c.status, false, true)
		kept.wantUser(name, n, "")
	}
}

func logoutBehindRenewals(h *house) {
	n, elsewhere := h.node(), h.elsewhere()
	v := h.begin(n, "ann")
	old := v.twin()
	for range 17 {
		v.visit(n, regenerate)
	}
	old.visit(elsewhere, destroy).want(h, "the logout with the first id", 200, false, true)
	want := ""
	if !h.tombstones() { // Nothing tells where the session has gone.
		want = "ann"
	}
	v.wantUser("the session behind 17 renewals", n, want)
}

func endByID(h *house) {
	n, elsewhere := h.node(), h.elsewhere()
	v := h.begin(n, "ann")
	old := parseID(h, v.id())
	v.visit(n, regenerate)
	r, err := h.here.Get(h.Context(), old)
	if h.tombstones() {
		if err != nil || r.IsSession() {
			h.Errorf("what stands under the old id: got the error %v, want a record that is no session", err)
		}
		if _, err := n.m.Open(h.Context(), old); !errors.Is(err, sess.ErrRenewed) {
			h.Errorf("Open of the old id: got %v, want ErrRenewed", err)
		}
	} else {
		h.wantError("Get of the old id", err, sess.ErrNotFound)
	}
	now := parseID(h, v.id())
	live, err := n.m.Open(h.Context(), now)
	h.wantError("Open", err, nil)
	live.Close()
	if r, err = h.here.Get(h.Context(), now); err != nil || !r.IsSession() {
		h.Errorf("what stands under the new id: got the error %v, want a session", err)
	}
	if user, _ := sess.Value[string](r, "user"); user != "ann" {
		h.Errorf("Value: got %q, want ann", user)
	}
	h.wantError("End of the old id", elsewhere.m.End(h.Context(), old), nil)
	want := map[bool]string{true: "", false: "ann"}[h.tombstones()]
	v.wantUser("behind End of the old id", n, want)
	h.wantError("End of the new id", elsewhere.m.End(h.Context(), now), nil)
	v.wantUser("behind End of the new id", n, "")
}

func failuresAreLogged(h *house) {
	faulty := sesstest.NewFaulty(h.here)
	n := h.node(func(c *sess.Config) { c.Store = faulty.Store() })
	v := h.begin(n, "ann")
	faulty.Fail(sesstest.Any, sesstest.Always)
	for range 5 {
		v.visit(n, set("n", 1)).want(h, "a failing store", 503, false, false)
	}
	if got := strings.Count(h.log.String(), "the store failed"); got < 1 || got > 2 {
		h.Errorf("lines in the log: got %d, want one a second", got)
	}
	if strings.Contains(h.log.String(), v.id()) {
		h.Error("the log tells an id")
	}
}

func takenBack(h *house) {
	n := h.node()
	v := h.begin(n, "ann")
	for name, back := range map[string]func(s sess.Session){
		"written": func(s sess.Session) { sess.Set(s, "c", 1) },
		"deleted": func(s sess.Session) { s.Delete("c") },
		"cleared": func(s sess.Session) { s.Clear(); sess.Set(s, "user", "ann") },
	} {
		a := v.visit(n, func(_ *fasthttp.RequestCtx, s sess.Session) error {
			sess.Set(s, "c", make(chan int))
			if s.Err() == nil {
				h.Error("Err of a channel: got nil, want an error")
			}
			sess.Set(s, "n", name)
			back(s)
			return s.Save()
		})
		if a.status != 200 {
			h.Errorf("%s: got %d, want 200", name, a.status)
		}
	}
	v.wantUser("the session", n, "ann")
}

func generateID(h *house) {
	n := h.node(func(c *sess.Config) {
		c.GenerateID = func(ctx *fasthttp.RequestCtx) (string, error) {
			return string(ctx.Host()) + "." + h.freshID(), nil
		}
	})
	n.handler = func(inner fasthttp.RequestHandler) fasthttp.RequestHandler {
		return func(ctx *fasthttp.RequestCtx) { ctx.Request.Header.SetHost("shard7"); inner(ctx) }
	}(n.handler)
	if v := h.begin(n, "ann"); !strings.HasPrefix(v.id(), "shard7.") {
		h.Error("the id: got one without the shard, want the request's host in it")
	}
}

// freshID is text that no other test uses as an id.
func (h *house) freshID() string {
	return strings.ReplaceAll(time.Now().Format("150405.000000000"), ".", "-")
}

// lateClose copies the user values of one request into another one, which is reset while a third runs.
func lateClose(h *house) {
	n := h.node()
	for range 20 {
		var copied fasthttp.RequestCtx
		h.visitor().visit(n, func(ctx *fasthttp.RequestCtx, s sess.Session) error {
			sess.Set(s, "user", "ann")
			ctx.VisitUserValuesAll(func(k, v any) { copied.SetUserValue(k, v) })
			return nil
		})
		v := h.visitor()
		v.visit(n, func(_ *fasthttp.RequestCtx, s sess.Session) error {
			sess.Set(s, "user", "bob")
			copied.ResetUserValues()
			return nil
		}).want(h, "a request beside the late Close", 200, true, false)
		v.wantUser("a request beside the late Close", n, "bob")
	}
}

func rollingAlways(h *house) {
	n := h.node(func(c *sess.Config) {
		c.Rolling, c.RollingAlways, c.Cookie.MaxAge = true, true, time.Hour
	})
	v := h.begin(n, "ann")
	for range 20 { // Some fall into the millisecond of the one before.
		v.visit(n, func(_ *fasthttp.RequestCtx, s sess.Session) error { s.Keys(); return nil }).want(h, "a read", 200, true, false)
	}
}

func remembered(h *house) {
	n := h.node(func(c *sess.Config) { c.TTL = 30 * time.Minute })
	v := h.begin(n, "ann")
	v.visit(n, func(_ *fasthttp.RequestCtx, s sess.Session) error {
		if s.SetCookie(sess.Cookie{MaxAge: time.Hour}) == nil {
			h.Error("SetCookie of an hour: got no error, want one")
		}
		return s.Remember(30 * day)
	})
	v.visit(n, func(_ *fasthttp.RequestCtx, s sess.Session) error {
		if left := time.Until(s.Expires()); !h.config.Koa && left < 29*day {
			h.Errorf("Expires: got in %v, want in 30 days", left)
		}
		return nil
	})
}

func koaNames(h *house) {
	for _, name := range []string{"koss:test_sid", "app:sid", "sess[id]", "a/b"} {
		config := h.config
		config.Store, config.Keys, config.Cookie.Name = h.here, sess.Keys(clientKey), name
		if ok := config.Validate() == nil; ok != h.config.Koa {
			h.Errorf("%s: got it taken %v, want %v", name, ok, h.config.Koa)
		}
		if h.config.Koa {
			n := h.node(func(c *sess.Config) { c.Cookie.Name = name })
			h.begin(n, "ann").wantUser(name, n, "ann")
		}
	}
}
