package near

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// running lets the clock of c tick until the test ends.
func running(t *testing.T, c *Cache) {
	done := make(chan struct{})
	go c.Run(done)
	t.Cleanup(func() { close(done) })
}

func TestDeadEntriesGoWithinFiveSecondsWhateverMaxStaleIs(t *testing.T) {
	for _, hold := range []time.Duration{40 * time.Millisecond, time.Second, 4 * time.Second, time.Minute} {
		t.Run(fmt.Sprint(hold), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := siteOf(t, New(prefix, 64<<20, hold))
				running(t, s.Cache)
				for i := range 2000 {
					s.read(numbered(t, i), ending(t, 10, s.now.Add(time.Hour)))
				}
				lease := s.lease
				s.lease = new(Lease)
				for i := range 1000 {
					s.read(numbered(t, -1-i), ending(t, 10, s.now.Add(time.Hour)))
				}
				s.Prove(s.lease, s.Mono(s.now.Add(time.Hour)))
				lease.End()
				time.Sleep(5 * time.Second)
				if got := s.wantSound().Entries; got != 1000 {
					t.Errorf("entries 5 s after the lease of 2,000 of 3,000 was over: got %d, want 1,000", got)
				}
			})
		})
	}
}

// TestARequestThatArrivedLongAgoIsServedNothingOld lets a request wait for 1.2 s before it asks, in which the heartbeats
// stop.
func TestARequestThatArrivedLongAgoIsServedNothingOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1<<20)
		running(t, s.Cache)
		id, r := numbered(t, 1), ending(t, 10, s.now.Add(time.Hour))
		s.read(id, r)
		arrived := time.Now()
		asked := arrived
		for ; time.Since(arrived) < 1200*time.Millisecond; time.Sleep(time.Millisecond) {
			if _, ok := s.Peek(&id, arrived); ok {
				asked = time.Now()
			}
		}
		if got := asked.Sub(arrived); got > maxStale || got < maxStale/2 {
			t.Errorf("age of the last answer a request was given that arrived when the heartbeats stopped: got %v, want less than MaxStale, %v, and more than half of it", got, maxStale)
		}
		s.now = time.Now()
		s.beat()
		s.wantPeek(id, r, "after a heartbeat")
		if got, ok := s.Peek(&id, arrived); !ok {
			t.Errorf("Peek of a request that arrived long ago, after a heartbeat: got (%v, %t), want the record", got, ok)
		}
	})
}

// unreported is a cache of a server that reports nothing.
func unreported() *Cache {
	c := New(prefix, 1<<20, maxStale)
	c.WithoutReports()
	return c
}

// TestAnUnreportedEntryIsServedForMaxStale counts from when the read began.
func TestAnUnreportedEntryIsServedForMaxStale(t *testing.T) {
	s := siteOf(t, unreported())
	id, r := numbered(t, 1), ending(t, 10, s.now.Add(time.Hour))
	begun := s.now
	f, _ := s.Join(id, s.now)
	s.now = begun.Add(400 * time.Millisecond)
	if !s.Land(f, r, nil, s.now) {
		t.Fatal("Land: got the record not kept, want it kept")
	}
	s.wantPeek(id, r, "after a read")
	s.now = begun.Add(time.Duration(s.served()) - 1)
	s.wantPeek(id, r, "almost MaxStale after the read began")
	s.now = begun.Add(maxStale)
	s.wantPeek(id, nil, "MaxStale after the read began")

	s.now = begun
	if _, l, ok := s.Get(&id, s.now); !ok || l != nil {
		t.Errorf("Get: got (%t, %v), want the record and no lease, since no change is reported", ok, l)
	}
	s.Invalidate(id)
	s.wantPeek(id, nil, "after a write of this node")
}

func TestAnUnreportedReadAcrossAWriteIsNotKept(t *testing.T) {
	for name, write := range map[string]func(s *site){
		"that ended meanwhile": func(s *site) { s.Invalidate(numbered(s.t, 1)) },
		"that began meanwhile": func(s *site) { s.Begin(numbered(s.t, 1), s.now) },
	} {
		s := siteOf(t, unreported())
		id := numbered(t, 1)
		f, _ := s.Join(id, s.now)
		write(s)
		if s.Land(f, ending(t, 10, s.now.Add(time.Hour)), nil, s.now) {
			t.Errorf("a read across a write %s: got it kept, want it poisoned", name)
		}
	}
}

func TestAnUnreportedEntryEndsWithItsSession(t *testing.T) {
	s := siteOf(t, unreported())
	id, r := numbered(t, 1), ending(t, 10, s.now.Add(300*time.Millisecond))
	f, _ := s.Join(id, s.now)
	s.Land(f, r, nil, s.now)
	s.now = s.now.Add(298 * time.Millisecond)
	s.wantPeek(id, r, "2 ms before the end")
	s.now = s.now.Add(2 * time.Millisecond)
	s.wantPeek(id, nil, "at the end")
}
