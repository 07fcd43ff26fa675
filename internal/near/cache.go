package near

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

const (
	// TTL is the longest an entry serves without a look at the server. The server's reports make it needless; it bounds
	// what a fault nobody thought of can do.
	TTL = 10 * time.Second

	// maxShards is how many parts the cache has at most, and shardBytes how large a part is at least, so that a small
	// cache does not split into parts that hold one record each.
	maxShards  = 64
	shardBytes = 256 << 10

	// bucketBytes is the share of a shard's bytes for which it has one bucket: about the size of a small entry.
	bucketBytes = 512
)

// Cache holds records of a server. The comment of the package says how a record gets in and how long it stays.
//
// A look-up takes no lock. Buckets are chains of immutable entries; who changes a chain holds the shard's mutex.
//
// A Cache is safe for concurrent use. The zero Cache is not useful: make one with [New].
type Cache struct {
	prefix     string        // of the keys the server names when it reports
	hold       time.Duration // how old an answer may be, counted from when it was asked for: MaxStale
	unreported atomic.Bool   // the server reports nothing
	start      time.Time     // what monotonic instants are counted from
	tick       atomic.Int64  // the last tick of the clock, on the clock of Mono
	seed       maphash.Seed
	shift      uint8 // 64 minus the bits of a hash that choose the shard
	mask       uint64
	shards     []shard
	closed     atomic.Bool
	count      counters
}

// New returns an empty cache of at most maxBytes for the keys that begin with prefix. hold is MaxStale.
func New(prefix string, maxBytes int64, hold time.Duration) *Cache {
	n := 1
	for n < maxShards && maxBytes/int64(2*n) >= shardBytes {
		n *= 2
	}
	limit := maxBytes / int64(n)
	buckets := 1
	for int64(buckets)*bucketBytes < limit {
		buckets *= 2
	}
	c := &Cache{
		prefix: prefix,
		hold:   hold,
		start:  time.Now(),
		seed:   maphash.MakeSeed(),
		shift:  uint8(64 - bits.Len(uint(n-1))),
		mask:   uint64(buckets - 1),
		shards: make([]shard, n),
	}
	for i := range c.shards {
		c.shards[i].buckets = make([]atomic.Pointer[entry], buckets)
		c.shards[i].flights = make(map[ident.ID]*Flight)
		c.shards[i].limit = limit
	}
	return c
}

// WithoutReports says that the server reports no changes: from now on an entry is served until MaxStale after its read
// began.
func (c *Cache) WithoutReports() { c.unreported.Store(true) }

// Reports reports whether the server reports changes.
func (c *Cache) Reports() bool { return !c.unreported.Load() }

// Peek returns the record of id if it may be served. now is the present or, where that is cheaper to have, somewhat
// before: see [Cache.present].
func (c *Cache) Peek(id *ident.ID, now time.Time) (*record.Record, bool) {
	r, _, ok := c.Get(id, now)
	return r, ok
}

// Get is Peek that also returns the lease under which a change will be reported: nil if none will.
func (c *Cache) Get(id *ident.ID, now time.Time) (*record.Record, *Lease, bool) {
	e, s := c.find(id)
	if e == nil {
		return nil, nil, false
	}
	if !e.serves(c.present(now)) {
		c.count.stale.Add(1)
		return nil, nil, false
	}
	if !e.used.Load() { // a hot entry's cache line is not written to
		e.used.Store(true)
	}
	s.hits.Add(1)
	return e.rec, e.lease.reported(), true
}

func (c *Cache) find(id *ident.ID) (*entry, *shard) {
	h := maphash.Bytes(c.seed, id.Bytes())
	s := &c.shards[h>>c.shift]
	for e := s.buckets[h&c.mask].Load(); e != nil; e = e.next.Load() {
		if e.hash == h && e.id == *id {
			return e, s
		}
	}
	return nil, s
}

func (c *Cache) shard(id *ident.ID) *shard {
	return &c.shards[maphash.Bytes(c.seed, id.Bytes())>>c.shift]
}

// Invalidate forgets the record of id, since this node has written or may have. After it returns nobody is given a record
// that was read before.
func (c *Cache) Invalidate(id ident.ID) { c.happen(id, written, nil, "") }

// Agree invalidates id unless what is kept is json, which a read past the cache has brought: what is served later must not
// be older than that.
func (c *Cache) Agree(id ident.ID, json string) { c.happen(id, learned, nil, json) }

// Report is told that the server reports a change of id on the connection of l.
func (c *Cache) Report(id ident.ID, l *Lease) {
	c.count.reports.Add(1)
	c.happen(id, reported, l, "")
}

func (c *Cache) happen(id ident.ID, what event, l *Lease, json string) {
	s := c.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.happens(s, &id, what, l, json)
}

// IDOf returns the id whose key the server names.
func (c *Cache) IDOf(key string) (ident.ID, bool) {
	name, ok := strings.CutPrefix(key, c.prefix)
	if !ok {
		return ident.ID{}, false
	}
	return ident.MakeID(name)
}

// Close empties the cache for good.
func (c *Cache) Close() {
	c.closed.Store(true)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for s.hand != nil {
			c.remove(s, s.hand)
		}
		s.mu.Unlock()
	}
}
