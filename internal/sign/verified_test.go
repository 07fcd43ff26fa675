package sign

import (
	"strings"
	"sync"
	"testing"

	"github.com/fibersess/sess/internal/ident"
)

// collidingPair returns pairs that share a slot and differ everywhere else.
func collidingPair(n int) pair {
	id, _ := ident.ParseID(strings.Repeat(string(rune('A'+n)), 32))
	return makePair(&id, []byte("same"+strings.Repeat(string(rune('A'+n)), MaxSignatureLen-4)))
}

func TestOnlyVerifiedPairsAreFound(t *testing.T) {
	var table verifiedTable
	a, b := collidingPair(0), collidingPair(1)
	if _, ok := table.find(&a); ok {
		t.Error("in an empty table: got found, want none")
	}
	table.add(&a, 3)
	if index, ok := table.find(&a); !ok || index != 3 {
		t.Errorf("after add: got %d, %v, want 3, true", index, ok)
	}
	if _, ok := table.find(&b); ok {
		t.Error("another pair of the same slot: got found, want none")
	}
	for word := range a.words {
		for bit := range 64 {
			near := a
			near.words[word] ^= 1 << bit
			if _, ok := table.find(&near); ok {
				t.Errorf("bit %d of word %d flipped: got found, want none", bit, word)
			}
		}
	}
	table.add(&b, 1)
	if index, ok := table.find(&b); !ok || index != 1 {
		t.Errorf("after b took the slot: got %d, %v, want 1, true", index, ok)
	}
	if index, ok := table.find(&a); !ok || index != 3 {
		t.Errorf("a, after it moved to the other slot: got %d, %v, want 3, true", index, ok)
	}
	c := collidingPair(2)
	table.add(&c, 0)
	if _, ok := table.find(&b); !ok {
		t.Error("b, after it moved to the other slot: got none, want found")
	}
	if _, ok := table.find(&a); ok {
		t.Error("what c pushed out: got found, want none")
	}
}

func TestOneOfferInFourIsAcceptedWhereTheSlotIsTaken(t *testing.T) {
	var table verifiedTable
	a, b := collidingPair(0), collidingPair(1)
	table.offer(&a, 0)
	if _, ok := table.find(&a); !ok {
		t.Fatal("an offer to a free slot: got refused, want accepted")
	}
	const offers = 4000
	accepted := 0
	for range offers {
		table.offer(&b, 1)
		if _, ok := table.find(&b); ok {
			accepted++
			table.add(&a, 0)
			table.add(&a, 0) // and b is out
		}
	}
	if accepted < offers/5 || accepted > offers/3 { // 1,000, with a standard deviation of 27
		t.Errorf("offers to a taken slot: got %d of %d accepted, want one in four", accepted, offers)
	}
}

func TestAPairThatIsBeingWrittenIsNotFound(t *testing.T) {
	var table verifiedTable
	p, other := collidingPair(0), collidingPair(1)
	table.add(&p, 1)
	seq := &table.slots.Load()[p.slot()].seq
	seq.Add(1) // a writer has begun
	if _, ok := table.find(&p); ok {
		t.Error("while a writer is at work: got found, want none")
	}
	table.add(&other, 2)
	seq.Add(1)
	if index, ok := table.find(&p); !ok || index != 1 {
		t.Errorf("a second writer has met the first: got %d, %v, want 1, true: it must keep out", index, ok)
	}
}

func TestPairsOfOneSlotAreNeverMixedUp(t *testing.T) {
	var table verifiedTable
	const pairs, rounds = 4, 20_000
	start := make(chan struct{})
	var wg sync.WaitGroup
	for n := range pairs {
		mine := collidingPair(n)
		mixed, other := mine, collidingPair((n+1)%pairs) // half and half: what a torn read would find
		copy(mixed.words[pairWords/2:], other.words[pairWords/2:])
		wg.Go(func() {
			<-start
			for range rounds {
				table.add(&mine, n)
				if index, ok := table.find(&mine); ok && index != n {
					t.Errorf("pair %d: got index %d, want %d", n, index, n)
					return
				}
				if _, ok := table.find(&mixed); ok {
					t.Errorf("a mixture of pairs %d and %d: got found, want none", n, (n+1)%pairs)
					return
				}
			}
		})
	}
	close(start)
	wg.Wait()
}

func TestSignaturesSpreadOverTheTable(t *testing.T) {
	ring := NewKeyring(Keys(longKey), "koa.sid", false)
	var source ident.Source
	used := make(map[uint32]bool)
	for range verifiedSlots {
		id := source.RandomID()
		p := makePair(&id, ring.Sign(nil, &id))
		slot := p.slot()
		if slot >= verifiedSlots {
			t.Fatalf("slot: got %d, want less than %d", slot, verifiedSlots)
		}
		used[slot] = true
	}
	// Thrown at random they fill 1-1/e of the slots, 5,178.
	if got, want := len(used), verifiedSlots*60/100; got < want {
		t.Errorf("slots used by as many signatures: got %d, want %d or more", got, want)
	}
}

func TestAPairDependsOnEveryByte(t *testing.T) {
	for _, idLen := range []int{1, 8, 32, 62, 63} {
		for _, sigLen := range []int{sha1SignatureLen, sha256SignatureLen} {
			id, sig := testID(t, strings.Repeat("i", idLen)), []byte(strings.Repeat("s", sigLen))
			seen := map[pair]bool{makePair(&id, sig): true}
			for i := range idLen {
				other := id
				other.Whole()[i] = 'x'
				seen[makePair(&other, sig)] = true
			}
			for i := range sigLen {
				other := []byte(strings.Repeat("s", sigLen))
				other[i] = 'x'
				seen[makePair(&id, other)] = true
			}
			if idLen < ident.MaxIDLen {
				longer := testID(t, strings.Repeat("i", idLen+1))
				seen[makePair(&longer, sig)] = true
			}
			if got, want := len(seen), 1+idLen+sigLen+min(1, ident.MaxIDLen-idLen); got != want {
				t.Errorf("id of %d and signature of %d bytes: got %d different pairs, want %d", idLen, sigLen, got, want)
			}
		}
	}
}
