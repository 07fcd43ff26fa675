package sign

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"sync"

	"github.com/fibersess/sess/internal/ident"
)

// Key is the root's Key.
type Key struct {
	// A function keeps the secret from fmt where a Key stands in an unexported field: fmt calls no method of ours
	// there and follows pointers, but of a function it prints the address.
	reveal func() (secret []byte, kind keyKind)
}

type keyKind uint8

const (
	keyPlain keyKind = iota // SHA-256, or SHA-1 under Config.Koa
	keySHA256
	keySHA1
)

// Keys is the root's Keys.
func Keys[T string | []byte](secrets ...T) []Key {
	keys := make([]Key, len(secrets))
	for i, s := range secrets {
		keys[i] = newKey(s, keyPlain)
	}
	return keys
}

// SHA256Key is the root's SHA256Key.
func SHA256Key[T string | []byte](secret T) Key { return newKey(secret, keySHA256) }

// SHA1Key is the root's SHA1Key.
func SHA1Key[T string | []byte](secret T) Key { return newKey(secret, keySHA1) }

func newKey[T string | []byte](text T, kind keyKind) Key {
	secret := append([]byte(nil), text...)
	return Key{func() ([]byte, keyKind) { return secret, kind }}
}

// redacted is all that is ever printed of a Key.
const redacted = "sess.Key"

// Format prints "sess.Key" for every verb.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// GoString returns "sess.Key".
func (k Key) GoString() string { return redacted }

// String returns "sess.Key".
func (k Key) String() string { return redacted }

// LogValue is "sess.Key", for log/slog.
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "sess.Key": a Config that is written out as JSON shows no secret. It cannot be read back.
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// minKeyLen is the shortest secret, in bytes, that is admitted without Config.DangerouslyShortKeys.
const minKeyLen = 16

// ValidateKeys returns all that is wrong with the keys of a Config; what it says of a key is its place and length.
func ValidateKeys(keys []Key, shortAllowed bool) (errs []error) {
	for i, k := range keys {
		n := 0
		if k.reveal != nil {
			secret, _ := k.reveal()
			n = len(secret)
		}
		switch {
		case n == 0:
			errs = append(errs, fmt.Errorf("sess: Config.Keys[%d]: empty; want a secret of 32 random bytes or more", i))
		case n < minKeyLen && !shortAllowed:
			errs = append(errs, fmt.Errorf(
				"sess: Config.Keys[%d]: %d bytes; want %d or more, or set Config.DangerouslyShortKeys", i, n, minKeyLen))
		}
	}
	return errs
}

// The lengths of a signature, in characters of unpadded base64url. They tell the hash that made it.
const (
	sha1SignatureLen   = 27
	sha256SignatureLen = 43
	MaxSignatureLen    = sha256SignatureLen
)

// IsSignatureLen reports whether a signature can be n characters long.
func IsSignatureLen(n int) bool { return n == sha1SignatureLen || n == sha256SignatureLen }

// Signature is a signature as a request presents it, held by value.
type Signature struct {
	n uint8
	b [MaxSignatureLen]byte
}

func (s *Signature) Set(text []byte) { s.n = uint8(copy(s.b[:], text)) }

func (s *Signature) Bytes() []byte { return s.b[:s.n] }

// Keyring signs and verifies the ids of one cookie name. What is signed are the bytes NAME=ID, so that a signature
// is worth nothing under another name. It never changes and is safe for concurrent use.
type Keyring struct {
	keys     []*signingKey
	verified verifiedTable
}

// NewKeyring returns a ring of keys, which have passed validateKeys, for the cookie called name.
func NewKeyring(keys []Key, name string, koa bool) *Keyring {
	k := &Keyring{keys: make([]*signingKey, len(keys))}
	for i, key := range keys {
		secret, kind := key.reveal()
		newHash, sigLen := sha256.New, sha256SignatureLen
		if kind == keySHA1 || kind == keyPlain && koa {
			newHash, sigLen = sha1.New, sha1SignatureLen
		}
		k.keys[i] = newSigningKey(newHash, secret, name+"=", sigLen)
	}
	return k
}

// Sign appends the first key's signature of id to dst.
func (k *Keyring) Sign(dst []byte, id *ident.ID) []byte { return k.keys[0].sign(dst, id) }

// Verify reports whether sig is a signature of id, and the index of the key that made it. The time it takes says
// nothing about a signature that would be right. Signatures are compared as text, so one of them has one spelling:
// spare bits at its end must be zero.
func (k *Keyring) Verify(id *ident.ID, sig []byte) (index int, ok bool) {
	if !IsSignatureLen(len(sig)) || id.IsZero() {
		return 0, false
	}
	p := makePair(id, sig)
	if index, ok = k.verified.find(&p); ok {
		return index, true
	}
	for index, key := range k.keys {
		if key.sigLen == len(sig) && key.verify(id, sig) {
			k.verified.offer(&p, index)
			return index, true
		}
	}
	return 0, false
}

// Recall is verify for what is remembered: false says nothing. sig is of a signature's length, id may be any text.
func (k *Keyring) Recall(id *ident.ID, sig []byte) (index int, ok bool) {
	p := makePair(id, sig)
	return k.verified.find(&p)
}

// signingKey is a key made ready to sign a prefix and an id.
type signingKey struct {
	prefix string
	sigLen int
	pool   sync.Pool // of *macState
}

// macState is a keyed hash and the room to use it without allocating. A hash that was reset once starts from the
// state behind the key's block, which saves half of the work that hmac.New makes.
type macState struct {
	hash hash.Hash
	data []byte // the prefix, then room for an id
	sum  [sha256.Size]byte
}

func newSigningKey(newHash func() hash.Hash, key []byte, prefix string, sigLen int) *signingKey {
	k := &signingKey{prefix: prefix, sigLen: sigLen}
	k.pool.New = func() any {
		data := append(make([]byte, 0, len(prefix)+ident.MaxIDLen), prefix...)
		return &macState{hash: hmac.New(newHash, key), data: data}
	}
	return k
}

func (k *signingKey) sign(dst []byte, id *ident.ID) []byte {
	m := k.pool.Get().(*macState)
	defer k.pool.Put(m)
	m.data = id.AppendTo(m.data[:len(k.prefix)])
	m.hash.Reset()
	m.hash.Write(m.data)
	return base64.RawURLEncoding.AppendEncode(dst, m.hash.Sum(m.sum[:0]))
}

func (k *signingKey) verify(id *ident.ID, sig []byte) bool {
	var buf [MaxSignatureLen]byte
	return subtle.ConstantTimeCompare(sig, k.sign(buf[:0], id)) == 1
}
