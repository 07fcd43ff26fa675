package reliability

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/gofiber/fiber/v2"
)

func TestRequestsAtTwoNodesThatSetDifferentKeysBothWin(t *testing.T) {
	p := startPair(t, nil, routes{
		"a": func(_ *fiber.Ctx, s sess.Session) error { sess.Set(s, "a", 1); return nil },
		"b": func(_ *fiber.Ctx, s sess.Session) error { sess.Set(s, "b", 1); return nil },
		"keys": func(c *fiber.Ctx, s sess.Session) error {
			if err := s.Refresh(); err != nil {
				return err
			}
			return c.SendString(fmt.Sprint(s.Has("user"), s.Has("a"), s.Has("b")))
		},
	})
	p.everyOrder(t, func(t *testing.T, ann *browser, run func(a, b func())) {
		one, other := ann.twin(), ann.twin()
		run(func() { ask(t, one, p.nodes[0], "/a") }, func() { ask(t, other, p.nodes[1], "/b") })
		for _, n := range p.nodes {
			wantBody(t, "the keys after both", ann, n, "/keys", "true true true")
		}
	})
}

// counting counts up at "/up" and shows the count at "/n".
var counting = routes{
	"up": acts["update"],
	"n": func(c *fiber.Ctx, s sess.Session) error {
		if err := s.Refresh(); err != nil {
			return err
		}
		n, _ := sess.Get[int](s, "n")
		return c.SendString(fmt.Sprint(n))
	},
}

func TestUpdatesAtTwoNodesLoseNothing(t *testing.T) {
	const goroutines, increments = 32, 50
	p := startPair(t, nil, counting)
	ann := newBrowser(t)
	ann.must(t, p.nodes[0], "/login")
	var all sync.WaitGroup
	for i := range goroutines {
		one := ann.twin()
		all.Go(func() {
			for range increments {
				ask(t, one, p.nodes[i%2], "/up")
			}
		})
	}
	all.Wait()
	for _, n := range p.nodes {
		wantBody(t, "the sum", ann, n, "/n", fmt.Sprint(goroutines*increments))
	}
	report(t, "%d increments of one value by %d requests in parallel at two nodes: sum %d, merged saves %d", goroutines*increments,
		goroutines, goroutines*increments, p.nodes[0].manager.Stats().Merged+p.nodes[1].manager.Stats().Merged)
}

func TestUpdatesAtTwoNodesBothCountInEveryOrder(t *testing.T) {
	p := startPair(t, nil, counting)
	p.everyOrder(t, func(t *testing.T, ann *browser, run func(a, b func())) {
		one, other := ann.twin(), ann.twin()
		run(func() { ask(t, one, p.nodes[0], "/up") }, func() { ask(t, other, p.nodes[1], "/up") })
		for _, n := range p.nodes {
			wantBody(t, "the sum of two", ann, n, "/n", "2")
		}
	})
}

// takers are routes of which "/take" takes the user's name, after hold.
func takers(hold func()) routes {
	return routes{"take": func(c *fiber.Ctx, s sess.Session) error {
		s.Has("user") // Everybody has seen it.
		hold()
		user, _, err := sess.Take[string](s, "user")
		if err != nil {
			return err
		}
		return c.SendString(user)
	}}
}

func TestTakeHasOneWinnerAmongNodes(t *testing.T) {
	const requests = 100
	started := make(chan struct{})
	var loaded sync.WaitGroup
	loaded.Add(requests)
	p := startPair(t, nil, takers(func() {
		loaded.Done()
		<-started
	}))
	ann := newBrowser(t)
	ann.must(t, p.nodes[0], "/login")
	p.warm(t, ann)
	var winners atomic.Int32
	var all sync.WaitGroup
	for i := range requests {
		one := ann.twin()
		all.Go(func() {
			if ask(t, one, p.nodes[i%2], "/take").body == "ann" {
				winners.Add(1)
			}
		})
	}
	loaded.Wait()
	close(started)
	all.Wait()
	if got := winners.Load(); got != 1 {
		t.Errorf("winners of %d takes at two nodes: got %d, want 1", requests, got)
	}
	for _, n := range p.nodes {
		wantBody(t, "the value after it was taken", ann, n, "/strict/user", "")
	}
}

func TestTakeHasOneWinnerAmongNodesInEveryOrder(t *testing.T) {
	p := startPair(t, nil, takers(func() {}))
	p.everyOrder(t, func(t *testing.T, ann *browser, run func(a, b func())) {
		one, other := ann.twin(), ann.twin()
		var got [2]string
		run(func() { got[0] = ask(t, one, p.nodes[0], "/take").body }, func() { got[1] = ask(t, other, p.nodes[1], "/take").body })
		if got[0]+got[1] != "ann" {
			t.Errorf("what the two takes got: got %q, want the value once", got)
		}
	})
}

