package sign

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"log/slog"
	"strings"
	"testing"

	"github.com/fibersess/sess/internal/ident"
)

const (
	testIDText = "bGX1r5jcQHX4CqO1Heiy_DLvkTpQvx3M"
	longKey    = "a secret of more than sixteen bytes"
	otherKey   = "another secret, just as long as it"
)

// signatures returns texts as a request presents them.
func signatures(texts ...[]byte) []Signature {
	sigs := make([]Signature, len(texts))
	for i, text := range texts {
		sigs[i].Set(text)
	}
	return sigs
}

func testID(t testing.TB, text string) ident.ID {
	t.Helper()
	id, err := ident.ParseID(text)
	if err != nil {
		t.Fatalf("ParseID of a test's id: got %v, want nil", err)
	}
	return id
}

// Rule 3: what Koa's keygrip makes of the same keys and data.
func TestSignaturesAreThoseOfKoa(t *testing.T) {
	for _, v := range []struct{ key, hash, prefix, id, want string }{
		{"keys", "sha1", "koss:test_sid=", testIDText, "ZvZ8W0x9akbySx-9kEUkVPqAd2g"},
		{"SEKRIT1", "sha1", "Keyboard Cat has a ", "hat.", "34Sr3OIsheUYWKL5_w--zJsdSNk"},
		{"SEKRIT2", "sha1", "Keyboard Cat has a ", "hat.", "_jl9qXYgk5AgBiKFOPYK073FMEQ"},
		{"SEKRIT1", "sha256", "Keyboard Cat has a ", "hat.", "pu97aPRZRLKi3-eANtIlTG_CwSc39mAcIZ1c6FxsGCk"},
		{"keys", "sha1", "koa.sid=", testIDText, "WX3GyLz6Vv0v7LNBpaXafvZyQMQ"},
		{"SEKRIT2", "sha256", "koa.sid=", testIDText, "DhRVTEpRPCI8_a21w4y_YwO3yI8yqD6L8eJIQYneQfM"},
	} {
		k := &signingKey{prefix: v.prefix, ids: newMACKey([]byte(v.key), v.hash == "sha1")}
		id := testID(t, v.id)
		for range 3 { // the second use of a pooled hash starts from its saved state
			if got := string(k.sign(nil, &id)); got != v.want {
				t.Errorf("%s with key %s of %s: got %s, want %s", v.hash, v.key, v.prefix+v.id, got, v.want)
			}
		}
	}
}

