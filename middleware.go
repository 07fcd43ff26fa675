package sess

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/fibersess/sess/internal/engine"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// New returns the session middleware for Fiber, of at most one Config. It panics at start-up if the Config is wrong;
// [NewManager] returns the error instead.
func New(config ...Config) fiber.Handler {
	m, err := NewManager(first("New", config))
	if err != nil {
		panic(err)
	}
	return m.Handle
}

// first returns the config that a function was called with, if any.
func first[T any](function string, config []T) (c T) {
	if len(config) > 1 {
		panic(fmt.Sprintf("sess: %s: %d Configs; want one", function, len(config)))
	}
	if len(config) == 1 {
		c = config[0]
	}
	return c
}

// Manager runs the sessions of one cookie: it is what a Config becomes. It is safe for concurrent use. The zero Manager is not
// usable; call [NewManager].
type Manager struct{ engine *engine.Manager }

// NewManager checks config and returns its Manager. The error holds every mistake at once, see [Config.Validate].
func NewManager(config Config) (*Manager, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &Manager{engine.New(config.withDefaults().frozen())}, nil
}

// Name returns what carries the sessions of m: the name of the cookie, or that of the header in lower case.
func (m *Manager) Name() string { return m.engine.Name() }

// Request says what only the framework knows of a request. Both methods are called on the request's goroutine, and not
// after next has returned.
type Request interface {
	// Context is the parent of the deadlines at the store.
	Context() context.Context

	// Secure reports whether the client speaks TLS with this process, or with a proxy that is trusted to say so.
	Secure() bool
}

// Run is the whole of a request, for any framework on fasthttp: it loads the session that ctx presents, runs next, saves
// the session, and puts the cookie into the response of ctx. in is nil where fasthttp knows all. The error is next's, or
// what Config.ErrorHandler made of the session layer's own, an [*Error]: answer it with its Status and no more.
//
// Where the middleware has nothing to do it runs next and nothing else: where Config.Next says so, outside of Cookie.Path, and
// where it already runs in this request (registered twice, a mounted app, a restarted routing), or another Manager of the
// same cookie name does.
func (m *Manager) Run(ctx *fasthttp.RequestCtx, in Request, next func() error) error {
	if err := m.engine.Run(ctx, in, next); err != nil {
		return answerable(err)
	}
	return nil
}

// Handle is the middleware for Fiber: app.Use(m.Handle).
func (m *Manager) Handle(c *fiber.Ctx) error {
	return m.Run(c.Context(), (*fiberRequest)(c), c.Next)
}

// fiberRequest is what Fiber knows of a request.
type fiberRequest fiber.Ctx

func (f *fiberRequest) Context() context.Context { return (*fiber.Ctx)(f).UserContext() }

// Secure goes by a proxy's word where the app checks which proxies it trusts. With no such check anybody could say so.
func (f *fiberRequest) Secure() bool {
	c := (*fiber.Ctx)(f)
	return c.App().Config().EnableTrustedProxyCheck && c.IsProxyTrusted() && c.Protocol() == "https"
}

// Wrap is the middleware for plain fasthttp. An error that Config.ErrorHandler leaves is answered with its status and no more.
func (m *Manager) Wrap(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		err := m.Run(ctx, nil, func() error {
			next(ctx)
			return nil
		})
		answer(ctx, err)
	}
}

// answer writes the status of an error, and no more, into the response. Behind a timeout that is the timeout's.
func answer(ctx *fasthttp.RequestCtx, err error) {
	if err != nil && ctx.LastTimeoutErrorResponse() == nil {
		status := statusOf(err) // Not with ctx.Error, which would take away what the session owes the client.
		ctx.Response.ResetBody()
		ctx.SetStatusCode(status)
		ctx.SetContentType("text/plain; charset=utf-8")
		ctx.SetBodyString(http.StatusText(status))
	}
}

// From returns the session of a Fiber request. It does no I/O and cannot fail: where no session middleware runs, or has nothing
// to do, it returns the inert session. Reads find nothing there, writes do nothing, [Session.Err] and whatever else returns an
// error say [ErrReleased], a guard such as [Strict] refuses the request with it, and the log has a line. With several managers
// it is the innermost one's; [Manager.From] names the manager.
//
// Call it in the handler, and pass the Session on to goroutines: a *fiber.Ctx is another request's once its own is over. In a
// WebSocket or a body stream the session shows what the handshake found, see [Session]: use [Session.Detach] there.
func From(c *fiber.Ctx) Session { return FromRequest(c.Context()) }

// FromRequest is [From] for plain fasthttp.
func FromRequest(ctx *fasthttp.RequestCtx) Session { return Session(engine.From(ctx)) }

// From returns this manager's session of a Fiber request, see [From].
func (m *Manager) From(c *fiber.Ctx) Session { return m.FromRequest(c.Context()) }

// FromRequest returns this manager's session of a fasthttp request, see [From]. Of two managers with one cookie name the
// inner one does nothing, and its session is the outer one's.
func (m *Manager) FromRequest(ctx *fasthttp.RequestCtx) Session {
	return Session(m.engine.From(ctx))
}

// Strict is a handler for routes that must not be served from a cached session: it reads the session again from the
// server of the store, and answers 503 if it cannot. If the session has ended its handler sees none. Where no session
// middleware runs the request is refused with [ErrReleased].
//
//	app.Get("/admin", sess.Strict, admin)
func Strict(c *fiber.Ctx) error { return RunStrict(c.Context(), c.Next) }

// RunStrict is [Strict] for any framework on fasthttp: it runs next if the session could be read.
func RunStrict(ctx *fasthttp.RequestCtx, next func() error) error {
	return outer(engine.From(ctx).Strict(ctx, next))
}

// AddFlash leaves a message in the session for a page that is shown later, for one behind a redirect: [Flashes] returns it
// once. A session keeps the last 32. Messages of one session should be of one type, or each page must ask for its own.
func AddFlash[T any](s Session, message T) {
	Update(s, flashKey, func(flashes []T, _ bool) []T {
		flashes = append(flashes, message)
		return flashes[max(0, len(flashes)-maxFlashes):]
	})
}

// Flashes returns the messages that [AddFlash] left, the oldest first, and removes them. With a store that is a [Swapper]
// one of several parallel requests gets them, and the store has forgotten them when Flashes returns; with another store
// they go with the save at the end of the request. Without messages it costs nothing. An error says that the session cannot
// be read; one that has ended has no messages.
func Flashes[T any](s Session) ([]T, error) {
	if ok, err := s.handle().Holds(flashKey); !ok {
		return nil, outer(err)
	}
	flashes, _, err := Take[[]T](s, flashKey)
	if errors.Is(err, ErrUnsupported) {
		flashes, _ = Get[[]T](s, flashKey)
		s.Delete(flashKey)
		return flashes, nil
	}
	return flashes, err
}

const (
	flashKey   = "flash" // of the session's value
	maxFlashes = 32      // so that a client that never looks does not fill its session
)
