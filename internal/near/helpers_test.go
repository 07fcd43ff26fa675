package near

import (
	"fmt"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

const (
	maxStale = time.Second
	prefix   = "p:"
)

// site is a cache with one connection. The test is the server, and says what time it is.
type site struct {
	*Cache
	t     testing.TB
	lease *Lease // of the connection
	now   time.Time
}

func newSite(t testing.TB, maxBytes int64) *site {
	return siteOf(t, New(prefix, maxBytes, maxStale))
}

func siteOf(t testing.TB, c *Cache) *site {
	s := &site{Cache: c, t: t, lease: new(Lease), now: time.Now()}
	s.beat()
	return s
}

// beat is a heartbeat that is sent and answered now.
func (s *site) beat() { s.Prove(s.lease, s.Mono(s.now)) }

// fly begins a read of id and sends it.
func (s *site) fly(id ident.ID) *Flight {
	s.t.Helper()
	f, first := s.Join(id, s.now)
	if !first {
		s.t.Fatalf("Join: got a flight that was under way, want a new one")
	}
	s.Sent(keyOf(id), s.lease)
	return f
}

// read makes a whole flight that brings r.
func (s *site) read(id ident.ID, r *record.Record) {
	s.t.Helper()
	f := s.fly(id)
	s.Answered(keyOf(id), s.lease)
	s.Land(f, r, nil, s.now)
}

func (s *site) wantPeek(id ident.ID, want *record.Record, when string) {
	s.t.Helper()
	if got, ok := s.Peek(&id, s.now); got != want || ok != (want != nil) {
		s.t.Errorf("Peek %s: got (%v, %t), want (%v, %t)", when, got, ok, want, want != nil)
	}
}

// wantSound checks the table: what look-ups can find is what is counted, and no flight is left.
func (s *site) wantSound() (stats Stats) {
	s.t.Helper()
	s.AddTo(&stats)
	chained, flights := 0, 0
	for i := range s.shards {
		flights += len(s.shards[i].flights)
		for j := range s.shards[i].buckets {
			for e := s.shards[i].buckets[j].Load(); e != nil; e = e.next.Load() {
				chained++
			}
		}
	}
	if chained != stats.Entries {
		s.t.Errorf("entries in the buckets: got %d, want the %d that are counted", chained, stats.Entries)
	}
	if flights != 0 {
		s.t.Errorf("flights left: got %d, want 0", flights)
	}
	return stats
}

func keyOf(id ident.ID) string { return prefix + id.Value() }

func numbered(t testing.TB, i int) ident.ID {
	t.Helper()
	id, err := ident.ParseID(fmt.Sprintf("id-%d", i))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// ending returns a record with some content whose session ends at the given instant.
func ending(t testing.TB, content int, ends time.Time) *record.Record {
	t.Helper()
	r, err := record.ParseRecord(fmt.Sprintf(`{"v":"%0*d"}`, content, 0))
	if err != nil {
		t.Fatal(err)
	}
	return r.WithExpires(ends)
}
