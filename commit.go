package sess

import (
	"context"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// errRenewed says that a tombstone stands where the session was.
var errRenewed = errors.New("sess: renewed")

// commit decides what becomes of the session when its handler has returned, and does it.
func (st *state) commit() error {
	st.decided = true
	if !st.is(lifeTouched) {
		return nil
	}
	st.lock()
	defer st.mu.Unlock()
	if st.orphaned() {
		st.committed = true
		return nil
	}
	if st.base == nil && st.fiberCtx != nil && !st.m.store.local && st.dirty() {
		st.base = st.fiberCtx.UserContext()
	}
	err := st.conclude(true)
	st.committed = true
	return err
}

// commitAfter is commit behind a handler that failed: the session is saved all the same, for counters of failed logins
// and the like. The handler's error is the one the client gets, so the save's own goes to the hook.
func (st *state) commitAfter() {
	err := st.commit()
	var e *Error
	if errors.As(err, &e) && !isStoreFailure(e.Err) { // The store's failures have been told.
		emit(st.m.config.Hooks.StoreError, Event{Err: e.Err})
	}
}

// errSaveInside would have no end in BeforeSave.
var errSaveInside = errors.New("sess: Save in a function that the session layer calls: it saves when that has returned")

// save is commit in the middle of a request.
func (st *state) save() error {
	if st.callback != 0 {
		return &Error{Op: "save", Err: &handlerError{errSaveInside}}
	}
	if st.life.Load()&(lifeRequest|lifeFrame) == lifeFrame {
		return ErrReleased
	}
	if st.committed {
		if st.record == nil || st.fate != fateKeep {
			return ErrCommitted
		}
		if errors.Is(st.err, ErrCommitted) {
			st.err = nil
		}
	}
	defer func(discarded, committed bool) {
		st.discarded, st.committed = discarded, committed
	}(st.discarded, st.committed)
	st.discarded, st.committed = false, false // What BeforeSave writes is in time.
	err := st.conclude(false)
	if err == nil || err == ErrReleased { // Saved, or told to be lost.
		st.unsaved = false
	}
	return err
}

// orphaned reports whether the request was reset under its handler: then nothing of it may be touched.
func (st *state) orphaned() bool {
	orphaned := st.is(lifeReset)
	if orphaned && st.dirty() {
		st.drop(Event{ID: ID(st.id), Reason: ReasonOrphaned})
	}
	return orphaned
}

// dirty reports whether anything was asked of the session but reading.
func (st *state) dirty() bool {
	return !st.changes.Empty() || st.ownCookie || st.forced || st.fate != fateKeep
}

// conclude is the end of a session's request, in the order of precedence: discarded, failed, destroyed, saved, and if
// it is the request's last one, renewed. It returns ErrReleased if the request was reset meanwhile.
func (st *state) conclude(last bool) error {
	if st.discarded {
		return nil
	}
	if st.err != nil {
		return &Error{Op: "save", Err: &handlerError{st.err}}
	}
	if st.failed != nil {
		return st.failed
	}
	if !st.loaded && !st.dirty() {
		return nil
	}
	if err := st.load(); err != nil {
		return err
	}
	wanted := st.wanted()
	if hook := st.m.config.BeforeSave; hook != nil && wanted && !st.renewed {
		var err error
		st.call(func(s Session) { err = hook(st.ctx, s) })
		if err != nil {
			return &Error{Op: "save", Err: &handlerError{err}}
		}
		if st.discarded {
			return nil
		}
		if st.orphaned() {
			return ErrReleased
		}
		if st.err != nil {
			return &Error{Op: "save", Err: &handlerError{st.err}}
		}
		wanted = st.wanted()
	}
	if st.fate == fateDestroy {
		if err := st.end(); err != nil {
			return err
		}
	}
	switch {
	case st.renewed && !st.forced:
		if st.dirty() {
			st.drop(Event{ID: ID(*st.presented()), Reason: ReasonRenewed})
			st.dropChanges()
		}
		return nil
	case wanted:
		return st.store()
	case last:
		st.renew()
	}
	return nil
}

// wanted reports whether the session is to be saved.
func (st *state) wanted() bool {
	if st.record == nil {
		return st.forced || st.changes.HoldsValue() || st.m.config.AllowEmpty && st.is(lifeUsed) && st.fate != fateDestroy
	}
	if !st.dirty() {
		return false
	}
	if st.ownCookie {
		raw, _ := st.record.OwnCookie()
		st.cookieJSON = cookies.AppendJSON(st.cookieJSON[:0], raw, st.cookie, st.m.cookie)
	}
	var cookie []byte
	if st.ownCookie {
		cookie = st.cookieJSON
	}
	st.changes.DropIdle(st.record)
	return st.forced || st.fate == fateRegenerate || st.changes.Len() > 0 && !st.changes.Wiped() ||
		st.changes.Alter(st.record, cookie)
}

// store saves the session under its id. What another request saved meanwhile is kept, and the changes are made to
// that; where another request ended the session it stays so.
func (st *state) store() error {
	ttl := st.ttl()
	if st.orphaned() { // TTLFunc took its time.
		return ErrReleased
	}
	at := time.Now()
	if st.created == 0 {
		st.created = at.UnixMilli()
	}
	opts := st.options(st.record)
	if st.m.lifespan(at, st.created, opts, ttl).ttl <= 0 { // It was told to end.
		st.destroy()
		if st.fate != fateDestroy {
			return nil
		}
		emit(st.m.config.Hooks.Expired, Event{ID: ID(st.leaving)})
		st.count(countExpired)
		return st.end()
	}
	if err := st.newID(); err != nil {
		return &Error{Op: "save", Err: err}
	}
	ctx, cancel := st.phase()
	defer cancel()
	if st.fate == fateRegenerate {
		return st.settle("regenerate", st.move(ctx, at, ttl))
	}
	return st.settle("save", st.put(ctx, at, ttl))
}

// settle turns the outcome of a save into the request's: the cookie, a dropped change, or an error.
func (st *state) settle(op string, err error) error {
	reason := Reason("")
	switch {
	case err == nil:
		st.owe(st.record.EndsMS())
	case errors.Is(err, errRenewed):
		reason = ReasonRenewed
	case errors.Is(err, ErrNotFound):
		reason = ReasonGone
	case errors.Is(err, record.ErrCorrupt):
		reason = ReasonCorrupt
	case isStoreFailure(err):
		failure := st.storeError(op, st.id, err)
		if !errors.Is(err, ErrConflict) { // The store may have it: a second time it would be counted twice.
			st.failed = failure
		}
		return failure
	default:
		return &Error{Op: op, Err: err}
	}
	if reason != "" {
		st.lose(reason)
	}
	st.dropChanges()
	st.forced, st.fate, st.leaving, st.left = false, fateKeep, ident.ID{}, nil
	return nil
}

// isStoreFailure tells an error of the store's from one of the application's making.
func isStoreFailure(err error) bool { return (&Error{Err: err}).status() == 503 }

// put stores the session, new or changed.
func (st *state) put(ctx context.Context, at time.Time, ttl time.Duration) error {
	before, merged := st.record, false
	next, err := st.amend(ctx, &st.id, before, func(r *record.Record) (*record.Record, time.Duration, error) {
		switch merged = r != before; {
		case merged && before == nil:
			return nil, 0, errIDTaken
		case merged && r.Tombstone():
			return nil, 0, errRenewed
		}
		next, life, err := st.build(r, at, ttl)
		return next, life.ttl, err
	})
	if err != nil {
		return err
	}
	if merged {
		st.count(countMerged)
		emit(st.m.config.Hooks.Merged, Event{ID: ID(st.id)})
	}
	st.saved(before, next)
	return nil
}

var errIDTaken = &handlerError{errors.New("sess: Config.GenerateID: made the id of a session that exists")}

// saved notes that next is now in the store.
func (st *state) saved(before, next *record.Record) {
	st.record = next
	if before == nil {
		st.count(countCreated)
		emit(st.m.config.Hooks.Created, Event{ID: ID(st.id)})
		return
	}
	st.count(countSaved)
	emit(st.m.config.Hooks.Saved, Event{ID: ID(st.id)})
}

// build makes the record to store on top of current, and says how long it lives.
func (st *state) build(current *record.Record, at time.Time, ttl time.Duration) (*record.Record, span, error) {
	m := st.m
	opts := st.options(current)
	life := m.lifespan(at, st.created, opts, ttl)
	if life.ttl <= 0 { // Another request gave it an end that has passed.
		life.ttl = time.Millisecond
	}
	h := current.Header()
	h.Created, h.Ends, h.Known = st.created, m.stored(life.ends), life.ends
	if st.ownCookie || m.config.Koa {
		raw, _ := current.OwnCookie()
		st.cookieJSON = cookies.AppendJSON(st.cookieJSON[:0], raw, *opts, m.cookie)
		h.Cookie = st.cookieJSON
	}
	next, err := record.Merge(current, &st.changes, h, m.config.MaxRecordBytes)
	if err != nil {
		return nil, life, err
	}
	return next, life, nil
}
