package record

import (
	"encoding/binary"
	"strings"

	"github.com/fibersess/sess/internal/jsontext"
)

// member says where a member of a record stands.
type member = jsontext.Member

// The index of a record stands behind its JSON, in the same string: for each member in order the four offsets of type
// member, little-endian, of 16 bits each, or of 32 if the JSON is of wideRecord bytes or more.

// find returns the member of r that is named key, which is valid UTF-8. It looks through all names: a session has
// few, and comparing lengths first costs about a nanosecond each.
func find[K string | []byte](r *Record, key K) (m member, ok bool) {
	if r == nil {
		return member{}, false
	}
	if r.escaped || r.size >= wideRecord {
		return findSlowly(r, key)
	}
	for index := r.data[r.size:]; len(index) >= 8; index = index[8:] {
		e := uint64At(index)
		name, end := int(uint16(e)), int(uint16(e>>16))
		if end-name == len(key) && r.data[name:end] == string(key) {
			return narrow(e), true
		}
	}
	return member{}, false
}

// findSlowly is find in a record whose names are to be decoded, or whose index is wide.
func findSlowly[K string | []byte](r *Record, key K) (m member, ok bool) {
	for i := range r.count() {
		if m = r.member(i); named(r, m, key) {
			return m, true
		}
	}
	return member{}, false
}

// named reports whether m is the member of the name key.
func named[K string | []byte](r *Record, m member, key K) bool {
	if r.escaped {
		return jsontext.EqualText(r.name(m), key)
	}
	return r.name(m) == string(key)
}

// maybe reports whether the name of m can be one of n bytes: it spares most members a comparison.
func (r *Record) maybe(m member, n int) bool { return int(m.NameEnd-m.Name) == n || r.escaped }

// name returns the name of m as it stands between the quotes.
func (r *Record) name(m member) string { return r.data[m.Name:m.NameEnd] }

// value returns the JSON text of m.
func (r *Record) value(m member) string { return r.data[m.Value:m.ValueEnd] }

// count returns the number of members, the reserved ones included.
func (r *Record) count() int {
	if r == nil {
		return 0
	}
	return int(r.members)
}

// member returns the i-th entry of the index.
func (r *Record) member(i int) member {
	if r.size < wideRecord {
		return narrow(uint64At(r.data[int(r.size)+8*i:]))
	}
	e := r.data[int(r.size)+16*i:]
	names, values := uint64At(e), uint64At(e[8:])
	return member{Name: uint32(names), NameEnd: uint32(names >> 32), Value: uint32(values), ValueEnd: uint32(values >> 32)}
}

// narrow returns the member that an entry of 16-bit offsets stands for.
func narrow(e uint64) member {
	return member{Name: uint32(uint16(e)), NameEnd: uint32(uint16(e >> 16)), Value: uint32(uint16(e >> 32)), ValueEnd: uint32(e >> 48)}
}

// uint64At returns the number at the start of s, little-endian. The compiler makes one load of it.
func uint64At(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// indexed returns json and its index in one string, with one allocation.
func indexed(json string, members []member) string {
	var few [fewMembers * 8]byte
	index := appendIndex(few[:0], members, len(json))
	var b strings.Builder
	b.Grow(len(json) + len(index))
	b.WriteString(json)
	b.Write(index)
	return b.String()
}

// appendIndex appends the index of size bytes of JSON to dst.
func appendIndex(dst []byte, members []member, size int) []byte {
	le := binary.LittleEndian
	for _, m := range members {
		if size < wideRecord {
			dst = le.AppendUint64(dst, uint64(m.Name)|uint64(m.NameEnd)<<16|uint64(m.Value)<<32|uint64(m.ValueEnd)<<48)
		} else {
			dst = le.AppendUint64(dst, uint64(m.Name)|uint64(m.NameEnd)<<32)
			dst = le.AppendUint64(dst, uint64(m.Value)|uint64(m.ValueEnd)<<32)
		}
	}
	return dst
}

// isCompact reports whether the members fill an object of size bytes with no white space between them.
func isCompact(members []member, size int) bool {
	end := uint32(0) // of what comes before a member, behind which are a brace or a comma, and a quote
	for _, m := range members {
		if m.Name != end+2 || m.Value != m.NameEnd+uint32(len(`":`)) {
			return false
		}
		end = m.ValueEnd
	}
	return size == max(int(end), 1)+1
}

// anyEscaped reports whether a name is written with an escape.
func anyEscaped(s string, members []member) bool {
	if strings.IndexByte(s, '\\') < 0 {
		return false
	}
	for _, m := range members {
		if strings.IndexByte(s[m.Name:m.NameEnd], '\\') >= 0 {
			return true
		}
	}
	return false
}

// twice returns the first member whose name stands for the same as one before it. Above a few members it takes a map,
// so that its time stays linear whatever s holds.
func twice(s string, members []member, escaped bool) (m member, found bool) {
	if escaped || len(members) > fewMembers {
		seen := make(map[string]struct{}, len(members))
		for i, m := range members {
			if seen[jsontext.Unquoted(s[m.Name:m.NameEnd])] = struct{}{}; len(seen) == i {
				return m, true
			}
		}
		return member{}, false
	}
	for i, m := range members {
		name := s[m.Name:m.NameEnd]
		for _, before := range members[:i] {
			if name == s[before.Name:before.NameEnd] {
				return m, true
			}
		}
	}
	return member{}, false
}
