package draft

import (
	"slices"

	"github.com/fibersess/sess/internal/record"
)

// Draft is a session in the hands of one request: the record that stands in the store, as far as the request knows, and
// the changes that are not stored yet. The zero Draft is a new session. It is not safe for concurrent use.
type Draft struct {
	base    *record.Record // nil: none is stored
	changes record.Changes
}

// What a pooled draft keeps of its buffers, in bytes and in changes. Larger ones go to the garbage collector, so that one
// large session does not stay in the pool.
const (
	keepBytes   = 8 << 10
	keepChanges = 64
)

// Limit bounds what may be written, in bytes of JSON. It holds until it is called again. Default: 16 MiB.
func (d *Draft) Limit(bytes int) { d.changes.Limit = bytes }

// Base returns the record that stands in the store, as far as the request knows; nil: none.
func (d *Draft) Base() *record.Record { return d.base }

// Rebase makes r the record that stands in the store. What is written stays.
func (d *Draft) Rebase(r *record.Record) { d.base = r }

// Get returns the JSON text of the value under key, in memory that nobody writes to.
func (d *Draft) Get(key string) (raw string, ok bool) { return d.changes.Raw(d.base, key) }

// Reads reports whether there is a stored record whose values the session has.
func (d *Draft) Reads() bool { return d.base != nil && !d.changes.Wiped() }

// Set writes value under key. If that fails nothing is written, and the draft has a Fault until the same key is written
// or deleted, or until Clear.
func Set[T any](d *Draft, key string, value T) { _ = record.Set(&d.changes, key, value) }

// Delete removes the value under key.
func (d *Draft) Delete(key string) {
	if err := d.changes.Delete(d.base, key); err == nil && record.IsReserved(key) {
		_ = d.changes.Fail(key, record.ErrReserved)
	}
}

// Update runs f on the value under key and keeps it, to run again when the save meets another value. On top of a value
// that this request wrote it is a plain write, since no other request can change that.
func (d *Draft) Update(key string, f record.Updater) { _ = d.changes.Update(d.base, key, f) }

// Clear removes every value, also those that other requests add until the save. The cookie options stay.
func (d *Draft) Clear() { d.changes.Wipe() }

// Taken notes that another step has removed key from the store, where it was raw if ok. It returns what the draft had
// under key on top of that, and removes it.
func (d *Draft) Taken(key, raw string, ok bool) (string, bool, error) {
	return d.changes.Take(key, raw, ok)
}

// Keys returns the keys as a handler sees them: the stored ones in the order of the record, then new ones in the order of
// writing.
func (d *Draft) Keys() []string { return slices.Collect(d.changes.Keys(d.base)) }

// Wiped reports whether every member of the base goes.
func (d *Draft) Wiped() bool { return d.changes.Wiped() }

// Dirty reports whether anything was written.
func (d *Draft) Dirty() bool { return !d.changes.Empty() }

// Fault returns why the draft cannot be stored, nil if it can.
func (d *Draft) Fault() error { return d.changes.Err() }

// HoldsValue reports whether the changes give an empty session a value.
func (d *Draft) HoldsValue() bool { return d.changes.HoldsValue() }

// Settle drops the changes that change nothing, so that a merge does not write over another's with them. It reports
// whether what is left makes another record of the base. cookie is the JSON of the cookie options, nil to leave them.
func (d *Draft) Settle(cookie []byte) (changed bool) {
	return d.changes.DropIdle(d.base) || d.changes.Alter(d.base, cookie)
}

// Next makes the record to store on top of current. The error is [record.ErrTooLarge] above limit bytes, or that of an
// updater.
func (d *Draft) Next(current *record.Record, h record.Header, limit int) (*record.Record, error) {
	return record.Merge(current, &d.changes, h, limit)
}

// Drop forgets what was written and not stored. The base stays.
func (d *Draft) Drop() { d.changes.Clear() }

// Empty makes d the zero Draft again, but for its Limit and for buffers that are not too large to keep. They hold nothing
// of the session.
func (d *Draft) Empty() {
	d.changes.Release(keepBytes, keepChanges)
	d.base = nil
}
