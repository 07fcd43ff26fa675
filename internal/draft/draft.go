package draft

import (
	"bytes"
	"unicode/utf8"

	"github.com/fibersess/sess/internal/jsontext"
	"github.com/fibersess/sess/internal/record"
)

// Draft is a session in the hands of one request: the record that stands in the store, as far as the request knows, and
// the changes that are not stored yet. The zero Draft is a new session. It is not safe for concurrent use.
type Draft struct {
	base    *record.Record // nil: none is stored
	wipe    bool           // every member of base goes but the cookie options
	changes []record.Change
	arena   []byte // holds the keys and values of changes
	scratch []byte // room for the next record
	faults  []fault
}

// fault is a write that failed. It fails the save, unless the same key is written or deleted, or all keys are cleared.
type fault struct {
	key string
	err error
}

// maxFaults bounds the list of faults. Where it is full the last one stays whatever else is written, until Clear.
const maxFaults = 16

// What a pooled draft keeps of its buffers, in bytes and in changes. Larger ones go to the garbage collector, so that one
// large session does not stay in the pool.
const (
	keepBytes   = 8 << 10
	keepChanges = 64
)

// Base returns the record that stands in the store, as far as the request knows; nil: none.
func (d *Draft) Base() *record.Record { return d.base }

// Rebase makes r the record that stands in the store. What is written stays.
func (d *Draft) Rebase(r *record.Record) { d.base = r }

// Get returns the JSON text of the value under key, in memory that nobody writes to.
func (d *Draft) Get(key string) (raw string, ok bool) {
	if record.IsReserved(key) {
		return "", false
	}
	if c := d.find(key); c != nil {
		return string(c.Val), c.Kind != record.ChangeDelete && c.Val != nil
	}
	return d.stored(key)
}

// Reads reports whether there is a stored record whose values the session has.
func (d *Draft) Reads() bool { return d.base != nil && !d.wipe }

// Wiped reports whether every member of the base goes.
func (d *Draft) Wiped() bool { return d.wipe }

// stored returns the value that the base has under key, unless the base is wiped.
func (d *Draft) stored(key string) (raw string, ok bool) {
	if !d.Reads() {
		return "", false
	}
	return d.base.Raw(key)
}

// Set writes value under key. If it cannot be encoded, or if key is reserved, nothing is written and the fault is kept.
func Set[T any](d *Draft, key string, value T) {
	if !d.writable(key) {
		return
	}
	from := len(d.arena)
	arena, err := jsontext.AppendValue(d.arena, value)
	if err != nil {
		d.fail(key, err)
		return
	}
	d.arena = arena
	c := d.change(key)
	c.Kind, c.Val, c.Update = record.ChangeSet, d.arena[from:len(arena):len(arena)], nil
}

// Delete removes the value under key.
func (d *Draft) Delete(key string) {
	if d.writable(key) {
		c := d.change(key)
		c.Kind, c.Val, c.Update = record.ChangeDelete, nil, nil
	}
}

// Update runs f on the value under key and keeps it, to run again when the save meets another value. On top of a value
// that this request wrote it is a plain write, since no other request can change that.
func (d *Draft) Update(key string, f record.Updater) {
	if !d.writable(key) {
		return
	}
	raw, ok := "", false
	earlier := d.find(key)
	if earlier != nil {
		raw, ok = string(earlier.Val), earlier.Kind != record.ChangeDelete && earlier.Val != nil
	} else {
		raw, ok = d.stored(key)
	}
	from := len(d.arena)
	arena, _, err := f.Update(d.arena, raw, ok)
	if err != nil {
		d.fail(key, err)
		return
	}
	d.arena = arena
	val := arena[from:len(arena):len(arena)]
	c := d.change(key)
	switch {
	case earlier == nil && !d.wipe:
		c.Kind, c.Update, c.MadeOf = record.ChangeUpdate, f, d.base
	case earlier != nil && c.Kind == record.ChangeUpdate:
		c.Update = record.Both(c.Update, f)
	default:
		c.Kind = record.ChangeSet
	}
	c.Val = val
}

// Clear removes every value, also those that other requests add until the save. The cookie options stay.
func (d *Draft) Clear() {
	clear(d.changes)
	d.changes, d.faults = d.changes[:0], nil
	d.wipe = true
}

// Taken notes that another step has removed key from the store, where it was raw if ok. It returns what the draft had
// under key on top of that, and removes it.
func (d *Draft) Taken(key, raw string, ok bool) (string, bool, error) {
	c := d.find(key)
	if c == nil {
		return raw, ok, nil
	}
	defer func() { c.Kind, c.Val, c.Update = record.ChangeDelete, nil, nil }()
	switch c.Kind {
	case record.ChangeSet:
		return string(c.Val), true, nil
	case record.ChangeUpdate:
		val, set, err := c.Update.Update(nil, raw, ok)
		return string(val), set && err == nil, err
	}
	return "", false, nil
}

// Keys returns the keys as a handler sees them: the stored ones in the order of the record, then new ones in the order of
// writing.
func (d *Draft) Keys() []string {
	var keys []string
	if !d.wipe {
		for key := range d.base.Keys() {
			if c := d.find(key); c == nil || c.Kind != record.ChangeDelete {
				keys = append(keys, key)
			}
		}
	}
	for i := range d.changes {
		c := &d.changes[i]
		if _, stored := d.base.Raw(string(c.Key)); c.Kind != record.ChangeDelete && (d.wipe || !stored) {
			keys = append(keys, string(c.Key))
		}
	}
	return keys
}

