package sess_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
)

// day is a day, in which a session of no settings ends.
const day = 24 * time.Hour

func setN(s sess.Session) { sess.Set(s, "n", 1) }

// own gives a session cookie options of its own, beside a value.
func own(t *testing.T, c func() sess.Cookie) func(sess.Session) {
	return func(s sess.Session) {
		sess.Set(s, "n", 1)
		if err := s.SetCookie(c()); err != nil {
			t.Errorf("SetCookie: got %v, want no error", err)
		}
	}
}

func TestASessionEndsWhenItsSettingsSay(t *testing.T) {
	always := func(d time.Duration) func(sess.Session) time.Duration {
		return func(sess.Session) time.Duration { return d }
	}
	for _, c := range []struct {
		name   string
		config sess.Config
		do     func(sess.Session) // nil: setN
		want   time.Duration
		maxAge int // of the cookies, in seconds; 0: a browser session
	}{
		{name: "nothing set", want: day},
		{name: "TTL", config: sess.Config{TTL: time.Hour}, want: time.Hour},
		{name: "TTL of a fraction of a second", config: sess.Config{TTL: 1500 * time.Millisecond, Cookie: sess.Cookie{MaxAge: time.Hour}}, want: 1500 * time.Millisecond, maxAge: 2},
		{name: "the shortest TTL", config: sess.Config{TTL: time.Millisecond, Cookie: sess.Cookie{MaxAge: time.Hour}}, want: time.Millisecond, maxAge: 1},
		{name: "the longest TTL", config: sess.Config{TTL: 100 * 365 * day, Cookie: sess.Cookie{MaxAge: time.Hour}}, want: 100 * 365 * day, maxAge: 400 * 86400},
		{name: "MaxAge", config: sess.Config{Cookie: sess.Cookie{MaxAge: 90 * time.Minute}}, want: 90 * time.Minute, maxAge: 5400},
		{name: "TTL and MaxAge", config: sess.Config{TTL: time.Hour, Cookie: sess.Cookie{MaxAge: 2 * time.Hour}}, want: time.Hour, maxAge: 3600},
		{name: "TTLFunc", config: sess.Config{TTLFunc: always(time.Hour)}, want: time.Hour},
		{name: "TTLFunc leaves it to MaxAge", config: sess.Config{TTLFunc: always(0), Cookie: sess.Cookie{MaxAge: time.Hour}}, want: time.Hour, maxAge: 3600},
		{name: "TTLFunc leaves it to nobody", config: sess.Config{TTLFunc: always(0)}, want: day},
		{name: "TTLFunc is huge", config: sess.Config{TTLFunc: always(math.MaxInt64)}, want: 100 * 365 * day},
		{name: "TTLFunc gives less than a millisecond more than one", config: sess.Config{TTLFunc: always(time.Hour + 1)}, want: time.Hour + time.Millisecond},
		{name: "TTLFunc gives a part of a millisecond", config: sess.Config{TTLFunc: always(time.Hour + time.Microsecond)}, want: time.Hour + time.Millisecond},
		{name: "its own MaxAge of less than a second more", do: own(t, func() sess.Cookie { return sess.Cookie{MaxAge: time.Hour - 1} }), want: time.Hour, maxAge: 3600},
		{name: "its own MaxAge", do: own(t, func() sess.Cookie { return sess.Cookie{MaxAge: time.Hour} }), want: time.Hour, maxAge: 3600},
		{name: "its own Expires", do: own(t, func() sess.Cookie { return sess.Cookie{Expires: time.Now().Add(time.Hour)} }), want: time.Hour, maxAge: 3600},
		{name: "its own Expires before its MaxAge", do: own(t, func() sess.Cookie {
			return sess.Cookie{Expires: time.Now().Add(time.Hour), MaxAge: time.Minute}
		}), want: time.Hour, maxAge: 3600},
		{name: "its own MaxAge, but TTL", config: sess.Config{TTL: time.Minute}, do: own(t, func() sess.Cookie { return sess.Cookie{MaxAge: time.Second} }), want: time.Minute, maxAge: 60},
		{name: "its own Expires, but TTLFunc", config: sess.Config{TTLFunc: always(time.Minute)}, do: own(t, func() sess.Cookie {
			return sess.Cookie{Expires: time.Now().Add(time.Hour)}
		}), want: time.Minute, maxAge: 60},
		{name: "Lifetime", config: sess.Config{Lifetime: time.Hour, Cookie: sess.Cookie{MaxAge: 2 * time.Hour}}, want: time.Hour, maxAge: 3600},
		{name: "Lifetime longer than the rest", config: sess.Config{Lifetime: time.Hour, TTL: time.Minute}, want: time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				do := c.do
				if do == nil {
					do = setN
				}
				b := newSite(t, c.config).browser(t)
				r := b.visit(do)
				for name, cookie := range r.cookies {
					if cookie.MaxAge != c.maxAge || !cookie.Expires.IsZero() {
						t.Errorf("%s: got Max-Age %d and Expires %v, want %d and none", name, cookie.MaxAge, cookie.Expires, c.maxAge)
					}
				}
				r.wantCookies(t, "saved")
				time.Sleep(c.want - time.Millisecond)
				wantValue(b, "n", 1)
				time.Sleep(time.Millisecond)
				wantNone(b, "n")
			})
		})
	}
}

