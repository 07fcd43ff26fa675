package sess

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/engine"
	"github.com/fibersess/sess/internal/sign"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Config says how sessions are kept and carried. Its zero value works: memory store, signed cookie, a random key of
// the process, sessions of one day. A Config is read once, by [New] or [NewManager]; later changes have no effect.
type Config struct {
	// Store keeps the sessions. Default: NewMemoryStore().
	Store Store

	// Keys sign the id. The first one signs, all of them verify. See [Keys] for how to rotate, [SHA256Key], [SHA1Key].
	// Default: a random key of this process, with a [MemoryStore] only.
	Keys []Key

	// DangerouslyShortKeys admits keys shorter than 16 bytes, which can be guessed. For Koa apps that have them.
	DangerouslyShortKeys bool

	// Cookie holds the attributes of the session cookie. See [Cookie] for its defaults.
	Cookie Cookie

	// Transport carries the session in place of cookies, see [HeaderTransport]. Of Cookie, Name (which is signed with the id), Path
	// and MaxAge count as ever, so that one Config may serve browsers and, with a Transport, devices. Default: cookies.
	Transport Transport

	// TTL is how long a session lives after its last save, or after its last renewal when Rolling. It beats what a
	// session's own cookie says. Default: the cookie's MaxAge, or 24 hours if that is 0.
	TTL time.Duration

	// TTLFunc gives a session's TTL at each save. 0 leaves it to the cookie, as an unset TTL does; a negative one ends
	// the session. It must only read. Set TTL or TTLFunc, not both. Default: nil.
	TTLFunc func(s Session) time.Duration

	// Lifetime bounds a session's life from its login, or from its creation if nobody is logged in, however often it is saved or renewed. Default: no bound.
	Lifetime time.Duration

	// MaxPerUser is how many sessions a user may have: a login beyond that ends those of the oldest logins, and
	// Hooks.Displaced hears of it. It needs a store that is a [UserIndex]; negative means no bound. Default: 1000.
	MaxPerUser int

	// Rolling renews a session on every request that finds it, once RollingThreshold of its TTL has passed.
	Rolling bool

	// RollingThreshold is the part of the TTL, between 0 and 1, that must have passed before a rolling session is
	// renewed, so that reading stays free of writes. Default: 0.1.
	RollingThreshold float64

	// RollingAlways renews on every request, whatever RollingThreshold says. Needs Rolling.
	RollingAlways bool

	// Defer loads a session when a handler first uses it, and never for a request that does not.
	Defer bool

	// AllowEmpty stores a new session that a handler used and left empty.
	AllowEmpty bool

	// GenerateID makes the id of a new session: 16 to 63 cookie-safe bytes nobody can guess. ctx is nil outside of a
	// request. If it fails, the request fails. Default: 24 random bytes in base64url.
	GenerateID func(ctx *fasthttp.RequestCtx) (string, error)

	// Valid reports whether a loaded session may be used in this request; if not, the request gets a new one and the
	// record stays. Default: every session is valid.
	Valid func(ctx *fasthttp.RequestCtx, s Session) bool

	// BeforeSave runs before a session is saved and may change it. Its error cancels the save. Default: nil.
	BeforeSave func(ctx *fasthttp.RequestCtx, s Session) error

	// Adopt brings sessions of another library along. It is asked in a request without a session of ours, before the
	// handler: what it returns becomes the new session, and if it names a user that user is logged in. It has to take the
	// other session away in that very call, by one atomic step that one of several requests wins: then parallel requests
	// adopt it once, and nothing is adopted again after a logout. With Defer a request that presents an id of ours is not
	// asked about. See docs/from-others.md. Default: nil.
	Adopt func(ctx *fasthttp.RequestCtx) (user string, values map[string]any, ok bool)

	// ErrorHandler turns an error of the session layer into the middleware's own; it may write a response and return
	// nil. The request goes no further in any case. Default: returns err, which is answered with 503 or 500.
	ErrorHandler func(ctx *fasthttp.RequestCtx, err error) error

	// Next skips the middleware when it returns true. Default: nil.
	Next func(ctx *fasthttp.RequestCtx) bool

	// StoreTimeout bounds each phase at the store: the load, the whole commit, each Save, Take and Refresh.
	// Default: time.Second.
	StoreTimeout time.Duration

	// LiveSilence is how long a [Live] goes on when the store cannot be asked whether its session stands; then it ends, with
	// the store's error as its cause. Default: time.Minute.
	LiveSilence time.Duration

	// MaxRecordBytes bounds a session's JSON: a larger one is not stored (ErrTooLarge), and not loaded.
	// Default: 65536. At most 16 MiB.
	MaxRecordBytes int

	// Logger hears what an operator must know although no hook is set: a failing store (once a second at most), values that
	// cannot be stored, two managers of one cookie name. No id, key or value stands in a line. Default: slog.Default().
	Logger *slog.Logger

	// Hooks hear what happens to sessions. Default: none.
	Hooks Hooks

	// Koa shares sessions with a running Koa application: keys of [Keys] sign with SHA-1, and every record holds the
	// cookie object that Koa wants. A Cookie.MaxAge of 0 then means the TTL, since Koa stores sessions without a maxAge
	// for ever. Set it in RueidisConfig too.
	Koa bool
}

