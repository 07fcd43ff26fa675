//go:build !race

package sess

import (
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// The request's path allocates nothing. (Under the race detector sync.Pool drops things at random.)
func TestCookiesCostNoAllocations(t *testing.T) {
	ring := newKeyring([]Key{SHA256Key(longKey), SHA1Key(otherKey)}, "koa.sid", false)
	id := testID(t, testIDText)
	sig := ring.sign(nil, &id)
	old := newKeyring([]Key{SHA1Key(otherKey)}, "koa.sid", false).sign(nil, &id)
	bad := []byte(strings.Repeat("a", sha256SignatureLen))
	signed := readHeader(t, false, cookieLine("a=1; koa.sid="+testIDText+"; koa.sid.sig="+string(sig)+"; b=2"))
	kept := readHeader(t, true, "cookie: koa.sid="+testIDText+"\r\n")
	none := readHeader(t, false)
	c := Cookie{Domain: "example.com"}.withDefaults()
	w, foreign := newCookieWriter(&c, ring), Cookie{Path: "/own"}.withDefaults()
	path := []byte("/app/x")
	var source idSource
	var p presented
	var h, private fasthttp.ResponseHeader
	private.Set("Cache-Control", "private")
	buf := make([]byte, 0, 1024)
	for _, f := range []struct {
		name string
		run  func()
	}{
		{"find and pick", func() { p.find(signed, "koa.sid", "koa.sid.sig", ring) }},
		{"find, names kept", func() { p.find(kept, "koa.sid", "koa.sid.sig", ring) }},
		{"find, no cookie", func() { p.find(none, "koa.sid", "koa.sid.sig", ring) }},
		{"sign", func() { buf = ring.sign(buf[:0], &id) }},
		{"verify, remembered", func() { ring.verify(&id, sig) }},
		{"verify, seen first", func() { ring.keys[0].verify(&id, sig) }},
		{"verify, SHA-1", func() { ring.keys[1].verify(&id, old) }},
		{"verify, wrong", func() { ring.verify(&id, bad) }},
		{"write", func() { w.write(&h, &c, &id, nil, true, time.Hour) }},
		{"write, signed already", func() { w.write(&h, &c, &id, sig, true, time.Hour) }},
		{"write, a session's own", func() { w.write(&h, &foreign, &id, nil, true, time.Hour) }},
		{"expire", func() { w.expire(&h, &c, true) }},
		{"no-store", func() { h.Del("Cache-Control"); noStore(&h); noStore(&h); noStore(&private) }},
		{"Vary", func() { h.Del("Vary"); addVary(&h, "Cookie"); addVary(&h, "Cookie") }},
		{"path", func() { pathMatch("/app", path); pathMatch("/app", "/app/x") }},
		{"random id", func() { source.randomID() }},
		{"read the cookie object", func() { parseCookieJSON(koaCookie, c) }},
		{"write the cookie object", func() { buf = appendCookieJSON(buf[:0], koaCookie, c, c) }},
	} {
		f.run()
		if got := testing.AllocsPerRun(200, f.run); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", f.name, got)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	ring := newKeyring(Keys(longKey), "koa.sid", false)
	id := testID(b, testIDText)
	sig := string(ring.sign(nil, &id))
	for _, c := range []struct {
		name  string
		lines []string
	}{
		{"no cookie", nil},
		{"two foreign", []string{cookieLine("_ga=GA1.2.1234567890.1234567890; theme=dark")}},
		{"ours", []string{cookieLine("koa.sid=" + testIDText + "; koa.sid.sig=" + sig)}},
		{"ours and two foreign", []string{cookieLine("_ga=GA1.2.1234567890.1234567890; koa.sid=" + testIDText + "; koa.sid.sig=" + sig + "; theme=dark")}},
		{"8 kB foreign", []string{cookieLine(strings.Repeat("a=0123456789; ", 600))}},
		{"1,000 pairs", []string{cookieLine(strings.Repeat("a=1; ", 1000))}},
	} {
		h := readHeader(b, false, c.lines...)
		b.Run(c.name, func(b *testing.B) {
			var p presented
			b.ReportAllocs()
			for b.Loop() {
				p.find(h, "koa.sid", "koa.sid.sig", ring)
			}
		})
	}
}

func BenchmarkWriteCookies(b *testing.B) {
	id := testID(b, testIDText)
	c := Cookie{}.withDefaults()
	w := newCookieWriter(&c, newKeyring(Keys(longKey), "koa.sid", false))
	var h fasthttp.ResponseHeader
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Reset()
			w.write(&h, &c, &id, nil, true, 24*time.Hour)
		}
	})
	b.Run("no-store and Vary", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Reset()
			noStore(&h)
			addVary(&h, "Cookie")
		}
	})
}

func BenchmarkCookieJSON(b *testing.B) {
	c := Cookie{MaxAge: 24 * time.Hour}.withDefaults()
	buf := make([]byte, 0, 1024)
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			parseCookieJSON(koaCookie, c)
		}
	})
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = appendCookieJSON(buf[:0], koaCookie, c, c)
		}
	})
}
