package sess

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/fibersess/sess/internal/engine"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/redis"
	"github.com/fibersess/sess/internal/tally"
	"github.com/gofiber/fiber/v2"
	"github.com/redis/rueidis"
)

// RueidisStore keeps sessions in Redis 6.2 or later: one server, a Sentinel-managed pair or a cluster. Records are the
// JSON objects that Koa's session middleware reads and writes, under the same keys.
//
// Records that were read are held in the memory of the process, so reading one again costs no round trip, and the
// server reports when one changes. Nobody reads a record older than what was written on the same node; what another
// node wrote is seen within RueidisConfig.MaxStale, typically within a millisecond or two. [RueidisStore.Refresh] asks
// the server.
//
// Writes are atomic on the server. Like all of Redis they are lost when a master fails before it has told its replica.
//
// A RueidisStore is safe for concurrent use. The zero RueidisStore is not useful: make one with [NewRueidisStore].
type RueidisStore struct{ store *redis.Store }

// The reasons for which a store cannot be opened that a program may want to tell apart. Compare with errors.Is.
var (
	// ErrRedisVersion: the server is older than Redis 6.2, or does not say how old it is.
	ErrRedisVersion = redis.ErrVersion

	// ErrRedisReplica: the address is that of a replica, which takes no writes.
	ErrRedisReplica = redis.ErrReplica

	// ErrRedisAuth: the server does not accept the user name and password, or the user may not do what a store does.
	ErrRedisAuth = redis.ErrAuth
)

// NewRueidisStore connects to Redis and returns a store with a near cache. It completes option, whose TLS, addresses,
// credentials, Sentinel and sizes are the application's; it returns all that is wrong with option and config at once.
// What may pass by itself is tried again for RueidisConfig.StartTimeout. Close the store to end its connections.
//
// Before it returns the store does, to a key of its own, all that it will do to sessions. The error is [ErrRedisVersion],
// [ErrRedisReplica] or [ErrRedisAuth] where one of these is the cause, and names a permission that is missing. A server, or
// a proxy before it, that cannot report changes is no error, nor one that takes no changes at present: the log hears of it.
func NewRueidisStore(option rueidis.ClientOption, config ...RueidisConfig) (*RueidisStore, error) {
	settings, option, err := redis.Config(first("NewRueidisStore", config)).With(option)
	if err != nil {
		return nil, err
	}
	settings.As = asRedisError
	return faceOf(redis.Open(settings, option))
}

// NewRueidisStoreFromClient returns a store on a client of the application's, which the store does not close. It has no
// near cache, since a client that exists cannot be made to report connection losses: every read asks the server, and
// Watch asks it at the interval MaxStale. Of config, NearCacheBytes and NoNearCache mean nothing here; the rest is as in
// [NewRueidisStore]. The client's options cannot be seen: it must not have a ConnLifetime, since what was sent and not yet
// answered is sent again at its end. And a connection of it whose server has become a replica is not given up: until the
// client dials again every call fails.
func NewRueidisStoreFromClient(client rueidis.Client, config ...RueidisConfig) (*RueidisStore, error) {
	settings, err := redis.Config(first("NewRueidisStoreFromClient", config)).Settings()
	if err != nil {
		return nil, err
	}
	settings.As = asRedisError
	return faceOf(redis.OpenOn(client, settings))
}

func faceOf(s *redis.Store, err error) (*RueidisStore, error) {
	if err != nil {
		return nil, err
	}
	return &RueidisStore{s}, nil
}

// Get returns the record kept under id, from the near cache if it is there.
func (s *RueidisStore) Get(ctx context.Context, id ID) (*Record, error) {
	r, err := s.store.Get(ctx, ident.ID(id))
	return (*Record)(r), err
}

// Peek returns the record of id if the near cache holds it. now must be the present, or little before: what is served
// is as old as MaxStale at now.
func (s *RueidisStore) Peek(id ID, now time.Time) (*Record, bool) {
	r, ok := s.store.Peek((*ident.ID)(&id), now)
	return (*Record)(r), ok
}

// Refresh returns the record kept under id, which it asks the server for.
func (s *RueidisStore) Refresh(ctx context.Context, id ID) (*Record, error) {
	r, err := s.store.Refresh(ctx, ident.ID(id))
	return (*Record)(r), err
}

