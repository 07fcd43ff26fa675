//go:build !race

package sign

import (
	"math/rand/v2"
	"testing"
	"time"
)

// size returns how many bytes the slots of v take.
func (v *verified) size() (bytes int) {
	for i := range v.parts {
		bytes += 128 * len(*v.parts[i].buckets.Load())
	}
	return bytes
}

func TestAMillionSessionsAreRememberedIn32MiB(t *testing.T) {
	v := newVerified()
	marks := make([]mark, 1_000_000)
	for i := range marks {
		marks[i] = randomMark()
		v.add(marks[i], i%3, noon)
		if i == 999 && v.size() > 128<<10 {
			t.Errorf("a thousand: got %d bytes, want 128 KiB or less", v.size())
		}
	}
	found := 0
	for i, m := range marks {
		if key, ok := v.find(m); ok && key == i%3 {
			found++
		} else if ok {
			t.Fatalf("mark %d: got key %d, want %d", i, key, i%3)
		}
	}
	if want := len(marks) * 98 / 100; found < want {
		t.Errorf("found: got %d of %d, want %d or more", found, len(marks), want)
	}
	if got, want := v.size(), 32<<20; got != want {
		t.Errorf("bytes: got %d, want %d", got, want)
	}
	before := v.parts[0].buckets.Load()
	for range 4000 {
		v.add(mark{rand.Uint64() >> 6, rand.Uint64()}, 0, noon)
	}
	if v.parts[0].taken <= len(*before)*len(bucket{})/2 || v.parts[0].buckets.Load() != before {
		t.Errorf("a part of the largest size, %d slots taken of %d: got it laid out anew, want it left", v.parts[0].taken, len(*before)*len(bucket{}))
	}
	// An hour later a thousand of them come back, and an hour after that.
	for hour := 1; hour <= 3; hour++ {
		for i := range v.parts {
			v.add(mark{uint64(i) << 58, rand.Uint64()}, 0, noon.Add(time.Duration(hour)*forgetAfter))
		}
		for _, m := range marks[len(marks)-1000:] {
			v.find(m)
		}
	}
	if got, want := v.size(), 128<<10; got > want {
		t.Errorf("bytes when a thousand are left: got %d, want %d or less", got, want)
	}
}
