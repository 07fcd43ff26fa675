//go:build !race

package cookies

import (
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/sign"
	"github.com/valyala/fasthttp"
)

// The request's path allocates nothing. (Under the race detector sync.Pool drops things at random.)
func TestCookiesCostNoAllocations(t *testing.T) {
	ring := sign.NewKeyring([]sign.Key{sign.SHA256Key(longKey), sign.SHA1Key(otherKey)}, "koa.sid", false)
	id := testID(t, testIDText)
	sig := ring.Sign(nil, &id)
	bad := []byte(strings.Repeat("a", 43))
	signed := readHeader(t, false, cookieLine("a=1; koa.sid="+testIDText+"; koa.sid.sig="+string(sig)+"; b=2"))
	kept := readHeader(t, true, "cookie: koa.sid="+testIDText+"\r\n")
	none := readHeader(t, false)
	c := Cookie{Domain: "example.com"}.WithDefaults()
	w, foreign := NewWriter(&c, ring), Cookie{Path: "/own"}.WithDefaults()
	path := []byte("/app/x")
	var source ident.Source
	var p Presented
	var h, private fasthttp.ResponseHeader
	private.Set("Cache-Control", "private")
	buf := make([]byte, 0, 1024)
	for _, f := range []struct {
		name string
		run  func()
	}{
		{"find", func() { w.Find(&p, signed) }},
		{"find, names kept", func() { w.Find(&p, kept) }},
		{"find, no cookie", func() { w.Find(&p, none) }},
		{"sign", func() { buf = ring.Sign(buf[:0], &id) }},
		{"verify, remembered", func() { ring.Verify(&id, sig) }},
		{"verify, wrong", func() { ring.Verify(&id, bad) }},
		{"write", func() { w.Write(&h, &c, &id, nil, true, time.Hour) }},
		{"write, signed already", func() { w.Write(&h, &c, &id, sig, true, time.Hour) }},
		{"write, a session's own", func() { w.Write(&h, &foreign, &id, nil, true, time.Hour) }},
		{"expire", func() { w.Expire(&h, &c, true) }},
		{"no-store", func() { h.Del("Cache-Control"); NoStore(&h); NoStore(&h); NoStore(&private) }},
		{"Vary", func() { h.Del("Vary"); AddVary(&h, "Cookie"); AddVary(&h, "Cookie") }},
		{"path", func() { PathMatch("/app", path); PathMatch("/app", "/app/x") }},
		{"random id", func() { source.RandomID() }},
		{"read the cookie object", func() { ParseJSON(koaCookie, c) }},
		{"write the cookie object", func() { buf = AppendJSON(buf[:0], koaCookie, c, c) }},
	} {
		f.run()
		if got := testing.AllocsPerRun(200, f.run); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", f.name, got)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	ring := sign.NewKeyring(sign.Keys(longKey), "koa.sid", false)
	id := testID(b, testIDText)
	sig := string(ring.Sign(nil, &id))
	for _, c := range []struct {
		name  string
		lines []string
	}{
		{"no cookie", nil},
		{"two foreign", []string{cookieLine("_ga=GA1.2.1234567890.1234567890; theme=dark")}},
		{"ours", []string{cookieLine("koa.sid=" + testIDText + "; koa.sid.sig=" + sig)}},
		{"ours and two foreign", []string{cookieLine("_ga=GA1.2.1234567890.1234567890; koa.sid=" + testIDText + "; koa.sid.sig=" + sig + "; theme=dark")}},
		{"one foreign between ours", []string{cookieLine("koa.sid=" + testIDText + "; theme=dark; koa.sid.sig=" + sig)}},
		{"8 kB foreign", []string{cookieLine(strings.Repeat("a=0123456789; ", 600))}},
		{"1,000 pairs", []string{cookieLine(strings.Repeat("a=1; ", 1000))}},
	} {
		h := readHeader(b, false, c.lines...)
		b.Run(c.name, func(b *testing.B) {
			var p Presented
			cookie := Cookie{}.WithDefaults()
			w := NewWriter(&cookie, ring)
			b.ReportAllocs()
			for b.Loop() {
				w.Find(&p, h)
			}
		})
	}
}

func BenchmarkWriteCookies(b *testing.B) {
	id := testID(b, testIDText)
	c := Cookie{}.WithDefaults()
	w := NewWriter(&c, sign.NewKeyring(sign.Keys(longKey), "koa.sid", false))
	var h fasthttp.ResponseHeader
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Reset()
			w.Write(&h, &c, &id, nil, true, 24*time.Hour)
		}
	})
	b.Run("no-store and Vary", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Reset()
			NoStore(&h)
			AddVary(&h, "Cookie")
		}
	})
}

func BenchmarkCookieJSON(b *testing.B) {
	c := Cookie{MaxAge: 24 * time.Hour}.WithDefaults()
	buf := make([]byte, 0, 1024)
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ParseJSON(koaCookie, c)
		}
	})
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = AppendJSON(buf[:0], koaCookie, c, c)
		}
	})
}
