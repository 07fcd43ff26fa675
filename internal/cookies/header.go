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
	if h.PeekCanonical(cookieField) == nil && !keepsNames(h) {
		return // Most requests without a session. To ask for all lines takes twice as long.
	}
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

// keepsNames reports whether h leaves the names of fields as they came.
func keepsNames(h *fasthttp.RequestHeader) bool {
	kept := h.DisableNormalizing()
	if !kept {
		h.EnableNormalizing()
	}
	return kept
}

// scan collects the ids and signatures of one line. From a pair that is not ours it goes on where our name stands next, so
// that it does not matter how many cookies are between.
func (p *Presented) scan(line, name []byte) {
	for {
		for len(line) > 0 && isBlank(line[0]) {
			line = line[1:]
		}
		if len(line) <= len(name) {
			return
		}
		if string(line[:len(name)]) != string(name) {
			line = nextPair(line, name)
			continue
		}
		pair := line[len(name):]
		if i := bytes.IndexByte(pair, ';'); i >= 0 {
			pair, line = pair[:i], pair[i+1:]
		} else {
			line = nil
		}
		p.addPair(pair)
	}
}

// nextPair returns line, which begins with a pair, from the next pair on whose name begins with name; nil if there is none.
func nextPair(line, name []byte) []byte {
	for from := 0; ; from++ {
		i := bytes.Index(line[from:], name)
		if i < 0 {
			return nil
		}
		from += i
		before := from
		for before > 0 && isBlank(line[before-1]) {
			before--
		}
		if before > 0 && line[before-1] == ';' {
			return line[from:]
		}
	}
}

// sigSuffix is what the name of a signature's cookie has more than that of the id's.
const sigSuffix = ".sig"

// addPair adds the value of a pair, of which rest is what follows our name, if it is an id or a signature.
func (p *Presented) addPair(rest []byte) {
	switch {
	case len(rest) > 0 && rest[0] == '=':
		p.addID(trimmed(rest[1:]))
	case len(rest) > len(sigSuffix) && string(rest[:len(sigSuffix)+1]) == sigSuffix+"=":
		p.addSignature(trimmed(rest[len(sigSuffix)+1:]))
	}
}

// trimmed strips blanks, then a pair of quotes.
func trimmed(v []byte) []byte {
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
