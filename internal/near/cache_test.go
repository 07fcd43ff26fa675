package near

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

func TestServesWhatWasRead(t *testing.T) {
	s := newSite(t, 1<<20)
	id, r := numbered(t, 1), ending(t, 10, s.now.Add(time.Hour))
	s.wantPeek(id, nil, "before any read")
	s.read(id, r)
	s.wantPeek(id, r, "after a read")
	newer := ending(t, 11, s.now.Add(time.Hour))
	s.read(id, newer)
	s.wantPeek(id, newer, "after a second read")
	s.wantPeek(numbered(t, 2), nil, "of another id")
}

func TestServesNobodyAfterTheEnd(t *testing.T) {
	s := newSite(t, 1<<20)
	id, r := numbered(t, 1), ending(t, 10, s.now.Add(500*time.Millisecond))
	s.read(id, r)
	s.now = s.now.Add(498 * time.Millisecond)
	s.wantPeek(id, r, "2 ms before the end")
	s.now = s.now.Add(2 * time.Millisecond)
	s.wantPeek(id, nil, "at the end")
}

func TestAsksAgainAfterTenSeconds(t *testing.T) {
	s := newSite(t, 1<<20)
	id, r := numbered(t, 1), ending(t, 10, s.now.Add(time.Hour))
	s.read(id, r)
	s.now = s.now.Add(10*time.Second - time.Millisecond)
	s.beat()
	s.wantPeek(id, r, "after almost 10 s")
	s.now = s.now.Add(2 * time.Millisecond)
	s.wantPeek(id, nil, "after 10 s")
}

func TestKeepsNothingWithoutAnEnd(t *testing.T) {
	s := newSite(t, 1<<20)
	id := numbered(t, 1)
	s.read(id, ending(t, 10, time.Time{}))
	s.wantPeek(id, nil, "of a record that does not say when its session ends")
}

func TestKeepsNoMiss(t *testing.T) {
	s := newSite(t, 1<<20)
	id := numbered(t, 1)
	s.Land(s.fly(id), nil, record.ErrNotFound, s.now)
	if _, first := s.Join(id, s.now); !first {
		t.Errorf("Join after a read that found nothing: got the old flight, want a new one")
	}
}

func TestKeepsNothingThatWouldFillAQuarterOfItsShard(t *testing.T) {
	s := newSite(t, shardBytes)
	id := numbered(t, 1)
	s.read(id, ending(t, shardBytes/4, s.now.Add(time.Hour)))
	s.wantPeek(id, nil, "of a large record")
}

func TestNewsThatAgreeKeepWhatIsThere(t *testing.T) {
	s := newSite(t, 1<<20)
	id, r := numbered(t, 1), ending(t, 10, s.now.Add(time.Hour))
	s.read(id, r)
	s.Agree(id, r.JSON())
	s.wantPeek(id, r, "after the server said the same")
	s.Agree(id, `{"v":"other"}`)
	s.wantPeek(id, nil, "after the server said something else")
}

func TestAClosedCacheKeepsNothing(t *testing.T) {
	s := newSite(t, 1<<20)
	id, r := numbered(t, 1), ending(t, 10, s.now.Add(time.Hour))
	s.read(id, r)
	s.Close()
	s.wantPeek(id, nil, "after Close")
	s.read(id, r)
	s.wantPeek(id, nil, "after a read that landed after Close")
}

func TestStaysWithinItsBytes(t *testing.T) {
	for _, maxBytes := range []int64{1 << 10, 64 << 10, 1 << 20, 8 << 20} {
		s := newSite(t, maxBytes)
		for i := range 20_000 {
			s.read(numbered(t, i), ending(t, i%2000, s.now.Add(time.Hour)))
		}
		stats := s.wantSound()
		if stats.Bytes > maxBytes {
			t.Errorf("bytes in a cache of %d: got %d", maxBytes, stats.Bytes)
		}
		if maxBytes >= 64<<10 && (stats.Bytes < maxBytes/2 || stats.Entries == 0) {
			t.Errorf("bytes in a cache of %d that was filled: got %d in %d entries, want at least half", maxBytes, stats.Bytes, stats.Entries)
		}
		if stats.Evicted == 0 && maxBytes < 1<<20 {
			t.Errorf("evicted from a cache of %d: got 0, want more", maxBytes)
		}
	}
}

func TestEvictionSparesWhatIsUsed(t *testing.T) {
	s := newSite(t, 64<<10)
	hot, r := numbered(t, -1), ending(t, 100, s.now.Add(time.Hour))
	s.read(hot, r)
	for i := range 2000 {
		s.wantPeek(hot, r, fmt.Sprintf("of the hot record after %d others", i))
		s.read(numbered(t, i), ending(t, 100, s.now.Add(time.Hour)))
		if t.Failed() {
			return
		}
	}
}

// TestStaysSoundUnderRaces has readers, writers and reports at once; the race detector and the sums are the judges.
func TestStaysSoundUnderRaces(t *testing.T) {
	s := newSite(t, 256<<10)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 5000 {
				id := numbered(t, (i*7+g)%100)
				switch i % 6 {
				case 0, 1, 2:
					s.Peek(&id, s.now)
				case 3:
					if f, first := s.Join(id, s.now); first {
						s.Sent(keyOf(id), s.lease)
						s.Answered(keyOf(id), s.lease)
						s.Land(f, ending(t, 100*(i%30), s.now.Add(time.Hour)), nil, s.now)
					}
				case 4:
					s.Report(id, s.lease)
				default:
					s.Invalidate(id)
				}
			}
		})
	}
	all.Wait()
	s.wantSound()
}

func TestAHitAllocatesNothing(t *testing.T) {
	s := newSite(t, 1<<20)
	id := numbered(t, 1)
	s.read(id, ending(t, 10, s.now.Add(time.Hour)))
	if got := testing.AllocsPerRun(100, func() { s.Peek(&id, s.now) }); got != 0 {
		t.Errorf("allocations of a hit: got %v, want 0", got)
	}
}

func BenchmarkHit(b *testing.B) {
	s := siteOf(b, New(prefix, 64<<20, time.Hour))
	ids := make([]ident.ID, 1<<14)
	for i := range ids {
		ids[i], _ = ident.ParseID(fmt.Sprintf("%032d", i*7919))
		s.read(ids[i], ending(b, 300, s.now.Add(time.Hour)))
	}
	for _, c := range []struct {
		name string
		n    int
	}{{"hot", 1}, {"warm", 1 << 8}, {"cold", len(ids)}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				if _, ok := s.Peek(&ids[i&(c.n-1)], s.now); !ok {
					b.Fatal("got no hit, want one")
				}
			}
		})
	}
}
