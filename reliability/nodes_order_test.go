package reliability

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/fibersess/sess/sesstest"
	"github.com/gofiber/fiber/v2"
)

// pair is a site of two nodes on one Redis, each with its store behind a gate, so that a test says whose store call
// comes next.
type pair struct {
	redis *redistest.Server
	nodes [2]*node
	gates [2]*sesstest.Gate
	audit *node // takes any id, without a signature, and asks the server
	users *browser
}

// startPair starts a site with these handlers beside those that every test needs. shape, if not nil, changes the Config
// of both nodes.
func startPair(t *testing.T, shape func(*sess.Config), handlers routes) *pair {
	t.Helper()
	p := &pair{redis: redistest.Start(t), users: newBrowser(t)}
	for i := range p.nodes {
		p.nodes[i] = startNode(t, at(p.redis.Addr), sess.RueidisConfig{}, func(c *sess.Config) {
			c.StoreTimeout = time.Minute // calls wait at the gate
			if shape != nil {
				shape(c)
			}
			p.gates[i], c.Store = gate(c.Store.(*sess.RueidisStore))
		}, handlers.add)
	}
	p.audit = startNode(t, at(p.redis.Addr), sess.RueidisConfig{NoNearCache: true}, func(c *sess.Config) {
		c.Keys, c.Cookie.DangerouslyUnsigned = nil, true
	}, routes(nil).add)
	return p
}

// gate puts a gate before store. Peek passes: it comes first in a request, so the request's begin says when it happens.
func gate(store *sess.RueidisStore) (*sesstest.Gate, sess.Store) {
	g := sesstest.NewGate(store)
	s := g.Store()
	return g, struct {
		sess.Store
		sess.Swapper
		sess.Refresher
		sess.Watcher
		sess.Peeker
	}{s, s.(sess.Swapper), s.(sess.Refresher), s.(sess.Watcher), store}
}

// routes are the handlers of an app, each by its path without the slash.
type routes map[string]func(c *fiber.Ctx, s sess.Session) error

// add is what startNode wants.
func (r routes) add(app *fiber.App) {
	for name, handler := range r {
		app.Get("/"+name, func(c *fiber.Ctx) error { return handler(c, sess.From(c)) })
	}
	app.Get("/login", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "user", "ann")
		return nil
	})
	app.Get("/logout", func(c *fiber.Ctx) error {
		sess.From(c).Destroy()
		return nil
	})
	user := func(c *fiber.Ctx) error {
		user, _ := sess.Get[string](sess.From(c), "user")
		return c.SendString(user)
	}
	app.Get("/user", user)
	app.Get("/strict/user", sess.Strict, user)
	app.Get("/exists", func(c *fiber.Ctx) error {
		if sess.From(c).Exists() {
			return c.SendString("true")
		}
		return c.SendString("false")
	})
}

// acts are what a request can do with a session that another request ends.
var acts = routes{
	"set": func(_ *fiber.Ctx, s sess.Session) error {
		sess.Set(s, "late", true)
		return nil
	},
	"update": func(_ *fiber.Ctx, s sess.Session) error {
		sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
		return nil
	},
	"take": func(_ *fiber.Ctx, s sess.Session) error {
		_, _, err := sess.Take[string](s, "user")
		return err
	},
	"touch": func(*fiber.Ctx, sess.Session) error { return nil },
	"clear": func(_ *fiber.Ctx, s sess.Session) error {
		s.Clear()
		return nil
	},
	"setcookie": func(_ *fiber.Ctx, s sess.Session) error {
		cookie := s.Cookie()
		cookie.MaxAge = time.Hour
		return s.SetCookie(cookie)
	},
	"forcesave": func(_ *fiber.Ctx, s sess.Session) error {
		s.ForceSave()
		return nil
	},
	"save": func(_ *fiber.Ctx, s sess.Session) error {
		sess.Set(s, "late", true)
		return s.Save()
	},
	"regenerate": func(_ *fiber.Ctx, s sess.Session) error {
		s.Regenerate()
		return nil
	},
}

// rolling makes every request write.
func rolling(c *sess.Config) { c.TTL, c.Rolling, c.RollingAlways = time.Hour, true, true }

// ask is get for answers that have to be 200, on any goroutine.
func ask(t testing.TB, b *browser, n *node, path string) answer {
	t.Helper()
	r, err := b.get(n, path)
	told := r.status == http.StatusUnauthorized && (path == "/save" || path == "/take") // ErrEnded: it came too late.
	if err != nil || r.status != http.StatusOK && !told {
		t.Errorf("%s: got (%d %s, %v), want 200, or 401 of an act that asks whether its session lives", path, r.status, r.body, err)
	}
	return r
}

