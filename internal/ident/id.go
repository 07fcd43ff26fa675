package ident

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
)

// MaxIDLen is what an ID can hold, in bytes.
const MaxIDLen = 63

// errBadID says no more than the rule: the offending text is somebody's id.
var errBadID = errors.New("sess: id: not 1 to 63 cookie-safe bytes (RFC 6265 cookie-octet)")

// ID is the root's ID.
type ID struct {
	b [MaxIDLen]byte
	n uint8 // last: in front it would leave every read of b unaligned, a third of a look-up's time
}

// ParseID is the root's ParseID.
func ParseID(s string) (ID, error) {
	id, ok := MakeID(s)
	if !ok {
		return ID{}, errBadID
	}
	return id, nil
}

// MakeID is ParseID for both kinds of text and without an error value, for the request's path.
func MakeID[T string | []byte](s T) (id ID, ok bool) {
	ok = SetID(&id, s)
	return id, ok
}

// SetID makes id what s says, in place, or leaves it as it is if s is no id.
func SetID[T string | []byte](id *ID, s T) bool {
	if len(s) == 0 || len(s) > MaxIDLen {
		return false
	}
	for i := range len(s) {
		if !CookieOctets[s[i]] {
			return false
		}
	}
	FillID(id, s)
	return true
}

// FillID is setID for an s that is short enough and whose bytes are not looked at.
func FillID[T string | []byte](id *ID, s T) {
	id.n = uint8(copy(id.b[:], s))
	clear(id.b[id.n:]) // Ids are compared whole.
}

// CookieOctets has the bytes that may stand in a cookie's value. A look-up takes a third of the time of comparing.
var CookieOctets = func() (octets [256]bool) {
	for c := '!'; c <= '~'; c++ {
		octets[c] = c != '"' && c != ',' && c != ';' && c != '\\'
	}
	return octets
}()

// Value returns the id itself, a secret. It allocates.
func (id ID) Value() string { return string(id.b[:id.n]) }

// IsZero reports whether id names no session.
func (id ID) IsZero() bool { return id.n == 0 }

// Bytes returns the id itself, a secret, as a view of id.
func (id *ID) Bytes() []byte { return id.b[:id.n] }

// Whole returns the bytes of id and the zeros behind them.
func (id *ID) Whole() *[MaxIDLen]byte { return &id.b }

// AppendTo appends the id itself, a secret, to b.
func (id *ID) AppendTo(b []byte) []byte { return append(b, id.b[:id.n]...) }

// String returns eight characters that stand for the id in logs: the start of its SHA-256 in base64url. The 48 bits
// tell sessions apart and say nothing about an id of 128 random bits or more.
func (id ID) String() string {
	if id.n == 0 {
		return "none"
	}
	sum := sha256.Sum256(append([]byte("sess id "), id.b[:id.n]...))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// GoString returns String's text: %#v reveals no more than %v.
func (id ID) GoString() string { return "sess.ID(" + id.String() + ")" }

// Format prints String's text for every verb.
func (id ID) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		fmt.Fprint(f, id.GoString())
		return
	}
	fmt.Fprintf(f, fmt.FormatString(plainState{f}, 's'), id.String())
}

// LogValue is String's text, for log/slog.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// plainState hides the flags that would make %s print something else, and keeps width and precision.
type plainState struct{ fmt.State }

func (s plainState) Flag(c int) bool { return c == '-' && s.State.Flag(c) }
