package sess

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/journal"
	"github.com/fibersess/sess/internal/live"
	"github.com/fibersess/sess/internal/sign"
	"github.com/fibersess/sess/internal/tally"
	"github.com/fibersess/sess/internal/users"
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

// Manager runs the sessions of one cookie: it is what a Config becomes. It is safe for concurrent use.
type Manager struct {
	config *Config // defaults filled in; not written after NewManager
	shelf  shelf
	users  users.Protocol
	lives  live.Set

	polling sync.Mutex
	poller  *live.Poller // of a store that is no Watcher; nil: not needed yet

	ring    *sign.Keyring // nil: unsigned
	ids     ident.Source
	cookies *cookies.Writer
	cookie  cookies.Cookie // as the config has it
	field   string         // the request header that carries the session
	carrier string         // what carries it: a cookie's name, or a header's behind a colon

	requests sync.Pool // *request
	outside  *ticket   // of every request that the middleware has nothing to do with
	journal  *journal.Journal
	tally    tally.Tally
}

// NewManager checks config and returns its Manager. The error holds every mistake at once, see [Config.Validate].
func NewManager(config Config) (*Manager, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	c := config.withDefaults()
	m := &Manager{config: &c, outside: &ticket{}, journal: journal.New(c.Logger)}
	m.shelf.init(c.Store, c.StoreTimeout, c.Hooks.Store)
	if !c.Cookie.DangerouslyUnsigned {
		keys := signKeys(c.Keys)
		sign.WarnOfKeys(c.Logger, "Config.Keys", keys)
		m.ring = sign.NewKeyring(keys, c.Cookie.Name, c.Koa)
	}
	m.users = users.Protocol{
		Records: ledger{&m.shelf}, Index: m.shelf.index(), Timeout: c.StoreTimeout, Step: cmp.Or(c.TTL, defaultTTL),
		Max: max(c.MaxPerUser, 0), Provisional: m.shelf.atomic, Tombstones: m.shelf.atomic && !c.Koa,
	}
	if c.Koa {
		m.users.Owner = m.proven
		m.users.Revoked = &users.Revocations{
			Get: m.shelf.latest, Set: m.shelf.set, Destroy: m.shelf.destroy, Owner: m.proven,
			Keep: max(m.users.Step, c.Lifetime, c.Cookie.MaxAge),
		}
		m.shelf.revoked = m.users.Revoked
	}
	m.cookie = cookies.Cookie(c.Cookie)
	m.cookies = cookies.NewWriter(&m.cookie, m.ring)
	m.field, m.carrier = "Cookie", c.Cookie.Name
	if c.Transport != nil {
		m.field = c.Transport.Field()
		m.carrier = ":" + strings.ToLower(m.field)
	}
	m.requests.New = func() any { return newRequest(m) }
	return m, nil
}

// Name returns what carries the sessions of m: the name of the cookie, or that of the header in lower case.
func (m *Manager) Name() string { return strings.TrimPrefix(m.carrier, ":") }

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
	r := m.enter(ctx, in)
	if r == nil {
		return next()
	}
	defer r.leave()
	if err := r.begin(); err != nil {
		return r.fail(err)
	}
	if m.config.Adopt != nil {
		r.adopt()
	}
	if err := next(); err != nil {
		r.commitBehind()
		return answerable(err)
	}
	return r.fail(r.commit())
}

// adopt asks for the session that another library has for this request, and makes it ours.
func (r *request) adopt() {
	if !r.vacant() {
		return
	}
	user, values, ok := r.m.config.Adopt(r.ctx)
	if !ok {
		return
	}
	s := r.m.FromRequest(r.ctx)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		Set(s, key, values[key])
	}
	if user != "" {
		s.Login(user)
	}
}

