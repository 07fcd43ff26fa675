package sess_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
)

func TestParallelRequestsThatSetDifferentKeysBothWin(t *testing.T) {
	everyOrder(t, func(t *testing.T, run func(store *spyStore, a, b func())) {
		store := newSpyStore()
		c := newClient(routed(sess.Config{Store: store}, routes{
			"set": func(c *fiber.Ctx, s sess.Session) error {
				sess.Set(s, c.Query("as"), 1)
				return nil
			},
			"keys": func(c *fiber.Ctx, s sess.Session) error {
				return c.SendString(fmt.Sprint(s.Has("user"), s.Has("a"), s.Has("b")))
			},
		}))
		c.get("/login")
		a, b := c.twin(), c.twin()
		run(store, func() { a.get("/set?as=a") }, func() { b.get("/set?as=b") })
		wantReply(t, "the keys after both", c.get("/keys"), 200, "true true true")
	})
}

// TestUpdateCountsWhatAnotherCountedBeforeARefresh: what Update made of the older record happens to be what stands in the
// newer one, and must not pass for no change.
func TestUpdateCountsWhatAnotherCountedBeforeARefresh(t *testing.T) {
	for _, look := range []string{"refresh", "take"} {
		var c *client
		app := routed(sess.Config{}, routes{
			"up": func(ctx *fiber.Ctx, s sess.Session) error {
				sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
				switch ctx.Query("then") {
				case "refresh":
					c.twin().get("/up")
					return s.Refresh()
				case "take":
					c.twin().get("/up")
					_, _, err := sess.Take[string](s, "user")
					return err
				}
				return nil
			},
			"n": func(c *fiber.Ctx, s sess.Session) error {
				n, _ := sess.Get[int](s, "n")
				return c.SendString(fmt.Sprint(n))
			},
		})
		c = newClient(app)
		c.get("/login")
		c.get("/up?then=" + look)
		wantReply(t, look+" between two counts: the sum", c.get("/n"), 200, "2")
	}
}

func TestUpdateLosesNothingOverHTTP(t *testing.T) {
	const goroutines, increments = 64, 100
	app := routed(sess.Config{StoreTimeout: time.Minute}, routes{
		"up": func(_ *fiber.Ctx, s sess.Session) error {
			sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
			return nil
		},
		"n": func(c *fiber.Ctx, s sess.Session) error {
			n, _ := sess.Get[int](s, "n")
			return c.SendString(fmt.Sprint(n))
		},
	})
	base := serveApp(t, app)
	browser := newHTTPClient(t)
	fetch(t, browser, base+"/login")
	var wg sync.WaitGroup
	for range goroutines {
		one := newHTTPClient(t)
		one.Jar = browser.Jar
		wg.Go(func() {
			for range increments {
				wantReply(t, "an increment", fetch(t, one, base+"/up"), 200, "")
			}
		})
	}
	wg.Wait()
	wantReply(t, "the sum", fetch(t, browser, base+"/n"), 200, fmt.Sprint(goroutines*increments))
}

func TestTakeHasOneWinner(t *testing.T) {
	const requests = 100
	started := make(chan struct{})
	var loaded sync.WaitGroup
	loaded.Add(requests)
	app := routed(sess.Config{StoreTimeout: time.Minute}, routes{
		"take": func(c *fiber.Ctx, s sess.Session) error {
			s.Has("user") // Everybody has seen it.
			loaded.Done()
			<-started
			user, ok, err := sess.Take[string](s, "user")
			if err != nil || !ok {
				return err
			}
			return c.SendString(user)
		},
	})
	base := serveApp(t, app)
	browser := newHTTPClient(t)
	fetch(t, browser, base+"/login")
	var winners atomic.Int32
	var wg sync.WaitGroup
	for range requests {
		one := newHTTPClient(t)
		one.Jar = browser.Jar
		wg.Go(func() {
			if r := fetch(t, one, base+"/take"); r.status != 200 {
				t.Errorf("a take: got status %d, want 200", r.status)
			} else if r.body == "ann" {
				winners.Add(1)
			}
		})
	}
	loaded.Wait()
	close(started)
	wg.Wait()
	if n := winners.Load(); n != 1 {
		t.Errorf("winners of %d takes: got %d, want 1", requests, n)
	}
	wantReply(t, "the value after it was taken", fetch(t, browser, base+"/user"), 200, "")
}

func TestADestroyedSessionStaysGone(t *testing.T) {
	for act, handler := range lateActs {
		t.Run(act, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				held := newPause()
				store := newSpyStore()
				c := newClient(routed(rolling(store), routes{
					act: func(c *fiber.Ctx, s sess.Session) error {
						held.wait()
						return handler(c, s)
					},
				}))
				c.get("/login")
				late := c.twin()
				answer := make(chan response, 1)
				go func() { answer <- late.get("/" + act) }()
				<-held.reached
				time.Sleep(time.Minute) // In the bubble: a touch would move the end.
				wantReply(t, "the logout", c.get("/logout"), 200, "")
				close(held.proceed)
				r := <-answer
				wantToldThatItEnded(t, act, r)
				wantNoCookie(t, "the request that came too late", r)
				wantLive(t, store, c, 0)
			})
		})
	}
}

