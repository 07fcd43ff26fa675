package sess_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// patience bounds what a test waits for on another process.
const patience = 10 * time.Second

// eventually waits until done, which looks at another process or at what it sent, says so.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got no state in which %s within %v", what, patience)
		}
	}
}

func redisID(t testing.TB, text string) sess.ID {
	t.Helper()
	id, err := sess.ParseID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// version returns a record that holds n and ends in an hour.
func version(t testing.TB, n int) *sess.Record {
	t.Helper()
	r, err := sess.ParseRecord(fmt.Sprintf(`{"$":{"e":%d},"v":%d}`, time.Now().Add(time.Hour).UnixMilli(), n))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func versionOf(t testing.TB, r *sess.Record) int {
	t.Helper()
	text, _ := r.Raw("v")
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("record without a version: %v", err)
	}
	return n
}

// put stores a version by another way than the store under test.
func put(server *redistest.Server, id sess.ID, r *sess.Record) {
	server.Do("SET", "koa:sess:"+id.Value(), r.JSON(), "EX", "3600")
}

// cache reads id until the near cache has it.
func cache(t testing.TB, s *sess.RueidisStore, id sess.ID) {
	t.Helper()
	eventually(t, "the record is in the near cache", func() bool {
		if _, err := s.Get(t.Context(), id); err != nil {
			t.Fatalf("Get: got the error %v, want none", err)
		}
		_, ok := s.Peek(id, time.Now())
		return ok
	})
}

func wantVersion(t testing.TB, s *sess.RueidisStore, id sess.ID, want int, when string) {
	t.Helper()
	r, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get %s: got the error %v, want version %d", when, err, want)
	}
	if got := versionOf(t, r); got != want {
		t.Errorf("Get %s: got version %d, want %d", when, got, want)
	}
}

func TestRueidisHitAllocatesNothing(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	id := redisID(t, "hit")
	put(server, id, version(t, 1))
	cache(t, s, id)
	now := time.Now()
	if got := testing.AllocsPerRun(100, func() { s.Peek(id, now) }); got != 0 {
		t.Errorf("allocations of a hit: got %v, want 0", got)
	}
}

func TestRueidisReportedChangeIsSeen(t *testing.T) {
	server := redistest.Start(t)
	for _, koa := range []bool{false, true} {
		s := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{Koa: koa})
		id := redisID(t, "reported")
		for v := range 20 {
			put(server, id, version(t, v))
			eventually(t, "the newest version is served", func() bool {
				r, err := s.Get(t.Context(), id)
				return err == nil && versionOf(t, r) == v
			})
			cache(t, s, id)
		}
		server.Do("DEL", "koa:sess:"+id.Value())
		eventually(t, "the destroyed session is gone", func() bool {
			_, err := s.Get(t.Context(), id)
			return errors.Is(err, sess.ErrNotFound)
		})
	}
}

// TestRueidisReadsOnceForAllWhoWait holds the answer back until every reader waits.
func TestRueidisReadsOnceForAllWhoWait(t *testing.T) {
	const readers = 100
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	s := openRueidis(t, addresses(proxy.Addr))
	id := redisID(t, "once")
	put(server, id, version(t, 1))
	reads, before := calls(t, server, "get"), s.Stats()

	proxy.Hold(redistest.Down)
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			if _, err := s.Get(t.Context(), id); err != nil {
				t.Errorf("Get: got the error %v, want none", err)
			}
		})
	}
	eventually(t, "every reader waits", func() bool {
		stats := s.Stats()
		return stats.Misses-before.Misses+stats.Joined-before.Joined == readers
	})
	proxy.Release(redistest.Down)
	all.Wait()
	if got := calls(t, server, "get") - reads; got != 1 {
		t.Errorf("GET commands for %d readers: got %d, want 1", readers, got)
	}
}

