package record

import (
	"encoding/binary"
	"strings"

	"github.com/fibersess/sess/internal/jsontext"
)

// The index of a record stands behind its JSON, in the same string: for each member in order the four offsets of type
// member, little-endian, of 16 bits each, or of 32 if the JSON is of wideRecord bytes or more. Above fewMembers members
// a table finds the names. Records with the same names in the same order share it.

// member says where a member of a record stands.
type member = jsontext.Member

// search returns the member of r that is named key and its place, or -1. Of up to fewMembers names it looks at each:
// comparing lengths first costs about a nanosecond a name.
func search[K string | []byte](r *Record, key K) (m member, at int) {
	if r == nil || r.names != nil || r.is(escaped) || r.size >= wideRecord {
		return searchFurther(r, key)
	}
	data := r.data.all()
	for index := data[r.size:]; len(index) >= 8; index = index[8:] {
		e := uint64At(index)
		name, end := int(uint16(e)), int(uint16(e>>16))
		if end-name == len(key) && data[name:end] == string(key) {
			return narrow(e), r.count() - len(index)/8
		}
	}
	return member{}, -1
}

// searchFurther is search in a record with a table of names, with names that are to be decoded, with a wide index, or in
// none.
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

// member returns the i-th entry of the index.
func (r *Record) member(i int) member {
	if r.size < wideRecord {
		return narrow(uint64At(r.data.all()[int(r.size)+8*i:]))
	}
	e := r.data.all()[int(r.size)+16*i:]
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

// entrySize is the size of an index entry in a record of size bytes of JSON.
func entrySize(size int) int {
	if size < wideRecord {
		return 8
	}
	return 16
}

// appendEntry appends the entry of m in the index of size bytes of JSON.
func appendEntry(dst []byte, m member, size int) []byte {
	le := binary.LittleEndian
	if size < wideRecord {
		return le.AppendUint64(dst, uint64(m.Name)|uint64(m.NameEnd)<<16|uint64(m.Value)<<32|uint64(m.ValueEnd)<<48)
	}
	dst = le.AppendUint64(dst, uint64(m.Name)|uint64(m.NameEnd)<<32)
	return le.AppendUint64(dst, uint64(m.Value)|uint64(m.ValueEnd)<<32)
}

// indexed returns json and its index in one string, with one allocation.
func indexed(json string, members []member) string {
	var b strings.Builder
	b.Grow(len(json) + len(members)*entrySize(len(json)))
	b.WriteString(json)
	var room [fewMembers * 8]byte
	index := room[:0]
	for _, m := range members {
		if len(index)+16 > len(room) {
			b.Write(index)
			index = room[:0]
		}
		index = appendEntry(index, m, len(json))
	}
	b.Write(index)
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
