package reliability

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/gofiber/fiber/v2"
	"github.com/redis/rueidis"
)

const (
	// storeTimeout is generous, so that the machine's own noise is small beside it.
	storeTimeout = 500 * time.Millisecond

	// maxStale is the default of RueidisConfig.MaxStale.
	maxStale = time.Second

	// slack is what an answer may take beside the store's deadlines.
	slack = 50 * time.Millisecond

	// recovery is how long after the end of a fault a request may still be answered 503.
	recovery = time.Second

	users = 12
	pace  = 4 * time.Millisecond // between two requests of a user
)

// site is two nodes on one Redis, its users, and what they were answered.
type site struct {
	t       testing.TB
	fault   *fault
	nodes   [2]*node
	server  *redistest.Server   // nil on a cluster
	proxies [2]*redistest.Proxy // between each node and the server, if there are any
	cluster *redistest.Cluster  // nil elsewhere
	pair    *redistest.Sentinel // nil elsewhere
	users   []*user
	began   instant // of the fault
	kept    instant // what was acknowledged before it must survive, also where the server goes back in time
	ended   instant // of the fault
	late    lateness
	answers answers
	texts   sync.Map // the texts of store errors
}

// instant is a point in time that is set once, while others look.
type instant struct{ at atomic.Pointer[time.Time] }

func (i *instant) now() { t := time.Now(); i.at.Store(&t) }

// passed reports whether the instant is set and lies before t.
func (i *instant) passed(t time.Time) bool { at := i.at.Load(); return at != nil && at.Before(t) }

func (i *instant) time() time.Time { return *i.at.Load() }

// newSite starts a node on each option. The second one loads its sessions on first use.
func newSite(t testing.TB, options ...rueidis.ClientOption) *site {
	s := &site{t: t}
	for i, option := range options {
		s.nodes[i] = startNode(t, option, sess.RueidisConfig{}, func(c *sess.Config) {
			c.StoreTimeout = storeTimeout
			c.Defer = i == 1
			c.Hooks.StoreError = func(e sess.Event) { s.texts.Store(e.Err.Error(), e.Err) }
		}, userRoutes)
	}
	for i := range users {
		s.users = append(s.users, &user{site: s, name: fmt.Sprintf("user-%d", i), home: i % 2, browser: newBrowser(t), window: newBrowser(t)})
	}
	return s
}

// direct is a site whose nodes are connected to one server with the given arguments.
func direct(args ...string) func(testing.TB) *site {
	return func(t testing.TB) *site {
		server := redistest.Start(t, args...)
		s := newSite(t, at(server.Addr), at(server.Addr))
		s.server = server
		return s
	}
}

// proxied is a site whose nodes each reach the server through a proxy.
func proxied(t testing.TB) *site {
	server := redistest.Start(t)
	proxies := [2]*redistest.Proxy{redistest.NewProxy(t, server.Addr), redistest.NewProxy(t, server.Addr)}
	s := newSite(t, at(proxies[0].Addr), at(proxies[1].Addr))
	s.server, s.proxies = server, proxies
	return s
}

// clustered is a site on a cluster of three masters with a replica each.
func clustered(t testing.TB) *site {
	cluster := redistest.StartCluster(t, 3, 1)
	s := newSite(t, at(cluster.Addrs()...), at(cluster.Addrs()...))
	s.cluster = cluster
	return s
}

// supervised is a site on a master that a Sentinel watches.
func supervised(t testing.TB) *site {
	pair := redistest.StartSentinel(t)
	option := rueidis.ClientOption{InitAddress: []string{pair.Addr}, Sentinel: rueidis.SentinelOption{MasterSet: redistest.MasterName}}
	s := newSite(t, option, option)
	s.server, s.pair = pair.Master, pair
	return s
}

