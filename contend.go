package sess

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// amend replaces the record of id, last seen as r (nil: none), by what next makes of the newest one, until no other is
// faster. It returns what stands there at the end; where next returns r itself nothing is done.
//
// The first loss tells that others write the same session: then it queues with those of this process, and who finds them
// queueing does so at once. Whoever's turn it is begins with the newest record that this process knows.
func (st *state) amend(ctx context.Context, id *ident.ID, r *record.Record, next func(r *record.Record) (*record.Record, time.Duration, error)) (*record.Record, error) {
	try := func() (done bool, err error) {
		n, ttl, err := next(r)
		if err != nil || n == r {
			return true, err
		}
		there, err := st.m.store.swap(ctx, id, r, n, ttl)
		if err != nil {
			return true, err
		}
		r = there
		return there == n, nil
	}
	if st.m.store.local || !st.m.locks.taken(id) {
		if done, err := try(); done {
			return r, err
		}
	}
	if st.m.store.local { // Now it may take a while.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.Background(), st.m.config.StoreTimeout)
		defer cancel()
	}
	lock, session := st.m.locks.of(id)
	if lock.acquire(ctx, session) != nil {
		return r, ErrConflict
	}
	defer lock.release()
	if newest := st.newest(id); newest != nil && r != nil && !record.Equal(newest, r) {
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
func (st *state) newest(id *ident.ID) *record.Record {
	if r, ok := st.m.store.peek(id, time.Now()); ok && !r.Tombstone() {
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
