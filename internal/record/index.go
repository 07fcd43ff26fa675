package record

import (
	"encoding/binary"
	"strings"

	"github.com/fibersess/sess/internal/jsontext"
)

// The index of a record stands behind its JSON, in the same string: an entry for each member in order, of offsets in
// little-endian. A compact record is as Merge writes it: there is no white space between members, so where a name begins and
// ends says where the values are, and an entry is these two offsets. Behind the last entry is another one, which says where
// the next name would begin:
//
//	{"a":1,"bc":23}
//	  ^^    ^ ^     ^        entries: 2 3, 8 10, 16 0
//
// They have 16 bits each, or 32 if the JSON is of wideRecord bytes or more. Of other records an entry is all four offsets
// of type member, of 32 bits each. Above fewMembers members a table finds the names. Records with the same names in the
// same order share it.

// member says where a member of a record stands.
type member = jsontext.Member

// search returns the member of r that is named key and its place, or -1. Of up to fewMembers names it looks at each:
// comparing lengths first costs about a nanosecond a name.
func search[K string | []byte](r *Record, key K) (m member, at int) {
	if r == nil || r.names != nil || r.is(escaped) || !r.narrow() {
		return searchFurther(r, key)
	}
	data, size := r.data.all(), len(key)
	for i := int(r.size); i <= len(data)-2*narrowEntry; i += narrowEntry {
		e := uint64At(data[i:])
		name, end := int(uint16(e)), int(uint16(e>>16))
		if end-name == size && data[name:end] == string(key) {
			return narrowMember(e), (i - int(r.size)) / narrowEntry
		}
	}
	return member{}, -1
}

// searchFurther is search in a record with a table of names, with names that are to be decoded, with entries that are not
// narrow, or in none.
func searchFurther[K string | []byte](r *Record, key K) (m member, at int) {
	if r != nil && r.names != nil {
		for l := r.names.look(hash(r.names, key)); ; {
			at, ok := l.next()
			if !ok {
				return member{}, -1
			}
			if m = r.member(at); named(r, m, key) {
				return m, at
			}
		}
	}
	for at := range r.count() {
		if m = r.member(at); named(r, m, key) {
			return m, at
		}
	}
	return member{}, -1
}

// named reports whether m is the member of the name key.
func named[K string | []byte](r *Record, m member, key K) bool {
	if r.is(escaped) {
		return jsontext.EqualText(r.name(m), key)
	}
	return r.name(m) == string(key)
}

// tabulate makes the table of names, if r has enough members to need one. It returns the first member whose name
// stands for the same as one before it, if there is such a member.
func (r *Record) tabulate() (twice member, found bool) {
	n := r.count()
	if n <= fewMembers {
		return member{}, false
	}
	t := makeNames(n, nil)
	for i := range n {
		m := r.member(i)
		name := r.name(m)
		if r.is(escaped) {
			name = jsontext.Unquoted(name)
		}
		h := hash(&t, name)
		for l := t.look(h); ; {
			at, ok := l.next()
			if !ok {
				break
			}
			if named(r, r.member(at), name) {
				return m, true
			}
		}
		t.add(h, i)
	}
	r.names = &t
	return member{}, false
}

// twiceAmongFew is what tabulate returns, for members that need no table.
func twiceAmongFew(s string, members []member, escaped bool) (twice member, found bool) {
	for i, m := range members {
		name := s[m.Name:m.NameEnd]
		if escaped {
			name = jsontext.Unquoted(name)
		}
		for j := range members[:i] {
			before := &members[j]
			if before.NameEnd-before.Name != uint32(len(name)) && !escaped {
				continue
			}
			other := s[before.Name:before.NameEnd]
			if name == other || escaped && jsontext.EqualText(other, name) {
				return m, true
			}
		}
	}
	return member{}, false
}

// name returns the name of m as it stands between the quotes.
func (r *Record) name(m member) string { return r.data.all()[m.Name:m.NameEnd] }

// value returns the JSON text of m.
func (r *Record) value(m member) string { return r.data.all()[m.Value:m.ValueEnd] }

// count returns the number of members, the reserved ones included.
func (r *Record) count() int {
	if r == nil {
		return 0
	}
	return int(r.shape & maxMembers)
}

// The sizes of an index entry, in bytes.
const (
	narrowEntry = 4  // of a compact record of less than wideRecord bytes
	wideEntry   = 8  // of a larger one
	fullEntry   = 16 // of a record that is not compact
)

// entrySize is the size of an index entry in a record of size bytes of JSON.
func entrySize(size int, isCompact bool) int {
	switch {
	case !isCompact:
		return fullEntry
	case size < wideRecord:
		return narrowEntry
	default:
		return wideEntry
	}
}

// lastEntry returns what the entry behind the last one says in a record of size bytes of JSON.
func lastEntry(size int) member { return member{Name: uint32(size + 1)} }

// narrow reports whether the entries of r's index are the smallest ones.
func (r *Record) narrow() bool { return r.shape&compact != 0 && r.size < wideRecord }

// member returns the i-th member.
func (r *Record) member(i int) member {
	if !r.narrow() {
		return r.wideMember(i)
	}
	return narrowMember(uint64At(r.data.all()[int(r.size)+narrowEntry*i:]))
}

// narrowMember returns the member of the first of two narrow entries. The next name begins behind a comma and a quote.
func narrowMember(e uint64) member {
	return member{Name: uint32(uint16(e)), NameEnd: uint32(uint16(e >> 16)), Value: uint32(uint16(e>>16)) + 2, ValueEnd: uint32(uint16(e>>32)) - 2}
}

// wideMember is member in a record whose entries are larger.
func (r *Record) wideMember(i int) member {
	index := r.data.all()[r.size:]
	if !r.is(compact) {
		names, values := uint64At(index[fullEntry*i:]), uint64At(index[fullEntry*i+8:])
		return member{Name: uint32(names), NameEnd: uint32(names >> 32), Value: uint32(values), ValueEnd: uint32(values >> 32)}
	}
	e, next := uint64At(index[wideEntry*i:]), uint64At(index[wideEntry*(i+1):])
	return member{Name: uint32(e), NameEnd: uint32(e >> 32), Value: uint32(e>>32) + 2, ValueEnd: uint32(next) - 2}
}

// uint32At returns the number at the start of s, little-endian. The compiler makes one load of it.
func uint32At(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// uint64At is uint32At for 64 bits.
func uint64At(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// appendEntry appends the entry of m in an index whose entries are of the given size.
func appendEntry(dst []byte, m member, size int) []byte {
	le := binary.LittleEndian
	if size == narrowEntry {
		return le.AppendUint32(dst, m.Name|m.NameEnd<<16)
	}
	dst = le.AppendUint64(dst, uint64(m.Name)|uint64(m.NameEnd)<<32)
	if size == fullEntry {
		dst = le.AppendUint64(dst, uint64(m.Value)|uint64(m.ValueEnd)<<32)
	}
	return dst
}

// indexed returns json and its index in one string, with one allocation.
func indexed(json string, members []member, isCompact bool) string {
	size := entrySize(len(json), isCompact)
	var b strings.Builder
	b.Grow(len(json) + (len(members)+1)*size)
	b.WriteString(json)
	var room [fewMembers * wideEntry]byte
	index := room[:0]
	for _, m := range members {
		if len(index)+size > len(room) {
			b.Write(index)
			index = room[:0]
		}
		index = appendEntry(index, m, size)
	}
	b.Write(index)
	b.Write(appendEntry(room[:0], lastEntry(len(json)), size))
	return b.String()
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
