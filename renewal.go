package sess

import (
	"context"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// move stores the session under its new id, and only then takes the old one away: a tombstone stands there for a
// while. If the old one has ended meanwhile the new one goes too, since a logout wins.
func (st *state) move(ctx context.Context, at time.Time, ttl time.Duration) error {
	m := st.m
	old, current := st.leaving, st.left
	next, life, err := st.build(current, at, ttl)
	if err != nil {
		return err
	}
	if !m.store.atomic {
		if _, err := m.store.swap(ctx, &st.id, nil, next, life.ttl); err != nil {
			return err
		}
		return st.moved(next, m.store.destroy(ctx, &old))
	}
	there, err := m.store.swap(ctx, &st.id, nil, next, life.ttl)
	if err == nil && there != next {
		return &handlerError{errors.New("sess: Config.GenerateID: made the id of a session that exists")}
	}
	if err != nil {
		return err
	}
	tombstone, err := m.tombstone(at, &st.id)
	if err != nil {
		return err
	}
	err = st.contend(ctx, &old, func(ctx context.Context, _ *record.Record) (bool, error) {
		there, err := m.store.swap(ctx, &old, current, tombstone, tombstoneTTL)
		switch {
		case err != nil:
			return true, err
		case there == tombstone:
			return true, nil
		case there.Renewed():
			return true, errRenewed
		}
		// It changed meanwhile: the new record must have that too.
		current = there
		merged, life, err := st.build(current, at, ttl)
		if err != nil {
			return true, err
		}
		if there, err = m.store.swap(ctx, &st.id, next, merged, life.ttl); err == nil && there != merged {
			err = ErrNotFound
		}
		next = merged
		return false, err
	})
	if err != nil {
		_ = m.store.destroy(ctx, &st.id) // Nobody has heard of this id; if it stays, it ends with its TTL.
	}
	return st.moved(next, err)
}

// moved notes the outcome of a renewal.
func (st *state) moved(next *record.Record, err error) error {
	if err != nil {
		return err
	}
	st.record = next
	st.count(countCreated)
	st.count(countRegenerated)
	emit(st.m.config.Hooks.Regenerated, Event{ID: ID(st.id), Old: ID(st.leaving)})
	return nil
}

// tombstone makes the record that says where a session went. Beside Koa, which would take it for a session, it is
// none: the old record is deleted.
func (m *Manager) tombstone(at time.Time, successor *ident.ID) (*record.Record, error) {
	if m.config.Koa {
		return nil, nil
	}
	h := record.Header{Created: at.UnixMilli(), Ends: at.Add(tombstoneTTL).UnixMilli(), Successor: *successor}
	r, _, err := record.Merge(nil, false, nil, h, maxMaxRecordBytes, nil)
	return r, err
}

// tombstoneTTL is how long an id that was left behind by a renewal still says so, that requests under way with it
// neither resurrect it nor overwrite the new cookie.
const tombstoneTTL = 10 * time.Second
