package sess

import (
	"context"
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

// The first loss tells that others write the same session: then the commit joins those of this process, and so does at
// once who finds them queueing.
func (s *shelf) amend(ctx context.Context, id *ident.ID, seen *record.Record, b group.Builder) (stands *record.Record, met bool, err error) {
	if s.local || !s.queue.Busy(id) {
		next, ttl, err := b.Build(seen)
		if err != nil || next == seen {
			return seen, false, err
		}
		there, err := s.swap(ctx, id, seen, next, ttl)
		if err != nil || there == next {
			return there, false, err
		}
		seen, met = there, true
	}
	if s.local { // Now it may take a while.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.Background(), s.timeout)
		defer cancel()
	}
	stands, again, err := s.queue.Store(ctx, id, seen, b)
	return stands, met || again, err
}

// newest returns the record of id that the store's memory holds, if that is a session.
func (b *shelf) newest(id *ident.ID) *record.Record {
	if r, ok := b.peek(id, time.Now()); ok && r.Live() {
		return r
	}
	return nil
}
