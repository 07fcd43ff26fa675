package sess

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"
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

// rueidisSettings is a RueidisConfig that is complete and right.
type rueidisSettings struct {
	prefix    string
	nearBytes int64 // 0: no near cache
	maxStale  time.Duration
	inFlight  int
	koa       bool
	logger    *slog.Logger
}

// freeze returns the settings that c stands for, or all its mistakes.
func (c RueidisConfig) freeze() (rueidisSettings, error) {
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
		return rueidisSettings{}, errors.Join(errs...)
	}
	s := rueidisSettings{
		prefix:    or(c.Prefix, defaultPrefix),
		nearBytes: or(c.NearCacheBytes, defaultNearBytes),
		maxStale:  or(c.MaxStale, defaultMaxStale),
		inFlight:  or(c.MaxInFlight, defaultInFlight),
		koa:       c.Koa,
		logger:    or(c.Logger, slog.Default()),
	}
	if c.NoPrefix {
		s.prefix = ""
	}
	if c.NoNearCache {
		s.nearBytes = 0
	}
	return s, nil
}

// rueidisDefaults are the settings of the zero RueidisConfig, to check client options against when the config is wrong.
func rueidisDefaults() *rueidisSettings {
	s, _ := RueidisConfig{}.freeze()
	return &s
}

// or returns v, or what it defaults to if it is zero.
func or[T comparable](v, instead T) T {
	var zero T
	if v == zero {
		return instead
	}
	return v
}

const (
	// A connection on which nothing came for between one and two keepAlives is asked for a sign of life, and is given
	// up when none comes within writeTimeout: a server that is gone without a word is noticed within one second, so
	// that its commands fail and it is dialed again. Stale records are not a matter of these: see lease.
	keepAlive    = 250 * time.Millisecond
	writeTimeout = 500 * time.Millisecond

	// dialTimeout bounds making a connection, TLS and the greeting included. Commands wait for it, past their
	// deadline if it is the longer one.
	dialTimeout = time.Second

	// topologyInterval is how often a client of a cluster or of Sentinels looks whether the masters are others, beside
	// hearing of it.
	topologyInterval = time.Second

	// maxRedirects bounds how often a cluster may send one command elsewhere.
	maxRedirects = 8

	// defaultRingScale is rueidis' own default: 2^10 commands fit into the ring of a connection.
	defaultRingScale = 10
)

// clientOption returns the options of the client that a store builds from the application's, or all that is wrong with
// them: what breaks a promise of the store is refused, the rest is respected.
func (s *rueidisSettings) clientOption(o rueidis.ClientOption) (rueidis.ClientOption, error) {
	if err := s.refuse(&o); err != nil {
		return o, err
	}
	o.Dialer.KeepAlive = or(o.Dialer.KeepAlive, keepAlive)
	o.Dialer.Timeout = or(o.Dialer.Timeout, dialTimeout)
	o.Sentinel.Dialer.KeepAlive = or(o.Sentinel.Dialer.KeepAlive, keepAlive)
	o.Sentinel.Dialer.Timeout = or(o.Sentinel.Dialer.Timeout, dialTimeout)
	o.Sentinel.TopologyRefreshInterval = or(o.Sentinel.TopologyRefreshInterval, topologyInterval)
	o.ClusterOption.ShardsRefreshInterval = or(o.ClusterOption.ShardsRefreshInterval, topologyInterval)
	o.ClusterOption.MaxMovedRedirections = or(o.ClusterOption.MaxMovedRedirections, maxRedirects)
	o.ConnWriteTimeout = or(o.ConnWriteTimeout, writeTimeout)
	o.DisableRetry = true     // the store retries, knowing what is safe to send twice
	o.AlwaysPipelining = true // outside the pipeline a deadline closes the connection, for all who use it
	o.DisableCache = s.nearBytes == 0
	if o.PipelineMultiplex == 0 {
		o.PipelineMultiplex = -1 // one connection a node: three times as fast as two, and its lease covers all reads
	}
	return o, nil
}

// refuse returns what must not be set, and why.
func (s *rueidisSettings) refuse(o *rueidis.ClientOption) error {
	var errs []error
	wrong := func(when bool, field, text string) {
		if when {
			errs = append(errs, fmt.Errorf("sess: rueidis.ClientOption.%s: %s", field, text))
		}
	}
	near := s.nearBytes > 0
	replicas := "got a choice of replicas; want none: a replica lags behind, so it brings back what was changed or destroyed"
	wrong(len(o.InitAddress) == 0, "InitAddress", "got no address; want at least one host:port")
	wrong(o.ReplicaOnly, "ReplicaOnly", replicas)
	wrong(o.SendToReplicas != nil, "SendToReplicas", replicas)
	wrong(o.ReplicaSelector != nil, "ReplicaSelector", replicas)
	wrong(o.ReadNodeSelector != nil, "ReadNodeSelector", replicas)
	wrong(len(o.Standalone.ReplicaAddress) > 0, "Standalone.ReplicaAddress", replicas)
	wrong(o.NewCacheStoreFn != nil, "NewCacheStoreFn", "got a function; want nil: the store brings its own near cache")
	wrong(!isOptIn(o.ClientTrackingOptions), "ClientTrackingOptions",
		"got options other than OPTIN; want none: with others the server does not report what the near cache holds")
	wrong(o.ConnLifetime != 0, "ConnLifetime", "got a duration; want 0: when it ends, what was sent and not yet answered is sent again")
	wrong(o.DisableAutoPipelining, "DisableAutoPipelining", "got true; want false: commands must stay in order")
	wrong(near && o.AlwaysRESP2, "AlwaysRESP2", "got true; want false, or RueidisConfig.NoNearCache: RESP2 reports no changes")
	wrong(near && o.DisableCache, "DisableCache", "got true; want false, or RueidisConfig.NoNearCache")
	wrong(near && o.PipelineMultiplex > 0, "PipelineMultiplex",
		"got more than one connection a node; want 0, or RueidisConfig.NoNearCache: a heartbeat vouches for one connection")
	wrong(o.Dialer.KeepAlive < 0, "Dialer.KeepAlive", "got less than 0; want 0 or more: a dead connection must be noticed")
	wrong(o.Sentinel.Dialer.KeepAlive < 0, "Sentinel.Dialer.KeepAlive", "got less than 0; want 0 or more: a dead connection must be noticed")
	wrong(o.ConnWriteTimeout < 0, "ConnWriteTimeout", "got less than 0; want 0 or more: a dead connection must be noticed")
	wrong(o.RingScaleEachConn < 0 || o.RingScaleEachConn > 24, "RingScaleEachConn", "got less than 0 or more than 24; want 0 for 10")
	if ring := 1 << min(24, max(0, or(o.RingScaleEachConn, defaultRingScale))); ring < 2*s.inFlight {
		wrong(true, "RingScaleEachConn", fmt.Sprintf(
			"got a ring of %d commands; want at least twice the %d of RueidisConfig.MaxInFlight: a full ring ignores deadlines",
			ring, s.inFlight))
	}
	return errors.Join(errs...)
}

func isOptIn(options []string) bool {
	return options == nil || slices.EqualFunc(options, []string{"OPTIN"}, strings.EqualFold)
}
