package sess

import (
	"time"

	"github.com/fibersess/sess/internal/cookies"
)

// Cookie says how a session's cookie is sent. A session has two: NAME holds its id and NAME.sig the id's signature;
// both are sent with the same attributes.
//
// The zero Cookie is a good one: a browser-session cookie that scripts cannot read, which other sites' forms and
// frames do not carry, and which is marked Secure wherever the request came over TLS. Every field is checked at
// start-up, and again when a session is given a Cookie of its own.
type Cookie struct {
	// Name is the cookie's name, and NAME.sig the signature's. Only Config's counts. Default: koa.sid.
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
