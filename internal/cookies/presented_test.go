package cookies

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/sign"
	"github.com/valyala/fasthttp"
)

// readHeader parses a request with the given header lines, as a server does.
func readHeader(t testing.TB, keepNames bool, lines ...string) *fasthttp.RequestHeader {
	t.Helper()
	h := new(fasthttp.RequestHeader)
	if keepNames {
		h.DisableNormalizing()
	}
	raw := "GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nAccept: */*\r\n" + strings.Join(lines, "")
	if err := h.Read(bufio.NewReaderSize(strings.NewReader(raw+"\r\n"), 1<<17)); err != nil {
		t.Fatalf("reading the request: got %v, want nil", err)
	}
	return h
}

func cookieLine(value string) string { return "Cookie: " + value + "\r\n" }

func (p *Presented) texts() (ids, sigs []string) {
	for i := range p.nIDs {
		ids = append(ids, p.ids[i].Value())
	}
	for i := range p.nSigs {
		sigs = append(sigs, string(p.sigs[i].Bytes()))
	}
	return ids, sigs
}

// readAll collects what h presents as sid, without selecting.
func readAll(p *Presented, h *fasthttp.RequestHeader) { sidWriter(nil).Find(p, h) }

// finds returns what of h is selected under the name sid, and its key's index; the zero ID if nothing is.
func finds(p *Presented, h *fasthttp.RequestHeader, ring *sign.Keyring) (id ident.ID, key int) {
	if sidWriter(ring).Find(p, h) {
		return *p.ID(), p.Key()
	}
	return ident.ID{}, 0
}

func sidWriter(ring *sign.Keyring) *Writer {
	c := Cookie{Name: "sid"}.WithDefaults()
	return NewWriter(&c, ring)
}

var (
	sigA = strings.Repeat("a", 43)
	sigB = strings.Repeat("b", 27)
	id63 = strings.Repeat("i", 63)
)

