package record

import (
	"hash/maphash"
	"math/bits"
)

// names finds a name among many at the cost of one: a hash table of places in a list that keeps the names themselves.
// Each table has a seed of its own, so that nobody can choose names that collide. The zero names is empty.
type names struct {
	seed  maphash.Seed
	slots []uint32 // 0: free; else 8 bits of the name's hash, then 24 of its place + 1. A power of two.
	n     int      // how many slots are taken, at most two thirds
}

// makeNames returns an empty table with room for n names. It takes up the slots given if they are enough.
func makeNames(n int, slots []uint32) names {
	size := 1 << bits.Len(uint(n+n/2))
	if cap(slots) < size {
		return names{seed: maphash.MakeSeed(), slots: make([]uint32, size)}
	}
	slots = slots[:size]
	clear(slots)
	return names{seed: maphash.MakeSeed(), slots: slots}
}

// full reports whether there is no room for another name.
func (t *names) full() bool { return 3*(t.n+1) > 2*len(t.slots) }

// add notes that the name of this hash stands at place. There is room for it.
func (t *names) add(hash uint64, place int) {
	mask := uint32(len(t.slots) - 1)
	i := uint32(hash) & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = uint32(hash>>56)<<24 | uint32(place+1)
	t.n++
}

// look returns the places at which the name of this hash may stand:
//
//	for l := t.look(hash); ; {
//		place, ok := l.next()
//		if !ok { … there is no such name
//		}
//		if … the name at place is the one, it is found
//	}
func (t *names) look(hash uint64) look {
	return look{t.slots, uint32(hash) & uint32(len(t.slots)-1), uint32(hash>>56) << 24}
}

type look struct {
	slots  []uint32
	i, tag uint32
}

func (l *look) next() (place int, ok bool) {
	for {
		slot := l.slots[l.i]
		if slot == 0 {
			return -1, false
		}
		l.i = (l.i + 1) & uint32(len(l.slots)-1)
		if slot&0xff00_0000 == l.tag {
			return int(slot&0x00ff_ffff) - 1, true
		}
	}
}

// hash returns the hash of name.
func hash[K string | []byte](t *names, name K) uint64 {
	switch n := any(name).(type) {
	case string:
		return maphash.String(t.seed, n)
	case []byte:
		return maphash.Bytes(t.seed, n)
	}
	return 0
}
