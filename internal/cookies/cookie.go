package cookies

import (
	"bytes"
	"iter"
	"strings"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/sign"
	"github.com/valyala/fasthttp"
)

// Cookie has the fields of the root's Cookie, which says what they mean: each converts to the other.
type Cookie struct {
	Name                      string
	Path                      string
	Domain                    string
	MaxAge                    time.Duration
	Expires                   time.Time
	Secure                    SecureMode
	SameSite                  SameSite
	DangerouslyScriptReadable bool
	DangerouslyUnsigned       bool
	Partitioned               bool
}

// SecureMode is the root's SecureMode.
type SecureMode uint8

const (
	SecureAuto SecureMode = iota
	SecureAlways
	SecureNever
)

// SameSite is the root's SameSite.
type SameSite uint8

const (
	SameSiteLax SameSite = iota
	SameSiteStrict
	SameSiteNone
	SameSiteDangerouslyUnset
)

const (
	defaultCookieName = "koa.sid"
	MaxAge            = 400 * 24 * time.Hour
)

// WithDefaults returns c with the fields filled in whose zero value stands for something else.
func (c Cookie) WithDefaults() Cookie {
	if c.Name == "" {
		c.Name = defaultCookieName
	}
	if c.Path == "" {
		c.Path = "/"
	}
	return c
}

// maxCandidates is how many ids and how many signatures of a request are looked at. Several arrive when an
// application above or beside this one set cookies of the same name for another path or domain. The bound keeps a
// hostile header from costing more than 16 signature checks.
const maxCandidates = 4

// Presented is what a request presents: the well-formed ids and the signatures of plausible length in the order of
// the header. It holds them by value. Only the first nIDs and nSigs count; the rest is left from earlier requests.
type Presented struct {
	ids   [maxCandidates]ident.ID
	sigs  [maxCandidates]sign.Signature
	nIDs  int
	nSigs int

	id, sig int // those that were picked
	key     int // index of the key that made sig
}

// Find sets p to what h presents under the names that w writes, and picks an id. It reports false if none is good.
func (w *Writer) Find(p *Presented, h *fasthttp.RequestHeader) bool {
	return p.find(h, w.name, w.sigName, w.keys)
}

// Take sets p to an id and its signature that came some other way. It reports false if they are not good; k is nil where
// there is no signature.
func (p *Presented) Take(id, sig []byte, k *sign.Keyring) (ok bool) {
	p.id = 0
	ok = ident.SetID(&p.ids[0], id)
	if ok && k != nil {
		p.key, ok = k.Verify(&p.ids[0], sig)
	}
	return ok
}

// Some reports whether [Writer.Find] met an id, good or not, where it has found none that is good.
func (p *Presented) Some() bool { return p.nIDs > 0 }

// Next picks the next id that is good. It reports false if there is none.
func (p *Presented) Next(*sign.Keyring) bool { return false }

// All returns every id that is good.
func (p *Presented) All(*sign.Keyring) iter.Seq[ident.ID] {
	return func(yield func(ident.ID) bool) { yield(*p.ID()) }
}

// ID returns the id that was picked.
func (p *Presented) ID() *ident.ID { return &p.ids[p.id] }

// Key returns the index of the key that has signed it.
func (p *Presented) Key() int { return p.key }

// Signature returns its signature, as the request has it.
func (p *Presented) Signature() []byte { return p.sigs[p.sig].Bytes() }

// find sets p to what h presents under the two names, which are compared byte by byte, and picks an id. It reports
// false if none is good.
//
// It reads the raw header and not h.Cookie, which would parse every cookie of the request. The grammar:
//
//	header = pair *( ";" pair )
//	pair   = OWS name "=" [ DQUOTE ] value [ DQUOTE ] OWS    ; OWS: spaces and tabs
//
// A pair that is anything else is passed over. Two quotes around a value are no part of it, as for Koa and fasthttp.
//
// Cookies may come in several lines, but to ask for all of them takes longer than to read one. It is not asked where
// the first id of the first line is good, since the others could not change that.
func (p *Presented) find(h *fasthttp.RequestHeader, name, sigName string, k *sign.Keyring) bool {
	line := h.PeekCanonical(cookieField)
	ours := skipForeign(line, name, sigName)
	if k != nil && p.recall(ours, name, sigName, k) {
		return true
	}
	p.nIDs, p.nSigs = 0, 0
	p.scan(ours, name, sigName)
	if line == nil && !keepsNames(h) {
		return false
	}
	tried := 0
	if p.nIDs > 0 {
		if p.check(k, 0, 0) {
			return true
		}
		tried = p.nSigs
	}
	p.readRest(h, name, sigName)
	return p.pick(k, tried)
}

