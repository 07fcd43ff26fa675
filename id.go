package sess

import (
	"fmt"
	"log/slog"

	"github.com/fibersess/sess/internal/ident"
)

// ID names one session. It holds up to 63 bytes by value: it is comparable, safe to keep, and never a view of a
// request's buffer. The zero ID names no session.
//
// An id is a secret: whoever has it (and its signature) has the session. Formatting one in any way, with fmt or
// log/slog, prints eight characters of a hash instead, which are the same for the same id on every node. [ID.Value]
// reveals the id. (Of an unexported field of another struct fmt prints the bytes: it may not call methods there.)
type ID ident.ID

// ParseID returns s as an ID. It fails if s is empty, longer than 63 bytes, or holds a byte that RFC 6265 section
// 4.1.1 bars from a cookie's value: controls, space, double quote, comma, semicolon, backslash, non-ASCII.
func ParseID(s string) (ID, error) {
	id, err := ident.ParseID(s)
	return ID(id), err
}

// Value returns the id itself, a secret. It allocates.
func (id ID) Value() string { return ident.ID(id).Value() }

// IsZero reports whether id names no session.
func (id ID) IsZero() bool { return ident.ID(id).IsZero() }

// AppendTo appends the id itself, a secret, to b.
func (id *ID) AppendTo(b []byte) []byte { return (*ident.ID)(id).AppendTo(b) }

// String returns eight characters that stand for the id in logs: the start of its SHA-256 in base64url. The 48 bits
// tell sessions apart and say nothing about an id of 128 random bits or more.
func (id ID) String() string { return ident.ID(id).String() }

// GoString returns String's text: %#v reveals no more than %v.
func (id ID) GoString() string { return ident.ID(id).GoString() }

// Format prints String's text for every verb.
func (id ID) Format(f fmt.State, verb rune) { ident.ID(id).Format(f, verb) }

// LogValue is String's text, for log/slog.
func (id ID) LogValue() slog.Value { return ident.ID(id).LogValue() }
