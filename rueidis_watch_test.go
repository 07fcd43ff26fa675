package sess_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// watchCount watches id and counts what it is told. The watch lives as long as the test.
func watchCount(t *testing.T, s *sess.RueidisStore, id sess.ID) *atomic.Int64 {
	t.Helper()
	var told atomic.Int64
	stop, err := s.Watch(t.Context(), id, func(*sess.Record, error) { told.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return &told
}

// TestASecondWatcherHidesNothingFromTheFirst: it sees what the first has not been told of yet.
func TestASecondWatcherHidesNothingFromTheFirst(t *testing.T) {
	t.Run("polling", func(t *testing.T) {
		server := redistest.Start(t)
		s := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{NoNearCache: true, MaxStale: 300 * time.Millisecond})
		id := redisID(t, "two")
		put(server, id, version(t, 1))
		told := watchCount(t, s, id)
		server.Do("DEL", "koa:sess:two")
		watchCount(t, s, id)
		eventually(t, "the first watcher is told", func() bool { return told.Load() > 0 })
	})
	t.Run("after a lost connection", func(t *testing.T) {
		server := redistest.Start(t)
		proxy := redistest.NewProxy(t, server.Addr)
		s := openRueidis(t, addresses(proxy.Addr), sess.RueidisConfig{MaxStale: 4 * time.Second}) // so that no tick helps
		id := redisID(t, "two")
		put(server, id, version(t, 1))
		told := watchCount(t, s, id)
		before := told.Load()
		proxy.Hold(redistest.Down)
		server.Do("DEL", "koa:sess:two")
		flushes := s.Stats().Flushes
		proxy.Reset()
		proxy.Release(redistest.Down)
		eventually(t, "the loss is noticed", func() bool { return s.Stats().Flushes > flushes })
		eventually(t, "a second watch succeeds", func() bool {
			stop, err := s.Watch(t.Context(), id, func(*sess.Record, error) {})
			if err == nil {
				t.Cleanup(stop)
			}
			return err == nil
		})
		eventually(t, "the first watcher is told", func() bool { return told.Load() > before })
	})
}

// TestAThousandWatchesAreLookedAtInOneGo, and not 64 a tick.
func TestAThousandWatchesAreLookedAtInOneGo(t *testing.T) {
	const n, tick = 1000, 400 * time.Millisecond
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{NoNearCache: true, MaxStale: tick})
	var told [n]*atomic.Int64
	for i := range told {
		id := redisID(t, fmt.Sprint("many", i))
		put(server, id, version(t, 1))
		told[i] = watchCount(t, s, id)
	}
	server.Do("FLUSHALL")
	start := time.Now()
	eventually(t, "all are told", func() bool {
		for _, one := range told {
			if one.Load() == 0 {
				return false
			}
		}
		return true
	})
	if ticks := int(time.Since(start) / tick); ticks >= n/64 {
		t.Errorf("ticks until all were told: got %d, want a few", ticks)
	}
}

// TestAJoinedReaderTriesForItself: the reader that it joined has spent its time while there was no server.
func TestAJoinedReaderTriesForItself(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	s := openRueidis(t, addresses(proxy.Addr))
	id := redisID(t, "joined")
	put(server, id, version(t, 1))
	proxy.Refuse(true)
	flushes := s.Stats().Flushes
	proxy.Reset()
	eventually(t, "the loss is noticed", func() bool { return s.Stats().Flushes > flushes }) // a read lost with it is not joined
	read := func(within time.Duration) <-chan error {
		ended := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			_, err := s.Get(ctx, id)
			ended <- err
		}()
		return ended
	}
	first := read(3 * time.Second)
	eventually(t, "the first reader waits", func() bool { return s.Stats().InFlight > 0 })
	second := read(30 * time.Second)
	eventually(t, "the second reader joins it", func() bool { return s.Stats().Joined > 0 })
	if err := <-first; err == nil {
		t.Error("the first reader: got no error, want one: there was no server")
	}
	proxy.Refuse(false)
	if err := <-second; err != nil {
		t.Errorf("the second reader, with a server and seconds left: got %v, want nil", err)
	}
}

func TestNothingIsCountedThatDidNotHappen(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, 1)
	s := openRueidis(t, addresses(cluster.Addrs()...), sess.RueidisConfig{MaxStale: 200 * time.Millisecond})
	heard := func(heartbeats int) func() bool { // by each server, the replicas too
		var began []int
		for _, n := range cluster.Nodes {
			began = append(began, calls(t, n, "hello"))
		}
		return func() bool {
			for i, n := range cluster.Nodes {
				if calls(t, n, "hello") < began[i]+heartbeats {
					return false
				}
			}
			return true
		}
	}
	eventually(t, "all servers hear heartbeats", heard(2))
	before := s.Stats().Flushes
	eventually(t, "they hear five more", heard(5))
	if after := s.Stats().Flushes; after != before {
		t.Errorf("flushes while nothing happened: got %d, want 0", after-before)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := s.Stats().InFlight; n != 0 {
		t.Errorf("commands in flight after Close: got %d, want 0", n)
	}
}

// calls returns how many commands of that name the server has executed.
func calls(t *testing.T, server *redistest.Server, command string) int {
	t.Helper()
	stat := server.Info("commandstats")["cmdstat_"+command]
	if stat == "" {
		return 0
	}
	count, _, _ := strings.Cut(strings.TrimPrefix(stat, "calls="), ",")
	n, err := strconv.Atoi(count)
	if err != nil {
		t.Fatalf("INFO commandstats: %q: %v", stat, err)
	}
	return n
}
