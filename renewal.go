package sess

import (
	"context"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// move stores the session under its new id, and only then takes the old one away: a tombstone stands there for a
// while. If the old one has ended meanwhile the new one goes too, since a logout wins.
func (st *state) move(ctx context.Context, at time.Time, ttl time.Duration) error {
	m, old := st.m, st.leaving
	var next *record.Record
	follow := func(r *record.Record) error { // stores under the new id what r and the changes make
		n, life, err := st.build(r, at, ttl)
		if err != nil {
			return err
		}
		there, err := m.store.swap(ctx, &st.id, next, n, life.ttl)
		switch {
		case err == nil && there != n && next == nil:
			err = errIDTaken
		case err == nil && there != n:
			err = ErrNotFound
		}
		next = n
		return err
	}
	if err := follow(st.left); err != nil {
		return err
	}
	tombstone, err := m.tombstone(at, &st.id)
	if err != nil {
		return err
	}
	seen := st.left
	_, err = st.amend(ctx, &old, seen, func(r *record.Record) (*record.Record, time.Duration, error) {
		if r.Tombstone() {
			return nil, 0, errRenewed
		}
		if r != seen { // It changed meanwhile: the new record must have that too.
			seen = r
			if err := follow(r); err != nil {
				return nil, 0, err
			}
		}
		return tombstone, tombstoneTTL, nil
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
	if m.config.Koa || !m.store.atomic {
		return nil, nil
	}
	h := record.Header{Created: at.UnixMilli(), Ends: at.Add(tombstoneTTL).UnixMilli(), Successor: *successor}
	return record.Merge(nil, nil, h, maxMaxRecordBytes)
}

// tombstoneTTL is how long an id that was left behind by a renewal still says so, that requests under way with it
// neither resurrect it nor overwrite the new cookie.
const tombstoneTTL = 10 * time.Second
