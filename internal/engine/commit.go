package engine

import (
	"context"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/tally"
	"github.com/fibersess/sess/internal/users"
)

// commit saves, ends or prolongs the session when its handler has returned.
func (r *request) commit() error {
	r.commitBegun = true
	if !r.guard.Touched() {
		return nil
	}
	r.guard.Lock()
	defer func() {
		r.committed = true
		r.guard.Unlock()
	}()
	if r.wasReset() {
		return nil
	}
	if r.appContext == nil && r.in != nil && !r.m.shelf.local && r.dirty() {
		r.appContext = r.in.Context()
	}
	err := r.conclude(true)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, record.ErrEnded) && !r.void(), errors.Is(err, ErrReleased): // The Dropped hook was called. It is no error of the response.
		return nil
	}
	return err
}

// commitBehind is commit after a handler that failed: the session is saved all the same, for counters of failed logins
// and the like. The client gets the handler's error, so the save's own goes to the hook and the log.
func (r *request) commitBehind() {
	err := r.commit()
	if e, ok := errors.AsType[*Failure](err); ok && !e.ofStore() { // The store's failures have been told.
		r.m.log.Failing("a session was not saved", e.Op, e.Err)
		emit(r.m.config.Hooks.StoreError, Event{Err: e.Err})
	}
}

// errSaveInside: a Save in BeforeSave would call BeforeSave without end.
var errSaveInside = &ownError{errors.New("sess: Save in a function that the session layer calls: it saves when that has returned")}

// save is the Save of a handle, before or after the commit.
func (r *request) save() error {
	switch {
	case r.guard.Turn() != 0:
		return errSaveInside
	case r.guard.Outlived():
		return ErrReleased
	case r.ended && r.fate == draft.Keep:
		return record.ErrEnded
	}
	discarded, committed := r.discarded, r.committed
	if committed {
		if r.draft.Base() == nil || r.fate != draft.Keep {
			return ErrCommitted
		}
		if errors.Is(r.err, ErrCommitted) {
			r.err = nil
		}
	}
	r.discarded, r.committed = false, false // What BeforeSave writes counts as before the commit.
	defer func() { r.discarded, r.committed = discarded, committed }()
	err := r.concludeLate(committed || r.detached)
	if err == nil || errors.Is(err, record.ErrEnded) || errors.Is(err, ErrReleased) { // Saved, or the Dropped hook was called.
		r.unsaved = false
	}
	return err
}

// concludeLate is conclude. late says that the response was decided before: no cookie can be sent, so the session's end
// stays where it is.
func (r *request) concludeLate(late bool) error {
	r.late = late
	defer func() { r.late = false }()
	return r.conclude(false)
}

// orphaned reports whether the request was reset under its handler: then nothing of it may be touched.
func (r *request) wasReset() bool {
	orphaned := r.guard.Taken()
	if orphaned && r.dirty() {
		r.drop(Event{ID: r.id, Reason: ReasonOrphaned})
	}
	return orphaned
}

// conclude asks for a verdict and carries it out, until one is final. BeforeSave runs once at most, and the verdict is asked
// for again after it. The error is ErrEnded if the session had ended, ErrReleased if the request was reset meanwhile.
func (r *request) conclude(last bool) error {
	hook := r.m.config.BeforeSave
	if r.last, r.until = last, (time.Time{}); r.detached {
		hook = nil
	}
	for {
		v := draft.Decide(r.facts(last))
		if hook != nil && v.Stores() {
			if err := r.beforeSave(); err != nil {
				return err
			}
			hook = nil
			continue
		}
		if again, err := r.carryOut(v); !again {
			return err
		}
	}
}

