package sess_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
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

// TestManyWatchesHearOfEachChangeAndOfNothingElse has as many watches as a process with that many sockets, on a real
// server: changes of a few, then a lost connection, with a change that nobody could report.
func TestManyWatchesHearOfEachChangeAndOfNothingElse(t *testing.T) {
	n := 100_000
	if testing.Short() || raceDetector {
		n = 5_000
	}
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	s := openRueidis(t, addresses(proxy.Addr), sess.RueidisConfig{NearCacheBytes: 8 << 20})
	m := watchMany(t, s, n)
	bytes := m.heap / uint64(n)
	t.Logf("%d watches: %d bytes of heap each, registered in %v", n, bytes, m.took.Round(time.Millisecond))
	if bytes > 700 && n == 100_000 {
		t.Errorf("heap for each watch: got %d bytes, want at most 700", bytes)
	}

	changed := min(n/20, 5000)
	start := time.Now()
	for i := range changed {
		put(server, m.ids[i], version(t, i))
	}
	written := time.Since(start)
	eventually(t, "all whose session changed are told", func() bool { return m.calls.Load() == int64(changed) })
	t.Logf("%d changes, written in %v, were told %v later", changed, written.Round(time.Millisecond), (time.Since(start) - written).Round(time.Millisecond))
	for i := range m.told {
		if want := i < changed; m.told[i].Swap(0) != 0 != want {
			t.Fatalf("watcher %d of %d after changes of the first %d: got told %t, want %t", i, n, changed, !want, want)
		}
	}

	m.calls.Store(0)
	proxy.Hold(redistest.Down)
	put(server, m.ids[n-1], version(t, 1))
	server.Do("DEL", "koa:sess:"+m.ids[0].Value())
	proxy.Reset()
	proxy.Release(redistest.Down)
	start = time.Now()
	eventually(t, "both whose session changed while nobody could report it are told", func() bool { return m.calls.Load() >= 2 })
	if first, last := m.told[0].Load(), m.told[n-1].Load(); first == 0 || last == 0 || m.calls.Load() > int64(n) {
		t.Errorf("after a lost connection: got %d and %d calls for the sessions that changed and %d in all; want one each, and no others but of a loss",
			first, last, m.calls.Load())
	}
	t.Logf("the last was told %v after the connection was lost", time.Since(start).Round(time.Millisecond))
}

// manyWatches counts what each of many watchers was told after the first call.
type manyWatches struct {
	ids   []sess.ID
	told  []atomic.Int32
	calls atomic.Int64
	heap  uint64
	took  time.Duration
}

func watchMany(t *testing.T, s *sess.RueidisStore, n int) *manyWatches {
	t.Helper()
	m := &manyWatches{ids: make([]sess.ID, n), told: make([]atomic.Int32, n)}
	for i := range m.ids {
		m.ids[i] = redisID(t, fmt.Sprintf("many-watched-session-%06d", i))
	}
	first := make([]atomic.Bool, n)
	before := liveHeap()
	start := time.Now()
	var all sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				_, err := s.Watch(t.Context(), m.ids[i], func(*sess.Record, error) {
					if first[i].CompareAndSwap(false, true) {
						return
					}
					m.told[i].Add(1)
					m.calls.Add(1)
				})
				if err != nil {
					t.Errorf("Watch: got the error %v, want none", err)
					return
				}
			}
		})
	}
	all.Wait()
	m.took = time.Since(start)
	m.heap = liveHeap() - before
	return m
}

// liveHeap is what is on the heap when the garbage is collected.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAMasterThatHangsDelaysNoWatchOfAnother stops one of three masters, which the cluster takes for alive meanwhile.
func TestAMasterThatHangsDelaysNoWatchOfAnother(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, 0)
	for _, n := range cluster.Nodes {
		n.Do("CONFIG", "SET", "cluster-node-timeout", "60000")
	}
	s := openRueidis(t, addresses(cluster.Addrs()...))
	type one struct {
		id    sess.ID
		owner *redistest.Server
		told  *atomic.Int64
	}
	var all []one
	for i := range 300 {
		id := redisID(t, fmt.Sprint("cluster-", i))
		all = append(all, one{id, cluster.Owner("koa:sess:" + id.Value()), watchCount(t, s, id)})
	}
	hung := cluster.Nodes[0]
	hung.Pause()
	defer hung.Resume()
	flushes := s.Stats().Flushes
	eventually(t, "the store has given the connection to it up", func() bool { return s.Stats().Flushes > flushes })
	late := timersLate(t)
	slowest := time.Duration(0)
	for round := range 3 {
		for i := 0; i < len(all); i += 10 {
			w := all[i]
			if w.owner == hung {
				continue
			}
			before := w.told.Load()
			put(w.owner, w.id, version(t, round))
			start := time.Now()
			eventually(t, "a watcher of another master's session is told", func() bool { return w.told.Load() > before })
			slowest = max(slowest, time.Since(start)-late(start))
		}
	}
	t.Logf("the slowest was told after %v, without what timers were late", slowest.Round(time.Millisecond))
	if slowest > time.Second {
		t.Errorf("the slowest watcher of another master's session was told after %v, want it within MaxStale, 1s", slowest)
	}
}

// timersLate returns by how much timers have been late in all since an instant: what the machine had to do beside this test.
func timersLate(t *testing.T) (late func(since time.Time) time.Duration) {
	const tick = 5 * time.Millisecond
	type stall struct {
		end time.Time
		by  time.Duration
	}
	var mu sync.Mutex
	var all []stall
	go func() {
		for t.Context().Err() == nil {
			start := time.Now()
			time.Sleep(tick)
			if by := time.Since(start) - tick; by > tick {
				mu.Lock()
				all = append(all, stall{time.Now(), by})
				mu.Unlock()
			}
		}
	}()
	return func(since time.Time) (sum time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		for _, s := range all {
			if s.end.After(since) {
				sum += min(s.by, s.end.Sub(since))
			}
		}
		return sum
	}
}