// cookieHeaders says what is found under the name sid in the value of a Cookie header.
var cookieHeaders = []struct {
	name, header string
	ids, sigs    []string
}{
	{"nothing", "", nil, nil},
	{"alone", "sid=x", []string{"x"}, nil},
	{"with signature", "sid=x; sid.sig=" + sigA, []string{"x"}, []string{sigA}},
	{"signature first", "sid.sig=" + sigA + "; sid=x", []string{"x"}, []string{sigA}},
	{"short signature", "sid=x; sid.sig=" + sigB, []string{"x"}, []string{sigB}},
	{"among others", "a=1; sid=x; b=2; sid.sig=" + sigA + "; c=3", []string{"x"}, []string{sigA}},
	{"no blank behind the semicolon", "a=1;sid=x;sid.sig=" + sigA, []string{"x"}, []string{sigA}},
	{"several blanks", "a=1;   sid=x;  b=2", []string{"x"}, nil},
	{"tabs", "a=1;\tsid=x\t;\t \tb=2", []string{"x"}, nil},
	{"blank behind the value", "sid=x ; a=1", []string{"x"}, nil},
	{"blank before the value", "sid= x", []string{"x"}, nil},
	{"blank before the equals sign", "sid =x", nil, nil},
	{"tab before the equals sign", "sid\t=x", nil, nil},
	{"blank in the value", "sid=x y", nil, nil},
	{"tab in the value", "sid=x\ty", nil, nil},
	{"empty pairs", ";;sid=x;;; ;", []string{"x"}, nil},
	{"only separators", ";;; ; ;", nil, nil},
	{"only blanks", "a=  ", nil, nil},
	{"semicolon at the end", "sid=x;", []string{"x"}, nil},
	{"quotes", `sid="x"`, []string{"x"}, nil},
	{"quotes around the signature", `sid="x"; sid.sig="` + sigA + `"`, []string{"x"}, []string{sigA}},
	{"quotes around blanks", `sid=" x "`, nil, nil},
	{"quotes and blanks around them", `sid= "x" ;a=1`, []string{"x"}, nil},
	{"quote at the beginning only", `sid="x`, nil, nil},
	{"quote at the end only", `sid=x"`, nil, nil},
	{"quote in the middle", `sid=x"y`, nil, nil},
	{"one quote", `sid="`, nil, nil},
	{"nothing in quotes", `sid=""`, nil, nil},
	{"twice in quotes", `sid=""x""`, nil, nil},
	{"single quotes are octets", `sid='x'`, []string{"'x'"}, nil},
	{"a semicolon ends a quoted value", `a="b;sid=x"`, nil, nil},
	{"a semicolon ends a quoted value, then ours", `a="b; sid=x"; sid=y`, []string{"y"}, nil},
	{"empty value", "sid=", nil, nil},
	{"empty value and another", "sid=; sid=x", []string{"x"}, nil},
	{"no equals sign", "sid", nil, nil},
	{"no equals sign, then ours", "sid; sid=x", []string{"x"}, nil},
	{"empty name", "=sid=x", nil, nil},
	{"empty name, then ours", "=sid=x; sid=y", []string{"y"}, nil},
	{"equals sign twice", "sid==x", []string{"=x"}, nil},
	{"equals sign in the value", "sid=x=y", []string{"x=y"}, nil},
	{"upper case", "SID=x; Sid=y; sId.sig=" + sigA, nil, nil},
	{"longer name", "sid2=x; xsid=y; sid.=z; sid-=z", nil, nil},
	{"shorter name", "si=x; s=y", nil, nil},
	{"prefix of the signature's name", "sid.si=x; sid.s=" + sigA, nil, nil},
	{"signature's name with more", "sid.sigs=" + sigA + "; sid.sig.sig=" + sigA, nil, nil},
	{"attributes of RFC 2965", `$Version=1; sid=x; $Path=/; $Domain=example.com`, []string{"x"}, nil},
	{"comma is no separator", "a=1, sid=x", nil, nil},
	{"comma in the value", "sid=x,y", nil, nil},
	{"backslash", `sid=x\y`, nil, nil},
	{"percent escapes are not decoded", "sid=%78; %73id=y; sid=a%3bb", []string{"%78", "a%3bb"}, nil},
	{"plus is not decoded", "sid=x+y", []string{"x+y"}, nil},
	{"not ASCII", "sid=\u00e9; sid=x\xff; sid=\xc3", nil, nil},
	{"not ASCII in the name", "\u017fid=x; s\u0131d=y", nil, nil},
	{"unicode space before the name", "\u2000sid=x; \u00a0sid=y", nil, nil},
	{"63 bytes", "sid=" + id63, []string{id63}, nil},
	{"64 bytes", "sid=" + id63 + "i", nil, nil},
	{"64 bytes, then ours", "sid=" + id63 + "i; sid=x", []string{"x"}, nil},
	{"signature too short", "sid=x; sid.sig=" + sigA[1:] + "; sid.sig=" + sigB[1:] + "; sid.sig=", []string{"x"}, nil},
	{"signature too long", "sid=x; sid.sig=" + sigA + "a", []string{"x"}, nil},
	{"several keep their order", "sid=1; sid=2; sid=3", []string{"1", "2", "3"}, nil},
	{"the same twice counts once", "sid=1; sid=2; sid=1; sid=\"2\"; sid.sig=" + sigA + "; sid=3; sid.sig=" + sigA, []string{"1", "2", "3"}, []string{sigA}},
	{"four at most", "sid=1; sid=2; sid=3; sid=4; sid=5; sid=6", []string{"1", "2", "3", "4"}, nil},
	{"malformed ones do not count", "sid=,; sid=; sid=\\; sid=\"; sid= ; sid=6", []string{"6"}, nil},
	{"four signatures at most", numbered("sid.sig="+sigA[1:]+"%c; ", 6), nil, []string{sigA[1:] + "0", sigA[1:] + "1", sigA[1:] + "2", sigA[1:] + "3"}},
	{"signatures too short do not count", strings.Repeat("sid.sig=x; ", 9) + "sid.sig=" + sigB, nil, []string{sigB}},
	{"8 kB of others", strings.Repeat("a=0123456789; ", 600) + "sid=x", []string{"x"}, nil},
	{"8 kB in one value", "a=" + strings.Repeat("x", 8192) + "; sid=x", []string{"x"}, nil},
	{"8 kB id", "sid=" + strings.Repeat("x", 8192), nil, nil},
	{"1,000 times the same pair", strings.Repeat("sid=x; sid.sig="+sigA+"; ", 1000), []string{"x"}, []string{sigA}},
	{"1,000 pairs of ours", numbered("sid=%c; sid.sig="+sigA[1:]+"%[1]c; ", 1000), []string{"0", "1", "2", "3"}, []string{sigA[1:] + "0", sigA[1:] + "1", sigA[1:] + "2", sigA[1:] + "3"}},
	{"the name in other names and values", "xsid=1; sidsid=2; a=sid=3; =sid=4; sid.sid=5; sid sid=6; sid.sig.sid=7; sid;sid=8", []string{"8"}, nil},
	{"the name again and again", strings.Repeat("sid", 2000) + "=1; sid=2", []string{"2"}, nil},
	{"1,000 other pairs", strings.Repeat("sid2=x; ", 1000) + "sid=x", []string{"x"}, nil},
	{"8,000 semicolons", strings.Repeat(";", 8000) + "sid=x", []string{"x"}, nil},
	{"8,000 equals signs", strings.Repeat("=", 8000) + ";sid=x", []string{"x"}, nil},
	{"JSON in another", `a={"sid=x":1}; sid=y`, []string{"y"}, nil},
}

