package sess

import (
	"context"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/group"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/users"
)

// shelf is the store as requests see it: it can do everything, well or badly, and speaks of records and ids as the rooms
// below do. Nowhere else in the course of a request is a [Record] or an [ID] turned into one of theirs or back.
type shelf struct {
	store     Store
	swapper   Swapper
	peeker    Peeker // nil: every read is a Get
	refresher Refresher
	ender     Ender         // nil: a session is ended by swaps
	atomic    bool          // the store swaps by itself; otherwise the last write wins
	cached    bool          // the store can look past a cache
	local     bool          // the store does no I/O: no deadline is made for it
	timeout   time.Duration // Config.StoreTimeout
	queue     *group.Queue
	revoked   *users.Revocations // nil: no other writer brings sessions back that have ended

	heard func(op string, took time.Duration, err error) // Hooks.Store
}

// init completes s: what it cannot do is filled in.
func (b *shelf) init(s Store, timeout time.Duration, heard func(op string, took time.Duration, err error)) {
	b.store, b.timeout = s, timeout
	b.swapper, b.atomic = s.(Swapper)
	b.peeker, _ = s.(Peeker)
	b.refresher, b.cached = s.(Refresher)
	b.ender, _ = s.(Ender)
	_, b.local = s.(Local)
	b.heard = heard
	b.queue = group.New(b.swap, b.newest)
}

// tell tells Hooks.Store of a call that began at since. A miss and a refused login are answers, and no failures.
func (b *shelf) tell(op string, since time.Time, err *error) {
	told := *err
	if errors.Is(told, ErrNotFound) || errors.Is(told, ErrLoginRefused) {
		told = nil
	}
	b.heard(op, time.Since(since), told)
}

// peek returns the record of id that the store's memory holds.
func (b *shelf) peek(id *ident.ID, at time.Time) (*record.Record, bool) {
	if b.peeker == nil {
		return nil, false
	}
	r, ok := b.peeker.Peek(ID(*id), at)
	return (*record.Record)(r), ok
}

// read asks the store for the record of id; if fresh, past a cache. A record that came back behind its end is none.
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
	return b.store.Set(ctx, ID(*id), (*Record)(r), ttl)
}

func (b *shelf) get(ctx context.Context, id *ident.ID, fresh bool) (_ *record.Record, err error) {
	fresh = fresh && b.cached
	if b.heard != nil {
		op := "get"
		if fresh {
			op = "refresh"
		}
		defer b.tell(op, time.Now(), &err)
	}
	var r *Record
	if fresh {
		r, err = b.refresher.Refresh(ctx, ID(*id))
	} else {
		r, err = b.store.Get(ctx, ID(*id))
	}
	return (*record.Record)(r), err
}

func (b *shelf) latest(ctx context.Context, id *ident.ID) (*record.Record, error) {
	return b.get(ctx, id, true)
}

func (b *shelf) destroy(ctx context.Context, id *ident.ID) (err error) {
	if b.heard != nil {
		defer b.tell("destroy", time.Now(), &err)
	}
	return b.store.Destroy(ctx, ID(*id))
}

// swap is [Swapper]'s, which in a store that is none compares nothing. What ends a user's session revokes it, and a record that
// came back behind its end is none, before the swap and behind it.
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
		r, err := b.swapper.Swap(ctx, ID(*id), (*Record)(old), (*Record)(next), ttl)
		return (*record.Record)(r), err
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
	r, err := b.ender.End(ctx, ID(*id))
	return (*record.Record)(r), err
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
	case l.ender != nil:
		was, err = l.end(ctx, id)
	case !l.atomic:
		was, err = seen, l.destroy(ctx, id)
	default:
		was, err = l.endBySwaps(ctx, id, seen)
	}
	switch {
	case errors.Is(err, ErrNotFound):
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

// index is the store's index as the protocol sees it.
type index struct {
	UserIndex
	marks UserMarker
	*shelf
}

// index returns the index of the store, or of the store that it decorates; nil if there is none.
func (b *shelf) index() users.Index {
	type indexed interface {
		UserIndex
		UserMarker
	}
	if i, ok := capability[indexed](b.store); ok {
		return index{i, i, b}
	}
	return nil
}

// capability returns s, or the first of the stores that it decorates, as a T.
func capability[T any](s Store) (t T, ok bool) {
	for s != nil {
		if t, ok = s.(T); ok {
			return t, true
		}
		u, decorates := s.(interface{ Unwrap() Store })
		if !decorates {
			break
		}
		s = u.Unwrap()
	}
	return t, false
}

func outerEntry(e record.UserEntry) UserEntry { return UserEntry{ID(e.ID), time.UnixMilli(e.Login)} }

func (i index) Enter(ctx context.Context, user string, e record.UserEntry, keep, grace time.Duration) (err error) {
	if i.heard != nil {
		defer i.tell("enter", time.Now(), &err)
	}
	return i.UserIndex.Enter(ctx, user, outerEntry(e), keep, grace)
}

func (i index) Leave(ctx context.Context, user string, entries []record.UserEntry, grace time.Duration) (err error) {
	if i.heard != nil {
		defer i.tell("leave", time.Now(), &err)
	}
	return i.UserIndex.Leave(ctx, user, mapped(entries, outerEntry), grace)
}

func (i index) Entries(ctx context.Context, user, cursor string) (_ record.UserPage, err error) {
	if i.heard != nil {
		defer i.tell("entries", time.Now(), &err)
	}
	p, err := i.UserIndex.Entries(ctx, user, cursor)
	return record.UserPage{Entries: mapped(p.Entries, innerEntry), Cursor: p.Cursor, Added: p.Added}, err
}

func (i index) Admit(ctx context.Context, user string, id ident.ID, keep time.Duration, a record.LoginAttempt) (_ int64, err error) {
	if i.heard != nil {
		defer i.tell("admit", time.Now(), &err)
	}
	login, err := i.marks.Admit(ctx, user, ID(id), keep, LoginAttempt{a.Began, UserMark(a.Pass)})
	if err != nil {
		return 0, err
	}
	return login.UnixMilli(), nil
}

func (i index) Mark(ctx context.Context, user string, a record.LoginAttempt) (_ int64, err error) {
	if i.heard != nil {
		defer i.tell("mark", time.Now(), &err)
	}
	m, err := i.marks.Mark(ctx, user, LoginAttempt{a.Began, UserMark(a.Pass)})
	return int64(m), err
}

func innerEntry(e UserEntry) record.UserEntry {
	return record.UserEntry{ID: ident.ID(e.ID), Login: e.Login.UnixMilli()}
}

func outerPage(p record.UserPage, err error) (UserPage, error) {
	return UserPage{Entries: mapped(p.Entries, outerEntry), Cursor: p.Cursor, Added: p.Added}, err
}

// mapped returns what f makes of each.
func mapped[A, B any](each []A, f func(A) B) []B {
	made := make([]B, len(each))
	for i, a := range each {
		made[i] = f(a)
	}
	return made
}

func (a LoginAttempt) inner() record.LoginAttempt {
	return record.LoginAttempt{Began: a.Began, Pass: int64(a.Pass)}
}

func outerLogin(ms int64, err error) (time.Time, error) {
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(ms), nil
}
