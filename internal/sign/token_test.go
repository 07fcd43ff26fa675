package sign

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/fibersess/sess/internal/ident"
)

func token(t testing.TB, ring *Keyring, purpose string, id *ident.ID) string {
	t.Helper()
	text, err := ring.Token(nil, purpose, id)
	if err != nil || len(text) != TokenLen {
		t.Fatalf("Token: got %d characters and %v, want %d and nil", len(text), err, TokenLen)
	}
	return string(text)
}

// bookKey is the derived key by RFC 5869, whose expansion to one block is one more HMAC.
func bookKey(secret, use, name string) []byte {
	extracted := bookMAC(make([]byte, sha256.Size), []byte(secret))
	return bookMAC(extracted, []byte(use+" "+name+"\x01"))
}

func bookMAC(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

func bookPart(part string) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(len(part))), part...)
}

func TestATokenIsTheMaskedHMACOfPurposeAndID(t *testing.T) {
	id := testID(t, testIDText)
	want := bookMAC(bookKey(longKey, "sess token", "koa.sid"), append(bookPart("csrf"), bookPart(testIDText)...))
	for name, keys := range map[string][]Key{"SHA-256": {SHA256Key(longKey)}, "SHA-1": {SHA1Key(longKey)}, "plain, Koa": Keys(longKey)} {
		ring := NewKeyring(keys, "koa.sid", true)
		raw, err := base64.RawURLEncoding.DecodeString(token(t, ring, "csrf", &id))
		if err != nil {
			t.Fatalf("%s: got %v, want base64url", name, err)
		}
		for i := range 32 {
			raw[32+i] ^= raw[i]
		}
		if !bytes.Equal(raw[32:], want) {
			t.Errorf("%s: the token unmasked: got another text, want the HMAC by the book", name)
		}
	}
}

func TestTokensAreNeverTheSameTwice(t *testing.T) {
	ring, id := NewKeyring(Keys(longKey), "koa.sid", false), testID(t, testIDText)
	seen := map[string]bool{}
	for range 100 {
		text := token(t, ring, "csrf", &id)
		seen[text[:43]], seen[text[43:]] = true, true
		if !ring.CheckToken("csrf", &id, text) {
			t.Fatal("a token just made: got refused, want good")
		}
	}
	if got, want := len(seen), 200; got != want {
		t.Errorf("different halves of 100 tokens: got %d, want %d", got, want)
	}
}

