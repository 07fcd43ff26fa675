package sign

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/ident"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// testMark returns the mark of number n, the same each time. Marks of one neighbourhood share a bucket, however large.
func testMark(neighbourhood, n uint64) mark {
	r := rand.New(rand.NewPCG(neighbourhood, 0))
	place := r.Uint64()
	r = rand.New(rand.NewPCG(neighbourhood, n+1))
	return mark{place&^0xffff_ff80 | r.Uint64()&0xffff_ff80, r.Uint64()}
}

func randomMark() mark { return mark{rand.Uint64(), rand.Uint64()} }

func wantKey(t *testing.T, v *verified, what string, m mark, want int) {
	t.Helper()
	if key, ok := v.find(m); !ok || key != want {
		t.Errorf("%s: got %d, %v, want %d, true", what, key, ok, want)
	}
}

func wantNone(t *testing.T, v *verified, what string, m mark) {
	t.Helper()
	if key, ok := v.find(m); ok {
		t.Errorf("%s: got key %d, want none", what, key)
	}
}

func TestOnlyMarksOfVerifiedPairsAreFound(t *testing.T) {
	v := newVerified()
	a, b := testMark(0, 0), testMark(0, 1)
	wantNone(t, v, "in an empty memory", a)
	wantNone(t, v, "zeros in an empty memory", mark{})
	v.add(a, 3, noon)
	wantKey(t, v, "after add", a, 3)
	wantNone(t, v, "another mark of the same bucket", b)
	for bit := range 64 {
		if 1<<bit&markBits != 0 {
			wantNone(t, v, "a bit of word a flipped", mark{a.a ^ 1<<bit, a.b})
		}
		wantNone(t, v, "a bit of word b flipped", mark{a.a, a.b ^ 1<<bit})
	}
	v.add(b, 0, noon)
	wantKey(t, v, "beside another", a, 3)
	wantKey(t, v, "the other", b, 0)
	wantNone(t, v, "word a of one, word b of the other", mark{a.a, b.b})
	v.add(a, 1, noon)
	wantKey(t, v, "verified by another key", a, 1)
}

func TestEveryKeyIsRememberedOrVerifiedAnew(t *testing.T) {
	v := newVerified()
	for key := range maxKey + 1 {
		m := randomMark()
		v.add(m, key, noon)
		wantKey(t, v, "key", m, key)
	}
	late := randomMark()
	v.add(late, maxKey+1, noon)
	wantNone(t, v, "a key that has no room in a slot", late)

	var secrets []string
	for i := range maxKey + 5 {
		secrets = append(secrets, strings.Repeat(string(rune('A'+i)), 20))
	}
	ring, id := NewKeyring(Keys(secrets...), "koa.sid", false), testID(t, testIDText)
	last := len(secrets) - 1
	sig := ring.Ring().keys[last].sign(nil, &id)
	for range 2 {
		if key, ok := ring.Verify(&id, sig); !ok || key != last {
			t.Errorf("the last of %d keys: got %d, %v, want %d, true", len(secrets), key, ok, last)
		}
	}
}

func TestInAFullBucketTheOneThatWasNotUsedGoes(t *testing.T) {
	v := newVerified()
	for n := range uint64(len(bucket{})) {
		v.add(testMark(0, n), 0, noon)
	}
	later := noon.Add(forgetAfter) // Now the part asks who is used, and forgets nobody yet.
	v.add(testMark(1, 0), 0, later)
	p := v.part(testMark(0, 0))
	if v.part(testMark(1, 0)) != p {
		p.rebuild(true)
	}
	for n := range uint64(len(bucket{})) {
		if n != 2 {
			wantKey(t, v, "before the bucket overflows", testMark(0, n), 0)
		}
	}
	p.put(*p.buckets.Load(), testMark(0, 9).a&markBits|1<<keyShift|usedBit, testMark(0, 9).b)
	for n := range uint64(len(bucket{})) {
		if n != 2 {
			wantKey(t, v, "used", testMark(0, n), 0)
		}
	}
	wantKey(t, v, "the new one", testMark(0, 9), 0)
	wantNone(t, v, "the one that was not used", testMark(0, 2))
}

func TestWhatIsNotUsedForAnHourOrTwoIsForgotten(t *testing.T) {
	v := newVerified()
	used, unused := testMark(0, 0), testMark(0, 1)
	v.add(used, 0, noon)
	v.add(unused, 0, noon)
	for hour := range time.Duration(4) {
		v.add(testMark(0, 2), 0, noon.Add(hour*forgetAfter))
		wantKey(t, v, "used every hour", used, 0)
		if hour >= 2 {
			wantNone(t, v, "not used for more than an hour", unused)
		}
	}
	v.add(testMark(0, 2), 0, noon.Add(3*forgetAfter+time.Minute))
	wantKey(t, v, "used less than an hour ago", used, 0)
}

