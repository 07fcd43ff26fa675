package record

import (
	"iter"

	"github.com/fibersess/sess/internal/jsontext"
)

// Changes is what a request has written to its session and not yet stored. The zero Changes is empty and ready. It is
// for one goroutine at a time, Merge included.
//
// A write that fails leaves the value as it was. Its error stays with the key, and Err returns it, until the same key
// is written or deleted, or until Clear or Wipe.
type Changes struct {
	// Limit is how many bytes of JSON the changes may hold. A write that takes them beyond it fails with ErrTooLarge.
	// Clear and Release leave the Limit as it is. Default: 16 MiB, what a record may hold.
	Limit int

	list  []change
	names names // of list, above fewMembers changes
	wiped bool  // the members of the record go before the changes are made
	full  bool  // a write failed whose key could not even be listed
	first int32 // the change whose error has stood the longest, as its place + 1, and
	last  int32 // the one whose error is the latest; 0: none has an error
	bytes int   // what the changes take in a record, not counting escapes in keys

	arena   []byte // the keys and values of list
	waste   int    // how many bytes of arena are neither
	scratch []byte // the values that Merge makes of Updates
	edits   []edit // Merge's

	// How far the three buffers were written to since they were last cleared. Unsure is how far an encoding that has
	// failed or panicked has written behind arena or scratch.
	touchedArena, touchedScratch, touchedList int
	unsure                                    bool

	// The member that was read last, its record, and its place there: a key that is read is often written next.
	read       *Record
	readAt     int32
	readMember member

	searches int // how many keys were looked for in a record, and
	looks    int // how many in list were compared with a key: the cost that tests bound
}

// Set makes v the value of key. v is copied.
func Set[T any](c *Changes, key string, v T) error {
	if err := CheckKey(key); err != nil {
		return c.Fail(key, err)
	}
	unsure := c.unsure
	c.unsure = true
	out, err := jsontext.AppendValue(c.arena, v)
	if err != nil {
		return c.Fail(key, err)
	}
	c.unsure = unsure
	i, err := c.write(key, out)
	if err != nil {
		return err
	}
	c.settle(i)
	c.list[i].kind, c.list[i].update = kindSet, nil
	return nil
}

// Delete removes the value of key. base is the session's record, nil if it has none or is not loaded: beyond the Limit,
// a deletion of what neither base nor a change holds is not noted.
func (c *Changes) Delete(base *Record, key string) error {
	i := c.find(key)
	if i < 0 {
		if !isKey(key) {
			return nil // Nothing has such a key.
		}
		stored := false
		if c.fills(len(key)) {
			_, at := searchFor(c, base, key)
			if stored = at >= 0; !stored && base != nil {
				return nil
			}
		}
		if i = c.add(key, stored); i < 0 {
			return ErrTooLarge
		}
	}
	c.settle(i)
	c.place(i, len(c.arena), 0)
	if ch := &c.list[i]; !IsReserved(key) {
		ch.kind, ch.update = kindDelete, nil
	}
	return nil
}

// Update makes the value of key what u makes of the present one: of the one written before, else of that in base, the
// session's record. If the session is stored on top of another record than base, u runs again on the value there. On top
// of a value written in this request it is a plain write, since no other request can change that.
func (c *Changes) Update(base *Record, key string, u Updater) error {
	if err := CheckKey(key); err != nil {
		return c.Fail(key, err)
	}
	raw, ok, at, m := "", false, -1, member{}
	i := c.find(key)
	written := i >= 0 && c.list[i].kind != kindNone
	switch {
	case written:
		if err := c.freshen(i, base); err != nil {
			return err
		}
		raw, ok = c.value(i)
	case !c.wiped:
		if m, at = searchFor(c, base, key); at >= 0 {
			raw, ok = base.value(m), true
		}
	}
	out, err := c.updated(key, u, raw, ok)
	if err != nil {
		return err
	}
	if i, err = c.write(key, out); err != nil {
		return err
	}
	c.settle(i)
	switch ch := &c.list[i]; {
	case !written && !c.wiped:
		ch.kind, ch.update, ch.of, ch.at, ch.m, ch.fresh = kindUpdate, u, base, int32(at), m, true
	case written && ch.kind == kindUpdate:
		ch.update = &updates{ch.update, u}
	default:
		ch.kind = kindSet
	}
	return nil
}

// Raw returns the JSON of the value of key as the request sees it, in memory that nobody writes to. base is the
// session's record.
func (c *Changes) Raw(base *Record, key string) (raw string, ok bool) {
	if i := c.find(key); i >= 0 && c.list[i].kind != kindNone {
		if c.freshen(i, base) != nil {
			return "", false
		}
		return c.value(i)
	}
	if c.wiped || IsReserved(key) {
		return "", false
	}
	m, at := searchFor(c, base, key)
	if at < 0 {
		return "", false
	}
	c.read, c.readAt, c.readMember = base, int32(at), m
	return base.value(m), true
}

// Keys returns the keys as the request sees them: those of base, the session's record, in its order, then new ones in
// the order of writing.
func (c *Changes) Keys(base *Record) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !c.wiped {
			for key := range base.Keys() {
				if i := c.find(key); (i < 0 || c.list[i].kind != kindDelete) && !yield(key) {
					return
				}
			}
		}
		for i := range c.list {
			ch := &c.list[i]
			stored := !c.wiped && c.locate(ch, base) >= 0
			if ch.gives() && !stored && !yield(string(c.key(ch))) {
				return
			}
		}
	}
}