// TestRueidisAReadUnderWayForMaxStaleIsNotJoined holds the answer to a read back for longer than MaxStale, and destroys
// the session meanwhile: who asks then must not be given that answer.
func TestRueidisAReadUnderWayForMaxStaleIsNotJoined(t *testing.T) {
	const maxStale = 100 * time.Millisecond
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	s := openRueidis(t, addresses(proxy.Addr), sess.RueidisConfig{MaxStale: maxStale})
	id := redisID(t, "slow")
	put(server, id, version(t, 1))
	reads := calls(t, server, "get")

	proxy.Hold(redistest.Down)
	type outcome struct {
		r   *sess.Record
		err error
	}
	read := func() <-chan outcome {
		ended := make(chan outcome, 1)
		go func() {
			r, err := s.Get(t.Context(), id)
			ended <- outcome{r, err}
		}()
		return ended
	}
	early := read()
	eventually(t, "the server has read the session", func() bool { return calls(t, server, "get")-reads == 1 })
	server.Do("DEL", "koa:sess:"+id.Value())
	deleted := time.Now()
	eventually(t, "MaxStale has passed", func() bool { return time.Since(deleted) > maxStale })
	before := s.Stats()
	late := read()
	eventually(t, "the second reader waits", func() bool {
		stats := s.Stats()
		return stats.Misses-before.Misses+stats.Joined-before.Joined == 1
	})
	proxy.Release(redistest.Down)

	if o := <-early; o.err != nil && !errors.Is(o.err, sess.ErrNotFound) { // the latter if the lease of its connection is over
		t.Errorf("the Get that began before the session was destroyed: got the error %v, want the record or ErrNotFound", o.err)
	}
	if o := <-late; !errors.Is(o.err, sess.ErrNotFound) {
		t.Errorf("a Get that began later than MaxStale after the session was destroyed: got the error %v, want ErrNotFound", o.err)
	}
}

func TestRueidisKeepsNoMiss(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	for i := range 100 {
		id := redisID(t, fmt.Sprintf("miss-%d", i))
		if _, err := s.Get(t.Context(), id); !errors.Is(err, sess.ErrNotFound) {
			t.Fatalf("Get of nothing: got the error %v, want ErrNotFound", err)
		}
		put(server, id, version(t, i))
		wantVersion(t, s, id, i, "right after another process has created it")
	}
}

// TestRueidisForgetsWhatALostConnectionRead changes a record while nobody can report it.
func TestRueidisForgetsWhatALostConnectionRead(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	s := openRueidis(t, addresses(proxy.Addr))
	id := redisID(t, "lost")
	for v := range 20 {
		put(server, id, version(t, v))
		eventually(t, "the newest version is cached", func() bool {
			r, ok := s.Peek(id, time.Now())
			if ok && versionOf(t, r) == v {
				return true
			}
			s.Get(t.Context(), id)
			return false
		})
		proxy.Hold(redistest.Down)
		put(server, id, version(t, v+100))
		flushes := s.Stats().Flushes
		proxy.Reset()
		proxy.Release(redistest.Down)
		eventually(t, "the store knows of the loss", func() bool { return s.Stats().Flushes > flushes })
		wantVersion(t, s, id, v+100, "after a change that was reported to nobody")
	}
}

// TestRueidisHalfOpenConnectionServesNoLongerThanMaxStale swallows what the server says, so that reports are lost and
// the connection stays open.
func TestRueidisHalfOpenConnectionServesNoLongerThanMaxStale(t *testing.T) {
	const maxStale = 400 * time.Millisecond
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	s := openRueidis(t, addresses(proxy.Addr), sess.RueidisConfig{MaxStale: maxStale})
	id := redisID(t, "halfopen")
	put(server, id, version(t, 1))
	cache(t, s, id)

	proxy.Swallow(redistest.Down, true)
	changed := time.Now()
	server.Do("DEL", "koa:sess:"+id.Value())
	deleted := time.Now()
	served := changed
	for now := changed; now.Sub(changed) < 3*maxStale; now = time.Now() {
		if _, ok := s.Peek(id, now); ok {
			served = now
		}
	}
	if stale := served.Sub(deleted); stale > maxStale {
		t.Errorf("a session destroyed elsewhere was served for %v over a half-open connection, want at most %v", stale, maxStale)
	}
	if served == changed {
		t.Error("got no stale hit at all: this test has shown nothing")
	}
	proxy.Swallow(redistest.Down, false)
	eventually(t, "the store sees the end", func() bool {
		_, err := s.Get(t.Context(), id)
		return errors.Is(err, sess.ErrNotFound)
	})
}

