package sign

import (
	"fmt"
	"io"
	"log/slog"
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

// ValidateKeys returns all that is wrong with keys, which the errors call by the name of the list; what they say of a key
// is its place and length.
func ValidateKeys(list string, keys []Key, shortAllowed bool) (errs []error) {
	for i, k := range keys {
		n := 0
		if k.reveal != nil {
			secret, _ := k.reveal()
			n = len(secret)
		}
		switch {
		case n == 0:
			errs = append(errs, fmt.Errorf("sess: %s[%d]: empty; want a secret of 32 random bytes or more", list, i))
		case n < minKeyLen && !shortAllowed:
			errs = append(errs, fmt.Errorf(
				"sess: %s[%d]: %d bytes; want %d or more, or set Config.DangerouslyShortKeys", list, i, n, minKeyLen))
		}
	}
	return errs
}

// open returns the secret, and whether it signs with SHA-1, which a plain key does beside Koa.
func (k Key) open(koa bool) (secret []byte, withSHA1 bool) {
	secret, kind := k.reveal()
	return secret, kind == keySHA1 || kind == keyPlain && koa
}
