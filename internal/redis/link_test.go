package redis

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/near"
	"github.com/fibersess/sess/internal/record"
	"github.com/redis/rueidis"
)

// nearTest is a near cache with one link and no server: the test is what comes from it.
type nearTest struct {
	*near.Cache
	link *link
	now  time.Time
}

func newNearTest(t *testing.T, maxBytes int64) *nearTest {
	s := newStore(Settings{Prefix: "p:", NearBytes: maxBytes, MaxStale: time.Second, InFlight: 1})
	n := &nearTest{Cache: s.cache, link: s.newLink(rueidis.CacheStoreOption{}).(*link), now: time.Now()}
	n.beat()
	return n
}

// beat extends the lease as a heartbeat sent now does.
func (n *nearTest) beat() { n.link.lease.Load().Extend(n.Mono(n.now) + int64(time.Second)) }

// fly begins a read of id and sends it.
func (n *nearTest) fly(t *testing.T, id ident.ID) *near.Flight {
	t.Helper()
	f, first := n.Join(id, n.now)
	if !first {
		t.Fatalf("join: got a flight that was under way, want a new one")
	}
	n.link.Flight("p:"+id.Value(), "GET", near.TTL, n.now)
	return f
}

// read makes a whole flight that finds r.
func (n *nearTest) read(t *testing.T, id ident.ID, r *record.Record) {
	t.Helper()
	n.Land(n.fly(t, id), r, nil, n.now)
}

func (n *nearTest) wantPeek(t *testing.T, id ident.ID, want *record.Record, when string) {
	t.Helper()
	if got, ok := n.Peek(&id, n.now); got != want || ok != (want != nil) {
		t.Errorf("peek %s: got (%v, %t), want (%v, %t)", when, got, ok, want, want != nil)
	}
}

