package cookies

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// collect collects the ids and signatures of all Cookie lines of h.
//
// It reads the raw lines and not h.Cookie, which would parse every cookie of the request. The grammar of a line:
//
//	line = pair *( ";" pair )
//	pair = OWS name "=" OWS [ DQUOTE ] value [ DQUOTE ] OWS    ; OWS: spaces and tabs
//
// A pair that is anything else is passed over. Names are compared byte by byte. Two quotes around a value are no part
// of it, as for Koa and fasthttp.
func (p *Presented) collect(h *fasthttp.RequestHeader, name []byte) {
	namesKept := h.DisableNormalizing() // "Cookie" is in normal form: spare PeekAll the work
	for _, line := range h.PeekAll(fasthttp.HeaderCookie) {
		p.scan(line, name)
	}
	if !namesKept {
		h.EnableNormalizing()
		return
	}
	// Names stand as they came, and HTTP/2 proxies send this one in lower case.
	for _, line := range h.PeekAll("cookie") {
		p.scan(line, name)
	}
}

// scan collects the ids and signatures of one line. It goes from one place where the name stands to the next, and spends
// nothing on the cookies between them.
func (p *Presented) scan(line, name []byte) {
	for at := 0; ; {
		i := bytes.Index(line[at:], name)
		if i < 0 {
			return
		}
		start := at + i
		at = start + len(name)
		if !beginsPair(line, start) {
			continue
		}
		if value, ok := cutSign(line[at:], "="); ok {
			p.addID(value)
		} else if value, ok := cutSign(line[at:], sigSuffix+"="); ok {
			p.addSignature(value)
		}
	}
}

// sigSuffix is what the name of a signature's cookie has more than that of the id's.
const sigSuffix = ".sig"

// beginsPair reports whether a pair of line may begin at i: at the start of the line or behind a semicolon, blanks aside.
func beginsPair(line []byte, i int) bool {
	for i > 0 && isBlank(line[i-1]) {
		i--
	}
	return i == 0 || line[i-1] == ';'
}

// cutSign returns the value of a pair, of which rest is what stands behind the name, if it begins with sign.
func cutSign(rest []byte, sign string) (value []byte, ok bool) {
	if len(rest) < len(sign) || string(rest[:len(sign)]) != sign {
		return nil, false
	}
	value = rest[len(sign):]
	if i := bytes.IndexByte(value, ';'); i >= 0 {
		value = value[:i]
	}
	return cookieValue(value), true
}

// cookieValue strips blanks, then a pair of quotes.
func cookieValue(v []byte) []byte {
	for len(v) > 0 && isBlank(v[len(v)-1]) {
		v = v[:len(v)-1]
	}
	for len(v) > 0 && isBlank(v[0]) {
		v = v[1:]
	}
	if n := len(v); n >= 2 && v[0] == '"' && v[n-1] == '"' {
		v = v[1 : n-1]
	}
	return v
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