// Hardened returns a Config for logins that matter; change what it returns where you must. Its cookie is named __Host-sid,
// so it needs TLS and no other host can plant one. A session ends an hour after its last request and a day after its login,
// as NIST SP 800-63B-4 advises for AAL2. Its record has at most 16 KiB. docs/security.md goes through the requirements of
// OWASP ASVS 5.0 one by one, also those that only the application can meet.
//
//	app.Use(sess.New(sess.Hardened(sess.Keys(os.Getenv("SESSION_KEY"))...)))
func Hardened(keys ...Key) Config {
	return Config{
		Keys:           keys,
		Cookie:         Cookie{Name: "__Host-sid", Secure: SecureAlways, SameSite: SameSiteLax},
		TTL:            time.Hour,
		Rolling:        true,
		Lifetime:       24 * time.Hour,
		MaxRecordBytes: 16 << 10,
	}
}

// HardenedAAL3 is [Hardened] with the limits of AAL3: a session ends 15 minutes after its last request and 12 hours after
// its login, and a link from another site arrives without it.
func HardenedAAL3(keys ...Key) Config {
	c := Hardened(keys...)
	c.Cookie.SameSite = SameSiteStrict
	c.TTL, c.Lifetime = 15*time.Minute, 12*time.Hour
	return c
}

// Defaults and bounds of Config.
const (
	defaultTTL            = engine.DefaultTTL
	defaultMaxRecordBytes = 64 << 10
	maxMaxRecordBytes     = 16 << 20
	defaultMaxPerUser     = 1000
	maxTTL                = engine.MaxTTL
)

// Validate reports every mistake in c at once, each with the field, the value, the rule and the remedy. [New] and
// [NewManager] call it.
func (c Config) Validate() error {
	for i, value := range [...]any{c.Store, c.Transport} {
		if v := reflect.ValueOf(value); v.Kind() == reflect.Pointer && v.IsNil() {
			field := [...]string{"Store", "Transport"}[i]
			return fmt.Errorf("sess: Config.%s: a nil %T; want one that works, or none for the default", field, value)
		}
	}
	return c.validate()
}

// validate is Validate where nothing is a nil pointer in an interface.
func (c Config) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("sess: Config."+format, args...)) }

	if _, memory := c.Store.(*MemoryStore); len(c.Keys) == 0 && c.Store != nil && !memory && !c.Cookie.DangerouslyUnsigned {
		wrong("Keys: none; want at least one where the Store outlives the process, or its sessions do not")
	}
	errs = append(errs, sign.ValidateKeys("Config.Keys", signKeys(c.Keys), c.DangerouslyShortKeys, c.Koa)...)
	errs = append(errs, cookies.Cookie(c.Cookie).WithDefaults().Validate(!c.Cookie.DangerouslyUnsigned, c.Koa)...)
	if !c.Cookie.Expires.IsZero() {
		wrong("Cookie.Expires: is set; it belongs to one session (Session.SetCookie); here set MaxAge or TTL")
	}
	if t, ok := c.Transport.(interface{ validate() error }); ok {
		if err := t.validate(); err != nil {
			errs = append(errs, err)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"TTL", c.TTL}, {"Lifetime", c.Lifetime}, {"StoreTimeout", c.StoreTimeout}, {"LiveSilence", c.LiveSilence}} {
		if d.value < 0 {
			wrong("%s: %v; want a positive duration, or 0 for the default", d.name, d.value)
		}
		if d.value > 0 && d.value < time.Millisecond {
			wrong("%s: %v; want at least a millisecond", d.name, d.value)
		}
		if d.value > maxTTL {
			wrong("%s: %v; want at most 100 years", d.name, d.value)
		}
	}
	if c.TTL != 0 && c.TTLFunc != nil {
		wrong("TTLFunc: is set beside TTL %v; want one of the two", c.TTL)
	}
	if !(c.RollingThreshold >= 0 && c.RollingThreshold < 1) {
		wrong("RollingThreshold: %v; want a part of the TTL from 0 up to 1; for every request set RollingAlways", c.RollingThreshold)
	}
	if !c.Rolling && (c.RollingThreshold != 0 || c.RollingAlways) {
		wrong("Rolling: false, but RollingThreshold or RollingAlways is set; want Rolling true, or neither")
	}
	if c.MaxRecordBytes < 0 || c.MaxRecordBytes > maxMaxRecordBytes {
		wrong("MaxRecordBytes: %d; want 1 to %d, or 0 for the default", c.MaxRecordBytes, maxMaxRecordBytes)
	}
	if c.Cookie.DangerouslyUnsigned && len(c.Keys) > 0 {
		wrong("Cookie.DangerouslyUnsigned: true, but Keys are set; want one of the two")
	}
	if c.MaxPerUser > 0 && c.Store != nil && !keepsUsers(c.Store) {
		wrong("MaxPerUser: %d, but the Store is no UserIndex; want one that is, or 0", c.MaxPerUser)
	}
	if c.Koa && c.Transport != nil {
		wrong("Transport: is set beside Koa, which reads cookies; want one of the two")
	}
	if k, ok := capability[koaStore](c.Store); ok && k.koa() != c.Koa {
		wrong("Koa: %v, but the store was made with %v; want the same in both", c.Koa, k.koa())
	}
	if c.localStore() && fiber.IsChild() {
		wrong("Store: a store in the memory of this process, which is one of several (Fiber's Prefork); want a shared store, such as Redis")
	}
	return errors.Join(errs...)
}