func TestASessionToldToEndBySettingsIsDestroyed(t *testing.T) {
	over := false
	for name, c := range map[string]struct {
		config sess.Config
		do     func(sess.Session)
	}{
		"TTLFunc is negative": {sess.Config{TTLFunc: func(sess.Session) time.Duration {
			if over {
				return -1
			}
			return time.Hour
		}}, func(s sess.Session) { over = true; sess.Set(s, "n", 2) }},
		"its own Expires has passed": {sess.Config{}, func(s sess.Session) {
			if err := s.SetCookie(sess.Cookie{Expires: time.Now().Add(-time.Hour)}); err != nil {
				t.Errorf("SetCookie: got %v, want no error", err)
			}
		}},
		"its own Expires was before there were computers": {sess.Config{}, func(s sess.Session) {
			if err := s.SetCookie(sess.Cookie{Expires: time.Unix(-1<<40, 0)}); err != nil {
				t.Errorf("SetCookie: got %v, want no error", err)
			}
		}},
	} {
		over = false
		site := newSite(t, c.config)
		b := site.browser(t)
		b.visit(setN)
		b.visit(c.do)
		if b.id() != "" || site.store.Len() != 0 {
			t.Errorf("%s: got cookie %v and %d records, want the session ended", name, b.id() != "", site.store.Len())
		}
		r := site.browser(t).visit(func(s sess.Session) { setN(s); c.do(s) })
		r.forbidCookie(t, name+", on a new session")
		if n := site.store.Len(); n != 0 {
			t.Errorf("%s, on a new session: got %d records, want none", name, n)
		}
	}
}

func TestReadingDoesNotProlongAndSavingDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSite(t, sess.Config{TTL: time.Hour}).browser(t)
		b.visit(setN)
		time.Sleep(50 * time.Minute)
		wantValue(b, "n", 1)
		b.visit(func(s sess.Session) { sess.Set(s, "n", 2) })
		time.Sleep(59 * time.Minute)
		wantValue(b, "n", 2)
		time.Sleep(time.Minute)
		wantNone(b, "n")
	})
}

func TestLifetimeHoldsHoweverOftenASessionIsSavedRenewedOrRegenerated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSite(t, sess.Config{TTL: time.Hour, Lifetime: 2 * time.Hour, Rolling: true}).browser(t)
		b.visit(setN)
		for i := range 11 {
			time.Sleep(10 * time.Minute)
			b.visit(func(s sess.Session) {
				sess.Set(s, "i", i)
				if i == 5 {
					s.Regenerate()
				}
			})
			b.get("/")
		}
		time.Sleep(10*time.Minute - time.Millisecond)
		wantValue(b, "n", 1)
		time.Sleep(time.Millisecond)
		wantNone(b, "n")
	})
}

