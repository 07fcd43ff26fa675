package interop

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess"
)

func TestASessionBegunInKoaGoesOnInSess(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()

	v.koa(`ctx.session.user = 'ada'; ctx.session.count = 1`)
	id := v.cookie("koa.sid")
	got := v.sess(func(s sess.Session) any {
		user, _ := sess.Get[string](s, "user")
		sess.Update(s, "count", func(n int, _ bool) int { return n + 1 })
		return []any{user, s.Exists(), s.ID().Value() == id}
	})
	wantEqual(t, "user, exists and the same id in sess", got.body, `["ada",true,true]`)
	got = v.koa(`ctx.session.count++; return [ctx.session.user, ctx.session.count, ctx.sessionId]`)
	wantEqual(t, "user, count and id in Koa afterwards", got.body, `["ada",3,"`+id+`"]`)
	wantEqual(t, "cookie options in the record", member(t, v.record(), "cookie"),
		`{"httpOnly":true,"path":"/","overwrite":true,"signed":true,"maxAge":86400000}`)
}

func TestASessionBegunInSessGoesOnInKoa(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()

	v.sess(func(s sess.Session) any { sess.Set(s, "user", "ada"); sess.Set(s, "count", 1); return nil })
	id := v.cookie("koa.sid")
	got := v.koa(`ctx.session.count++; return [ctx.session.user, ctx.session.count, ctx.sessionId]`)
	wantEqual(t, "user, count and id in Koa", got.body, `["ada",2,"`+id+`"]`)
	wantEqual(t, "cookie after Koa's save", v.cookie("koa.sid"), id)
	got = v.sess(func(s sess.Session) any { n, ok := sess.Get[int](s, "count"); return []any{n, ok} })
	wantEqual(t, "count in sess afterwards", got.body, `[2,true]`)
}

// Koa re-sends the cookie from the record's own cookie object. Without one it sends an unsigned cookie and keeps the
// record for ever.
func TestKoaSavesASessSessionSignedAndWithATTL(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()
	v.sess(func(s sess.Session) any { sess.Set(s, "n", 1); return nil })

	got := v.koa(`ctx.session.n = 2`)
	wantEqual(t, "Set-Cookie lines of Koa's save", len(got.setCookies), 2)
	for _, line := range got.setCookies {
		for _, want := range []string{"path=/;", "expires=", "httponly"} {
			if !strings.Contains(line, want) {
				t.Errorf("Set-Cookie of Koa's save: got one without %q, want all attributes", want)
			}
		}
	}
	v.wantTTL("TTL after Koa's save", 86400)
}

func TestValuesOfEveryKindArriveOnTheOtherSide(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()
	type item struct {
		Name  string   `json:"name"`
		Tags  []string `json:"tags"`
		Price float64  `json:"price"`
		Next  *item    `json:"next"`
	}
	want := item{"ünïcödé \u2028 \"<&>\"", []string{"", "😀"}, 0.1, &item{Name: "inner", Tags: []string{}}}

	v.koa(`ctx.session.cart = { name: 'ünïcödé \u2028 "<&>"', tags: ['', '😀'], price: 0.1,
		next: { name: 'inner', tags: [], price: 0, next: null } };
		ctx.session.yes = true; ctx.session.none = null; ctx.session[''] = 'empty key'; ctx.session['ключ'] = -1.5e-7`)
	v.sess(func(s sess.Session) any {
		got, ok := sess.Get[item](s, "cart")
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("cart in sess: got %+v (%v), want %+v", got, ok, want)
		}
		yes, _ := sess.Get[bool](s, "yes")
		empty, _ := sess.Get[string](s, "")
		small, _ := sess.Get[float64](s, "ключ")
		if !yes || empty != "empty key" || small != -1.5e-7 || !s.Has("none") {
			t.Errorf("values in sess: got %v, %q, %v, %v, want true, \"empty key\", -1.5e-07, true", yes, empty, small, s.Has("none"))
		}
		sess.Set(s, "back", want)
		sess.Set(s, "when", time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC))
		return nil
	})
	got := v.koa(`return [JSON.stringify(ctx.session.back) === JSON.stringify(ctx.session.cart),
		new Date(ctx.session.when).getTime() === Date.UTC(2026, 0, 2, 3, 4, 5, 678)]`)
	wantEqual(t, "what sess wrote equals what Koa wrote", got.body, "[true,true]")
}

