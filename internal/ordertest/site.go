// Package ordertest runs a few requests on real stores in an order of their store calls that the test chooses, and checks
// what the design promises of sessions that belong to users. The orders are those that break a promise where one of the
// protocol's rules is missing.
package ordertest

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/sesstest"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Stores are those of a site's nodes, one for each node. The requests of an order go to the nodes in turn.
type Stores struct {
	Nodes []sess.Store

	// FitsUser reports whether an id is to be made for a session, in an order whose first user is user. nil: any is.
	FitsUser func(user, id string) bool
}

// Run runs every order.
func Run(t *testing.T, stores Stores) {
	for i, o := range orders {
		t.Run(strings.ReplaceAll(o.name, " ", "_"), func(t *testing.T) {
			w := newWorld(t, stores, o, i)
			w.run()
			o.want(w)
			w.wantListed("ann", "bob")
		})
	}
}

// order is what some requests do at once.
type order struct {
	name     string // the promise
	rule     string // of the model: what keeps it
	from     string // whose the session A is: "", anonymous, ann or bob. It holds "old"
	max      int    // MaxPerUser; 0: the default
	requests string // what each of 1, 2, 3 does, and in brackets with which cookie: A, or what an earlier one has got
	steps    string // "1 Swap": 1 goes on until it has done its next Swap; "1": until it has answered
	want     func(w *world)
}

const (
	orderKey = "the key of the orders of requests"
	cookie   = "koa.sid"
)

// world is one order on its way.
type world struct {
	*testing.T
	order order
	row   int
	nodes []*node
	jars  map[string]map[string]string // of A and of each request that was answered
	reply map[string]answer
	lanes map[string]*lane

	mu  sync.Mutex
	ids []string // of all sessions that were made
}

type node struct {
	store   fork
	manager *sess.Manager
	handler fasthttp.RequestHandler
}

type answer struct {
	status int
	body   string
	cookie bool // it sets one, or expires it
}

