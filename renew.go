package sess

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
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
	var made *record.Record // what stands under the new id
	follow := func(now *record.Record) error {
		next, life, err := r.build(now, at, ttl)
		if err != nil {
			return err
		}
		there, err := r.m.shelf.swap(ctx, &r.id, made, next, life)
		switch {
		case err == nil && there != next && made == nil:
			err = errIDTaken
		case err == nil && there != next:
			err = ErrNotFound
		}
		made = next
		return err
	}
	seen := r.left
	if err := follow(seen); err != nil {
		return err
	}
	tombstone, err := r.tombstone(at)
	if err == nil {
		_, _, err = r.m.shelf.amend(ctx, &r.leaving, seen, func(now *record.Record) (*record.Record, time.Duration, error) {
			if now.Tombstone() {
				return nil, 0, errRenewed
			}
			if now != seen { // It changed meanwhile: the new record must have that too.
				seen = now
				if err := follow(now); err != nil {
					return nil, 0, err
				}
			}
			return tombstone, tombstoneTTL, nil
		})
	}
	if err != nil {
		r.abandon(r.id)
		return err
	}
	r.draft.Rebase(made)
	r.count(countCreated)
	r.count(countRegenerated)
	emit(r.m.config.Hooks.Regenerated, Event{ID: ID(r.id), Old: ID(r.leaving)})
	return nil
}

// abandon takes a record away that no client has heard of. If that fails, the record ends with its TTL.
func (r *request) abandon(id ident.ID) {
	ctx, cancel := r.phase()
	defer cancel()
	_ = r.m.shelf.destroy(ctx, &id)
}

// tombstone makes the record that says where the session went. Beside Koa, which would take it for a session, it is none:
// the old record is deleted.
func (r *request) tombstone(at time.Time) (*record.Record, error) {
	if r.m.config.Koa || !r.m.shelf.atomic {
		return nil, nil
	}
	h := record.Header{Created: at.UnixMilli(), Ends: at.Add(tombstoneTTL).UnixMilli(), Successor: r.id}
	return record.Merge(nil, nil, h, maxMaxRecordBytes)
}

// tombstoneTTL is how long an id that was left behind by a renewal still says so, that requests under way with it neither
// resurrect it nor overwrite the new cookie.
const tombstoneTTL = 10 * time.Second

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
		span := r.span(at, base, ttl)
		if begins && !config.Rolling && base.EndsMS() != 0 && base.EndsMS() < span.Ends {
			span = draft.Rest(at, base)
		}
		if begins && span.TTL > 0 || span.Due(base.EndsMS(), config.RollingThreshold) {
			r.prolong(span)
			return
		}
	}
	if r.signed && r.jar.Key() > 0 && r.debt.kind == dueNothing {
		r.owe(draft.Rest(time.Now(), base).Ends, true)
	}
}

// prolong moves the session's end to that of span. If another request was faster, that one has moved it.
func (r *request) prolong(span draft.Span) {
	base := r.draft.Base()
	next, err := record.Merge(base, nil, r.header(base, span.Ends), r.m.config.MaxRecordBytes)
	if errors.Is(err, record.ErrTooLarge) && !base.HasHeader() { // No room to say when: the store's TTL does.
		next, err = base.WithExpires(time.UnixMilli(span.Ends)), nil
	}
	var winner *record.Record
	if err == nil {
		ctx, cancel := r.phase()
		defer cancel()
		winner, err = r.m.shelf.swap(ctx, &r.id, base, next, span.TTL)
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
	r.renewed, r.ended, r.forced, r.failed = false, false, false, nil
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
	emit(r.m.config.Hooks.Expired, Event{ID: ID(r.stands())})
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
		ended, err := r.m.shelf.end(ctx, id, seen)
		if err != nil {
			return r.storeError("destroy", id, err)
		}
		if ended {
			r.count(countDestroyed)
			emit(r.m.config.Hooks.Destroyed, Event{ID: ID(id)})
		}
	}
	r.fate, r.leaving, r.left, r.destroyed = draft.Keep, ident.ID{}, nil, true
	r.debt = expire
	return nil
}