// JavaScript has no integers beyond 2^53, and no way to keep the digits it cannot hold: when Koa saves, it rounds
// every number of the session. docs/from-koa.md says to store such numbers as strings.
func TestKoaRoundsWhatJavaScriptCannotHold(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()
	const big, safe = 1<<53 + 1, 1<<53 - 1

	v.sess(func(s sess.Session) any {
		sess.Set(s, "big", int64(big))
		sess.Set(s, "safe", int64(safe))
		sess.Set(s, "text", "9007199254740993")
		return nil
	})
	v.sess(func(s sess.Session) any { sess.Set(s, "other", 1); return nil })
	wantEqual(t, "beyond 2^53 while only sess saves", member(t, v.record(), "big"), "9007199254740993")
	v.koa(`ctx.session.other = 2`)
	wantEqual(t, "beyond 2^53 after Koa's save", member(t, v.record(), "big"), "9007199254740992")
	wantEqual(t, "within 2^53 after Koa's save", member(t, v.record(), "safe"), "9007199254740991")
	wantEqual(t, "as a string after Koa's save", member(t, v.record(), "text"), `"9007199254740993"`)
}

func TestWhatNeitherSideKnowsIsKept(t *testing.T) {
	const record = `{"cookie":{"httpOnly":true,"path":"/","overwrite":true,"signed":true,"maxAge":86400000,"priority":"high",` +
		`"later":{"v":[1]}},"$":{"c":1700000000000,"later":[true]},"unknown":{"deep":[{"a":1}]},"n":1}`
	w := newWorld(t, setup{})
	v := w.visitor()
	v.koa(`ctx.session.n = 1`)
	w.redis.Do("SET", v.key(), record, "PX", "60000")

	v.sess(func(s sess.Session) any { sess.Set(s, "n", 2); return nil })
	check := func(who string) {
		t.Helper()
		wantEqual(t, "unknown key after the save of "+who, member(t, v.record(), "unknown"), `{"deep":[{"a":1}]}`)
		cookie := member(t, v.record(), "cookie")
		wantEqual(t, "unknown cookie attribute after the save of "+who, member(t, cookie, "later"), `{"v":[1]}`)
		wantEqual(t, "priority after the save of "+who, member(t, cookie, "priority"), `"high"`)
		if header := member(t, v.record(), "$"); !strings.Contains(header, "1700000000000") {
			t.Errorf("creation time after the save of %s: got %s, want 1700000000000 in it", who, header)
		}
	}
	check("sess")
	v.koa(`ctx.session.n = 3`)
	check("Koa")
	wantEqual(t, "n", member(t, v.record(), "n"), "3")
}

func TestALogoutInOneEndsTheSessionInTheOther(t *testing.T) {
	logouts := map[string]func(v *visitor){
		"Koa":  func(v *visitor) { v.koa(`ctx.session = null`) },
		"sess": func(v *visitor) { v.sess(func(s sess.Session) any { s.Destroy(); return nil }) },
	}
	w := newWorld(t, setup{})
	for name, logout := range logouts {
		v := w.visitor()
		v.koa(`ctx.session.user = 'ada'`)
		key, thief := v.key(), v.twin()
		logout(v)
		wantEqual(t, "cookie after the logout in "+name, v.cookie("koa.sid")+v.cookie("koa.sid.sig"), "")
		if left := w.redis.Do("GET", key); left != nil {
			t.Errorf("record after the logout in %s: got one, want none", name)
		}
		// A copy of the cookies is worth nothing on either side, and its id is not taken over.
		got := thief.sess(func(s sess.Session) any { return []any{s.Exists(), s.Has("user")} })
		wantEqual(t, "session of a copied cookie in sess after the logout in "+name, got.body, "[false,false]")
		wantEqual(t, "cookies of sess for a session that ended in "+name, len(got.setCookies), 0)
		got = thief.koa(`ctx.session.n = 1; return ctx.session.user ?? null`)
		wantEqual(t, "user of a copied cookie in Koa after the logout in "+name, got.body, "null")
		if thief.key() == key {
			t.Errorf("id after the logout in %s: got the old one, want a new one", name)
		}
	}
}

