package cookies

import (
	"strconv"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/sign"
	"github.com/valyala/fasthttp"
)

// Writer writes the cookies of one Manager. It is safe for concurrent use.
//
// fasthttp renders the attributes; where they are the configuration's, as they nearly always are, it does so once, at
// start-up. To let it put together each cookie takes four times as long.
type Writer struct {
	name    string // as it is sent
	sigName string
	find    []byte        // name, to search for
	keys    *sign.Keyring // nil: unsigned
	config  *Cookie       // what NewWriter was given
	usual   [2]rendered   // its attributes, without TLS and with it
	pool    sync.Pool     // of *fasthttp.Cookie, for other attributes
}

// attributes are what a cookie says beside its value and its end.
type attributes struct {
	path, domain string
	sameSite     SameSite
	secure       bool
	httpOnly     bool
	partitioned  bool
}

// rendered are attributes and how they are written.
type rendered struct {
	attributes
	text []byte
}

// NewWriter returns a writer of cookies with the name and, usually, the attributes of c, which has passed
// validate and is not written to any more. keys is nil for cookies without a signature.
func NewWriter(c *Cookie, keys *sign.Keyring) *Writer {
	name := wireName(c.Name)
	w := &Writer{name: name, sigName: name + sigSuffix, find: []byte(name), keys: keys, config: c}
	w.pool.New = func() any { return new(fasthttp.Cookie) }
	for i, tls := range [...]bool{false, true} {
		a := c.attributes(tls)
		w.usual[i] = rendered{a, a.appendTo(nil, new(fasthttp.Cookie))}
	}
	return w
}

// Write sets both cookies of id in h, with the attributes of c, which has passed validate, and in place of any that
// are set there. sig is id's signature if it is at hand, else nil. secure says that the request came over TLS. The
// browser keeps them for maxAge: 0 means until it is closed, and a time that is over removes them.
func (w *Writer) Write(h *fasthttp.ResponseHeader, c *Cookie, id *ident.ID, sig []byte, secure bool, maxAge time.Duration) {
	var made [sign.MaxSignatureLen]byte
	if sig == nil && w.keys != nil {
		sig = w.keys.Sign(made[:0], id)
	}
	var room [tailRoom]byte
	tail := room[:0]
	if maxAge != 0 {
		tail = strconv.AppendInt(append(tail, "; max-age="...), wholeSeconds(maxAge), 10)
	}
	w.set(h, id.Bytes(), sig, w.appendAttributes(tail, c, secure), false)
}

// Expire tells the browser to drop both cookies. It finds them by name, domain and path (and partition), and takes
// orders about Secure ones only from a response that says Secure: hence all the attributes. The expiry is an instant
// in the past and not Max-Age=0, since every browser there ever was obeys the former.
func (w *Writer) Expire(h *fasthttp.ResponseHeader, c *Cookie, secure bool) {
	w.expire(h, c, secure, false)
}

// ExpireBeside is Expire for cookies of another path or domain than those that are set in h, which stay.
func (w *Writer) ExpireBeside(h *fasthttp.ResponseHeader, c *Cookie, secure bool) {
	w.expire(h, c, secure, true)
}

func (w *Writer) expire(h *fasthttp.ResponseHeader, c *Cookie, secure, beside bool) {
	var room [tailRoom]byte
	tail := append(room[:0], "; expires=Thu, 01 Jan 1970 00:00:00 GMT"...)
	w.set(h, nil, nil, w.appendAttributes(tail, c, secure), beside)
}

// The room for a line and for what stands behind a value in it, in bytes, that takes no allocation. Few cookies are longer.
const (
	lineRoom = 384
	tailRoom = 256
)

// set sets both cookies: their values, and the tail that stands behind each. Unless beside, it takes away others of their
// names.
func (w *Writer) set(h *fasthttp.ResponseHeader, id, sig, tail []byte, beside bool) {
	var room [lineRoom]byte
	put(h, room[:0], w.name, id, tail, beside)
	if w.keys != nil {
		put(h, room[:0], w.sigName, sig, tail, beside)
	}
}

// put sets one cookie in h. fasthttp's SetCookie would replace only the first of several lines that a handler has
// added under this name by hand.
func put(h *fasthttp.ResponseHeader, line []byte, name string, value, tail []byte, beside bool) {
	line = append(append(append(append(line, name...), '='), value...), tail...)
	if !beside {
		h.DelCookie(name)
	}
	h.SetCanonical(setCookieField, line) // which adds a cookie, whatever it does to other fields
}

// appendAttributes appends what a cookie of c says behind its value and its end.
func (w *Writer) appendAttributes(dst []byte, c *Cookie, tls bool) []byte {
	usual := &w.usual[0]
	if tls {
		usual = &w.usual[1]
	}
	if c == w.config {
		return append(dst, usual.text...)
	}
	a := c.attributes(tls)
	if a == usual.attributes {
		return append(dst, usual.text...)
	}
	scratch := w.pool.Get().(*fasthttp.Cookie)
	defer w.pool.Put(scratch)
	return a.appendTo(dst, scratch)
}

// attributes returns what a cookie of c says in a response to a request that came over TLS, or not.
func (c *Cookie) attributes(tls bool) attributes {
	return attributes{
		path:        c.Path,
		domain:      c.Domain,
		sameSite:    c.SameSite,
		secure:      c.Secure == SecureAlways || c.Secure == SecureAuto && tls,
		httpOnly:    !c.DangerouslyScriptReadable,
		partitioned: c.Partitioned,
	}
}

// appendTo appends the attributes as they stand behind a value. scratch is anybody's.
func (a *attributes) appendTo(dst []byte, scratch *fasthttp.Cookie) []byte {
	scratch.Reset()
	scratch.SetSameSite(wireSameSite[a.sameSite])
	scratch.SetPartitioned(a.partitioned) // before SetPath, since it sets the path to "/"
	scratch.SetPath(a.path)
	scratch.SetDomain(a.domain)
	scratch.SetHTTPOnly(a.httpOnly)
	scratch.SetSecure(a.secure)
	return scratch.AppendBytes(dst)
}

// wireSameSite translates to fasthttp's terms.
var wireSameSite = [...]fasthttp.CookieSameSite{
	SameSiteLax:              fasthttp.CookieSameSiteLaxMode,
	SameSiteStrict:           fasthttp.CookieSameSiteStrictMode,
	SameSiteNone:             fasthttp.CookieSameSiteNoneMode,
	SameSiteDangerouslyUnset: fasthttp.CookieSameSiteDisabled,
}

// wholeSeconds returns d in seconds rounded up, within what browsers grant, and 0 for what is over.
func wholeSeconds(d time.Duration) int64 {
	return int64((min(max(d, 0), MaxAge) + time.Second - 1) / time.Second)
}
