package redis

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Settings is a RueidisConfig that is complete and right.
type Settings struct {
	Prefix    string
	NearBytes int64 // 0: no near cache
	MaxStale  time.Duration
	InFlight  int // to each server
	Koa       bool
	Logger    *slog.Logger

	StartTimeout time.Duration
	Lazy         bool

	// As makes an Error the root's, for errors.As.
	As func(e *Error, target any) bool
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

// ClientOption returns the options of the client that a store builds from the application's, or all that is wrong with
// them: what breaks a promise of the store is refused, the rest is respected.
func (s *Settings) ClientOption(o rueidis.ClientOption) (rueidis.ClientOption, error) {
	if err := s.Refuse(&o); err != nil {
		return o, err
	}
	o.Dialer.KeepAlive = cmp.Or(o.Dialer.KeepAlive, keepAlive)
	o.Dialer.Timeout = cmp.Or(o.Dialer.Timeout, dialTimeout)
	o.Sentinel.Dialer.KeepAlive = cmp.Or(o.Sentinel.Dialer.KeepAlive, keepAlive)
	o.Sentinel.Dialer.Timeout = cmp.Or(o.Sentinel.Dialer.Timeout, dialTimeout)
	o.Sentinel.TopologyRefreshInterval = cmp.Or(o.Sentinel.TopologyRefreshInterval, topologyInterval)
	o.ClusterOption.ShardsRefreshInterval = cmp.Or(o.ClusterOption.ShardsRefreshInterval, topologyInterval)
	o.ClusterOption.MaxMovedRedirections = cmp.Or(o.ClusterOption.MaxMovedRedirections, maxRedirects)
	o.ConnWriteTimeout = cmp.Or(o.ConnWriteTimeout, writeTimeout)
	o.DisableRetry = true     // the store retries, knowing what is safe to send twice
	o.AlwaysPipelining = true // outside the pipeline a deadline closes the connection, for all who use it
	o.DisableCache = s.NearBytes == 0
	if o.PipelineMultiplex == 0 {
		o.PipelineMultiplex = -1 // one connection a node: three times as fast as two, and its lease covers all reads
	}
	return o, nil
}

// Refuse returns what must not be set, and why.
func (s *Settings) Refuse(o *rueidis.ClientOption) error {
	var errs []error
	wrong := func(when bool, field, text string) {
		if when {
			errs = append(errs, fmt.Errorf("sess: rueidis.ClientOption.%s: %s", field, text))
		}
	}
	near := s.NearBytes > 0
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
	if ring := 1 << min(24, max(0, cmp.Or(o.RingScaleEachConn, defaultRingScale))); ring < 2*s.InFlight {
		wrong(true, "RingScaleEachConn", fmt.Sprintf(
			"got a ring of %d commands; want at least twice the %d of RueidisConfig.MaxInFlight: a full ring ignores deadlines",
			ring, s.InFlight))
	}
	return errors.Join(errs...)
}

func isOptIn(options []string) bool {
	return options == nil || slices.EqualFunc(options, []string{"OPTIN"}, strings.EqualFold)
}
