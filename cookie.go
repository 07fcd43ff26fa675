package sess

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/engine"
	"github.com/valyala/fasthttp"
)

// Cookie says how a session's cookie is sent. A session has two: NAME holds its id and NAME.sig the id's signature;
// both are sent with the same attributes.
//
// The zero Cookie is a good one: a browser-session cookie that scripts cannot read, which other sites' forms and
// frames do not carry, and which is marked Secure wherever the request came over TLS. Every field is checked at
// start-up, and again when a session is given a Cookie of its own.
type Cookie struct {
	// Name is the cookie's name, and NAME.sig the signature's: a token of RFC 6265 without %, or with Config.Koa any name
	// that Koa can send, such as koss:test_sid or sess[id]. Only Config's counts. Default: koa.sid.
	Name string

	// Path is where the session is seen: the middleware does nothing elsewhere, and browsers send the cookies nowhere
	// else. Browsers do not decode a path before they compare it, so it must be a plain one: "/" or "/a/b", without
	// %-escapes, "//", "/./" and "/../". Default: "/".
	Path string

	// Domain sends the cookies to all hosts below this name too. Default: none, so only to the host that set them.
	Domain string

	// MaxAge is how long browsers keep the cookies, in whole seconds rounded up, 400 days at most, which is the most
	// that browsers grant; with a Config.TTL it only says that they keep them, and the TTL how long. Default: 0, until
	// the browser is closed.
	MaxAge time.Duration

	// Expires is the instant at which this one session ends, for a session's own Cookie; it is taken before MaxAge.
	// Default: none.
	Expires time.Time

	// Secure says whether the cookies travel over TLS only. Default: SecureAuto.
	Secure SecureMode

	// SameSite says which requests that other sites cause carry the cookies. Default: SameSiteLax.
	SameSite SameSite

	// DangerouslyScriptReadable leaves HttpOnly out, so that a script injected into a page can steal the session.
	// Default: false.
	DangerouslyScriptReadable bool

	// DangerouslyUnsigned sends and takes the id alone, without a signature. Ids can then be tried out at the price of
	// a store read each; they are still never adopted. Only Config's counts. Default: false.
	DangerouslyUnsigned bool

	// Partitioned keeps a separate session for each site that embeds this one (CHIPS). It needs SecureAlways, and for
	// use in a frame SameSiteNone. Default: false.
	Partitioned bool
}

// SecureMode says when a cookie bears the attribute Secure, which keeps it off connections without TLS.
type SecureMode = cookies.SecureMode

const (
	SecureAuto   SecureMode = cookies.SecureAuto   // when the request came over TLS, also as told by a proxy that Fiber trusts
	SecureAlways SecureMode = cookies.SecureAlways // on every response; over plain http browsers then keep no cookie
	SecureNever  SecureMode = cookies.SecureNever  // on none: the id can be read on the way wherever TLS is missing
)

// SameSite says which requests that other sites cause carry a cookie.
type SameSite = cookies.SameSite

const (
	SameSiteLax              SameSite = cookies.SameSiteLax              // only when the visitor follows a link to this site
	SameSiteStrict           SameSite = cookies.SameSiteStrict           // none: a visitor who follows a link arrives without a session
	SameSiteNone             SameSite = cookies.SameSiteNone             // all: nothing here protects from forged requests
	SameSiteDangerouslyUnset SameSite = cookies.SameSiteDangerouslyUnset // the attribute is not sent: each browser does what it thinks best
)

// Transport carries a session's token between client and server in place of the two cookies. A token is the id, a
// dot and the signature; a transport moves it and need not look inside. Set one in Config.Transport and cookies are
// neither read nor written. Transports are safe for concurrent use.
type Transport interface {
	// Read returns the request's token, nil if there is none. It may be a view of the request's buffer.
	Read(ctx *fasthttp.RequestCtx) []byte

	// Write sends token with the response, which after a timeout is ctx.LastTimeoutErrorResponse. ttl is how long the
	// session lives if it is left alone.
	Write(ctx *fasthttp.RequestCtx, token string, ttl time.Duration)

	// Expire tells the client that its token is worth nothing any more.
	Expire(ctx *fasthttp.RequestCtx)

	// Field names the request header that Read looks at, for the response's Vary.
	Field() string
}

// HeaderTransport carries the token in a request header and a response header of one name, for clients that are not
// browsers. An ended session is told by an empty header. It fails to start if name is not a header name.
//
// A token in a header is out of reach of cross-site requests, and in reach of every script of the page that holds it.
func HeaderTransport(name string) Transport { return headerTransport(name) }

type headerTransport string

func (t headerTransport) Read(ctx *fasthttp.RequestCtx) []byte {
	return ctx.Request.Header.Peek(string(t))
}

func (t headerTransport) Write(ctx *fasthttp.RequestCtx, token string, _ time.Duration) {
	engine.ResponseHeader(ctx).Set(string(t), token)
}

func (t headerTransport) Expire(ctx *fasthttp.RequestCtx) {
	engine.ResponseHeader(ctx).Set(string(t), "")
}

func (t headerTransport) Field() string { return string(t) }

// validate refuses a name that would break the response apart.
func (t headerTransport) validate() error {
	if t == "" || strings.IndexFunc(string(t), func(r rune) bool { return !isTokenRune(r) }) >= 0 {
		return fmt.Errorf("sess: Config.Transport: header name %q; want letters, digits and hyphens", string(t))
	}
	if strings.EqualFold(string(t), "Cookie") || strings.EqualFold(string(t), "Set-Cookie") {
		return errors.New("sess: Config.Transport: a cookie header; leave Transport nil to use cookies")
	}
	return nil
}

func isTokenRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}