func TestRegenerateInOneIsFollowedByTheOther(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()
	v.koa(`ctx.session.user = 'ada'`)
	first := v.key()

	v.sess(func(s sess.Session) any { s.Regenerate(); return nil })
	second := v.key()
	if second == first {
		t.Fatal("id after Regenerate: got the old one, want a new one")
	}
	if left := w.redis.Do("GET", first); left != nil {
		t.Errorf("record under the old id: got one, want none: Koa would take a tombstone for a session")
	}
	wantEqual(t, "user in Koa", v.koa(`return ctx.session.user`).body, `"ada"`)

	v.koa(`const { user } = ctx.session; await ctx.regenerateSession(); ctx.session.user = user`)
	if v.key() == second || v.key() == first {
		t.Fatal("id after regenerateSession: got an old one, want a new one")
	}
	got := v.sess(func(s sess.Session) any { user, _ := sess.Get[string](s, "user"); return user })
	wantEqual(t, "user in sess", got.body, `"ada"`)
}

func TestTheFirstKoaSessIsServedToo(t *testing.T) {
	w := newWorld(t, setup{koaSess: true})
	v := w.visitor()
	v.koa(`ctx.session.user = 'ada'`)
	got := v.sess(func(s sess.Session) any {
		sess.Set(s, "n", 1)
		user, _ := sess.Get[string](s, "user")
		return user
	})
	wantEqual(t, "user in sess", got.body, `"ada"`)
	v.wantTTL("TTL after the save of sess", 86400)
	got = v.koa(`ctx.session.n++; ctx.session.cookie.maxAge = 90000; return [ctx.session.user, ctx.session.n]`)
	wantEqual(t, "user and n in koa-sess", got.body, `["ada",2]`)
	v.sess(func(s sess.Session) any { sess.Set(s, "n", 3); return nil })
	v.wantTTL("TTL after a save with koa-sess's own maxAge", 90)
}

func TestSessionsOutliveKoa(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()
	v.koa(`ctx.session.n = 1`)
	id := v.cookie("koa.sid")

	w.sess = w.startSess(setup{koaIsGone: true, config: func(c *sess.Config) {
		c.Keys = []sess.Key{sess.SHA256Key(appKeys[0]), sess.SHA1Key(appKeys[0])}
	}})
	got := v.sess(func(s sess.Session) any { n, _ := sess.Get[int](s, "n"); return n })
	wantEqual(t, "n", got.body, "1")
	wantEqual(t, "id", v.cookie("koa.sid"), id)
	wantEqual(t, "length of the new signature", len(v.cookie("koa.sid.sig")), 43)
	v.sess(func(s sess.Session) any { sess.Set(s, "n", 2); return nil })
	wantEqual(t, "n in Redis", member(t, v.record(), "n"), "2")
	v.wantTTL("TTL", 86400)
}

// The near cache hears from Redis when Koa writes, and shows it within MaxStale, one second by default.
func TestANearCacheShowsWhatKoaWrote(t *testing.T) {
	w := newWorld(t, setup{near: true})
	v := w.visitor()
	v.koa(`ctx.session.n = 1`)
	read := func(s sess.Session) any { n, _ := sess.Get[int](s, "n"); return n }
	wantEqual(t, "n in sess", v.sess(read).body, "1")

	v.koa(`ctx.session.n = 2`)
	within(t, time.Second, "n in sess after Koa's change", func() bool { return v.sess(read).body == "2" })
	v.koa(`ctx.session.n = 3`)
	got := v.sess(func(s sess.Session) any { s.Refresh(); return read(s) })
	wantEqual(t, "n in sess after Refresh", got.body, "3")

	other := v.twin()
	v.koa(`ctx.session = null`)
	within(t, time.Second, "the end of the session in sess after Koa's logout", func() bool {
		return other.sess(func(s sess.Session) any { return s.Exists() }).body == "false"
	})
}

// within waits until cond holds, which it must before d has passed.
func within(t *testing.T, d time.Duration, what string, cond func() bool) {
	t.Helper()
	for start := time.Now(); ; {
		began := time.Now()
		if cond() {
			return
		}
		if began.Sub(start) > d {
			t.Fatalf("%s: got nothing of it for %v, want it by then", what, d)
		}
	}
}