// vacant reports whether it is known that the request presents no session. A tombstone is one.
func (r *request) vacant() bool {
	r.guard.Lock()
	defer r.guard.Unlock()
	return r.loaded && !r.renewed && r.draft.Base() == nil
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
func FromRequest(ctx *fasthttp.RequestCtx) Session {
	innermost, ok := ctx.UserValue(frameKey{}).(*ticket)
	if !ok {
		missing()
	}
	for t := innermost; t != nil; t = t.outer {
		if t.framed() {
			return t.session()
		}
	}
	return innermost.session()
}

// missing says once per process that a handler asked for a session where no middleware runs, lost that a write was dropped
// or a request refused where there is no session: nothing else would tell.
var (
	missing = sync.OnceFunc(func() {
		slog.Error("sess: From found no session middleware in this request; register it before the handler: app.Use(sess.New())")
	})
	lost = sync.OnceFunc(func() {
		slog.Error("sess: a write was dropped or a guarded request refused, for want of a session; register sess before the route, with a Cookie.Path above it and no Config.Next that passes it over")
	})
)

// From returns this manager's session of a Fiber request, see [From].
func (m *Manager) From(c *fiber.Ctx) Session { return m.FromRequest(c.Context()) }

// FromRequest returns this manager's session of a fasthttp request, see [From]. Of two managers with one cookie name the
// inner one does nothing, and its session is the outer one's.
func (m *Manager) FromRequest(ctx *fasthttp.RequestCtx) Session {
	t, _ := ctx.UserValue(frameKey{}).(*ticket)
	for t != nil && (t.r == nil || t.r.m.carrier != m.carrier) {
		t = t.outer
	}
	return t.session()
}

// Strict is a handler for routes that must not be served from a cached session: it reads the session again from the
// server of the store, and answers 503 if it cannot. If the session has ended its handler sees none. Where no session
// middleware runs the request is refused with [ErrReleased].
//
//	app.Get("/admin", sess.Strict, admin)
func Strict(c *fiber.Ctx) error { return RunStrict(c.Context(), c.Next) }

// RunStrict is [Strict] for any framework on fasthttp: it runs next if the session could be read.
func RunStrict(ctx *fasthttp.RequestCtx, next func() error) error {
	return FromRequest(ctx).strict(ctx, next)
}

// strict is RunStrict for one of several managers' sessions.
func (s Session) strict(ctx *fasthttp.RequestCtx, next func() error) error {
	err := s.Refresh()
	switch {
	case err == nil, errors.Is(err, ErrEnded):
		return next()
	case s.t == nil:
		lost()
		return err
	}
	return s.t.r.m.fail(ctx, err)
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
	if ok, err := s.holds(flashKey); !ok {
		return nil, err
	}
	flashes, _, err := Take[[]T](s, flashKey)
	if errors.Is(err, ErrUnsupported) {
		flashes, _ = Get[[]T](s, flashKey)
		s.Delete(flashKey)
		return flashes, nil
	}
	return flashes, err
}

// holds is Has, with the reason why it cannot be told.
func (s Session) holds(key string) (ok bool, err error) {
	r := s.enter()
	if r == nil {
		return false, s.released("take")
	}
	defer r.guard.Unlock()
	if err := r.load(); err != nil {
		return false, err
	}
	_, ok = r.draft.Get(key)
	return ok, nil
}

const (
	flashKey   = "flash" // of the session's value
	maxFlashes = 32      // so that a client that never looks does not fill its session
)

// frameKey is where a request keeps its innermost ticket.
type frameKey struct{}

// enter binds a pooled request to ctx. It returns nil where the middleware has nothing to do.
func (m *Manager) enter(ctx *fasthttp.RequestCtx, in Request) *request {
	skip, path := m.config.Next, m.config.Cookie.Path
	if skip != nil && skip(ctx) || path != "/" && !cookies.PathMatch(path, ctx.Request.URI().PathOriginal()) {
		m.pass(ctx)
		return nil
	}
	outer, _ := ctx.UserValue(frameKey{}).(*ticket)
	running := false
	for t := outer; t != nil; t = t.outer {
		if !t.framed() {
			continue
		}
		if t.r.m.carrier == m.carrier {
			if t.r.m != m {
				m.journal.Once("two managers of one cookie name in one request; the inner one does nothing: share one, or give each its Cookie.Name", "name", m.cookie.Name)
			}
			return nil
		}
		running = true
	}
	if outer != nil && outer.r != nil && !running { // A RequestCtx used again without a reset: what it holds belongs to the past.
		_ = outer.Close()
		outer = nil
	}
	r := m.requests.Get().(*request)
	ctx.SetUserValue(frameKey{}, r.bind(ctx, in, outer))
	return r
}

// pass notes that the middleware was here and has nothing to do: From finds the inert session, and says nothing.
func (m *Manager) pass(ctx *fasthttp.RequestCtx) {
	if ctx.UserValue(frameKey{}) == nil {
		ctx.SetUserValue(frameKey{}, m.outside)
	}
}

// fail hands an error of the session layer to the ErrorHandler, or on.
func (m *Manager) fail(ctx *fasthttp.RequestCtx, err error) error {
	if m.config.ErrorHandler != nil {
		return m.config.ErrorHandler(ctx, err)
	}
	return err
}

// deadline returns a context for one phase at the store. A store without I/O needs none.
func (m *Manager) deadline(parent context.Context) (context.Context, context.CancelFunc) {
	if m.shelf.local {
		return context.Background(), noCancel
	}
	return context.WithTimeout(parent, m.config.StoreTimeout)
}

func noCancel() {}
