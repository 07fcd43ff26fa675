package near

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// shard is one part of the table.
type shard struct {
	buckets []atomic.Pointer[entry]
	_       [104]byte // keeps what is written to out of the cache line that every look-up reads

	hits atomic.Uint64
	_    [120]byte

	mu      sync.Mutex
	flights map[ident.ID]*Flight // those that are not poisoned
	hand    *entry               // the next one to evict, in a ring of all entries; nil if there are none
	entries int
	bytes   int64
	limit   int64
	_       [64]byte
}

// entry is one record. All but next, used and the ring is immutable.
type entry struct {
	next  atomic.Pointer[entry] // in the bucket
	hash  uint64
	lease *Lease
	until int64 // on the clock of Mono
	rec   *record.Record
	used  atomic.Bool // since the hand passed
	id    ident.ID

	size        int64
	after, prev *entry // the ring, guarded by the shard's mutex
}

// entryBytes is what an entry costs beside the text of its record: itself, the Record and the share of a bucket.
const entryBytes = int64(unsafe.Sizeof(entry{})) + 96

func (e *entry) serves(mono int64) bool { return mono < e.until && e.lease.holds(mono) }

// keep makes an entry of what a flight brought, if it says when it ends and is not too large. It wants s.mu.
func (c *Cache) keep(s *shard, f *Flight, now time.Time) bool {
	ends := f.rec.Expires()
	size := entryBytes + int64(len(f.rec.JSON()))*5/4 // the index of a record adds about a quarter
	if ends.IsZero() || size > s.limit/4 {
		return false
	}
	until := c.Mono(now) + int64(min(TTL, ends.Sub(now)))
	if !c.Reports() {
		until = min(until, f.begun+c.served())
	}
	e := &entry{
		hash:  maphash.Bytes(c.seed, f.id.Bytes()),
		lease: f.lease,
		until: until,
		rec:   f.rec,
		id:    f.id,
		size:  size,
	}
	if old, _ := c.find(&f.id); old != nil {
		c.remove(s, old)
	}
	for s.bytes+size > s.limit {
		c.evict(s, now)
	}
	c.insert(s, e)
	return true
}

// insert wants s.mu.
func (c *Cache) insert(s *shard, e *entry) {
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
func (c *Cache) remove(s *shard, e *entry) {
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
func (c *Cache) evict(s *shard, now time.Time) {
	mono := c.Mono(now)
	for s.hand.serves(mono) && s.hand.used.Load() {
		s.hand.used.Store(false)
		s.hand = s.hand.after
	}
	c.remove(s, s.hand)
	c.count.evicted.Add(1)
}

// sweep removes the entries that serve nobody any more.
func (c *Cache) sweep(s *shard, now time.Time) {
	mono := c.Mono(now)
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
