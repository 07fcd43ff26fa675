package sign

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"

	"github.com/fibersess/sess/internal/ident"
)

// mark stands for a pair of id and signature, see [marker].
type mark struct{ a, b uint64 }

// marker makes marks of pairs with secret random numbers k and f. A pair is read as up to sixteen numbers x of 64 bits. Word
// a of its mark is
//
//	sum = (x0+k0) * (x1+k1)  +  (x2+k2) * (x3+k3)  +  …        modulo 2^128: NH of RFC 4418, with words of 64 bits
//	a   = (f0 * low half of sum  +  f1 * high half of sum      modulo 2^128) div 2^64
//
// and word b is made likewise with k2 in the place of k0 and so on, and with an f of its own. Two different pairs have the
// same sum with a probability of 2^-64 at most, and different sums the same word with 2^-63, whoever chose the pairs, as long
// as k and f are secret: they and the marks never leave this process. So a pair that was never verified is taken for one that
// was with a probability below 2^-110. (hash/maphash makes no such promise, and a MAC that does costs as much as is to be
// saved.)
type marker struct {
	k [18]uint64
	f [2][4]uint64 // for each word f0 and f1, which have 128 bits each: f0 high, f0 low, f1 high, f1 low
}

func newMarker() (m marker) {
	for _, words := range [][]uint64{m.k[:], m.f[0][:], m.f[1][:]} {
		random := make([]byte, 8*len(words))
		rand.Read(random)
		for i := range words {
			words[i] = word(random[8*i:])
		}
	}
	return m
}

// mark returns the mark of id and sig, which is of a signature's length.
func (m *marker) mark(id *ident.ID, sig []byte) mark {
	a := sum(id, sig, (*[16]uint64)(m.k[:16]))
	b := sum(id, sig, (*[16]uint64)(m.k[2:]))
	return mark{a.fold(&m.f[0]), b.fold(&m.f[1])}
}

// sum reads id and sig as numbers: first their lengths, which determine what the others are. Some bytes are read twice,
// because neither fills a whole number of words. An id is zeros behind its end.
func sum(id *ident.ID, sig []byte, k *[16]uint64) uint128 {
	b, n := id.Whole(), len(id.Bytes())
	_ = sig[sha1SignatureLen-1]
	s := uint128{}.plus(uint64(n)+k[0], uint64(len(sig))+k[1])
	s = s.plus(word(b[0:])+k[2], word(b[8:])+k[3])
	s = s.plus(word(b[16:])+k[4], word(b[24:])+k[5])
	s = s.plus(word(sig[0:])+k[6], word(sig[8:])+k[7])
	s = s.plus(word(sig[16:])+k[8], word(sig[sha1SignatureLen-8:])+k[9])
	if len(sig) == sha256SignatureLen {
		s = s.plus(word(sig[sha1SignatureLen:])+k[10], word(sig[sha256SignatureLen-8:])+k[11])
	}
	if n > 32 {
		s = s.plus(word(b[32:])+k[12], word(b[40:])+k[13])
		s = s.plus(word(b[48:])+k[14], word(b[ident.MaxIDLen-8:])+k[15])
	}
	return s
}

func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

type uint128 struct{ high, low uint64 }

// plus returns n + x*y.
func (n uint128) plus(x, y uint64) uint128 {
	high, low := bits.Mul64(x, y)
	low, carry := bits.Add64(n.low, low, 0)
	high, _ = bits.Add64(n.high, high, carry)
	return uint128{high, low}
}

// fold returns the high half of f0*low + f1*high.
func (n uint128) fold(f *[4]uint64) uint64 {
	folded := uint128{high: f[0]*n.low + f[2]*n.high}
	return folded.plus(f[1], n.low).plus(f[3], n.high).high
}
