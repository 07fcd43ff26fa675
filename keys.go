package sess

import (
	"fmt"
	"log/slog"

	"github.com/fibersess/sess/internal/sign"
)

// Key is a secret that signs session cookies. Make one with [Keys], [SHA256Key] or [SHA1Key]; the zero Key is none
// and is refused at start-up. Formatting a Key in any way prints the words "sess.Key".
type Key sign.Key

// Keys returns a key of each secret, for Config.Keys: the first signs, all verify. They sign with HMAC-SHA-256, or
// with HMAC-SHA-1 if Config.Koa is set, as a Koa application does whose app.keys is a list of strings.
//
// To rotate on several nodes, add the new secret behind the others on every node, then move it to the front on every node,
// then drop the old one when [Manager.Verified] of it stands still. In one step a node that has the new secret signs what
// another does not know yet, which logs people out. A secret should be 32 random bytes or more.
func Keys[T string | []byte](secrets ...T) []Key {
	keys := make([]Key, 0, len(secrets))
	for _, k := range sign.Keys(secrets...) {
		keys = append(keys, Key(k))
	}
	return keys
}

// SHA256Key returns a key that signs with HMAC-SHA-256 even if Config.Koa is set: Koa's new Keygrip(keys, 'sha256').
func SHA256Key[T string | []byte](secret T) Key { return Key(sign.SHA256Key(secret)) }

// SHA1Key returns a key that signs with HMAC-SHA-1, as Koa does unless told otherwise. HMAC-SHA-1 is not broken; it
// is here so that sessions of a Koa application stay valid while it is phased out.
func SHA1Key[T string | []byte](secret T) Key { return Key(sign.SHA1Key(secret)) }

// Format prints "sess.Key" for every verb.
func (k Key) Format(f fmt.State, verb rune) { sign.Key(k).Format(f, verb) }

// GoString returns "sess.Key".
func (k Key) GoString() string { return sign.Key(k).GoString() }

// String returns "sess.Key".
func (k Key) String() string { return sign.Key(k).String() }

// LogValue is "sess.Key", for log/slog.
func (k Key) LogValue() slog.Value { return sign.Key(k).LogValue() }

// MarshalText returns "sess.Key": a Config that is written out as JSON shows no secret. It cannot be read back.
func (k Key) MarshalText() ([]byte, error) { return sign.Key(k).MarshalText() }

// SetKeys replaces Config.Keys while requests are served: the first signs, all verify. A request under way keeps the keys
// that it began with. A cookie or a token of a key that is gone is refused; a cookie of a key other than the first is signed
// anew when its session is found. An error says what is wrong with keys, and then the old ones stay. It is safe for
// concurrent use.
func (m *Manager) SetKeys(keys ...Key) error { return m.engine.SetKeys(signKeys(keys)) }

// Verified returns how many requests have presented an id that was signed by the key of index key in the present list,
// since that key came into the list. It is 0 for an index without a key. When the count of an old key stands still for as
// long as sessions live, nobody needs that key any more.
func (m *Manager) Verified(key int) uint64 { return m.engine.Verified(key) }

// signKeys returns keys as the signer takes them.
func signKeys(keys []Key) []sign.Key {
	return mapped(keys, func(k Key) sign.Key { return sign.Key(k) })
}