// TestRueidisDemotedMasterVouchesForNothing makes a replica of the server, of a master that is not there: it keeps its
// data and its connections, and does not hear what changes.
func TestRueidisDemotedMasterVouchesForNothing(t *testing.T) {
	const maxStale = 200 * time.Millisecond
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{MaxStale: maxStale})
	id := redisID(t, "demoted")
	put(server, id, version(t, 1))
	cache(t, s, id)
	server.Do("REPLICAOF", "127.0.0.1", "1")
	demoted := time.Now()
	for now := demoted; now.Sub(demoted) < 3*maxStale; now = time.Now() {
		s.Get(t.Context(), id)
		if _, ok := s.Peek(id, now); ok && now.Sub(demoted) > maxStale {
			t.Fatalf("%v after the server was demoted the near cache serves what it said, want at most %v", now.Sub(demoted), maxStale)
		}
	}
	server.Do("REPLICAOF", "NO", "ONE")
	cache(t, s, id)
}

func TestRueidisHitsContinueWhileNothingHappens(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{MaxStale: 200 * time.Millisecond})
	id := redisID(t, "quiet")
	put(server, id, version(t, 1))
	cache(t, s, id)
	before := s.Stats().Misses
	for start := time.Now(); time.Since(start) < time.Second; time.Sleep(5 * time.Millisecond) {
		s.Get(t.Context(), id)
	}
	// A busy machine may delay a heartbeat for longer than MaxStale; then the server is asked, which is right.
	if got := s.Stats().Misses - before; got > 20 {
		t.Errorf("reads that asked the server during five times MaxStale: got %d of about 200, want few", got)
	}
}

// TestRueidisRefreshIsNeverFollowedByOlder loses the report of a change, and nothing else.
func TestRueidisRefreshIsNeverFollowedByOlder(t *testing.T) {
	const report = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$16\r\nkoa:sess:refresh\r\n"
	server := redistest.Start(t)
	option := addresses(server.Addr)
	var lost atomic.Int64
	option.DialCtxFn = rewriting(nil, func(b []byte) []byte {
		lost.Add(int64(bytes.Count(b, []byte(report))))
		return bytes.ReplaceAll(b, []byte(report), nil)
	})
	s := openRueidis(t, option)
	id := redisID(t, "refresh")
	put(server, id, version(t, 0))
	cache(t, s, id)
	put(server, id, version(t, 1))
	eventually(t, "the report is lost", func() bool { return lost.Load() > 0 })
	wantVersion(t, s, id, 0, "after a change that nobody reported")

	r, err := s.Refresh(t.Context(), id)
	if err != nil || versionOf(t, r) != 1 {
		t.Fatalf("Refresh: got (%v, %v), want version 1", r, err)
	}
	wantVersion(t, s, id, 1, "after Refresh")

	cache(t, s, id)
	server.Do("DEL", "koa:sess:refresh")
	eventually(t, "the report is lost", func() bool { return lost.Load() > 1 })
	if _, err := s.Refresh(t.Context(), id); !errors.Is(err, sess.ErrNotFound) {
		t.Errorf("Refresh of what is gone: got the error %v, want ErrNotFound", err)
	}
	if _, err := s.Get(t.Context(), id); !errors.Is(err, sess.ErrNotFound) {
		t.Errorf("Get after Refresh found nothing: got the error %v, want ErrNotFound", err)
	}
}

// TestRueidisOwnWriteIsServedWithoutAsking reads what this node has swapped in, and what others do to it afterwards.
func TestRueidisOwnWriteIsServedWithoutAsking(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	id := redisID(t, "own")
	put(server, id, version(t, 0))
	r, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for v := 1; v <= 100; v++ {
		switch v {
		case 30:
			server.Do("SCRIPT", "FLUSH")
		case 60: // another writer in between: the swap is lost, and says what is there
			other := version(t, 1000)
			put(server, id, other)
			current, err := s.Swap(t.Context(), id, r, version(t, v), time.Hour)
			if err != nil || versionOf(t, current) != 1000 {
				t.Fatalf("Swap behind another writer's back: got (%v, %v), want what he wrote", current, err)
			}
			r = current
		}
		loads := v == 1 || v == 30 // the server does not know the script: it takes a second round trip
		misses := s.Stats().Misses
		next := version(t, v)
		current, err := s.Swap(t.Context(), id, r, next, time.Hour)
		if err != nil || current != next {
			t.Fatalf("Swap to version %d: got (%v, %v), want it done", v, current, err)
		}
		if got, ok := s.Peek(id, time.Now()); !loads && (!ok || got != next) {
			t.Errorf("Peek after the swap to version %d: got (%v, %t), want what was swapped in", v, got, ok)
		}
		wantVersion(t, s, id, v, "after one's own swap")
		if asked := s.Stats().Misses - misses; !loads && asked != 0 {
			t.Errorf("reads that asked the server after the swap to version %d: got %d, want 0", v, asked)
		}
		r = next
	}
	put(server, id, version(t, 2000))
	eventually(t, "another writer's change is seen", func() bool {
		r, err := s.Get(t.Context(), id)
		return err == nil && versionOf(t, r) == 2000
	})
	server.Do("DEL", "koa:sess:own")
	eventually(t, "another writer's deletion is seen", func() bool {
		_, err := s.Get(t.Context(), id)
		return errors.Is(err, sess.ErrNotFound)
	})
}