// facts gathers what a verdict depends on. Changes that change nothing are dropped first.
func (r *request) facts(last bool) draft.Facts {
	stored := r.draft.Base() != nil
	f := draft.Facts{
		Discarded: r.discarded,
		Fate:      r.fate,
		Faulty:    r.err != nil || r.draft.Fault() != nil,
		Unknown:   r.unknown != nil,
		Looked:    r.loaded,
		Loaded:    r.loaded && r.loadErr == nil,
		Stored:    stored || r.fate == draft.Renew && r.left != nil,
		Ended:     r.ended || r.renewed,
		Dirty:     r.dirty(),
		Forced:    r.forced,
		Last:      last,
	}
	switch {
	case !f.Loaded || f.Discarded || f.Faulty:
	case !stored:
		f.Holds = r.draft.HoldsValue()
		f.Empty = r.m.config.AllowEmpty && r.guard.Used() && !r.destroyed
	case f.Dirty:
		f.Changed = r.draft.Settle(r.ownCookieJSON(r.draft.Base())) || r.life != 0 || r.draft.Wiped() && r.draft.Base().User() != ""
	}
	return f
}

// ownCookieJSON returns the cookie options that the request gave its session, as the record on top of current will have
// them; nil if it gave none.
func (r *request) ownCookieJSON(current *record.Record) []byte {
	if !r.ownCookie {
		return nil
	}
	raw, _ := current.OwnCookie()
	r.cookieJSON = cookies.AppendJSON(r.cookieJSON[:0], raw, r.cookie, r.m.config.Cookie)
	return r.cookieJSON
}

// beforeSave runs Config.BeforeSave.
func (r *request) beforeSave() (err error) {
	r.call(func(s Handle) { err = r.m.config.BeforeSave(r.ctx, s) })
	switch {
	case err != nil:
		return &Failure{Op: "save", Err: &ownError{err}}
	case r.wasReset():
		return ErrReleased
	}
	return nil
}

// carryOut does what v says. again asks for the next verdict.
func (r *request) carryOut(v draft.Verdict) (again bool, err error) {
	switch v {
	case draft.Finish:
		err = r.finish()
		return err == nil, err
	case draft.Load:
		err = r.load()
		return err == nil, err
	case draft.Refuse:
		return false, r.refused()
	case draft.Repeat:
		return false, r.unknown
	case draft.Drop:
		return false, r.lost()
	case draft.Create, draft.Save, draft.Move, draft.LogIn:
		return r.store(v)
	case draft.Touch:
		r.touch()
	}
	return false, nil
}

// refused returns the error of a request whose changes cannot be stored.
func (r *request) refused() error {
	err := r.err
	if err == nil {
		err = r.draft.Fault()
	}
	r.m.log.Failing("a session cannot be saved", "save", err)
	return &Failure{Op: "save", Err: &ownError{err}}
}

// lost drops what was written to a session that has ended.
func (r *request) lost() error {
	if r.dirty() {
		r.drop(Event{ID: *r.presented(), Reason: ReasonRenewed})
		r.draft.Drop()
		r.ownCookie, r.forced, r.fate = false, false, draft.Keep
	}
	return record.ErrEnded
}

// store saves the session under its id. What another request saved meanwhile is kept, and the changes are made to that;
// where another request ended the session nothing is stored. again says that the session is over by its own terms, and is to
// be ended.
func (r *request) store(v draft.Verdict) (again bool, err error) {
	ttl := r.ttl()
	if r.wasReset() { // TTLFunc took its time.
		return false, ErrReleased
	}
	at := time.Now()
	if r.created == 0 {
		r.created = at.UnixMilli()
	}
	if !r.late && r.over(v, at, ttl) {
		return r.expire(), nil
	}
	if err := r.newID(); err != nil {
		return false, &Failure{Op: "save", Err: err}
	}
	ctx, cancel := r.within()
	defer cancel()
	r.unknown = errSavePanicked // What stays if the store or a function of the application's panics.
	switch v {
	case draft.Move:
		return false, r.settle("regenerate", r.move(ctx, at, ttl))
	case draft.LogIn:
		return false, r.settle("login", r.login(ctx, at, ttl))
	}
	return false, r.settle("save", r.put(ctx, at, ttl))
}

// storedID is the id that the session is stored under: the old one after Regenerate, Login or Destroy, else its own.
func (r *request) storedID() *ident.ID {
	if r.fate != draft.Keep {
		return &r.leaving
	}
	return &r.id
}

