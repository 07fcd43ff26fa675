package near

import (
	"testing"
	"time"

	"github.com/fibersess/sess/internal/record"
)

// The events below come while a read is under way. Who waits already may have its answer; nobody who comes later may have
// the answer of a poisoned one.
func TestWhatPoisonsAFlight(t *testing.T) {
	id := numbered(t, 1)
	key := keyOf(id)
	answer := func(s *site) { s.Answered(key, s.lease) }
	other := func(s *site) *Lease {
		l := new(Lease)
		s.Prove(l, s.Mono(s.now))
		return l
	}
	for _, c := range []struct {
		name string
		come func(s *site)
		kept bool
	}{
		{"nothing", answer, true},
		{"a write of this node begins", func(s *site) { s.Begin(id, s.now); answer(s) }, false},
		{"a write of this node ends", func(s *site) { s.Invalidate(id); answer(s) }, false},
		{"a write of this node ends behind the reply", func(s *site) { answer(s); s.Invalidate(id) }, false},
		{"a read past the cache brings a record", func(s *site) { s.Agree(id, `{"v":"news"}`); answer(s) }, false},
		{"a report before the reply", func(s *site) { s.Report(id, s.lease); answer(s) }, true},
		{"a report behind the reply", func(s *site) { answer(s); s.Report(id, s.lease) }, false},
		{"a report on both sides of the reply", func(s *site) { s.Report(id, s.lease); answer(s); s.Report(id, s.lease) }, false},
		{"a report on another connection", func(s *site) { s.Report(id, other(s)); answer(s) }, false},
		{"a report of another session", func(s *site) { answer(s); s.Report(numbered(t, 2), s.lease) }, true},
		{"it is sent a second time", func(s *site) { s.Sent(key, s.lease); answer(s) }, true},
		{"it is sent on a second connection", func(s *site) { s.Sent(key, other(s)); answer(s) }, false},
		{"another connection answers, then a report", func(s *site) { s.Answered(key, other(s)); s.Report(id, s.lease); answer(s) }, true},
		{"the connection is lost", func(s *site) { answer(s); s.lease.End() }, false},
		{"it takes MaxStale", func(s *site) { s.now = s.now.Add(maxStale); s.beat(); answer(s) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, 1<<20)
			f := s.fly(id)
			if joined, first := s.Join(id, s.now); first || joined != f {
				t.Errorf("Join of a flight under way: got a new one, want it")
			}
			c.come(s)
			if late, _ := s.Join(id, s.now); (late == f) != c.kept {
				t.Errorf("Join afterwards: got the flight: %t, want %t", late == f, c.kept)
			}
			r := ending(t, 10, s.now.Add(time.Hour))
			s.Land(f, r, nil, s.now)
			<-f.Landed()
			if got, _, _ := f.Result(); got != r {
				t.Errorf("record of who waited: got %v, want %v", got, r)
			}
			want := r
			if !c.kept {
				want = nil
			}
			s.wantPeek(id, want, "after the flight")
		})
	}
}

// TestWhatRemovesAnEntry has the events of the comment on event come to an entry.
func TestWhatRemovesAnEntry(t *testing.T) {
	id := numbered(t, 1)
	for _, c := range []struct {
		name string
		come func(s *site, r *record.Record)
		kept bool
	}{
		{"a write of this node begins", func(s *site, _ *record.Record) { s.Begin(id, s.now) }, true},
		{"a write of this node ends", func(s *site, _ *record.Record) { s.Invalidate(id) }, false},
		{"a read past the cache brings it", func(s *site, r *record.Record) { s.Agree(id, r.JSON()) }, true},
		{"a read past the cache brings another", func(s *site, _ *record.Record) { s.Agree(id, "{}") }, false},
		{"a report", func(s *site, _ *record.Record) { s.Report(id, s.lease) }, false},
		{"a report while a read is under way", func(s *site, _ *record.Record) { s.fly(id); s.Report(id, s.lease) }, false},
		{"a report on another connection", func(s *site, _ *record.Record) { s.Report(id, new(Lease)) }, false},
		{"a second read is sent on another connection", func(s *site, _ *record.Record) { s.fly(id); s.Sent(keyOf(id), new(Lease)) }, true},
	} {
		s := newSite(t, 1<<20)
		r := ending(t, 10, s.now.Add(time.Hour))
		s.read(id, r)
		c.come(s, r)
		if !c.kept {
			r = nil
		}
		s.wantPeek(id, r, "after: "+c.name)
	}
}