// numbered returns n of the format, for the characters 0, 1 and so on.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, '0'+i%64)
	}
	return b.String()
}

func TestCookieHeadersAreReadAsSpecified(t *testing.T) {
	for _, c := range cookieHeaders {
		for _, keepNames := range []bool{false, true} {
			var p Presented
			readAll(&p, readHeader(t, keepNames, cookieLine(c.header)))
			if ids, sigs := p.texts(); !slices.Equal(ids, c.ids) || !slices.Equal(sigs, c.sigs) {
				t.Errorf("%s (names kept: %v): got %q and %q, want %q and %q", c.name, keepNames, ids, sigs, c.ids, c.sigs)
			}
		}
	}
}

func TestCookieHeadersMayBeSeveral(t *testing.T) {
	for _, c := range []struct {
		name      string
		keepNames bool
		lines     []string
		want      []string
	}{
		{"none", false, nil, nil},
		{"two", false, []string{"Cookie: sid=1\r\n", "Cookie: a=b; sid=2\r\n"}, []string{"1", "2"}},
		{"lower case", false, []string{"cookie: sid=1\r\n", "COOKIE: sid=2\r\n"}, []string{"1", "2"}},
		{"names kept", true, []string{"Cookie: sid=1\r\n"}, []string{"1"}},
		{"names kept, lower case", true, []string{"cookie: sid=1\r\n", "cookie: sid=2\r\n"}, []string{"1", "2"}},
		{"names kept, both", true, []string{"cookie: sid=2\r\n", "Cookie: sid=1\r\n"}, []string{"1", "2"}},
		{"other headers", false, []string{"Cookies: sid=1\r\n", "Cookie2: sid=1\r\n", "X-Cookie: sid=1\r\n"}, nil},
	} {
		h := readHeader(t, c.keepNames, c.lines...)
		var p Presented
		for _, state := range []string{"raw", "again", "parsed by another"} {
			readAll(&p, h)
			if ids, _ := p.texts(); len(ids) != len(c.want) || state != "parsed by another" && !slices.Equal(ids, c.want) {
				t.Errorf("%s, %s: got %q, want %q", c.name, state, ids, c.want)
			}
			if state == "again" {
				h.Cookie("a") // from here on fasthttp keeps them as pairs
			}
		}
		if got := h.DisableNormalizing(); got != c.keepNames {
			t.Errorf("%s: names are kept afterwards: got %v, want %v", c.name, got, c.keepNames)
		}
	}
}

// An encrypting middleware outside of ours rewrites the cookies of the request before we see them.
func TestCookiesRewrittenByAMiddlewareAreSeen(t *testing.T) {
	h := readHeader(t, false, cookieLine("a=1; sid=encrypted; b=2"))
	h.SetCookie("sid", "plain")
	var p Presented
	readAll(&p, h)
	if ids, _ := p.texts(); !slices.Equal(ids, []string{"plain"}) {
		t.Errorf(`got %q, want ["plain"]`, ids)
	}
}

