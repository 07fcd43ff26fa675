// Package engine is the life of a request: it finds and loads the session that the request presents, lets a handler read and
// write the session through a Handle, decides whether to store what the handler has written, stores it, and writes the cookie.
// The root names all this for applications: it converts its types to those of this package and back.
package engine

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/live"
	"github.com/fibersess/sess/internal/ratelog"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/sign"
	"github.com/fibersess/sess/internal/tally"
	"github.com/fibersess/sess/internal/users"
	"github.com/valyala/fasthttp"
)

// Manager runs the sessions of one cookie. It is safe for concurrent use.
type Manager struct {
	config *Config // not written after New
	shelf  shelf
	users  users.Protocol
	lives  live.Set

	polling sync.Mutex
	poller  *live.Poller // of a store that is no Watcher; nil: not needed yet

	keyring *sign.Keyring // nil: cookies have no signature
	ids     ident.Source
	cookies *cookies.Writer
	field   string // the request header that carries the session
	carrier string // what carries it: the cookie's name, or a colon and the header's name in lower case

	requests sync.Pool // *request
	outside  *ticket   // shared by all requests that the middleware skips
	log      *ratelog.Log
	tally    tally.Tally
}

// New returns the Manager of c, which is valid and complete.
func New(c Config) *Manager {
	m := &Manager{config: &c, outside: &ticket{}, log: ratelog.New(c.Logger)}
	m.shelf.init(c.Store, c.StoreTimeout, c.Hooks.Store)
	if !c.Cookie.DangerouslyUnsigned {
		sign.WarnOfKeys(c.Logger, "Config.Keys", c.Keys)
		m.keyring = sign.NewKeyring(c.Keys, c.Cookie.Name, c.Koa)
	}
	m.users = users.Protocol{
		Records: ledger{&m.shelf}, Index: m.shelf.index(), Timeout: c.StoreTimeout, Step: cmp.Or(c.TTL, DefaultTTL),
		Max: c.MaxPerUser, Provisional: m.shelf.atomic, Tombstones: m.shelf.atomic && !c.Koa,
	}
	if c.Koa {
		m.users.Owner = m.proven
		m.users.Revoked = &users.Revocations{
			Get: m.shelf.latest, Set: m.shelf.set, Destroy: m.shelf.destroy, Owner: m.proven,
			Keep: max(m.users.Step, c.Lifetime, c.Cookie.MaxAge),
		}
		m.shelf.revoked = m.users.Revoked
	}
	m.cookies = cookies.NewWriter(&m.config.Cookie, m.keyring)
	m.field, m.carrier = "Cookie", c.Cookie.Name
	if c.Transport != nil {
		m.field = c.Transport.Field()
		m.carrier = ":" + strings.ToLower(m.field)
	}
	m.requests.New = func() any { return newRequest(m) }
	return m
}

// Name returns what carries the sessions of m: the name of the cookie, or that of the header in lower case.
func (m *Manager) Name() string { return strings.TrimPrefix(m.carrier, ":") }

// Run is the whole of a request. It returns the error of next; where the session layer fails, what the ErrorHandler returns.
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
		return err
	}
	if err := r.commit(); err != nil {
		return r.fail(err)
	}
	return nil
}

// adopt calls Config.Adopt, and writes what that returns into a new session.
func (r *request) adopt() {
	if !r.vacant() {
		return
	}
	user, values, ok := r.m.config.Adopt(r.ctx)
	if !ok {
		return
	}
	h := r.m.From(r.ctx)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		Set(h, key, values[key])
	}
	if user != "" {
		h.Login(user)
	}
}

// vacant reports whether the load found neither a session nor a tombstone.
func (r *request) vacant() bool {
	r.guard.Lock()
	defer r.guard.Unlock()
	return r.loaded && !r.renewed && r.draft.Base() == nil
}

// From returns the session of the innermost manager that ctx has passed; the zero Handle, and a line in the log, if it has
// passed none.
func From(ctx *fasthttp.RequestCtx) Handle {
	innermost, ok := ctx.UserValue(frameKey{}).(*ticket)
	if !ok {
		sayNoMiddleware()
	}
	for t := innermost; t != nil; t = t.outer {
		if t.framed() {
			return t.handle()
		}
	}
	return innermost.handle()
}