// Set keeps r under id for ttl, whatever is there. The TTL is kept in milliseconds, rounded up.
func (s *RueidisStore) Set(ctx context.Context, id ID, r *Record, ttl time.Duration) error {
	return s.store.Set(ctx, ident.ID(id), (*record.Record)(r), ttl)
}

// Destroy removes what is kept under id.
func (s *RueidisStore) Destroy(ctx context.Context, id ID) error {
	return s.store.Destroy(ctx, ident.ID(id))
}

// Swap replaces old by next in one atomic step among all who write to the same server, as [Swapper] says.
func (s *RueidisStore) Swap(ctx context.Context, id ID, old, next *Record, ttl time.Duration) (*Record, error) {
	r, err := s.store.Swap(ctx, ident.ID(id), (*record.Record)(old), (*record.Record)(next), ttl)
	return (*Record)(r), err
}

// End removes the session kept under id, as [Ender] says.
func (s *RueidisStore) End(ctx context.Context, id ID) (was *Record, err error) {
	r, err := s.store.End(ctx, ident.ID(id))
	return (*Record)(r), err
}

// Watch does what [Watcher] says: seen is told when the server reports a change, and when the connection to the server
// was lost. Where the server reports nothing the store asks it at the interval MaxStale.
func (s *RueidisStore) Watch(ctx context.Context, id ID, seen func(r *Record, err error)) (stop func(), err error) {
	return s.store.Watch(ctx, ident.ID(id), func(r *record.Record, err error) { seen((*Record)(r), err) })
}

func (s *RueidisStore) itself() Store { return s }

func (s *RueidisStore) below() engine.Store {
	in := s.store
	return engine.Store{Keeper: in, Swapper: in, Peeker: in, Refresher: in, Ender: in, Watcher: in, Index: in}
}

// koa reports whether the store was made to share its sessions with Koa.
func (s *RueidisStore) koa() bool { return s.store.Koa }

// Ping returns nil if the server answers and is a master, in a cluster if any master is there: for a readiness check. It
// asks the server in any case.
func (s *RueidisStore) Ping(ctx context.Context) error { return s.store.Ping(ctx) }

// Enter does what [UserIndex] says.
func (s *RueidisStore) Enter(ctx context.Context, user string, e UserEntry, keep, grace time.Duration) error {
	return s.store.Enter(ctx, user, innerEntry(e), keep, grace)
}

// Entries does what [UserIndex] says. It asks the server.
func (s *RueidisStore) Entries(ctx context.Context, user, cursor string) (UserPage, error) {
	return outerPage(s.store.Entries(ctx, user, cursor))
}

// Leave does what [UserIndex] says.
func (s *RueidisStore) Leave(ctx context.Context, user string, entries []UserEntry, grace time.Duration) error {
	return s.store.Leave(ctx, user, mapped(entries, innerEntry), grace)
}

// Admit does what [UserMarker] says, by the server's clock.
func (s *RueidisStore) Admit(ctx context.Context, user string, id ID, keep time.Duration, a LoginAttempt) (time.Time, error) {
	return outerLogin(s.store.Admit(ctx, user, ident.ID(id), keep, a.inner()))
}

// Mark does what [UserMarker] says.
func (s *RueidisStore) Mark(ctx context.Context, user string, a LoginAttempt) (UserMark, error) {
	m, err := s.store.Mark(ctx, user, a.inner())
	return UserMark(m), err
}

// Close ends what the store started and, if the store made it, the client. It waits for commands that are under way
// for as long as a dead connection takes to be noticed. What is called later returns [ErrClosed].
func (s *RueidisStore) Close() error { return s.store.Close() }

// Storage returns a fiber.Storage on the connections of s, for Fiber's own middleware, v2 or v3: csrf, limiter, cache,
// idempotency. Every key gets the prefix, which keeps these apart from each other and from the sessions; it panics if
// the prefix is empty, or if it begins with that of the sessions or the other way round.
//
// Each call has a second, or what ctx says. Close does nothing, since the connections are the store's; Reset removes what is under the
// prefix and nothing else, in steps, so what is set meanwhile may stay.
func (s *RueidisStore) Storage(prefix string) RueidisStorage { return s.store.Storage(prefix) }