// Take deletes key, and returns the JSON of the value that it had. The store held raw if ok, and has given it up.
func (c *Changes) Take(key, raw string, ok bool) (string, bool, error) {
	i := c.find(key)
	if i < 0 || c.list[i].kind == kindNone {
		return raw, ok, nil
	}
	defer func() { _ = c.Delete(nil, key) }() // It is listed, so there is room.
	u := c.list[i].update
	if c.list[i].kind != kindUpdate {
		raw, ok = c.value(i)
		return raw, ok, nil
	}
	val, err := u.Update(nil, raw, ok)
	return string(val), err == nil, err
}

// Fail notes that a write to key failed with err, and returns err.
func (c *Changes) Fail(key string, err error) error {
	i := c.find(key)
	if i < 0 {
		if i = c.add(key, false); i < 0 {
			return err
		}
	}
	if c.list[i].err == nil {
		c.line(i)
	}
	c.list[i].err = err
	return err
}

// Err returns the error that has stood the longest of those of changes that could not be made, nil if all could.
func (c *Changes) Err() error {
	if c.first > 0 {
		return c.list[c.first-1].err
	}
	if c.full {
		return ErrTooLarge
	}
	return nil
}

// Wipe forgets all changes, and drops every member of the record but the cookie, also those that other requests add
// until the session is stored.
func (c *Changes) Wipe() {
	c.Clear()
	c.wiped = true
}

// Clear forgets all changes.
func (c *Changes) Clear() {
	c.touch()
	c.list, c.arena = c.list[:0], c.arena[:0]
	c.names.slots, c.names.n = c.names.slots[:0], 0
	c.wiped, c.full, c.first, c.last, c.bytes, c.waste = false, false, 0, 0, 0, 0
}

// Release forgets all changes and clears the memory that they were in, for the next request. Buffers of more than
// keepBytes bytes, and lists of more than keepChanges changes, are left to the garbage collector.
func (c *Changes) Release(keepBytes, keepChanges int) {
	if c.read = nil; c.untouched() {
		return
	}
	c.Clear()
	if c.unsure {
		c.touchedArena, c.touchedScratch = cap(c.arena), cap(c.scratch)
	}
	c.arena = emptied(c.arena, c.touchedArena, keepBytes)
	c.scratch = emptied(c.scratch, c.touchedScratch, keepBytes)
	c.list = emptied(c.list, c.touchedList, keepChanges)
	c.edits = emptied(c.edits, 0, 2*keepChanges)
	c.names.slots = emptied(c.names.slots, 0, 4*keepChanges)
	c.touchedArena, c.touchedScratch, c.touchedList, c.unsure = 0, 0, 0, false
}

// untouched reports whether nothing was written since the last Release, so that there is nothing to release.
func (c *Changes) untouched() bool {
	return c.touchedArena|c.touchedScratch|c.touchedList|len(c.arena)|len(c.list)|len(c.scratch)|len(c.edits)|len(c.names.slots) == 0 && !c.unsure && !c.wiped && !c.full
}

// emptied returns b without what was written to it, which reaches as far as touched, or nil if it is too large.
func emptied[T any](b []T, touched, limit int) []T {
	if cap(b) > limit {
		return nil
	}
	clear(b[:min(touched, cap(b))])
	return b[:0]
}

// Len returns how many keys were written to, deletions and failures included.
func (c *Changes) Len() int { return len(c.list) }

// Empty reports whether nothing was asked for.
func (c *Changes) Empty() bool { return len(c.list) == 0 && !c.wiped && !c.full }

// Wiped reports whether Wipe was called.
func (c *Changes) Wiped() bool { return c.wiped }

// Bytes returns how many bytes the changes take in a record at least. Only deletions bring it above the Limit.
func (c *Changes) Bytes() int { return c.bytes }

// HoldsValue reports whether the changes give an empty session a value.
func (c *Changes) HoldsValue() bool {
	for i := range c.list {
		if c.list[i].gives() {
			return true
		}
	}
	return false
}

// DropIdle forgets the changes that change nothing of base, so that Merge does not write over another request's
// changes with them. It reports whether it has met a change that makes something else of base: then Alter would, too.
func (c *Changes) DropIdle(base *Record) (alters bool) {
	if c.wiped {
		return false
	}
	kept := 0
	c.first, c.last = 0, 0
	for i := range c.list {
		ch := &c.list[i]
		if c.alters(ch, base) {
			alters = true
		} else if ch.err == nil {
			c.bytes -= ch.cost()
			c.waste += ch.cost() - memberBytes
			continue
		}
		if kept != i {
			c.list[kept] = *ch
		}
		if ch.err != nil {
			c.line(kept)
		}
		kept++
	}
	if kept < len(c.list) {
		c.touch()
		c.list = c.list[:kept]
		c.tabulate()
	}
	return alters
}

// Alter reports whether Merge would make of base another record, the header aside. cookie is the Header's. Equal means
// equal bytes.
func (c *Changes) Alter(base *Record, cookie []byte) bool {
	if cookie != nil {
		m, at := search(base, cookieMember)
		if at < 0 || base.value(m) != string(cookie) {
			return true
		}
	}
	again := 0 // how many members of base are written again as they are
	for i := range c.list {
		ch := &c.list[i]
		if c.alters(ch, base) {
			return true
		}
		if ch.kind != kindNone && ch.at >= 0 {
			again++
		}
	}
	return c.wiped && base.Len() > again
}
