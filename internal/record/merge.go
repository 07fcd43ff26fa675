package record

import (
	"slices"

	"github.com/fibersess/sess/internal/jsontext"
)

// Merge returns base (nil: the empty record) with the changes applied, c nil for none, and the header h. Members it
// does not know are kept byte for byte and in order, new ones follow, and the header is last. The output has no white
// space between members. It costs as much as base and the changes are long, whatever their number.
//
// The error is ErrTooLarge if the JSON would be of more than limit bytes, an Update's own, or c's. Merge allocates the
// Record, its text, and where the names of more than fewMembers members change, their table.
func Merge(base *Record, c *Changes, h Header, limit int) (*Record, error) {
	if c == nil {
		c = noChanges
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	edits, err := c.resolve(base)
	if err != nil {
		return nil, err
	}
	old := ""
	if h.foreign = base.is(foreign); h.foreign {
		old = base.headerText()
	}
	var few [2]edit
	if edits == nil {
		edits = few[:0]
	}
	var room [256]byte
	p := plan{base: base, changes: c, edits: edits, cookie: h.Cookie, header: appendHeader(room[:0], &h, old)}
	p.make()
	if p.size() > min(limit, maxRecord) {
		return nil, ErrTooLarge
	}
	r := p.write()
	r.created, r.ends = h.Created, h.until()
	r.shape |= h.shape()
	return r, nil
}

// noChanges are what Merge takes for nil. Nothing writes to them.
var noChanges = new(Changes)

// edit is what becomes of a member of base.
type edit struct {
	at int32 // the place of the member
	by int32 // which change in the list does it, or one of the following
	m  member
}

const (
	byCookie int32 = -1 - iota // it is "cookie" and gets another value
	byHeader                   // it is "$"
)

// resolve finds what the changes are about in base, and makes the values of Updates. It returns the changes of members
// that base has, in the order of the members, with room for two more.
func (c *Changes) resolve(base *Record) ([]edit, error) {
	if len(c.list) == 0 {
		return nil, nil
	}
	c.scratch, c.edits = c.scratch[:0], c.edits[:0]
	for i := range c.list {
		ch := &c.list[i]
		at := c.locate(ch, base)
		raw, there := "", at >= 0 && !c.wiped
		if there {
			raw = base.value(ch.m)
		}
		if err := c.make(ch, raw, there); err != nil {
			return nil, err
		}
		if there && (ch.kind == kindDelete || ch.made > 0) {
			c.edits = append(c.edits, edit{int32(at), int32(i), ch.m})
		}
	}
	if len(c.edits) > fewMembers {
		c.sortMany(base.count())
	} else {
		for i := range c.edits {
			sink(c.edits[:i+1])
		}
	}
	c.edits = slices.Grow(c.edits, 2)
	return c.edits, nil
}

// sink moves the last edit to where it belongs among the others, which are in the order of the members.
func sink(edits []edit) {
	i := len(edits) - 1
	for e := edits[i]; i > 0 && edits[i-1].at > e.at; i-- {
		edits[i], edits[i-1] = edits[i-1], e
	}
}

// sortMany sorts the edits of a record of n members in n steps: no two are of one member.
func (c *Changes) sortMany(n int) {
	edits := make([]edit, n)
	for _, e := range c.edits {
		edits[e.at] = e
	}
	i := 0
	for at, e := range edits {
		if e.m.ValueEnd > 0 && int(e.at) == at {
			c.edits[i] = e
			i++
		}
	}
}

// plan is what Merge is to write, while nothing is written yet: so the text is allocated once, in its size. It holds
// what is on Merge's stack, so none of its methods may keep anything.
type plan struct {
	base    *Record
	changes *Changes
	cookie  []byte // nil: as in base
	header  []byte // empty: none

	edits   []edit // what is not kept of base, in the order of the members
	alone   int    // the place of the member "cookie" if, after a Wipe, it is what is kept; else -1
	members int    // how many the result has
	text    int    // how many bytes they take, without what parts them
	renamed bool   // the result has other names than base, or in another order
	resized bool   // a value has another size than the one before
}

// make plans what becomes of each member, and what is new.
func (p *plan) make() {
	c := p.changes
	if c.wiped {
		p.renamed = true
	} else if p.members = p.base.count(); p.members > 0 {
		p.text = p.textSize()
	}
	for i := range p.edits {
		e := &p.edits[i]
		if ch := &c.list[e.by]; ch.kind == kindDelete {
			p.remove(e.m)
		} else {
			p.resize(e.m, ch.made)
		}
	}
	for i := range c.list {
		if ch := &c.list[i]; ch.made > 0 && (ch.at < 0 || c.wiped) {
			p.count(jsontext.TextSize(c.key(ch)) + len(":") + ch.made)
		}
	}
	p.makeCookie()
	p.makeHeader()
}

// makeCookie plans the member "cookie".
func (p *plan) makeCookie() {
	p.alone = -1
	there := p.base.is(ownCookie)
	if !there && p.cookie != nil {
		p.count(len(`"cookie":`) + len(p.cookie))
	}
	if !there || p.cookie == nil && !p.changes.wiped {
		return
	}
	m, at := search(p.base, cookieMember)
	if p.changes.wiped {
		p.alone = at
		p.count(memberSize(m))
	}
	if p.cookie != nil {
		p.edit(at, byCookie, m)
		p.resize(m, len(p.cookie))
	}
}

// makeHeader plans the member "$".
func (p *plan) makeHeader() {
	m, at := p.base.headerMember()
	if p.changes.wiped {
		at = -1
	}
	switch there := at >= 0; {
	case there && at == p.base.count()-1 && len(p.header) > 0:
		p.edit(at, byHeader, m)
		p.resize(m, len(p.header))
		return
	case there:
		p.edit(at, byHeader, m)
		p.remove(m)
	}
	if len(p.header) > 0 {
		p.count(len(`"$":`) + len(p.header))
	}
}

// edit lists an edit. There is room for it.
func (p *plan) edit(at int, by int32, m member) {
	p.edits = p.edits[:len(p.edits)+1]
	p.edits[len(p.edits)-1] = edit{int32(at), by, m}
	sink(p.edits)
}

// count counts a new member of so many bytes.
func (p *plan) count(size int) { p.members, p.text, p.renamed = p.members+1, p.text+size, true }

// remove counts a member of base that goes.
func (p *plan) remove(m member) {
	p.members, p.text, p.renamed = p.members-1, p.text-memberSize(m), true
}

// resize counts a member of base whose value gets so many bytes.
func (p *plan) resize(m member, size int) {
	was := int(m.ValueEnd - m.Value)
	p.text += size - was
	p.resized = p.resized || size != was
}

// memberSize returns what a member takes, without white space around its colon.
func memberSize(m member) int { return len(`"":`) + int(m.NameEnd-m.Name+m.ValueEnd-m.Value) }

// textSize returns what all members of base take, which has some.
func (p *plan) textSize() int {
	if p.base.is(compact) {
		return int(p.base.size) - len("{}") - (p.base.count() - 1)
	}
	n := 0
	for i := range p.base.count() {
		n += memberSize(p.base.member(i))
	}
	return n
}

// size returns how many bytes of JSON there will be.
func (p *plan) size() int { return len("{}") + p.text + max(p.members-1, 0) }

// value returns the new value of a member.
func (p *plan) value(e *edit) []byte {
	switch e.by {
	case byCookie:
		return p.cookie
	case byHeader:
		return p.header
	}
	return p.changes.result(&p.changes.list[e.by])
}
