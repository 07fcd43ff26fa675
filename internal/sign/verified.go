package sign

import (
	"sync"
	"sync/atomic"
	"time"
)

// verified remembers which pairs of id and signature a ring has verified, so that the next request of a session pays for
// a look-up and not for an HMAC. It keeps the mark of a pair, which are 128 bits that a [marker] makes of it:
//
//	        63          58 57             45 44   32 31       7 6           1   0
//	word a | part          | rest of mark  | bucket | of mark  | key index+1 | used |
//	word b | mark                                                                   |
//
//	part    one of 64, each with a lock of its own, which grows on its own
//	bucket  of the part: eight slots, in two neighbouring cache lines
//	slot    words a and b; zeros: free
//
// Only what was verified gets in, so a mark that is found is right unless two pairs have the same one, and nobody who does
// not know the marker's secret can look for such pairs. Readers take no lock: a reader that meets a slot while it is written
// sees word a of one pair and word b of another, and each of them alone is a hash that no third pair has.
//
// A part doubles when half of its slots are taken, up to 512 KiB: 32 MiB in all are room for a million sessions. Once in
// forgetAfter it forgets what was not used meanwhile and takes the size that fits the rest, so that it does not hold the
// sessions of a year.
//
// It is safe for concurrent use. A reader writes to a slot only when the slot is used for the first time since the part
// last forgot.
type verified struct {
	marker marker
	parts  [64]part
}

// The bits of word a that are no part of the mark.
const (
	usedBit  = 1
	keyShift = 1
	maxKey   = 1<<6 - 2 // the last index of a key whose pairs are remembered
	markBits = ^uint64(1<<7 - 1)
)

const (
	minBuckets  = 8       // of a part: 1 KiB
	maxBuckets  = 1 << 12 // of a part: 512 KiB
	forgetAfter = time.Hour
)

type part struct {
	mu      sync.Mutex               // held by writers
	buckets atomic.Pointer[[]bucket] // a power of two of them
	taken   int                      // slots
	swept   time.Time                // when the part last forgot
	_       [16]byte                 // A part fills a cache line.
}

type bucket [8]slot

type slot struct{ a, b atomic.Uint64 }

// newVerified returns an empty memory with a secret of its own.
func newVerified() *verified {
	v := &verified{marker: newMarker()}
	none := make([]bucket, 1)
	for i := range v.parts {
		v.parts[i].buckets.Store(&none)
	}
	return v
}

// find reports whether the pair of mark m was verified, and the index of the key that signed it.
func (v *verified) find(m mark) (key int, ok bool) {
	b := m.bucket(*v.part(m).buckets.Load())
	for i := range b {
		s := &b[i]
		a := s.a.Load()
		if (a^m.a)&markBits != 0 || s.b.Load() != m.b || a&^markBits == 0 {
			continue
		}
		if a&usedBit == 0 {
			s.a.CompareAndSwap(a, a|usedBit) // If it fails, another goroutine has written to the slot, which is as good.
		}
		return int(a&^markBits>>keyShift) - 1, true
	}
	return 0, false
}

// add remembers that the key of the given index has signed the pair of mark m.
func (v *verified) add(m mark, key int, now time.Time) {
	if key > maxKey {
		return
	}
	p := v.part(m)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch buckets := *p.buckets.Load(); {
	case now.Sub(p.swept) >= forgetAfter:
		p.swept = now
		p.rebuild(true)
	case 2*p.taken >= len(bucket{})*len(buckets) && len(buckets) < maxBuckets:
		p.rebuild(false)
	}
	p.put(*p.buckets.Load(), m.a&markBits|uint64(key+1)<<keyShift|usedBit, m.b)
}

func (v *verified) part(m mark) *part { return &v.parts[m.a>>58] }

func (m mark) bucket(buckets []bucket) *bucket { return &buckets[int(m.a>>32)&(len(buckets)-1)] }

// put writes two words into their bucket: into the slot that has them already, else a free one, else one that was not used
// since the part last forgot, else any.
func (p *part) put(buckets []bucket, a, b uint64) {
	bucket := mark{a, b}.bucket(buckets)
	to, worth := &bucket[b%uint64(len(bucket))], 0
	for i := range bucket {
		s := &bucket[i]
		switch had := s.a.Load(); {
		case (had^a)&markBits == 0 && s.b.Load() == b:
			to, worth = s, 3
		case had == 0 && worth < 2:
			to, worth = s, 2
		case had&usedBit == 0 && worth < 1:
			to, worth = s, 1
		}
	}
	if to.a.Load() == 0 {
		p.taken++
	}
	to.b.Store(b)
	to.a.Store(a)
}

// rebuild lays the slots out anew, so that a quarter of them is taken, where the largest size allows. It can forget what was
// not used since it forgot the last time.
func (p *part) rebuild(forget bool) {
	old := *p.buckets.Load()
	n := 0
	each(old, forget, func(a, b uint64) { n++ })
	size := minBuckets
	for size < maxBuckets && len(bucket{})*size < 4*n {
		size *= 2
	}
	buckets := make([]bucket, size)
	p.taken = 0
	each(old, forget, func(a, b uint64) {
		if forget {
			a &^= usedBit
		}
		p.put(buckets, a, b)
	})
	p.buckets.Store(&buckets)
}

// each calls f with the words of all slots that are taken, or of those that are marked as used.
func each(buckets []bucket, used bool, f func(a, b uint64)) {
	for i := range buckets {
		for j := range buckets[i] {
			s := &buckets[i][j]
			if a := s.a.Load(); a&usedBit != 0 || a != 0 && !used {
				f(a, s.b.Load())
			}
		}
	}
}
