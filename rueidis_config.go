package sess

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/fibersess/sess/internal/redis"
)

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

const (
	defaultPrefix    = "koa:sess:"
	defaultNearBytes = 64 << 20
	defaultMaxStale  = time.Second
	minMaxStale      = 40 * time.Millisecond
	defaultInFlight  = 512

	defaultStartTimeout = 5 * time.Second

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
	if c.StartTimeout < 0 {
		wrong("StartTimeout", c.StartTimeout, fmt.Sprintf("more than 0, or 0 for %v; Lazy does not wait", defaultStartTimeout))
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

		StartTimeout: cmp.Or(c.StartTimeout, defaultStartTimeout),
		Lazy:         c.Lazy,
		As:           asRedisError,
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
