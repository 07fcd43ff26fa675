package interop

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess"
)

func TestKeygripVerifiesWhatSessSigns(t *testing.T) {
	for hash, keys := range map[string][]sess.Key{
		"sha1":   {sess.SHA1Key(appKeys[0])},
		"sha256": {sess.SHA256Key(appKeys[0])},
	} {
		w := newWorld(t, setup{koaHash: hash, config: func(c *sess.Config) { c.Keys = keys }})
		v := w.visitor()
		v.sess(func(s sess.Session) any { sess.Set(s, "n", 1); return nil })
		signed := v.koa(fmt.Sprintf(`return new Keygrip([%q], %q).sign('koa.sid=' + %q)`, appKeys[0], hash, v.cookie("koa.sid")))
		wantEqual(t, hash+": signature by sess", strconv.Quote(v.cookie("koa.sid.sig")), signed.body)
		wantEqual(t, hash+": n in Koa", v.koa(`return ctx.session.n`).body, "1")
	}
}

func TestSessVerifiesWhatKeygripSigns(t *testing.T) {
	for hash, keys := range map[string][]sess.Key{
		"sha1":   sess.Keys(appKeys...),
		"sha256": {sess.SHA256Key(appKeys[0])},
	} {
		w := newWorld(t, setup{koaHash: hash, config: func(c *sess.Config) { c.Keys = keys }})
		v := w.visitor()
		v.koa(`ctx.session.n = 1`)
		got := v.sess(func(s sess.Session) any { n, _ := sess.Get[int](s, "n"); return n })
		wantEqual(t, hash+": n in sess", got.body, "1")

		forged := v.twin()
		sig := []byte(v.cookie("koa.sid.sig"))
		sig[0] = map[bool]byte{true: 'B', false: 'A'}[sig[0] == 'A']
		forged.setCookie("koa.sid.sig", string(sig))
		got = forged.sess(func(s sess.Session) any { return s.Exists() })
		wantEqual(t, hash+": a session with a forged signature", got.body, "false")
	}
}

func TestBothSendTheSameCookie(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()
	fromKoa := parse(t, v.koa(`ctx.session.n = 1`))
	fromSess := parse(t, v.sess(func(s sess.Session) any { sess.Set(s, "n", 2); return nil }))
	wantEqual(t, "number of cookies of sess", len(fromSess), 2)
	for name, k := range fromKoa {
		s := fromSess[name]
		if s == nil {
			t.Errorf("%s: got none of sess, want one", name)
			continue
		}
		if s.Value != k.Value || s.Path != k.Path || s.Domain != k.Domain || s.HttpOnly != k.HttpOnly || s.Secure != k.Secure {
			t.Errorf("%s of sess: got another value, path, domain, httponly or secure, want Koa's", name)
		}
		if s.SameSite != http.SameSiteLaxMode {
			t.Errorf("%s of sess: got SameSite %v, want Lax", name, s.SameSite)
		}
		if d := ends(s).Sub(ends(k)).Abs(); d > 30*time.Second {
			t.Errorf("%s of sess: got an end %v from Koa's, want the same", name, d)
		}
	}
}

// Of two keys the first signs. A visitor goes back and forth while the keys are exchanged on one side and then on the
// other, and is never logged out.
func TestKeysRotateWhileBothRun(t *testing.T) {
	old, both := sess.Keys(appKeys[1], appKeys[0]), sess.Keys(appKeys...)
	for name, tt := range map[string]struct {
		koa  string
		sess []sess.Key
	}{
		"before":          {`app.keys = [keys[1], keys[0]]`, old},
		"Koa goes first":  {`app.keys = keys`, old},
		"sess goes first": {`app.keys = [keys[1], keys[0]]`, both},
		"after":           {`app.keys = keys`, both},
	} {
		w := newWorld(t, setup{config: func(c *sess.Config) { c.Keys = tt.sess }})
		w.visitor().koa(tt.koa)
		v := w.visitor()
		v.koa(`ctx.session.n = 0`)
		id := v.cookie("koa.sid")
		for i := range 4 {
			v.koa(`ctx.session.n++`)
			v.sess(func(s sess.Session) any { return s.Exists() }) // a read alone must not break anything either
			v.sess(func(s sess.Session) any {
				sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
				return nil
			})
			v.koa(`return null`)
			wantEqual(t, name+": n", member(t, v.record(), "n"), strconv.Itoa(2*i+2))
			wantEqual(t, name+": id", v.cookie("koa.sid"), id)
		}
	}
}

