package sess

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/sign"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// New returns the session middleware for Fiber, of at most one Config. It panics at start-up if the Config is wrong;
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

// Manager runs the sessions of one cookie: it is what a Config becomes. It is safe for concurrent use.
type Manager struct {
	config Config // defaults filled in; not written after NewManager
	store  shelf

	ring    *sign.Keyring // nil: unsigned
	ids     ident.Source
	cookies *cookies.Writer
	cookie  cookies.Cookie // as the config has it
	field   string         // the request header that carries the session

	states sync.Pool // *state
	locks  commitLocks
	tally  tally
}

// NewManager checks config and returns its Manager. The error holds every mistake at once, see [Config.Validate].
func NewManager(config Config) (*Manager, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	c := config.withDefaults()
	m := &Manager{config: c, store: newShelf(c.Store)}
	if !c.Cookie.DangerouslyUnsigned {
		m.ring = sign.NewKeyring(signKeys(c.Keys), c.Cookie.Name, c.Koa)
	}
	m.cookie = cookies.Cookie(c.Cookie)
	m.cookies = cookies.NewWriter(&m.cookie, m.ring)
	m.field = "Cookie"
	if c.Transport != nil {
		m.field = c.Transport.Field()
	}
	m.states.New = func() any { return newState(m) }
	m.locks.init()
	return m, nil
}

// Handle is the middleware for Fiber: app.Use(m.Handle).
func (m *Manager) Handle(c *fiber.Ctx) error {
	if m.config.Next != nil && m.config.Next(c) {
		return c.Next()
	}
	ctx := c.Context()
	st := m.acquire(ctx, c)
	if st == nil {
		return c.Next()
	}
	defer st.leave()

	if err := st.begin(); err != nil {
		return st.fail(err)
	}
	if err := c.Next(); err != nil {
		st.commitAfter()
		return err
	}
	if err := st.commit(); err != nil {
		return st.fail(err)
	}
	return nil
}

// Wrap is the middleware for plain fasthttp. It panics if Config.Next is set, which wants a Fiber context: choose the
// handler before Wrap instead. An error that Config.ErrorHandler leaves is answered with its status and no more.
func (m *Manager) Wrap(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	if m.config.Next != nil {
		panic("sess: Wrap: Config.Next is set, and wants a Fiber context; choose the handler before Wrap")
	}
	return func(ctx *fasthttp.RequestCtx) {
		if err := m.wrapped(ctx, next); err != nil {
			status := statusOf(err) // Not with ctx.Error, which would take away what the session owes the client.
			ctx.Response.ResetBody()
			ctx.SetStatusCode(status)
			ctx.SetContentType("text/plain; charset=utf-8")
			ctx.SetBodyString(http.StatusText(status))
		}
	}
}

// wrapped is Handle without Fiber.
func (m *Manager) wrapped(ctx *fasthttp.RequestCtx, next fasthttp.RequestHandler) error {
	st := m.acquire(ctx, nil)
	if st == nil {
		next(ctx)
		return nil
	}
	defer st.leave()

	if err := st.begin(); err != nil {
		return st.fail(err)
	}
	next(ctx)
	if err := st.commit(); err != nil {
		return st.fail(err)
	}
	return nil
}

// From returns the session of a Fiber request. It does no I/O and cannot fail: where no session middleware runs it
// returns the inert session, on which reads find nothing and writes do nothing but set [Session.Err]. With several
// managers it is the innermost one's; [Manager.From] names the manager.
//
// Call it in the handler, and pass the Session on to goroutines: a *fiber.Ctx is another request's once its own is over.
func From(c *fiber.Ctx) Session { return FromRequest(c.Context()) }

// FromRequest is [From] for plain fasthttp.
func FromRequest(ctx *fasthttp.RequestCtx) Session {
	innermost, _ := ctx.UserValue(frameKey{}).(*state)
	for st := innermost; st != nil; st = st.outer {
		if st.is(lifeFrame) {
			return st.session()
		}
	}
	return innermost.session()
}

// From returns this manager's session of a Fiber request, see [From].
func (m *Manager) From(c *fiber.Ctx) Session { return m.FromRequest(c.Context()) }

// FromRequest returns this manager's session of a fasthttp request, see [From].
func (m *Manager) FromRequest(ctx *fasthttp.RequestCtx) Session {
	return m.find(ctx).session()
}

