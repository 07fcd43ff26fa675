package sign

import (
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"

	"github.com/fibersess/sess/internal/ident"
)

// verifiedTable remembers pairs of id and signature that a keyring has verified, so that the next request of a
// session pays for a comparison and not for a hash. It is a cache of a pure function: a signature that was right once
// is right for as long as the keyring lives, so nothing is ever invalidated.
//
// Slots are two and two. A new pair takes its own slot, and the pair that was there takes the other one: so two sessions
// that meet do not push each other out all the time, and what has ended goes. Where the slot is taken only one offer in
// four is accepted: with far more sessions than slots writing costs as much as the hash that a find would have saved, and
// those that come often are in all the same.
//
// It gives away nothing. Only verified pairs get in, so whatever is found is right. A slot is compared with what is
// presented in full and without an early end, so the time of a miss does not depend on what the slots hold. Who owns
// sessions whose signatures fall into another's slots can push that one out, which costs it one hash.
//
// The zero table is empty and ready. It is safe for concurrent use: readers take no lock and write nothing that other
// processors would have to fetch.
type verifiedTable struct {
	slots atomic.Pointer[[verifiedSlots]verifiedSlot]
}

const (
	verifiedBits  = 13
	verifiedSlots = 1 << verifiedBits // 8,192 of 128 bytes: 1 MiB, taken when the first signature is verified
)

// verifiedSlot holds a pair and the index of its key. seq guards them: it is odd while they are being written, and a
// reader that finds it changed has read nothing. All words are atomic, which costs readers nothing on the usual
// processors and keeps the race detector able to check the rest.
type verifiedSlot struct {
	seq   atomic.Uint64
	meta  atomic.Uint64 // the pair's lengths in the low 16 bits, index of the key above
	words [pairWords]atomic.Uint64
}

// pair is an id and its signature, read in words of eight bytes: eight of the id, then six of the signature. The last
// word of each overlaps the one before, because neither fills a whole number of words. An id is zeros behind its end.
type pair struct {
	words   [pairWords]uint64
	lengths uint64 // of the id and, above it, of the signature, in 8 bits each; never 0
}

const (
	pairWords = idWords + sigWords
	idWords   = 8
	sigWords  = 6
)

// makePair returns the pair of id and sig, which is of a signature's length.
func makePair(id *ident.ID, sig []byte) (p pair) {
	for i := range idWords - 1 {
		p.words[i] = binary.LittleEndian.Uint64(id.Whole()[8*i:])
	}
	p.words[idWords-1] = binary.LittleEndian.Uint64(id.Whole()[ident.MaxIDLen-8:])

	full := len(sig) / 8
	for i := range full {
		p.words[idWords+i] = binary.LittleEndian.Uint64(sig[8*i:])
	}
	p.words[idWords+full] = binary.LittleEndian.Uint64(sig[len(sig)-8:])
	p.lengths = uint64(len(sig))<<8 | uint64(len(id.Bytes()))
	return p
}

// slot returns the index of the slot that p may be in. It comes from four characters of the signature, 24 bits that
// nobody without the key can choose, multiplied (Fibonacci hashing) because base64 leaves a byte's high bits alike.
func (p *pair) slot() uint32 {
	return uint32(p.words[idWords]) * 0x9E3779B1 >> (32 - verifiedBits)
}

// find reports whether p was verified, and by the key of which index.
func (t *verifiedTable) find(p *pair) (index int, ok bool) {
	slots := t.slots.Load()
	if slots == nil {
		return 0, false
	}
	at := p.slot()
	if index, ok = slots[at].find(p); !ok {
		index, ok = slots[at^1].find(p)
	}
	return index, ok
}

func (s *verifiedSlot) find(p *pair) (index int, ok bool) {
	seq, meta := s.seq.Load(), s.meta.Load()
	differ := meta&0xffff ^ p.lengths
	for i := range p.words {
		differ |= s.words[i].Load() ^ p.words[i]
	}
	return int(meta >> 16), differ == 0 && seq&1 == 0 && s.seq.Load() == seq
}

// offer is add, every time if the pair's slot is free and one time in four if it is not.
func (t *verifiedTable) offer(p *pair, index int) {
	if slots := t.slots.Load(); slots == nil || slots[p.slot()].meta.Load() == 0 || rand.Uint32()%4 == 0 {
		t.add(p, index)
	}
}

// add remembers that the key of index verified p. If another pair is being written to the slot it does nothing.
func (t *verifiedTable) add(p *pair, index int) {
	slots := t.slots.Load()
	if slots == nil {
		t.slots.CompareAndSwap(nil, new([verifiedSlots]verifiedSlot))
		slots = t.slots.Load()
	}
	own, other := &slots[p.slot()], &slots[p.slot()^1]
	if !own.begin() {
		return
	}
	defer own.end()
	if own.meta.Load() != 0 && other.begin() {
		other.meta.Store(own.meta.Load())
		for i := range own.words {
			other.words[i].Store(own.words[i].Load())
		}
		other.end()
	}
	own.meta.Store(uint64(index)<<16 | p.lengths)
	for i := range p.words {
		own.words[i].Store(p.words[i])
	}
}

// begin makes the caller the one who writes to s, until end, unless somebody is.
func (s *verifiedSlot) begin() bool {
	seq := s.seq.Load()
	return seq&1 == 0 && s.seq.CompareAndSwap(seq, seq+1)
}

func (s *verifiedSlot) end() { s.seq.Add(1) }