func newWorld(t *testing.T, stores Stores, o order, row int) *world {
	w := &world{T: t, order: o, row: row, jars: map[string]map[string]string{}, reply: map[string]answer{}, lanes: map[string]*lane{}}
	for _, s := range stores.Nodes {
		inner, ok := s.(fullStore)
		if !ok {
			inner = uncached{s.(bareStore)}
		}
		n := &node{store: newFork(inner)}
		m, err := sess.NewManager(sess.Config{
			Store: n.store, Keys: sess.Keys(orderKey), MaxPerUser: o.max, StoreTimeout: time.Minute,
			GenerateID: func(*fasthttp.RequestCtx) (string, error) { return w.newID(stores.FitsUser), nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		n.manager, n.handler = m, w.app(m).Handler()
		w.nodes = append(w.nodes, n)
	}
	switch jar := map[string]string{}; o.from {
	case "":
	case "anonymous":
		w.ask(w.nodes[0], w.open(w.nodes[0]), jar, "/save?key=old")
		w.jars["A"] = jar
	default:
		w.ask(w.nodes[0], w.open(w.nodes[0]), jar, "/login?key=old&user="+w.user(o.from))
		w.jars["A"] = jar
	}
	time.Sleep(2 * time.Millisecond) // Logins are told apart by the millisecond.
	return w
}

// user is the name of ann or bob in this order: each order has users of its own.
func (w *world) user(name string) string { return fmt.Sprint(name, w.row) }

func (w *world) newID(fits func(user, id string) bool) string {
	for {
		id := rand.Text()
		if fits == nil || fits(w.user("ann"), id) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ids = append(w.ids, id)
			return id
		}
	}
}

// app has a path for each thing that a request can do.
func (w *world) app(m *sess.Manager) *fiber.App {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(func(c *fiber.Ctx) error {
		c.SetUserContext(context.WithValue(context.Background(), laneKey{}, c.Context().UserValue(laneKey{})))
		return c.Next()
	}, m.Handle)
	for name, act := range acts {
		app.Get("/"+name, func(c *fiber.Ctx) error {
			c.Context().UserValue(laneKey{}).(*lane).wait()
			return act(c, m, sess.From(c), c.Query("user"))
		})
	}
	return app
}

var acts = map[string]func(c *fiber.Ctx, m *sess.Manager, s sess.Session, user string) error{
	"save": func(c *fiber.Ctx, _ *sess.Manager, s sess.Session, _ string) error {
		user, _ := s.User()
		sess.Set(s, c.Query("key"), "by "+user)
		return nil
	},
	"renew":  func(_ *fiber.Ctx, _ *sess.Manager, s sess.Session, _ string) error { s.Regenerate(); return nil },
	"logout": func(_ *fiber.Ctx, _ *sess.Manager, s sess.Session, _ string) error { s.Destroy(); return nil },
	"login":  logIn,
	"stepup": func(c *fiber.Ctx, m *sess.Manager, s sess.Session, user string) error {
		if has, _ := s.User(); has != user {
			return fiber.ErrForbidden
		}
		return logIn(c, m, s, user)
	},
	"endall": func(c *fiber.Ctx, m *sess.Manager, _ sess.Session, user string) error {
		_, err := m.User(user).EndAll(c.UserContext())
		return err
	},
	"others": func(c *fiber.Ctx, m *sess.Manager, s sess.Session, user string) error {
		_, err := m.User(user).EndOthers(c.UserContext(), s)
		return err
	},
	"password": func(c *fiber.Ctx, m *sess.Manager, s sess.Session, user string) error {
		if _, err := m.User(user).EndAll(c.UserContext(), s); err != nil {
			return err
		}
		return logIn(c, m, s, user)
	},
	"list": func(c *fiber.Ctx, m *sess.Manager, _ sess.Session, user string) (err error) {
		for _, err = range m.User(user).Sessions(c.UserContext()) {
			if err != nil {
				return err
			}
		}
		return nil
	},
	"who": func(c *fiber.Ctx, _ *sess.Manager, s sess.Session, _ string) error {
		_ = s.Refresh() // Past caches: what has ended has no user.
		user, _ := s.User()
		return c.SendString(user + " " + strings.Join(s.Keys(), " "))
	},
}

func logIn(c *fiber.Ctx, _ *sess.Manager, s sess.Session, user string) error {
	s.Login(user)
	sess.Set(s, c.Query("key"), "by "+user)
	return nil
}

func (w *world) open(n *node) *lane { return newLane(w, "", n.store.inner, true) }

// ask sends a request and keeps the cookies of its answer in jar.
func (w *world) ask(n *node, l *lane, jar map[string]string, path string) answer {
	var ctx fasthttp.RequestCtx
	ctx.SetUserValue(laneKey{}, l)
	ctx.Request.SetRequestURI(path)
	for name, value := range jar {
		ctx.Request.Header.SetCookie(name, value)
	}
	n.handler(&ctx)
	a := answer{status: ctx.Response.StatusCode(), body: string(ctx.Response.Body())}
	for name, line := range ctx.Response.Header.Cookies() {
		a.cookie = true
		value, _, _ := strings.Cut(strings.TrimPrefix(string(line), string(name)+"="), ";")
		if jar[string(name)] = value; value == "" {
			delete(jar, string(name))
		}
	}
	ctx.ResetUserValues()
	return a
}

// run takes the steps.
func (w *world) run() {
	w.Helper()
	for _, step := range strings.Split(w.order.steps, ", ") {
		name, rest, _ := strings.Cut(step, " ")
		l := w.lane(name)
		op, lost := strings.CutSuffix(rest, " lost")
		switch {
		case rest == "dies":
			l.die()
		case lost:
			l.lose(sesstest.Op(op))
		default:
			l.until(sesstest.Op(op))
		}
		switch op {
		case string(sesstest.Admit):
			time.Sleep(2 * time.Millisecond)
		case string(sesstest.Mark): // A script's time is that of the server's last turn, which a busy machine makes late.
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// lane returns that of request 1, 2 or 3, and begins the request if this is its first step.
func (w *world) lane(name string) *lane {
	w.Helper()
	if l := w.lanes[name]; l != nil {
		return l
	}
	i := int(name[0] - '1')
	n := w.nodes[i%len(w.nodes)]
	l := newLane(w, name, n.store.inner, false)
	w.lanes[name] = l
	act, of, _ := strings.Cut(strings.TrimSuffix(strings.Split(w.order.requests, ", ")[i], ")"), "(")
	user := "ann"
	if act == "bob" {
		act, user = "login", "bob"
	}
	jar := maps.Clone(w.jars[of])
	if jar == nil {
		jar = map[string]string{}
	}
	go func() {
		defer close(l.answered)
		a := w.ask(n, l, jar, fmt.Sprintf("/%s?key=w%s&user=%s", act, name, w.user(user)))
		w.mu.Lock()
		defer w.mu.Unlock()
		w.jars[name], w.reply[name] = jar, a
	}()
	return l
}

// who asks for the user and the keys of the session of a cookie.
func (w *world) who(jar map[string]string) (user, keys string) {
	n := w.nodes[len(w.nodes)-1]
	user, keys, _ = strings.Cut(w.ask(n, w.open(n), maps.Clone(jar), "/who").body, " ")
	return strings.TrimSuffix(user, fmt.Sprint(w.row)), keys
}

// answered checks the status of a request.
func (w *world) answered(request string, status int) {
	w.Helper()
	if got := w.reply[request].status; got != status {
		w.Errorf("the answer to %s: got %d, want %d", request, got, status)
	}
}

// holds checks who is logged in with the cookie that a request has got.
func (w *world) holds(request, user string) {
	w.Helper()
	if got, _ := w.who(w.jars[request]); got != user {
		w.Errorf("the user of the cookie that %s holds: got %q, want %q", request, got, user)
	}
}

// has checks whether the session of the cookie that a request has got has a key.
func (w *world) has(request, key string, want bool) {
	w.Helper()
	if _, keys := w.who(w.jars[request]); strings.Contains(" "+keys+" ", " "+key+" ") != want {
		w.Errorf("%s in the session of the cookie that %s holds: got %v, want %v", key, request, !want, want)
	}
}

// untouched checks that the answer to a request sets no cookie and expires none.
func (w *world) untouched(request string) {
	w.Helper()
	if w.reply[request].cookie {
		w.Errorf("the answer to %s: got a cookie, want none", request)
	}
}

// same checks that two requests have got the same session.
func (w *world) same(a, b string) {
	w.Helper()
	if w.jars[a][cookie] != w.jars[b][cookie] {
		w.Errorf("the cookies of %s and %s: got two ids, want one", a, b)
	}
}

// sessions checks how many sessions a user has.
func (w *world) sessions(user string, want int) {
	w.Helper()
	if got := w.listed(user); got != want {
		w.Errorf("sessions of %s: got %d, want %d", user, got, want)
	}
}

func (w *world) listed(user string) (n int) {
	w.Helper()
	at := w.nodes[0]
	for _, err := range at.manager.User(w.user(user)).Sessions(w.context(at)) {
		if err != nil {
			w.Fatalf("Sessions: got the error %+v, want none", err)
		}
		n++
	}
	return n
}

func (w *world) context(n *node) context.Context {
	return context.WithValue(w.Context(), laneKey{}, w.open(n))
}

// wantListed checks that the sessions which live are those that are listed, and that none lives behind EndAll.
func (w *world) wantListed(users ...string) {
	w.Helper()
	for _, user := range users {
		if got, want := w.listed(user), w.living(user); got != want {
			w.Errorf("sessions of %s that are listed: got %d, want all %d that live", user, got, want)
		}
		if _, err := w.nodes[0].manager.User(w.user(user)).EndAll(w.context(w.nodes[0])); err != nil {
			w.Fatalf("EndAll: got the error %+v, want none", err)
		}
		if got := w.living(user); got != 0 {
			w.Errorf("sessions of %s that live behind EndAll: got %d, want none", user, got)
		}
	}
}

// living counts the ids, of all that were made, that let a user in.
func (w *world) living(user string) (n int) {
	for _, id := range w.ids {
		mac := hmac.New(sha256.New, []byte(orderKey))
		mac.Write([]byte(cookie + "=" + id))
		jar := map[string]string{cookie: id, cookie + ".sig": base64.RawURLEncoding.EncodeToString(mac.Sum(nil))}
		if got, _ := w.who(jar); got == user {
			n++
		}
	}
	return n
}
