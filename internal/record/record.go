package record

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"unicode/utf8"

	"github.com/fibersess/sess/internal/jsontext"
)

const (
	// maxRecord is the most a record may hold, in bytes of JSON; it also bounds the offsets of the index.
	maxRecord = 16 << 20

	// wideRecord is the size from which on the index needs offsets of 32 bits instead of 16, in bytes of JSON.
	wideRecord = 1 << 16

	// maxInstant is the last millisecond of the year 9999, the last one RFC 3339 can write, in Unix time.
	maxInstant = 253402300799999

	// fewMembers is how many members are indexed without scratch from the heap.
	fewMembers = 32
)

// The members a record keeps for the session layer. A session's own keys are all others.
const (
	cookieMember = "cookie" // the session's own cookie options, as Koa writes them
	headerMember = "$"      // what we need to know of a session: see header
)

// Record is the root's Record.
type Record struct {
	data    string // the JSON, then its index: four offsets a member, little-endian, of 2 bytes each or 4 if wide
	created int64  // Unix milliseconds; 0: unknown
	ends    int64  // Unix milliseconds; 0: unknown
	size    uint32 // bytes of JSON
	members uint32 // how many, the reserved ones included
	escaped bool   // some name is written with an escape, so names must be compared decoded
	shape   shape  // what the header says
	cookie  bool   // there is a member "cookie"
	compact bool   // there is no white space between the members
}

// shape is what a record's header says that is asked for often.
type shape uint8

const (
	tombstone   shape = 1 << iota // the header names a successor
	byLogin                       // of a login
	grave                         // it stands where no session may be created
	provisional                   // the header names the id that it is made from
	userKnown                     // the header names a user
	foreign                       // the header has members that are not ours
	remembered                    // the session has a life of its own
)

func (r *Record) is(flag shape) bool { return r != nil && r.shape&flag != 0 }

func when(condition bool, flag shape) shape {
	if condition {
		return flag
	}
	return 0
}

// ParseRecord is the root's ParseRecord.
func ParseRecord(s string) (*Record, error) {
	if len(s) > maxRecord {
		return nil, fmt.Errorf("%w: %d bytes; want at most %d", ErrCorrupt, len(s), maxRecord)
	}
	var few [fewMembers]member
	members, fault := jsontext.Members(few[:0], s)
	escaped := anyEscaped(s, members)
	if fault.Rule == "" {
		if m, found := twice(s, members, escaped); found {
			fault = jsontext.Fault{Rule: "a member that was there before", At: int(m.Name)}
		}
	}
	if fault.Rule != "" {
		return nil, fmt.Errorf("%w: %s at byte %d", ErrCorrupt, fault.Rule, fault.At)
	}
	r := &Record{
		data:    indexed(s, members),
		size:    uint32(len(s)),
		members: uint32(len(members)),
		escaped: escaped,
		compact: isCompact(members, len(s)),
	}
	if err := r.readHeader(); err != nil {
		return nil, err
	}
	_, r.cookie = find(r, cookieMember)
	return r, nil
}

// JSON returns the record's exact bytes.
func (r *Record) JSON() string {
	if r == nil || r.size == 0 {
		return "{}"
	}
	return r.data[:r.size]
}

// Raw returns the JSON text of the member key, a slice of the record.
func (r *Record) Raw(key string) (text string, ok bool) {
	m, ok := find(r, key)
	if !ok && !utf8.ValidString(key) {
		m, ok = find(r, jsontext.AppendName(nil, key))
	}
	if !ok {
		return "", false
	}
	return r.value(m), true
}

// OwnCookie returns the JSON text of the session's own cookie options, if it has any.
func (r *Record) OwnCookie() (text string, ok bool) {
	if r == nil || !r.cookie {
		return "", false
	}
	return r.Raw(cookieMember)
}

// Keys returns the names of the session's own members, in their order in the record.
func (r *Record) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range r.count() {
			name := jsontext.Unquoted(r.name(r.member(i)))
			if !IsReserved(name) && !yield(name) {
				return
			}
		}
	}
}

// Len returns the number of the session's own members.
func (r *Record) Len() int {
	n := r.count()
	for _, name := range [...]string{cookieMember, headerMember} {
		if _, ok := find(r, name); ok {
			n--
		}
	}
	return n
}

// Size returns the size of the record's JSON in bytes.
func (r *Record) Size() int { return len(r.JSON()) }

// HasCookie reports whether the session has cookie options of its own.
func (r *Record) HasCookie() bool { return r.cookie }

// Format prints the record's size for every verb, never its content.
func (r Record) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.GoString()) }

// GoString returns Format's text.
func (r Record) GoString() string { return fmt.Sprintf("sess.Record(%d bytes)", r.Size()) }

// LogValue is Format's text, for log/slog.
func (r *Record) LogValue() slog.Value {
	if r == nil {
		return slog.StringValue("<nil>")
	}
	return slog.StringValue(r.GoString())
}

// Equal reports whether a and b are both nil, or have equal bytes.
func Equal(a, b *Record) bool {
	return a == b || a != nil && b != nil && a.JSON() == b.JSON()
}

// IsReserved reports whether name belongs to the session layer.
func IsReserved(name string) bool { return name == cookieMember || name == headerMember }

var (
	// ErrNotFound: the store holds nothing under this id, or it has expired.
	ErrNotFound = errors.New("sess: session not found")

	// ErrClosed: the store was closed.
	ErrClosed = errors.New("sess: store is closed")

	// ErrCorrupt: what is kept under this id is not a record: not a JSON object, not valid, a member twice, too deep
	// or too large.
	ErrCorrupt = errors.New("sess: record is corrupt")

	// ErrLoginRefused: all sessions of the user were ended after the request of this login began, or the login is itself
	// among the oldest above Config.MaxPerUser; there is no session.
	ErrLoginRefused = errors.New("sess: login refused: the user's sessions were ended meanwhile; log in again")

	// ErrReserved: the keys "cookie" and "$" belong to the session layer.
	ErrReserved = errors.New(`sess: reserved key: "cookie" and "$" belong to the session layer; choose another`)

	// ErrTooLarge: the record would be larger than Config.MaxRecordBytes; nothing was stored.
	ErrTooLarge = errors.New("sess: record too large: store less in the session, or raise Config.MaxRecordBytes")
)