// userRoutes are what users ask for. A page of a session shows its user, its counter and a text of about 250 bytes.
func userRoutes(app *fiber.App) {
	show := func(c *fiber.Ctx, s sess.Session) error {
		name, ok := sess.Get[string](s, "user")
		if !ok {
			return c.SendStatus(http.StatusUnauthorized)
		}
		hits, _ := sess.Get[int](s, "hits")
		text, _ := sess.Get[string](s, "text")
		return c.SendString(fmt.Sprintf("%s %d %s", name, hits, text))
	}
	app.Get("/login", func(c *fiber.Ctx) error {
		s, name := sess.From(c), c.Query("user")
		s.Clear()
		s.Regenerate()
		sess.Set(s, "user", name)
		sess.Set(s, "hits", 0)
		sess.Set(s, "text", textOf(name))
		return nil
	})
	app.Get("/read", func(c *fiber.Ctx) error { return show(c, sess.From(c)) })
	app.Get("/hit", func(c *fiber.Ctx) error {
		s := sess.From(c)
		if s.Has("user") {
			defer sess.Update(s, "hits", func(n int, _ bool) int { return n + 1 })
		}
		return show(c, s)
	})
	app.Get("/renew", func(c *fiber.Ctx) error {
		s := sess.From(c)
		if s.Has("user") {
			s.Regenerate()
		}
		return show(c, s)
	})
	app.Get("/logout", func(c *fiber.Ctx) error { sess.From(c).Destroy(); return nil })
}

func textOf(name string) string { return strings.Repeat(name+".", 36) }

// lasts waits for as long as a fault lasts.
func (s *site) lasts() { time.Sleep(faultTime(s.t)) }

// faultTime is SESS_FAULT_SECONDS, by default one: as long as a load and a commit together may wait.
func faultTime(t testing.TB) time.Duration {
	text := os.Getenv("SESS_FAULT_SECONDS")
	if text == "" {
		return 2 * storeTimeout
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n <= 0 {
		t.Fatalf("SESS_FAULT_SECONDS: got %q, want a positive number", text)
	}
	return time.Duration(n * float64(time.Second))
}

// load lets all users ask until the returned function is called, which waits for the answers under way.
func (s *site) load() (stop func()) {
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { s.late.measure(done) })
	for _, u := range s.users {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(pace):
					u.step()
				}
			}
		})
	}
	return sync.OnceFunc(func() { close(done); all.Wait() })
}

// each calls f for all users at once.
func (s *site) each(f func(u *user)) {
	var all sync.WaitGroup
	for _, u := range s.users {
		all.Go(func() { f(u) })
	}
	all.Wait()
}

// ask sends a request of a browser's to a node, checks what holds for all answers, and notes it.
func (s *site) ask(b *browser, n int, path string) answer {
	before := b.twin().jar
	start := time.Now()
	a, err := b.get(s.nodes[n], path)
	if err != nil {
		s.wrong("%s: got the error %v, want an answer", path, err)
		return answer{}
	}
	s.answers.add(request{path: path, node: n, start: start, took: a.took, status: a.status})
	path, _, _ = strings.Cut(path, "?")
	switch a.status {
	case http.StatusOK, http.StatusUnauthorized:
	case http.StatusServiceUnavailable:
		if a.body != "Service Unavailable" {
			s.wrong("%s: got the body %q with 503, want Service Unavailable", path, a.body)
		}
	default:
		s.wrong("%s: got the status %d, want 200, 401 or 503", path, a.status)
	}
	if got := a.header.Values("Set-Cookie"); len(got) > 0 && (a.status != http.StatusOK || path == "/read") {
		s.wrong("%s answered %d: got a Set-Cookie header, want none", path, a.status)
	}
	switch changes := a.status == http.StatusOK && path != "/read" && path != "/hit"; {
	case !changes && !maps.Equal(b.jar, before):
		s.wrong("%s answered %d: got other cookies in the jar than before, want them unchanged", path, a.status)
	case changes && path != "/logout" && b.id() == "" && before["koa.sid"] != "":
		s.wrong("%s: got the cookie expired, want it kept or replaced", path)
	}
	return a
}

// wrong fails the test, in few words where much is wrong.
func (s *site) wrong(format string, args ...any) {
	s.t.Helper()
	if n := s.answers.wrongs.Add(1); n <= 12 {
		s.t.Errorf(format, args...)
	}
}
