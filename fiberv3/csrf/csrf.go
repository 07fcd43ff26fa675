// Package csrf protects an application on Fiber v3 from forged requests: those that another site makes a visitor's browser
// send, cookies included.
//
//	app.Use(sess.New())
//	app.Use(csrf.New())
//
// It is the package [github.com/fibersess/sess/csrf], whose documentation says what passes and what does not.
package csrf

import (
	"github.com/gofiber/fiber/v3"

	sess "github.com/fibersess/sess/fiberv3"

	core "github.com/fibersess/sess/csrf"
)

// Config says which requests pass. Its zero value lets the application's own pages through, and what is no browser.
type Config = core.Config

// Where a request has its token.
const (
	HeaderName = core.HeaderName // of a request that a script sends
	FieldName  = core.FieldName  // of a form, urlencoded or multipart
	Purpose    = core.Purpose    // of the token, for sess.Session.Token
)

// The errors of requests that are refused. Fiber answers them with 403 and their text.
var (
	ErrOrigin = core.ErrOrigin // another origin caused it
	ErrToken  = core.ErrToken  // its token is missing or not this session's
)

// New returns the protection as a handler for Fiber v3, of at most one Config. A request that is refused goes no further,
// and the application's ErrorHandler gets [ErrOrigin] or [ErrToken]. New panics if the Config is wrong; [NewProtection]
// returns the error instead.
func New(config ...Config) fiber.Handler {
	var c Config
	switch len(config) {
	case 0:
	case 1:
		c = config[0]
	default:
		panic("csrf: New: more than one Config; want one")
	}
	p, err := NewProtection(c)
	if err != nil {
		panic(err)
	}
	return p.Handle
}

// Protection tells an application's own requests from those that other sites cause. It is safe for concurrent use. The zero
// Protection is not useful: make one with [NewProtection].
type Protection struct {
	// Protection is what the two versions of Fiber share.
	*core.Protection
}

// NewProtection checks config and returns its Protection. The error holds every mistake at once.
func NewProtection(config Config) (*Protection, error) {
	p, err := core.NewProtection(config)
	if err != nil {
		return nil, err
	}
	return &Protection{p}, nil
}

// Handle is the protection for Fiber v3: app.Use(p.Handle).
func (p *Protection) Handle(c fiber.Ctx) error {
	if err := p.Check(c.RequestCtx()); err != nil {
		return err
	}
	return c.Next()
}

// Token returns a token for a form or a script of this page, see [github.com/fibersess/sess/csrf.Token].
func Token(c fiber.Ctx) string { return sess.From(c).Token(Purpose) }