// TestRueidisNobodyReadsOlderThanHisOwnWrite writes and then reads, on few keys that everybody reads and on many of
// one's own. SESS_PAIRS is how many times; 10 million is the figure to publish.
func TestRueidisNobodyReadsOlderThanHisOwnWrite(t *testing.T) {
	const goroutines, hotKeys, coldKeys, reads = 64, 8, 100, 3
	pairs := 200_000
	switch {
	case testing.Short():
		pairs = 5_000
	case raceDetector:
		pairs = 20_000
	}
	if text := os.Getenv("SESS_PAIRS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("SESS_PAIRS: got %q, want a number", text)
		}
		pairs = n
	}
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()

	type key struct {
		id      sess.ID
		writing sync.Mutex
		version int
		record  *sess.Record // nil before the first
	}
	write := func(k *key) error { // half of the writes set, the others swap
		k.version++
		next := version(t, k.version)
		if k.record == nil || k.version%2 == 0 {
			k.record = next
			return s.Set(ctx, k.id, next, time.Hour)
		}
		current, err := s.Swap(ctx, k.id, k.record, next, time.Hour)
		if err == nil && current != next {
			err = errors.New("somebody else wrote")
		}
		k.record = next
		return err
	}
	var hot [hotKeys]key
	for i := range hot {
		hot[i].id = redisID(t, fmt.Sprintf("hot-%d", i))
	}
	var stale, hits, done atomic.Int64
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			var cold [coldKeys]key
			for i := range cold {
				cold[i].id = redisID(t, fmt.Sprintf("cold-%d-%d", g, i))
			}
			for done.Add(1) <= int64(pairs) {
				k := &cold[rand.IntN(coldKeys)]
				if rand.IntN(2) == 0 {
					k = &hot[rand.IntN(hotKeys)]
				}
				k.writing.Lock()
				err := write(k)
				mine := k.version
				k.writing.Unlock()
				if err != nil {
					t.Errorf("write: got the error %v, want none", err)
					return
				}
				for range reads { // as a request does; the later ones hit
					r, ok := s.Peek(k.id, time.Now())
					if ok {
						hits.Add(1)
					} else if r, err = s.Get(ctx, k.id); err != nil {
						t.Errorf("Get: got the error %v, want none", err)
						return
					}
					if got := versionOf(t, r); got < mine {
						stale.Add(1)
					}
				}
			}
		})
	}
	for done.Load() < int64(pairs) && !t.Failed() { // a server that forgets the script makes a swap take another way
		server.Do("SCRIPT", "FLUSH")
		time.Sleep(5 * time.Millisecond)
	}
	all.Wait()
	stats := s.Stats()
	t.Logf("%d writes, each with %d reads behind it: %d stale; %d hits, %d misses, %d joined, %d poisoned",
		pairs, reads, stale.Load(), hits.Load(), stats.Misses, stats.Joined, stats.Poisoned)
	if got := stale.Load(); got != 0 {
		t.Errorf("reads older than the reader's own write: got %d of %d, want 0", got, reads*pairs)
	}
	if hits.Load() == 0 || stats.Poisoned == 0 {
		t.Errorf("got %d hits and %d poisoned reads, want both: this test has shown nothing", hits.Load(), stats.Poisoned)
	}
}
