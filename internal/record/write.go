package record

import (
	"encoding/binary"
	"strings"

	"github.com/fibersess/sess/internal/jsontext"
)

// write makes the record.
func (p *plan) write() *Record {
	names, kind := (*names)(nil), shape(0)
	if !p.renamed && p.base != nil {
		names, kind = p.base.names, p.base.shape&escaped
	}
	size := p.size()
	r := &Record{names: names, size: uint32(size), shape: shape(p.members) | compact | kind |
		when(p.cookie != nil || p.base.is(ownCookie), ownCookie)}
	switch {
	case p.sameNames() && !p.resized:
		r.data = p.overwrite()
	case p.sameNames():
		r.data = p.splice()
	default:
		var w writer
		w.begin(size, p.members)
		p.walk(&w)
		w.indexing, w.at, w.n = true, 0, 0
		p.walk(&w)
		r.data = w.done()
		r.shape |= when(w.escaped, escaped)
	}
	if p.members > fewMembers && r.names == nil {
		r.tabulate()
	}
	return r
}

// sameNames reports whether nothing but values changes, and base is as Merge writes records. So it is in nearly every
// save.
func (p *plan) sameNames() bool {
	return !p.renamed && p.base.is(compact) && len(p.header) > 0 && (p.size() < wideRecord) == (p.base.size < wideRecord)
}

// overwrite writes base with other values of the same sizes in it: nothing moves, so the index is base's.
func (p *plan) overwrite() hidden {
	data := []byte(p.base.data.all())
	for i := range p.edits {
		e := &p.edits[i]
		copy(data[e.m.Value:], p.value(e))
	}
	return hideBytes(data)
}

// splice writes base with other values in it. The last edit is that of the last member, which is the header.
func (p *plan) splice() hidden {
	var w writer
	w.begin(p.size(), p.members)
	text := p.base.data.all()[:p.base.size]
	from := uint32(0)
	for i := range p.edits {
		e := &p.edits[i]
		w.b.WriteString(text[from:e.m.Value])
		w.b.Write(p.value(e))
		from = e.m.ValueEnd
	}
	w.b.WriteString(text[from:])

	at, moved := 0, uint32(0) // less than nothing wraps round, and back
	for i := range p.edits {
		e := &p.edits[i]
		w.shift(p.base, at, int(e.at)+1, moved)
		at, moved = int(e.at)+1, moved+uint32(len(p.value(e)))-(e.m.ValueEnd-e.m.Value)
	}
	return w.done()
}

// walk writes the whole object, member by member. Those that stay are copied in runs: where base has no white space, a
// run reaches from one edit to the next.
func (p *plan) walk(w *writer) {
	w.text("{")
	c := p.changes
	at := 0 // the first member of base that is not dealt with
	if c.wiped {
		at = p.base.count()
		if p.alone >= 0 && p.cookie == nil {
			p.keep(w, p.alone, p.alone+1)
		}
	}
	for i := range p.edits {
		e := &p.edits[i]
		p.keep(w, at, int(e.at))
		at = max(at, int(e.at)+1)
		if e.by == byCookie || e.by >= 0 && c.list[e.by].kind != kindDelete {
			p.replace(w, e)
		}
	}
	p.keep(w, at, p.base.count())
	if w.n < p.members {
		p.add(w)
	}
	w.text("}")
}

// keep writes the members of base from one to before another as they are.
func (p *plan) keep(w *writer, from, to int) {
	if from >= to {
		return
	}
	if p.base.is(escaped) {
		for i := from; i < to; i++ {
			w.escaped = w.escaped || p.base.writtenEscaped(i)
		}
	}
	if p.base.is(compact) {
		w.run(p.base, from, to)
		return
	}
	for i := from; i < to; i++ {
		m := p.base.member(i)
		w.open(p.base.data.all()[m.Name-1 : m.NameEnd+1])
		w.text(p.base.value(m))
		w.close()
	}
}

// replace writes a member of base with another value.
func (p *plan) replace(w *writer, e *edit) {
	w.escaped = w.escaped || p.base.writtenEscaped(int(e.at))
	w.open(p.base.data.all()[e.m.Name-1 : e.m.NameEnd+1])
	w.bytes(p.value(e))
	w.close()
}

// writtenEscaped reports whether the name of a member is written with an escape.
func (r *Record) writtenEscaped(at int) bool {
	return r.is(escaped) && strings.IndexByte(r.name(r.member(at)), '\\') >= 0
}

// add writes what is new, and the header.
func (p *plan) add(w *writer) {
	c := p.changes
	for i := range c.list {
		ch := &c.list[i]
		if value := c.result(ch); len(value) > 0 && (c.wiped || ch.at < 0) {
			w.openKey(c.key(ch))
			w.bytes(value)
			w.close()
		}
	}
	if p.cookie != nil && !p.base.is(ownCookie) {
		w.open(`"cookie"`)
		w.bytes(p.cookie)
		w.close()
	}
	if len(p.header) > 0 {
		w.open(`"$"`)
		w.bytes(p.header)
		w.close()
	}
}

