package sess

import (
	"context"
	"hash/maphash"
	"sync/atomic"
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
	atomic    bool          // the store swaps by itself; otherwise the last write wins
	cached    bool          // the store can look past a cache
	local     bool          // the store does no I/O: no deadline is made for it
	timeout   time.Duration // Config.StoreTimeout
	queue     commitLocks
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
	b.queue.init()
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

// amend replaces the record of id, last seen as before (nil: none), by what next makes of the newest one, until no other
// is faster. It returns what stands there at the end; where next returns the very record that it was given, nothing is done.
//
// The first loss tells that others write the same session: then the commit queues with those of this process, and who
// finds them queueing does so at once. Whoever's turn it is begins with the newest record that this process knows.
func (b *shelf) amend(ctx context.Context, id *ident.ID, before *record.Record, next func(now *record.Record) (*record.Record, time.Duration, error)) (*record.Record, error) {
	r := before
	try := func() (done bool, err error) {
		n, ttl, err := next(r)
		if err != nil || n == r {
			return true, err
		}
		there, err := b.swap(ctx, id, r, n, ttl)
		if err != nil {
			return true, err
		}
		r = there
		return there == n, nil
	}
	if b.local || !b.queue.taken(id) {
		if done, err := try(); done {
			return r, err
		}
	}
	if b.local { // Now it may take a while.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.Background(), b.timeout)
		defer cancel()
	}
	lock, session := b.queue.of(id)
	if lock.acquire(ctx, session) != nil {
		return r, ErrConflict
	}
	defer lock.release()
	if newest := b.newest(id); newest != nil && r != nil && !record.Equal(newest, r) {
		r = newest
	}
	for ctx.Err() == nil {
		if done, err := try(); done {
			return r, err
		}
	}
	return r, ErrConflict
}

// newest returns the record of id that the store's memory holds, if that is a session.
func (b *shelf) newest(id *ident.ID) *record.Record {
	if r, ok := b.peek(id, time.Now()); ok && r.Live() {
		return r
	}
	return nil
}

// commitLocks queue the commits of this process that compete for one session, so that only processes compete in the
// store: without them 64 goroutines on one session needed up to 470 tries each.
type commitLocks struct {
	seed  maphash.Seed
	locks [64]commitLock
}

// commitLock is shared by all sessions of one hash, but only who competes for one takes it.
type commitLock struct {
	token   chan struct{}
	waiting atomic.Int32
	holder  atomic.Uint64 // the session whose commit has the token, or had it last while others waited; 0: nobody's
}

func (l *commitLocks) init() {
	l.seed = maphash.MakeSeed()
	for i := range l.locks {
		l.locks[i].token = make(chan struct{}, 1)
	}
}

// of returns the lock of id, and what stands for id as its holder.
func (l *commitLocks) of(id *ident.ID) (lock *commitLock, session uint64) {
	session = max(maphash.Bytes(l.seed, id.Bytes()), 1)
	return &l.locks[session%uint64(len(l.locks))], session
}

// taken reports whether a commit of id's session has its turn.
func (l *commitLocks) taken(id *ident.ID) bool {
	lock, session := l.of(id)
	return lock.holder.Load() == session
}

// acquire waits for the lock, or for ctx to end.
func (l *commitLock) acquire(ctx context.Context, session uint64) error {
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	select {
	case l.token <- struct{}{}:
		l.holder.Store(session)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *commitLock) release() {
	if l.waiting.Load() == 0 {
		l.holder.Store(0)
	}
	<-l.token
}
