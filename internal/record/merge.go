package record

import (
	"encoding/binary"

	"github.com/fibersess/sess/internal/jsontext"
)

// Change is what a request did to one member. A list of changes names each member once.
type Change struct {
	Key  []byte // as appendName makes it, and not reserved
	Kind changeKind
	Val  []byte // changeSet: the JSON; changeUpdate: what update last made of it, nil if it left it as it is

	Update Updater // changeUpdate
	MadeOf *Record // changeUpdate: the record that val was made of, nil for none
}

// appendTo appends what c, which is no deletion, makes of the member of base that has the given value, if it is there.
// It appends nothing and reports false where the member is to stay as it is.
func (c *Change) appendTo(dst []byte, base *Record, value string, there bool) (out []byte, set bool, err error) {
	if c.Kind == ChangeSet || c.MadeOf == base && c.Val != nil {
		return append(dst, c.Val...), true, nil
	}
	if out, set, err = c.Update.Update(dst, value, there); err != nil || !set {
		return dst, false, err
	}
	return out, true, nil
}

// Updater makes the new value of a member. It appends it to dst, made from the present one, which is raw if ok. If it
// returns false the member stays as it is. It runs once for every try to store the session.
type Updater interface {
	Update(dst []byte, raw string, ok bool) (out []byte, set bool, err error)
}

// UpdateFunc is the updater of [Update]: a function, so that an interface holds it without an allocation.
type UpdateFunc[T any] func(old T, ok bool) T

func (f UpdateFunc[T]) Update(dst []byte, raw string, ok bool) ([]byte, bool, error) {
	var old T
	if ok {
		old, ok = jsontext.DecodeValue[T](raw)
	}
	dst, err := jsontext.AppendValue(dst, f(old, ok))
	return dst, true, err
}

// updates are two updaters on one value, the first one first.
type updates struct{ first, second Updater }

// Both returns the updater that is first and then second.
func Both(first, second Updater) Updater { return &updates{first, second} }

func (u *updates) Update(dst []byte, raw string, ok bool) ([]byte, bool, error) {
	between, set, err := u.first.Update(nil, raw, ok)
	if err != nil {
		return dst, false, err
	}
	if set {
		raw, ok = string(between), true
	}
	return u.second.Update(dst, raw, ok)
}

type changeKind uint8

const (
	ChangeSet changeKind = iota
	ChangeDelete
	ChangeUpdate
)

// Merge returns base (nil: the empty record) with the changes applied; first, if wipe, it drops every member but the
// cookie. Members it does not know are kept byte for byte and in order, new ones follow, and the header is last. The
// output has no white space between members.
//
// The error is ErrTooLarge if the JSON would be of more than limit bytes, or update's own. buf is scratch and comes
// back for the next call. If it is large enough, merge allocates the Record and its data and nothing else, or above
// fewMembers members their offsets too.
func Merge(base *Record, wipe bool, changes []Change, h Header, limit int, buf []byte) (*Record, []byte, error) {
	h.Created = min(max(h.Created, 0), maxInstant)
	h.Ends = min(max(h.Ends, 0), maxInstant)
	if len(changes) == 1 && !wipe {
		r, scratch, err := patch(base, &changes[0], &h, limit, buf)
		if r != nil || err != nil {
			return r, scratch, err
		}
		buf = scratch
	}
	return rebuild(base, wipe, changes, h, limit, buf)
}

// rebuild is merge, whatever the changes are.
func rebuild(base *Record, wipe bool, changes []Change, h Header, limit int, buf []byte) (*Record, []byte, error) {
	var few [fewMembers]member
	x := indexer{members: few[:]}
	if n := base.count() + len(changes) + 2; n > len(few) {
		x.members = make([]member, n)
	}
	buf, err := x.appendMembers(append(buf[:0], '{'), base, wipe, changes, h.Cookie)
	if err != nil {
		return nil, buf, err
	}
	old := ""
	if base.is(foreign) {
		old = base.headerText()
		h.foreign = true
	}
	buf = append(x.appendHeader(buf, &h, old), '}')

	size := len(buf)
	if size > min(limit, maxRecord) {
		return nil, buf, ErrTooLarge
	}
	buf = appendIndex(buf, x.members[:x.n], size)
	data := string(buf)
	return &Record{
		data:    data,
		created: h.Created,
		ends:    h.until(),
		size:    uint32(size),
		members: uint32(x.n),
		escaped: x.escaped || base != nil && base.escaped && anyEscaped(data[:size], x.members[:x.n]),
		shape:   h.shape(),
		cookie:  h.Cookie != nil || base != nil && base.cookie,
		compact: true,
	}, buf, nil
}

