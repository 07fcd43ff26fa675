package sess

import (
	"context"
	"fmt"
	"time"

	"github.com/gofiber/fiber/v3"

	core "github.com/fibersess/sess"
)

// New returns the session middleware for Fiber v3, of at most one Config. It panics at start-up if the Config is wrong;
// [NewManager] returns the error instead.
func New(config ...Config) fiber.Handler {
	var c Config
	switch len(config) {
	case 0:
	case 1:
		c = config[0]
	default:
		panic(fmt.Sprintf("sess: New: %d Configs; want one", len(config)))
	}
	m, err := NewManager(c)
	if err != nil {
		panic(err)
	}
	return m.Handle
}

// Manager runs the sessions of one cookie: it is what a Config becomes. It is safe for concurrent use. The zero Manager is
// not useful: make one with [NewManager], or of the Manager that serves Fiber v2 in the same process, as Manager{m}.
type Manager struct {
	// Manager is what the two versions of Fiber share. Packages that know neither, such as sesstest, take it.
	*core.Manager
}

// NewManager checks config and returns its Manager. The error holds every mistake at once.
func NewManager(config Config) (*Manager, error) {
	m, err := core.NewManager(config)
	if err != nil {
		return nil, err
	}
	return &Manager{m}, nil
}

// Handle is the middleware for Fiber v3: app.Use(m.Handle). With a context of the application's own type (NewWithCustomCtx) a
// request costs one allocation more.
func (m *Manager) Handle(c fiber.Ctx) error {
	if d, ok := c.(*fiber.DefaultCtx); ok {
		return m.Run(d.RequestCtx(), (*request)(d), d.Next)
	}
	return m.Run(c.RequestCtx(), customRequest{c}, c.Next)
}

// request is what Fiber knows of a request.
type request fiber.DefaultCtx

func (r *request) Context() context.Context { return (*fiber.DefaultCtx)(r).Context() }
func (r *request) Secure() bool             { return secure((*fiber.DefaultCtx)(r)) }

// customRequest is request for a context of the application's own type.
type customRequest struct{ c fiber.Ctx }

func (r customRequest) Context() context.Context { return r.c.Context() }
func (r customRequest) Secure() bool             { return secure(r.c) }

// secure goes by Scheme, which takes a proxy's word only where the app checks which proxies it trusts (TrustProxy). Fiber 3.1's
// Secure compares the version of HTTP and is always false.
func secure(c fiber.Ctx) bool { return c.Scheme() == "https" }

// From returns the session of a request. It does no I/O and cannot fail: where no session middleware runs, or has nothing to do,
// it returns the inert session. Reads find nothing there, writes do nothing, [Session.Err] and whatever else returns an error
// say [ErrReleased], a guard such as [Strict] refuses the request with it, and the log has a line. With several managers it is
// the innermost one's; [Manager.From] names the manager.
//
// Call it in the handler, and pass the Session on to goroutines: a fiber.Ctx is another request's once its own is over. In a
// WebSocket or a body stream the session shows what the handshake found: use [Session.Detach] there.
func From(c fiber.Ctx) Session { return core.FromRequest(c.RequestCtx()) }

// From returns this manager's session of a request, see [From].
func (m *Manager) From(c fiber.Ctx) Session { return m.FromRequest(c.RequestCtx()) }

// Strict is a handler for routes that must not be served from a cached session: it reads the session again from the
// server of the store, and answers 503 if it cannot. If the session has ended its handler sees none. Where no session
// middleware runs the request is refused with [ErrReleased].
//
//	app.Get("/admin", sess.Strict, admin)
func Strict(c fiber.Ctx) error { return core.RunStrict(c.RequestCtx(), c.Next) }

// RequireLogin is a handler for routes that only users may use. It refuses a request as [Session.CheckLogin] says: with
// [ErrLoginRequired], 401, if nobody is logged in, and with [ErrLoginTooOld], 403, if the login is older than within, so that the
// user can be asked for the password again. It reads the session as [Strict] does.
//
//	app.Post("/password", sess.RequireLogin(10*time.Minute), changePassword)
func RequireLogin(within time.Duration) fiber.Handler {
	return func(c fiber.Ctx) error {
		return core.RunStrict(c.RequestCtx(), func() error {
			if err := From(c).CheckLogin(within); err != nil {
				return err
			}
			return c.Next()
		})
	}
}