// recall picks the id that a line begins with if its signature is the next pair and is remembered as good: what browsers
// send whose last request was not long ago. The pair is looked up as it stands, and nothing about it checked, since what
// is remembered was. All else it leaves to scan.
func (p *Presented) recall(line []byte, name, sigName string, k *sign.Keyring) bool {
	first, rest := cutPair(line)
	second, _ := cutPair(rest)
	if !hasName(first, name) || !hasName(second, sigName) {
		return false
	}
	id, sig := first[len(name)+1:], second[len(sigName)+1:]
	if len(id) > ident.MaxIDLen || !sign.IsSignatureLen(len(sig)) {
		return false
	}
	ident.FillID(&p.ids[0], id)
	index, ok := k.Recall(&p.ids[0], sig)
	if ok {
		p.sigs[0].Set(sig)
		p.id, p.sig, p.key = 0, 0, index
	}
	return ok
}

// readRest collects those of the other lines.
func (p *Presented) readRest(h *fasthttp.RequestHeader, name, sigName string) {
	namesKept := h.DisableNormalizing() // "Cookie" is in normal form: spare PeekAll the work
	lines := h.PeekAll(fasthttp.HeaderCookie)
	for i := 1; i < len(lines); i++ {
		p.scan(lines[i], name, sigName)
	}
	if !namesKept {
		h.EnableNormalizing()
		return
	}
	// Names stand as they came, and HTTP/2 proxies send this one in lower case.
	for _, line := range h.PeekAll("cookie") {
		p.scan(line, name, sigName)
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

// scan collects the candidates of one header line.
func (p *Presented) scan(line []byte, name, sigName string) {
	for len(line) > 0 {
		var pair []byte
		pair, line = cutPair(line)
		if hasName(pair, name) {
			p.addID(cookieValue(pair[len(name)+1:]))
		} else if hasName(pair, sigName) {
			p.addSignature(cookieValue(pair[len(sigName)+1:]))
		}
	}
}

// skipForeign returns a line from its first pair on that is called name or sigName, nil if there is none.
func skipForeign(line []byte, name, sigName string) []byte {
	for len(line) > 0 {
		pair, rest := cutPair(line)
		if hasName(pair, name) || hasName(pair, sigName) {
			return line
		}
		line = rest
	}
	return nil
}

// cutPair returns the first pair of a line, without the blanks before it, and what comes after its semicolon.
func cutPair(line []byte) (pair, rest []byte) {
	pair = line
	if i := bytes.IndexByte(line, ';'); i >= 0 {
		pair, rest = line[:i], line[i+1:]
	}
	for len(pair) > 0 && isBlank(pair[0]) {
		pair = pair[1:]
	}
	return pair, rest
}

// hasName reports whether pair begins with name and an equals sign.
func hasName(pair []byte, name string) bool {
	return len(pair) > len(name) && pair[len(name)] == '=' && string(pair[:len(name)]) == name
}

// cookieValue strips trailing blanks, then a pair of quotes.
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

func (p *Presented) addID(value []byte) {
	if p.nIDs < maxCandidates && ident.SetID(&p.ids[p.nIDs], value) {
		p.nIDs++
	}
}

func (p *Presented) addSignature(value []byte) {
	if p.nSigs == maxCandidates || !sign.IsSignatureLen(len(value)) {
		return
	}
	p.sigs[p.nSigs].Set(value)
	p.nSigs++
}

// pick picks the first id, in the order of the header, that one of the signatures is good for. Of the first id the
// first tried signatures are known not to be.
func (p *Presented) pick(k *sign.Keyring, tried int) bool {
	for i := range p.nIDs {
		if p.check(k, i, tried) {
			return true
		}
		tried = 0
	}
	return false
}

// check picks id i if one of the signatures from the given one on is good for it. Without a keyring, which is for
// Cookie.DangerouslyUnsigned alone, every id is good.
func (p *Presented) check(k *sign.Keyring, i, from int) bool {
	if k == nil {
		p.id = i
		return true
	}
	for j := from; j < p.nSigs; j++ {
		if key, ok := k.Verify(&p.ids[i], p.sigs[j].Bytes()); ok {
			p.id, p.sig, p.key = i, j, key
			return true
		}
	}
	return false
}

// SameCookie reports whether a browser takes a cookie of c for one of other, RFC 6265 section 5.3 step 11.
func (c *Cookie) SameCookie(other *Cookie) bool {
	return c.Path == other.Path && strings.EqualFold(c.Domain, other.Domain) && c.Partitioned == other.Partitioned
}