// patch is merge for the commonest save of all, one new value of a member that is there: the bytes before the value,
// those between it and the header, and the index are the base's, except for what moves. It returns neither a record nor
// an error where more than that is to be done.
func patch(base *Record, c *Change, h *Header, limit int, buf []byte) (*Record, []byte, error) {
	at := base.patchableAt(c.Key)
	if at < 0 || c.Kind == ChangeDelete || h.Cookie != nil || h.Created == 0 && h.Ends == 0 && h.shape() == 0 {
		return nil, buf, nil
	}
	m, last := base.member(at), base.member(base.count()-1)
	buf, set, err := c.appendTo(append(buf[:0], base.data[:m.Value]...), base, base.value(m), true)
	if err != nil {
		return nil, buf, err
	}
	if !set {
		buf = append(buf, base.value(m)...)
	}
	moved := uint64(len(buf)) - uint64(m.ValueEnd) // less than nothing wraps round, and back
	buf = appendHeader(append(buf, base.data[m.ValueEnd:last.Value]...), h, "")
	end := uint64(len(buf))
	buf = append(buf, '}')
	size := len(buf)
	switch {
	case size > limit:
		return nil, buf, ErrTooLarge
	case size >= wideRecord:
		return nil, buf, nil
	}

	buf = append(buf, base.data[base.size:]...)
	le, index := binary.LittleEndian, buf[size:]
	le.PutUint64(index[8*at:], le.Uint64(index[8*at:])+moved<<48)
	for i := 8 * (at + 1); i < len(index); i += 8 {
		le.PutUint64(index[i:], le.Uint64(index[i:])+moved*0x0001_0001_0001_0001) // all four offsets, none leaves 16 bits
	}
	tail := index[len(index)-8:]
	le.PutUint64(tail, le.Uint64(tail)<<16>>16|end<<48)
	return &Record{
		data:    string(buf),
		created: h.Created,
		ends:    h.until(),
		size:    uint32(size),
		members: base.members,
		shape:   h.shape(),
		cookie:  base.cookie,
		compact: true,
	}, buf, nil
}

// patchableAt returns the place of the member named key in a record that can be patched: as merge writes them, with our
// own header at the end and a narrow index. Otherwise, and if there is no such member, it returns -1.
func (r *Record) patchableAt(key []byte) int {
	if r == nil || !r.compact || r.escaped || r.is(foreign) || r.members == 0 || r.size >= wideRecord ||
		r.name(r.member(r.count()-1)) != headerMember {
		return -1
	}
	for i := range r.count() {
		if m := r.member(i); r.maybe(m, len(key)) && named(r, m, key) {
			return i
		}
	}
	return -1
}

// Changed reports whether merge would alter a member other than the header. Equal means equal bytes.
func Changed(base *Record, wipe bool, changes []Change, cookie []byte) bool {
	if cookie != nil {
		m, ok := find(base, cookieMember)
		if !ok || base.value(m) != string(cookie) {
			return true
		}
	}
	for i := range changes {
		if changes[i].Alters(base, wipe) {
			return true
		}
	}
	return wipe && base.holdsMore(changes)
}

// Alters reports whether the member that c names will be another than base has.
func (c *Change) Alters(base *Record, wipe bool) bool {
	m, ok := find(base, c.Key)
	switch {
	case c.Kind == ChangeDelete:
		return ok
	case c.Kind == ChangeUpdate && c.MadeOf != base:
		return true // Nobody knows: val was made of another.
	case c.Kind == ChangeUpdate && c.Val == nil:
		return ok && wipe
	default:
		return !ok || base.value(m) != string(c.Val)
	}
}

// holdsMore reports whether r has a member, not a reserved one, that no change names.
func (r *Record) holdsMore(changes []Change) bool {
	for i := range r.count() {
		m := r.member(i)
		if !named(r, m, cookieMember) && !named(r, m, headerMember) && r.changeOf(m, changes) == nil {
			return true
		}
	}
	return false
}

// changeOf returns the change that names m, nil if there is none.
func (r *Record) changeOf(m member, changes []Change) *Change {
	for i := range changes {
		if r.maybe(m, len(changes[i].Key)) && named(r, m, changes[i].Key) {
			return &changes[i]
		}
	}
	return nil
}

// indexer notes where the members of a record stand while they are written. It keeps neither the bytes, which reach
// update, nor a slice to append to: either would take the array behind members to the heap.
//
// Members that stay are copied in runs: where the base has no white space, one run reaches from one change to the next.
type indexer struct {
	members  []member // room for all there can be
	n        int      // how many there are
	from, to uint32   // the run of the base's text that is not yet written; to 0: there is none
	escaped  bool     // a name that the base does not have is written with an escape
}

