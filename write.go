package sess

import (
	"bytes"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/jsontext"
	"github.com/fibersess/sess/internal/record"
)

// writable prepares for a write to key, and reports false if the session layer owns it.
func (st *state) writable(key string) bool {
	if record.IsReserved(key) {
		st.failWrite(ErrReserved)
		return false
	}
	st.written()
	return true
}

// written notes a write. One that comes after the frame has decided is not lost in silence: Err says so at once, and
// the Dropped hook when the request ends, unless Save is called.
func (st *state) written() {
	if st.committed {
		st.unsaved = true
		if st.err == nil {
			st.err = ErrCommitted
		}
	}
}

// failWrite keeps the first error of a write, for Err and for the save, which fails with it.
func (st *state) failWrite(err error) {
	if st.err == nil || errors.Is(st.err, ErrCommitted) {
		st.err = err
	}
}

// findChange returns what was written to key, nil if nothing was.
func (st *state) findChange(key string) *record.Change {
	if len(st.changes) > 0 && !utf8.ValidString(key) {
		key = string(jsontext.AppendName(nil, key))
	}
	for i := range st.changes {
		if c := &st.changes[i]; string(c.Key) == key {
			if c.Kind == record.ChangeUpdate && c.MadeOf != st.record {
				st.remake(c)
			}
			return c
		}
	}
	return nil
}

// remake makes the value of an Update anew, of the record that Refresh or Take has brought.
func (st *state) remake(c *record.Change) {
	raw, ok := st.record.Raw(string(c.Key))
	from := len(st.arena)
	arena, _, err := c.Update.Update(st.arena, raw, ok)
	if err != nil {
		st.failWrite(err)
		return
	}
	st.arena = arena
	c.Val, c.MadeOf = arena[from:len(arena):len(arena)], st.record
}

// changeOf returns the change of key, a new one if there is none.
func (st *state) changeOf(key string) *record.Change {
	from := len(st.arena)
	st.arena = jsontext.AppendName(st.arena, key)
	name := st.arena[from:len(st.arena):len(st.arena)]
	for i := range st.changes {
		if bytes.Equal(st.changes[i].Key, name) {
			st.arena = st.arena[:from]
			return &st.changes[i]
		}
	}
	st.changes = append(st.changes, record.Change{Key: name})
	return &st.changes[len(st.changes)-1]
}

// update runs f on the value under key and keeps it, to run again when the save meets another value. On top of a
// value written in this request it is a plain write, since no other request can change that.
func (st *state) update(key string, f record.Updater) {
	if !st.writable(key) {
		return
	}
	if st.load() != nil {
		return
	}
	raw, ok := "", false
	earlier := st.findChange(key)
	switch {
	case earlier != nil:
		raw, ok = string(earlier.Val), earlier.Kind != record.ChangeDelete && earlier.Val != nil
	case st.record != nil && !st.wipe:
		raw, ok = st.record.Raw(key)
	}
	from := len(st.arena)
	arena, _, err := f.Update(st.arena, raw, ok)
	if err != nil {
		st.failWrite(err)
		return
	}
	st.arena = arena
	val := arena[from:len(arena):len(arena)]
	c := st.changeOf(key)
	switch {
	case earlier == nil && !st.wipe:
		c.Kind, c.Update, c.MadeOf = record.ChangeUpdate, f, st.record
	case earlier != nil && c.Kind == record.ChangeUpdate:
		c.Update = record.Both(c.Update, f)
	default:
		c.Kind = record.ChangeSet
	}
	c.Val = val
}

// keys lists the keys as a handler sees them.
func (st *state) keys() []string {
	var keys []string
	if !st.wipe {
		for key := range st.record.Keys() {
			if c := st.findChange(key); c == nil || c.Kind != record.ChangeDelete {
				keys = append(keys, key)
			}
		}
	}
	for i := range st.changes {
		c := &st.changes[i]
		if _, stored := st.record.Raw(string(c.Key)); c.Kind != record.ChangeDelete && (st.wipe || !stored) {
			keys = append(keys, string(c.Key))
		}
	}
	return keys
}

