package sess

import (
	"context"
	"time"

	"github.com/fibersess/sess/internal/engine"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/users"
)

// ours is a store of this package. It says what it is, since a struct that embeds it has the same method, and what stands below
// it, which takes the ids and records of internal/ as they are. (A switch over the types would link each of them, and the
// Redis client, into every program.)
type ours interface {
	itself() Store
	below() engine.Store
}

// abilities returns what s can do, in the words of internal/engine.
func abilities(s Store) engine.Store {
	if o, ok := s.(ours); ok && o.itself() == s {
		return o.below()
	}
	can := engine.Store{Keeper: givenKeeper{s}}
	if i, ok := capability[indexStore](s); ok {
		can.Index = givenIndex{i}
	}
	if w, ok := capability[Watcher](s); ok {
		can.Watcher = givenWatcher{w}
	}
	if x, ok := s.(Swapper); ok {
		can.Swapper = givenSwapper{x}
	}
	if x, ok := s.(Peeker); ok {
		can.Peeker = givenPeeker{x}
	}
	if x, ok := s.(Refresher); ok {
		can.Refresher = givenRefresher{x}
	}
	if x, ok := s.(Ender); ok {
		can.Ender = givenEnder{x}
	}
	_, can.Local = s.(Local)
	return can
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

// The types below make an engine's store of an application's: they convert ids and records, and do nothing else.

type givenKeeper struct{ Store }

func (g givenKeeper) Get(ctx context.Context, id ident.ID) (*record.Record, error) {
	r, err := g.Store.Get(ctx, ID(id))
	return r.inner(), err
}

func (g givenKeeper) Set(ctx context.Context, id ident.ID, r *record.Record, ttl time.Duration) error {
	return g.Store.Set(ctx, ID(id), (*Record)(r), ttl)
}

func (g givenKeeper) Destroy(ctx context.Context, id ident.ID) error {
	return g.Store.Destroy(ctx, ID(id))
}

type givenSwapper struct{ Swapper }

func (g givenSwapper) Swap(ctx context.Context, id ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error) {
	r, err := g.Swapper.Swap(ctx, ID(id), (*Record)(old), (*Record)(next), ttl)
	return r.inner(), err
}

type givenPeeker struct{ Peeker }

func (g givenPeeker) Peek(id *ident.ID, now time.Time) (*record.Record, bool) {
	r, ok := g.Peeker.Peek(ID(*id), now)
	return r.inner(), ok
}

type givenRefresher struct{ Refresher }

func (g givenRefresher) Refresh(ctx context.Context, id ident.ID) (*record.Record, error) {
	r, err := g.Refresher.Refresh(ctx, ID(id))
	return r.inner(), err
}

type givenEnder struct{ Ender }

func (g givenEnder) End(ctx context.Context, id ident.ID) (*record.Record, error) {
	r, err := g.Ender.End(ctx, ID(id))
	return r.inner(), err
}

type givenWatcher struct{ Watcher }

func (g givenWatcher) Watch(ctx context.Context, id ident.ID, seen func(*record.Record, error)) (stop func(), err error) {
	return g.Watcher.Watch(ctx, ID(id), func(r *Record, err error) { seen(r.inner(), err) })
}

type indexStore interface {
	UserIndex
	UserMarker
}

type givenIndex struct{ indexStore }

var _ users.Index = givenIndex{}

func (g givenIndex) Enter(ctx context.Context, user string, e record.UserEntry, keep, grace time.Duration) error {
	return g.indexStore.Enter(ctx, user, outerEntry(e), keep, grace)
}

func (g givenIndex) Leave(ctx context.Context, user string, entries []record.UserEntry, grace time.Duration) error {
	return g.indexStore.Leave(ctx, user, mapped(entries, outerEntry), grace)
}

func (g givenIndex) Entries(ctx context.Context, user, cursor string) (record.UserPage, error) {
	p, err := g.indexStore.Entries(ctx, user, cursor)
	return record.UserPage{Entries: mapped(p.Entries, innerEntry), Cursor: p.Cursor, Added: p.Added}, err
}

func (g givenIndex) Admit(ctx context.Context, user string, id ident.ID, keep time.Duration, a record.LoginAttempt) (int64, error) {
	login, err := g.indexStore.Admit(ctx, user, ID(id), keep, LoginAttempt{a.Began, UserMark(a.Pass)})
	if err != nil {
		return 0, err
	}
	return login.UnixMilli(), nil
}

func (g givenIndex) Mark(ctx context.Context, user string, a record.LoginAttempt) (int64, error) {
	m, err := g.indexStore.Mark(ctx, user, LoginAttempt{a.Began, UserMark(a.Pass)})
	return int64(m), err
}

func outerEntry(e record.UserEntry) UserEntry { return UserEntry{ID(e.ID), time.UnixMilli(e.Login)} }

func innerEntry(e UserEntry) record.UserEntry {
	return record.UserEntry{ID: ident.ID(e.ID), Login: e.Login.UnixMilli()}
}

func outerPage(p record.UserPage, err error) (UserPage, error) {
	return UserPage{Entries: mapped(p.Entries, outerEntry), Cursor: p.Cursor, Added: p.Added}, err
}

func outerLogin(ms int64, err error) (time.Time, error) {
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(ms), nil
}

func (a LoginAttempt) inner() record.LoginAttempt {
	return record.LoginAttempt{Began: a.Began, Pass: int64(a.Pass)}
}

// mapped returns what f makes of each.
func mapped[A, B any](each []A, f func(A) B) []B {
	made := make([]B, len(each))
	for i, a := range each {
		made[i] = f(a)
	}
	return made
}
