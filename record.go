package sess

import (
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// Record is a stored session: one JSON object, whose members are the session's keys. It is immutable and safe for
// concurrent use; stores, caches and requests share it. A nil Record and the zero Record are the empty object.
//
// What a session holds is nobody else's business: formatting a Record with fmt or log/slog prints its size only. (Where
// it stands by value in an unexported field of another struct, fmt prints it all: keep a pointer.)
type Record record.Record

// ParseRecord checks s, which is copied, and returns it as a Record. The error is [ErrCorrupt] with the rule that s
// breaks: it must be a JSON object in UTF-8 of at most 16 MiB, nest at most 128 levels deep, and have no member twice.
// If it has a member "$" that must be what sess writes there.
func ParseRecord(s string) (*Record, error) {
	r, err := record.ParseRecord(s)
	return (*Record)(r), err
}

func (r *Record) inner() *record.Record { return (*record.Record)(r) }

// JSON returns the record's exact bytes.
func (r *Record) JSON() string { return r.inner().JSON() }

// Raw returns the JSON text of the member key, a slice of the record.
func (r *Record) Raw(key string) (text string, ok bool) { return r.inner().Raw(key) }

// Keys returns the names of the session's own members, in their order in the record.
func (r *Record) Keys() iter.Seq[string] { return r.inner().Keys() }

// Len returns the number of the session's own members.
func (r *Record) Len() int { return r.inner().Len() }

// Size returns the size of the record's JSON in bytes.
func (r *Record) Size() int { return r.inner().Size() }

// Created returns when the session began, zero if the record does not say.
func (r *Record) Created() time.Time { return r.inner().Created() }

// Expires returns when the session ends, zero if the record does not say.
func (r *Record) Expires() time.Time { return r.inner().Expires() }

// WithExpires returns a record of the same bytes that ends at t, for stores that know the end from elsewhere. Zero
// means that the end is unknown.
func (r *Record) WithExpires(t time.Time) *Record { return (*Record)(r.inner().WithExpires(t)) }

// IsSession reports whether the record is a session, and not what a renewal leaves behind under the old id. It is for
// stores that are an [Ender].
func (r *Record) IsSession() bool { return r.inner().Live() }

// Format prints the record's size for every verb, never its content.
func (r Record) Format(f fmt.State, verb rune) { record.Record(r).Format(f, verb) }

// GoString returns Format's text.
func (r Record) GoString() string { return record.Record(r).GoString() }

// LogValue is Format's text, for log/slog.
func (r *Record) LogValue() slog.Value { return r.inner().LogValue() }

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
