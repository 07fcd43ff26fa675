// Package engine is the life of a request: the session that it presents is found and loaded, a handler reads and writes it
// through a Handle, what the handler has written is decided about and stored, and the response is paid what it is owed. The
// root names all this for applications; it converts its types to those of this package and back, and does nothing else.
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
	"github.com/fibersess/sess/internal/journal"
	"github.com/fibersess/sess/internal/live"
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

	ring    *sign.Keyring // nil: unsigned
	ids     ident.Source
	cookies *cookies.Writer
	field   string // the request header that carries the session
	carrier string // what carries it: a cookie's name, or a header's behind a colon

	requests sync.Pool // *request
	outside  *ticket   // of every request that the middleware has nothing to do with
	journal  *journal.Journal
	tally    tally.Tally
}

// New returns the Manager of c, which is valid and complete.
func New(c Config) *Manager {
	m := &Manager{config: &c, outside: &ticket{}, journal: journal.New(c.Logger)}
	m.shelf.init(c.Store, c.StoreTimeout, c.Hooks.Store)
	if !c.Cookie.DangerouslyUnsigned {
		sign.WarnOfKeys(c.Logger, "Config.Keys", c.Keys)
		m.ring = sign.NewKeyring(c.Keys, c.Cookie.Name, c.Koa)
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
	m.cookies = cookies.NewWriter(&m.config.Cookie, m.ring)
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

// Run is the whole of a request. The error is next's, or what the ErrorHandler made of a *Failure.
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
	h := r.m.From(r.ctx)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		Set(h, key, values[key])
	}
	if user != "" {
		h.Login(user)
	}
}

// vacant reports whether it is known that the request presents no session. A tombstone is one.
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
		missing()
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
				m.journal.Once("two managers of one cookie name in one request; the inner one does nothing: share one, or give each its Cookie.Name", "name", m.config.Cookie.Name)
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

// Fail hands an error to the ErrorHandler, or on.
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

// drop tells that a change was not stored.
func (m *Manager) drop(stripe uint32, e Event) {
	m.tally.Add(stripe, tally.Dropped)
	emit(m.config.Hooks.Dropped, e)
}

// storeError tells of a failing store and returns what the caller is failed with.
func (m *Manager) storeError(stripe uint32, op string, id ident.ID, err error) error {
	count := tally.Failed
	if errors.Is(err, record.ErrConflict) {
		count = tally.Conflicts
	}
	m.tally.Add(stripe, count)
	m.journal.Failing("the store failed", op, err)
	emit(m.config.Hooks.StoreError, Event{ID: id, Err: err})
	return &Failure{Op: op, Err: err}
}

// Stats returns the counts of this moment.
func (m *Manager) Stats() tally.Stats { return m.tally.Stats(m.lives.Len()) }

// SetKeys replaces the keys while requests are served.
func (m *Manager) SetKeys(keys []sign.Key) error {
	switch {
	case m.ring == nil:
		return errors.New("sess: SetKeys: Config.Cookie.DangerouslyUnsigned is set; want signed cookies")
	case len(keys) == 0:
		return errors.New("sess: SetKeys: no keys; want one or more")
	}
	if errs := sign.ValidateKeys("SetKeys", keys, m.config.DangerouslyShortKeys, m.config.Koa); errs != nil {
		return errors.Join(errs...)
	}
	sign.WarnOfKeys(m.config.Logger, "SetKeys", keys)
	m.ring.SetKeys(keys)
	return nil
}

// Verified returns how many requests have presented an id that the key of this index has signed.
func (m *Manager) Verified(key int) uint64 {
	if m.ring == nil {
		return 0
	}
	return m.ring.Verified(key)
}

// token is what a Transport carries: the id, and its signature behind a dot.
func (m *Manager) token(id *ident.ID) string {
	b := id.AppendTo(make([]byte, 0, 2*ident.MaxIDLen))
	if m.ring != nil {
		b = m.ring.Sign(append(b, '.'), id)
	}
	return string(b)
}
