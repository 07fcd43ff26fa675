package sign

import (
	"hash"
	"strings"
	"sync"
	"testing"

	"github.com/fibersess/sess/internal/ident"
)

func TestSetKeysForgetsWhatARemovedKeyHadVerified(t *testing.T) {
	ring, id := NewKeyring(Keys(longKey), "koa.sid", false), testID(t, testIDText)
	sig := ring.Sign(nil, &id)
	for range 2 { // The second time it is remembered.
		if _, ok := ring.Verify(&id, sig); !ok {
			t.Fatal("before: got refused, want good")
		}
	}
	ring.SetKeys(Keys(otherKey, longKey))
	if key, ok := ring.Verify(&id, sig); !ok || key != 1 {
		t.Errorf("with its key second: got %d, %v, want 1, true", key, ok)
	}
	if got, want := string(ring.Sign(nil, &id)), string(NewKeyring(Keys(otherKey), "koa.sid", false).Sign(nil, &id)); got != want {
		t.Error("a signature after SetKeys: got another one, want that of the new first key")
	}
	ring.SetKeys(Keys(otherKey))
	if _, ok := ring.Verify(&id, sig); ok {
		t.Error("with its key gone: got good, want refused")
	}
	ring.SetKeys(Keys(longKey))
	if key, ok := ring.Verify(&id, sig); !ok || key != 0 {
		t.Errorf("with its key back: got %d, %v, want 0, true", key, ok)
	}
}

func TestKeysCountWhatWasTakenByThem(t *testing.T) {
	ring := NewKeyring(Keys(longKey, otherKey), "koa.sid", false)
	take := func(key, n int) {
		for i := range n {
			ring.Ring().Take(key, uint32(i))
		}
	}
	want := func(when string, counts ...uint64) {
		t.Helper()
		for key, n := range counts {
			if got := ring.Verified(key); got != n {
				t.Errorf("%s, key %d: got %d, want %d", when, key, got, n)
			}
		}
	}
	take(0, 20)
	take(1, 3)
	want("before", 20, 3, 0)
	ring.SetKeys(Keys("a third secret of the same length..", longKey, otherKey))
	want("with a new key in front", 0, 20, 3, 0)
	take(1, 1)
	ring.SetKeys(Keys("a third secret of the same length..", longKey))
	want("without the last one", 0, 21, 0)
	ring.SetKeys(Keys(otherKey))
	want("when the last one came back", 0)
	if got := ring.Verified(-1); got != 0 {
		t.Errorf("key -1: got %d, want 0", got)
	}
	ring.SetKeys([]Key{SHA1Key(otherKey), SHA256Key(otherKey)})
	take(0, 1)
	want("with two hashes of one secret", 1, 0)
}

// countingHash counts the HMACs that are computed with it.
type countingHash struct {
	hash.Hash
	n *int
}

func (h countingHash) Sum(b []byte) []byte { *h.n++; return h.Hash.Sum(b) }

func TestFourSignaturesCostOneHMACOfEachKey(t *testing.T) {
	keys := NewKeyring([]Key{SHA256Key(longKey), SHA1Key(otherKey), SHA256Key("a third secret of the same length..")}, "koa.sid", false)
	counts := make([]int, 3)
	for i, k := range keys.Ring().keys {
		fresh := k.ids.pool.New
		k.ids.pool.New = func() any {
			m := fresh().(*mac)
			m.hash = countingHash{m.hash, &counts[i]}
			return m
		}
	}
	id := testID(t, testIDText)
	long, short := []byte(strings.Repeat("a", 43)), []byte(strings.Repeat("b", 27))
	for _, c := range []struct {
		name string
		sigs []Signature
		want [3]int
	}{
		{"four of both lengths", signatures(long, short, long, short), [3]int{1, 1, 1}},
		{"four of one length", signatures(long, long, long, long), [3]int{1, 0, 1}},
		{"none", nil, [3]int{}},
	} {
		clear(counts)
		if _, _, ok := keys.Ring().VerifyAny(&id, c.sigs); ok {
			t.Errorf("%s: got good, want refused", c.name)
		}
		if got := [3]int(counts); got != c.want {
			t.Errorf("%s: HMACs of each key: got %v, want %v", c.name, got, c.want)
		}
	}
	good := signatures(long, keys.Ring().keys[2].sign(nil, &id))
	for _, want := range [][3]int{{1, 0, 1}, {}} { // The second time it is remembered.
		clear(counts)
		if sig, key, ok := keys.Ring().VerifyAny(&id, good); !ok || sig != 1 || key != 2 {
			t.Errorf("a good one: got %d, %d, %v, want 1, 2, true", sig, key, ok)
		}
		if got := [3]int(counts); got != want {
			t.Errorf("a good one: HMACs of each key: got %v, want %v", got, want)
		}
	}
}

func TestSetKeysBesideRequests(t *testing.T) {
	ring := NewKeyring(Keys(longKey), "koa.sid", false)
	var source ident.Source
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				id := source.RandomID()
				now := ring.Ring()
				sig := now.keys[0].sign(nil, &id)
				if key, ok := now.Verify(&id, sig); !ok || key != 0 {
					t.Errorf("by the keys of the request's beginning: got %d, %v, want 0, true", key, ok)
					return
				}
				now.Take(0, 0)
				ring.Verify(&id, sig)
				ring.Verified(0)
			}
		})
	}
	for range 100 {
		ring.SetKeys(Keys(otherKey, longKey))
		ring.SetKeys(Keys(longKey))
	}
	wg.Wait()
}
