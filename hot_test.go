package sess_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// A hot session is one that many requests write to at once: their changes are stored in groups. Here one of the group is
// something else than a change: a logout, a renewal, a Take. Two managers, with a store each, share the session.

// hotSite is two nodes on one store.
type hotSite struct {
	nodes [2]*fiber.App
}

const (
	crowd = 24 // windows at once, on each node
	each  = 4  // requests of each, one after the other
)

func hotSites(t *testing.T) map[string]func(t *testing.T) *hotSite {
	server := redistest.Start(t)
	return map[string]func(t *testing.T) *hotSite{
		"Redis": func(t *testing.T) *hotSite {
			option := addresses(server.Addr)
			return newHotSite(t, openRueidis(t, option), openRueidis(t, option))
		},
		"Redis, no near cache": func(t *testing.T) *hotSite {
			option, config := addresses(server.Addr), sess.RueidisConfig{NoNearCache: true}
			return newHotSite(t, openRueidis(t, option, config), openRueidis(t, option, config))
		},
		"memory, as if far away": func(t *testing.T) *hotSite {
			store := newSpyStore()
			return newHotSite(t, store, store)
		},
		"memory": func(t *testing.T) *hotSite {
			store := sess.NewMemoryStore()
			return newHotSite(t, store, store)
		},
	}
}

func newHotSite(t *testing.T, stores ...sess.Store) *hotSite {
	site := &hotSite{}
	for i, store := range stores {
		site.nodes[i] = routed(sess.Config{Store: store}, routes{
			"begin": func(_ *fiber.Ctx, s sess.Session) error {
				sess.Set(s, "n", 0)
				sess.Set(s, "token", "once")
				return nil
			},
			"count": func(c *fiber.Ctx, s sess.Session) error {
				if !s.Has("n") {
					return c.SendString("none")
				}
				sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
				if err := s.Save(); err != nil {
					return err
				}
				return c.SendString("counted")
			},
			"n": func(c *fiber.Ctx, s sess.Session) error {
				if err := s.Refresh(); err != nil && !errors.Is(err, sess.ErrEnded) {
					return err
				}
				n, ok := sess.Get[int](s, "n")
				return c.SendString(fmt.Sprint(n, ok))
			},
			"take": func(c *fiber.Ctx, s sess.Session) error {
				_, ok, err := sess.Take[string](s, "token")
				if err != nil {
					return err
				}
				return c.SendString(fmt.Sprint(ok))
			},
			"renew": func(c *fiber.Ctx, s sess.Session) error {
				s.Regenerate()
				if err := s.Save(); err != nil {
					return err
				}
				return c.SendString("renewed")
			},
		})
	}
	return site
}

// rush lets crowd requests count on each node, and one more do something else on the first when half of them have come
// back. It returns how many were counted.
func (site *hotSite) rush(t *testing.T, ann *client, other func(c *client)) (counted int64) {
	var done, all atomic.Int64
	half := make(chan struct{})
	var requests sync.WaitGroup
	for i := range 2 * crowd {
		window := ann.twin()
		window.handler = site.nodes[i%2].Handler()
		requests.Go(func() {
			for range each {
				switch r := window.get("/count"); {
				case r.status == 200 && r.body == "counted":
					all.Add(1)
				case r.status == 401, r.body == "none":
				default:
					t.Errorf("a request that counts: got %d %q, want 200 counted or none, or 401", r.status, r.body)
				}
				if done.Add(1) == crowd*each {
					close(half)
				}
			}
		})
	}
	<-half
	other(ann)
	requests.Wait()
	return all.Load()
}

func (site *hotSite) begin(t *testing.T) *client {
	t.Helper()
	ann := newClient(site.nodes[0])
	wantReply(t, "the first request", ann.get("/begin"), 200, "")
	return ann
}

func eachHotSite(t *testing.T, test func(t *testing.T, site *hotSite)) {
	for name, place := range hotSites(t) {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				test(t, place(t))
			}
		})
	}
}

// TestALogoutAmongManyWritesIsFinal: whatever of the group was on its way, nothing is there when the logout has answered.
func TestALogoutAmongManyWritesIsFinal(t *testing.T) {
	eachHotSite(t, func(t *testing.T, site *hotSite) {
		ann := site.begin(t)
		kept := ann.twin()
		site.rush(t, ann, func(c *client) {
			wantReply(t, "the logout", c.get("/logout"), 200, "")
			wantReply(t, "the session behind its logout", kept.twin().get("/n"), 200, "0 false")
		})
		for _, node := range site.nodes {
			late := kept.twin()
			late.handler = node.Handler()
			wantReply(t, "the session when all have answered", late.get("/n"), 200, "0 false")
		}
	})
}

// TestOneOfManyTakesWhatManyWriteBeside: one Take gets it, and no count is lost.
func TestOneOfManyTakesWhatManyWriteBeside(t *testing.T) {
	eachHotSite(t, func(t *testing.T, site *hotSite) {
		ann := site.begin(t)
		var winners atomic.Int64
		counted := site.rush(t, ann, func(c *client) {
			var takers sync.WaitGroup
			for i := range 8 {
				window := c.twin()
				window.handler = site.nodes[i%2].Handler()
				takers.Go(func() {
					if r := window.get("/take"); r.status == 200 && r.body == "true" {
						winners.Add(1)
					} else if r.status != 200 {
						t.Errorf("a Take: got status %d, want 200", r.status)
					}
				})
			}
			takers.Wait()
		})
		if got := winners.Load(); got != 1 {
			t.Errorf("winners of a Take: got %d, want 1", got)
		}
		if counted != 2*crowd*each {
			t.Errorf("requests that counted: got %d, want %d", counted, 2*crowd*each)
		}
		wantReply(t, "the count", ann.get("/n"), 200, fmt.Sprint(counted, true))
	})
}

// TestARenewalAmongManyWritesTakesAllAlong: what was counted before and meanwhile is in the renewed session, and what
// came too late was told so.
func TestARenewalAmongManyWritesTakesAllAlong(t *testing.T) {
	eachHotSite(t, func(t *testing.T, site *hotSite) {
		ann := site.begin(t)
		old := ann.twin()
		counted := site.rush(t, ann, func(c *client) {
			wantReply(t, "the renewal", c.get("/renew"), 200, "renewed")
		})
		wantReply(t, "the count of the renewed session", ann.get("/n"), 200, fmt.Sprint(counted, true))
		wantReply(t, "the old id", old.get("/n"), 200, "0 false")
	})
}