func TestNothingOfAnEarlierRequestIsPresented(t *testing.T) {
	ring := sign.NewKeyring(sign.Keys(longKey), "sid", false)
	id := testID(t, testIDText)
	good := "sid=" + testIDText + "; sid.sig=" + string(ring.Sign(nil, &id))
	var p Presented
	for _, line := range []string{"a=1", "", "sid=" + testIDText, good[len("sid=")+len(testIDText)+2:]} {
		if got, _ := finds(&p, readHeader(t, false, cookieLine(good)), ring); got != id {
			t.Fatal("a good cookie: got none, want it found")
		}
		h := readHeader(t, false)
		if line != "" {
			h = readHeader(t, false, cookieLine(line))
		}
		if got, _ := finds(&p, h, ring); !got.IsZero() {
			t.Errorf("%q after a good cookie: got an id, want none", line)
		}
		if line == "sid="+testIDText {
			continue
		}
		if sidWriter(nil).Find(&p, h) {
			t.Errorf("%q after a good cookie, unsigned: got an id, want none", line)
		}
	}
}

// Rule 5: each cookie of our name is tried, with each signature.
func TestTheValidlySignedCookieOfSeveralIsTaken(t *testing.T) {
	ring := sign.NewKeyring([]sign.Key{sign.SHA256Key(longKey), sign.SHA1Key(otherKey)}, "sid", false)
	old := sign.NewKeyring([]sign.Key{sign.SHA1Key(otherKey)}, "sid", false)
	sign := func(k *sign.Keyring, text string) string {
		id := testID(t, text)
		return string(k.Sign(nil, &id))
	}
	mine, mineOld, other := sign(ring, "mine"), sign(old, "mine"), sign(ring, "other")
	for _, c := range []struct {
		name, header, want string
		index              int
	}{
		{"alone", "sid=mine; sid.sig=" + mine, "mine", 0},
		{"old key", "sid=mine; sid.sig=" + mineOld, "mine", 1},
		{"behind a foreign one", "sid=x; sid.sig=" + sigA + "; sid=mine; sid.sig=" + mine, "mine", 0},
		{"before a foreign one", "sid=mine; sid.sig=" + mine + "; sid=x; sid.sig=" + sigA, "mine", 0},
		{"fourth", "sid=1; sid=2; sid=3; sid=mine; sid.sig=" + sigA + "; sid.sig=" + sigA + "; sid.sig=" + sigB + "; sid.sig=" + mine, "mine", 0},
		{"fifth", "sid=1; sid=2; sid=3; sid=4; sid=mine; sid.sig=" + mine, "", 0},
		{"two valid: the first id", "sid=other; sid=mine; sid.sig=" + mine + "; sid.sig=" + other, "other", 0},
		{"two signatures: whichever", "sid=mine; sid.sig=" + mineOld + "; sid.sig=" + mine, "mine", -1},
		{"another's signature", "sid=mine; sid.sig=" + other, "", 0},
		{"no signature", "sid=mine", "", 0},
		{"no id", "sid.sig=" + mine, "", 0},
		{"wrong signature", "sid=mine; sid.sig=" + sigA, "", 0},
	} {
		var p Presented
		for _, lines := range [][]string{
			{cookieLine(c.header)},
			{cookieLine("a=b"), cookieLine(c.header)},
			strings.SplitAfter(strings.ReplaceAll("Cookie: "+c.header+"\r\n", "; ", "\r\nCookie: "), "\r\n"), // each pair in a line of its own
		} {
			for _, state := range []string{"first", "again"} {
				id, index := finds(&p, readHeader(t, false, lines...), ring)
				if id.Value() != c.want || c.index >= 0 && index != c.index {
					t.Errorf("%s, %d lines, %s: got %q, %d, want %q, %d", c.name, len(lines), state, id.Value(), index, c.want, c.index)
				}
			}
		}
	}
}

func TestUnsignedTakesTheFirstWellFormedID(t *testing.T) {
	var p Presented
	for _, lines := range [][]string{
		{cookieLine("sid=,; sid=first; sid=second")},
		{cookieLine("sid=,"), cookieLine("sid=first"), cookieLine("sid=second")},
	} {
		if id, _ := finds(&p, readHeader(t, false, lines...), nil); id.Value() != "first" {
			t.Errorf("%d lines: got %q, want first", len(lines), id.Value())
		}
	}
}