// From returns the session of m, or of another manager with the same carrier.
func (m *Manager) From(ctx *fasthttp.RequestCtx) Handle {
	t, _ := ctx.UserValue(frameKey{}).(*ticket)
	for t != nil && (t.r == nil || t.r.m.carrier != m.carrier) {
		t = t.outer
	}
	return t.handle()
}

// What the log says once per process, since no return value says it.
var (
	// sayNoMiddleware: a handler asked for a session where no middleware runs.
	sayNoMiddleware = sync.OnceFunc(func() {
		slog.Error("sess: From found no session middleware in this request; register it before the handler: app.Use(sess.New())")
	})

	// sayNoSession: a write was dropped, or a request refused, where there is no session.
	sayNoSession = sync.OnceFunc(func() {
		slog.Error("sess: a write was dropped or a guarded request refused, for want of a session; register sess before the route, with a Cookie.Path above it and no Config.Next that passes it over")
	})
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
				m.log.Once("two managers of one cookie name in one request; the inner one does nothing: share one, or give each its Cookie.Name", "name", m.config.Cookie.Name)
			}
			return nil
		}
		running = true
	}
	if outer != nil && outer.r != nil && !running { // The RequestCtx is used again without a reset: its tickets are of an earlier request.
		_ = outer.Close()
		outer = nil
	}
	r := m.requests.Get().(*request)
	ctx.SetUserValue(frameKey{}, r.bind(ctx, in, outer))
	return r
}

// pass notes that the middleware skips ctx: From then returns an inert Handle, and logs nothing.
func (m *Manager) pass(ctx *fasthttp.RequestCtx) {
	if ctx.UserValue(frameKey{}) == nil {
		ctx.SetUserValue(frameKey{}, m.outside)
	}
}

// Fail calls the ErrorHandler; without one it returns err.
func (m *Manager) Fail(ctx *fasthttp.RequestCtx, err error) error {
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

// drop counts a change that was not stored, and calls the hook.
func (m *Manager) drop(stripe uint32, e Event) {
	m.tally.Add(stripe, tally.Dropped)
	emit(m.config.Hooks.Dropped, e)
}

// storeError counts and logs a failure of the store, calls the hook, and returns the error for the caller.
func (m *Manager) storeError(stripe uint32, op string, id ident.ID, err error) error {
	count := tally.Failed
	if errors.Is(err, record.ErrConflict) {
		count = tally.Conflicts
	}
	m.tally.Add(stripe, count)
	m.log.Failing("the store failed", op, err)
	emit(m.config.Hooks.StoreError, Event{ID: id, Err: err})
	return &Failure{Op: op, Err: err}
}

// Stats returns the counts of this moment.
func (m *Manager) Stats() tally.Stats { return m.tally.Stats(m.lives.Len()) }

// SetKeys replaces the keys while requests are served.
func (m *Manager) SetKeys(keys []sign.Key) error {
	switch {
	case m.keyring == nil:
		return errors.New("sess: SetKeys: Config.Cookie.DangerouslyUnsigned is set; want signed cookies")
	case len(keys) == 0:
		return errors.New("sess: SetKeys: no keys; want one or more")
	}
	if errs := sign.ValidateKeys("SetKeys", keys, m.config.DangerouslyShortKeys, m.config.Koa); errs != nil {
		return errors.Join(errs...)
	}
	sign.WarnOfKeys(m.config.Logger, "SetKeys", keys)
	m.keyring.SetKeys(keys)
	return nil
}

// Verified returns how many requests have presented an id that the key of this index has signed.
func (m *Manager) Verified(key int) uint64 {
	if m.keyring == nil {
		return 0
	}
	return m.keyring.Verified(key)
}

// token is what a Transport carries: the id, and its signature behind a dot.
func (m *Manager) token(id *ident.ID) string {
	b := id.AppendTo(make([]byte, 0, 2*ident.MaxIDLen))
	if m.keyring != nil {
		b = m.keyring.Sign(append(b, '.'), id)
	}
	return string(b)
}
