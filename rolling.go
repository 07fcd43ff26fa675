package sess

import (
	"context"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/record"
)

// renew ends a request that changed nothing: a rolling session gets more time, if enough of it has passed, and a cookie
// that an old key signed is signed anew. Nothing of this is worth an error to the client: the session is as good as
// before, and the next request tries again.
func (st *state) renew() {
	if st.record == nil {
		return
	}
	// Whose beginning is unknown, since Koa has written it, has it noted with the first load: Lifetime counts from there.
	begins := st.m.config.Lifetime > 0 && st.record.CreatedMS() == 0
	if !st.m.config.Rolling && !begins || !st.extend(begins) {
		if st.signed && st.jar.Key() > 0 && st.due == dueNothing {
			st.owe(st.lasts())
		}
	}
}

// lasts is the end of the record, or the default's where nothing tells.
func (st *state) lasts() int64 {
	if st.record.EndsMS() != 0 {
		return st.record.EndsMS()
	}
	return time.Now().Add(defaultTTL).UnixMilli()
}

// extend moves the session's end, and reports whether it settled what the response owes. If begins is set it stores the
// record in any case, for the sake of its beginning, and without Rolling moves the end to no later time.
func (st *state) extend(begins bool) bool {
	m := st.m
	ttl := st.ttl()
	if st.orphaned() {
		return true
	}
	at := time.Now()
	opts := st.options(st.record)
	life := m.lifespan(at, st.created, opts, ttl)
	if ends := st.record.EndsMS(); begins && !m.config.Rolling && ends != 0 && ends < life.ends {
		life = span{ends: ends, ttl: m.remaining(at, ends)}
	}
	if life.ttl <= 0 || life.ends <= st.record.EndsMS() && !begins {
		return false
	}
	if passed := life.ends - st.record.EndsMS(); !begins && !m.config.RollingAlways && st.record.EndsMS() != 0 &&
		float64(passed) < m.config.RollingThreshold*float64(life.ttl.Milliseconds()) {
		return false
	}
	ctx, cancel := st.phase()
	defer cancel()
	winner, err := st.touch(ctx, life)
	switch {
	case errors.Is(err, ErrNotFound):
		st.lose(ReasonGone)
	case errors.Is(err, record.ErrCorrupt):
		st.lose(ReasonCorrupt)
	case err != nil:
		_ = st.storeError("touch", st.id, err) // Told to the hook, and to no one else.
	case winner.Tombstone():
		st.lose(ReasonRenewed)
	default:
		st.record = winner
		st.count(countTouched)
		emit(m.config.Hooks.Saved, Event{ID: ID(st.id)})
		st.owe(st.lasts())
	}
	return true
}

// touch swaps the record for itself with a later end. If another was faster, that one has renewed the session.
func (st *state) touch(ctx context.Context, life span) (winner *record.Record, err error) {
	m := st.m
	h := st.record.Header()
	h.Created, h.Ends, h.Known = st.created, m.stored(life.ends), life.ends
	next, err := record.Merge(st.record, nil, h, m.config.MaxRecordBytes)
	switch {
	case err == nil:
	case errors.Is(err, record.ErrTooLarge) && !st.record.HasHeader(): // No room to say when: the store's TTL does.
		next = st.record.WithExpires(time.UnixMilli(life.ends))
	default:
		return nil, err
	}
	return m.store.swap(ctx, &st.id, st.record, next, life.ttl)
}