func TestASessionDestroyedAtOneNodeStaysGoneAtTheOther(t *testing.T) {
	var held atomic.Pointer[pause]
	late := routes{}
	for act, handler := range acts {
		late[act] = func(c *fiber.Ctx, s sess.Session) error {
			held.Load().wait()
			return handler(c, s)
		}
	}
	p := startPair(t, rolling, late)
	for act := range acts {
		t.Run(act, func(t *testing.T) {
			held.Store(newPause())
			defer p.clean(t)
			ann := newBrowser(t)
			ann.must(t, p.nodes[0], "/login")
			slow := ann.twin()
			answered := make(chan answer)
			go func() { answered <- ask(t, slow, p.nodes[1], "/"+act) }()
			<-held.Load().reached
			ask(t, ann, p.nodes[0], "/logout")
			close(held.Load().proceed)
			wantNoCookie(t, "the request that came too late", <-answered)
			p.wantLive(t, 0)
		})
	}
}

func TestALogoutAtOneNodeEndsWhatTheOtherSavedMeanwhile(t *testing.T) {
	var held atomic.Pointer[pause]
	handlers := routes{"leave": func(_ *fiber.Ctx, s sess.Session) error {
		held.Load().wait()
		s.Destroy()
		return nil
	}}
	for act, handler := range acts {
		handlers[act] = handler
	}
	p := startPair(t, rolling, handlers)
	for act := range acts {
		t.Run(act, func(t *testing.T) {
			held.Store(newPause())
			defer p.clean(t)
			ann := newBrowser(t)
			ann.must(t, p.nodes[0], "/login")
			leaving := ann.twin()
			answered := make(chan answer)
			go func() { answered <- ask(t, leaving, p.nodes[1], "/leave") }()
			<-held.Load().reached
			ask(t, ann, p.nodes[0], "/"+act)
			close(held.Load().proceed)
			<-answered
			p.wantLive(t, 0)
		})
	}
}

func TestLogoutWinsInEveryOrderAtTwoNodes(t *testing.T) {
	p := startPair(t, rolling, acts)
	for act := range acts {
		t.Run(act, func(t *testing.T) {
			p.everyOrder(t, func(t *testing.T, ann *browser, run func(a, b func())) {
				one, other := ann.twin(), ann.twin()
				run(func() { ask(t, one, p.nodes[0], "/"+act) }, func() { ask(t, other, p.nodes[1], "/logout") })
				for _, id := range p.stored(t) { // A request that came after the logout has begun a session of its own.
					holder := p.holding(id.Value())
					if ask(t, holder, p.audit, "/user").body != "" || id.Value() == ann.id() && ask(t, holder, p.audit, "/exists").body != "false" {
						t.Error("a session that was logged out: got it alive, want it gone")
					}
				}
				for _, n := range p.nodes {
					wantBody(t, "the user of the old cookie", ann.twin(), n, "/strict/user", "")
				}
			})
		})
	}
}

func TestTwoRenewalsAtTwoNodesLeaveOneSession(t *testing.T) {
	p := startPair(t, nil, acts)
	p.everyOrder(t, func(t *testing.T, ann *browser, run func(a, b func())) {
		one, other := ann.twin(), ann.twin()
		run(func() { ask(t, one, p.nodes[0], "/regenerate") }, func() { ask(t, other, p.nodes[1], "/regenerate") })
		live := p.wantLive(t, 1)
		for _, b := range []*browser{one, other} {
			if id := b.id(); id != ann.id() && len(live) == 1 && id != live[0] {
				t.Error("a renewal sent the cookie of a session that is gone; want none, or that of the one that lives")
			}
		}
	})
}