// wantBody checks what n answers b.
func wantBody(t testing.TB, what string, b *browser, n *node, path, want string) {
	t.Helper()
	if got := ask(t, b, n, path).body; got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// wantNoCookie checks that the answer leaves the browser's cookies alone.
func wantNoCookie(t testing.TB, what string, a answer) {
	t.Helper()
	if got := len(a.header.Values("Set-Cookie")); got != 0 {
		t.Errorf("%s: got %d Set-Cookie lines, want none", what, got)
	}
}

// stored returns the ids that Redis keeps something under.
func (p *pair) stored(t testing.TB) (ids []sess.ID) {
	t.Helper()
	for _, key := range p.redis.Do("KEYS", "koa:sess:*").([]any) {
		if id, err := sess.ParseID(strings.TrimPrefix(key.(string), "koa:sess:")); err == nil { // a self-test's key holds none
			ids = append(ids, id)
		}
	}
	return ids
}

// clean removes all sessions, each by itself: FLUSHALL would also end the leases of the near caches.
func (p *pair) clean(t testing.TB) {
	t.Helper()
	for _, id := range p.stored(t) {
		p.redis.Do("DEL", "koa:sess:"+id.Value())
	}
}

// holding returns a browser that presents id to the auditor.
func (p *pair) holding(id string) *browser {
	b := p.users.another()
	b.jar["koa.sid"] = id
	return b
}

// wantLive checks how many sessions there are on the server, and returns their ids.
func (p *pair) wantLive(t testing.TB, want int) (live []string) {
	t.Helper()
	for _, id := range p.stored(t) {
		if ask(t, p.holding(id.Value()), p.audit, "/exists").body == "true" {
			live = append(live, id.Value())
		}
	}
	if len(live) != want {
		t.Errorf("live sessions: got %d, want %d", len(live), want)
	}
	return live
}

// warm lets both nodes hold the session of b in their near caches.
func (p *pair) warm(t testing.TB, b *browser) {
	t.Helper()
	for _, n := range p.nodes {
		warm(t, n, b)
	}
}

// warm lets n hold the session of b in its near cache.
func warm(t testing.TB, n *node, b *browser) {
	t.Helper()
	id, err := sess.ParseID(b.id())
	if err != nil {
		t.Fatalf("the id of a browser: got the error %v, want none", err)
	}
	eventually(t, "the node has the session in its near cache", func() bool {
		if _, ok := n.store.Peek(id, time.Now()); ok {
			return true
		}
		if _, err := n.store.Get(t.Context(), id); err != nil {
			t.Fatalf("Get: got the error %v, want none", err)
		}
		return false
	})
}

// everyOrder runs test with every order in which the store calls of two requests can follow each other, the first one at
// the first node and the second at the second. ann has logged in, at either node. It does so with the session in neither
// near cache, and again with it in both.
func (p *pair) everyOrder(t *testing.T, test func(t *testing.T, ann *browser, run func(a, b func()))) {
	t.Helper()
	orders := 0
	for _, warm := range []bool{false, true} {
		var plan []int
		for more := true; more; plan, more = nextOrder(plan) {
			ann := p.users.another()
			ann.must(t, p.nodes[orders%2], "/login")
			if warm {
				p.warm(t, ann)
			}
			test(t, ann, func(a, b func()) { plan = p.takeTurns(plan, a, b) })
			if t.Failed() {
				t.Fatalf("near caches warm: %v; the order of the store calls was %v, where the choice was free", warm, plan)
			}
			p.clean(t)
			orders++
		}
	}
	report(t, "%s: %d orders of store calls", t.Name(), orders)
}

// nextOrder returns the order after this one, and false if it was the last.
func nextOrder(order []int) ([]int, bool) {
	for i := len(order) - 1; i >= 0; i-- {
		if order[i] == 0 {
			return append(order[:i:i], 1), true
		}
	}
	return nil, false
}

// takeTurns runs two requests, one at each node, of which one moves at a time: from where it waits before a store call,
// or from its begin, until it waits before the next or is through. While both have a way to go, plan says which one
// moves, and after plan's end the first. It returns the choices it made.
func (p *pair) takeTurns(plan []int, a, b func()) (made []int) {
	one, other := &lane{gate: p.gates[0], request: a}, &lane{gate: p.gates[1], request: b}
	for !one.over || !other.over {
		next := one
		switch {
		case one.over:
			next = other
		case !other.over:
			choice := 0
			if len(made) < len(plan) {
				choice = plan[len(made)]
			}
			made = append(made, choice)
			next = []*lane{one, other}[choice]
		}
		next.move()
	}
	return made
}

// lane is a request on its way through the gate of its node.
type lane struct {
	gate    *sesstest.Gate
	request func()
	waits   *sesstest.Stop // nil: it has not begun
	done    chan struct{}
	over    bool
}

// move lets the request go on until it waits before its next store call or is through.
func (l *lane) move() {
	next := l.gate.Before(sesstest.Any, 1)
	if l.waits == nil {
		l.done = make(chan struct{})
		go func() {
			defer close(l.done)
			l.request()
		}()
	} else {
		l.waits.Release()
	}
	l.waits = next
	select {
	case <-next.Reached:
	case <-l.done:
		l.over = true
		next.Release()
	}
}

// pause is a point where one goroutine waits for another.
type pause struct{ reached, proceed chan struct{} }

func newPause() *pause { return &pause{make(chan struct{}), make(chan struct{})} }

// wait says that the point is reached and waits until proceed is closed.
func (p *pause) wait() {
	close(p.reached)
	<-p.proceed
}
