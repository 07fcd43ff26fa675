package engine

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/group"
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
	if r.m.ring != nil {
		text, sig = cutToken(token)
	}
	ok := r.jar.Take(text, sig, r.m.ring)
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
// frame waits for what is found, and so does the reset of the request, whose values the store may look at through its
// context.
func (r *request) begin() error {
	if !r.signed || r.m.config.Defer {
		return nil
	}
	r.guard.Lock()
	defer r.guard.Unlock()
	if err := r.load(); err != nil {
		return err
	}
	if r.guard.Taken() { // Next on a *fiber.Ctx that another request may own already would run that one's handlers.
		return &Failure{Op: "load", Err: ErrReleased}
	}
	return nil
}

// load looks the presented ids up, once. A failing store is the error, here and in every later look. Whatever is not a
// live session leaves the request with a new one.
func (r *request) load() error { return r.loadFrom(false) }

// loadFrom is load, past a cache if fresh.
func (r *request) loadFrom(fresh bool) error {
	if r.loaded {
		return r.loadErr
	}
	r.loaded = true
	done := false
	defer func() {
		if !done {
			r.loadErr = &Failure{Op: "load", Err: &ownError{errPanicked}}
		}
	}()
	r.loadErr = r.search(fresh)
	if r.loadErr == nil {
		r.validate()
	}
	done = true
	return r.loadErr
}

// errPanicked is why a session cannot be used whose load panicked, in a store, a hook or Config.Valid.
var errPanicked = errors.New("sess: the load of the session panicked")

// errSavePanicked is why nothing is saved behind a save that panicked, in a store or in the function of an Update.
var errSavePanicked = &Failure{Op: "save", Err: &ownError{errors.New("sess: a save panicked: what the store made of it is not known")}}

// lookUp is load with the lock held, which it lets go of unless the session was loaded; also where the load panics.
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
	ctx, cancel := context.Context(nil), noCancel
	defer func() { cancel() }()
	for ok := true; ok; ok = r.jar.Next() {
		found, known := (*record.Record)(nil), false
		if !fresh {
			found, known = r.m.shelf.peek(r.presented(), r.clock())
		}
		if !known {
			if ctx == nil { // Only now: to make it costs two allocations.
				ctx, cancel = r.m.deadline(r.parent())
			}
			var err error
			if found, err = r.m.shelf.read(ctx, r.presented(), fresh); err != nil {
				if err = r.unread(err); err != nil {
					return err
				}
				continue
			}
		}
		if r.take(found) {
			return nil
		}
	}
	return nil
}

// clock is the time to read at. The request may be old already, and what a cache promises is about the present.
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
	case !found.Live():
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
	if r.arrived == nil {
		r.arrived = found
	}
	if r.created == 0 { // Koa drops what it does not know.
		r.created = r.at.UnixMilli()
	}
	return true
}

// unread tells what became of a read that brought no record. It returns an error if the store failed.
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
	valid := r.m.config.Valid
	if valid == nil || r.alone || r.draft.Base() == nil {
		return
	}
	ok := false
	r.call(func(s Handle) { ok = valid(r.ctx, s) })
	if !ok {
		r.reject(Event{ID: r.id, Reason: ReasonInvalid})
		r.forget()
	}
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
		return nil // Not the session that was presented: no other request has seen it.
	}
	ctx, cancel := r.m.deadline(r.parent())
	defer cancel()
	found, err := r.m.shelf.read(ctx, &r.id, true)
	switch {
	case errors.Is(err, record.ErrNotFound), err == nil && draft.Over(found, time.Now(), r.m.config.Lifetime):
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

// forget makes the session a new one; the record in the store stays, and so do the changes. The cookie that an earlier Save
// owes is not sent.
func (r *request) forget() {
	r.id, r.created = ident.ID{}, 0
	r.draft.Rebase(nil)
	if r.debt.kind == dueCookie {
		r.debt = debt{}
	}
}

// takeKey removes key from the stored record in one swap of its own, and from what is written here.
func (r *request) takeKey(key string) (string, bool, error) {
	switch {
	case record.IsReserved(key):
		return "", false, record.ErrReserved
	case !r.m.shelf.atomic:
		return "", false, ErrUnsupported
	case r.ended:
		return "", false, record.ErrEnded
	}
	if err := r.load(); err != nil {
		return "", false, err
	}
	raw, ok := "", false
	if r.draft.Reads() {
		var err error
		raw, ok, err = r.takeStored(key)
		switch {
		case errors.Is(err, errRenewed):
			return "", false, r.die(ReasonRenewed)
		case errors.Is(err, record.ErrNotFound):
			return "", false, r.die(ReasonGone)
		case errors.Is(err, record.ErrCorrupt):
			return "", false, r.die(ReasonCorrupt)
		case err != nil:
			return "", false, r.storeError("take", *r.stands(), err)
		}
	}
	return r.draft.Taken(key, raw, ok)
}

// takeStored swaps the record for one without key until that succeeds or there is no such key.
func (r *request) takeStored(key string) (raw string, ok bool, err error) {
	ctx, cancel := r.phase()
	defer cancel()
	var without record.Changes
	if err := without.Delete(nil, key); err != nil {
		return "", false, err
	}
	id := r.stands()
	next, _, err := r.m.shelf.amend(ctx, id, r.draft.Base(), group.BuildFunc(func(now *record.Record) (*record.Record, time.Duration, error) {
		if !now.Live() {
			return nil, 0, errRenewed
		}
		if raw, ok = now.Raw(key); !ok {
			return now, 0, nil
		}
		rest := draft.Rest(time.Now(), now)
		h := r.m.users.HeaderOn(id, now)
		if h.Created == 0 {
			h.Created = r.created
		}
		r.bear(id, &h, rest.Ends)
		next, err := record.Merge(now, &without, h, r.m.config.MaxRecordBytes)
		return next, rest.TTL, err
	}))
	if err == nil {
		r.draft.Rebase(next)
		if r.fate == draft.Renew {
			r.left = next
		}
	}
	return raw, ok, err
}
