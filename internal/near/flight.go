package near

import (
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

import "time"

// Flight is one tracked read that is under way, for all who want its record. The shard's mutex guards its fields until
// done is closed; then they do not change any more.
type Flight struct {
	id       ident.ID
	begun    int64  // on the clock of nearCache.mono
	lease    *Lease // of the connection it was sent on, nil before that
	poisoned bool   // the record may be older than a write: it must not be kept, nor given to who came later
	own      bool   // it was sent right behind a write of this node's, on the same connection
	answered bool   // own: the reply has come
	done     chan struct{}
	rec      *record.Record
	err      error
}

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
		c.poison(s, f)
	}
	c.count.misses.Add(1)
	f = &Flight{id: id, begun: mono, done: make(chan struct{})}
	s.flights[id] = f
	return f, true
}

// Begin returns a flight that reads id's record behind a write which the caller is about to send. Flights from before
// the write are not kept any more.
func (c *Cache) Begin(id ident.ID, now time.Time) *Flight {
	s := c.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[id]; f != nil {
		c.poison(s, f)
	}
	f := &Flight{id: id, begun: c.Mono(now), own: true, done: make(chan struct{})}
	s.flights[id] = f
	return f
}

// Sent notes on which connection a read of key goes. Two of them mean that the reply's is not known for sure.
func (c *Cache) Sent(key string, l *Lease) {
	id, ok := c.IDOf(key)
	if !ok {
		return
	}
	s := c.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch f := s.flights[id]; {
	case f == nil:
	case f.lease == nil:
		f.lease = l
	case f.lease != l:
		c.poison(s, f)
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

// Land ends a flight: it keeps the record if nothing came in between and it says when it ends, and wakes who waits.
func (c *Cache) Land(f *Flight, r *record.Record, err error, now time.Time) (kept bool) {
	s := c.shard(&f.id)
	s.mu.Lock()
	if s.flights[f.id] == f {
		delete(s.flights, f.id)
	}
	f.rec, f.err = r, err
	if err == nil && !f.poisoned && f.lease != nil && !c.closed.Load() {
		kept = c.keep(s, f, now)
	}
	s.mu.Unlock()
	close(f.done)
	return kept
}

// poison wants s.mu.
func (c *Cache) poison(s *nearShard, f *Flight) {
	f.poisoned = true
	delete(s.flights, f.id)
	c.count.poisoned.Add(1)
}

// Landed is closed when the flight has ended.
func (f *Flight) Landed() <-chan struct{} { return f.done }

// Result returns what a flight that has ended brought, and the lease of it: nil if no change would be reported.
func (f *Flight) Result() (*record.Record, *Lease, error) {
	if f.poisoned {
		return f.rec, nil, f.err
	}
	return f.rec, f.lease, f.err
}
