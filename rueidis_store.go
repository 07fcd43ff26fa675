package sess

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/redis"
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

var (
	_ Store     = (*RueidisStore)(nil)
	_ Swapper   = (*RueidisStore)(nil)
	_ Peeker    = (*RueidisStore)(nil)
	_ Refresher = (*RueidisStore)(nil)
	_ Watcher   = (*RueidisStore)(nil)
)

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
// It gives up after 5 seconds. Close the store to end its connections.
//
// The error is [ErrRedisVersion], [ErrRedisReplica] or [ErrRedisAuth] where one of these is the cause. A server, or a
// proxy before it, that cannot report changes is no error: the store then works without near cache and logs a warning.
func NewRueidisStore(option rueidis.ClientOption, config ...RueidisConfig) (*RueidisStore, error) {
	settings, err := first(config).freeze()
	if err != nil {
		return nil, errors.Join(err, rueidisDefaults().Refuse(&option))
	}
	if option, err = settings.ClientOption(option); err != nil {
		return nil, err
	}
	return faceOf(redis.Open(settings, option))
}

// NewRueidisStoreFromClient returns a store on a client of the application's, which the store does not close. It has no
// near cache, since a client that exists cannot be made to report connection losses: every read asks the server, and
// Watch asks it at the interval MaxStale. Of config, NearCacheBytes and NoNearCache mean nothing here. Nor can its options
// be seen: it must not send reads to replicas, which lag behind, nor have a ConnLifetime, since what was sent and not yet
// answered is sent again at its end.
func NewRueidisStoreFromClient(client rueidis.Client, config ...RueidisConfig) (*RueidisStore, error) {
	settings, err := first(config).freeze()
	if err != nil {
		return nil, err
	}
	return faceOf(redis.OpenOn(client, settings))
}

func faceOf(s *redis.Store, err error) (*RueidisStore, error) {
	if err != nil {
		return nil, err
	}
	return &RueidisStore{s}, nil
}

func first(config []RueidisConfig) RueidisConfig {
	if len(config) == 0 {
		return RueidisConfig{}
	}
	return config[0]
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

// Watch does what [Watcher] says: seen is told when the server reports a change, and when the connection to the server
// was lost. Without a near cache the store asks the server at the interval MaxStale.
func (s *RueidisStore) Watch(ctx context.Context, id ID, seen func(r *Record, err error)) (stop func(), err error) {
	return s.store.Watch(ctx, ident.ID(id), func(r *record.Record, err error) { seen((*Record)(r), err) })
}

// Close ends what the store started and, if the store made it, the client. It waits for commands that are under way
// for as long as a dead connection takes to be noticed. What is called later returns [ErrClosed].
func (s *RueidisStore) Close() error { return s.store.Close() }

// Storage returns a fiber.Storage on the connections of s, for Fiber's own middleware: csrf, limiter, cache,
// idempotency. Every key gets the prefix, which keeps these apart from each other and from the sessions; it panics if
// the prefix is empty, or if it begins with that of the sessions or the other way round.
//
// Each call has a second. Close does nothing, since the connections are the store's; Reset removes what is under the
// prefix and nothing else, in steps, so what is set meanwhile may stay.
func (s *RueidisStore) Storage(prefix string) fiber.Storage { return s.store.Storage(prefix) }

// Stats returns what the store has done since it was opened, and what it holds.
func (s *RueidisStore) Stats() RueidisStats { return RueidisStats(s.store.Counters()) }

// RueidisStats are counters of a [RueidisStore]; all but the last four only grow.
type RueidisStats struct {
	Hits          uint64 // reads served from the near cache
	Misses        uint64 // reads that asked the server
	Joined        uint64 // reads that waited for the answer to another one's
	Stale         uint64 // records found in the near cache but not served: ended, or from a connection without a lease
	Poisoned      uint64 // answers not kept because the record changed, or may have, while they were under way
	Invalidations uint64 // changes that the server reported
	Flushes       uint64 // times a connection was lost or the server forgot what was read on it
	Evicted       uint64 // records removed to make room

	NearCache bool  // whether there is a near cache
	Entries   int   // records in the near cache
	Bytes     int64 // their size
	InFlight  int   // commands under way
}

// RedisError is an error that a Redis server replied. Its text, which may quote a key, is not kept. Its field Op says what
// was done: get, set, swap, destroy, connect; and Code is the first word of the reply: OOM, READONLY, NOPERM.
type RedisError = redis.Error

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

	// MaxInFlight is how many commands may be under way at once; others wait for them until their deadline.
	// Default: 512.
	MaxInFlight int

	// Koa says that Koa processes write the same sessions. They move the end of a session without writing it into the
	// record, so the server is asked for the end with each record. Default: false.
	Koa bool

	// Logger gets the one warning there is: the server cannot report changes, so each read asks it.
	// Default: slog.Default().
	Logger *slog.Logger
}

const (
	defaultPrefix    = "koa:sess:"
	defaultNearBytes = 64 << 20
	defaultMaxStale  = time.Second
	minMaxStale      = 40 * time.Millisecond
	defaultInFlight  = 512

	// maxNearBytes is more than a process should give to a cache, and keeps the table's sums far from overflow.
	maxNearBytes = 1 << 40
)

// freeze returns the settings that c stands for, or all its mistakes.
func (c RueidisConfig) freeze() (redis.Settings, error) {
	var errs []error
	wrong := func(field string, got any, want string) {
		errs = append(errs, fmt.Errorf("sess: RueidisConfig.%s: got %v; want %s", field, got, want))
	}
	if c.NoPrefix && c.Prefix != "" {
		wrong("NoPrefix", "true together with a Prefix", "one of them")
	}
	if c.NearCacheBytes < 0 || c.NearCacheBytes > maxNearBytes {
		wrong("NearCacheBytes", c.NearCacheBytes, "0 to 1 TiB in bytes; NoNearCache turns the cache off")
	}
	if c.NoNearCache && c.NearCacheBytes > 0 {
		wrong("NoNearCache", "true together with NearCacheBytes", "one of them")
	}
	if c.MaxStale != 0 && c.MaxStale < minMaxStale {
		wrong("MaxStale", c.MaxStale, fmt.Sprintf("at least %v, or 0 for %v", minMaxStale, defaultMaxStale))
	}
	if c.MaxInFlight < 0 {
		wrong("MaxInFlight", c.MaxInFlight, fmt.Sprintf("at least 1, or 0 for %d", defaultInFlight))
	}
	if len(errs) > 0 {
		return redis.Settings{}, errors.Join(errs...)
	}
	s := redis.Settings{
		Prefix:    cmp.Or(c.Prefix, defaultPrefix),
		NearBytes: cmp.Or(c.NearCacheBytes, defaultNearBytes),
		MaxStale:  cmp.Or(c.MaxStale, defaultMaxStale),
		InFlight:  cmp.Or(c.MaxInFlight, defaultInFlight),
		Koa:       c.Koa,
		Logger:    cmp.Or(c.Logger, slog.Default()),
	}
	if c.NoPrefix {
		s.Prefix = ""
	}
	if c.NoNearCache {
		s.NearBytes = 0
	}
	return s, nil
}

// rueidisDefaults are the settings of the zero RueidisConfig, to check client options against when the config is wrong.
func rueidisDefaults() *redis.Settings {
	s, _ := RueidisConfig{}.freeze()
	return &s
}
