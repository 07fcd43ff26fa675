package cookies

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/sign"
	"github.com/valyala/fasthttp"
)

// setCookieLines returns the Set-Cookie lines of h as they go over the wire.
func setCookieLines(h *fasthttp.ResponseHeader) (lines []string) {
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if err := h.Write(w); err != nil {
		panic(err)
	}
	w.Flush()
	for line := range strings.SplitSeq(out.String(), "\r\n") {
		if value, ok := strings.CutPrefix(line, "Set-Cookie: "); ok {
			lines = append(lines, value)
		}
	}
	return lines
}

// writersOf returns two writers of cookies like c: one to which c is the usual one, and one to which it is a session's own.
func writersOf(c Cookie, keys *sign.Keyring) []*Writer {
	other := Cookie{Name: c.Name, Path: "/somewhere/else", Domain: "example.org"}
	return []*Writer{NewWriter(&c, keys), NewWriter(&other, keys)}
}

func TestCookiesAreWrittenLikeThis(t *testing.T) {
	ring := sign.NewKeyring([]sign.Key{sign.SHA1Key("keys")}, "koa.sid", false)
	id := testID(t, testIDText)
	const pair, sigPair = "koa.sid=" + testIDText, "koa.sid.sig=WX3GyLz6Vv0v7LNBpaXafvZyQMQ"
	const epoch = "; expires=Thu, 01 Jan 1970 00:00:00 GMT"
	for _, c := range []struct {
		name   string
		cookie Cookie
		tls    bool
		maxAge time.Duration
		age    string // between the pair and the attributes
		want   string // the attributes
	}{
		{"defaults", Cookie{}, false, 0, "", "; path=/; HttpOnly; SameSite=Lax"},
		{"defaults, TLS", Cookie{}, true, 0, "", "; path=/; HttpOnly; secure; SameSite=Lax"},
		{"SecureAlways", Cookie{Secure: SecureAlways}, false, 0, "", "; path=/; HttpOnly; secure; SameSite=Lax"},
		{"SecureNever, TLS", Cookie{Secure: SecureNever}, true, 0, "", "; path=/; HttpOnly; SameSite=Lax"},
		{"Path", Cookie{Path: "/app/v1.2"}, false, 0, "", "; path=/app/v1.2; HttpOnly; SameSite=Lax"},
		{"Domain", Cookie{Domain: "example.com"}, false, 0, "", "; domain=example.com; path=/; HttpOnly; SameSite=Lax"},
		{"Strict", Cookie{SameSite: SameSiteStrict}, false, 0, "", "; path=/; HttpOnly; SameSite=Strict"},
		{"None", Cookie{SameSite: SameSiteNone, Secure: SecureAlways}, false, 0, "", "; path=/; HttpOnly; secure; SameSite=None"},
		{"SameSite unset", Cookie{SameSite: SameSiteDangerouslyUnset}, false, 0, "", "; path=/; HttpOnly"},
		{"script-readable", Cookie{DangerouslyScriptReadable: true}, false, 0, "", "; path=/; SameSite=Lax"},
		{"Partitioned keeps its Path", Cookie{Partitioned: true, Path: "/a", SameSite: SameSiteNone, Secure: SecureAlways}, false, 0, "", "; path=/a; HttpOnly; secure; SameSite=None; Partitioned"},
		{"one day", Cookie{}, false, 24 * time.Hour, "; max-age=86400", "; path=/; HttpOnly; SameSite=Lax"},
		{"1 ns is a second", Cookie{}, false, 1, "; max-age=1", "; path=/; HttpOnly; SameSite=Lax"},
		{"1,500 ms are two seconds", Cookie{}, false, 1500 * time.Millisecond, "; max-age=2", "; path=/; HttpOnly; SameSite=Lax"},
		{"2 s are two seconds", Cookie{}, false, 2 * time.Second, "; max-age=2", "; path=/; HttpOnly; SameSite=Lax"},
		{"401 days are 400", Cookie{}, false, 401 * 24 * time.Hour, "; max-age=34560000", "; path=/; HttpOnly; SameSite=Lax"},
		{"for ever is 400 days", Cookie{}, false, 1<<63 - 1, "; max-age=34560000", "; path=/; HttpOnly; SameSite=Lax"},
		{"over is over", Cookie{}, false, -1, "; max-age=0", "; path=/; HttpOnly; SameSite=Lax"},
		{"over since ever", Cookie{}, false, -1 << 63, "; max-age=0", "; path=/; HttpOnly; SameSite=Lax"},
		{"its own MaxAge and Expires are the caller's business", Cookie{MaxAge: time.Hour, Expires: time.Now()}, false, 0, "", "; path=/; HttpOnly; SameSite=Lax"},
	} {
		c.cookie = c.cookie.WithDefaults()
		if errs := c.cookie.Validate(true, false); errs != nil {
			t.Errorf("%s: got %v, want a valid Cookie", c.name, errs)
		}
		for i, w := range append(writersOf(c.cookie, ring), writersOf(c.cookie, nil)...) {
			keys := w.keys
			var h fasthttp.ResponseHeader
			w.Write(&h, &c.cookie, &id, nil, c.tls, c.maxAge)
			want := []string{pair + c.age + c.want, sigPair + c.age + c.want}
			gone := []string{"koa.sid=" + epoch + c.want, "koa.sid.sig=" + epoch + c.want}
			if keys == nil {
				want, gone = want[:1], gone[:1]
			}
			if got := setCookieLines(&h); !slices.Equal(got, want) {
				t.Errorf("%s, written by writer %d:\n got %q,\nwant %q", c.name, i, got, want)
			}
			w.Expire(&h, &c.cookie, c.tls)
			if got := setCookieLines(&h); !slices.Equal(got, gone) {
				t.Errorf("%s, expired by writer %d in the same response:\n got %q,\nwant %q", c.name, i, got, gone)
			}
		}
	}
}

