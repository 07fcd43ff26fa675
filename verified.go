package sess

import (
	"encoding/binary"
	"sync/atomic"
)

// verifiedTable remembers pairs of id and signature that a keyring has verified, so that the next request of a
// session pays for a comparison and not for a hash. It is a cache of a pure function: a signature that was right once
// is right for as long as the keyring lives, so nothing is ever invalidated.
//
// It gives away nothing. Only verified pairs get in, so whatever is found is right. A slot is compared with what is
// presented in full and without an early end, so the time of a miss does not depend on what the slot holds. Who owns
// sessions whose signatures fall into another's slot can push that one out, which costs it one hash.
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
	index atomic.Uint64
	words [pairWords]atomic.Uint64
}

// pair is an id and its signature as words: 64 bytes of id, 43 of signature, the signature's length, zeros. The
// length keeps a short signature apart from one that is filled up with zero bytes.
type pair [pairWords]uint64

const pairWords = 14

func packPair(id *ID, sig []byte) (p pair) {
	var b [8 * pairWords]byte
	b[0] = id.n
	copy(b[1:], id.b[:])
	n := copy(b[1+maxIDLen:][:maxSignatureLen], sig)
	b[1+maxIDLen+maxSignatureLen] = byte(n)
	for i := range p {
		p[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return p
}

// slot returns the index of the slot that p may be in. It comes from four characters of the signature, 24 bits that
// nobody without the key can choose, multiplied (Fibonacci hashing) because base64 leaves a byte's high bits alike.
func (p *pair) slot() uint32 {
	const firstOfSignature = (1 + maxIDLen) / 8
	return uint32(p[firstOfSignature]) * 0x9E3779B1 >> (32 - verifiedBits)
}

// find reports whether p was verified, and by the key of which index.
func (t *verifiedTable) find(p *pair) (index int, ok bool) {
	slots := t.slots.Load()
	if slots == nil {
		return 0, false
	}
	s := &slots[p.slot()]
	seq := s.seq.Load()
	var differ uint64
	for i := range p {
		differ |= s.words[i].Load() ^ p[i]
	}
	index = int(s.index.Load())
	return index, differ == 0 && seq&1 == 0 && s.seq.Load() == seq
}

// add remembers that the key of index verified p. If another pair is being written to the slot it does nothing.
func (t *verifiedTable) add(p *pair, index int) {
	slots := t.slots.Load()
	if slots == nil {
		t.slots.CompareAndSwap(nil, new([verifiedSlots]verifiedSlot))
		slots = t.slots.Load()
	}
	s := &slots[p.slot()]
	seq := s.seq.Load()
	if seq&1 != 0 || !s.seq.CompareAndSwap(seq, seq+1) {
		return
	}
	for i := range p {
		s.words[i].Store(p[i])
	}
	s.index.Store(uint64(index))
	s.seq.Store(seq + 2)
}
