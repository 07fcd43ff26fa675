package redis

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/rueidis"
)

// Config is the root's RueidisConfig, which says what its fields mean.
type Config struct {
	Prefix         string
	NoPrefix       bool
	NearCacheBytes int64
	NoNearCache    bool
	MaxStale       time.Duration
	MaxInFlight    int
	StartTimeout   time.Duration
	Lazy           bool
	Koa            bool
	Logger         *slog.Logger
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

// Settings returns the settings that c stands for, or all its mistakes.
func (c Config) Settings() (Settings, error) {
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
		return Settings{}, errors.Join(errs...)
	}
	s := Settings{
		Prefix:    cmp.Or(c.Prefix, defaultPrefix),
		NearBytes: cmp.Or(c.NearCacheBytes, defaultNearBytes),
		MaxStale:  cmp.Or(c.MaxStale, defaultMaxStale),
		InFlight:  cmp.Or(c.MaxInFlight, defaultInFlight),
		Koa:       c.Koa,
		Logger:    cmp.Or(c.Logger, slog.Default()),

		StartTimeout: cmp.Or(c.StartTimeout, defaultStartTimeout),
		Lazy:         c.Lazy,
	}
	if c.NoPrefix {
		s.Prefix = ""
	}
	if c.NoNearCache {
		s.NearBytes = 0
	}
	return s, nil
}

// With returns the settings that c stands for and the option that a store completes, or all that is wrong with both.
func (c Config) With(option rueidis.ClientOption) (Settings, rueidis.ClientOption, error) {
	settings, err := c.Settings()
	if err != nil {
		usual, _ := Config{}.Settings()
		return settings, option, errors.Join(err, usual.Refuse(&option))
	}
	option, err = settings.ClientOption(option)
	return settings, option, err
}
