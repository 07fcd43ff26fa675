package memory

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// Store is what the root's MemoryStore consists of.
type Store struct {
	seed    maphash.Seed // nobody outside can choose ids that collide
	shift   uint         // the shard of a hash is hash >> shift
	shards  []shard
	onEvict func(ident.ID)
	users   *users
}

// maxShards and minPerShard bound how a store is divided: enough shards that requests seldom wait for one another,
// and large ones, since they fill unevenly by a standard deviation of the root of their size.
const (
	maxShards   = 64
	minPerShard = 4096
)

// New returns an empty store for at most maxSessions, which is positive. onEvict may be nil.
func New(maxSessions int, onEvict func(ident.ID)) Store {
	s := Store{seed: maphash.MakeSeed(), shift: 64, onEvict: onEvict, users: &users{begin: time.Now()}}
	n := 1
	for n < maxShards && maxSessions/(2*n) >= minPerShard {
		n *= 2
		s.shift--
	}
	s.shards = make([]shard, n)
	for i := range s.shards {
		s.shards[i].max = maxSessions / n
		if i < maxSessions%n {
			s.shards[i].max++
		}
	}
	return s
}

// Get returns the record kept under id, or [record.ErrNotFound]. It does not allocate.
func (s *Store) Get(ctx context.Context, id ident.ID) (*record.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, ok := s.Peek(&id, time.Now())
	if !ok {
		return nil, record.ErrNotFound
	}
	return r, nil
}

// Peek is Get at the instant now.
func (s *Store) Peek(id *ident.ID, now time.Time) (*record.Record, bool) {
	sh, hash := s.locate(id)
	r := sh.get(hash, id, now.UnixMilli())
	return r, r != nil
}

// Set keeps r under id for ttl, which is rounded up to a millisecond. A record whose ttl is zero or negative has
// expired already: Set then only removes what is there. Where id is in the store, Set does not allocate.
func (s *Store) Set(ctx context.Context, id ident.ID, r *record.Record, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sh, hash := s.locate(&id)
	var ev events
	sh.set(hash, &id, r, newLifespan(time.Now(), ttl), &ev)
	s.announce(&ev)
	return nil
}

// Destroy removes what is kept under id.
func (s *Store) Destroy(ctx context.Context, id ident.ID) error {
	return s.Set(ctx, id, nil, 0)
}

// Swap does what [Swapper] says; a ttl that is not positive is treated as in Set. Where id is in the store, Swap does
// not allocate.
func (s *Store) Swap(ctx context.Context, id ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sh, hash := s.locate(&id)
	var ev events
	current, err := sh.swap(hash, &id, old, next, newLifespan(time.Now(), ttl), &ev)
	s.announce(&ev)
	return current, err
}

// Len returns how many sessions the store holds, expired ones that were not yet cleaned up included.
func (s *Store) Len() int {
	n := 0
	for i := range s.shards {
		n += s.shards[i].len()
	}
	return n
}

// Stats has the fields of the root's MemoryStats, which says what they mean: each converts to the other.
type Stats struct {
	Evicted uint64

	Sessions    int
	MaxSessions int
}

// Stats returns the numbers of this moment.
func (s *Store) Stats() (stats Stats) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		stats.Evicted += sh.evicted
		stats.Sessions += sh.table.n
		sh.mu.Unlock()
		stats.MaxSessions += sh.max
	}
	return stats
}

// locate returns the shard of id and the half of the hash that places it in there; the shard is chosen by the other
// half.
func (s *Store) locate(id *ident.ID) (*shard, uint32) {
	h := maphash.Bytes(s.seed, id.Bytes())
	return &s.shards[h>>s.shift], uint32(h)
}

// lifespan is the time of a write and the end of what it stores, in Unix milliseconds. The end is rounded up, and the
// longest TTL, 292 years, is 9.2e12 ms: nothing overflows.
type lifespan struct{ now, end int64 }

func newLifespan(now time.Time, ttl time.Duration) lifespan {
	t := now.Add(ttl)
	end := t.UnixMilli()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		end++
	}
	if ttl <= 0 {
		end = 0
	}
	return lifespan{now.UnixMilli(), end}
}

// events is what a write has to tell when its lock is released.
type events struct {
	evicted ident.ID // zero: none; a write evicts at most one
	watches []*watch
	left    []left // whose entries are to go
}

// left is a session of a user that the store holds no more.
type left struct {
	user  string
	entry record.UserEntry
}
