package sess

import (
	"encoding/binary"
	"strings"
)

// The index of a record stands behind its JSON, in the same string: for each member in order the four offsets of type
// member, little-endian, of 16 bits each, or of 32 if the JSON is of wideRecord bytes or more.

// find returns the member of r that is named key, which is valid UTF-8. It looks through all names: a session has
// few, and comparing lengths first costs about a nanosecond each.
func find[K string | []byte](r *Record, key K) (m member, ok bool) {
	for i := range r.count() {
		m = r.member(i)
		if int(m.nameEnd-m.name) == len(key) || r.escaped {
			if named(r, m, key) {
				return m, true
			}
		}
	}
	return member{}, false
}

// named reports whether m is the member of the name key.
func named[K string | []byte](r *Record, m member, key K) bool {
	if r.escaped {
		return equalText(r.name(m), key)
	}
	return r.name(m) == string(key)
}

// name returns the name of m as it stands between the quotes.
func (r *Record) name(m member) string { return r.data[m.name:m.nameEnd] }

// value returns the JSON text of m.
func (r *Record) value(m member) string { return r.data[m.value:m.valueEnd] }

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
		e := r.data[int(r.size)+8*i:][:8]
		return member{uint32(uint16At(e)), uint32(uint16At(e[2:])), uint32(uint16At(e[4:])), uint32(uint16At(e[6:]))}
	}
	e := r.data[int(r.size)+16*i:][:16]
	return member{uint32At(e), uint32At(e[4:]), uint32At(e[8:]), uint32At(e[12:])}
}

func uint16At(s string) uint16 { return uint16(s[0]) | uint16(s[1])<<8 }

func uint32At(s string) uint32 { return uint32(uint16At(s)) | uint32(uint16At(s[2:]))<<16 }

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
	for _, m := range members {
		for _, at := range [...]uint32{m.name, m.nameEnd, m.value, m.valueEnd} {
			if size < wideRecord {
				dst = binary.LittleEndian.AppendUint16(dst, uint16(at))
			} else {
				dst = binary.LittleEndian.AppendUint32(dst, at)
			}
		}
	}
	return dst
}

// members reads all of s as one object and appends what it consists of to into.
func (p *scanner) members(into []member) []member {
	i := p.space(0)
	if p.peek(i) != '{' {
		p.fail(i, "not an object")
		return nil
	}
	m, i, more := p.step(i+1, 1, true)
	for more {
		into = append(into, m)
		m, i, more = p.step(i, 1, false)
	}
	if i >= 0 {
		if i = p.space(i); i != len(p.s) {
			p.fail(i, "something behind the object")
		}
	}
	return into
}

// anyEscaped reports whether a name is written with an escape.
func anyEscaped(s string, members []member) bool {
	if strings.IndexByte(s, '\\') < 0 {
		return false
	}
	for _, m := range members {
		if strings.IndexByte(s[m.name:m.nameEnd], '\\') >= 0 {
			return true
		}
	}
	return false
}

// unique checks that no name stands for the same as another. Above a few members it takes a map, so that its time
// stays linear whatever s holds.
func (p *scanner) unique(members []member, escaped bool) {
	if escaped || len(members) > fewMembers {
		seen := make(map[string]struct{}, len(members))
		for i, m := range members {
			if seen[unquoted(p.s[m.name:m.nameEnd])] = struct{}{}; len(seen) == i {
				p.fail(int(m.name), memberTwice)
				return
			}
		}
		return
	}
	for i, m := range members {
		name := p.s[m.name:m.nameEnd]
		for _, before := range members[:i] {
			if name == p.s[before.name:before.nameEnd] {
				p.fail(int(m.name), memberTwice)
				return
			}
		}
	}
}

const memberTwice = "a member that was there before"