// One Set-Cookie per name, the last one wins; other cookies stay.
func TestCookiesReplaceThoseOfTheirName(t *testing.T) {
	ring := sign.NewKeyring([]sign.Key{sign.SHA1Key("keys")}, "koa.sid", false)
	c := Cookie{}.WithDefaults()
	w := NewWriter(&c, ring)
	var h fasthttp.ResponseHeader
	h.Add("Set-Cookie", "koa.sid=by hand; path=/")
	h.Add("Set-Cookie", "theme=dark")
	h.Add("Set-Cookie", "koa.sid=by hand again; path=/")
	h.Add("Set-Cookie", "koa.sid.sig=by hand; path=/")
	first, second := testID(t, "first"), testID(t, testIDText)
	w.Write(&h, &c, &first, nil, false, 0)
	w.Write(&h, &c, &second, nil, false, 0)
	got := setCookieLines(&h)
	slices.Sort(got)
	want := []string{
		"koa.sid.sig=WX3GyLz6Vv0v7LNBpaXafvZyQMQ; path=/; HttpOnly; SameSite=Lax",
		"koa.sid=" + testIDText + "; path=/; HttpOnly; SameSite=Lax",
		"theme=dark",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What was written is what is found and verified by the next request.
func TestWrittenCookiesAreFoundAgain(t *testing.T) {
	const octets = "!#$%&'()*+-./:<=>?@[]^_`{|}~"
	for _, written := range []struct{ name, text string }{
		{"koa.sid", "x"}, {"koa.sid", testIDText}, {"koa.sid", id63}, {"koa.sid", octets},
		{"koss:test_sid", octets}, {"sess[id]", octets}, {"a, \"b\"\t%3b", octets}, {"s\u00efd", octets}, {"\u00ff\u0080", octets},
	} {
		ring := sign.NewKeyring(sign.Keys(longKey), written.name, false)
		id := testID(t, written.text)
		c := Cookie{Name: written.name}.WithDefaults()
		var h fasthttp.ResponseHeader
		w := NewWriter(&c, ring)
		w.Write(&h, &c, &id, nil, false, time.Hour)
		var sent []string
		for _, line := range setCookieLines(&h) {
			pair, _, _ := strings.Cut(line, ";")
			sent = append(sent, pair)
		}
		var p Presented
		ok := w.Find(&p, readHeader(t, false, cookieLine(strings.Join(sent, "; "))))
		if !ok || *p.ID() != id {
			t.Errorf("%d bytes as %q: got %v, want the id that was written", len(id.Bytes()), written.name, ok)
		}
	}
}

func FuzzSetCookie(f *testing.F) {
	f.Add("koa.sid", "/", "", int64(0), uint8(0), uint8(0), false, false, false)
	f.Add("__Host-sid", "/", "", int64(time.Hour), uint8(1), uint8(2), true, false, true)
	f.Add("__Secure-sid", "/a/b", "example.com", int64(-1), uint8(1), uint8(1), false, true, false)
	f.Add("a\r\nSet-Cookie: b", "/;domain=x", "a.b; path=/", int64(1), uint8(2), uint8(3), false, true, true)
	f.Add("sid", "/%3bdomain=evil.example", "x\r\n\r\nbody", int64(1), uint8(2), uint8(3), false, true, true)
	f.Add("sid", "/a/../b", "..", int64(1), uint8(3), uint8(4), false, true, true)
	f.Add("s\u00e9 \"ss[i%d]", "/", "", int64(1), uint8(0), uint8(0), false, false, false)
	ring := sign.NewKeyring([]sign.Key{sign.SHA1Key("keys")}, "koa.sid", false)
	id := testID(f, testIDText)
	f.Fuzz(func(t *testing.T, name, path, domain string, maxAge int64, secure, sameSite uint8, partitioned, readable, tls bool) {
		c := Cookie{
			Name: name, Path: path, Domain: domain, MaxAge: time.Duration(maxAge), Secure: SecureMode(secure), SameSite: SameSite(sameSite),
			Partitioned: partitioned, DangerouslyScriptReadable: readable,
		}
		if c.Validate(true, false) != nil && c.Validate(true, true) != nil {
			return
		}
		for _, w := range writersOf(c, ring) {
			wantCookies(t, w, &c, &id, tls)
		}
	})
}

// wantCookies writes c and expires it, and compares with what a book says.
func wantCookies(t *testing.T, w *Writer, c *Cookie, id *ident.ID, tls bool) {
	t.Helper()
	var h fasthttp.ResponseHeader
	w.Write(&h, c, id, nil, tls, c.MaxAge)
	attributes := attributesByTheBook(*c, tls)
	age := ""
	if c.MaxAge > 0 {
		age = fmt.Sprintf("; max-age=%d", (int64(c.MaxAge)+999_999_999)/1_000_000_000)
	}
	name := wireName(c.Name)
	want := []string{name + "=" + testIDText + age + attributes, name + ".sig=" + string(w.keys.Sign(nil, id)) + age + attributes}
	if got := setCookieLines(&h); !slices.Equal(got, want) {
		t.Errorf("written:\n got %q,\nwant %q", got, want)
	}
	if got, want := bytes.Count(h.Header(), []byte("\n")), 5; got != want { // status, date, two cookies, end
		t.Errorf("lines of the response: got %d, want %d: %q", got, want, h.Header())
	}
	w.Expire(&h, c, tls)
	const epoch = "; expires=Thu, 01 Jan 1970 00:00:00 GMT"
	want = []string{name + "=" + epoch + attributes, name + ".sig=" + epoch + attributes}
	if got := setCookieLines(&h); !slices.Equal(got, want) {
		t.Errorf("expired:\n got %q,\nwant %q", got, want)
	}
}

// attributesByTheBook writes what c asks for without fasthttp's help.
func attributesByTheBook(c Cookie, tls bool) (s string) {
	if c.Domain != "" {
		s += "; domain=" + c.Domain
	}
	s += "; path=" + c.Path
	if !c.DangerouslyScriptReadable {
		s += "; HttpOnly"
	}
	if c.Secure == SecureAlways || c.Secure == SecureAuto && tls {
		s += "; secure"
	}
	s += map[SameSite]string{SameSiteLax: "; SameSite=Lax", SameSiteStrict: "; SameSite=Strict", SameSiteNone: "; SameSite=None"}[c.SameSite]
	if c.Partitioned {
		s += "; Partitioned"
	}
	return s
}
