package sess

import (
	"errors"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

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
	if st.record != nil && !st.changes.Wiped() {
		var err error
		if raw, ok, err = st.takeStored(key); err != nil {
			return "", false, st.storeError("take", st.id, err)
		}
	}
	return st.changes.Take(key, raw, ok)
}

// takeStored swaps the record for one without key until that succeeds or there is no such key.
func (st *state) takeStored(key string) (raw string, ok bool, err error) {
	ctx, cancel := st.phase()
	defer cancel()
	var without record.Changes
	_ = without.Delete(nil, key)
	id := &st.id
	if st.fate == fateRegenerate { // It is still stored under the id that it will leave.
		id = &st.leaving
	}
	r, err := st.amend(ctx, id, st.record, func(r *record.Record) (*record.Record, time.Duration, error) {
		if r.Tombstone() {
			return nil, 0, ErrNotFound
		}
		if raw, ok = r.Raw(key); !ok {
			return r, 0, nil
		}
		h := r.Header()
		h.Ends, h.Known = st.m.stored(r.EndsMS()), r.EndsMS()
		next, err := record.Merge(r, &without, h, maxMaxRecordBytes)
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