// Koa signs anew by a bare .sig line that ends with the browser. sess sends both cookies with all their attributes.
func TestSessSignsAnewWhatAnOldKeySigned(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()
	v.koa(`ctx.session.n = 1`)
	id := v.cookie("koa.sid")
	signed := v.koa(fmt.Sprintf(`return new Keygrip(['%s']).sign('koa.sid=%s')`, appKeys[1], id))
	oldSig, _ := strconv.Unquote(signed.body)
	newSig := v.cookie("koa.sid.sig")
	v.setCookie("koa.sid.sig", oldSig)

	got := parse(t, v.sess(func(s sess.Session) any { return s.Exists() }))
	if c := got["koa.sid.sig"]; c == nil || c.Value != newSig {
		t.Fatal("koa.sid.sig: got none or another, want the new key's signature")
	}
	for name, c := range got {
		if d := time.Until(ends(c)); d < 24*time.Hour-time.Minute || d > 24*time.Hour+time.Minute {
			t.Errorf("%s: got an end in %v, want it with the session's, in 24h", name, d)
		}
	}
	wantEqual(t, "cookies sent", len(got), 2)
}

// The way out of SHA-1: Koa takes an object of one's own as app.keys, so that it signs with SHA-256 and still accepts
// SHA-1. docs/from-koa.md has the same lines.
func TestSHA1IsLeftBehindWithoutALogout(t *testing.T) {
	w := newWorld(t, setup{config: func(c *sess.Config) {
		c.Keys = []sess.Key{sess.SHA256Key(appKeys[0]), sess.SHA1Key(appKeys[0])}
	}})
	v := w.visitor()
	v.koa(`ctx.session.n = 1`)
	id := v.cookie("koa.sid")
	wantEqual(t, "length of the first signature", len(v.cookie("koa.sid.sig")), 27)

	w.visitor().koa(`
		const sha256 = new Keygrip(keys, 'sha256')
		const sha1 = new Keygrip(keys)
		app.keys = {
			sign: data => sha256.sign(data),
			index: (data, sig) => sha256.verify(data, sig) ? 0 : sha1.verify(data, sig) ? 1 : -1
		}`)
	wantEqual(t, "n in Koa by the SHA-1 signature", v.koa(`return ctx.session.n`).body, "1")
	wantEqual(t, "length of Koa's new signature", len(v.cookie("koa.sid.sig")), 43)
	got := v.sess(func(s sess.Session) any { n, _ := sess.Get[int](s, "n"); return n })
	wantEqual(t, "n in sess by the SHA-256 signature", got.body, "1")
	v.sess(func(s sess.Session) any { sess.Set(s, "n", 2); return nil })
	wantEqual(t, "length of sess's signature", len(v.cookie("koa.sid.sig")), 43)
	wantEqual(t, "n in Koa by sess's signature", v.koa(`return ctx.session.n`).body, "2")
	wantEqual(t, "id", v.cookie("koa.sid"), id)
}

// Behind a proxy that ends TLS Koa sees plain http unless told, and then refuses to send a cookie whose record says
// secure: true. So sess must not write that on its own account.
func TestSessDoesNotMakeKoasCookieSecure(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()
	v.sess(func(s sess.Session) any { sess.Set(s, "n", 1); return nil })
	if got := member(t, member(t, v.record(), "cookie"), "secure"); got != "" {
		t.Errorf("secure in the record: got %s, want none", got)
	}
	wantEqual(t, "n in Koa", v.koa(`ctx.session.n++; return ctx.session.n`).body, "2")
}

// parse returns the cookies of an answer by name, of which none may come twice.
func parse(t *testing.T, a answer) map[string]*http.Cookie {
	t.Helper()
	cookies := map[string]*http.Cookie{}
	for _, line := range a.setCookies {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatalf("Set-Cookie: got the error %v, want a cookie", err)
		}
		if cookies[c.Name] != nil {
			t.Errorf("%s: got it twice, want it once", c.Name)
		}
		cookies[c.Name] = c
	}
	return cookies
}

// ends returns when the browser drops c, zero if with its window.
func ends(c *http.Cookie) time.Time {
	if c.MaxAge > 0 {
		return time.Now().Add(time.Duration(c.MaxAge) * time.Second)
	}
	return c.Expires
}

func joined(a answer) string { return strings.Join(a.setCookies, "\n") }
