package sess

import (
	"context"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/group"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// shelf is the store as requests see it: it can do everything, well or badly, and speaks of records and ids as the rooms
// below do. Nowhere else in the course of a request is a [Record] or an [ID] turned into one of theirs or back.
type shelf struct {
	store     Store
	swapper   Swapper
	peeker    Peeker // nil: every read is a Get
	refresher Refresher
	atomic    bool          // the store swaps by itself; otherwise the last write wins
	cached    bool          // the store can look past a cache
	local     bool          // the store does no I/O: no deadline is made for it
	timeout   time.Duration // Config.StoreTimeout
	queue     *group.Queue
}

// init completes s: what it cannot do is filled in.
func (b *shelf) init(s Store, timeout time.Duration, heard func(op string, took time.Duration, err error)) {
	b.store, b.timeout = s, timeout
	b.swapper, b.atomic = s.(Swapper)
	b.peeker, _ = s.(Peeker)
	b.refresher, b.cached = s.(Refresher)
	_, b.local = s.(Local)
	if heard != nil {
		t := &timedStore{s, b.swapper, b.refresher, heard}
		b.store, b.swapper, b.refresher = t, t, t
	}
	b.queue = group.New(b.swap, b.newest)
}

// peek returns the record of id that the store's memory holds.
func (b *shelf) peek(id *ident.ID, at time.Time) (*record.Record, bool) {
	if b.peeker == nil {
		return nil, false
	}
	r, ok := b.peeker.Peek(ID(*id), at)
	return (*record.Record)(r), ok
}

// read asks the store for the record of id; if fresh, past a cache.
func (b *shelf) read(ctx context.Context, id *ident.ID, fresh bool) (*record.Record, error) {
	if fresh && b.cached {
		r, err := b.refresher.Refresh(ctx, ID(*id))
		return (*record.Record)(r), err
	}
	r, err := b.store.Get(ctx, ID(*id))
	return (*record.Record)(r), err
}

func (b *shelf) destroy(ctx context.Context, id *ident.ID) error {
	return b.store.Destroy(ctx, ID(*id))
}

// swap is [Swapper]'s, which in a store that is none compares nothing.
func (b *shelf) swap(ctx context.Context, id *ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error) {
	switch {
	case b.atomic:
		r, err := b.swapper.Swap(ctx, ID(*id), (*Record)(old), (*Record)(next), ttl)
		return (*record.Record)(r), err
	case next == nil:
		return nil, b.destroy(ctx, id)
	default:
		return next, b.store.Set(ctx, ID(*id), (*Record)(next), ttl)
	}
}

// end deletes the session of id, last seen as seen (nil: not looked up), and what it was renewed into. It reports whether
// there was one. The error is ErrConflict if the deadline of ctx came before the last of its renewals was reached.
func (b *shelf) end(ctx context.Context, id ident.ID, seen *record.Record) (ended bool, err error) {
	if !b.atomic {
		return seen != nil, b.destroy(ctx, &id)
	}
	for {
		there, successor, err := b.extinguish(ctx, id, seen)
		ended = ended || there
		if err != nil || successor.IsZero() {
			return ended, err
		}
		if ctx.Err() != nil {
			return ended, ErrConflict
		}
		id, seen = successor, nil
	}
}

// extinguish deletes the record of one id. If that is a tombstone, it stays, and successor says where the session went.
func (b *shelf) extinguish(ctx context.Context, id ident.ID, seen *record.Record) (ended bool, successor ident.ID, err error) {
	if seen == nil {
		seen, err = b.read(ctx, &id, false)
	}
	if err == nil {
		_, _, err = b.amend(ctx, &id, seen, func(now *record.Record) (*record.Record, time.Duration, error) {
			if to, ok := now.Successor(); ok {
				successor = to
				return now, 0, nil
			}
			return nil, 0, nil
		})
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return false, ident.ID{}, nil
	case errors.Is(err, record.ErrCorrupt):
		return true, ident.ID{}, b.destroy(ctx, &id)
	}
	return err == nil && successor.IsZero(), successor, err
}

// amend replaces the record of id, last seen as seen (nil: none), by what build makes of the newest one, until no other is
// faster. It returns what stands there at the end, and whether that was stored on top of another request's change that
// this process had not stored itself.
//
// The first loss tells that others write the same session: then the commit joins those of this process, and so does at
// once who finds them queueing.
func (b *shelf) amend(ctx context.Context, id *ident.ID, seen *record.Record, build group.Build) (stands *record.Record, met bool, err error) {
	if b.local || !b.queue.Busy(id) {
		next, ttl, err := build(seen)
		if err != nil || next == seen {
			return seen, false, err
		}
		there, err := b.swap(ctx, id, seen, next, ttl)
		if err != nil || there == next {
			return there, false, err
		}
		seen, met = there, true
	}
	if b.local { // Now it may take a while.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.Background(), b.timeout)
		defer cancel()
	}
	stands, again, err := b.queue.Store(ctx, id, seen, build)
	return stands, met || again, err
}

// newest returns the record of id that the store's memory holds, if that is a session.
func (b *shelf) newest(id *ident.ID) *record.Record {
	if r, ok := b.peek(id, time.Now()); ok && r.Live() {
		return r
	}
	return nil
}
