package cookies

import (
	"bytes"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/sign"
	"github.com/valyala/fasthttp"
)

// This file reads the raw Cookie lines of a request, and not h.Cookie, which would parse every cookie. The grammar of a
// line:
//
//	line = pair *( ";" pair )
//	pair = OWS name "=" OWS [ DQUOTE ] value [ DQUOTE ] OWS    ; OWS: spaces and tabs
//
// A pair that is anything else is passed over. Names are compared byte by byte. Two quotes around a value are no part
// of it, as for Koa and fasthttp.

// Find sets p to what the Cookie lines of h present under the names that w writes, and selects the first candidate. It
// reports false if there is none.
func (w *Writer) Find(p *Presented, h *fasthttp.RequestHeader) bool {
	p.begin(w.keys.Ring())
	name := w.find
	if h.DisableNormalizing() { // It was disabled already.
		return p.readAsTheyCame(h, name)
	}
	lines := h.PeekAll(fasthttp.HeaderCookie) // Without normalizing it takes less time.
	h.EnableNormalizing()
	if len(lines) == 0 {
		return false
	}
	if len(lines) == 1 && p.recall(lines[0], name) {
		return true
	}
	p.collect(lines, name)
	return p.selectFrom(0)
}

// readAsTheyCame is Find where fasthttp leaves the names of fields as they came: HTTP/2 proxies send "cookie".
func (p *Presented) readAsTheyCame(h *fasthttp.RequestHeader, name []byte) bool {
	p.collect(h.PeekAll(fasthttp.HeaderCookie), name)
	p.collect(h.PeekAll("cookie"), name)
	return p.selectFrom(0)
}

// recall takes the id and the signature of a line that has one of each, in this order, if the ring remembers that it has
// verified them: what browsers send whose last request was not long ago. Nothing else is checked about them, since what is
// remembered was. It leaves every other line to collect.
func (p *Presented) recall(line, name []byte) bool {
	first, line := nextPair(line, name)
	second, line := nextPair(line, name)
	if third, _ := nextPair(line, name); p.ring == nil || third != nil {
		return false
	}
	id, isID := cutValue(first, "=")
	sig, isSig := cutValue(second, sigSuffix+"=")
	if !isID || !isSig || len(id) > ident.MaxIDLen || !sign.IsSignatureLen(len(sig)) {
		return false
	}
	ident.FillID(&p.ids[0], id)
	key, ok := p.ring.Recall(&p.ids[0], sig)
	if !ok {
		p.ids[0] = ident.ID{}
		return false
	}
	p.sigs[0].Set(sig)
	p.nIDs, p.nSigs = 1, 1
	p.proofs[0] = proof{signed, 0, uint32(key)}
	p.count(key)
	return true
}

// collect adds the ids and signatures of lines.
func (p *Presented) collect(lines [][]byte, name []byte) {
	for _, line := range lines {
		for {
			var pair []byte
			if pair, line = nextPair(line, name); pair == nil {
				break
			}
			if value, ok := cutValue(pair, "="); ok {
				p.addID(trimmed(value))
			} else if value, ok := cutValue(pair, sigSuffix+"="); ok {
				p.addSignature(trimmed(value))
			}
		}
	}
}

// nextPair returns what follows name in the next pair of line that begins with it, and the rest of the line; nil if there
// is none. It searches for the name, so that it matters little how many other cookies there are.
func nextPair(line, name []byte) (pair, rest []byte) {
	for len(line) > 0 && isBlank(line[0]) {
		line = line[1:]
	}
	if len(line) <= len(name) {
		return nil, nil
	}
	if string(line[:len(name)]) != string(name) {
		if line = skipForeign(line, name); line == nil {
			return nil, nil
		}
	}
	pair = line[len(name):]
	if i := bytes.IndexByte(pair, ';'); i >= 0 {
		return pair[:i], pair[i+1:]
	}
	return pair, nil
}

// skipForeign returns line, whose first pair does not begin with name, from the next pair on that does; nil if there is
// none.
func skipForeign(line, name []byte) []byte {
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

// cutValue returns the value of a pair, of which rest is what follows our name, if it goes on with sign.
func cutValue(rest []byte, sign string) (value []byte, ok bool) {
	if len(rest) < len(sign) || string(rest[:len(sign)]) != sign {
		return nil, false
	}
	return rest[len(sign):], true
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