// Dirty reports whether anything was written.
func (d *Draft) Dirty() bool { return len(d.changes) > 0 || d.wipe }

// Fault returns why the draft cannot be stored, nil if it can.
func (d *Draft) Fault() error {
	if len(d.faults) == 0 {
		return nil
	}
	return d.faults[0].err
}

// HoldsValue reports whether the changes give an empty session a value.
func (d *Draft) HoldsValue() bool {
	for i := range d.changes {
		if c := &d.changes[i]; c.Kind != record.ChangeDelete && c.Val != nil {
			return true
		}
	}
	return false
}

// Settle drops the changes that change nothing, so that a merge does not write over another's with them. It reports
// whether what is left makes another record of the base. cookie is the JSON of the cookie options, nil to leave them.
func (d *Draft) Settle(cookie []byte) (changed bool) {
	if d.wipe {
		return record.Changed(d.base, true, d.changes, cookie)
	}
	kept := 0
	for i := range d.changes {
		if !d.changes[i].Alters(d.base, false) {
			continue
		}
		if kept != i { // Seldom: spare the rest the moving.
			d.changes[kept] = d.changes[i]
		}
		kept++
	}
	clear(d.changes[kept:])
	d.changes = d.changes[:kept]
	return kept > 0 || cookie != nil && record.Changed(d.base, false, nil, cookie)
}

// Next makes the record to store on top of current. The error is [record.ErrTooLarge] above limit bytes, or that of an
// updater.
func (d *Draft) Next(current *record.Record, h record.Header, limit int) (*record.Record, error) {
	next, scratch, err := record.Merge(current, d.wipe, d.changes, h, limit, d.scratch)
	d.scratch = scratch
	return next, err
}

// Moved is Next without the changes: current with another header.
func (d *Draft) Moved(current *record.Record, h record.Header, limit int) (*record.Record, error) {
	next, scratch, err := record.Merge(current, false, nil, h, limit, d.scratch)
	d.scratch = scratch
	return next, err
}

// Drop forgets what was written and not stored. The base stays.
func (d *Draft) Drop() {
	clear(d.changes)
	clear(d.arena)
	d.changes, d.arena, d.faults, d.wipe = d.changes[:0], d.arena[:0], nil, false
}

// Empty makes d the zero Draft again, but for buffers that are not too large to keep. They hold nothing of the session.
func (d *Draft) Empty() {
	changes, arena, scratch := emptied(d.changes, keepChanges), emptied(d.arena, keepBytes), emptied(d.scratch, keepBytes)
	*d = Draft{changes: changes, arena: arena, scratch: scratch}
}

// emptied returns b without content, or nil if it is too large to keep. It clears all that may have been written.
func emptied[T any](b []T, limit int) []T {
	if cap(b) > limit {
		return nil
	}
	b = b[:cap(b)]
	clear(b)
	return b[:0]
}

// writable takes an earlier fault of key back, and reports false if key is reserved, which is a fault.
func (d *Draft) writable(key string) bool {
	if len(d.faults) > 0 {
		d.forgive(key)
	}
	if record.IsReserved(key) {
		d.fail(key, record.ErrReserved)
		return false
	}
	return true
}

func (d *Draft) fail(key string, err error) {
	if len(d.faults) < maxFaults {
		d.faults = append(d.faults, fault{string(append([]byte(nil), key...)), err})
	}
}

func (d *Draft) forgive(key string) {
	kept := d.faults[:0]
	for i, f := range d.faults {
		if f.key != key || i == maxFaults-1 {
			kept = append(kept, f)
		}
	}
	d.faults = kept
}

// find returns what was written to key, nil if nothing was.
func (d *Draft) find(key string) *record.Change {
	if len(d.changes) > 0 && !utf8.ValidString(key) {
		key = string(jsontext.AppendName(nil, key))
	}
	for i := range d.changes {
		if c := &d.changes[i]; string(c.Key) == key {
			if c.Kind == record.ChangeUpdate && c.MadeOf != d.base {
				d.remake(c)
			}
			return c
		}
	}
	return nil
}

// remake makes the value of an Update anew, of the record that the request has got since.
func (d *Draft) remake(c *record.Change) {
	raw, ok := d.base.Raw(string(c.Key))
	from := len(d.arena)
	arena, _, err := c.Update.Update(d.arena, raw, ok)
	if err != nil {
		d.fail(string(c.Key), err)
		return
	}
	d.arena = arena
	c.Val, c.MadeOf = arena[from:len(arena):len(arena)], d.base
}

// change returns the change of key, a new one if there is none.
func (d *Draft) change(key string) *record.Change {
	from := len(d.arena)
	d.arena = jsontext.AppendName(d.arena, key)
	name := d.arena[from:len(d.arena):len(d.arena)]
	for i := range d.changes {
		if bytes.Equal(d.changes[i].Key, name) {
			d.arena = d.arena[:from]
			return &d.changes[i]
		}
	}
	d.changes = append(d.changes, record.Change{Key: name})
	return &d.changes[len(d.changes)-1]
}
