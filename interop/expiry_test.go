package interop

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess"
)

// change makes a visitor's session change in one of the two apps.
var change = map[string]func(v *visitor){
	"Koa": func(v *visitor) { v.koa(`ctx.session.n = (ctx.session.n || 0) + 1`) },
	"sess": func(v *visitor) {
		v.sess(func(s sess.Session) any { sess.Update(s, "n", func(n int, _ bool) int { return n + 1 }); return nil })
	},
}

func TestBothGiveASessionTheSameTTL(t *testing.T) {
	for name, tt := range map[string]struct {
		setup setup
		want  int // seconds
	}{
		"maxAge of a day": {setup{}, 86400},
		"another maxAge": {setup{
			koaOptions: map[string]any{"cookie": map[string]any{"maxAge": 1_800_000}},
			config:     func(c *sess.Config) { c.Cookie.MaxAge = 30 * time.Minute },
		}, 1800},
		"ttl beside maxAge": {setup{
			koaOptions: map[string]any{"ttl": 600_000},
			config:     func(c *sess.Config) { c.TTL = 10 * time.Minute },
		}, 600},
	} {
		w := newWorld(t, tt.setup)
		for first := range change {
			v := w.visitor()
			change[first](v)
			v.wantTTL(fmt.Sprintf("%s: TTL of a session begun in %s", name, first), tt.want)
			for second := range change {
				w.redis.Do("EXPIRE", v.key(), "100")
				change[second](v)
				v.wantTTL(fmt.Sprintf("%s: TTL of a session begun in %s after the save of %s", name, first, second), tt.want)
			}
		}
	}
}

func TestCookieOptionsOfASessionHoldInBoth(t *testing.T) {
	expires := time.Now().Add(2 * time.Hour).UTC().Truncate(time.Millisecond)
	set := map[string]func(v *visitor){
		"Koa": func(v *visitor) {
			v.koa(`Object.assign(ctx.session.cookie, { maxAge: 90000, httpOnly: false, sameSite: 'strict' })`)
		},
		"sess": func(v *visitor) {
			v.sess(func(s sess.Session) any {
				c := s.Cookie()
				c.MaxAge, c.DangerouslyScriptReadable, c.SameSite = 90*time.Second, true, sess.SameSiteStrict
				if err := s.SetCookie(c); err != nil {
					t.Errorf("SetCookie: got the error %v, want nil", err)
				}
				return nil
			})
		},
	}
	setExpires := map[string]func(v *visitor){
		"Koa": func(v *visitor) {
			v.koa(fmt.Sprintf(`ctx.session.cookie.maxAge = null; ctx.session.cookie.expires = new Date(%d)`, expires.UnixMilli()))
		},
		"sess": func(v *visitor) {
			v.sess(func(s sess.Session) any {
				c := s.Cookie()
				c.MaxAge, c.Expires = 0, expires
				if err := s.SetCookie(c); err != nil {
					t.Errorf("SetCookie: got the error %v, want nil", err)
				}
				return nil
			})
		},
	}
	w := newWorld(t, setup{})
	for setter := range set {
		v := w.visitor()
		change["Koa"](v)
		set[setter](v)
		for saver := range change {
			what := fmt.Sprintf("set in %s, saved in %s: ", setter, saver)
			got := parse(t, answerOf(v, saver))["koa.sid"]
			v.wantTTL(what+"TTL", 90)
			wantEqual(t, what+"httponly", got.HttpOnly, false)
			wantEqual(t, what+"samesite", got.SameSite, http.SameSiteStrictMode)
			if d := time.Until(ends(got)); d < 60*time.Second || d > 91*time.Second {
				t.Errorf("%send of the cookie: got it in %v, want it in 90s", what, d)
			}
		}
		v = w.visitor()
		change["Koa"](v)
		setExpires[setter](v)
		for saver := range change {
			what := fmt.Sprintf("expires set in %s, saved in %s: ", setter, saver)
			got := parse(t, answerOf(v, saver))["koa.sid"]
			if d := ends(got).Sub(expires).Abs(); d > 30*time.Second {
				t.Errorf("%send of the cookie: got it %v off, want it at expires", what, d)
			}
			left := time.Duration(w.redis.Do("PTTL", v.key()).(int64)) * time.Millisecond
			if d := left - time.Until(expires); d < -time.Millisecond || d > 5*time.Second {
				t.Errorf("%sTTL: got it %v off, want it at expires", what, d)
			}
			wantEqual(t, what+"expires in the record", member(t, member(t, v.record(), "cookie"), "expires"),
				`"`+expires.Format("2006-01-02T15:04:05.000Z")+`"`)
			isDate := v.koa(`return ctx.session.cookie.expires instanceof Date`)
			wantEqual(t, what+"a Date in Koa", isDate.body, "true")
		}
	}
}

// answerOf changes the session in one of the apps and returns the answer.
func answerOf(v *visitor, app string) answer {
	if app == "Koa" {
		return v.koa(`ctx.session.n = (ctx.session.n || 0) + 1`)
	}
	return v.sess(func(s sess.Session) any { sess.Update(s, "n", func(n int, _ bool) int { return n + 1 }); return nil })
}

func TestRollingInOneRenewsTheSessionForBoth(t *testing.T) {
	w := newWorld(t, setup{
		koaOptions: map[string]any{"rolling": true},
		config:     func(c *sess.Config) { c.Rolling, c.RollingAlways = true, true },
	})
	read := map[string]func(v *visitor) answer{
		"Koa":  func(v *visitor) answer { return v.koa(`return 1`) },
		"sess": func(v *visitor) answer { return v.sess(func(s sess.Session) any { return s.Exists() }) },
	}
	for reader := range read {
		v := w.visitor()
		change["Koa"](v)
		before := v.record()
		w.redis.Do("EXPIRE", v.key(), "100")
		got := read[reader](v)
		v.wantTTL("TTL after a read in "+reader, 86400)
		wantEqual(t, "cookies after a read in "+reader, len(got.setCookies), 2)
		if reader == "Koa" {
			wantEqual(t, "record after a read in Koa", v.record(), before)
		}
	}
}

// Without maxAge, expires and ttl Koa keeps a record for ever. sess reads it, and gives it an end when it saves.
func TestARecordThatKoaKeepsForEverGetsAnEnd(t *testing.T) {
	w := newWorld(t, setup{koaOptions: map[string]any{"cookie": map[string]any{"maxAge": nil}}})
	v := w.visitor()
	got := v.koa(`ctx.session.n = 1`)
	v.wantTTL("TTL of Koa", forever)
	if strings.Contains(joined(got), "expires") {
		t.Error("cookie of Koa: got one with an end, want one that ends with the browser")
	}
	got = v.sess(func(s sess.Session) any { n, _ := sess.Get[int](s, "n"); return n })
	wantEqual(t, "n in sess", got.body, "1")
	got = v.sess(func(s sess.Session) any { sess.Set(s, "n", 2); return nil })
	v.wantTTL("TTL of sess", 86400)
	for name, c := range parse(t, got) {
		if !ends(c).IsZero() {
			t.Errorf("%s of sess: got one with an end, want one that ends with the browser", name)
		}
	}
}