// writer writes the JSON of a record and then, when it is told the same once more, the index.
type writer struct {
	b         strings.Builder
	size      int // bytes of JSON
	entrySize int // of the index, in bytes

	indexing bool   // it is told once more
	at       int    // byte offset in the JSON
	n        int    // members so far
	escaped  bool   // a name so far is written with an escape
	m        member // the one that is written now, if it is in no run

	used int // bytes of room: index entries to be written
	room [32 * wideEntry]byte
}

// begin prepares for so many bytes of JSON with so many members.
func (w *writer) begin(size, members int) {
	w.entrySize = entrySize(size, true)
	w.size = size
	w.b.Grow(size + (members+1)*w.entrySize)
}

// done returns what was written.
func (w *writer) done() hidden {
	w.entry(lastEntry(w.size))
	w.flush()
	return hide(w.b.String())
}

// open begins a member, whose name is given with its quotes.
func (w *writer) open(name string) {
	w.comma()
	w.name(len(name))
	w.text(name)
	w.text(":")
}

// openKey begins a member whose name is key.
func (w *writer) openKey(key []byte) {
	w.comma()
	size := jsontext.TextSize(key)
	w.name(size)
	switch {
	case w.indexing:
		w.at += size
	case size == len(key)+len(`""`):
		w.text(`"`)
		w.bytes(key)
		w.text(`"`)
	default:
		w.escaped = true
		w.bytes(jsontext.AppendText(w.room[:0], key))
	}
	w.text(":")
}

// name begins a member whose name takes size bytes with its quotes.
func (w *writer) name(size int) {
	w.m = member{Name: uint32(w.at + 1), NameEnd: uint32(w.at + size - 1), Value: uint32(w.at + size + len(":"))}
}

// close ends the member that was begun last.
func (w *writer) close() {
	w.m.ValueEnd = uint32(w.at)
	if w.indexing {
		w.entry(w.m)
	}
	w.n++
}

// comma parts a member from the one before it.
func (w *writer) comma() {
	if w.n > 0 {
		w.text(",")
	}
}

// text writes s.
func (w *writer) text(s string) {
	if !w.indexing {
		w.b.WriteString(s)
	}
	w.at += len(s)
}

// bytes writes s.
func (w *writer) bytes(s []byte) {
	if !w.indexing {
		w.b.Write(s)
	}
	w.at += len(s)
}

// run writes members of base, which has no white space, from one to before another as they are.
func (w *writer) run(base *Record, from, to int) {
	w.comma()
	begin, end := int(base.member(from).Name)-1, int(base.member(to-1).ValueEnd)
	if w.indexing {
		w.shift(base, from, to, uint32(w.at-begin))
	}
	w.text(base.data.all()[begin:end])
	w.n += to - from
}

// shift writes the index entries of a run that has moved by so many bytes: those of base, with that added to every
// offset. When the value of "b" becomes 100, the members "c" and "d" move by 2 bytes:
//
//	{"a":1,"b":2,"c":3,"d":4}       entries of "c" and "d": 14 15, 20 21
//	{"a":1,"b":100,"c":3,"d":4}     entries of "c" and "d": 16 17, 22 23
//
// Both entries are added to at once. They are one number of 64 bits, here 21<<48 + 20<<32 + 15<<16 + 14, and what is
// added is 2<<48 + 2<<32 + 2<<16 + 2. Back from 100 to 2 it is that with -2 in place of 2, modulo 1<<64: the sum modulo
// 1<<64 is again the one number whose four parts are the offsets looked for, since each of them fits its 16 bits. Where
// the offsets have 32 bits it is one entry that is a number.
func (w *writer) shift(base *Record, from, to int, moved uint32) {
	if w.entrySize != entrySize(int(base.size), base.is(compact)) {
		for i := from; i < to; i++ {
			m := base.member(i)
			w.entry(member{Name: m.Name + moved, NameEnd: m.NameEnd + moved})
		}
		return
	}
	index := int(base.size)
	entries := base.data.all()[index+from*w.entrySize : index+to*w.entrySize]
	if moved == 0 {
		w.flush()
		w.b.WriteString(entries)
		return
	}
	by := uint64(int32(moved)) * 0x0001_0001_0001_0001
	if w.entrySize == wideEntry {
		by = uint64(int32(moved)) * 0x0000_0001_0000_0001
	}
	for ; len(entries) >= 8; entries = entries[8:] {
		if w.used+8 > len(w.room) {
			w.flush()
		}
		binary.LittleEndian.PutUint64(w.room[w.used:], uint64At(entries)+by)
		w.used += 8
	}
	if len(entries) > 0 { // The last one of an odd number.
		e := uint32At(entries) + uint32(by)
		w.entry(member{Name: uint32(uint16(e)), NameEnd: e >> 16})
	}
}

// entry writes the index entry of m.
func (w *writer) entry(m member) {
	if w.used+wideEntry > len(w.room) {
		w.flush()
	}
	w.used = len(appendEntry(w.room[:w.used], m, w.entrySize))
}

// flush writes the index entries that are gathered in room.
func (w *writer) flush() {
	w.b.Write(w.room[:w.used])
	w.used = 0
}
