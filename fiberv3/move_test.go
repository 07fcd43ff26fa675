package sess_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/rueidis"
	"github.com/valyala/fasthttp"

	sess "github.com/fibersess/sess/fiberv3"
	"github.com/fibersess/sess/internal/redistest"
)

// The application moves as one does behind a load balancer: at first every request is served by Fiber v2, then some by each,
// then all by Fiber v3, while browsers go on clicking. Each has a manager of its own; they share the store and the keys.
func TestTheSameBrowserKeepsItsSessionWhileAnApplicationMovesFromV2ToV3(t *testing.T) {
	stores := map[string]func(t *testing.T) sess.Store{
		"memory": func(*testing.T) sess.Store { return sess.NewMemoryStore() },
		"Redis": func(t *testing.T) sess.Store {
			store, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{redistest.Start(t).Addr}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = store.Close() })
			return store
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) { moveLive(t, open(t)) })
	}
}

func moveLive(t *testing.T, store sess.Store) {
	const browsers, clicks = 4, 90
	var served [2]atomic.Int64
	old, new := newV2(""), newV3Site()
	oldManager, newManager := newManager(t, sess.Config{Store: store}), newManager(t, sess.Config{Store: store})
	old.sessions(oldManager)
	new.sessions(newManager)
	for i, s := range []site{old, new} {
		withLogins(s)
		s.get("/click", func(v visit) error {
			served[i].Add(1)
			sess.Update(v.session(), "clicks", func(n int, _ bool) int { return n + 1 })
			return nil
		})
		s.get("/clicks", func(v visit) error {
			n, _ := sess.Get[int](v.session(), "clicks")
			v.ctx.SetBodyString(digits(n))
			return nil
		})
	}
	var share, request atomic.Int64 // of 3 requests, those that Fiber v3 serves
	serveOld, serveNew := old.serve(), new.serve()
	base := listen(t, func(ctx *fasthttp.RequestCtx) {
		if request.Add(1)%3 < share.Load() {
			serveNew(ctx)
			return
		}
		serveOld(ctx)
	})

	people := make([]*browser, browsers)
	ids := make([]string, browsers)
	for i := range people {
		people[i] = newBrowser(t, base)
		people[i].want("/login?user=ann"+digits(i), 200, "")
		ids[i] = people[i].id()
	}
	var wg sync.WaitGroup
	var done atomic.Int64
	for _, b := range people {
		wg.Go(func() {
			for range clicks {
				b.want("/click", 200, "")
				share.Store(done.Add(1) * 4 / (browsers * clicks)) // 0 in the first quarter, 3 in the last
			}
		})
	}
	wg.Wait()
	for i, b := range people {
		b.want("/clicks", 200, digits(clicks))
		b.want("/user", 200, "ann"+digits(i))
		if b.id() != ids[i] {
			t.Errorf("browser %d: got another id than before the move, want the same", i)
		}
	}
	for i, name := range []string{"Fiber v2", "Fiber v3"} {
		if n := served[i].Load(); n < browsers*clicks/10 {
			t.Errorf("clicks served by %s: got %d of %d, want a good part", name, n, browsers*clicks)
		}
	}
	if got := oldManager.Stats().Rejected + newManager.Stats().Rejected; got != 0 {
		t.Errorf("sessions refused: got %d, want 0", got)
	}

	share.Store(3)
	thief := newBrowser(t, base)
	thief.head.Set("Cookie", people[0].cookieHeader())
	people[0].want("/logout", 200, "") // By Fiber v3, and
	share.Store(0)
	thief.want("/user", 200, "") // Fiber v2 knows.
	people[1].want("/logout", 200, "")
	share.Store(3)
	people[1].want("/user", 200, "")
	people[2].want("/user", 200, "ann2")
}

// One manager may also serve both, which is one set of keys, counts and hooks.
func TestOneManagerServesBothVersions(t *testing.T) {
	m := newManager(t, sess.Config{})
	old, new := newV2(""), newV3Site()
	old.sessions(m)
	new.sessions(m)
	withLogins(old)
	withLogins(new)
	var moved atomic.Bool
	serveOld, serveNew := old.serve(), new.serve()
	b := newBrowser(t, listen(t, func(ctx *fasthttp.RequestCtx) {
		if moved.Load() {
			serveNew(ctx)
			return
		}
		serveOld(ctx)
	}))
	b.want("/count", 200, "1")
	moved.Store(true)
	b.want("/count", 200, "2")
	moved.Store(false)
	b.want("/count", 200, "3")
	if got := m.Stats().Created; got != 1 {
		t.Errorf("sessions made: got %d, want 1", got)
	}
}
