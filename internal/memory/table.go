package memory

import (
	"math"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// table is a hash table with linear probing: an entry stands at the place its hash names, its home, or at the next
// free one after it, round the end. Removing moves entries back instead of leaving a mark, so that a table through
// which millions of sessions pass stays as fast as a new one.
//
// Against a Go map it has two things: the key is part of the entry, so that a session is one object and a look-up
// touches two cache lines, and a sweep can go on where the last one ended.
//
// It holds no nil entry, and no id twice. The zero table is empty and ready to use.
type table struct {
	slots []slot // none, or a power of two of at least minSlots; a quarter of them or more is free
	n     int    // entries
}

// slot is one place. What it says of its entry saves reading the entry.
type slot struct {
	hash  uint32
	end   uint32 // coarse end of the entry; 0 where the place is free
	entry *entry // nil: free
}

// entry is one session.
type entry struct {
	id     ident.ID
	record *record.Record
	end    int64  // Unix milliseconds; at this instant the record has expired
	used   uint64 // the shard's clock at the last use
}

// minSlots is the size of the smallest table; its double and so on are the others.
const minSlots = 8

// noEnd is the coarse end of what expires in the year 2106 or later: a sweep passes it by.
const noEnd = math.MaxUint32

// coarse returns an end of Unix milliseconds, which is positive, in whole Unix seconds, rounded up.
func coarse(end int64) uint32 {
	const second = 1000
	return uint32(min((end+second-1)/second, noEnd))
}

// seconds returns an instant of Unix milliseconds in whole Unix seconds, rounded down.
func seconds(now int64) uint32 { return uint32(min(max(now, 0)/1000, noEnd-1)) }

// expired reports whether there is an entry and it has certainly expired at now, as seconds returns it; it says so up
// to a second late.
func (s *slot) expired(now uint32) bool { return s.end-1 < now } // A free place's end wraps round.

// mask turns a hash or a place past the last one into a place.
func (t *table) mask() uint32 { return uint32(len(t.slots) - 1) }

// find returns the place of id.
func (t *table) find(hash uint32, id *ident.ID) (place uint32, ok bool) {
	if t.n == 0 {
		return 0, false
	}
	mask := t.mask()
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.entry == nil {
			return 0, false
		}
		if s.hash == hash && s.entry.id == *id {
			return i, true
		}
	}
}

// insert adds e, whose id is not in the table.
func (t *table) insert(hash uint32, e *entry) {
	if 4*(t.n+1) > 3*len(t.slots) {
		t.resize(max(minSlots, 2*len(t.slots)))
	}
	t.place(slot{hash, coarse(e.end), e})
	t.n++
}

// place puts s into the first free place from its home on.
func (t *table) place(s slot) {
	mask := t.mask()
	i := s.hash & mask
	for t.slots[i].entry != nil {
		i = (i + 1) & mask
	}
	t.slots[i] = s
}

// remove frees place i, and closes the gap: the next entry that may stand there moves in, and so on with the gap that
// this leaves, until a free place ends the run. An entry may move unless its home lies after the gap.
func (t *table) remove(i uint32) {
	mask := t.mask()
	for j := (i + 1) & mask; t.slots[j].entry != nil; j = (j + 1) & mask {
		home := t.slots[j].hash & mask
		if (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot{}
	t.n--
}

// shrink halves a table that is almost empty.
func (t *table) shrink() {
	if len(t.slots) > minSlots && 8*t.n < len(t.slots) {
		t.resize(len(t.slots) / 2)
	}
}

func (t *table) resize(size int) {
	old := t.slots
	t.slots = make([]slot, size)
	for _, s := range old {
		if s.entry != nil {
			t.place(s)
		}
	}
}
