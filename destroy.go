package sess

import (
	"context"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// end destroys what the session left behind, and what that was renewed into.
func (st *state) end() error {
	ctx, cancel := st.phase()
	defer cancel()
	id, r := st.leaving, st.left
	opts := *st.m.options(r, &st.stored)
	for hop := 0; !id.IsZero() && hop < maxSuccessors; hop++ {
		successor, err := st.extinguish(ctx, id, r)
		if err != nil {
			return st.storeError("destroy", id, err)
		}
		id, r = successor, nil
	}
	st.count(countDestroyed)
	emit(st.m.config.Hooks.Destroyed, Event{ID: ID(st.leaving)})
	st.fate, st.leaving, st.left = fateKeep, ident.ID{}, nil
	st.due, st.goneOpts = dueExpire, opts
	return nil
}

// extinguish deletes one id, last seen holding r. If it was renewed it returns the successor.
func (st *state) extinguish(ctx context.Context, id ident.ID, r *record.Record) (successor ident.ID, err error) {
	m := st.m
	if !m.store.atomic {
		return ident.ID{}, m.store.destroy(ctx, &id)
	}
	if r == nil {
		r, err = m.store.get(ctx, &id)
	}
	if err == nil {
		_, err = st.amend(ctx, &id, r, func(r *record.Record) (*record.Record, time.Duration, error) {
			if to, ok := r.Successor(); ok {
				successor = to
				return r, 0, nil
			}
			return nil, 0, nil
		})
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return ident.ID{}, nil
	case errors.Is(err, record.ErrCorrupt):
		return ident.ID{}, m.store.destroy(ctx, &id)
	}
	return successor, err
}

// maxSuccessors bounds how many renewals of one session a logout follows.
const maxSuccessors = 16
