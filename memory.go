package sess

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/fibersess/sess/internal/engine"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/memory"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/tally"
)

// MemoryStore keeps sessions in the memory of this process: they end with it, and other processes do not see them. It
// is the default, for one process and for tests. It is a [Swapper], an [Ender], a [Peeker], a [Watcher] and [Local], and safe for
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
type MemoryStore struct{ store memory.Store }

// MemoryConfig configures a [MemoryStore]. The zero value is ready to use.
type MemoryConfig struct {
	// MaxSessions is how many sessions the store holds at most, expired ones not yet cleaned up included. Without a
	// bound, whoever can create sessions can fill the memory. Default: 1,048,576.
	MaxSessions int

	// OnEvict, if not nil, is called with the id of each session that was evicted before its end to make room, by the
	// goroutine that needed the room, with no lock held. Default: nil.
	OnEvict func(id ID)
}

const defaultMaxSessions = 1 << 20

// NewMemoryStore returns an empty store. It panics if MaxSessions is negative or if there is more than one config.
func NewMemoryStore(config ...MemoryConfig) *MemoryStore {
	c := first("NewMemoryStore", config)
	if c.MaxSessions < 0 {
		panic(fmt.Sprintf("sess: MemoryConfig.MaxSessions: got %d; want a positive number, or 0 for %d", c.MaxSessions, defaultMaxSessions))
	}
	var onEvict func(ident.ID)
	if c.OnEvict != nil {
		onEvict = func(id ident.ID) { c.OnEvict(ID(id)) }
	}
	return &MemoryStore{memory.New(cmp.Or(c.MaxSessions, defaultMaxSessions), onEvict)}
}

// Get returns the record kept under id, or [ErrNotFound]. It does not allocate.
func (s *MemoryStore) Get(ctx context.Context, id ID) (*Record, error) {
	r, err := s.store.Get(ctx, ident.ID(id))
	return (*Record)(r), err
}

// Peek is Get at the instant now.
func (s *MemoryStore) Peek(id ID, now time.Time) (*Record, bool) {
	r, ok := s.store.Peek((*ident.ID)(&id), now)
	return (*Record)(r), ok
}

// Set keeps r under id for ttl, which is rounded up to a millisecond. A record whose ttl is zero or negative has
// expired already: Set then only removes what is there. Where id is in the store, Set does not allocate.
func (s *MemoryStore) Set(ctx context.Context, id ID, r *Record, ttl time.Duration) error {
	return s.store.Set(ctx, ident.ID(id), (*record.Record)(r), ttl)
}

// Destroy removes what is kept under id.
func (s *MemoryStore) Destroy(ctx context.Context, id ID) error {
	return s.store.Destroy(ctx, ident.ID(id))
}

// Swap does what [Swapper] says; a ttl that is not positive is treated as in Set. Where id is in the store, Swap does
// not allocate.
func (s *MemoryStore) Swap(ctx context.Context, id ID, old, next *Record, ttl time.Duration) (*Record, error) {
	r, err := s.store.Swap(ctx, ident.ID(id), (*record.Record)(old), (*record.Record)(next), ttl)
	return (*Record)(r), err
}

// End does what [Ender] says.
func (s *MemoryStore) End(ctx context.Context, id ID) (was *Record, err error) {
	r, err := s.store.End(ctx, ident.ID(id))
	return (*Record)(r), err
}

// Watch does what [Watcher] says. seen is told after each Set, Destroy and Swap that changed or renewed the session, and
// after its eviction; of a session whose TTL has passed when the store cleans it up, which may be any time later.
func (s *MemoryStore) Watch(ctx context.Context, id ID, seen func(r *Record, err error)) (stop func(), err error) {
	return s.store.Watch(ctx, ident.ID(id), func(r *record.Record, err error) { seen((*Record)(r), err) })
}

// Enter does what [UserIndex] says.
func (s *MemoryStore) Enter(ctx context.Context, user string, e UserEntry, keep, grace time.Duration) error {
	return s.store.Enter(ctx, user, innerEntry(e), keep, grace)
}

// Entries does what [UserIndex] says.
func (s *MemoryStore) Entries(ctx context.Context, user, cursor string) (UserPage, error) {
	return outerPage(s.store.Entries(ctx, user, cursor))
}

// Leave does what [UserIndex] says. An entry also goes with its session, when that is evicted, or has expired and is
// cleaned up.
func (s *MemoryStore) Leave(ctx context.Context, user string, entries []UserEntry, grace time.Duration) error {
	return s.store.Leave(ctx, user, mapped(entries, innerEntry), grace)
}

// Admit does what [UserMarker] says.
func (s *MemoryStore) Admit(ctx context.Context, user string, id ID, keep time.Duration, a LoginAttempt) (time.Time, error) {
	return outerLogin(s.store.Admit(ctx, user, ident.ID(id), keep, a.inner()))
}

// Mark does what [UserMarker] says.
func (s *MemoryStore) Mark(ctx context.Context, user string, a LoginAttempt) (UserMark, error) {
	m, err := s.store.Mark(ctx, user, a.inner())
	return UserMark(m), err
}

func (s *MemoryStore) itself() Store { return s }

func (s *MemoryStore) below() engine.Store {
	in := &s.store
	return engine.Store{Keeper: in, Swapper: in, Peeker: in, Ender: in, Watcher: in, Index: in, Local: true}
}

// Local says that no method waits for I/O.
func (*MemoryStore) Local() {}

// MemoryStats are what a [MemoryStore] holds, and has done since it was made.
type MemoryStats struct {
	Evicted uint64 // Sessions evicted before their end to make room. Only grows.

	Sessions    int // Sessions that the store holds, see Len.
	MaxSessions int // As configured.
}

// All yields the name of each field and its number.
func (s MemoryStats) All() iter.Seq2[string, int64] { return tally.Each(s) }

// Stats returns the numbers of this moment. It takes the lock of each shard, one after another, for a moment.
func (s *MemoryStore) Stats() MemoryStats { return MemoryStats(s.store.Stats()) }

// Len returns how many sessions the store holds, expired ones that were not yet cleaned up included.
func (s *MemoryStore) Len() int { return s.store.Len() }

// Format prints the number of sessions for every verb, never their content.
func (s *MemoryStore) Format(f fmt.State, _ rune) {
	if s == nil {
		io.WriteString(f, "sess.MemoryStore(nil)")
		return
	}
	fmt.Fprintf(f, "sess.MemoryStore(%d sessions)", s.Len())
}
