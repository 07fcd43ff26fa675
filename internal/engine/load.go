package engine

import (
	"bytes"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/tally"
)

// present finds the ids that the request carries with a valid signature.
func (r *request) present() bool {
	m := r.m
	if t := m.config.Transport; t != nil {
		return r.presentToken(t.Read(r.ctx))
	}
	signed := m.cookies.Find(&r.jar, &r.ctx.Request.Header)
	if !signed && r.jar.Some() {
		r.reject(Event{Reason: ReasonSignature})
	}
	return signed
}

// presentToken is present for a Transport's token.
func (r *request) presentToken(token []byte) bool {
	if len(token) == 0 {
		return false
	}
	text, sig := token, []byte(nil)
	if r.m.keyring != nil {
		text, sig = cutToken(token)
	}
	ok := r.jar.Take(text, sig, r.m.keyring)
	if !ok {
		r.reject(Event{Reason: ReasonSignature})
	}
	return ok
}

// cutToken splits a token at its last dot, which no signature holds.
func cutToken(token []byte) (id, sig []byte) {
	if i := bytes.LastIndexByte(token, '.'); i >= 0 {
		return token[:i], token[i+1:]
	}
	return token, nil
}

// presented is the id that the request has brought, if r.signed: the one that was looked up last.
func (r *request) presented() *ident.ID { return r.jar.ID() }

// begin loads the session that the request presents, unless deferred. It holds the lock meanwhile: a handle outside of the
// frame waits for the load, and so does the reset of the request, since the store's context may read the user values.
func (r *request) begin() error {
	if !r.signed || r.m.config.Defer {
		return nil
	}
	r.guard.Lock()
	defer r.guard.Unlock()
	if err := r.load(); err != nil {
		return err
	}
	if r.guard.Taken() { // Next must not be called: the *fiber.Ctx may be another request's.
		return &Failure{Op: "load", Err: ErrReleased}
	}
	return nil
}

// load looks the presented ids up, once. If the store fails, that error is kept for every later call. If no session is
// found, the request has a new one.
func (r *request) load() error { return r.loadFrom(false) }

// loadFrom is load; fresh passes over the store's cache.
func (r *request) loadFrom(fresh bool) error {
	if r.loaded {
		return r.loadErr
	}
	r.loaded, r.loadErr = true, errLoadPanicked // What stays if the store, a hook or Config.Valid panics.
	r.loadErr = r.search(fresh)
	if r.loadErr == nil && r.m.config.Valid != nil {
		r.validate()
	}
	return r.loadErr
}

// errLoadPanicked is why a session cannot be used whose load panicked, in a store, a hook or Config.Valid.
var errLoadPanicked = &Failure{Op: "load", Err: &ownError{errors.New("sess: the load of the session panicked")}}

// errSavePanicked is why nothing is saved after a save that panicked, in a store or in the function of an Update.
var errSavePanicked = &Failure{Op: "save", Err: &ownError{errors.New("sess: a save panicked: what the store made of it is not known")}}

// lookUp is load, called with the lock held. Where it returns false or panics, it has unlocked.
func (r *request) lookUp() (ok bool) {
	defer func() {
		if !ok {
			r.guard.Unlock()
		}
	}()
	return r.load() == nil
}

// search looks at the presented ids in the order of the header until one is that of a live session: a dead cookie of
// another path or domain must not hide the live one. A tombstone ends the search, since a request under way with an id that
// was just renewed must not be served as another session's; so does a failing store.
func (r *request) search(fresh bool) error {
	for ok := true; ok; ok = r.jar.Next() {
		found, known := r.peek(fresh)
		if !known {
			return r.searchStore(fresh)
		}
		if r.take(found) {
			return nil
		}
	}
	return nil
}

// searchStore is search from the first id on that memory does not know. Its deadline costs two allocations.
func (r *request) searchStore(fresh bool) error {
	ctx, cancel := r.m.deadline(r.parent())
	defer cancel()
	found, known := (*record.Record)(nil), false
	for {
		var err error
		if !known {
			found, err = r.m.shelf.read(ctx, r.presented(), fresh)
		}
		if err == nil {
			if r.take(found) {
				return nil
			}
		} else if err = r.unread(err); err != nil {
			return err
		}
		if !r.jar.Next() {
			return nil
		}
		found, known = r.peek(fresh)
	}
}