func TestKeysSignWithSHA1OnlyForKoa(t *testing.T) {
	id := testID(t, testIDText)
	const sha1Sig, sha256Sig = "WX3GyLz6Vv0v7LNBpaXafvZyQMQ", "AUKowIElgSWFGZ6APKIXPRJEtruhp5SeOMka-RqBkag"
	for _, c := range []struct {
		name string
		keys []Key
		koa  bool
		want string
	}{
		{"Keys", Keys("keys"), false, sha256Sig},
		{"Keys, Koa", Keys("keys"), true, sha1Sig},
		{"Keys of bytes, Koa", Keys([]byte("keys")), true, sha1Sig},
		{"SHA256Key, Koa", []Key{SHA256Key("keys")}, true, sha256Sig},
		{"SHA1Key", []Key{SHA1Key([]byte("keys"))}, false, sha1Sig},
	} {
		if got := string(NewKeyring(c.keys, "koa.sid", c.koa).Sign(nil, &id)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// Rule 4: the first key signs, every key verifies, whatever its hash.
func TestRotatedAndMixedKeysVerify(t *testing.T) {
	id := testID(t, testIDText)
	keys := []Key{SHA256Key(longKey), SHA1Key(longKey), SHA256Key(otherKey), SHA1Key(otherKey)}
	ring := NewKeyring(keys, "koa.sid", false)
	for want, key := range keys {
		sig := NewKeyring([]Key{key}, "koa.sid", false).Sign(nil, &id)
		for _, state := range []string{"first seen", "remembered"} {
			if got, ok := ring.Verify(&id, sig); !ok || got != want {
				t.Errorf("signature of key %d, %s: got %d, %v, want %d, true", want, state, got, ok, want)
			}
		}
	}
	if sig := NewKeyring(Keys("a key of which the ring does not know"), "koa.sid", false).Sign(nil, &id); true {
		if _, ok := ring.Verify(&id, sig); ok {
			t.Error("signature of a key that was dropped: got ok, want refused")
		}
	}
	if sig := NewKeyring(keys, "koa.sid2", false).Sign(nil, &id); true {
		if _, ok := ring.Verify(&id, sig); ok {
			t.Error("signature of the id under another cookie's name: got ok, want refused")
		}
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	for _, key := range []Key{SHA1Key(longKey), SHA256Key(longKey)} {
		ring := NewKeyring([]Key{key}, "koa.sid", false)
		id := testID(t, testIDText)
		sig := ring.Sign(nil, &id)
		for _, state := range []string{"before", "after"} {
			for bit := range 8 * len(sig) {
				bad := bytes.Clone(sig)
				bad[bit/8] ^= 1 << (bit % 8)
				if _, ok := ring.Verify(&id, bad); ok {
					t.Errorf("%d characters, bit %d of the signature flipped, %s the right one was seen: got ok, want refused", len(sig), bit, state)
				}
			}
			for bit := range 8 * len(id.Bytes()) {
				bad := id
				bad.Whole()[bit/8] ^= 1 << (bit % 8)
				if _, ok := ring.Verify(&bad, sig); ok {
					t.Errorf("%d characters, bit %d of the id flipped, %s the right one was seen: got ok, want refused", len(sig), bit, state)
				}
			}
			if _, ok := ring.Verify(&id, sig); !ok {
				t.Fatalf("%d characters, the right pair: got refused, want ok", len(sig))
			}
		}
	}
}

func TestASignatureHasOneSpelling(t *testing.T) {
	id := testID(t, testIDText)
	for _, key := range []Key{SHA1Key(longKey), SHA256Key(longKey)} {
		ring := NewKeyring([]Key{key}, "koa.sid", false)
		sig := string(ring.Sign(nil, &id))
		if _, ok := ring.Verify(&id, []byte(sig)); !ok {
			t.Fatal("the signature itself: got refused, want ok")
		}
		last := strings.IndexByte(base64URL, sig[len(sig)-1])
		for name, bad := range map[string]string{
			"spare bits set":           sig[:len(sig)-1] + string(base64URL[last+1]),
			"padded":                   sig + "=",
			"filled up with zeros":     sig + strings.Repeat("\x00", max(0, MaxSignatureLen-len(sig))) + strings.Repeat("\x00", len(sig)/MaxSignatureLen),
			"cut and laid out anew":    crafted(sig),
			"cut":                      sig[:len(sig)-1],
			"cut to the other length":  sig[:min(sha1SignatureLen, len(sig)-1)],
			"longer":                   sig + "A",
			"the standard alphabet":    strings.NewReplacer("-", "+", "_", "/").Replace(sig) + "=",
			"empty":                    "",
			"ten thousand bytes":       strings.Repeat("A", 10_000),
			"a line break in the text": sig[:5] + "\n" + sig[5:],
		} {
			if _, ok := ring.Verify(&id, []byte(bad)); ok {
				t.Errorf("%d characters, %s: got ok, want refused", len(sig), name)
			}
		}
	}
	var zero ident.ID
	ring := NewKeyring(Keys(longKey), "koa.sid", false)
	if _, ok := ring.Verify(&zero, ring.Sign(nil, &zero)); ok {
		t.Error("no id, rightly signed: got ok, want refused")
	}
}

// crafted returns 43 bytes that read, in the table's words, like a signature of 27.
func crafted(sig string) string {
	return sig[:24] + sig[19:27] + strings.Repeat("\x00", MaxSignatureLen-32)
}

const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func TestAKeyIsNeverPrinted(t *testing.T) {
	type visible struct {
		Keys []Key
		One  Key
		Ref  *Key
	}
	type hidden struct{ keys []Key }
	key := SHA256Key(longKey)
	v := visible{Keys: Keys(longKey, otherKey), One: key, Ref: &key}
	var logged strings.Builder
	for _, h := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(h).Info("key", "key", key, "keys", v.Keys, "config", v)
	}
	asJSON, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("json.Marshal: got %v, want nil", err)
	}
	texts := []string{logged.String(), string(asJSON)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "% x", "%8.3s"} {
		texts = append(texts, fmt.Sprintf(verb, key), fmt.Sprintf(verb, v), fmt.Sprintf(verb, &v), fmt.Sprintf(verb, v.Keys), fmt.Sprintf(verb, hidden{v.Keys}))
	}
	for _, text := range texts {
		for _, secret := range []string{longKey, otherKey} {
			for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprint([]byte(secret)), fmt.Sprintf("% x", secret)} {
				if strings.Contains(text, strings.Trim(form, "[]")[:12]) {
					t.Errorf("a secret shows: %s", text)
				}
			}
		}
	}
	if got := fmt.Sprintf("%+v", visible{Keys: Keys(longKey)}); got != "{Keys:[sess.Key] One:sess.Key Ref:<nil>}" {
		t.Errorf("%%+v of a struct: got %s, want {Keys:[sess.Key] One:sess.Key Ref:<nil>}", got)
	}
}

func TestWhatAnHMACWasOfIsErased(t *testing.T) {
	k := newMACKey([]byte(longKey), false)
	m := k.begin()
	m.text = append(m.text, "somebody's id"...)
	m.sum()
	k.end(m)
	if text := m.text[:cap(m.text)]; !bytes.Equal(text, make([]byte, len(text))) || m.out != [32]byte{} {
		t.Error("the room of an HMAC: got a text or an HMAC that is left, want zeros")
	}
	m = k.begin()
	m.text = append(m.text, make([]byte, keepText+1)...)
	k.end(m)
	if again := k.begin(); cap(again.text) > keepText {
		t.Errorf("after a text of %d bytes: got its room kept, want it gone", keepText+1)
	}
}

func TestKeysCopyTheirBytes(t *testing.T) {
	id := testID(t, testIDText)
	secret := []byte(longKey)
	ring := NewKeyring(Keys(secret), "koa.sid", false)
	clear(secret)
	if got, want := string(ring.Sign(nil, &id)), string(NewKeyring(Keys(longKey), "koa.sid", false).Sign(nil, &id)); got != want {
		t.Errorf("after the caller erased its slice: got %s, want %s", got, want)
	}
}

func TestBadKeysAreNamedByPlaceAndLength(t *testing.T) {
	keys := []Key{SHA256Key(longKey), {}, SHA1Key("15 bytes secret"), SHA1Key("sixteen bytes ok"), SHA256Key("")}
	for _, c := range []struct {
		short bool
		want  []string
	}{
		{false, []string{"Config.Keys[1]: empty", "Config.Keys[2]: 15 bytes; want 16", "Config.Keys[4]: empty"}},
		{true, []string{"Config.Keys[1]: empty", "Config.Keys[4]: empty"}},
	} {
		got := ValidateKeys("Config.Keys", keys, c.short, false)
		if len(got) != len(c.want) {
			t.Fatalf("short keys %v: got %v, want %v", c.short, got, c.want)
		}
		for i, err := range got {
			if !strings.HasPrefix(err.Error(), "sess: "+c.want[i]) || strings.Contains(err.Error(), "secret;") {
				t.Errorf("short keys %v: got %q, want %q", c.short, err, c.want[i])
			}
		}
	}
}

// hmacText is the signature by the book.
func hmacText(newHash func() hash.Hash, key, data string) string {
	h := hmac.New(newHash, []byte(key))
	h.Write([]byte(data))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func FuzzSignature(f *testing.F) {
	ring := NewKeyring([]Key{SHA256Key(longKey), SHA1Key(otherKey)}, "koa.sid", false)
	good := testID(f, testIDText)
	f.Add(testIDText, ring.Sign(nil, &good))
	f.Add(testIDText, []byte(hmacText(sha1.New, otherKey, "koa.sid="+testIDText)))
	f.Add("x", []byte{})
	f.Add("x", []byte("x"))
	f.Fuzz(func(t *testing.T, text string, sig []byte) {
		id, err := ident.ParseID(text)
		if err != nil {
			return
		}
		for i, want := range []string{hmacText(sha256.New, longKey, "koa.sid="+text), hmacText(sha1.New, otherKey, "koa.sid="+text)} {
			if index, ok := ring.Verify(&id, []byte(want)); !ok || index != i {
				t.Errorf("the signature of key %d: got %d, %v, want %d, true", i, index, ok, i)
			}
			if string(sig) == want {
				return
			}
		}
		if _, ok := ring.Verify(&id, sig); ok {
			t.Error("another signature: got ok, want refused")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	id := testID(b, testIDText)
	ring := NewKeyring(Keys(longKey), "koa.sid", false)
	sig := ring.Sign(nil, &id)
	b.Run("remembered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := ring.Verify(&id, sig); !ok {
				b.Fatal("got refused, want ok")
			}
		}
	})
	b.Run("remembered/parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ring.Verify(&id, sig)
			}
		})
	})
	for name, key := range map[string]Key{"hmac-sha256": SHA256Key(longKey), "hmac-sha1": SHA1Key(longKey)} {
		b.Run(name, func(b *testing.B) {
			k := NewKeyring([]Key{key}, "koa.sid", false).Ring().keys[0]
			sigs := signatures(k.sign(nil, &id))
			b.ReportAllocs()
			for b.Loop() {
				k.verify(&id, sigs)
			}
		})
	}
	b.Run("new each time", func(b *testing.B) { // 65,536 sessions in turn: the table mostly misses
		ids, sigs := make([]ident.ID, 1<<16), make([][]byte, 1<<16)
		var source ident.Source
		for i := range ids {
			ids[i] = source.RandomID()
			sigs[i] = ring.Sign(nil, &ids[i])
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			ring.Verify(&ids[i&(1<<16-1)], sigs[i&(1<<16-1)])
		}
	})
}
