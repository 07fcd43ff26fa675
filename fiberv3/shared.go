package sess

import (
	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	core "github.com/fibersess/sess"
)

// What has nothing to do with a framework is that of [github.com/fibersess/sess], under the same names.
type (
	Session = core.Session
	Config  = core.Config
	Cookie  = core.Cookie
	Key     = core.Key
	ID      = core.ID
	Record  = core.Record
	Error   = core.Error
	User    = core.User
	Info    = core.Info
	Live    = core.Live
	Hooks   = core.Hooks
	Event   = core.Event
	Reason  = core.Reason
	Stats   = core.Stats
	Request = core.Request

	SameSite   = core.SameSite
	SecureMode = core.SecureMode
	Transport  = core.Transport
)

// The stores, and what a store may be able to do.
type (
	Store        = core.Store
	Swapper      = core.Swapper
	Ender        = core.Ender
	Peeker       = core.Peeker
	Refresher    = core.Refresher
	Watcher      = core.Watcher
	Local        = core.Local
	UserIndex    = core.UserIndex
	UserMarker   = core.UserMarker
	UserEntry    = core.UserEntry
	UserPage     = core.UserPage
	UserMark     = core.UserMark
	LoginAttempt = core.LoginAttempt

	MemoryStore  = core.MemoryStore
	MemoryConfig = core.MemoryConfig
	MemoryStats  = core.MemoryStats
	StorageStore = core.StorageStore
)

// When a cookie is marked Secure, and which requests of other sites carry it.
const (
	SecureAuto   = core.SecureAuto
	SecureAlways = core.SecureAlways
	SecureNever  = core.SecureNever

	SameSiteLax              = core.SameSiteLax
	SameSiteStrict           = core.SameSiteStrict
	SameSiteNone             = core.SameSiteNone
	SameSiteDangerouslyUnset = core.SameSiteDangerouslyUnset
)

// The reasons of Hooks.Rejected and Hooks.Dropped.
const (
	ReasonCommitted = core.ReasonCommitted
	ReasonCorrupt   = core.ReasonCorrupt
	ReasonGone      = core.ReasonGone
	ReasonInvalid   = core.ReasonInvalid
	ReasonOrphaned  = core.ReasonOrphaned
	ReasonReleased  = core.ReasonReleased
	ReasonRenewed   = core.ReasonRenewed
	ReasonSignature = core.ReasonSignature
	ReasonUnknown   = core.ReasonUnknown
)

// The errors a caller may want to branch on. Compare with errors.Is.
var (
	ErrClosed        = core.ErrClosed
	ErrCommitted     = core.ErrCommitted
	ErrConflict      = core.ErrConflict
	ErrCorrupt       = core.ErrCorrupt
	ErrEnded         = core.ErrEnded
	ErrExpired       = core.ErrExpired
	ErrLoginRefused  = core.ErrLoginRefused
	ErrLoginRequired = core.ErrLoginRequired
	ErrLoginTooOld   = core.ErrLoginTooOld
	ErrNotFound      = core.ErrNotFound
	ErrReleased      = core.ErrReleased
	ErrRenewed       = core.ErrRenewed
	ErrReserved      = core.ErrReserved
	ErrTooLarge      = core.ErrTooLarge
	ErrUnsupported   = core.ErrUnsupported
)

// Get returns the value under key, if there is one that is a T.
func Get[T any](s Session, key string) (value T, ok bool) { return core.Get[T](s, key) }

// Set puts value under key.
func Set[T any](s Session, key string, value T) { core.Set(s, key, value) }

// Update puts under key what f makes of the value there, exactly under parallel requests: f may run several times.
func Update[T any](s Session, key string, f func(old T, ok bool) T) { core.Update(s, key, f) }

// Take returns the value under key and deletes it, at once and in the store: of several requests one gets it.
func Take[T any](s Session, key string) (value T, ok bool, err error) { return core.Take[T](s, key) }

// AddFlash leaves a message in the session for a page that is shown later: [Flashes] returns it once.
func AddFlash[T any](s Session, message T) { core.AddFlash(s, message) }

// Flashes returns the messages that [AddFlash] left, the oldest first, and removes them. An error says that the session cannot be
// read.
func Flashes[T any](s Session) ([]T, error) { return core.Flashes[T](s) }

// Value returns the value under key in a record, as [Get] does of a session.
func Value[T any](r *Record, key string) (value T, ok bool) { return core.Value[T](r, key) }

// Hardened returns a Config for logins that matter, see docs/security.md.
func Hardened(keys ...Key) Config { return core.Hardened(keys...) }

// HardenedAAL3 is [Hardened] with the limits of AAL3 of NIST SP 800-63B-4.
func HardenedAAL3(keys ...Key) Config { return core.HardenedAAL3(keys...) }

// Keys returns a key of each secret, for Config.Keys: the first signs, all verify.
func Keys[T string | []byte](secrets ...T) []Key { return core.Keys(secrets...) }

// SHA1Key returns a key that signs with HMAC-SHA-1, as Koa does.
func SHA1Key[T string | []byte](secret T) Key { return core.SHA1Key(secret) }

// SHA256Key returns a key that signs with HMAC-SHA-256 even if Config.Koa is set.
func SHA256Key[T string | []byte](secret T) Key { return core.SHA256Key(secret) }

// HeaderTransport carries the session in a request header and a response header of one name, in place of cookies.
func HeaderTransport(name string) Transport { return core.HeaderTransport(name) }

// ParseID returns s as an ID.
func ParseID(s string) (ID, error) { return core.ParseID(s) }

// ParseRecord checks s and returns it as a Record.
func ParseRecord(s string) (*Record, error) { return core.ParseRecord(s) }

// FromRequest is [From] by the request of fasthttp.
func FromRequest(ctx *fasthttp.RequestCtx) Session { return core.FromRequest(ctx) }

// RunStrict is [Strict] by the request of fasthttp: it runs next if the session could be read.
func RunStrict(ctx *fasthttp.RequestCtx, next func() error) error { return core.RunStrict(ctx, next) }

// NewMemoryStore returns an empty store in the memory of this process.
func NewMemoryStore(config ...MemoryConfig) *MemoryStore { return core.NewMemoryStore(config...) }

// NewStorageStore returns a store that keeps each session in storage under prefix and its id, with what a fiber.Storage
// cannot promise, see [StorageStore]. The driver gets the deadlines of the session layer. It panics if storage is nil.
func NewStorageStore(storage fiber.Storage, prefix string) *StorageStore {
	return core.NewStorageStore(storage, prefix)
}
