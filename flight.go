package sess

import (
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

import "time"

// flight is one tracked read that is under way, for all who want its record. The shard's mutex guards its fields until
// done is closed; then they do not change any more.
type flight struct {
	id       ident.ID
	begun    int64  // on the clock of nearCache.mono
	lease    *lease // of the connection it was sent on, nil before that
	poisoned bool   // the record may be older than a write: it must not be kept, nor given to who came later
	own      bool   // it was sent right behind a write of this node's, on the same connection
	answered bool   // own: the reply has come
	done     chan struct{}
	rec      *record.Record
	err      error
}

// join returns the flight that reads id's record; first says that the caller must make it. A flight is joined only while
// what it finds cannot be too old for who asks at now: the server may have answered when it had just begun.
func (c *nearCache) join(id ident.ID, now time.Time) (f *flight, first bool) {
	s := c.shard(&id)
	mono := c.mono(now)
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
	f = &flight{id: id, begun: mono, done: make(chan struct{})}
	s.flights[id] = f
	return f, true
}

// begin returns a flight that reads id's record behind a write which the caller is about to send. Flights from before
// the write are not kept any more.
func (c *nearCache) begin(id ident.ID, now time.Time) *flight {
	s := c.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[id]; f != nil {
		c.poison(s, f)
	}
	f := &flight{id: id, begun: c.mono(now), own: true, done: make(chan struct{})}
	s.flights[id] = f
	return f
}

// sent notes on which connection a read of key goes. Two of them mean that the reply's is not known for sure.
func (c *nearCache) sent(key string, l *lease) {
	id, ok := c.idOf(key)
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

// answered notes that the reply to a read of key has come on the connection of l.
func (c *nearCache) answered(key string, l *lease) {
	id, ok := c.idOf(key)
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

// land ends a flight: it keeps the record if nothing came in between and it says when it ends, and wakes who waits.
func (c *nearCache) land(f *flight, r *record.Record, err error, now time.Time) (kept bool) {
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
func (c *nearCache) poison(s *nearShard, f *flight) {
	f.poisoned = true
	delete(s.flights, f.id)
	c.count.poisoned.Add(1)
}

// landed is closed when the flight has ended.
func (f *flight) landed() <-chan struct{} { return f.done }

// result returns what a flight that has ended brought, and the lease of it: nil if no change would be reported.
func (f *flight) result() (*record.Record, *lease, error) {
	if f.poisoned {
		return f.rec, nil, f.err
	}
	return f.rec, f.lease, f.err
}
