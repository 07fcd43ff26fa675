package reliability

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/gofiber/fiber/v2"
)

// versions are routes that write and read a number.
var versions = routes{
	"set": func(c *fiber.Ctx, s sess.Session) error {
		sess.Set(s, "v", c.QueryInt("v"))
		return nil
	},
	"v": func(c *fiber.Ctx, s sess.Session) error {
		v, _ := sess.Get[int](s, "v")
		return c.SendString(fmt.Sprint(v))
	},
	"refreshed/v": func(c *fiber.Ctx, s sess.Session) error {
		sess.Get[int](s, "v") // The cached one is in hand.
		if err := s.Refresh(); err != nil {
			return err
		}
		v, _ := sess.Get[int](s, "v")
		return c.SendString(fmt.Sprint(v))
	},
}

// addVersions also has the route that a strict handler protects.
func addVersions(app *fiber.App) {
	versions.add(app)
	app.Get("/strict/v", sess.Strict, func(c *fiber.Ctx) error { return versions["v"](c, sess.From(c)) })
}

// ages are for how long answers were old.
type ages []time.Duration

func (a ages) String() string {
	if len(a) == 0 {
		return "none"
	}
	slices.Sort(a)
	at := func(share float64) time.Duration {
		return a[min(len(a)-1, int(share*float64(len(a))))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("p50 %v, p99 %v, max %v", at(.5), at(.99), a[len(a)-1].Round(10*time.Microsecond))
}

func TestTheOtherNodeReadsAWriteWithinMaxStale(t *testing.T) {
	for _, c := range []struct {
		maxStale time.Duration
		rounds   int
	}{{100 * time.Millisecond, 300}, {time.Second, 1000}} {
		t.Run(c.maxStale.String(), func(t *testing.T) {
			redis := redistest.Start(t)
			a := startNode(t, at(redis.Addr), sess.RueidisConfig{MaxStale: c.maxStale}, nil, addVersions)
			b := startNode(t, at(redis.Addr), sess.RueidisConfig{MaxStale: c.maxStale}, nil, addVersions)
			ann := newBrowser(t)
			ann.must(t, a, "/set?v=0")
			var stale ages
			for v := 1; v <= c.rounds; v++ {
				warm(t, b, ann)
				ann.must(t, a, fmt.Sprintf("/set?v=%d", v))
				written := time.Now()
				age := time.Duration(0)
				for {
					sent := time.Now()
					if ann.must(t, b, "/v").body == fmt.Sprint(v) {
						break
					}
					if late := sent.Sub(written); late > c.maxStale {
						t.Fatalf("a request sent %v after a write at the other node: got the value before it, want it after %v", late, c.maxStale)
					}
					age = time.Since(written)
				}
				if age > 0 {
					stale = append(stale, age)
				}
			}
			report(t, "MaxStale %v: the next request, at the other node, read the old value in %d of %d cases (%.1f %%); for how long: %v",
				c.maxStale, len(stale), c.rounds, 100*float64(len(stale))/float64(c.rounds), stale)
		})
	}
}

// TestStrictAndRefreshAtTheOtherNodeReadEveryWrite lets the other node hear of everything a little late, so that it
// nearly always has the old record in its near cache when it is asked.
func TestStrictAndRefreshAtTheOtherNodeReadEveryWrite(t *testing.T) {
	const rounds, late = 200, 4 * time.Millisecond
	redis := redistest.Start(t)
	proxy := redistest.NewProxy(t, redis.Addr)
	proxy.Latency(redistest.Down, late)
	a := startNode(t, at(redis.Addr), sess.RueidisConfig{}, nil, addVersions)
	b := startNode(t, at(proxy.Addr), sess.RueidisConfig{}, nil, addVersions)
	for _, path := range []string{"/strict/v", "/refreshed/v"} {
		t.Run(path[1:], func(t *testing.T) {
			ann := newBrowser(t)
			ann.must(t, a, "/set?v=0")
			id, err := sess.ParseID(ann.id())
			if err != nil {
				t.Fatal(err)
			}
			stale, cached := 0, 0
			for v := 1; v <= rounds; v++ {
				warm(t, b, ann)
				ann.must(t, a, fmt.Sprintf("/set?v=%d", v))
				if r, ok := b.store.Peek(id, time.Now()); ok {
					if text, _ := r.Raw("v"); text != fmt.Sprint(v) {
						cached++
					}
				}
				if ann.must(t, b, path).body != fmt.Sprint(v) {
					stale++
				}
				if ann.must(t, b, "/v").body != fmt.Sprint(v) { // What was refreshed is what is read from then on.
					stale++
				}
			}
			if stale != 0 {
				t.Errorf("old values read: got %d of %d, want 0", stale, 2*rounds)
			}
			if cached == 0 {
				t.Error("got the old record in the near cache of the reading node not once: this test has shown nothing")
			}
			report(t, "%s: %d of %d requests right after a write at the other node read the old value; the near cache still had the old record in %d",
				path[1:], stale, rounds, cached)
		})
	}
}

func TestALogoutIsKnownAtTheOtherNodeWithinMaxStale(t *testing.T) {
	const rounds = 300
	redis := redistest.Start(t)
	a := startNode(t, at(redis.Addr), sess.RueidisConfig{}, nil, routes(nil).add)
	b := startNode(t, at(redis.Addr), sess.RueidisConfig{}, nil, routes(nil).add)
	users := newBrowser(t)
	var stale ages
	for range rounds {
		ann := users.another()
		ann.must(t, a, "/login")
		warm(t, b, ann)
		kept := ann.twin()
		ann.must(t, a, "/logout")
		left := time.Now()
		age := time.Duration(0)
		for {
			sent := time.Now()
			if kept.must(t, b, "/user").body == "" {
				break
			}
			if late := sent.Sub(left); late > time.Second {
				t.Fatalf("a request sent %v after the logout at the other node: got the user, want none after a second", late)
			}
			age = time.Since(left)
		}
		if age > 0 {
			stale = append(stale, age)
		}
	}
	report(t, "MaxStale 1s: a kept cookie was let in at the other node after the logout in %d of %d cases (%.1f %%); for how long: %v",
		len(stale), rounds, 100*float64(len(stale))/rounds, stale)
}

// sample is one request and its answer.
type sample struct {
	sent time.Time
	answer
	err error
}

// sampling sends a request for path to n every few milliseconds, whether the last one was answered or not, until stop is
// called, which returns all answers.
func sampling(b *browser, n *node, path string) (stop func() []sample) {
	const every = 5 * time.Millisecond
	var (
		mu      sync.Mutex
		samples []sample
		all     sync.WaitGroup
		enough  = make(chan struct{})
	)
	all.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			one := b.twin()
			all.Go(func() {
				s := sample{sent: time.Now()}
				s.answer, s.err = one.get(n, path)
				mu.Lock()
				defer mu.Unlock()
				samples = append(samples, s)
			})
			select {
			case <-enough:
				return
			case <-tick.C:
			}
		}
	})
	return func() []sample {
		close(enough)
		all.Wait()
		return samples
	}
}

