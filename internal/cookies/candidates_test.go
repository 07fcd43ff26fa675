package cookies

import (
	"slices"
	"strings"
	"testing"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/sign"
)

// pairOf returns the two cookies of text as a browser sends them, signed by ring.
func pairOf(t testing.TB, ring *sign.Keyring, text string) string {
	t.Helper()
	id := testID(t, text)
	return "sid=" + text + "; sid.sig=" + string(ring.Sign(nil, &id))
}

// candidates returns what Find and Next select, with the indices of the keys.
func candidates(t testing.TB, w *Writer, p *Presented, lines ...string) (ids []string, keys []int) {
	t.Helper()
	h := readHeader(t, false, lines...)
	for ok := w.Find(p, h); ok; ok = p.Next() {
		ids, keys = append(ids, p.ID().Value()), append(keys, p.Key())
		h.Reset() // What comes after Find reads no header.
		h.SetCookie("sid", "another")
	}
	return ids, keys
}

func all(p *Presented) (ids []string) {
	for id := range p.Candidates() {
		ids = append(ids, id.Value())
	}
	return ids
}

func TestEveryWellSignedCookieIsSelectedInTheOrderOfTheHeader(t *testing.T) {
	ring := sign.NewKeyring([]sign.Key{sign.SHA256Key(longKey), sign.SHA1Key(otherKey)}, "sid", false)
	old := sign.NewKeyring([]sign.Key{sign.SHA1Key(otherKey)}, "sid", false)
	a, b, c, d := pairOf(t, ring, "a"), pairOf(t, old, "b"), pairOf(t, ring, "c"), pairOf(t, ring, "d")
	bad := "sid=bad; sid.sig=" + sigA
	w := sidWriter(ring)
	for _, test := range []struct {
		name  string
		lines []string
		ids   []string
		keys  []int
	}{
		{"one", []string{a}, []string{"a"}, []int{0}},
		{"two", []string{a + "; " + b}, []string{"a", "b"}, []int{0, 1}},
		{"the other order", []string{b + "; " + a}, []string{"b", "a"}, []int{1, 0}},
		{"a bad one in front", []string{bad + "; " + a + "; " + b}, []string{"a", "b"}, []int{0, 1}},
		{"a bad one between", []string{a + "; " + bad + "; " + b}, []string{"a", "b"}, []int{0, 1}},
		{"four, foreign ones between", []string{a + "; x=1; " + b + "; y=2; " + c + "; " + d}, []string{"a", "b", "c", "d"}, []int{0, 1, 0, 0}},
		{"the second in another line", []string{a, "x=1", b}, []string{"a", "b"}, []int{0, 1}},
		{"the same twice", []string{a + "; " + a + "; " + b}, []string{"a", "b"}, []int{0, 1}},
		{"none", []string{bad}, nil, nil},
	} {
		for i, line := range test.lines {
			test.lines[i] = cookieLine(line)
		}
		for _, state := range []string{"first", "remembered"} {
			var p Presented
			ids, keys := candidates(t, w, &p, test.lines...)
			if !slices.Equal(ids, test.ids) || !slices.Equal(keys, test.keys) {
				t.Errorf("%s, %s: got %v by keys %v, want %v by %v", test.name, state, ids, keys, test.ids, test.keys)
			}
			if got := all(&p); !slices.Equal(got, test.ids) {
				t.Errorf("%s, %s: all candidates: got %v, want %v", test.name, state, got, test.ids)
			}
			if p.Next() {
				t.Errorf("%s, %s: after the last one: got another", test.name, state)
			}
		}
	}
}

func TestCandidatesAreAllThereBeforeTheyAreLookedUp(t *testing.T) {
	ring := sign.NewKeyring(sign.Keys(longKey), "sid", false)
	w := sidWriter(ring)
	var p Presented
	w.Find(&p, readHeader(t, false, cookieLine(pairOf(t, ring, "a")+"; "+pairOf(t, ring, "b"))))
	if got := all(&p); !slices.Equal(got, []string{"a", "b"}) || p.ID().Value() != "a" {
		t.Errorf("got %v with %q selected, want [a b] with a selected", got, p.ID().Value())
	}
	if !p.Next() || p.ID().Value() != "b" {
		t.Errorf("Next: got %q, want b", p.ID().Value())
	}
}

