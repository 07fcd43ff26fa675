package sess_test

import (
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/fibersess/sess/sesstest"
)

// What a RueidisStore can do beside keeping sessions.
var (
	_ sess.Store     = (*sess.RueidisStore)(nil)
	_ sess.Swapper   = (*sess.RueidisStore)(nil)
	_ sess.Peeker    = (*sess.RueidisStore)(nil)
	_ sess.Refresher = (*sess.RueidisStore)(nil)
	_ sess.Watcher   = (*sess.RueidisStore)(nil)
	_ sess.Ender     = (*sess.RueidisStore)(nil)

	_ sess.UserIndex  = (*sess.RueidisStore)(nil)
	_ sess.UserMarker = (*sess.RueidisStore)(nil)
)

// openRueidis returns a store that is closed when the test ends.
func openRueidis(t testing.TB, option rueidis.ClientOption, config ...sess.RueidisConfig) *sess.RueidisStore {
	t.Helper()
	s, err := sess.NewRueidisStore(option, config...)
	if err != nil {
		t.Fatalf("NewRueidisStore: got the error %v, want none", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func addresses(addrs ...string) rueidis.ClientOption { return rueidis.ClientOption{InitAddress: addrs} }

func sentinels(s *redistest.Sentinel) rueidis.ClientOption {
	option := addresses(s.Addr)
	option.Sentinel.MasterSet = redistest.MasterName
	return option
}

// quick makes the subtests that poll, where the server reports nothing, wait less.
func quick(c sess.RueidisConfig) sess.RueidisConfig {
	c.MaxStale = 200 * time.Millisecond
	return c
}

func TestRueidisStoreKeepsEveryPromise(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, c := range []struct {
		name   string
		config sess.RueidisConfig
	}{
		{"near cache", sess.RueidisConfig{}},
		{"no near cache", quick(sess.RueidisConfig{NoNearCache: true})},
		{"Koa", sess.RueidisConfig{Koa: true}},
		{"Koa, no near cache", quick(sess.RueidisConfig{Koa: true, NoNearCache: true})},
		{"tiny near cache, few in flight", sess.RueidisConfig{NearCacheBytes: 4 << 10, MaxInFlight: 2}},
	} {
		suite := sesstest.TestStoreBriefly
		if c.name == "near cache" && !raceDetector { // The gate counts to 64,000 without it.
			suite = sesstest.TestStore
		}
		t.Run(c.name, func(t *testing.T) {
			suite(t, func(t *testing.T) sess.Store { return openRueidis(t, addresses(server.Addr), c.config) })
		})
	}
	t.Run("client of the application's", func(t *testing.T) {
		client, err := rueidis.NewClient(addresses(server.Addr))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		sesstest.TestStoreBriefly(t, func(t *testing.T) sess.Store {
			s, err := sess.NewRueidisStoreFromClient(client, quick(sess.RueidisConfig{}))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		})
	})
}

func TestRueidisStoreKeepsEveryPromiseOnACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 1)
	for _, koa := range []bool{false, true} {
		sesstest.TestStoreBriefly(t, func(t *testing.T) sess.Store {
			return openRueidis(t, addresses(cluster.Addrs()...), sess.RueidisConfig{Koa: koa})
		})
	}
}

func TestRueidisStoreKeepsEveryPromiseOnASentinelPair(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	for _, koa := range []bool{false, true} {
		sesstest.TestStoreBriefly(t, func(t *testing.T) sess.Store { return openRueidis(t, sentinels(s), sess.RueidisConfig{Koa: koa}) })
	}
}
