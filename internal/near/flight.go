package near

import (
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// Flight is one read that is under way, for all who want its record. The shard's mutex guards its fields until done is
// closed; then they do not change any more.
type Flight struct {
	id       ident.ID
	begun    int64  // on the clock of Cache.Mono
	lease    *Lease // of the connection that the read was sent on; nil: not sent yet, or poisoned
	answered bool   // the reply to the read has come, or nobody tells when it has
	carried  bool   // the read is part of a write
	done     chan struct{}
	rec      *record.Record
	err      error
}

// event is what can happen to a session while a flight reads it or an entry holds it.
//
//	event      the flight                                         the entry
//
//	writing    poisoned: it may have read before the write        stays: the write is not acknowledged yet
//	written    poisoned, as above                                 removed
//	learned    poisoned: it may be older than what was learned    removed, unless it is what was learned
//	reported   goes on if the report came before its reply,       removed
//	           on its connection; else poisoned
//	strayed    poisoned: nobody knows which connection's          stays: it has its own lease
//	           reports would be of it, or whether any would
//	expired    poisoned: too old for who asks now                 stays, as above
type event uint8

const (
	writing  event = iota // this node is about to write
	written               // this node has written, or may have
	learned               // a read past the cache has brought a record
	reported              // the server says that the session changed
	strayed               // the read of the flight was sent on a second connection, or redirected
	expired               // the flight has been under way for MaxStale, or its lease is over
)

// happens carries an event out. It wants s.mu. l is the connection of a report, and json the record that was learned.
func (c *Cache) happens(s *shard, id *ident.ID, what event, l *Lease, json string) {
	if f := s.flights[*id]; f != nil && !(what == reported && f.awaits(l)) {
		delete(s.flights, *id)
		c.count.poisoned.Add(1)
	}
	switch what {
	case writing, strayed, expired:
		return
	}
	if e, _ := c.find(id); e != nil && !(what == learned && e.rec.JSON() == json) {
		c.remove(s, e)
	}
}

// awaits reports whether the reply to the read will come on the connection of l.
func (f *Flight) awaits(l *Lease) bool { return f.lease == l && !f.answered }

// Join returns the flight that reads id's record; first says that the caller must make it. A flight is joined only while
// what it finds cannot be too old for who asks at now: the server may have answered when it had just begun.
func (c *Cache) Join(id ident.ID, now time.Time) (f *Flight, first bool) {
	s := c.shard(&id)
	mono := c.Mono(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[id]; f != nil {
		if mono-f.begun < int64(c.hold) && (f.lease == nil || !f.lease.over()) {
			c.count.joined.Add(1)
			return f, false
		}
		c.happens(s, &id, expired, nil, "")
	}
	c.count.misses.Add(1)
	return c.fly(s, id, mono), true
}

// Begin returns a flight that reads id's record in a write which the caller is about to send.
func (c *Cache) Begin(id ident.ID, now time.Time) *Flight {
	s := c.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.happens(s, &id, writing, nil, "")
	f := c.fly(s, id, c.Mono(now))
	f.answered, f.carried = true, true
	return f
}

// fly wants s.mu.
func (c *Cache) fly(s *shard, id ident.ID, mono int64) *Flight {
	f := &Flight{id: id, begun: mono, done: make(chan struct{})}
	if !c.Reports() {
		f.lease = always
	}
	s.flights[id] = f
	return f
}

// Sent notes that a read of key is about to be sent on the connection of l.
func (c *Cache) Sent(key string, l *Lease) {
	id, ok := c.IDOf(key)
	if !ok {
		return
	}
	s := c.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.sent(s, s.flights[id], l)
}

// Carried notes that f, which Begin has returned, is about to be sent on the connection of l.
func (c *Cache) Carried(f *Flight, l *Lease) {
	s := c.shard(&f.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[f.id] == f {
		c.sent(s, f, l)
	}
}

// sent wants s.mu.
func (c *Cache) sent(s *shard, f *Flight, l *Lease) {
	switch {
	case f == nil:
	case f.lease == nil:
		f.lease = l
	case f.lease != l:
		c.happens(s, &f.id, strayed, nil, "")
	}
}

// Strayed notes that the command of f, if it was sent on the connection of l, may have been sent on from there by some way on
// which no server notes a reader.
func (c *Cache) Strayed(f *Flight, l *Lease) {
	s := c.shard(&f.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[f.id] == f && f.lease == l {
		c.happens(s, &f.id, strayed, nil, "")
	}
}

// Answered notes that the reply to a read of key has come on the connection of l.
func (c *Cache) Answered(key string, l *Lease) {
	id, ok := c.IDOf(key)
	if !ok {
		return
	}
	s := c.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[id]; f != nil && f.lease == l {
		f.answered = true
	}
}

// Vouched reports whether the connection that f was sent on has a lease that holds at now: the server was a master within
// MaxStale.
func (c *Cache) Vouched(f *Flight, now time.Time) bool {
	s := c.shard(&f.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.lease != nil && f.lease.holds(c.Mono(now))
}

// Land ends a flight and wakes who waits for it. It keeps the record, unless the flight was poisoned or the record does not
// say when its session ends.
func (c *Cache) Land(f *Flight, r *record.Record, err error, now time.Time) (kept bool) {
	s := c.shard(&f.id)
	s.mu.Lock()
	f.rec, f.err = r, err
	if s.flights[f.id] == f {
		delete(s.flights, f.id)
	} else {
		f.lease = nil // poisoned
	}
	if err == nil && f.lease != nil && !c.closed.Load() {
		kept = c.keep(s, f, now)
	}
	s.mu.Unlock()
	close(f.done)
	return kept
}

// OfWrite reports whether the read is part of a write, so that it may fail for a reason which no read has.
func (f *Flight) OfWrite() bool { return f.carried }

// Landed is closed when the flight has ended.
func (f *Flight) Landed() <-chan struct{} { return f.done }

// Result returns what a flight that has ended brought, and the lease under which a change of it will be reported: nil if
// none will.
func (f *Flight) Result() (*record.Record, *Lease, error) { return f.rec, f.lease.reported(), f.err }