// appendMembers writes all members but the header.
func (x *indexer) appendMembers(dst []byte, base *Record, wipe bool, changes []Change, cookie []byte) ([]byte, error) {
	var err error
	missing := len(changes) // those that no member of base was named by
	newCookie := cookie != nil
	for i := range base.count() {
		m := base.member(i)
		switch {
		case base.maybe(m, len(headerMember)) && named(base, m, headerMember):
		case base.maybe(m, len(cookieMember)) && named(base, m, cookieMember):
			if cookie == nil {
				dst = x.keep(dst, base, m)
				continue
			}
			dst = append(x.open(x.flush(dst, base), base.name(m)), cookie...)
			x.close(dst)
			newCookie = false
		case wipe:
		default:
			c := base.changeOf(m, changes)
			if c == nil {
				dst = x.keep(dst, base, m)
				continue
			}
			missing--
			if dst, err = x.appendChanged(x.flush(dst, base), base, c, base.name(m), base.value(m)); err != nil {
				return dst, err
			}
		}
	}
	dst = x.flush(dst, base)
	for i := 0; missing > 0 && i < len(changes); i++ {
		if _, written := find(base, changes[i].Key); written && !wipe {
			continue
		}
		if dst, err = x.appendNew(dst, base, &changes[i]); err != nil {
			return dst, err
		}
	}
	if newCookie {
		dst = append(x.open(dst, cookieMember), cookie...)
		x.close(dst)
	}
	return dst, nil
}

// keep adds m, which stays as base has it, to the run that is to be written, or begins another.
func (x *indexer) keep(dst []byte, base *Record, m member) []byte {
	quote := m.Name - 1
	if m.Value != m.NameEnd+uint32(len(`":`)) { // white space: not to be copied
		dst = append(x.open(x.flush(dst, base), base.name(m)), base.value(m)...)
		x.close(dst)
		return dst
	}
	if x.to == 0 || quote != x.to+uint32(len(`,`)) {
		dst = x.comma(x.flush(dst, base))
		x.from = quote
	}
	x.to = m.ValueEnd
	moved := uint32(len(dst)) - x.from // by how much the run moves; less than nothing wraps round, and back
	x.members[x.n] = member{Name: m.Name + moved, NameEnd: m.NameEnd + moved, Value: m.Value + moved, ValueEnd: m.ValueEnd + moved}
	x.n++
	return dst
}

// flush writes the run.
func (x *indexer) flush(dst []byte, base *Record) []byte {
	if x.to != 0 {
		dst = append(dst, base.data[x.from:x.to]...)
		x.to = 0
	}
	return dst
}

// appendChanged writes what c makes of a member.
func (x *indexer) appendChanged(dst []byte, base *Record, c *Change, name, value string) ([]byte, error) {
	if c.Kind == ChangeDelete {
		return dst, nil
	}
	dst, set, err := c.appendTo(x.open(dst, name), base, value, true)
	if err != nil {
		return dst, err
	}
	if !set {
		dst = append(dst, value...)
	}
	x.close(dst)
	return dst, nil
}

// appendNew writes what c makes where no member is.
func (x *indexer) appendNew(dst []byte, base *Record, c *Change) ([]byte, error) {
	if c.Kind == ChangeDelete {
		return dst, nil
	}
	begin, escaped := len(dst), x.escaped
	dst, set, err := c.appendTo(x.openKey(dst, c.Key), base, "", false)
	if err != nil {
		return dst, err
	}
	if !set {
		x.drop()
		x.escaped = escaped
		return dst[:begin], nil
	}
	x.close(dst)
	return dst, nil
}

// appendHeader writes the header, if it says anything.
func (x *indexer) appendHeader(dst []byte, h *Header, old string) []byte {
	opened := x.open(dst, headerMember)
	written := appendHeader(opened, h, old)
	if len(written) == len(opened) {
		x.drop()
		return written[:len(dst)]
	}
	x.close(written)
	return written
}

// open begins a member whose name is given as it stands between the quotes.
func (x *indexer) open(dst []byte, name string) []byte {
	dst = append(append(append(x.comma(dst), '"'), name...), '"')
	return x.colon(dst, len(name))
}

// openKey begins a member whose name is key.
func (x *indexer) openKey(dst, key []byte) []byte {
	dst = x.comma(dst)
	begin := len(dst)
	dst = jsontext.AppendText(dst, key)
	n := len(dst) - begin - len(`""`)
	x.escaped = x.escaped || n != len(key)
	return x.colon(dst, n)
}

// comma parts a member from the one before it.
func (x *indexer) comma(dst []byte) []byte {
	if x.n == 0 {
		return dst
	}
	return append(dst, ',')
}

// colon begins the value of a member whose name, of n bytes and a quote, was just written.
func (x *indexer) colon(dst []byte, n int) []byte {
	end := uint32(len(dst) - 1)
	x.members[x.n] = member{Name: end - uint32(n), NameEnd: end, Value: end + uint32(len(`":`))}
	x.n++
	return append(dst, ':')
}

// close ends the member that was opened last.
func (x *indexer) close(dst []byte) { x.members[x.n-1].ValueEnd = uint32(len(dst)) }

// drop forgets the member that was opened last.
func (x *indexer) drop() { x.n-- }
