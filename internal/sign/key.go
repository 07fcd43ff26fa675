package sign

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"unicode"
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
// is its place and length. koa is as in [NewKeyring].
func ValidateKeys(list string, keys []Key, shortAllowed, koa bool) (errs []error) {
	for i, k := range keys {
		var secret []byte
		if k.reveal != nil {
			secret, _ = k.reveal()
		}
		twin := slices.IndexFunc(keys[:i], func(before Key) bool { return k.signsAs(before, koa) })
		switch {
		case len(secret) == 0:
			errs = append(errs, fmt.Errorf("sess: %s[%d]: empty; want a secret of 32 random bytes or more", list, i))
		case len(secret) < minKeyLen && !shortAllowed:
			errs = append(errs, fmt.Errorf(
				"sess: %s[%d]: %d bytes; want %d or more, or set Config.DangerouslyShortKeys", list, i, len(secret), minKeyLen))
		case len(bytes.Trim(secret, "\x00")) == 0: // HMAC fills a key up with NUL: it signs as an empty one does.
			errs = append(errs, fmt.Errorf("sess: %s[%d]: nothing but NUL; want a secret of 32 random bytes or more", list, i))
		case twin >= 0:
			errs = append(errs, fmt.Errorf("sess: %s[%d]: the same as %s[%d]; want another secret, or one entry", list, i, list, twin))
		}
	}
	return errs
}

// WarnOfKeys says in the log which keys are text with white space at an end, as what was read from a file has it. It is part
// of the secret, and harmless until another program trims it. Random bytes are not text.
func WarnOfKeys(log *slog.Logger, list string, keys []Key) {
	for i, k := range keys {
		secret, _ := k.reveal()
		trimmed := bytes.TrimSpace(secret)
		text := bytes.IndexFunc(trimmed, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
		if text && len(trimmed) < len(secret) {
			log.Warn(fmt.Sprintf("sess: %s[%d]: white space at an end is part of the secret, and whoever trims it signs differently; "+
				"trim what is read from a file", list, i))
		}
	}
}

// signsAs reports whether k and other make the same signatures.
func (k Key) signsAs(other Key, koa bool) bool {
	if k.reveal == nil || other.reveal == nil {
		return false
	}
	secret, withSHA1 := k.open(koa)
	otherSecret, otherSHA1 := other.open(koa)
	return withSHA1 == otherSHA1 && bytes.Equal(secret, otherSecret)
}

// open returns the secret, and whether it signs with SHA-1, which a plain key does beside Koa.
func (k Key) open(koa bool) (secret []byte, withSHA1 bool) {
	secret, kind := k.reveal()
	return secret, kind == keySHA1 || kind == keyPlain && koa
}
