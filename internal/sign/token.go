package sign

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/fibersess/sess/internal/ident"
)

// ErrNoKeys is returned for a token where cookies have no signature.
var ErrNoKeys = errors.New("sess: token: no keys, since Config.Cookie.DangerouslyUnsigned is set; want Config.Keys")

// TokenLen is the length of a token, in characters.
const TokenLen = (2*sha256.Size*8 + 5) / 6

// tokenText writes tokens. It is strict, so that a token has one spelling for each mask.
var tokenText = base64.RawURLEncoding.Strict()

// Token appends to dst a token of the first key that binds the id to the purpose. A token is
//
//	base64url( mask, mask XOR HMAC-SHA-256(key, purpose, id) )
//
// with a new random mask of 32 bytes each time: without it the length of a compressed page could tell a part of the token
// (BREACH). The key is derived from the ring's for tokens alone, so that no token is ever the signature of a cookie. Nothing
// is stored. A nil Keyring returns [ErrNoKeys].
func (k *Keyring) Token(dst []byte, purpose string, id *ident.ID) ([]byte, error) {
	ring := k.Ring()
	if ring == nil {
		return dst, ErrNoKeys
	}
	var token [2 * sha256.Size]byte
	mask, masked := token[:sha256.Size], token[sha256.Size:]
	rand.Read(mask) // It has no error: crypto/rand ends the program instead.
	ring.keys[0].token(masked, purpose, id)
	subtle.XORBytes(masked, masked, mask)
	return tokenText.AppendEncode(dst, token[:]), nil
}

// CheckToken reports whether one of the keys has made the token for the purpose and the id. The time it takes says nothing
// about a token that would be right, nor about which key has made this one.
func (k *Keyring) CheckToken(purpose string, id *ident.ID, token string) bool {
	ring := k.Ring()
	if ring == nil || len(token) != TokenLen {
		return false
	}
	var text [TokenLen]byte
	var raw, want [2 * sha256.Size]byte
	copy(text[:], token)
	if n, err := tokenText.Decode(raw[:], text[:]); err != nil || n != len(raw) { // It passes over line breaks.
		return false
	}
	mask, masked := raw[:sha256.Size], raw[sha256.Size:]
	subtle.XORBytes(masked, masked, mask)
	good := 0
	for _, key := range ring.keys {
		key.token(want[:sha256.Size], purpose, id)
		good |= subtle.ConstantTimeCompare(masked, want[:sha256.Size])
	}
	return good == 1
}

// UserMACLen is the length of a user's MAC, in characters.
const UserMACLen = sha256SignatureLen

// UserMAC appends to dst the MAC of the first key over a session's id, user and login time in Unix milliseconds. It stands
// in a record that others can write, which is Koa's, and proves that these words are ours.
func (k *Keyring) UserMAC(dst []byte, id *ident.ID, user string, login int64) []byte {
	var mac [sha256.Size]byte
	k.Ring().keys[0].user(mac[:], id, user, login)
	return base64.RawURLEncoding.AppendEncode(dst, mac[:])
}

// CheckUserMAC reports whether mac is the MAC of id, user and login time by one of the keys, and the index of that key.
func (k *Keyring) CheckUserMAC(mac string, id *ident.ID, user string, login int64) (key int, ok bool) {
	if len(mac) != UserMACLen {
		return 0, false
	}
	var text, want [UserMACLen]byte
	copy(text[:], mac)
	for key, signer := range k.Ring().keys {
		var raw [sha256.Size]byte
		signer.user(raw[:], id, user, login)
		base64.RawURLEncoding.Encode(want[:], raw[:])
		if subtle.ConstantTimeCompare(text[:], want[:]) == 1 {
			return key, true
		}
	}
	return 0, false
}

// token puts into dst the HMAC of a purpose and an id.
func (k *signingKey) token(dst []byte, purpose string, id *ident.ID) {
	m := k.tokens.begin()
	defer k.tokens.end(m)
	m.text = appendPart(m.text, purpose)
	m.text = appendPart(m.text, id.Bytes())
	copy(dst, m.sum())
}

// user puts into dst the HMAC of a session's id, user and login time.
func (k *signingKey) user(dst []byte, id *ident.ID, user string, login int64) {
	m := k.users.begin()
	defer k.users.end(m)
	m.text = appendPart(m.text, id.Bytes())
	m.text = appendPart(m.text, user)
	m.text = binary.BigEndian.AppendUint64(m.text, uint64(login))
	copy(dst, m.sum())
}

// appendPart appends a part and its length, so that parts cannot run into one another.
func appendPart[T string | []byte](dst []byte, part T) []byte {
	return append(binary.BigEndian.AppendUint64(dst, uint64(len(part))), part...)
}

// The uses of keys that are derived from a secret.
const (
	forTokens = "sess token"
	forUsers  = "sess user"
)

// derive returns the key that is made of secret for one use and one cookie's name, by HKDF-SHA-256. Who knows what one use
// computes learns nothing about another, nor about the signatures of cookies, which the secret itself makes.
func derive(secret []byte, use, name string) *macKey {
	key, err := hkdf.Key(sha256.New, secret, nil, use+" "+name, sha256.Size)
	if err != nil {
		panic("sess: keys: " + err.Error() + "; with GODEBUG=fips140=only want secrets of 14 bytes or more")
	}
	return newMACKey(key, false)
}