func TestAReadThatNobodyReportsIsNotKept(t *testing.T) {
	s := newSite(t, 1<<20)
	id := numbered(t, 1)
	f, _ := s.Join(id, s.now) // never sent on a connection: a redirected reply came over one that does not track it
	s.Land(f, ending(t, 10, s.now.Add(time.Hour)), nil, s.now)
	s.wantPeek(id, nil, "after a read nobody reports")
	if _, l, _ := f.Result(); l != nil {
		t.Errorf("lease of a read nobody reports: got %v, want none", l)
	}
}

func TestAReadFromBeforeAWriteHasNoLease(t *testing.T) {
	s := newSite(t, 1<<20)
	id := numbered(t, 1)
	before := s.fly(id)
	f := s.Begin(id, s.now)
	s.Carried(f, s.lease)
	newer := ending(t, 11, s.now.Add(time.Hour))
	s.Land(f, newer, nil, s.now)
	if s.Land(before, ending(t, 10, s.now.Add(time.Hour)), nil, s.now) {
		t.Error("a read from before a write: got it kept, want it poisoned")
	}
	if _, l, _ := before.Result(); l != nil {
		t.Error("lease of a read from before a write: got one, want none: nobody reports the write")
	}
	s.wantPeek(id, newer, "of what was read in the write")
	if got := s.wantSound().Poisoned; got != 1 {
		t.Errorf("poisoned flights: got %d, want 1", got)
	}
}

// TestWhatPoisonsAFlightInAWrite is TestWhatPoisonsAFlight for one whose reply nobody tells of.
func TestWhatPoisonsAFlightInAWrite(t *testing.T) {
	id := numbered(t, 1)
	for _, c := range []struct {
		name string
		come func(s *site, f *Flight)
		kept bool
	}{
		{"nothing", func(s *site, f *Flight) { s.Carried(f, s.lease) }, true},
		{"a report before it is sent", func(s *site, f *Flight) { s.Report(id, s.lease); s.Carried(f, s.lease) }, false},
		{"a report after it was sent", func(s *site, f *Flight) { s.Carried(f, s.lease); s.Report(id, s.lease) }, false},
		{"a reply to a read of the same key", func(s *site, f *Flight) {
			s.Carried(f, s.lease)
			s.Answered(keyOf(id), s.lease)
			s.Report(id, s.lease)
		}, false},
		{"another write of this node begins", func(s *site, f *Flight) { s.Carried(f, s.lease); s.Begin(id, s.now) }, false},
		{"another write of this node ends", func(s *site, f *Flight) { s.Carried(f, s.lease); s.Invalidate(id) }, false},
		{"it is sent on a second connection", func(s *site, f *Flight) { s.Carried(f, s.lease); s.Carried(f, new(Lease)) }, false},
		{"it is never sent", func(*site, *Flight) {}, false},
		{"a flight that was poisoned before is sent", func(s *site, f *Flight) {
			old := f
			f = s.Begin(id, s.now)
			s.Carried(f, s.lease)
			s.Carried(old, new(Lease))
			s.Land(f, ending(t, 10, s.now.Add(time.Hour)), nil, s.now)
		}, true},
		{"the connection is lost", func(s *site, f *Flight) { s.Carried(f, s.lease); s.lease.End() }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, 1<<20)
			f := s.Begin(id, s.now)
			c.come(s, f)
			s.Land(f, ending(t, 10, s.now.Add(time.Hour)), nil, s.now)
			if _, got := s.Peek(&id, s.now); got != c.kept {
				t.Errorf("after the flight: got the record kept: %t, want %t", got, c.kept)
			}
		})
	}
}