// RueidisStorage is the fiber.Storage of Fiber v2 and that of Fiber v3, which adds the methods that take a context.
type RueidisStorage interface {
	fiber.Storage
	GetWithContext(ctx context.Context, key string) ([]byte, error)
	SetWithContext(ctx context.Context, key string, value []byte, ttl time.Duration) error
	DeleteWithContext(ctx context.Context, key string) error
	ResetWithContext(ctx context.Context) error
}

// Stats returns what the store has done since it was opened, and what it holds.
func (s *RueidisStore) Stats() RueidisStats { return RueidisStats(s.store.Counters()) }

// RueidisStats are counters of a [RueidisStore]; all but the last five only grow.
type RueidisStats struct {
	Hits          uint64 // reads served from the near cache
	Misses        uint64 // reads that asked the server
	Joined        uint64 // reads that waited for the answer to another read of the same session
	Stale         uint64 // records found in the near cache but not served: ended, or from a connection without a lease
	Poisoned      uint64 // answers not kept because the record changed, or may have, while they were under way
	Invalidations uint64 // changes that the server reported
	Flushes       uint64 // times a connection was lost or the server forgot what was read on it
	Evicted       uint64 // records removed to make room

	NearCache bool  // whether there is a near cache
	Reports   bool  // whether the server reports changes to it; if not, its records are up to MaxStale old
	Entries   int   // records in the near cache
	Bytes     int64 // their size
	InFlight  int   // commands under way
}

// All yields the name of each field and its number; true is 1.
func (s RueidisStats) All() iter.Seq2[string, int64] { return tally.Each(s) }

// RedisError is an error that a Redis server replied.
type RedisError struct {
	// Op is what was done: get, set, swap, end, destroy, watch, ping, connect, or what a Storage does.
	Op string

	// Code is the first word of the reply, such as OOM, READONLY or NOPERM; ERR where there is none in capitals.
	Code string

	// Text is the reply. It is empty where it may quote an id or a value.
	Text string
}

// Error returns what was done and what the server replied.
func (e *RedisError) Error() string {
	return (&redis.Error{Op: e.Op, Code: e.Code, Text: e.Text}).Error()
}

// asRedisError makes e a RedisError, if that is what errors.As looks for.
func asRedisError(e *redis.Error, target any) bool {
	t, ok := target.(**RedisError)
	if ok {
		*t = &RedisError{Op: e.Op, Code: e.Code, Text: e.Text}
	}
	return ok
}

// RueidisConfig configures a [RueidisStore]. The zero value is the default.
type RueidisConfig struct {
	// Prefix stands before the id in a key. Default: "koa:sess:".
	Prefix string

	// NoPrefix makes the bare id the key. Default: false.
	NoPrefix bool

	// NearCacheBytes bounds the memory of the near cache, in bytes. Default: 64 << 20.
	NearCacheBytes int64

	// NoNearCache makes every read ask the server. Default: false.
	NoNearCache bool

	// MaxStale is the longest after its replacement that a record may be read on another node, whatever happens to the
	// network: the server is asked four times in this span whether it still reports changes. What this node wrote is
	// never read stale. At least 40 milliseconds. Default: time.Second.
	MaxStale time.Duration

	// MaxInFlight is how many commands may be under way at once to one server; others wait for them until their
	// deadline. In a cluster each master has as many of its own, so that one that hangs delays no other's users.
	// Default: 512.
	MaxInFlight int

	// StartTimeout is for how long opening the store tries again what may pass by itself: a server that cannot be
	// reached, loads its data, runs a script or is a replica that is just being promoted. Default: 5 * time.Second.
	StartTimeout time.Duration

	// Lazy opens the store at once, whether Redis can be reached or not. The store connects in the background and does not
	// give up; until it is connected each call fails, with the reason. What does not pass by itself is told to Logger, once a
	// minute. Default: false.
	Lazy bool

	// Koa says that Koa processes write the same sessions. They move the end of a session without writing it into the
	// record, so the server is asked for the end with each record. Default: false.
	Koa bool

	// Logger hears at the start that the server cannot report changes, or takes none at present, and of a lazy store that
	// cannot connect. Default: slog.Default().
	Logger *slog.Logger
}