// TestALogoutIsKnownWithinMaxStaleBehindABrokenConnection breaks the connection of the other node such that nobody
// tells it so, and then has the session destroyed.
func TestALogoutIsKnownWithinMaxStaleBehindABrokenConnection(t *testing.T) {
	faults := []struct {
		name  string
		begin func(*redistest.Proxy)
		end   func(*redistest.Proxy)
		warm  bool // else the session is being read when the connection breaks
	}{
		{
			name:  "what the server says is lost",
			begin: func(p *redistest.Proxy) { p.Swallow(redistest.Down, true) },
			end: func(p *redistest.Proxy) {
				p.Reset() // A stream with a hole in it does not go on.
				p.Swallow(redistest.Down, false)
			},
			warm: true,
		},
		{
			name:  "what the server says comes late",
			begin: func(p *redistest.Proxy) { p.Hold(redistest.Down) },
			end:   func(p *redistest.Proxy) { p.Release(redistest.Down) },
			warm:  true,
		},
		{
			name:  "the answer to a read comes late",
			begin: func(p *redistest.Proxy) { p.Hold(redistest.Down) },
			end:   func(p *redistest.Proxy) { p.Release(redistest.Down) },
		},
		{
			name: "nothing comes through",
			begin: func(p *redistest.Proxy) {
				p.Hold(redistest.Down)
				p.Hold(redistest.Up)
			},
			end: func(p *redistest.Proxy) {
				p.Release(redistest.Up)
				p.Release(redistest.Down)
			},
			warm: true,
		},
	}
	for _, c := range []struct {
		maxStale time.Duration
		rounds   int
	}{{100 * time.Millisecond, 4}, {400 * time.Millisecond, 2}, {time.Second, 1}} {
		for _, fault := range faults {
			if !fault.warm && c.maxStale >= time.Second { // The read fails first, at the StoreTimeout.
				continue
			}
			t.Run(fmt.Sprintf("%s, MaxStale %v", fault.name, c.maxStale), func(t *testing.T) {
				t.Parallel() // It mostly waits, and has a server of its own.
				redis := redistest.Start(t)
				proxy := redistest.NewProxy(t, redis.Addr)
				a := startNode(t, at(redis.Addr), sess.RueidisConfig{MaxStale: c.maxStale}, nil, routes(nil).add)
				b := startNode(t, at(proxy.Addr), sess.RueidisConfig{MaxStale: c.maxStale}, nil, routes(nil).add)
				var longest time.Duration
				letIn, refused, failed := 0, 0, 0
				for round := range c.rounds {
					ann := newBrowser(t)
					ann.must(t, a, "/login")
					kept := ann.twin()
					if fault.warm {
						warm(t, b, kept)
					}
					reads := func() string { return redis.Info("commandstats")["cmdstat_get"] }
					before := reads() // To reset the statistics would make the nodes read everything anew.
					fault.begin(proxy)
					stop := sampling(kept, b, "/user")
					if !fault.warm {
						eventually(t, "the server has read the session", func() bool { return reads() != before })
					}
					ann.must(t, a, "/logout")
					left := time.Now()
					end := sync.OnceFunc(func() { fault.end(proxy) })
					if !fault.warm && round%2 == 0 { // While what it says may be served; later it is read again, and nobody is let in.
						time.Sleep(c.maxStale / 8)
						end()
					}
					eventually(t, "half as long again as MaxStale has passed", func() bool { return time.Since(left) > c.maxStale*3/2 })
					end()
					for _, s := range stop() {
						late := s.sent.Sub(left)
						switch {
						case s.err != nil:
							t.Errorf("a request: got the error %v, want an answer", s.err)
						case s.status == http.StatusServiceUnavailable:
							failed++
						case s.status != http.StatusOK:
							t.Errorf("a request: got status %d, want 200 or 503", s.status)
						case s.body == "":
							refused++
						case late > c.maxStale:
							t.Errorf("a request sent %v after the logout: got the user, want none after %v", late, c.maxStale)
						default:
							letIn++
							longest = max(longest, late)
						}
					}
					eventually(t, "the other node refuses the cookie", func() bool {
						r, err := kept.twin().get(b, "/user")
						return err == nil && r.status == http.StatusOK && r.body == ""
					})
				}
				if letIn == 0 {
					t.Error("got no request that was let in: this test has shown nothing")
				}
				report(t, "%s, MaxStale %v: the last request let in was sent %v after the logout; %d let in, %d refused, %d answered 503",
					fault.name, c.maxStale, longest.Round(time.Millisecond), letIn, refused, failed)
			})
		}
	}
}