// settle turns the outcome of a save into the request's: what the response owes, a dropped change, or an error.
func (r *request) settle(op string, err error) error {
	r.unknown = nil
	switch {
	case err == nil:
		return nil
	case errors.Is(err, users.ErrEnded) || errors.Is(err, record.ErrLoginRefused):
		return r.refuseLogin(err)
	case errors.Is(err, errRenewed):
		return r.die(ReasonRenewed)
	case errors.Is(err, record.ErrNotFound):
		return r.die(ReasonGone)
	case errors.Is(err, record.ErrCorrupt):
		return r.die(ReasonCorrupt)
	}
	failure := &Failure{Op: op, Err: err}
	if !failure.ofStore() {
		r.m.log.Failing("a session cannot be saved", op, err)
		return failure
	}
	_ = r.storeError(op, r.id, err)
	if !errors.Is(err, record.ErrConflict) || errors.Is(err, context.DeadlineExceeded) { // The store may have stored it: a repeated Update would count twice.
		r.unknown = failure
	}
	return failure
}

// settled notes that the changes are stored, and what the response owes for that. It comes before the hooks, which may panic.
func (r *request) settled() {
	base := r.draft.Base()
	if !r.late {
		r.owe(base.EndsMS(), !r.last && r.signed && r.id == *r.presented())
	}
	r.draft.Drop()
	r.ownCookie, r.forced, r.fate, r.life = false, false, draft.Keep, 0
	r.leaving, r.left, r.unknown = ident.ID{}, nil, nil
	r.cancelLogin()
}

// put stores the session, new or changed.
func (r *request) put(ctx context.Context, at time.Time, ttl time.Duration) error {
	before := r.draft.Base()
	r.saving = saving{ctx: ctx, at: at, ttl: ttl, isNew: before == nil}
	next, merged, err := r.m.shelf.amend(ctx, &r.id, before, (*saver)(r))
	if err != nil {
		return err
	}
	if before.User() != "" && next.User() == "" {
		r.m.users.Forget(ctx, r.id, before)
	}
	r.draft.Rebase(next)
	r.settled()
	if merged {
		r.tell(tally.Merged, r.m.config.Hooks.Merged, Event{ID: r.id})
	}
	if before == nil {
		r.tell(tally.Created, r.m.config.Hooks.Created, Event{ID: r.id})
		return nil
	}
	r.tell(tally.Saved, r.m.config.Hooks.Saved, Event{ID: r.id})
	return nil
}

// saving is what a save builds its record with.
type saving struct {
	ctx   context.Context
	at    time.Time
	ttl   time.Duration
	isNew bool
}

// saver is a request as a [group.Builder]. A closure in its place would cost an allocation.
type saver request

// Build makes the session's record on top of now.
func (s *saver) Build(now *record.Record) (*record.Record, time.Duration, error) {
	r := (*request)(s)
	switch {
	case now != nil && r.saving.isNew:
		return nil, 0, errIDTaken
	case now != nil && !now.Live():
		return nil, 0, noSession(now)
	}
	next, life, err := r.write(&r.id, now, r.headerOn(now), r.saving.at, r.saving.ttl)
	if err == nil {
		err = r.m.users.Move(r.saving.ctx, &r.id, now, next)
	}
	return next, life, err
}

// errRenewed says that a tombstone stands where the session was.
var errRenewed = errors.New("sess: renewed")

// noSession says what stands where the session was: a tombstone, or a grave.
func noSession(now *record.Record) error {
	if now.Grave() {
		return record.ErrNotFound
	}
	return errRenewed
}

var errIDTaken = &ownError{errors.New("sess: Config.GenerateID: made the id of a session that exists")}

// write makes the record to store under id on top of current, from what the request has written and the header h. It returns
// the TTL too.
func (r *request) write(id *ident.ID, current *record.Record, h record.Header, at time.Time, ttl time.Duration) (*record.Record, time.Duration, error) {
	life := r.complete(id, current, &h, at, ttl)
	if h.Cookie = r.ownCookieJSON(current); h.Cookie == nil && r.m.config.Koa {
		raw, _ := current.OwnCookie()
		r.cookieJSON = cookies.AppendJSON(r.cookieJSON[:0], raw, *r.options(current), r.m.config.Cookie)
		h.Cookie = r.cookieJSON
	}
	next, err := r.draft.Next(current, h, r.m.config.MaxRecordBytes)
	return next, life, err
}
