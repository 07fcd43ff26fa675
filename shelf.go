package sess

import (
	"context"
	"time"

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
	atomic    bool // the store swaps by itself; otherwise the last write wins
	cached    bool // the store can look past a cache
	local     bool // the store does no I/O: no deadline is made for it
}

func newShelf(s Store) shelf {
	b := shelf{store: s}
	b.swapper, b.atomic = s.(Swapper)
	b.peeker, _ = s.(Peeker)
	b.refresher, b.cached = s.(Refresher)
	_, b.local = s.(Local)
	return b
}

func (b *shelf) get(ctx context.Context, id *ident.ID) (*record.Record, error) {
	r, err := b.store.Get(ctx, ID(*id))
	return (*record.Record)(r), err
}

// refresh is get, past a cache if there is one.
func (b *shelf) refresh(ctx context.Context, id *ident.ID) (*record.Record, error) {
	if !b.cached {
		return b.get(ctx, id)
	}
	r, err := b.refresher.Refresh(ctx, ID(*id))
	return (*record.Record)(r), err
}

// peek returns the record of id that the store's memory holds.
func (b *shelf) peek(id *ident.ID, at time.Time) (*record.Record, bool) {
	if b.peeker == nil {
		return nil, false
	}
	r, ok := b.peeker.Peek(ID(*id), at)
	return (*record.Record)(r), ok
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
