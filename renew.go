package sess

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/users"
)

// regenerate leaves the id behind, which the commit retires.
func (r *request) regenerate() {
	if base := r.draft.Base(); base != nil && r.fate == draft.Keep {
		r.fate, r.leaving, r.left = draft.Renew, r.id, base
	}
	r.id = ident.ID{}
	r.renewed = false // Asked for: the session is stored under its new id.
}

// move stores the session under its new id, and only then takes the old one away: a tombstone stands there for a while. If
// the old one has ended meanwhile the new one goes too, since a logout wins.
func (r *request) move(ctx context.Context, at time.Time, ttl time.Duration) error {
	made, err := r.m.users.Renew(ctx, r.leaving, r.id, r.left, &builder{r, at, ttl, r.draft.Wiped()})
	switch {
	case errors.Is(err, users.ErrRenewed):
		return errRenewed
	case errors.Is(err, users.ErrEnded):
		return ErrNotFound
	case errors.Is(err, users.ErrTaken):
		return errIDTaken
	case err != nil:
		return err
	}
	r.draft.Rebase(made.Record)
	r.count(countCreated)
	r.count(countRegenerated)
	emit(r.m.config.Hooks.Regenerated, Event{ID: ID(r.id), Old: ID(r.leaving)})
	return nil
}

// touch ends a request that changed nothing: a rolling session gets more time, if enough of it has passed, and a cookie
// that an old key signed is signed anew. Nothing of this is worth an error to the client: the session is as good as before,
// and the next request tries again.
func (r *request) touch() {
	base, config := r.draft.Base(), r.m.config
	// Whose beginning is unknown, since Koa has written it, has it noted with the first load: Lifetime counts from there.
	begins := config.Lifetime > 0 && base.CreatedMS() == 0
	if config.Rolling || begins {
		ttl := r.ttl()
		if r.orphaned() {
			return
		}
		at := time.Now()
		h := r.headerOn(base)
		span := r.span(at, base, &h, ttl)
		if begins && !config.Rolling && base.EndsMS() != 0 && base.EndsMS() < span.Ends {
			span = draft.Rest(at, base)
		}
		if begins && span.TTL > 0 || span.Due(base.EndsMS(), config.RollingThreshold) {
			r.prolong(&h, span)
			return
		}
	}
	if r.signed && r.jar.Key() > 0 && r.debt.kind == dueNothing {
		r.owe(draft.Rest(time.Now(), base).Ends, true)
	}
}

// prolong moves the session's end to that of span. If another request was faster, that one has moved it.
func (r *request) prolong(h *record.Header, span draft.Span) {
	base := r.draft.Base()
	r.bear(&r.id, h, span.Ends)
	next, err := record.Merge(base, nil, *h, r.m.config.MaxRecordBytes)
	if errors.Is(err, record.ErrTooLarge) && !base.HasHeader() { // No room to say when: the store's TTL does.
		next, err = base.WithExpires(time.UnixMilli(span.Ends)), nil
	}
	var winner *record.Record
	if err == nil {
		ctx, cancel := r.phase()
		defer cancel()
		if err = r.m.users.Move(ctx, &r.id, base, next); err == nil {
			winner, err = r.m.shelf.swap(ctx, &r.id, base, next, span.TTL)
		}
	}
	switch {
	case errors.Is(err, ErrNotFound):
		_ = r.die(ReasonGone)
	case errors.Is(err, record.ErrCorrupt):
		_ = r.die(ReasonCorrupt)
	case err != nil:
		_ = r.storeError("touch", r.id, err) // Told to the hook and the log.
	case winner.Tombstone():
		_ = r.die(ReasonRenewed)
	default:
		r.draft.Rebase(winner)
		r.count(countTouched)
		emit(r.m.config.Hooks.Saved, Event{ID: ID(r.id)})
		r.owe(draft.Rest(time.Now(), winner).Ends, false)
	}
}

// destroy leaves the session behind and begins a new one.
func (r *request) destroy() {
	switch base := r.draft.Base(); {
	case r.fate != draft.Keep: // The stored session is the one that was left.
		r.fate = draft.End
	case base != nil:
		r.fate, r.leaving, r.left = draft.End, r.id, base
	case r.signed: // The store has it no more, or under another id.
		r.fate = draft.End
	}
	r.renewed, r.ended, r.forced, r.failed, r.life = false, false, false, nil, 0
	r.loggedIn()
	if !errors.Is(r.err, ErrCommitted) {
		r.err = nil
	}
	r.forget()
	r.draft.Drop()
	r.ownCookie = false
}

// condemned are the ids that a logout ends, each with the record that the request has seen under it: the session that was
// left, then whatever else the request presents well signed.
func (r *request) condemned() iter.Seq2[ident.ID, *record.Record] {
	return func(yield func(ident.ID, *record.Record) bool) {
		if !r.leaving.IsZero() && !yield(r.leaving, r.left) {
			return
		}
		if !r.signed {
			return
		}
		for id := range r.jar.Candidates() {
			if *id != r.leaving && !yield(*id, nil) {
				return
			}
		}
	}
}

// expire ends a session whose own terms say so. It reports whether the store has one to end.
func (r *request) expire() (finish bool) {
	if r.draft.Base() == nil && r.left == nil {
		r.draft.Drop()
		r.ownCookie, r.forced = false, false
		return false
	}
	r.count(countExpired)
	emit(r.m.config.Hooks.Expired, Event{ID: ID(*r.stands())})
	r.destroy()
	return true
}

// finish ends the session that was left, what that was renewed into, and every other session that the request presents
// well signed. The cookie is expired with the attributes that it was set with.
func (r *request) finish() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.parent()), r.m.config.StoreTimeout)
	defer cancel()
	expire := debt{kind: dueExpire, record: r.left}
	if expire.record == nil {
		expire.record = r.arrived
	}
	for id, seen := range r.condemned() {
		d, err := r.m.users.Destroy(ctx, id, seen)
		if err != nil {
			return r.storeError("destroy", id, err)
		}
		if d.Ended {
			r.count(countDestroyed)
			emit(r.m.config.Hooks.Destroyed, Event{ID: ID(id)})
		}
		if d.ByLogin { // The client may hold that login's cookie by now.
			expire = debt{}
		}
	}
	r.fate, r.leaving, r.left, r.destroyed = draft.Keep, ident.ID{}, nil, true
	if r.authn != nil && r.authn.user != "" {
		r.fate = draft.Begin
	}
	r.debt = expire
	return nil
}
