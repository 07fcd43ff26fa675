package near

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

const (
	// TTL is the longest an entry serves without a look at the server. The server's invalidations make it
	// needless; it bounds what a fault nobody thought of can do.
	TTL = 10 * time.Second

	// nearShards is how many parts the cache has at most, and shardBytes how large a part is at least, so that a
	// small cache does not split into parts that hold one record each.
	nearShards = 64
	shardBytes = 256 << 10

	// bucketBytes is the share of a shard's bytes for which it has one bucket: about the size of a small entry.
	bucketBytes = 512
)

// Cache holds records of a server in the memory of this process. An entry is served as long as the connection it
// was read on has a lease, which says that an invalidation of it would have arrived here, and until its session ends.
//
// A look-up takes no lock. Buckets are chains of immutable entries; who changes a chain holds the shard's mutex.
type Cache struct {
	prefix string        // of the keys the server names when it invalidates
	hold   time.Duration // how old an answer may be, counted from when it was asked for: MaxStale
	start  time.Time     // what monotonic instants are counted from
	seed   maphash.Seed
	shift  uint8 // 64 minus the bits of a hash that choose the shard
	mask   uint64
	shards []nearShard
	closed atomic.Bool
	count  nearCount
}

// nearCount counts what is rare enough to be counted in one place.
type nearCount struct {
	misses, joined, stale, poisoned, pushes, flushes, evicted atomic.Uint64
}

// nearShard is one part of the table.
type nearShard struct {
	buckets []atomic.Pointer[nearEntry]
	_       [104]byte // keeps what is written to out of the cache line that every look-up reads

	hits atomic.Uint64
	_    [120]byte

	mu      sync.Mutex
	flights map[ident.ID]*Flight
	hand    *nearEntry // the next one to evict, in a ring of all entries; nil if there are none
	entries int
	bytes   int64
	limit   int64
	_       [64]byte
}

// nearEntry is one record. All but next, used and the ring is immutable.
type nearEntry struct {
	next  atomic.Pointer[nearEntry] // in the bucket
	hash  uint64
	lease *Lease
	until int64 // on the clock of mono
	rec   *record.Record
	used  atomic.Bool // since the hand passed
	id    ident.ID

	size        int64
	after, prev *nearEntry // the ring, guarded by the shard's mutex
}

// entryBytes is what an entry costs beside the text of its record: itself, the Record and the share of a bucket.
const entryBytes = int64(unsafe.Sizeof(nearEntry{})) + 96

func New(prefix string, maxBytes int64, hold time.Duration) *Cache {
	shards := 1
	for shards < nearShards && maxBytes/int64(2*shards) >= shardBytes {
		shards *= 2
	}
	limit := maxBytes / int64(shards)
	buckets := 1
	for int64(buckets)*bucketBytes < limit {
		buckets *= 2
	}
	c := &Cache{
		prefix: prefix,
		hold:   hold,
		start:  time.Now(),
		seed:   maphash.MakeSeed(),
		shift:  uint8(64 - bits.Len(uint(shards-1))),
		mask:   uint64(buckets - 1),
		shards: make([]nearShard, shards),
	}
	for i := range c.shards {
		c.shards[i].buckets = make([]atomic.Pointer[nearEntry], buckets)
		c.shards[i].flights = make(map[ident.ID]*Flight)
		c.shards[i].limit = limit
	}
	return c
}

// Mono returns the instant t on the monotonic clock of leases, in nanoseconds.
func (c *Cache) Mono(t time.Time) int64 { return int64(t.Sub(c.start)) }

// Peek returns the record of id if it may be served at now.
func (c *Cache) Peek(id *ident.ID, now time.Time) (*record.Record, bool) {
	r, _, ok := c.Get(id, now)
	return r, ok
}

// Get is peek that also returns the lease of the record.
func (c *Cache) Get(id *ident.ID, now time.Time) (*record.Record, *Lease, bool) {
	e, s := c.find(id)
	if e == nil {
		return nil, nil, false
	}
	if !e.serves(c.Mono(now)) {
		c.count.stale.Add(1)
		return nil, nil, false
	}
	if !e.used.Load() { // a hot entry's cache line is not written to
		e.used.Store(true)
	}
	s.hits.Add(1)
	return e.rec, e.lease, true
}

func (c *Cache) find(id *ident.ID) (*nearEntry, *nearShard) {
	h := maphash.Bytes(c.seed, id.Bytes())
	s := &c.shards[h>>c.shift]
	for e := s.buckets[h&c.mask].Load(); e != nil; e = e.next.Load() {
		if e.hash == h && e.id == *id {
			return e, s
		}
	}
	return nil, s
}

func (e *nearEntry) serves(mono int64) bool { return mono < e.until && e.lease.holds(mono) }

// keep makes an entry of what a flight brought, if it says when it ends and is not too large. It wants s.mu.
func (c *Cache) keep(s *nearShard, f *Flight, now time.Time) bool {
	ends := f.rec.Expires()
	size := entryBytes + int64(len(f.rec.JSON()))*5/4 // the index of a record adds about a quarter
	if ends.IsZero() || size > s.limit/4 {
		return false
	}
	e := &nearEntry{
		hash:  maphash.Bytes(c.seed, f.id.Bytes()),
		lease: f.lease,
		until: c.Mono(now) + int64(min(TTL, ends.Sub(now))),
		rec:   f.rec,
		id:    f.id,
		size:  size,
	}
	c.drop(s, &f.id)
	for s.bytes+size > s.limit {
		c.evict(s, now)
	}
	c.insert(s, e)
	return true
}