func TestAThousandCookiesAreFourCandidates(t *testing.T) {
	ring := sign.NewKeyring(sign.Keys(longKey), "sid", false)
	var pairs []string
	for i := range 1000 {
		pairs = append(pairs, pairOf(t, ring, "id"+strings.Repeat("x", i%60)+string(rune('0'+i%10))+string(rune('a'+i/60))))
	}
	var p Presented
	ids, _ := candidates(t, sidWriter(ring), &p, cookieLine(strings.Join(pairs, "; ")))
	if len(ids) != 4 || p.nIDs != 4 || p.nSigs != 4 {
		t.Errorf("got %d candidates of %d ids and %d signatures, want 4 of 4 and 4", len(ids), p.nIDs, p.nSigs)
	}
}

func TestWithoutKeysEveryIDIsACandidate(t *testing.T) {
	var p Presented
	ids, _ := candidates(t, sidWriter(nil), &p, cookieLine("sid=a; sid.sig="+sigA+"; sid=b"))
	if want := []string{"a", "b"}; !slices.Equal(ids, want) || !slices.Equal(all(&p), want) {
		t.Errorf("got %v, and of all %v, want %v", ids, all(&p), want)
	}
}

func TestCandidatesKeepTheKeysOfTheirRequest(t *testing.T) {
	ring := sign.NewKeyring(sign.Keys(longKey), "sid", false)
	w := sidWriter(ring)
	line := cookieLine(pairOf(t, ring, "a") + "; " + pairOf(t, ring, "b"))
	var p Presented
	if !w.Find(&p, readHeader(t, false, line)) {
		t.Fatal("got none, want a")
	}
	ring.SetKeys(sign.Keys(otherKey))
	if !p.Next() || p.ID().Value() != "b" {
		t.Error("Next after SetKeys: got none, want b: the request came before")
	}
	if w.Find(&p, readHeader(t, false, line)) {
		t.Error("a request after SetKeys: got a candidate, want none")
	}
}

func TestResetErasesWhatWasPresented(t *testing.T) {
	ring := sign.NewKeyring(sign.Keys(longKey), "sid", false)
	a, b := pairOf(t, ring, "a"), pairOf(t, ring, "b")
	var p Presented
	candidates(t, sidWriter(ring), &p, cookieLine(strings.Join([]string{a, b, a, a, b, "sid=", "sid=c", "sid=c", "sid=d", "sid=d"}, "; ")))
	p.Reset()
	if p.ids != [maxCandidates]ident.ID{} || p.sigs != [maxCandidates]sign.Signature{} || p.proofs != [maxCandidates]proof{} {
		t.Error("got ids, signatures or proofs that are left, want none")
	}
}

func TestASignatureIsSentAgainOnlyIfTheFirstKeyMadeIt(t *testing.T) {
	ring := sign.NewKeyring(sign.Keys(longKey, otherKey), "sid", false)
	second := sign.NewKeyring(sign.Keys(otherKey), "sid", false)
	w := sidWriter(ring)
	var p Presented
	a, b := testID(t, "a"), testID(t, "b")
	want := func(when string, id ident.ID, want []byte) {
		t.Helper()
		if got := w.Signature(&p, &id); string(got) != string(want) {
			t.Errorf("%s: got %d bytes, want %d of the right ones", when, len(got), len(want))
		}
	}
	w.Find(&p, readHeader(t, false))
	want("nothing presented", a, nil)
	want("nothing presented, no id", ident.ID{}, nil)
	w.Find(&p, readHeader(t, false, cookieLine(pairOf(t, ring, "a")+"; "+pairOf(t, second, "b"))))
	want("the selected id", a, ring.Sign(nil, &a))
	want("another id", b, nil)
	p.Next()
	want("the second key's", b, nil)
	w.Find(&p, readHeader(t, false, cookieLine(pairOf(t, ring, "a"))))
	ring.SetKeys(sign.Keys(otherKey, longKey))
	want("after SetKeys", a, nil)
	w = sidWriter(nil)
	w.Find(&p, readHeader(t, false, cookieLine("sid=a")))
	want("unsigned", a, nil)
}