func numberedID(t testing.TB, i int) ident.ID {
	t.Helper()
	id, err := ident.ParseID(fmt.Sprintf("id-%d", i))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// endingRecord returns a record with some content that ends at the given instant.
func endingRecord(t testing.TB, content int, ends time.Time) *record.Record {
	t.Helper()
	r, err := record.ParseRecord(fmt.Sprintf(`{"v":"%0*d"}`, content, 0))
	if err != nil {
		t.Fatal(err)
	}
	return r.WithExpires(ends)
}

func TestNearCacheServesWhatWasRead(t *testing.T) {
	n := newNearTest(t, 1<<20)
	id, r := numberedID(t, 1), endingRecord(t, 10, n.now.Add(time.Hour))
	n.wantPeek(t, id, nil, "before any read")
	n.read(t, id, r)
	n.wantPeek(t, id, r, "after a read")
	newer := endingRecord(t, 11, n.now.Add(time.Hour))
	n.read(t, id, newer)
	n.wantPeek(t, id, newer, "after a second read")
	n.wantPeek(t, numberedID(t, 2), nil, "of another id")
}

func TestNearCacheServesNobodyAfterTheEnd(t *testing.T) {
	n := newNearTest(t, 1<<20)
	id, r := numberedID(t, 1), endingRecord(t, 10, n.now.Add(500*time.Millisecond))
	n.read(t, id, r)
	n.now = n.now.Add(498 * time.Millisecond)
	n.wantPeek(t, id, r, "2 ms before the end")
	n.now = n.now.Add(2 * time.Millisecond)
	n.wantPeek(t, id, nil, "at the end")
}

func TestNearCacheAsksAgainAfterTenSeconds(t *testing.T) {
	n := newNearTest(t, 1<<20)
	id, r := numberedID(t, 1), endingRecord(t, 10, n.now.Add(time.Hour))
	n.read(t, id, r)
	n.now = n.now.Add(near.TTL - time.Millisecond)
	n.beat()
	n.wantPeek(t, id, r, "after almost 10 s")
	n.now = n.now.Add(2 * time.Millisecond)
	n.wantPeek(t, id, nil, "after 10 s")
}

func TestNearCacheKeepsNothingWithoutAnEnd(t *testing.T) {
	n := newNearTest(t, 1<<20)
	id := numberedID(t, 1)
	n.read(t, id, endingRecord(t, 10, time.Time{}))
	n.wantPeek(t, id, nil, "of a record that does not say when it ends")
}

func TestNearCacheKeepsNoMiss(t *testing.T) {
	n := newNearTest(t, 1<<20)
	id := numberedID(t, 1)
	n.Land(n.fly(t, id), nil, record.ErrNotFound, n.now)
	if f, first := n.Join(id, n.now); !first {
		t.Errorf("join after a read that found nothing: got %v, want a new flight", f)
	}
}

func TestNearCacheServesNobodyWithoutALease(t *testing.T) {
	id := numberedID(t, 1)
	for _, c := range []struct {
		name string
		lose func(n *nearTest)
	}{
		{"heartbeats stop for MaxStale", func(n *nearTest) { n.now = n.now.Add(time.Second) }},
		{"the connection is lost", func(n *nearTest) { n.link.Close(errors.New("lost")) }},
		{"the server forgets all", func(n *nearTest) { n.link.Delete(nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNearTest(t, 1<<20)
			r := endingRecord(t, 10, n.now.Add(time.Hour))
			n.read(t, id, r)
			n.wantPeek(t, id, r, "before")
			c.lose(n)
			n.wantPeek(t, id, nil, "after")
		})
	}
}

func TestAnEndedLeaseNeverHoldsAgain(t *testing.T) {
	n := newNearTest(t, 1<<20)
	id, r := numberedID(t, 1), endingRecord(t, 10, n.now.Add(time.Hour))
	n.read(t, id, r)
	n.link.Delete(nil)
	n.beat()
	n.wantPeek(t, id, nil, "of what was read before, after the next heartbeat")
	n.read(t, id, r)
	n.wantPeek(t, id, r, "of what was read after")
}

// TestFlightIsPoisoned lets something come between a read and its answer. Who waits already may have the answer;
// nobody who comes later may.
func TestFlightIsPoisoned(t *testing.T) {
	id := numberedID(t, 1)
	for _, c := range []struct {
		name string
		come func(n *nearTest)
	}{
		{"by one's own write", func(n *nearTest) { n.Invalidate(id) }},
		{"by the server's report", func(n *nearTest) { n.link.invalidated("p:" + id.Value()) }},
		{"by another connection's report", func(n *nearTest) {
			(&link{tracking: n.link.tracking}).invalidated("p:" + id.Value())
		}},
		{"by the loss of the connection", func(n *nearTest) { n.link.Close(errors.New("lost")) }},
		{"by a redirection", func(n *nearTest) { n.link.Cancel("p:"+id.Value(), "GET", errors.New("ASK")) }},
		{"by news from a read past the cache", func(n *nearTest) { n.Agree(id, `{"v":"news"}`) }},
		{"by a second connection it may have been sent on", func(n *nearTest) {
			n.link.newLink(rueidis.CacheStoreOption{}).Flight("p:"+id.Value(), "GET", near.TTL, n.now)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNearTest(t, 1<<20)
			f := n.fly(t, id)
			if joined, first := n.Join(id, n.now); first || joined != f {
				t.Errorf("join of a flight under way: got a new one, want it")
			}
			c.come(n)
			if _, first := n.Join(id, n.now); !first {
				t.Errorf("join of a poisoned flight: got it, want a new one")
			}
			r := endingRecord(t, 10, n.now.Add(time.Hour))
			n.Land(f, r, nil, n.now)
			<-f.Landed()
			if got, _, _ := f.Result(); got != r {
				t.Errorf("record of who waited: got %v, want %v", got, r)
			}
			n.wantPeek(t, id, nil, "after a poisoned flight")
		})
	}
}

// TestReadBehindAnOwnWriteIsKept sends a read right behind a write. The server then reports the write itself before it
// answers the read, which is what the read has seen; everything else that comes in between poisons it as any other.
func TestReadBehindAnOwnWriteIsKept(t *testing.T) {
	id := numberedID(t, 1)
	key := "p:" + id.Value()
	answer := func(n *nearTest) { n.link.Update(key, "GET", rueidis.RedisMessage{}) }
	for _, c := range []struct {
		name string
		come func(n *nearTest)
		kept bool
	}{
		{"nothing comes", answer, true},
		{"the write is reported", func(n *nearTest) { n.link.invalidated(key); answer(n) }, true},
		{"a later write is reported", func(n *nearTest) { n.link.invalidated(key); answer(n); n.link.invalidated(key) }, false},
		{"another connection reports a write", func(n *nearTest) {
			other := n.link.newLink(rueidis.CacheStoreOption{}).(*link)
			other.invalidated(key)
			answer(n)
		}, false},
		{"the report comes before it was sent", nil, false},
		{"this node writes again", func(n *nearTest) { n.Begin(id, n.now); answer(n) }, false},
		{"another write of this node ends", func(n *nearTest) { n.Invalidate(id); answer(n) }, false},
		{"the connection is lost", func(n *nearTest) { answer(n); n.link.Close(errors.New("lost")) }, false},
		{"it is redirected", func(n *nearTest) { n.link.Cancel(key, "GET", errors.New("MOVED")) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNearTest(t, 1<<20)
			before := n.fly(t, id)
			f := n.Begin(id, n.now)
			if c.come == nil {
				n.link.invalidated(key)
			}
			n.link.Flight(key, "GET", near.TTL, n.now)
			if c.come != nil {
				c.come(n)
			}
			r := endingRecord(t, 10, n.now.Add(time.Hour))
			n.Land(f, r, nil, n.now)
			want := r
			if !c.kept {
				want = nil
			}
			n.wantPeek(t, id, want, "of what was read behind a write")
			if leaseOf(before) != nil || n.Land(before, endingRecord(t, 5, n.now.Add(time.Hour)), nil, n.now) {
				t.Errorf("read from before the write: got it kept, want it poisoned")
			}
		})
	}
}

func TestRedirectedReadIsNotKept(t *testing.T) {
	n := newNearTest(t, 1<<20)
	id := numberedID(t, 1)
	f, _ := n.Join(id, n.now) // never seen by a link: the reply came over a connection that does not track it
	n.Land(f, endingRecord(t, 10, n.now.Add(time.Hour)), nil, n.now)
	n.wantPeek(t, id, nil, "after a read nobody tracks")
}

func TestNewsThatAgreeKeepWhatIsCached(t *testing.T) {
	n := newNearTest(t, 1<<20)
	id, r := numberedID(t, 1), endingRecord(t, 10, n.now.Add(time.Hour))
	n.read(t, id, r)
	n.Agree(id, r.JSON())
	n.wantPeek(t, id, r, "after the server said the same")
	n.Agree(id, `{"v":"other"}`)
	n.wantPeek(t, id, nil, "after the server said something else")
}

func TestNearCacheStaysWithinItsBytes(t *testing.T) {
	for _, maxBytes := range []int64{1 << 10, 64 << 10, 1 << 20, 8 << 20} {
		n := newNearTest(t, maxBytes)
		for i := range 20_000 {
			n.read(t, numberedID(t, i), endingRecord(t, i%2000, n.now.Add(time.Hour)))
		}
		var stats near.Stats
		n.AddTo(&stats)
		if stats.Bytes > maxBytes {
			t.Errorf("bytes in a cache of %d: got %d", maxBytes, stats.Bytes)
		}
		if maxBytes >= 64<<10 && (stats.Bytes < maxBytes/2 || stats.Entries == 0) {
			t.Errorf("bytes in a cache of %d that was filled: got %d in %d entries, want at least half", maxBytes, stats.Bytes, stats.Entries)
		}
		if stats.Evicted == 0 && maxBytes < 1<<20 {
			t.Errorf("evicted from a cache of %d: got 0, want more", maxBytes)
		}
		if got := n.Chained(); got != stats.Entries {
			t.Errorf("entries in the buckets: got %d, want the %d that are counted", got, stats.Entries)
		}
	}
}

// lease returns the lease of a flight that has ended, or not yet begun to.
func leaseOf(f *near.Flight) *near.Lease {
	_, l, _ := f.Result()
	return l
}

func TestEvictionSparesWhatIsUsed(t *testing.T) {
	n := newNearTest(t, 64<<10)
	hot, r := numberedID(t, -1), endingRecord(t, 100, n.now.Add(time.Hour))
	n.read(t, hot, r)
	for i := range 2000 {
		n.wantPeek(t, hot, r, fmt.Sprintf("of the hot record after %d others", i))
		n.read(t, numberedID(t, i), endingRecord(t, 100, n.now.Add(time.Hour)))
		if t.Failed() {
			return
		}
	}
}

func TestSweepRemovesWhatHasEnded(t *testing.T) {
	n := newNearTest(t, 16<<20)
	for i := range 1000 {
		ends := time.Hour
		if i%2 == 0 {
			ends = 100 * time.Millisecond
		}
		n.read(t, numberedID(t, i), endingRecord(t, 10, n.now.Add(ends)))
	}
	n.now = n.now.Add(200 * time.Millisecond)
	for i := range uint(64) {
		n.Sweep(i, n.now)
	}
	var stats near.Stats
	n.AddTo(&stats)
	if stats.Entries != 500 || n.Chained() != 500 {
		t.Errorf("entries after the sweep: got %d counted and %d found, want 500", stats.Entries, n.Chained())
	}
}

// TestNearCacheUnderRaces has readers, writers and losses at once; the race detector and the sums are the judges.
func TestNearCacheUnderRaces(t *testing.T) {
	n := newNearTest(t, 256<<10)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 5000 {
				id := numberedID(t, (i*7+g)%100)
				switch i % 5 {
				case 0, 1, 2:
					n.Peek(&id, n.now)
				case 3:
					if f, first := n.Join(id, n.now); first {
						n.link.Flight("p:"+id.Value(), "GET", near.TTL, n.now)
						n.Land(f, endingRecord(t, 100*(i%30), n.now.Add(time.Hour)), nil, n.now)
					}
				default:
					n.Invalidate(id)
				}
			}
		})
	}
	all.Wait()
	var stats near.Stats
	n.AddTo(&stats)
	if got := n.Chained(); got != stats.Entries {
		t.Errorf("entries in the buckets: got %d, want the %d that are counted", got, stats.Entries)
	}
	if got := n.UnderWay(); got != 0 {
		t.Errorf("flights left: got %d, want 0", got)
	}
}