// peek returns what the store's memory knows of the presented id; nothing if fresh.
func (r *request) peek(fresh bool) (found *record.Record, known bool) {
	if fresh {
		return nil, false
	}
	return r.m.shelf.peek(r.presented(), r.clock())
}

// clock is the time to ask a cache about: the present, since the request may be old already.
func (r *request) clock() time.Time {
	if r.m.config.Defer || !r.m.shelf.local {
		return time.Now()
	}
	return r.at
}

// take makes the session of what was found under the presented id. It reports whether the search is over.
func (r *request) take(found *record.Record) (done bool) {
	switch {
	case found.Size() > r.m.config.MaxRecordBytes:
		r.refuse(ReasonCorrupt, record.ErrCorrupt)
		return false
	case draft.Over(found, r.at, r.m.config.Lifetime):
		r.tell(tally.Expired, r.m.config.Hooks.Expired, Event{ID: *r.presented()})
		return false
	case found.Tombstone():
		r.renewed = true
		r.refuse(ReasonRenewed, nil)
		return true
	case found.Grave():
		r.refuse(ReasonUnknown, nil)
		return false
	}
	r.count(tally.Loaded)
	r.id, r.created = *r.presented(), found.CreatedMS()
	r.draft.Rebase(found)
	if r.firstLoaded == nil {
		r.firstLoaded = found
	}
	if r.created == 0 { // Koa does not keep our creation time.
		r.created = r.at.UnixMilli()
	}
	return true
}

// unread handles the error of a read. It returns an error only if the store failed.
func (r *request) unread(err error) error {
	switch {
	case errors.Is(err, record.ErrNotFound):
		r.refuse(ReasonUnknown, nil)
	case errors.Is(err, record.ErrCorrupt):
		r.refuse(ReasonCorrupt, err)
	default:
		return r.storeError("load", *r.presented(), err)
	}
	return nil
}

// validate asks Config.Valid about the session that was loaded.
func (r *request) validate() {
	if r.detached || r.draft.Base() == nil {
		return
	}
	ok, done := false, false
	defer func() {
		if !done {
			r.loadErr = errLoadPanicked
		}
	}()
	r.call(func(s Handle) { ok = r.m.config.Valid(r.ctx, s) })
	if !ok {
		r.reject(Event{ID: r.id, Reason: ReasonInvalid})
		r.forget()
	}
	done = true
}

// refresh reads the session past the caches. What was written stays, unless the session has ended.
func (r *request) refresh() error {
	base := r.draft.Base()
	switch {
	case r.ended:
		return record.ErrEnded
	case !r.loaded:
		return r.loadFrom(true)
	case r.loadErr != nil:
		return r.loadErr
	case base == nil || r.fate != draft.Keep || !r.signed || r.id != *r.presented():
		return nil // A new id: no other request can have changed its session.
	}
	ctx, cancel := r.m.deadline(r.parent())
	defer cancel()
	found, err := r.m.shelf.read(ctx, &r.id, true)
	switch {
	case errors.Is(err, record.ErrNotFound), err == nil && (found.Grave() || draft.Over(found, time.Now(), r.m.config.Lifetime)):
		return r.die(ReasonGone)
	case errors.Is(err, record.ErrCorrupt), err == nil && found.Size() > r.m.config.MaxRecordBytes:
		return r.die(ReasonCorrupt)
	case err != nil:
		r.loadErr = r.storeError("refresh", r.id, err)
		return r.loadErr
	case !found.Live():
		return r.die(ReasonRenewed)
	}
	r.draft.Rebase(found)
	return nil
}

// die notes that the session ended, or that another request renewed it. The handle is dead from then on: the values are
// gone, and writes are refused, since what was written was meant for that session.
func (r *request) die(reason Reason) error {
	if r.dirty() {
		r.drop(Event{ID: r.id, Reason: reason})
	}
	r.ended, r.forced, r.fate, r.life = true, false, draft.Keep, 0
	r.leaving, r.left = ident.ID{}, nil
	r.forget()
	r.draft.Drop()
	r.ownCookie = false
	return record.ErrEnded
}

// forget makes the session a new one: it drops the id and the base, keeps the changes, and cancels the cookie of an earlier
// Save. The record stays in the store.
func (r *request) forget() {
	r.id, r.created = ident.ID{}, 0
	r.draft.Rebase(nil)
	if r.debt.kind == dueCookie {
		r.debt = debt{}
	}
}
