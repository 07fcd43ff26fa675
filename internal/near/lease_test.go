package near

import (
	"testing"
	"time"
)

func TestServesNobodyWithoutALease(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(s *site)
	}{
		{"heartbeats stop for MaxStale", func(s *site) { s.now = s.now.Add(maxStale) }},
		{"the lease is over", func(s *site) { s.lease.End() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, 1<<20)
			id, r := numbered(t, 1), ending(t, 10, s.now.Add(time.Hour))
			s.read(id, r)
			s.wantPeek(id, r, "before")
			c.lose(s)
			s.wantPeek(id, nil, "after")
		})
	}
}

func TestALeaseThatIsOverNeverHoldsAgain(t *testing.T) {
	s := newSite(t, 1<<20)
	id, r := numbered(t, 1), ending(t, 10, s.now.Add(time.Hour))
	s.read(id, r)
	s.lease.End()
	s.beat()
	s.wantPeek(id, nil, "of what was read under a lease that is over, after a late heartbeat")
	s.lease = new(Lease)
	s.beat()
	s.wantPeek(id, nil, "of what was read under a lease that is over, after the next one's heartbeat")
	s.read(id, r)
	s.wantPeek(id, r, "of what was read under the next lease")
}

func TestAnOlderHeartbeatShortensNothing(t *testing.T) {
	s := newSite(t, 1<<20)
	sent := s.Mono(s.now)
	s.Prove(s.lease, sent+int64(time.Second))
	s.Prove(s.lease, sent)
	if now := sent + int64(time.Second) + s.served() - 1; !s.lease.holds(now) {
		t.Errorf("a lease after an older heartbeat: got one that has ended, want what the newer one proved")
	}
}

func TestWhenALeaseIsBlind(t *testing.T) {
	s := newSite(t, 1<<20)
	now := s.Mono(s.now)
	proven, over, fresh := s.lease, new(Lease), new(Lease)
	over.End()
	for _, c := range []struct {
		name      string
		l         *Lease
		at        int64
		new, want bool
	}{
		{"no lease", nil, now, false, true},
		{"a new one", fresh, now, true, false},
		{"a new one, later", fresh, now + int64(time.Hour), true, false},
		{"one that holds", proven, now, false, false},
		{"one whose heartbeats stopped", proven, now + int64(maxStale), false, true},
		{"one that is over", over, now, false, true},
	} {
		if got := c.l.Blind(c.at); got != c.want {
			t.Errorf("%s: got blind %t, want %t", c.name, got, c.want)
		}
		if c.l != nil && c.l.New() != c.new {
			t.Errorf("%s: got new %t, want %t", c.name, c.l.New(), c.new)
		}
	}
}