func TestALogoutThatLoadedBeforeAnotherSavedEndsTheSession(t *testing.T) {
	for act, handler := range lateActs {
		t.Run(act, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				held := newPause()
				store := newSpyStore()
				c := newClient(routed(rolling(store), routes{
					act: handler,
					"leave": func(_ *fiber.Ctx, s sess.Session) error {
						held.wait()
						s.Destroy()
						return nil
					},
				}))
				c.get("/login")
				leaving := c.twin()
				answer := make(chan response, 1)
				go func() { answer <- leaving.get("/leave") }()
				<-held.reached
				time.Sleep(time.Minute)
				wantReply(t, "the save", c.get("/"+act), 200, "")
				close(held.proceed)
				wantReply(t, "the logout", <-answer, 200, "")
				wantLive(t, store, c, 0)
			})
		})
	}
}

// wantToldThatItEnded checks the reply of a late act to a session that has ended: an act that asks what became of it hears
// of that, and answers 401.
func wantToldThatItEnded(t *testing.T, act string, r response) {
	t.Helper()
	if act == "save" || act == "take" {
		wantReply(t, act+" of a session that has ended", r, 401, "Unauthorized")
		return
	}
	wantReply(t, act+" of a session that has ended", r, 200, "")
}

// wantDoneOrEnded checks the reply of an act that may have come before the end or behind it.
func wantDoneOrEnded(t *testing.T, act string, r response) {
	t.Helper()
	if r.status == 401 {
		wantToldThatItEnded(t, act, r)
		return
	}
	wantReply(t, act, r, 200, "")
}

func TestLogoutWinsInEveryOrder(t *testing.T) {
	for act := range lateActs {
		t.Run(act, func(t *testing.T) {
			everyOrder(t, func(t *testing.T, run func(store *spyStore, a, b func())) {
				store := newSpyStore()
				c := newClient(routed(rolling(store), lateActs))
				c.get("/login")
				time.Sleep(time.Minute)
				a, b := c.twin(), c.twin()
				run(store,
					func() { wantDoneOrEnded(t, act, a.get("/"+act+"?as=a")) },
					func() { wantReply(t, "logout", b.get("/logout?as=b"), 200, "") })
				for _, id := range store.stored() { // A request that came after the logout has begun a session of its own.
					one := c.holding(id.Value())
					if one.get("/user").body != "" || one.id() == c.id() && one.get("/exists").body != "false" {
						t.Error("a session that was logged out: got it alive, want it gone")
					}
				}
			})
		})
	}
}

func TestTwoRenewalsLeaveOneSession(t *testing.T) {
	everyOrder(t, func(t *testing.T, run func(store *spyStore, a, b func())) {
		store := newSpyStore()
		c := newClient(routed(sess.Config{Store: store}, lateActs))
		c.get("/login")
		old := c.id()
		a, b := c.twin(), c.twin()
		run(store,
			func() { wantReply(t, "a renewal", a.get("/regenerate?as=a"), 200, "") },
			func() { wantReply(t, "a renewal", b.get("/regenerate?as=b"), 200, "") })
		live := wantLive(t, store, c, 1)
		for _, one := range []*client{a, b} {
			if id := one.id(); id != old && len(live) == 1 && id != live[0] {
				t.Errorf("a renewal sent the cookie of a session that is gone; want none, or that of the one that lives")
			}
		}
	})
}

func TestARenewedIDCannotOverwriteTheNewCookie(t *testing.T) {
	for act := range lateActs {
		if act == "forcesave" || act == "regenerate" { // These ask for a session of their own.
			continue
		}
		t.Run(act, func(t *testing.T) {
			dropped := 0
			var rejected []sess.Reason
			config := rolling(newSpyStore())
			config.Hooks.Dropped = func(sess.Event) { dropped++ }
			config.Hooks.Rejected = func(e sess.Event) { rejected = append(rejected, e.Reason) }
			c := newClient(routed(config, lateActs))
			c.get("/login")
			old := c.twin()
			c.get("/regenerate")
			r := old.get("/" + act)
			if len(rejected) != 1 || rejected[0] != sess.ReasonRenewed {
				t.Errorf("the old id: rejected for %q, want once, as renewed", rejected)
			}
			if act == "save" {
				wantToldThatItEnded(t, act, r)
			} else {
				wantReply(t, "a request with the old id", r, 200, "")
			}
			wantNoCookie(t, "a request with the old id", r)
			wantReply(t, "the new session", c.get("/user"), 200, "ann")
			if writes := act != "touch" && act != "take"; writes != (dropped == 1) {
				t.Errorf("changes told to be dropped: got %d, want one if the request wrote (%v)", dropped, writes)
			}
		})
	}
}

