package redis

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/near"
	"github.com/fibersess/sess/internal/record"
	"github.com/redis/rueidis"
)

// linkTest is a near cache with one link and no server: the test is what comes from it.
type linkTest struct {
	*near.Cache
	*link
	t  *testing.T
	id ident.ID
	r  *record.Record
}

func newLinkTest(t *testing.T) *linkTest {
	s := newStore(Settings{Prefix: "p:", NearBytes: 1 << 20, MaxStale: time.Second, InFlight: 1})
	id, err := ident.ParseID("id")
	if err != nil {
		t.Fatal(err)
	}
	r, err := record.ParseRecord(`{"v":1}`)
	if err != nil {
		t.Fatal(err)
	}
	lt := &linkTest{s.cache, s.newLink(rueidis.CacheStoreOption{}).(*link), t, id, r.WithExpires(time.Now().Add(time.Hour))}
	lt.Prove(lt.lease.Load(), lt.Mono(time.Now()))
	return lt
}

// key is what the server calls the session.
func (lt *linkTest) key() string { return "p:" + lt.id.Value() }

// send begins a read of the session and sends it.
func (lt *linkTest) send() *near.Flight {
	f, _ := lt.Join(lt.id, time.Now())
	lt.link.Flight(lt.key(), "GET", near.TTL, time.Now())
	return f
}

func (lt *linkTest) answer() { lt.link.Update(lt.key(), "GET", rueidis.RedisMessage{}) }

func (lt *linkTest) wantKept(want bool, when string) {
	lt.t.Helper()
	if _, got := lt.Peek(&lt.id, time.Now()); got != want {
		lt.t.Errorf("%s: got the record kept: %t, want %t", when, got, want)
	}
}

func (lt *linkTest) flushes() uint64 {
	var stats near.Stats
	lt.AddTo(&stats)
	return stats.Flushes
}

// TestALinkTellsTheNearCacheWhatTheConnectionCarries has each thing that rueidis tells a link come between a read and the
// landing of its flight.
func TestALinkTellsTheNearCacheWhatTheConnectionCarries(t *testing.T) {
	for _, c := range []struct {
		name    string
		come    func(lt *linkTest)
		kept    bool
		flushes uint64
	}{
		{"the reply", func(lt *linkTest) { lt.answer() }, true, 0},
		{"a report and the reply", func(lt *linkTest) { lt.invalidated(lt.key()); lt.answer() }, true, 0},
		{"the reply and a report", func(lt *linkTest) { lt.answer(); lt.invalidated(lt.key()) }, false, 0},
		{"the reply and a report of a key that is no session", func(lt *linkTest) { lt.answer(); lt.invalidated("q:id") }, true, 0},
		{"another connection's report", func(lt *linkTest) {
			lt.newLink(rueidis.CacheStoreOption{}).(*link).invalidated(lt.key())
			lt.answer()
		}, false, 0},
		{"the loss of the connection", func(lt *linkTest) { lt.answer(); lt.link.Close(errors.New("lost")) }, false, 1},
		{"that the server has forgotten all", func(lt *linkTest) { lt.answer(); lt.link.Delete(nil) }, false, 1},
		{"a redirection", func(lt *linkTest) { lt.link.Cancel(lt.key(), "GET", errors.New("ASK")) }, false, 0},
		{"a second connection it may have been sent on", func(lt *linkTest) {
			lt.newLink(rueidis.CacheStoreOption{}).Flight(lt.key(), "GET", near.TTL, time.Now())
			lt.answer()
		}, false, 0},
		{"a heartbeat that failed", func(lt *linkTest) {
			lt.answer()
			lt.link.Flight("3", heartbeatCommand, near.TTL, time.Now())
			lt.link.Cancel("3", heartbeatCommand, errors.New("lost"))
		}, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			lt := newLinkTest(t)
			f := lt.send()
			c.come(lt)
			lt.Land(f, lt.r, nil, time.Now())
			lt.wantKept(c.kept, "after the flight")
			if got := lt.flushes(); got != c.flushes {
				t.Errorf("flushes: got %d, want %d", got, c.flushes)
			}
		})
	}
}

// TestARedirectedWriteKeepsNothing: a link hears that a server has redirected a script, and not which session it was about.
func TestARedirectedWriteKeepsNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		come func(lt *linkTest)
		kept bool
	}{
		{"the reply", func(*linkTest) {}, true},
		{"a redirection", func(lt *linkTest) { lt.link.Cancel("5e55", "EVALSHA1p:id{}", errors.New("ASK")) }, false},
		{"a redirection on another connection", func(lt *linkTest) {
			lt.newLink(rueidis.CacheStoreOption{}).Cancel("5e55", "EVALSHA1p:id{}", errors.New("ASK"))
		}, true},
		{"the redirection of a read of another session", func(lt *linkTest) { lt.link.Cancel("p:other", "GET", errors.New("ASK")) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			lt := newLinkTest(t)
			f := lt.Begin(lt.id, time.Now())
			number := lt.carried.add(f)
			lt.link.Flight("5e55", "EVALSHA1p:id{}", number, time.Now())
			c.come(lt)
			lt.Land(f, lt.r, nil, time.Now())
			lt.wantKept(c.kept, "after the write")
		})
	}
}

func TestAServerIsCrowdedBeforeItIsFull(t *testing.T) {
	for _, c := range []struct{ most, from int64 }{{1_000_000, 900_001}, {200_000, 150_001}, {100_000, 50_001}, {10, 6}} {
		var tr tracking
		tr.trackedKeys.Store(c.most)
		if tr.crowded(c.from-1) || !tr.crowded(c.from) || !tr.crowded(c.most) {
			t.Errorf("a server for %d keys: got crowded with %d: %t, with %d: %t, full: %t; want false, true, true",
				c.most, c.from-1, tr.crowded(c.from-1), c.from, tr.crowded(c.from), tr.crowded(c.most))
		}
	}
	if new(tracking).crowded(1 << 40) {
		t.Error("a server for any number of keys: got crowded, want not")
	}
	if got := trackedAtMost(rueidis.RedisResult{}); got != 1_000_000 {
		t.Errorf("keys where the server does not tell: got %d, want 1000000", got)
	}
}

func TestTheLossOfAConnectionMakesTheWatchesSearch(t *testing.T) {
	lt := newLinkTest(t)
	before := lt.lease.Load()
	lt.link.Close(errors.New("lost"))
	select {
	case <-lt.watches.lost:
	default:
		t.Error("after the loss: got no token for the watches, want one")
	}
	if after := lt.lease.Load(); after == before || !before.Blind(lt.Mono(time.Now())) || !after.New() {
		t.Error("after the loss: got the old lease, or one that holds; want the old one over and a new one")
	}
}

func TestUpdateReturnsNoNegativeEnd(t *testing.T) {
	lt := newLinkTest(t)
	lt.send()
	if got := lt.link.Update(lt.key(), "GET", rueidis.RedisMessage{}); got < 0 {
		t.Errorf("end of a value of which the server said none: got %d, want 0", got)
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