func TestAnIDRenewedAtOneNodeCannotOverwriteTheNewCookieAtTheOther(t *testing.T) {
	dropped := make(chan struct{}, 2)
	p := startPair(t, func(c *sess.Config) {
		rolling(c)
		c.Hooks.Dropped = func(sess.Event) { dropped <- struct{}{} }
	}, acts)
	for act := range acts {
		if act == "forcesave" || act == "regenerate" { // These ask for a session of their own.
			continue
		}
		t.Run(act, func(t *testing.T) {
			ann := newBrowser(t)
			ann.must(t, p.nodes[0], "/login")
			p.warm(t, ann) // The other node may serve the old record once more.
			old := ann.twin()
			ask(t, ann, p.nodes[0], "/regenerate")
			r := ask(t, old, p.nodes[1], "/"+act)
			wantNoCookie(t, "a request with the old id", r)
			wantBody(t, "the new session", ann, p.nodes[1], "/user", "ann")
			if act != "touch" && act != "take" && len(dropped) != 1 {
				t.Errorf("changes told to be dropped: got %d, want 1", len(dropped))
			}
			for len(dropped) > 0 {
				<-dropped
			}
			p.clean(t)
		})
	}
}

func TestAWriteAtOneNodeBesideARenewalAtTheOtherRevivesNothing(t *testing.T) {
	p := startPair(t, rolling, acts)
	for act := range acts {
		if act == "forcesave" || act == "regenerate" {
			continue
		}
		t.Run(act, func(t *testing.T) {
			p.everyOrder(t, func(t *testing.T, ann *browser, run func(a, b func())) {
				one, other := ann.twin(), ann.twin()
				run(func() { ask(t, one, p.nodes[0], "/regenerate") }, func() { ask(t, other, p.nodes[1], "/"+act) })
				if live := p.wantLive(t, 1); len(live) == 1 && live[0] != one.id() {
					t.Error("the session that lives: got another than the renewed one's cookie names")
				}
			})
		})
	}
}

func TestALogoutAtTheOtherNodeThatFindsTheTombstoneEndsTheNewSession(t *testing.T) {
	p := startPair(t, nil, acts)
	for _, warm := range []bool{false, true} {
		ann := newBrowser(t)
		ann.must(t, p.nodes[0], "/login")
		if warm {
			p.warm(t, ann)
		}
		old := ann.twin()
		for range 3 { // The tombstone's successor is a tombstone too.
			ask(t, ann, p.nodes[0], "/regenerate")
		}
		wantBody(t, "the session before the logout", ann, p.nodes[0], "/user", "ann")
		ask(t, old, p.nodes[1], "/logout")
		p.wantLive(t, 0)
		wantBody(t, "the session after the logout", ann, p.nodes[0], "/strict/user", "")
	}
}

func TestAForeignIDIsAdoptedAtNoNode(t *testing.T) {
	const invented = "invented-by-the-client-0123456789"
	p := startPair(t, func(c *sess.Config) { c.AllowEmpty = true }, acts)
	for _, act := range []string{"set", "save", "update", "forcesave", "regenerate", "setcookie"} {
		t.Run(act, func(t *testing.T) {
			ann := newBrowser(t)
			ann.must(t, p.nodes[0], "/login")
			p.warm(t, ann)
			destroyed := ann.twin()
			ask(t, ann, p.nodes[0], "/logout")
			ann.must(t, p.nodes[0], "/login")
			unsigned, swapped := ann.twin(), ann.twin()
			delete(unsigned.jar, "koa.sid.sig")
			swapped.jar["koa.sid"] = invented
			for what, b := range map[string]*browser{
				"an id destroyed at the other node":       destroyed,
				"an id without its signature":             unsigned,
				"an invented id with another's signature": swapped,
			} {
				presented := b.id()
				r := ask(t, b, p.nodes[1], "/"+act)
				if len(r.header.Values("Set-Cookie")) > 0 && b.id() == presented {
					t.Errorf("%s: got a cookie with the presented id, want a new one", what)
				}
				if want := fmt.Sprint(what == "an id without its signature"); ask(t, p.holding(presented), p.audit, "/exists").body != want {
					t.Errorf("%s: got a session under it %v, want %s", what, want != "true", want)
				}
			}
			wantBody(t, "the session whose id was presented without its signature", ann, p.nodes[1], "/strict/user", "ann")
		})
	}
}

func TestAnIDThatExpiredIsServedAndAdoptedAtNoNode(t *testing.T) {
	const ttl = 300 * time.Millisecond
	p := startPair(t, func(c *sess.Config) { c.TTL = ttl }, acts)
	ann := newBrowser(t)
	ann.must(t, p.nodes[0], "/login")
	stored := time.Now()
	p.warm(t, ann)
	eventually(t, "the session has expired", func() bool { return time.Since(stored) > ttl })
	for _, n := range p.nodes {
		wantBody(t, "the user of an expired id", ann.twin(), n, "/user", "")
		late := ann.twin()
		ask(t, late, n, "/set")
		if late.id() == ann.id() {
			t.Error("the id after a write to an expired session: got the expired one, want a new one")
		}
	}
}