func TestAWriteBesideARenewalRevivesNothing(t *testing.T) {
	for act := range lateActs {
		if act == "forcesave" || act == "regenerate" {
			continue
		}
		t.Run(act, func(t *testing.T) {
			everyOrder(t, func(t *testing.T, run func(store *spyStore, a, b func())) {
				store := newSpyStore()
				c := newClient(routed(rolling(store), lateActs))
				c.get("/login")
				time.Sleep(time.Minute)
				a, b := c.twin(), c.twin()
				run(store,
					func() { wantReply(t, "the renewal", a.get("/regenerate?as=a"), 200, "") },
					func() { wantDoneOrEnded(t, act, b.get("/"+act+"?as=b")) })
				if live := wantLive(t, store, c, 1); len(live) == 1 && live[0] != a.id() {
					t.Error("the session that lives: got another than the renewed one's cookie names")
				}
			})
		})
	}
}

func TestALogoutThatFindsTheTombstoneEndsTheNewSession(t *testing.T) {
	store := newSpyStore()
	c := newClient(routed(sess.Config{Store: store}, lateActs))
	c.get("/login")
	old := c.twin()
	for range 3 { // The tombstone's successor is a tombstone too.
		c.get("/regenerate")
	}
	wantReply(t, "the session before the logout", c.get("/user"), 200, "ann")
	wantReply(t, "the logout with the old id", old.get("/logout"), 200, "")
	wantLive(t, store, c, 0)
}

// stranger presents an id that must not be adopted.
type stranger struct {
	what string
	*client
	signed bool // correctly, so the store may be asked
	live   bool // another user's session has the id
}

func strangers(c *client) []stranger {
	const invented = "invented-by-the-client-0123456789"
	c.get("/login")
	destroyed := c.twin()
	c.get("/logout")
	c.get("/login")
	forged, unsigned, swapped := c.twin(), c.twin(), c.twin()
	forged.jar["koa.sid.sig"] = signature(invented)
	delete(unsigned.jar, "koa.sid.sig")
	swapped.jar["koa.sid"] = invented
	return []stranger{
		{"a destroyed id", destroyed, true, false},
		{"an invented id, signed", c.holding(invented), true, false},
		{"a short id, signed", c.holding("x"), true, false},
		{"an invented id under another's signature", swapped, false, false},
		{"a forged signature", forged, false, true},
		{"no signature", unsigned, false, true},
	}
}

func TestForeignIDsAreNeverAdopted(t *testing.T) {
	acts := routes{
		"set": lateActs["set"], "save": lateActs["save"], "update": lateActs["update"],
		"forcesave": lateActs["forcesave"], "regenerate": lateActs["regenerate"], "setcookie": lateActs["setcookie"],
		"readandset": func(_ *fiber.Ctx, s sess.Session) error {
			sess.Get[string](s, "user")
			sess.Set(s, "late", true)
			return nil
		},
	}
	for _, deferred := range []bool{false, true} {
		for act := range acts {
			t.Run(fmt.Sprintf("defer %v, %s", deferred, act), func(t *testing.T) {
				store := newSpyStore()
				victim := newClient(routed(sess.Config{Store: store, Defer: deferred, AllowEmpty: true}, acts))
				for _, c := range strangers(victim) {
					presented := c.id()
					store.count()
					r := c.get("/" + act)
					wantReply(t, c.what, r, 200, "")
					if len(r.setCookie) > 0 && c.id() == presented {
						t.Errorf("%s: got a cookie with the presented id, want a new one", c.what)
					}
					if reads := store.count("get"); reads > 0 && !c.signed {
						t.Errorf("%s: got %d reads of the store, want 0", c.what, reads)
					}
					id, err := sess.ParseID(presented)
					if err != nil {
						t.Fatal(err)
					}
					kept, err := store.kept.Get(t.Context(), id)
					if _, late := kept.Raw("late"); late || c.live != (err == nil) {
						t.Errorf("%s: got %v, %v under the presented id, want it untouched", c.what, kept, err)
					}
				}
			})
		}
	}
}

func TestAnExpiredIDIsNeverAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(routed(sess.Config{TTL: time.Hour}, lateActs))
		c.get("/login")
		expired := c.id()
		time.Sleep(time.Hour)
		wantReply(t, "a request with an expired id", c.get("/set"), 200, "")
		if c.id() == expired {
			t.Error("the id after a write to an expired session: got the expired one, want a new one")
		}
		wantReply(t, "the expired id", c.holding(expired).get("/user"), 200, "")
	})
}

func TestABadSignatureCostsNoStoreCall(t *testing.T) {
	store := newSpyStore()
	c := newClient(routed(sess.Config{Store: store}, nil))
	c.get("/login")
	store.count()
	for _, name := range []string{"koa.sid", "koa.sid.sig"} {
		for i := range len(c.jar[name]) * 8 {
			bad := c.twin()
			flipped := []byte(c.jar[name])
			if flipped[i/8] ^= 1 << (i % 8); flipped[i/8] == 0 || flipped[i/8] == '\n' || flipped[i/8] == '\r' {
				continue
			}
			bad.jar[name] = string(flipped)
			r := bad.get("/user")
			wantReply(t, fmt.Sprintf("bit %d of %s flipped", i, name), r, http.StatusOK, "")
			wantNoCookie(t, "a forged cookie", r)
		}
	}
	if n := store.count(); n != 0 {
		t.Errorf("store calls for forged cookies: got %d, want 0", n)
	}
}