// Strict is a handler for routes that must not be served from a cached session: it reads the session again from the
// server of the store, and answers 503 if it cannot.
//
//	app.Get("/admin", sess.Strict, admin)
func Strict(c *fiber.Ctx) error {
	s := From(c)
	if err := s.Refresh(); err != nil && s.st != nil {
		return s.st.m.fail(c.Context(), err)
	}
	return c.Next()
}

// frameKey is where a request keeps its innermost state.
type frameKey struct{}

// find returns this manager's state in the request, nil if there is none.
func (m *Manager) find(ctx *fasthttp.RequestCtx) *state {
	st, _ := ctx.UserValue(frameKey{}).(*state)
	for st != nil && st.m != m {
		st = st.outer
	}
	return st
}

// acquire binds a pooled state to the request. It returns nil where the middleware has nothing to do: outside of
// Cookie.Path, and when it already runs in this request (registered twice, a mounted app, a restarted routing).
func (m *Manager) acquire(ctx *fasthttp.RequestCtx, c *fiber.Ctx) *state {
	if path := m.config.Cookie.Path; path != "/" && !cookies.PathMatch(path, ctx.Request.URI().PathOriginal()) {
		return nil
	}
	outer, _ := ctx.UserValue(frameKey{}).(*state)
	running := false
	for st := outer; st != nil; st = st.outer {
		if st.m == m && st.is(lifeFrame) {
			return nil
		}
		running = running || st.is(lifeFrame)
	}
	if outer != nil && !running { // A RequestCtx used again without a reset: what it holds belongs to the past.
		outer.Close()
		outer = nil
	}
	st := m.states.Get().(*state)
	st.bind(ctx, c, outer)
	ctx.SetUserValue(frameKey{}, st)
	return st
}

// fail hands an error of the session layer to the ErrorHandler, or on.
func (m *Manager) fail(ctx *fasthttp.RequestCtx, err error) error {
	if m.config.ErrorHandler != nil {
		return m.config.ErrorHandler(ctx, err)
	}
	return err
}

// Error is how the session layer fails a request. Its text is that of the HTTP status alone, since Fiber's default
// ErrorHandler sends it to the client: 503 if the store failed, else 500. The cause is for errors.Is and errors.As.
type Error struct {
	Op  string // "load", "save", "destroy", "regenerate", "take", "refresh"
	Err error  // what went wrong
}

func (e *Error) Error() string { return http.StatusText(e.status()) }

// Unwrap gives the cause, and the fiber.Error that makes Fiber answer with the status.
func (e *Error) Unwrap() []error {
	if e.status() == http.StatusServiceUnavailable {
		return []error{fiber.ErrServiceUnavailable, e.Err}
	}
	return []error{fiber.ErrInternalServerError, e.Err}
}

// status tells the store's failures, which pass, from the program's, which do not.
func (e *Error) status() int {
	var own *handlerError
	switch {
	case errors.As(e.Err, &own), errors.Is(e.Err, record.ErrTooLarge), errors.Is(e.Err, ErrReserved), errors.Is(e.Err, ErrCommitted),
		errors.Is(e.Err, ErrUnsupported), errors.Is(e.Err, ErrReleased):
		return http.StatusInternalServerError
	}
	return http.StatusServiceUnavailable
}

// handlerError marks a failure of the application's own making.
type handlerError struct{ error }

func (e *handlerError) Unwrap() error { return e.error }

// statusOf returns the HTTP status for what an ErrorHandler returned.
func statusOf(err error) int {
	var fe *fiber.Error
	if errors.As(err, &fe) {
		return fe.Code
	}
	return http.StatusInternalServerError
}

// deadline returns a context for one phase at the store. A store without I/O needs none.
func (m *Manager) deadline(parent context.Context) (context.Context, context.CancelFunc) {
	if m.store.local {
		return context.Background(), noCancel
	}
	return context.WithTimeout(parent, m.config.StoreTimeout)
}

func noCancel() {}

// now is the request's time: fasthttp took it when the request came in. A RequestCtx made by hand has none.
func now(ctx *fasthttp.RequestCtx) time.Time {
	if t := ctx.Time(); !t.IsZero() {
		return t
	}
	return time.Now()
}
