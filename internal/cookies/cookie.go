package cookies

import (
	"strings"
	"time"
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

// SameCookie reports whether a browser takes a cookie of c for one of other, RFC 6265 section 5.3 step 11.
func (c *Cookie) SameCookie(other *Cookie) bool {
	return c.Path == other.Path && strings.EqualFold(c.Domain, other.Domain) && c.Partitioned == other.Partitioned
}