func TestMarksOfOneBucketAreNeverMixedUp(t *testing.T) {
	v := newVerified()
	const goroutines, rounds = 6, 5_000
	start := make(chan struct{})
	var wg sync.WaitGroup
	for n := range uint64(goroutines) {
		mine, other := testMark(0, n), testMark(0, (n+1)%goroutines)
		mixed := mark{mine.a, other.b} // what a reader may see while a slot is written to
		wg.Go(func() {
			<-start
			for i := range rounds {
				v.add(mine, int(n), noon.Add(time.Duration(i)*time.Minute))
				if key, ok := v.find(mine); ok && key != int(n) {
					t.Errorf("mark %d: got key %d, want %d", n, key, n)
					return
				}
				if _, ok := v.find(mixed); ok {
					t.Errorf("word a of mark %d and word b of mark %d: got found, want none", n, (n+1)%goroutines)
					return
				}
			}
		})
	}
	close(start)
	wg.Wait()
}

func TestAMarkDependsOnEveryByte(t *testing.T) {
	m := newMarker()
	for _, idLen := range []int{1, 8, 31, 32, 33, 48, 62, 63} {
		for _, sigLen := range []int{sha1SignatureLen, sha256SignatureLen} {
			id, sig := testID(t, strings.Repeat("i", idLen)), []byte(strings.Repeat("s", sigLen))
			as, bs := map[uint64]bool{}, map[uint64]bool{}
			see := func(id ident.ID, sig []byte) {
				made := m.mark(&id, sig)
				as[made.a&markBits], bs[made.b] = true, true
			}
			see(id, sig)
			for i := range idLen {
				other := id
				other.Whole()[i] = 'x'
				see(other, sig)
			}
			for i := range sigLen {
				other := []byte(strings.Repeat("s", sigLen))
				other[i] = 'x'
				see(id, other)
			}
			want := 1 + idLen + sigLen
			if idLen < ident.MaxIDLen {
				see(testID(t, strings.Repeat("i", idLen+1)), sig)
				want++
			}
			if len(as) != want || len(bs) != want {
				t.Errorf("id of %d and signature of %d bytes: got %d and %d different words, want %d", idLen, sigLen, len(as), len(bs), want)
			}
		}
	}
}

func TestMarksAreMadeByTheFormula(t *testing.T) {
	m := newMarker()
	big128 := func(high, low uint64) *big.Int {
		n := new(big.Int).SetUint64(high)
		return n.Add(n.Lsh(n, 64), new(big.Int).SetUint64(low))
	}
	modulus := big128(1, 0)
	modulus.Mul(modulus, modulus)
	for _, idLen := range []int{5, 32, 33, 63} {
		for _, sigLen := range []int{sha1SignatureLen, sha256SignatureLen} {
			id, sig := testID(t, strings.Repeat("i", idLen)), []byte(strings.Repeat("sig", sigLen)[:sigLen])
			whole := append(id.Whole()[:], 0)
			x := []uint64{uint64(idLen), uint64(sigLen), word(whole), word(whole[8:]), word(whole[16:]), word(whole[24:]),
				word(sig), word(sig[8:]), word(sig[16:]), word(sig[19:]), 0, 0, 0, 0, 0, 0}
			if sigLen == sha256SignatureLen {
				x[10], x[11] = word(sig[27:]), word(sig[35:])
			}
			if idLen > 32 {
				x[12], x[13], x[14], x[15] = word(whole[32:]), word(whole[40:]), word(whole[48:]), word(whole[55:])
			}
			var words [2]uint64
			for w := range words {
				sum := new(big.Int)
				for i := 0; i < 16; i += 2 {
					if i == 10 && sigLen == sha1SignatureLen || i >= 12 && idLen <= 32 {
						continue
					}
					k := m.k[2*w:]
					sum.Add(sum, new(big.Int).Mul(big128(0, x[i]+k[i]), big128(0, x[i+1]+k[i+1])))
				}
				sum.Mod(sum, modulus)
				low := new(big.Int).Mod(sum, big128(1, 0))
				high := new(big.Int).Rsh(sum, 64)
				f := m.f[w]
				folded := new(big.Int).Mul(big128(f[0], f[1]), low)
				folded.Add(folded, new(big.Int).Mul(big128(f[2], f[3]), high))
				words[w] = folded.Rsh(folded.Mod(folded, modulus), 64).Uint64()
			}
			if got, want := m.mark(&id, sig), (mark{words[0], words[1]}); got != want {
				t.Errorf("id of %d and signature of %d bytes: got another mark than that of the formula", idLen, sigLen)
			}
		}
	}
}

func TestMarksAreSecret(t *testing.T) {
	id, sig := testID(t, testIDText), []byte(strings.Repeat("s", sha256SignatureLen))
	one, two := newMarker(), newMarker()
	a, b := one.mark(&id, sig), two.mark(&id, sig)
	if a.a == b.a || a.b == b.b {
		t.Error("marks of one pair by two markers: got the same word, want others")
	}
	if a != one.mark(&id, sig) {
		t.Error("the mark of one pair twice: got another, want the same")
	}
}

func TestMarksSpreadOverPartsAndBuckets(t *testing.T) {
	ring := NewKeyring(Keys(longKey), "koa.sid", false)
	var source ident.Source
	const n = 1 << 13
	used := make(map[uint64]bool)
	for range n {
		id := source.RandomID()
		m := ring.Ring().verified.marker.mark(&id, ring.Sign(nil, &id))
		used[m.a>>58<<7|m.a>>32&127] = true
	}
	// Thrown at random they fill 1-1/e of as many places, 5,178.
	if got, want := len(used), n*60/100; got < want {
		t.Errorf("places used by as many pairs: got %d, want %d or more", got, want)
	}
}
