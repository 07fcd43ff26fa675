package engine

import (
	"context"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/group"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/users"
)

// shelf is the store as requests see it: it can do everything, well or badly.
type shelf struct {
	store   Store
	atomic  bool // the store swaps by itself; otherwise the last write wins
	local   bool // the store does no I/O: no deadline is made for it
	timeout time.Duration
	queue   *group.Queue
	revoked *users.Revocations // nil: no other writer brings sessions back that have ended

	heard func(op string, took time.Duration, err error) // Hooks.Store
}

// init puts the store into b.
func (b *shelf) init(s Store, timeout time.Duration, heard func(op string, took time.Duration, err error)) {
	b.store, b.timeout, b.heard = s, timeout, heard
	b.atomic, b.local = s.Swapper != nil, s.Local
	b.queue = group.New(b.swap, b.newest)
}

// tell tells Hooks.Store of a call that began at since. A miss and a refused login are answers, and no failures.
func (b *shelf) tell(op string, since time.Time, err *error) {
	told := *err
	if errors.Is(told, record.ErrNotFound) || errors.Is(told, record.ErrLoginRefused) {
		told = nil
	}
	b.heard(op, time.Since(since), told)
}

// peek returns the record of id that the store's memory holds.
func (b *shelf) peek(id *ident.ID, at time.Time) (*record.Record, bool) {
	if b.store.Peeker == nil {
		return nil, false
	}
	return b.store.Peeker.Peek(id, at)
}

