package sess

import (
	"context"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// begin loads the session that the request presents, unless deferred. It holds mu meanwhile: a handle that somebody
// outside of the frame has got waits for what was found, and so does the reset of the request, whose values the store
// may look at through its context.
func (st *state) begin() error {
	if !st.signed || st.m.config.Defer {
		return nil
	}
	st.lock()
	defer st.mu.Unlock()
	if err := st.load(); err != nil {
		return err
	}
	if st.is(lifeReset) { // Next on a *fiber.Ctx that is another request's by now would run that one's handlers.
		return ErrReleased
	}
	return nil
}

// present finds the id that the request carries with a valid signature.
func (st *state) present() bool {
	m := st.m
	if m.config.Transport != nil {
		return st.presentToken(m.config.Transport.Read(st.ctx))
	}
	jar := &st.jar
	st.signed = m.cookies.Find(jar, &st.ctx.Request.Header)
	if !st.signed && jar.Some() {
		st.reject(Event{Reason: ReasonSignature})
	}
	return st.signed
}

// presentToken is present for a Transport's token.
func (st *state) presentToken(token []byte) bool {
	if len(token) == 0 {
		return false
	}
	text, sig := token, []byte(nil)
	if st.m.ring != nil {
		text, sig = cutToken(token)
	}
	ok := st.jar.Take(text, sig, st.m.ring)
	if !ok {
		st.reject(Event{Reason: ReasonSignature})
	}
	st.signed = ok
	return ok
}

// presented is the id that the request has brought, if st.signed.
func (st *state) presented() *ident.ID { return st.jar.ID() }

// load looks the presented id up, once. A failing store is the error, here and in every later look. Whatever is not a
// live session leaves the state as that of a new one.
func (st *state) load() error {
	if st.loaded {
		return st.loadErr
	}
	st.loaded = true
	done := false
	defer func() {
		if !done {
			st.loadErr = &Error{Op: "load", Err: &handlerError{errPanicked}}
		}
	}()
	st.loadErr = st.fetch((*state).get)
	if st.loadErr == nil {
		st.validate()
	}
	done = true
	return st.loadErr
}

// errPanicked is why a session cannot be used whose load panicked, in a store, a hook or Config.Valid.
var errPanicked = errors.New("sess: the load of the session panicked")

// lookUp is load with mu held, which it lets go of unless the session was loaded; also where the load panics.
func (st *state) lookUp() (ok bool) {
	defer func() {
		if !ok {
			st.mu.Unlock()
		}
	}()
	return st.load() == nil
}

// validate asks Config.Valid about the session that was loaded.
func (st *state) validate() {
	valid := st.m.config.Valid
	if valid == nil || st.record == nil {
		return
	}
	ok := false
	st.call(func(s Session) { ok = valid(st.ctx, s) })
	if !ok {
		st.reject(Event{ID: ID(st.id), Reason: ReasonInvalid})
		st.forget()
	}
}

// forget makes the session a new one; the record in the store stays, and so do the changes. A cookie that an earlier
// Save owes is not sent.
func (st *state) forget() {
	st.id, st.record, st.created = ident.ID{}, nil, 0
	if st.due == dueCookie {
		st.due = dueNothing
	}
}

// fetch reads the presented id with get and takes what it finds, if that is a live session.
func (st *state) fetch(get func(*state, *ident.ID) (*record.Record, error)) error {
	r, err := get(st, st.presented())
	switch {
	case err != nil:
		return st.unread(err)
	case r.Size() > st.m.config.MaxRecordBytes:
		st.refuse(ReasonCorrupt, record.ErrCorrupt)
		return nil
	case st.m.over(r, st.at):
		st.expired()
		return nil
	case r.Tombstone():
		st.renewed = true
		st.refuse(ReasonRenewed, nil)
		return nil
	}
	st.count(countLoaded)
	st.id, st.record, st.created = *st.presented(), r, r.CreatedMS()
	if st.arrived == nil {
		st.arrived = r
	}
	if st.created == 0 { // Koa drops what it does not know.
		st.created = st.at.UnixMilli()
	}
	return nil
}

// unread tells what became of a read that brought no record. It returns an error if the store failed.
func (st *state) unread(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		st.refuse(ReasonUnknown, nil)
	case errors.Is(err, record.ErrCorrupt):
		st.refuse(ReasonCorrupt, err)
	default:
		return st.storeError("load", *st.presented(), err)
	}
	return nil
}

// refuse is reject for the presented id.
func (st *state) refuse(reason Reason, err error) {
	st.reject(Event{ID: ID(*st.presented()), Reason: reason, Err: err})
}

// expired tells that the presented session's own end has passed.
func (st *state) expired() {
	st.count(countExpired)
	emit(st.m.config.Hooks.Expired, Event{ID: ID(*st.presented())})
}

// get asks the store, its memory first.
func (st *state) get(id *ident.ID) (*record.Record, error) {
	m := st.m
	at := st.at
	if m.config.Defer { // The request may be old by now, and a cache's promise is about the present.
		at = time.Now()
	}
	if r, ok := m.store.peek(id, at); ok {
		return r, nil
	}
	if m.store.local {
		return m.store.get(context.Background(), id)
	}
	ctx, cancel := m.deadline(st.parent())
	defer cancel()
	return m.store.get(ctx, id)
}

// parent is what the deadlines of a load derive from.
func (st *state) parent() context.Context {
	if st.base == nil {
		return context.Background()
	}
	return st.base
}