// regenerate leaves the id behind, which the commit retires.
func (st *state) regenerate() {
	if st.record != nil && st.fate == fateKeep {
		st.fate, st.leaving, st.left = fateRegenerate, st.id, st.record
	}
	st.id = ident.ID{}
	st.renewed = false // Asked for: the session is stored under its new id.
}

// destroy leaves the session behind and begins a new one.
func (st *state) destroy() {
	switch {
	case st.fate != fateKeep: // The stored session is the one that was left.
		st.fate = fateDestroy
	case st.record != nil:
		st.fate, st.leaving, st.left = fateDestroy, st.id, st.record
	case st.renewed:
		st.fate, st.leaving = fateDestroy, *st.presented()
	}
	st.renewed, st.forced, st.failed = false, false, nil
	if !errors.Is(st.err, ErrCommitted) {
		st.err = nil
	}
	st.forget()
	st.dropChanges()
}

// take removes key from the stored record in one swap of its own, and from what is written here.
func (st *state) take(key string) (string, bool, error) {
	if record.IsReserved(key) {
		return "", false, ErrReserved
	}
	if !st.m.store.atomic {
		return "", false, ErrUnsupported
	}
	if err := st.load(); err != nil {
		return "", false, err
	}
	raw, ok := "", false
	if st.record != nil && !st.wipe {
		var err error
		if raw, ok, err = st.takeStored(key); err != nil {
			return "", false, st.storeError("take", st.id, err)
		}
	}
	c := st.findChange(key)
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

// takeStored swaps the record for one without key until that succeeds or there is no such key.
func (st *state) takeStored(key string) (raw string, ok bool, err error) {
	ctx, cancel := st.phase()
	defer cancel()
	without := []record.Change{{Key: jsontext.AppendName(nil, key), Kind: record.ChangeDelete}}
	id := &st.id
	if st.fate == fateRegenerate { // It is still stored under the id that it will leave.
		id = &st.leaving
	}
	r, err := st.amend(ctx, id, st.record, func(r *record.Record) (*record.Record, time.Duration, error) {
		if r.Renewed() {
			return nil, 0, ErrNotFound
		}
		if raw, ok = r.Raw(key); !ok {
			return r, 0, nil
		}
		h := record.Header{Created: r.CreatedMS(), Ends: st.m.stored(r.EndsMS()), Known: r.EndsMS()}
		next, scratch, err := record.Merge(r, false, without, h, maxMaxRecordBytes, st.scratch)
		st.scratch = scratch
		return next, st.m.remaining(time.Now(), r.EndsMS()), err
	})
	if errors.Is(err, ErrNotFound) || errors.Is(err, record.ErrCorrupt) { // Ended meanwhile: nobody has it.
		return "", false, nil
	}
	if err == nil {
		st.record = r
		if st.fate == fateRegenerate {
			st.left = r
		}
	}
	return raw, ok, err
}

// refresh reads the session past the caches. What was written stays.
func (st *state) refresh() error {
	if st.fate != fateKeep || !st.signed || (st.record != nil && st.id != *st.presented()) {
		return nil // Not the session that was presented: nobody else has seen it.
	}
	if !st.loaded && !st.m.store.cached {
		return st.load()
	}
	had := st.record != nil
	id, record, created := st.id, st.record, st.created
	st.id, st.record, st.created, st.renewed = ident.ID{}, nil, 0, false
	first := !st.loaded
	st.loaded, st.loadErr = true, nil
	if err := st.fetch((*state).getFresh); err != nil {
		st.id, st.record, st.created = id, record, created
		st.loadErr = err
		return err
	}
	if had && st.record == nil { // It has ended, and what was written was meant for it.
		if st.dirty() {
			st.drop(Event{ID: ID(id), Reason: ReasonGone})
		}
		st.forget()
		st.dropChanges()
	}
	if first {
		st.validate()
	}
	return nil
}

// getFresh asks the store, and no cache.
func (st *state) getFresh(id *ident.ID) (*record.Record, error) {
	ctx, cancel := st.m.deadline(st.parent())
	defer cancel()
	return st.m.store.refresh(ctx, id)
}