func TestAShorterIDLeavesNothingOfALongerOne(t *testing.T) {
	ring := sign.NewKeyring(sign.Keys(longKey), "sid", false)
	long, short := testID(t, strings.Repeat("x", ident.MaxIDLen)), testID(t, testIDText)
	var p Presented
	for _, want := range []ident.ID{long, short} {
		header := "sid=" + want.Value() + "; sid.sig=" + string(ring.Sign(nil, &want))
		if got, _ := finds(&p, readHeader(t, false, cookieLine(header)), ring); got != want {
			t.Errorf("an id of %d bytes: got another one, or none", len(want.Value()))
		}
	}
}

func FuzzCookieHeader(f *testing.F) {
	for _, c := range cookieHeaders {
		if len(c.header) < 1000 {
			f.Add(c.header)
		}
	}
	ring := sign.NewKeyring(sign.Keys(longKey), "sid", false)
	mine := testID(f, testIDText)
	signed := "sid=" + testIDText + "; sid.sig=" + string(ring.Sign(nil, &mine))
	f.Fuzz(func(t *testing.T, header string) {
		h := new(fasthttp.RequestHeader)
		raw := "GET / HTTP/1.1\r\nHost: a\r\nCookie: " + header + "\r\n\r\n"
		if strings.ContainsAny(header, "\r\n") || h.Read(bufio.NewReaderSize(strings.NewReader(raw), 1<<17)) != nil {
			return
		}
		var p Presented
		readAll(&p, h)
		ids, sigs := p.texts()
		wantIDs, wantSigs := cookiesByTheBook(header, "sid"), cookiesByTheBook(header, "sid.sig")
		wantIDs = slices.DeleteFunc(wantIDs, func(s string) bool { _, err := ident.ParseID(s); return err != nil })
		wantSigs = slices.DeleteFunc(wantSigs, func(s string) bool { return len(s) != 27 && len(s) != 43 })
		wantIDs, wantSigs = firstOfEach(wantIDs), firstOfEach(wantSigs)
		wantIDs, wantSigs = wantIDs[:min(4, len(wantIDs))], wantSigs[:min(4, len(wantSigs))]
		if !slices.Equal(ids, wantIDs) || !slices.Equal(sigs, wantSigs) {
			t.Errorf("%q: got %q and %q, want %q and %q", header, ids, sigs, wantIDs, wantSigs)
		}
		if id, _ := finds(&p, h, ring); !id.IsZero() && id != mine {
			t.Errorf("%q: got an id that nobody signed, want none", header)
		}
		id, sig, _ := strings.Cut(signed, "; ")
		for _, lines := range [][]string{
			{cookieLine(signed), cookieLine(header)},
			{cookieLine(id), cookieLine(sig), cookieLine(header)},
		} {
			if id, _ := finds(&p, readHeader(t, false, lines...), ring); id != mine {
				t.Errorf("behind the signed one in %d lines, %q: got another one or none", len(lines)-1, header)
			}
		}
		for _, line := range []string{header + ";" + signed, signed + header, id + ";" + header + ";" + sig} {
			fresh := sign.NewKeyring(sign.Keys(longKey), "sid", false)
			want, _ := finds(&p, readHeader(t, false, cookieLine(line)), fresh)
			if id, _ := finds(&p, readHeader(t, false, cookieLine(line)), ring); id != want {
				t.Errorf("%q, whose signature is remembered: got another one than by a ring that remembers nothing", line)
			}
		}
	})
}

// firstOfEach returns texts without those that stand there already.
func firstOfEach(texts []string) (once []string) {
	for _, text := range texts {
		if !slices.Contains(once, text) {
			once = append(once, text)
		}
	}
	return once
}

// cookiesByTheBook is a second reading of the grammar.
func cookiesByTheBook(header, name string) (values []string) {
	for pair := range strings.SplitSeq(header, ";") {
		key, value, ok := strings.Cut(strings.TrimLeft(pair, " \t"), "=")
		if !ok || key != name {
			continue
		}
		value = strings.Trim(value, " \t")
		if len(value) >= 2 && strings.HasPrefix(value, `"`) && strings.HasSuffix(value, `"`) {
			value = value[1 : len(value)-1]
		}
		values = append(values, value)
	}
	return values
}