func TestATokenIsBoundToPurposeIDKeyAndName(t *testing.T) {
	ring := NewKeyring(Keys(longKey), "koa.sid", false)
	id, other := testID(t, testIDText), testID(t, testIDText+"x")
	text := token(t, ring, "csrf", &id)
	for _, c := range []struct {
		name    string
		ring    *Keyring
		purpose string
		id      ident.ID
		want    bool
	}{
		{"the same", ring, "csrf", id, true},
		{"a ring of the same key", NewKeyring(Keys(longKey), "koa.sid", false), "csrf", id, true},
		{"another purpose", ring, "csrg", id, false},
		{"no purpose", ring, "", id, false},
		{"another id", ring, "csrf", other, false},
		{"no id", ring, "csrf", ident.ID{}, false},
		{"another key", NewKeyring(Keys(otherKey), "koa.sid", false), "csrf", id, false},
		{"another name", NewKeyring(Keys(longKey), "koa.sid2", false), "csrf", id, false},
		{"no keys", nil, "csrf", id, false},
	} {
		if got := c.ring.CheckToken(c.purpose, &c.id, text); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	// Purpose and id do not run into one another.
	ab, b := testID(t, "ab"), testID(t, "b")
	if ring.CheckToken("xa", &b, token(t, ring, "x", &ab)) {
		t.Error("purpose x with id ab checked as purpose xa with id b: got good, want refused")
	}
}

func TestTokensOutliveARotationButNotTheirKey(t *testing.T) {
	id := testID(t, testIDText)
	ring := NewKeyring(Keys(longKey), "koa.sid", false)
	text := token(t, ring, "csrf", &id)
	ring.SetKeys(Keys(otherKey, longKey))
	if !ring.CheckToken("csrf", &id, text) {
		t.Error("of a key that is second now: got refused, want good")
	}
	ring.SetKeys(Keys(otherKey))
	if ring.CheckToken("csrf", &id, text) {
		t.Error("of a key that is gone: got good, want refused")
	}
}

func TestEveryOtherTokenIsRefused(t *testing.T) {
	ring, id := NewKeyring(Keys(longKey), "koa.sid", false), testID(t, testIDText)
	text := token(t, ring, "csrf", &id)
	for i := range text {
		for _, c := range []byte{base64URL[strings.IndexByte(base64URL, text[i])^1], '=', '+', 0, '\n'} {
			if bad := text[:i] + string(c) + text[i+1:]; ring.CheckToken("csrf", &id, bad) {
				t.Fatalf("character %d replaced by %q: got good, want refused", i, c)
			}
		}
	}
	last := strings.IndexByte(base64URL, text[TokenLen-1])
	for name, bad := range map[string]string{
		"empty":               "",
		"shorter":             text[1:],
		"longer":              text + "A",
		"padded":              text + "==",
		"a megabyte":          strings.Repeat("A", 1<<20),
		"zeros":               strings.Repeat("A", TokenLen),
		"spare bits set":      text[:TokenLen-1] + string(base64URL[last|1]),
		"the cookie's own":    strings.Repeat("A", 43) + string(ring.Sign(nil, &id)),
		"the mask only":       text[:43] + strings.Repeat("A", 43),
		"halves changed over": text[43:] + text[:43],
	} {
		if ring.CheckToken("csrf", &id, bad) {
			t.Errorf("%s: got good, want refused", name)
		}
	}
}

func TestWithoutKeysATokenIsAnError(t *testing.T) {
	var none *Keyring
	id := testID(t, testIDText)
	if text, err := none.Token(nil, "csrf", &id); !errors.Is(err, ErrNoKeys) || text != nil {
		t.Errorf("got %q and %v, want none and %v", text, err, ErrNoKeys)
	}
}

func TestAUsersMACIsBoundToAllItCovers(t *testing.T) {
	ring := NewKeyring([]Key{SHA1Key(longKey), SHA256Key(otherKey)}, "koa.sid", true)
	id, other := testID(t, testIDText), testID(t, testIDText+"x")
	mac := string(ring.UserMAC(nil, &id, "ann", 1700000000000))
	want := append(append(bookPart(testIDText), bookPart("ann")...), binary.BigEndian.AppendUint64(nil, 1700000000000)...)
	if book := base64.RawURLEncoding.EncodeToString(bookMAC(bookKey(longKey, "sess user", "koa.sid"), want)); mac != book {
		t.Errorf("got another MAC, want that by the book")
	}
	second := string(NewKeyring(Keys(otherKey), "koa.sid", false).UserMAC(nil, &id, "ann", 1700000000000))
	for _, c := range []struct {
		name  string
		mac   string
		id    ident.ID
		user  string
		login int64
		key   int
		want  bool
	}{
		{"the same", mac, id, "ann", 1700000000000, 0, true},
		{"of the second key", second, id, "ann", 1700000000000, 1, true},
		{"another id", mac, other, "ann", 1700000000000, 0, false},
		{"another user", mac, id, "bob", 1700000000000, 0, false},
		{"another time", mac, id, "ann", 1700000000001, 0, false},
		{"no MAC", "", id, "ann", 1700000000000, 0, false},
		{"cut", mac[:42], id, "ann", 1700000000000, 0, false},
		{"another spelling", mac[:42] + string(base64URL[strings.IndexByte(base64URL, mac[42])|1]), id, "ann", 1700000000000, 0, false},
		{"the cookie's signature", string(ring.Sign(nil, &id)), id, "ann", 1700000000000, 0, false},
	} {
		if key, ok := ring.CheckUserMAC(c.mac, &c.id, c.user, c.login); ok != c.want || key != c.key {
			t.Errorf("%s: got %d, %v, want %d, %v", c.name, key, ok, c.key, c.want)
		}
	}
}

func BenchmarkToken(b *testing.B) {
	ring, id := NewKeyring(Keys(longKey), "koa.sid", false), testID(b, testIDText)
	text := token(b, ring, "csrf", &id)
	b.Run("make", func(b *testing.B) {
		var buf [TokenLen]byte
		b.ReportAllocs()
		for b.Loop() {
			ring.Token(buf[:0], "csrf", &id)
		}
	})
	b.Run("check", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ring.CheckToken("csrf", &id, text)
		}
	})
}