// Invalidate forgets the record of id and poisons the flight that reads it. After it returns nobody is given a record
// that was read before.
func (c *Cache) Invalidate(id ident.ID) {
	s := c.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.forget(s, &id)
}

// Reported is invalidate for what the server says on the connection of l. It says that of the write itself, between the
// replies to the write and to the read behind it: what comes on a connection before a reply is older than the reply.
func (c *Cache) Reported(id ident.ID, l *Lease) {
	s := c.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[id]; f != nil && f.own && !f.answered && f.lease == l {
		c.drop(s, &id)
		return
	}
	c.forget(s, &id)
}

// forget wants s.mu.
func (c *Cache) forget(s *nearShard, id *ident.ID) {
	if f := s.flights[*id]; f != nil {
		c.poison(s, f)
	}
	c.drop(s, id)
}

// drop removes the entry of id. It wants s.mu.
func (c *Cache) drop(s *nearShard, id *ident.ID) {
	if e, _ := c.find(id); e != nil {
		c.remove(s, e)
	}
}

// Agree invalidates id unless what is kept is json, which is news from the server: what is served later must not be
// older than that.
func (c *Cache) Agree(id ident.ID, json string) {
	s := c.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[id]; f != nil {
		c.poison(s, f)
	}
	if e, _ := c.find(&id); e != nil && e.rec.JSON() != json {
		c.remove(s, e)
	}
}

// IDOf returns the id whose key the server names.
func (c *Cache) IDOf(key string) (ident.ID, bool) {
	name, ok := strings.CutPrefix(key, c.prefix)
	if !ok {
		return ident.ID{}, false
	}
	return ident.MakeID(name)
}

func (c *Cache) shard(id *ident.ID) *nearShard {
	return &c.shards[maphash.Bytes(c.seed, id.Bytes())>>c.shift]
}

// insert wants s.mu.
func (c *Cache) insert(s *nearShard, e *nearEntry) {
	if s.hand == nil {
		e.after, e.prev = e, e
		s.hand = e
	} else { // right behind the hand, which reaches it last
		e.after, e.prev = s.hand, s.hand.prev
		e.prev.after, e.after.prev = e, e
	}
	s.entries++
	s.bytes += e.size
	bucket := &s.buckets[e.hash&c.mask]
	e.next.Store(bucket.Load())
	bucket.Store(e)
}

// remove wants s.mu, and an e that is in the table. A reader that stands on e still finds its way on.
func (c *Cache) remove(s *nearShard, e *nearEntry) {
	link := &s.buckets[e.hash&c.mask]
	for link.Load() != e {
		link = &link.Load().next
	}
	link.Store(e.next.Load())

	e.prev.after, e.after.prev = e.after, e.prev
	if s.hand == e {
		s.hand = e.after
	}
	s.entries--
	s.bytes -= e.size
	if s.entries == 0 {
		s.hand = nil
	}
}

// evict removes the entry under the hand that serves nobody or that nobody used since the hand last came by. It wants
// s.mu, and an s that is not empty.
func (c *Cache) evict(s *nearShard, now time.Time) {
	mono := c.Mono(now)
	for s.hand.serves(mono) && s.hand.used.Load() {
		s.hand.used.Store(false)
		s.hand = s.hand.after
	}
	c.remove(s, s.hand)
	c.count.evicted.Add(1)
}

// Sweep removes the entries of the shard i that serve nobody any more.
func (c *Cache) Sweep(i uint, now time.Time) {
	mono := c.Mono(now)
	s := &c.shards[i%uint(len(c.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := s.entries; n > 0; n-- {
		e := s.hand
		s.hand = e.after
		if !e.serves(mono) {
			c.remove(s, e)
		}
	}
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

// Pushed counts a change that the server reported.
func (c *Cache) Pushed() { c.count.pushes.Add(1) }

// Flushed counts the loss of all that was read on one connection.
func (c *Cache) Flushed() { c.count.flushes.Add(1) }

// Stats has the fields of the root's RueidisStats, which says what they mean: each converts to the other.
type Stats struct {
	Hits          uint64
	Misses        uint64
	Joined        uint64
	Stale         uint64
	Poisoned      uint64
	Invalidations uint64
	Flushes       uint64
	Evicted       uint64

	NearCache bool
	Entries   int
	Bytes     int64
	InFlight  int
}

// AddTo fills in all but InFlight.
func (c *Cache) AddTo(stats *Stats) {
	stats.NearCache = true
	stats.Misses = c.count.misses.Load()
	stats.Joined = c.count.joined.Load()
	stats.Stale = c.count.stale.Load()
	stats.Poisoned = c.count.poisoned.Load()
	stats.Invalidations = c.count.pushes.Load()
	stats.Flushes = c.count.flushes.Load()
	stats.Evicted = c.count.evicted.Load()
	for i := range c.shards {
		sh := &c.shards[i]
		stats.Hits += sh.hits.Load()
		sh.mu.Lock()
		stats.Entries += sh.entries
		stats.Bytes += sh.bytes
		sh.mu.Unlock()
	}
}

// Chained counts the entries that a look-up can find, and underWay the flights: for tests.
func (c *Cache) Chained() (n int) {
	for i := range c.shards {
		for j := range c.shards[i].buckets {
			for e := c.shards[i].buckets[j].Load(); e != nil; e = e.next.Load() {
				n++
			}
		}
	}
	return n
}

func (c *Cache) UnderWay() (n int) {
	for i := range c.shards {
		n += len(c.shards[i].flights)
	}
	return n
}
