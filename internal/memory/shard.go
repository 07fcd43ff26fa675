package memory

import (
	"sync"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// shard is a store of its own for the ids whose hash begins with its number. The lock guards every field but max.
type shard struct {
	mu       sync.Mutex
	table    table
	max      int                 // entries; constant
	hand     uint32              // the place the next sweep begins at
	clock    uint64              // counts uses; an entry's used is the clock of its last use
	watchers map[ident.ID]*watch // the first of each id's
	evicted  uint64              // counts evictions
	_        [40]byte            // shards fill 128 bytes: neighbours do not share a cache line
}

func (sh *shard) len() int {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.table.n
}

func (sh *shard) get(hash uint32, id *ident.ID, now int64) *record.Record {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, ok := sh.table.find(hash, id)
	if !ok {
		return nil
	}
	return sh.use(i, now)
}

// use returns the record at place i, if it has not expired, and notes its use.
func (sh *shard) use(i uint32, now int64) *record.Record {
	e := sh.table.slots[i].entry
	if e.end <= now {
		return nil
	}
	sh.clock++
	e.used = sh.clock
	return e.record
}

func (sh *shard) set(hash uint32, id *ident.ID, next *record.Record, life lifespan, ev *events) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.sweep(life.now, ev)
	i, ok := sh.table.find(hash, id)
	sh.put(i, ok, hash, id, next, life, ev)
}

func (sh *shard) swap(hash uint32, id *ident.ID, old, next *record.Record, life lifespan, ev *events) (*record.Record, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.sweep(life.now, ev)
	var current *record.Record
	i, ok := sh.table.find(hash, id)
	if ok {
		current = sh.use(i, life.now)
	}
	switch {
	case current == nil && old != nil:
		return nil, record.ErrNotFound
	case current != nil && !record.Equal(old, current):
		return current, nil
	}
	sh.put(i, ok, hash, id, next, life, ev)
	return next, nil
}

// put keeps next under id, which is at place i if ok; or, if next is nil or has expired, nothing.
func (sh *shard) put(i uint32, ok bool, hash uint32, id *ident.ID, next *record.Record, life lifespan, ev *events) {
	if next == nil || life.end <= life.now {
		if ok {
			sh.remove(i, ev)
		}
		return
	}
	sh.clock++
	if ok {
		e := sh.table.slots[i].entry
		e.record, e.end, e.used = next, life.end, sh.clock
		sh.table.slots[i].end = coarse(life.end)
	} else {
		if sh.table.n >= sh.max {
			sh.evict(life.now, ev)
		}
		sh.table.insert(hash, &entry{id: *id, record: next, end: life.end, used: sh.clock})
	}
	sh.note(id, ev)
}

// remove empties place i, to which its neighbour may then move.
func (sh *shard) remove(i uint32, ev *events) {
	e := sh.table.slots[i].entry
	sh.note(&e.id, ev)
	if user := e.record.User(); user != "" {
		ev.left = append(ev.left, left{user, record.UserEntry{ID: e.id, Login: e.record.LoginMS()}})
	}
	sh.table.remove(i)
}

// note remembers to tell the watchers of id.
func (sh *shard) note(id *ident.ID, ev *events) {
	if len(sh.watchers) == 0 {
		return
	}
	for w := sh.watchers[*id]; w != nil; w = w.next {
		ev.watches = append(ev.watches, w)
	}
}

// sample is how many places a sweep looks at, and how many entries an eviction compares.
const sample = 16

// sweep removes what has expired at the next places. It reads the table alone, 256 bytes of it, and no entry that it
// does not remove.
func (sh *shard) sweep(now int64, ev *events) {
	t := &sh.table
	slots, hand, second := t.slots, sh.hand, seconds(now)
	for range min(sample, len(slots)) {
		hand &= t.mask()
		if slots[hand].expired(second) {
			sh.remove(hand, ev) // and look here again
		} else {
			hand++
		}
	}
	sh.hand = hand
	t.shrink()
}

// evict removes the least recently used of the next entries. One that has expired goes first, and is no eviction.
func (sh *shard) evict(now int64, ev *events) {
	t := &sh.table
	victim, seen := uint32(0), 0
	for at := range uint32(len(t.slots)) {
		i := (sh.hand + at) & t.mask()
		e := t.slots[i].entry
		if e == nil {
			continue
		}
		if e.end <= now {
			sh.remove(i, ev)
			return
		}
		if seen == 0 || e.used < t.slots[victim].entry.used {
			victim = i
		}
		if seen++; seen == sample {
			break
		}
	}
	sh.evicted++
	ev.evicted = t.slots[victim].entry.id
	sh.remove(victim, ev)
}