func TestPeekAllocatesNothing(t *testing.T) {
	n := newNearTest(t, 1<<20)
	id := numberedID(t, 1)
	n.read(t, id, endingRecord(t, 10, n.now.Add(time.Hour)))
	if got := testing.AllocsPerRun(100, func() { n.Peek(&id, n.now) }); got != 0 {
		t.Errorf("allocations of a hit: got %v, want 0", got)
	}
}

func BenchmarkNearCacheHit(b *testing.B) {
	s := newStore(Settings{Prefix: "p:", NearBytes: 64 << 20, MaxStale: time.Hour, InFlight: 1})
	l := s.newLink(rueidis.CacheStoreOption{}).(*link)
	now := time.Now()
	l.lease.Load().Extend(int64(time.Hour))
	ids := make([]ident.ID, 1<<14)
	for i := range ids {
		ids[i], _ = ident.ParseID(fmt.Sprintf("%032d", i*7919))
		f, _ := s.cache.Join(ids[i], now)
		l.Flight("p:"+ids[i].Value(), "GET", near.TTL, now)
		s.cache.Land(f, endingRecord(b, 300, now.Add(time.Hour)), nil, now)
	}
	for _, c := range []struct {
		name string
		n    int
	}{{"hot", 1}, {"warm", 1 << 8}, {"cold", len(ids)}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				if _, ok := s.Peek(&ids[i&(c.n-1)], now); !ok {
					b.Fatal("got no hit, want one")
				}
			}
		})
	}
}