// read asks the store for the record of id; if fresh, past a cache. A record that came back after its end is none.
func (b *shelf) read(ctx context.Context, id *ident.ID, fresh bool) (*record.Record, error) {
	r, err := b.get(ctx, id, fresh)
	if err == nil {
		err = b.revoked.Check(ctx, id, r)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (b *shelf) set(ctx context.Context, id *ident.ID, r *record.Record, ttl time.Duration) (err error) {
	if b.heard != nil {
		defer b.tell("set", time.Now(), &err)
	}
	return b.store.Set(ctx, *id, r, ttl)
}

func (b *shelf) get(ctx context.Context, id *ident.ID, fresh bool) (_ *record.Record, err error) {
	fresh = fresh && b.store.Refresher != nil
	if b.heard != nil {
		op := "get"
		if fresh {
			op = "refresh"
		}
		defer b.tell(op, time.Now(), &err)
	}
	if fresh {
		return b.store.Refresher.Refresh(ctx, *id)
	}
	return b.store.Get(ctx, *id)
}

func (b *shelf) latest(ctx context.Context, id *ident.ID) (*record.Record, error) {
	return b.get(ctx, id, true)
}

func (b *shelf) destroy(ctx context.Context, id *ident.ID) (err error) {
	if b.heard != nil {
		defer b.tell("destroy", time.Now(), &err)
	}
	return b.store.Destroy(ctx, *id)
}

// swap is [Swapper]'s, which in a store that is none compares nothing. What ends a user's session revokes it, and a record that
// came back after its end is none, before the swap and after it.
func (b *shelf) swap(ctx context.Context, id *ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error) {
	now, err := b.exchange(ctx, id, old, next, ttl)
	if err != nil || b.revoked == nil {
		return now, err
	}
	if now != nil {
		old = now
	}
	if err = b.revoked.Check(ctx, id, old); err != nil {
		return nil, err
	}
	if now == nil {
		err = b.revoked.Ended(ctx, id, old)
	}
	return now, err
}

func (b *shelf) exchange(ctx context.Context, id *ident.ID, old, next *record.Record, ttl time.Duration) (_ *record.Record, err error) {
	switch {
	case b.atomic:
		if b.heard != nil {
			defer b.tell("swap", time.Now(), &err)
		}
		return b.store.Swapper.Swap(ctx, *id, old, next, ttl)
	case next == nil:
		return nil, b.destroy(ctx, id)
	default:
		return next, b.set(ctx, id, next, ttl)
	}
}

func (b *shelf) end(ctx context.Context, id *ident.ID) (_ *record.Record, err error) {
	if b.heard != nil {
		defer b.tell("end", time.Now(), &err)
	}
	return b.store.Ender.End(ctx, *id)
}

// amend stores what builder makes of the record of id. It tries one swap. If it loses, or if others wait already, it joins the queue
// of this process.
func (b *shelf) amend(ctx context.Context, id *ident.ID, seen *record.Record, builder group.Builder) (stands *record.Record, met bool, err error) {
	if b.local || !b.queue.Busy(id) {
		next, ttl, err := builder.Build(seen)
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
	stands, again, err := b.queue.Store(ctx, id, seen, builder)
	if met = met || again; met {
		err = record.Conflicting(err)
	}
	return stands, met, err
}

// newest returns the record of id that the store's memory holds, if that is a session.
func (b *shelf) newest(id *ident.ID) *record.Record {
	if r, ok := b.peek(id, time.Now()); ok && r.Live() {
		return r
	}
	return nil
}

// ledger is the shelf as the protocol of users' sessions sees it: it reads past caches.
type ledger struct{ *shelf }

func (l ledger) Refresh(ctx context.Context, id *ident.ID) (*record.Record, error) {
	return l.read(ctx, id, true)
}

func (l ledger) Swap(ctx context.Context, id *ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error) {
	return l.swap(ctx, id, old, next, ttl)
}

// End deletes the session of id. Where the store cannot do so in one step, it begins with what was seen there, so that a
// logout mostly is one call.
func (l ledger) End(ctx context.Context, id *ident.ID, seen *record.Record) (was *record.Record, err error) {
	switch {
	case l.store.Ender != nil:
		was, err = l.end(ctx, id)
	case !l.atomic:
		was, err = seen, l.destroy(ctx, id)
	default:
		was, err = l.endBySwaps(ctx, id, seen)
	}
	switch {
	case errors.Is(err, record.ErrNotFound):
		was, err = nil, nil
	case errors.Is(err, record.ErrCorrupt):
		was, err = nil, l.destroy(ctx, id)
	}
	if err == nil && was.Live() {
		err = l.revoked.Ended(ctx, id, was)
	}
	return was, err
}

func (l ledger) endBySwaps(ctx context.Context, id *ident.ID, seen *record.Record) (was *record.Record, err error) {
	if seen == nil {
		if seen, err = l.read(ctx, id, true); err != nil {
			return nil, err
		}
	}
	_, _, err = l.amend(ctx, id, seen, group.BuildFunc(func(now *record.Record) (*record.Record, time.Duration, error) {
		if was = now; !now.Live() {
			return now, 0, nil
		}
		return nil, 0, nil
	}))
	return was, err
}

// index is the store's index of users, of whose calls Hooks.Store hears.
type index struct {
	users.Index
	*shelf
}

// index returns the index of the store, nil if there is none.
func (b *shelf) index() users.Index {
	if i := b.store.Index; i != nil && b.heard != nil {
		return index{i, b}
	}
	return b.store.Index
}

func (i index) Enter(ctx context.Context, user string, e record.UserEntry, keep, grace time.Duration) (err error) {
	defer i.tell("enter", time.Now(), &err)
	return i.Index.Enter(ctx, user, e, keep, grace)
}

func (i index) Leave(ctx context.Context, user string, entries []record.UserEntry, grace time.Duration) (err error) {
	defer i.tell("leave", time.Now(), &err)
	return i.Index.Leave(ctx, user, entries, grace)
}

func (i index) Entries(ctx context.Context, user, cursor string) (_ record.UserPage, err error) {
	defer i.tell("entries", time.Now(), &err)
	return i.Index.Entries(ctx, user, cursor)
}

func (i index) Admit(ctx context.Context, user string, id ident.ID, keep time.Duration, a record.LoginAttempt) (_ int64, err error) {
	defer i.tell("admit", time.Now(), &err)
	return i.Index.Admit(ctx, user, id, keep, a)
}

func (i index) Mark(ctx context.Context, user string, a record.LoginAttempt) (_ int64, err error) {
	defer i.tell("mark", time.Now(), &err)
	return i.Index.Mark(ctx, user, a)
}
