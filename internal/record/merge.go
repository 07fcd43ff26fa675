package record

import "github.com/fibersess/sess/internal/jsontext"

// Merge returns base (nil: the empty record) with the changes applied, c nil for none, and the header h. Members it
// does not know are kept byte for byte and in order, new ones follow, and the header is last. The output has no white
// space between members. It costs as much as base and the changes are long, whatever their number.
//
// The error is ErrTooLarge if the JSON would be of more than limit bytes, an Update's own, or c's. Merge allocates the
// Record, its text, and where the names of more than fewMembers members change, their table.
func Merge(base *Record, c *Changes, h Header, limit int) (*Record, error) {
	var none Changes
	if c == nil {
		c = &none
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	h.Created, h.Ends, h.Login = valid(h.Created), valid(h.Ends), valid(h.Login)
	if h.User != "" {
		if err := CheckUser(h.User); err != nil {
			return nil, err
		}
	}
	old := ""
	if h.foreign = base.is(foreign); h.foreign {
		old = base.headerText()
	}
	edits, err := c.resolve(base)
	if err != nil {
		return nil, err
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

// valid returns the time of a header that is nearest to ms.
func valid(ms int64) int64 { return min(max(ms, 0), maxInstant) }

// edit says which change is made to which member of base.
type edit struct{ at, change int32 }

// resolve finds what the changes are about in base, and makes the values of Updates. It returns the changes of members
// that base has, in the order of the members.
func (c *Changes) resolve(base *Record) ([]edit, error) {
	c.scratch, c.edits = c.scratch[:0], c.edits[:0]
	for i := range c.list {
		ch := &c.list[i]
		at := c.locate(ch, base)
		raw, ok := "", at >= 0 && !c.wiped
		if ok {
			raw = base.value(base.member(at))
		}
		if err := c.make(ch, raw, ok); err != nil {
			return nil, err
		}
		if ok && (ch.kind == kindDelete || ch.made > 0) {
			c.edits = append(c.edits, edit{int32(at), int32(i)})
		}
	}
	if len(c.edits) > fewMembers {
		c.sortMany(base.count())
		return c.edits, nil
	}
	for i, e := range c.edits {
		for ; i > 0 && c.edits[i-1].at > e.at; i-- {
			c.edits[i] = c.edits[i-1]
		}
		c.edits[i] = e
	}
	return c.edits, nil
}

// sortMany sorts the edits of a record of n members in n steps: no two are of one member.
func (c *Changes) sortMany(n int) {
	changes := make([]int32, n) // of each member, + 1
	for _, e := range c.edits {
		changes[e.at] = e.change + 1
	}
	edits := c.edits[:0]
	for at, change := range changes {
		if change > 0 {
			edits = append(edits, edit{int32(at), change - 1})
		}
	}
}

// plan is what Merge is to write, while nothing is written yet: so the text is allocated once, in its size. It holds
// what is on Merge's stack, so none of its methods may keep anything.
type plan struct {
	base    *Record
	changes *Changes
	edits   []edit
	cookie  []byte // nil: as in base
	header  []byte // empty: none

	cookieAt int  // the place in base of the member "cookie" if that is rewritten, or alone stays; else -1
	headerAt int  // the place in base of the member "$", -1 if there is none
	members  int  // how many the result has
	text     int  // how many bytes they take, without what parts them
	renamed  bool // the result has other names than base, or in another order
}

// make plans what becomes of each member, and what is new.
func (p *plan) make() {
	c := p.changes
	p.cookieAt, p.headerAt = -1, p.base.headerAt()
	if c.wiped {
		p.renamed = true
	} else if p.members = p.base.count(); p.members > 0 {
		p.text = p.textSize()
	}
	for i := range c.list {
		ch := &c.list[i]
		switch there := ch.at >= 0 && !c.wiped; {
		case there && ch.kind == kindDelete:
			p.remove(int(ch.at))
			p.renamed = true
		case there && ch.made > 0:
			m := p.base.member(int(ch.at))
			p.text += ch.made - int(m.ValueEnd-m.Value)
		case ch.made > 0:
			p.count(jsontext.TextSize(c.key(ch)) + len(":") + ch.made)
		}
	}
	p.planCookie()
	p.planHeader()
}

// planCookie plans the member "cookie".
func (p *plan) planCookie() {
	there := p.base.is(ownCookie)
	if there && (p.cookie != nil || p.changes.wiped) {
		p.cookieAt, _ = search(p.base, cookieMember)
	}
	if there && p.changes.wiped {
		p.count(p.memberSize(p.cookieAt))
	}
	switch {
	case p.cookie != nil && there:
		p.text += len(p.cookie) - len(p.base.value(p.base.member(p.cookieAt)))
	case p.cookie != nil:
		p.count(len(`"cookie":`) + len(p.cookie))
	}
}

// planHeader plans the member "$".
func (p *plan) planHeader() {
	there := p.headerAt >= 0
	if there && !p.changes.wiped {
		p.remove(p.headerAt)
	}
	p.renamed = p.renamed || there != (len(p.header) > 0) || there && p.headerAt != p.base.count()-1
	if len(p.header) > 0 {
		p.members, p.text = p.members+1, p.text+len(`"$":`)+len(p.header)
	}
}

// count counts a new member of so many bytes.
func (p *plan) count(size int) { p.members, p.text, p.renamed = p.members+1, p.text+size, true }

// remove counts a member of base that goes.
func (p *plan) remove(at int) { p.members, p.text = p.members-1, p.text-p.memberSize(at) }

// memberSize returns what a member of base takes, without white space around its colon.
func (p *plan) memberSize(at int) int {
	m := p.base.member(at)
	return len(`"":`) + int(m.NameEnd-m.Name+m.ValueEnd-m.Value)
}

// textSize returns what all members of base take, which has some.
func (p *plan) textSize() int {
	if p.base.is(compact) {
		return int(p.base.size) - len("{}") - (p.base.count() - 1)
	}
	n := 0
	for i := range p.base.count() {
		n += p.memberSize(i)
	}
	return n
}

// size returns how many bytes of JSON there will be.
func (p *plan) size() int { return len("{}") + p.text + max(p.members-1, 0) }