func TestRollingRenewsRecordAndCookieOnceItsThresholdHasPassed(t *testing.T) {
	cookie := sess.Cookie{MaxAge: time.Hour}
	for _, c := range []struct {
		name      string
		config    sess.Config
		threshold time.Duration
	}{
		{"a tenth by default", sess.Config{Rolling: true, Cookie: cookie}, 6 * time.Minute},
		{"half", sess.Config{Rolling: true, RollingThreshold: 0.5, Cookie: cookie}, 30 * time.Minute},
		{"deferred", sess.Config{Rolling: true, Cookie: cookie, Defer: true}, 6 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				site := newSite(t, c.config)
				b := site.browser(t)
				b.visit(setN)
				for range 20 {
					site.store.calls()
					time.Sleep(c.threshold - time.Millisecond)
					b.visit(func(s sess.Session) { s.Keys() }).forbidCookie(t, "before the threshold")
					site.store.wantCalls(t, "before the threshold", 1, 0)
					time.Sleep(time.Millisecond)
					r := b.visit(func(s sess.Session) { s.Keys() })
					r.wantCookies(t, "at the threshold")
					if got := r.cookies["koa.sid"].MaxAge; got != 3600 {
						t.Errorf("got Max-Age %d, want 3600", got)
					}
					site.store.wantCalls(t, "at the threshold", 1, 1)
				}
				time.Sleep(time.Hour - time.Millisecond)
				wantValue(b, "n", 1)
				time.Sleep(time.Hour)
				wantNone(b, "n")
			})
		})
	}
}

func TestRollingIsForSessionsThatAreUsedAndFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newSite(t, sess.Config{Rolling: true, RollingAlways: true, Defer: true})
		b := site.browser(t)
		b.visit(setN)
		site.store.calls()
		time.Sleep(time.Hour)
		b.get("/").forbidCookie(t, "deferred and untouched")
		site.store.wantCalls(t, "deferred and untouched", 0, 0)

		site = newSite(t, sess.Config{Rolling: true, RollingAlways: true})
		b = site.browser(t)
		b.carry(inventedID)
		b.get("/").forbidCookie(t, "unknown")
		site.store.wantCalls(t, "unknown", 1, 0)
		b = site.browser(t)
		b.visit(setN)
		time.Sleep(time.Hour)
		b.handle("GET", "/", func(c *fiber.Ctx) error { sess.From(c).Discard(); return nil }).forbidCookie(t, "discarded")
	})
}

func TestARecordPastItsOwnEndIsNoSession(t *testing.T) {
	var expired int
	site := newSite(t, sess.Config{Hooks: sess.Hooks{Expired: func(sess.Event) { expired++ }}})
	site.store.keep(t, inventedID, `{"n":1,"$":{"c":1000,"e":2000}}`)
	b := site.browser(t)
	b.carry(inventedID)
	wantNone(b, "n")
	if expired != 1 {
		t.Errorf("got %d Expired events, want 1", expired)
	}
}

func TestARecordWithoutACreationTimeIsCountedFromItsFirstLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newSite(t, sess.Config{Lifetime: 10 * time.Minute})
		site.store.keep(t, inventedID, `{"n":1}`)
		b := site.browser(t)
		b.carry(inventedID)
		time.Sleep(30 * time.Minute)
		b.visit(func(s sess.Session) { sess.Set(s, "m", 1) })
		time.Sleep(10*time.Minute - time.Millisecond)
		wantValue(b, "n", 1)
		time.Sleep(time.Millisecond)
		wantNone(b, "n")
	})
}

func TestASessionsOwnCookieOptionsHoldForEveryLaterCookieOfIt(t *testing.T) {
	b := newSite(t, sess.Config{}).browser(t)
	b.visit(own(t, func() sess.Cookie {
		return sess.Cookie{MaxAge: time.Hour, Domain: "shop.test", SameSite: sess.SameSiteStrict, Secure: sess.SecureAlways}
	}))
	r := b.visit(func(s sess.Session) {
		sess.Set(s, "n", 2)
		if got := s.Cookie(); got.MaxAge != time.Hour || got.Domain != "shop.test" || got.Name != "koa.sid" {
			t.Errorf("Cookie: got %+v, want the session's own", got)
		}
	})
	for name, c := range r.cookies {
		if c.MaxAge < 3599 || c.Domain != "shop.test" || c.SameSite != http.SameSiteStrictMode || !c.Secure {
			t.Errorf("%s: got %q, want the session's own attributes", name, c.Raw)
		}
	}
	b.visit(func(s sess.Session) {
		if err := s.SetCookie(sess.Cookie{Path: "no path"}); err == nil {
			t.Error("SetCookie of a bad path: got no error, want one")
		}
		if got := s.Cookie().Domain; got != "shop.test" {
			t.Errorf("after a refused SetCookie: got domain %q, want the one before", got)
		}
	}).forbidCookie(t, "a refused SetCookie")
}

