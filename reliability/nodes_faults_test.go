package reliability

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersess/sess"
)

// startFaulty starts a node behind each proxy of a site.
func startFaulty(t testing.TB, site *faultySite, handlers routes) (nodes [2]*node) {
	t.Helper()
	for i, proxy := range site.proxies {
		nodes[i] = startNode(t, at(proxy.Addr), sess.RueidisConfig{MaxStale: 200 * time.Millisecond},
			func(c *sess.Config) { c.StoreTimeout = opTimeout }, handlers.add)
	}
	return nodes
}

// healed asks n until it answers with 200.
func healed(t testing.TB, b *browser, n *node, path string) (a answer) {
	t.Helper()
	eventually(t, "the node reaches the server again", func() bool {
		var err error
		a, err = b.twin().get(n, path)
		return err == nil && a.status == http.StatusOK
	})
	return a
}

func TestUpdatesAtTwoNodesCountOnceEachUnderFaults(t *testing.T) {
	const length, clients = 4 * time.Second, 8
	site := newFaultySite(t)
	nodes := startFaulty(t, site, counting)
	var (
		all                  sync.WaitGroup
		stop                 atomic.Bool
		acknowledged, failed atomic.Int64
	)
	ann := newBrowser(t)
	ann.must(t, nodes[0], "/login")
	for i := range clients {
		one := ann.twin()
		all.Go(func() {
			for !stop.Load() {
				switch r, err := one.get(nodes[i%2], "/up"); {
				case err != nil:
					t.Errorf("an increment: got the error %v, want an answer", err)
				case r.status == http.StatusOK:
					acknowledged.Add(1)
				default:
					failed.Add(1)
				}
			}
		})
	}
	site.stumbleFor(length)
	stop.Store(true)
	all.Wait()
	for _, n := range nodes {
		text := healed(t, ann, n, "/n").body
		got, err := strconv.ParseInt(text, 10, 64)
		if low, high := acknowledged.Load(), acknowledged.Load()+failed.Load(); err != nil || got < low || got > high {
			t.Errorf("the sum of %d acknowledged and %d failed increments: got %s, want %d to %d", low, failed.Load(), text, low, high)
		}
	}
	if acknowledged.Load() == 0 || failed.Load() == 0 {
		t.Errorf("got %d acknowledged and %d failed increments, want both: this test has shown little", acknowledged.Load(), failed.Load())
	}
	report(t, "%d faults: %d increments acknowledged, %d answered with an error, sum %s", site.faults, acknowledged.Load(), failed.Load(),
		healed(t, ann, nodes[0], "/n").body)
}

// TestALogoutThatWasAnsweredIsFinalUnderFaults logs out with writes under way, some of which nobody waits for any more.
func TestALogoutThatWasAnsweredIsFinalUnderFaults(t *testing.T) {
	const length, users = 4 * time.Second, 6
	site := newFaultySite(t)
	nodes := startFaulty(t, site, acts)
	var (
		all               sync.WaitGroup
		stop              atomic.Bool
		mu                sync.Mutex
		left              []*browser // logged out, with the cookies they had and the ones they got beside it
		answered, refused int
	)
	for i := range users {
		rnd := rand.New(rand.NewPCG(site.seed, uint64(i)))
		visitor := newBrowser(t)
		any := func() *node { return nodes[rnd.IntN(2)] }
		all.Go(func() {
			for !stop.Load() {
				ann := visitor.another()
				if r, err := ann.get(any(), "/login"); err != nil || r.status != http.StatusOK {
					continue
				}
				var beside sync.WaitGroup
				windows := []*browser{ann.twin()}
				for _, act := range []string{"set", "update", "save", "touch", "regenerate"} {
					one, n := ann.twin(), any()
					windows = append(windows, one)
					beside.Go(func() { one.get(n, "/"+act) })
				}
				r, err := ann.get(any(), "/logout")
				beside.Wait()
				mu.Lock()
				if err == nil && r.status == http.StatusOK {
					left = append(left, windows...)
					answered++
				} else {
					refused++
				}
				mu.Unlock()
			}
		})
	}
	site.stumbleFor(length)
	stop.Store(true)
	all.Wait()
	audit := startNode(t, at(site.server.Addr), sess.RueidisConfig{NoNearCache: true}, nil, routes(nil).add)
	alive := 0
	for _, window := range left {
		if ask(t, window.twin(), audit, "/user").body != "" {
			alive++
		}
	}
	if alive != 0 {
		t.Errorf("cookies of sessions whose logout was answered: got %d of %d let in, want 0", alive, len(left))
	}
	if answered == 0 || refused == 0 {
		t.Errorf("got %d logouts answered and %d failed, want both: this test has shown little", answered, refused)
	}
	report(t, "%d faults: %d logouts acknowledged, beside 5 writes each; %d of their %d cookies let in afterwards; %d logouts answered with an error",
		site.faults, answered, alive, len(left), refused)
}
