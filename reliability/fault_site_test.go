package reliability

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"runtime"
	"slices"
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
		}, routes)
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

// routes are what users ask for. A page of a session shows its user, its counter and a text of about 250 bytes.
func routes(app *fiber.App) {
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

// faultTime is SESS_FAULT_SECONDS, by default one and a half.
func faultTime(t testing.TB) time.Duration {
	text := os.Getenv("SESS_FAULT_SECONDS")
	if text == "" {
		return 1500 * time.Millisecond
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

// request is what is kept of one.
type request struct {
	path   string
	node   int
	start  time.Time
	took   time.Duration
	status int
}

func (r request) end() time.Time { return r.start.Add(r.took) }

// answers keeps the failed and the slow requests, and how many there were.
type answers struct {
	wrongs atomic.Int64
	mu     sync.Mutex
	count  int
	noted  []request
}

// slow is from what on an answer is kept.
const slow = storeTimeout / 4

func (as *answers) add(r request) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.count++
	if r.status == http.StatusServiceUnavailable || r.took > slow {
		as.noted = append(as.noted, r)
	}
}

// lateness is by how much a timer beside the requests was late: what the machine, not the store, adds to an answer.
type lateness struct{ max atomic.Int64 }

func (l *lateness) measure(done chan struct{}) {
	const tick = 2 * time.Millisecond
	for {
		start := time.Now()
		select {
		case <-done:
			return
		case <-time.After(tick):
			l.max.Store(max(l.max.Load(), int64(time.Since(start)-tick)))
		}
	}
}

// footing is what a process holds when nobody asks.
type footing struct {
	goroutines int
	heap       uint64 // live bytes
}

func stand() footing {
	runtime.GC()
	runtime.GC() // the first one empties the pools into their victims
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footing{runtime.NumGoroutine(), m.HeapAlloc}
}

// regains waits until the process stands as before.
func (s *site) regains(before footing) footing {
	const goroutines, heap = 8, 4 << 20
	for _, n := range s.nodes {
		eventually(s.t, "no command is in flight", func() bool { return n.store.Stats().InFlight == 0 })
	}
	now := stand()
	for deadline := time.Now().Add(5 * time.Second); now.goroutines > before.goroutines+goroutines && time.Now().Before(deadline); now = stand() {
		time.Sleep(50 * time.Millisecond)
	}
	if now.goroutines > before.goroutines+goroutines {
		s.t.Errorf("goroutines after the fault: got %d, want at most %d more than the %d before", now.goroutines, goroutines, before.goroutines)
	}
	if now.heap > before.heap+heap {
		s.t.Errorf("live heap after the fault: got %d bytes, want at most %d more than the %d before", now.heap, heap, before.heap)
	}
	return now
}

// judge checks when requests failed and how long they took, and reports.
func (s *site) judge(before, after footing) {
	began, ended, late := s.began.time(), s.ended.time(), time.Duration(s.late.max.Load())
	var failed int
	var slowest, slowestUnder, lastError time.Duration
	lastError = math.MinInt64
	for _, r := range s.answers.noted {
		slowest = max(slowest, r.took)
		if !r.start.Before(began) && !r.end().After(ended) {
			slowestUnder = max(slowestUnder, r.took)
		}
		if r.status != http.StatusServiceUnavailable {
			continue
		}
		failed++
		path, _, _ := strings.Cut(r.path, "?")
		lastError = max(lastError, r.end().Sub(ended))
		switch {
		case r.end().Before(began):
			s.wrong("%s: got 503 before the fault, want none", path)
		case r.end().After(ended.Add(recovery + late)):
			s.wrong("%s: got 503 %v after the end of the fault, want none after %v", path, r.end().Sub(ended), recovery)
		case !s.fault.mayFail(r):
			s.wrong("%s on node %d: got 503, want that it works under this fault", path, r.node)
		}
	}
	if limit := 2*storeTimeout + slack + late; slowest > limit {
		s.t.Errorf("slowest answer: got %v, want at most %v (2 × %v + %v, and %v by which timers were late)", slowest, limit, storeTimeout, slack, late)
	}
	if limit := storeTimeout + slack + late; slowestUnder > limit && !s.fault.slowly {
		s.t.Errorf("slowest answer to a request that began under the fault: got %v, want at most %v (%v + %v, and %v by which timers were late)",
			slowestUnder, limit, storeTimeout, slack, late)
	}
	if failed == 0 && s.fault.fails {
		s.t.Error("got no 503 at all: this test has shown nothing")
	}
	last := "none"
	if failed > 0 {
		last = lastError.Round(time.Millisecond).String()
	}
	report(s.t, "%d requests, %d answered 503, the last one %s after the end of the fault of %v; slowest %v, under the fault %v, timers late by %v; "+
		"goroutines %d → %d, live heap %+d KiB%s", s.answers.count, failed, last, ended.Sub(began).Round(time.Millisecond),
		short(slowest), short(slowestUnder), late.Round(time.Millisecond), before.goroutines, after.goroutines,
		(int64(after.heap)-int64(before.heap))/1024, s.costs())
}

// short says that nothing was slow enough to be kept.
func short(d time.Duration) string {
	if d == 0 {
		return fmt.Sprintf("below %v", slow)
	}
	return d.Round(time.Millisecond).String()
}

// losses are what the fault took from users: sessions, acknowledged increments, and ends of sessions.
func (s *site) losses() (gone, lost, back int) {
	for _, u := range s.users {
		gone, lost, back = gone+u.gone, lost+u.lost, back+u.back
	}
	return gone, lost, back
}

// costs says the same.
func (s *site) costs() (text string) {
	gone, lost, back := s.losses()
	for _, c := range []struct {
		n    int
		what string
	}{{gone, "sessions gone"}, {lost, "acknowledged increments lost (of sessions that stayed)"}, {back, "answers of ended sessions that were back"}} {
		if c.n > 0 {
			text += fmt.Sprintf("; %d %s", c.n, c.what)
		}
	}
	return text
}

// keepsSecrets checks the texts of the store's errors.
func (s *site) keepsSecrets() {
	var texts []string
	for text := range s.texts.Range {
		texts = append(texts, text.(string))
		for _, u := range s.users {
			ids := []string{u.name, u.browser.id()}
			for _, g := range u.graves {
				ids = append(ids, g.browser.id())
			}
			if slices.ContainsFunc(ids, func(id string) bool { return id != "" && strings.Contains(text.(string), id) }) {
				s.wrong("got an error whose text quotes an id or a record, want none")
			}
		}
	}
	if len(texts) > 0 {
		slices.Sort(texts)
		s.t.Logf("errors of the store: %q", texts)
	}
}
