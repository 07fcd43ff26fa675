package record

import (
	"fmt"
	"iter"
	"log/slog"

	"github.com/fibersess/sess/internal/jsontext"
)

const (
	// maxRecord is the most a record may hold, in bytes of JSON; it also bounds the offsets of the index.
	maxRecord = 16 << 20

	// wideRecord is the size from which on the index needs offsets of 32 bits, in bytes of JSON.
	wideRecord = 1<<16 - 1

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

// Record is the root's Record. It is kept at 48 bytes: a cache holds a million of them.
type Record struct {
	data    hidden // the JSON, then its index: where the names of the members are, see search
	names   *names // finds the names of more than fewMembers members; shared, and never written to
	created int64  // Unix milliseconds; 0: unknown
	ends    int64  // Unix milliseconds; 0: unknown
	size    uint32 // bytes of JSON
	shape   shape
}

// shape is what a record is known to be, and in its low bits how many members it has, the reserved ones included. A
// member takes five bytes, so 16 MiB have less than 2^22.
type shape uint32

const (
	escaped     shape = 1 << (22 + iota) // some name is written with an escape, so names must be compared decoded
	compact                              // there is no white space between the members
	ownCookie                            // there is a member "cookie"
	foreign                              // the header has members that are not ours
	remembered                           // the session has a life of its own
	tombstone                            // the header names a successor
	byLogin                              // a tombstone of a login
	grave                                // neither a session nor a tombstone
	provisional                          // the header names the id that the record is made from
	userKnown                            // the header names a user

	maxMembers = 1<<22 - 1
)

// is reports whether r is what the flag says.
func (r *Record) is(flag shape) bool { return r != nil && r.shape&flag != 0 }

// when returns flag if condition holds, else nothing.
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
	if fault.Rule != "" {
		return nil, errFault(fault.Rule, fault.At)
	}
	kind := when(anyEscaped(s, members), escaped) | when(isCompact(members, len(s)), compact)
	r := &Record{
		data:  hide(indexed(s, members, kind&compact != 0)),
		size:  uint32(len(s)),
		shape: shape(len(members)) | kind,
	}
	m, found := r.tabulate()
	if len(members) <= fewMembers {
		m, found = twiceAmongFew(s, members, r.is(escaped))
	}
	if found {
		return nil, errFault("a member that was there before", int(m.Name))
	}
	if err := r.readHeader(); err != nil {
		return nil, err
	}
	_, at := search(r, cookieMember)
	r.shape |= when(at >= 0, ownCookie)
	return r, nil
}

func errFault(rule string, at int) error {
	return fmt.Errorf("%w: %s at byte %d", ErrCorrupt, rule, at)
}

// JSON returns the record's exact bytes.
func (r *Record) JSON() string {
	if r == nil || r.size == 0 {
		return "{}"
	}
	return r.data.all()[:r.size]
}

// Raw returns the JSON text of the member key, a slice of the record.
func (r *Record) Raw(key string) (text string, ok bool) {
	m, at := search(r, key)
	if at < 0 {
		return "", false
	}
	return r.value(m), true
}

// OwnCookie returns the JSON text of the session's own cookie options, if it has any.
func (r *Record) OwnCookie() (text string, ok bool) {
	if !r.is(ownCookie) {
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
		if _, at := search(r, name); at >= 0 {
			n--
		}
	}
	return n
}

// Size returns the size of the record's JSON in bytes.
func (r *Record) Size() int { return len(r.JSON()) }

// HasCookie reports whether the session has cookie options of its own.
func (r *Record) HasCookie() bool { return r.is(ownCookie) }

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
