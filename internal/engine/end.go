package engine

import (
	"context"
	"errors"
	"iter"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/tally"
)

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
	r.renewed, r.ended, r.forced, r.unknown, r.life = false, false, false, nil, 0
	r.cancelLogin()
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
	r.tell(tally.Expired, r.m.config.Hooks.Expired, Event{ID: *r.storedID()})
	r.destroy()
	return true
}

// finish ends the session that was left, what that was renewed into, and every other session that the request presents
// well signed. The cookie is expired with the attributes that it was set with.
func (r *request) finish() error {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(r.parent()), r.end())
	defer cancel()
	expire := debt{kind: dueExpire, record: r.left}
	if expire.record == nil {
		expire.record = r.firstLoaded
	}
	var room [5]ident.ID
	ended := room[:0]
	defer func() { // At last, since a hook may panic.
		for _, id := range ended {
			r.tell(tally.Destroyed, r.m.config.Hooks.Destroyed, Event{ID: id})
		}
	}()
	for id, seen := range r.condemned() {
		d, err := r.m.users.Destroy(ctx, id, seen)
		if err != nil {
			return r.storeError("destroy", id, err)
		}
		if d.Ended {
			ended = append(ended, id)
		}
		if d.ByLogin { // The client may hold the cookie of that login.
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