// TestLifetimeEndsWhatKoaBegan: a record without a beginning, that is only read, must not live for ever.
func TestLifetimeEndsWhatKoaBegan(t *testing.T) {
	for name, config := range map[string]sess.Config{
		"Koa":              {Koa: true},
		"Koa, rolling":     {Koa: true, Rolling: true, RollingAlways: true},
		"foreign":          {},
		"foreign, Rolling": {Rolling: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := sess.NewMemoryStore()
				id, err := sess.ParseID("a-session-of-koa-of-32-characters")
				if err != nil {
					t.Fatal(err)
				}
				r, err := sess.ParseRecord(`{"cookie":{"path":"/","maxAge":86400000},"user":"ann"}`)
				if err != nil {
					t.Fatal(err)
				}
				if err := store.Set(t.Context(), id, r.WithExpires(time.Now().Add(24*time.Hour)), 24*time.Hour); err != nil {
					t.Fatal(err)
				}
				config.Store, config.Lifetime = store, time.Hour
				c := newClient(routed(config, nil)).holding(id.Value())
				if config.Koa {
					mac := hmac.New(sha1.New, []byte(clientKey))
					mac.Write([]byte("koa.sid=" + id.Value()))
					c.jar["koa.sid.sig"] = base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
				}
				for minutes := 0; minutes < 60; minutes += 20 {
					wantReply(t, fmt.Sprintf("after %d minutes", minutes), c.get("/user"), 200, "ann")
					time.Sleep(20 * time.Minute)
				}
				wantReply(t, "after an hour", c.get("/user"), 200, "")
			})
		})
	}
}

// TestARecordWithoutRoomForItsEndIsRenewedAllTheSame: by the store's TTL alone.
func TestARecordWithoutRoomForItsEndIsRenewedAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sess.NewMemoryStore()
		id, err := sess.ParseID("a-session-of-koa-of-32-characters")
		if err != nil {
			t.Fatal(err)
		}
		text := `{"user":"ann","x":"` + strings.Repeat("x", 980-22) + `"}`
		r, err := sess.ParseRecord(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Set(t.Context(), id, r.WithExpires(time.Now().Add(time.Hour)), time.Hour); err != nil {
			t.Fatal(err)
		}
		config := sess.Config{Store: store, TTL: time.Hour, Rolling: true, RollingAlways: true, MaxRecordBytes: len(text)}
		c := newClient(routed(config, nil)).holding(id.Value())
		for range 4 {
			time.Sleep(40 * time.Minute)
			wantReply(t, "a session in use", c.get("/user"), 200, "ann")
		}
		time.Sleep(61 * time.Minute)
		wantReply(t, "an hour after the last use", c.get("/user"), 200, "")
	})
}

// A browser that is told of each renewal would otherwise miss one that falls into the millisecond of a save.
func TestRollingAlwaysRenewsOnEveryRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newSite(t, sess.Config{Rolling: true, RollingAlways: true, Cookie: sess.Cookie{MaxAge: time.Hour}})
		b := site.browser(t)
		b.visit(setN)
		for range 3 {
			b.visit(func(s sess.Session) { s.Keys() }).wantCookies(t, "in the same millisecond")
			time.Sleep(time.Millisecond)
			b.visit(func(s sess.Session) { s.Keys() }).wantCookies(t, "a millisecond later")
		}
	})
}

func TestACookieThatWouldOutliveItsSessionIsRefused(t *testing.T) {
	for name, config := range map[string]sess.Config{"TTL": {TTL: 30 * time.Minute}, "Lifetime": {Lifetime: 30 * time.Minute}} {
		newSite(t, config).browser(t).visit(func(s sess.Session) {
			for _, c := range []sess.Cookie{{MaxAge: time.Hour}, {Expires: time.Now().Add(time.Hour)}} {
				if err := s.SetCookie(c); err == nil || !strings.Contains(fmt.Sprintf("%+v", err), "Config."+name) {
					t.Errorf("%s of 30 minutes, cookie of an hour: got %+v, want an error that names Config.%s", name, err, name)
				}
			}
			if err := s.SetCookie(sess.Cookie{MaxAge: 20 * time.Minute}); err != nil {
				t.Errorf("%s of 30 minutes, cookie of 20: got %+v, want no error", name, err)
			}
		})
	}
}
