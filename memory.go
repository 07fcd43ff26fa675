package sess

import (
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"sync/atomic"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// MemoryStore keeps sessions in the memory of this process: they end with it, and other processes do not see them. It
// is the default, for one process and for tests. It is a [Swapper], a [Peeker], a [Watcher] and [Local], and safe for
// concurrent use.
//
// It holds at most MaxSessions. Where a new session finds no room the least recently used one is evicted; which one
// that is, is exact among up to 16 sessions, and beyond that an estimate, the oldest of 16 picked at random. A store
// of 8,192 sessions or more is divided, by a hash of the id, into up to 64 shards which fill almost evenly, so that it
// begins to evict when it is about 97 % full.
//
// No goroutine cleans up. An expired session is gone for every method at once; its memory is freed by writes, each of
// which looks at the next 16 places of a shard for expired sessions. A store that is not written to any more keeps
// what it has.
//
// A session costs three objects, its record, the record's text and an entry of 96 bytes, and 21 to 43 bytes of table.
//
// The zero MemoryStore is not usable; call [NewMemoryStore].
type MemoryStore struct {
	seed    maphash.Seed // nobody outside can choose ids that collide
	shift   uint         // the shard of a hash is hash >> shift
	shards  []shard
	onEvict func(ident.ID)
}

var (
	_ Store   = (*MemoryStore)(nil)
	_ Swapper = (*MemoryStore)(nil)
	_ Peeker  = (*MemoryStore)(nil)
	_ Watcher = (*MemoryStore)(nil)
	_ Local   = (*MemoryStore)(nil)
)

// MemoryConfig configures a [MemoryStore]. The zero value is ready to use.
type MemoryConfig struct {
	// MaxSessions is how many sessions the store holds at most, expired ones not yet cleaned up included. Without a
	// bound, whoever can create sessions can fill the memory. Default: 1,048,576.
	MaxSessions int

	// OnEvict, if not nil, is called with the id of each session that was evicted before its end to make room, by the
	// goroutine that needed the room, with no lock held. Default: nil.
	OnEvict func(id ident.ID)
}

const (
	defaultMaxSessions = 1 << 20

	// maxShards and minPerShard bound how a store is divided: enough shards that requests seldom wait for one another,
	// and large ones, since they fill unevenly by a standard deviation of the root of their size.
	maxShards   = 64
	minPerShard = 4096
)

// NewMemoryStore returns an empty store. It panics if MaxSessions is negative or if there is more than one config.
func NewMemoryStore(config ...MemoryConfig) *MemoryStore {
	var c MemoryConfig
	if len(config) > 1 {
		panic(fmt.Sprintf("sess: NewMemoryStore: got %d configs; want at most one", len(config)))
	}
	if len(config) == 1 {
		c = config[0]
	}
	if c.MaxSessions < 0 {
		panic(fmt.Sprintf("sess: MemoryConfig.MaxSessions: got %d; want a positive number, or 0 for %d", c.MaxSessions, defaultMaxSessions))
	}
	if c.MaxSessions == 0 {
		c.MaxSessions = defaultMaxSessions
	}

	s := &MemoryStore{seed: maphash.MakeSeed(), shift: 64, onEvict: c.OnEvict}
	n := 1
	for n < maxShards && c.MaxSessions/(2*n) >= minPerShard {
		n *= 2
		s.shift--
	}
	s.shards = make([]shard, n)
	for i := range s.shards {
		s.shards[i].max = c.MaxSessions / n
		if i < c.MaxSessions%n {
			s.shards[i].max++
		}
	}
	return s
}

// Get returns the record kept under id, or [ErrNotFound]. It does not allocate.
func (s *MemoryStore) Get(ctx context.Context, id ident.ID) (*record.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, ok := s.Peek(id, time.Now())
	if !ok {
		return nil, ErrNotFound
	}
	return r, nil
}

// Peek is Get at the instant now.
func (s *MemoryStore) Peek(id ident.ID, now time.Time) (*record.Record, bool) {
	return s.peek(&id, now)
}

func (s *MemoryStore) peek(id *ident.ID, now time.Time) (*record.Record, bool) {
	sh, hash := s.locate(id)
	r := sh.get(hash, id, now.UnixMilli())
	return r, r != nil
}

// Set keeps r under id for ttl, which is rounded up to a millisecond. A record whose ttl is zero or negative has
// expired already: Set then only removes what is there. Where id is in the store, Set does not allocate.
func (s *MemoryStore) Set(ctx context.Context, id ident.ID, r *record.Record, ttl time.Duration) error {
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
func (s *MemoryStore) Destroy(ctx context.Context, id ident.ID) error {
	return s.Set(ctx, id, nil, 0)
}

// Swap does what [Swapper] says; a ttl that is not positive is treated as in Set. Where id is in the store, Swap does
// not allocate.
func (s *MemoryStore) Swap(ctx context.Context, id ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.swap(&id, old, next, newLifespan(time.Now(), ttl))
}

// swap is Swap at a given instant.
func (s *MemoryStore) swap(id *ident.ID, old, next *record.Record, life lifespan) (*record.Record, error) {
	sh, hash := s.locate(id)
	var ev events
	current, err := sh.swap(hash, id, old, next, life, &ev)
	s.announce(&ev)
	return current, err
}

// Watch calls changed, in a goroutine of its own, after each Set, Destroy and Swap that changed or renewed the session,
// and after its eviction. It is also told when the store cleans an expired session up, which may be any time after the
// end.
func (s *MemoryStore) Watch(ctx context.Context, id ident.ID, changed func()) (stop func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sh, _ := s.locate(&id)
	w := &watch{id: id, changed: changed}
	sh.watch(w)
	return func() {
		w.stopped.Store(true)
		sh.unwatch(w)
	}, nil
}

// Local says that no method waits for I/O.
func (*MemoryStore) Local() {}

// Len returns how many sessions the store holds, expired ones that were not yet cleaned up included.
func (s *MemoryStore) Len() int {
	n := 0
	for i := range s.shards {
		n += s.shards[i].len()
	}
	return n
}

// Format prints the number of sessions for every verb, never their content.
func (s *MemoryStore) Format(f fmt.State, _ rune) {
	if s == nil {
		io.WriteString(f, "sess.MemoryStore(nil)")
		return
	}
	fmt.Fprintf(f, "sess.MemoryStore(%d sessions)", s.Len())
}

// locate returns the shard of id and the half of the hash that places it in there; the shard is chosen by the other
// half.
func (s *MemoryStore) locate(id *ident.ID) (*shard, uint32) {
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
}

func (s *MemoryStore) announce(ev *events) {
	if ev.watches != nil {
		tell(ev.watches)
	}
	if s.onEvict != nil && !ev.evicted.IsZero() {
		s.onEvict(ev.evicted)
	}
}

// watch is one call of Watch.
type watch struct {
	id      ident.ID
	changed func()
	stopped atomic.Bool
}

// tell calls the watchers from a goroutine of its own: the writer may hold locks that they want.
func tell(watches []*watch) {
	go func() {
		for _, w := range watches {
			if !w.stopped.Load() {
				w.changed()
			}
		}
	}()
}
