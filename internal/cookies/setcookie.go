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
	name    string
	sigName string
	find    []byte        // name, to search for
	keys    *sign.Keyring // nil: unsigned
	usual   [2]rendered   // the configuration's attributes, without TLS and with it
	pool    sync.Pool     // *cookieScratch
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

// cookieScratch is the room to write a cookie in.
type cookieScratch struct {
	line   []byte
	own    []byte // the attributes of a session that has its own
	cookie fasthttp.Cookie
}

// NewWriter returns a writer of cookies with the name and, usually, the attributes of c, which has passed
// validate. keys is nil for cookies without a signature.
func NewWriter(c *Cookie, keys *sign.Keyring) *Writer {
	name := wireName(c.Name)
	w := &Writer{name: name, sigName: name + sigSuffix, find: []byte(name), keys: keys}
	w.pool.New = func() any { return new(cookieScratch) }
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
	var room [len("; max-age=34560000")]byte
	end := room[:0]
	if maxAge != 0 {
		end = strconv.AppendInt(append(end, "; max-age="...), wholeSeconds(maxAge), 10)
	}
	w.set(h, c.attributes(secure), id.Bytes(), sig, end, false)
}

// Expire tells the browser to drop both cookies. It finds them by name, domain and path (and partition), and takes
// orders about Secure ones only from a response that says Secure: hence all the attributes. The expiry is an instant
// in the past and not Max-Age=0, since every browser there ever was obeys the former.
func (w *Writer) Expire(h *fasthttp.ResponseHeader, c *Cookie, secure bool) {
	w.set(h, c.attributes(secure), nil, nil, []byte(longAgo), false)
}

// ExpireBeside is expire for cookies of another path or domain than those that are set in h, which stay.
func (w *Writer) ExpireBeside(h *fasthttp.ResponseHeader, c *Cookie, secure bool) {
	w.set(h, c.attributes(secure), nil, nil, []byte(longAgo), true)
}

const longAgo = "; expires=Thu, 01 Jan 1970 00:00:00 GMT"

// set sets both cookies: their values, when they end, and what else they say. Unless beside, it takes away others of
// their names.
func (w *Writer) set(h *fasthttp.ResponseHeader, a attributes, id, sig, end []byte, beside bool) {
	l := w.pool.Get().(*cookieScratch)
	defer w.pool.Put(l)
	var text []byte
	switch a {
	case w.usual[0].attributes:
		text = w.usual[0].text
	case w.usual[1].attributes:
		text = w.usual[1].text
	default:
		l.own = a.appendTo(l.own[:0], &l.cookie)
		text = l.own
	}
	l.put(h, w.name, id, end, text, beside)
	if w.keys != nil {
		l.put(h, w.sigName, sig, end, text, beside)
	}
}

// put sets one cookie in h. fasthttp's SetCookie would replace only the first of several lines that a handler has
// added under this name by hand.
func (l *cookieScratch) put(h *fasthttp.ResponseHeader, name string, value, end, attributes []byte, beside bool) {
	l.line = append(append(append(l.line[:0], name...), '='), value...)
	l.line = append(append(l.line, end...), attributes...)
	if !beside {
		h.DelCookie(name)
	}
	h.SetCanonical(setCookieField, l.line) // which adds a cookie, whatever it does to other fields
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
