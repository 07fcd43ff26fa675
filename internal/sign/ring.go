package sign

import (
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/tally"
)

// Keyring has the keys of one Manager. What is signed are the bytes NAME=ID, so that a signature is worth nothing under
// another cookie's name. It is safe for concurrent use.
type Keyring struct {
	name string
	koa  bool
	set  sync.Mutex // held by SetKeys
	ring atomic.Pointer[Ring]
}

// Ring is the keys of a [Keyring] from one SetKeys to the next, and what they have verified. A request that takes it at
// its beginning keeps the same keys under the same indices. Only what it remembers changes; it is safe for concurrent use.
type Ring struct {
	keys     []*signingKey // not empty
	verified *verified
}

// NewKeyring returns a ring of keys, which have passed [ValidateKeys], for the cookie called name.
func NewKeyring(keys []Key, name string, koa bool) *Keyring {
	k := &Keyring{name: name, koa: koa}
	k.SetKeys(keys)
	return k
}

// SetKeys replaces the keys by others that have passed [ValidateKeys]. Every signature is verified anew, so that a
// signature of a key that has gone is refused from now on. A key that stays keeps its count.
func (k *Keyring) SetKeys(keys []Key) {
	k.set.Lock()
	defer k.set.Unlock()
	old := k.ring.Load()
	next := &Ring{keys: make([]*signingKey, len(keys)), verified: newVerified()}
	for i, key := range keys {
		next.keys[i] = old.keyLike(key, k.koa)
		if next.keys[i] == nil {
			next.keys[i] = newSigningKey(key, k.name, k.koa)
		}
	}
	k.ring.Store(next)
}

// Ring returns the keys of this moment. It is nil for a nil Keyring, which stands for cookies without a signature.
func (k *Keyring) Ring() *Ring {
	if k == nil {
		return nil
	}
	return k.ring.Load()
}

// Sign appends the first key's signature of id to dst.
func (k *Keyring) Sign(dst []byte, id *ident.ID) []byte { return k.Ring().keys[0].sign(dst, id) }

// Verify is [Ring.Verify] with the keys of this moment.
func (k *Keyring) Verify(id *ident.ID, sig []byte) (key int, ok bool) {
	return k.Ring().Verify(id, sig)
}

// Verified returns how often a request's id was taken because of a signature that the key of the given index made, since
// that key came into the ring. It returns 0 for an index without a key.
func (k *Keyring) Verified(key int) uint64 {
	keys := k.Ring().keys
	if key < 0 || key >= len(keys) {
		return 0
	}
	return keys[key].taken.Sum(0)
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

// Set makes s, which is zero, the text, which is of a signature's length.
func (s *Signature) Set(text []byte) { s.n = uint8(copy(s.b[:], text)) }

// Bytes returns the text as a view of s.
func (s *Signature) Bytes() []byte { return s.b[:s.n] }

// Verify reports whether sig is a signature of id, and the index of the key that made it. The time it takes says
// nothing about a signature that would be right. Signatures are compared as text, so one of them has one spelling:
// spare bits at its end must be zero.
func (r *Ring) Verify(id *ident.ID, sig []byte) (key int, ok bool) {
	if !IsSignatureLen(len(sig)) {
		return 0, false
	}
	var one [1]Signature
	one[0].Set(sig)
	_, key, ok = r.VerifyAny(id, one[:])
	return key, ok
}

// VerifyAny is Verify for several signatures of which one may be id's: it returns the index of that one too. Each key
// makes its signature of id once and compares it with all of them, so ten signatures cost hardly more than one.
func (r *Ring) VerifyAny(id *ident.ID, sigs []Signature) (sig, key int, ok bool) {
	if id.IsZero() {
		return 0, 0, false
	}
	for i := range sigs {
		if key, ok = r.Recall(id, sigs[i].Bytes()); ok {
			return i, key, true
		}
	}
	for key, k := range r.keys {
		if sig, ok = k.verify(id, sigs); ok {
			r.verified.add(r.verified.marker.mark(id, sigs[sig].Bytes()), key, time.Now())
			return sig, key, true
		}
	}
	return 0, 0, false
}

// Recall is Verify for what is remembered: false says nothing. sig is of a signature's length, id may be any text.
func (r *Ring) Recall(id *ident.ID, sig []byte) (key int, ok bool) {
	return r.verified.find(r.verified.marker.mark(id, sig))
}

// Take counts that an id was taken because of a signature of the key. Calls that seldom run at once use one stripe,
// others another.
func (r *Ring) Take(key int, stripe uint32) { r.keys[key].taken.Add(stripe, 0) }

// keyLike returns the key of r that is made of the same secret and hash, nil if there is none.
func (r *Ring) keyLike(key Key, koa bool) *signingKey {
	if r == nil {
		return nil
	}
	secret, sha1 := key.open(koa)
	for _, k := range r.keys {
		if old, oldSHA1 := k.key.open(koa); oldSHA1 == sha1 && subtle.ConstantTimeCompare(old, secret) == 1 {
			return k
		}
	}
	return nil
}

// signingKey is a key made ready to sign the ids of one cookie.
type signingKey struct {
	key    Key
	prefix string // the cookie's name and an equals sign
	sigLen int
	ids    *macKey // of the secret itself, as Koa's are
	tokens *macKey
	users  *macKey
	taken  tally.Tally
}

func newSigningKey(key Key, name string, koa bool) *signingKey {
	secret, sha1 := key.open(koa)
	k := &signingKey{
		key:    key,
		prefix: name + "=",
		sigLen: sha256SignatureLen,
		ids:    newMACKey(secret, sha1),
		tokens: derive(secret, forTokens, name),
		users:  derive(secret, forUsers, name),
	}
	if sha1 {
		k.sigLen = sha1SignatureLen
	}
	return k
}

func (k *signingKey) sign(dst []byte, id *ident.ID) []byte {
	m := k.ids.begin()
	defer k.ids.end(m)
	m.text = id.AppendTo(append(m.text, k.prefix...))
	return base64.RawURLEncoding.AppendEncode(dst, m.sum())
}

// verify reports whether k has made one of sigs for id, and which.
func (k *signingKey) verify(id *ident.ID, sigs []Signature) (sig int, ok bool) {
	if !slices.ContainsFunc(sigs, func(s Signature) bool { return int(s.n) == k.sigLen }) {
		return 0, false
	}
	var buf [MaxSignatureLen]byte
	want := k.sign(buf[:0], id)
	for i := range sigs {
		if subtle.ConstantTimeCompare(sigs[i].Bytes(), want) == 1 {
			return i, true
		}
	}
	return 0, false
}