// koaStore is a store that must know whether Koa writes to it as well.
type koaStore interface{ koa() bool }

// keepsUsers reports whether a store has an index of users.
func keepsUsers(s Store) bool {
	_, ok := capability[indexStore](s)
	return ok
}

// localStore reports whether the sessions are kept in this process.
func (c Config) localStore() bool {
	_, local := capability[Local](c.Store)
	return c.Store == nil || local
}

// withDefaults returns c with every zero that means a default replaced by it.
func (c Config) withDefaults() Config {
	if c.Store == nil {
		warnInProduction(cmp.Or(c.Logger, slog.Default()))
		c.Store = NewMemoryStore()
	}
	if len(c.Keys) == 0 && !c.Cookie.DangerouslyUnsigned {
		secret := make([]byte, 32)
		rand.Read(secret) // Never fails: it ends the program instead.
		c.Keys = Keys(secret)
	}
	c.Cookie = Cookie(cookies.Cookie(c.Cookie).WithDefaults())
	if c.Koa && c.Cookie.MaxAge == 0 {
		c.Cookie.MaxAge = min(cmp.Or(c.TTL, defaultTTL), cookies.MaxAge)
	}
	switch {
	case c.RollingAlways:
		c.RollingThreshold = 0
	case c.RollingThreshold == 0:
		c.RollingThreshold = 0.1
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.StoreTimeout = cmp.Or(c.StoreTimeout, time.Second)
	c.LiveSilence = cmp.Or(c.LiveSilence, time.Minute)
	c.MaxPerUser = cmp.Or(c.MaxPerUser, defaultMaxPerUser)
	c.MaxRecordBytes = cmp.Or(c.MaxRecordBytes, defaultMaxRecordBytes)
	return c
}

// warnInProduction says once per manager what the default store means where an environment variable in common use
// says that the program is in production.
func warnInProduction(log *slog.Logger) {
	for _, name := range []string{"GO_ENV", "APP_ENV", "FIBER_ENV"} {
		if os.Getenv(name) == "production" {
			log.Warn("sess: sessions are kept in this process's memory: they end with it and no other process sees them; set Config.Store", "because", name+"=production")
			return
		}
	}
}

// frozen is c, which is valid and has its defaults, in the words of the engine.
func (c Config) frozen() engine.Config {
	f := engine.Config{
		Store: abilities(c.Store), Logger: c.Logger, Hooks: c.Hooks.inner(),
		Keys: signKeys(c.Keys), DangerouslyShortKeys: c.DangerouslyShortKeys,
		Cookie: cookies.Cookie(c.Cookie), Transport: c.Transport, Koa: c.Koa,
		TTL: c.TTL, Lifetime: c.Lifetime, MaxPerUser: max(c.MaxPerUser, 0),
		Rolling: c.Rolling, RollingThreshold: c.RollingThreshold, Defer: c.Defer, AllowEmpty: c.AllowEmpty,
		StoreTimeout: c.StoreTimeout, LiveSilence: c.LiveSilence, MaxRecordBytes: c.MaxRecordBytes,
		GenerateID: c.GenerateID, Adopt: c.Adopt, Next: c.Next,
	}
	if c.TTLFunc != nil {
		f.TTLFunc = func(h engine.Handle) time.Duration { return c.TTLFunc(Session(h)) }
	}
	if c.Valid != nil {
		f.Valid = func(ctx *fasthttp.RequestCtx, h engine.Handle) bool { return c.Valid(ctx, Session(h)) }
	}
	if c.BeforeSave != nil {
		f.BeforeSave = func(ctx *fasthttp.RequestCtx, h engine.Handle) error { return c.BeforeSave(ctx, Session(h)) }
	}
	if c.ErrorHandler != nil {
		f.ErrorHandler = func(ctx *fasthttp.RequestCtx, err error) error { return c.ErrorHandler(ctx, outer(err)) }
	}
	return f
}
