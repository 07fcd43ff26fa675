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

// ledger is the shelf as the protocol of users' sessions sees it: it reads past caches.
type ledger struct{ *shelf }

func (l ledger) Refresh(ctx context.Context, id *ident.ID) (*record.Record, error) {
	return l.read(ctx, id, true)
}

func (l ledger) Swap(ctx context.Context, id *ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error) {
	return l.swap(ctx, id, old, next, ttl)
}

// End deletes the session of id. It begins with what was seen there, so that a logout mostly is one call.
func (l ledger) End(ctx context.Context, id *ident.ID, seen *record.Record) (was *record.Record, err error) {
	if !l.atomic {
		return seen, l.destroy(ctx, id)
	}
	if seen == nil {
		seen, err = l.read(ctx, id, true)
	}
	if err == nil {
		_, _, err = l.amend(ctx, id, seen, group.BuildFunc(func(now *record.Record) (*record.Record, time.Duration, error) {
			if was = now; !now.Live() {
				return now, 0, nil
			}
			return nil, 0, nil
		}))
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case errors.Is(err, record.ErrCorrupt):
		return nil, l.destroy(ctx, id)
	}
	return was, err
}

// index is the store's index as the protocol sees it.
type index struct {
	UserIndex
	marks UserMarker
}

// indexOf returns the index of a store, or of the store that it decorates; nil if there is none.
func indexOf(s Store) users.Index {
	for s != nil {
		i, ok := s.(UserIndex)
		if marks, both := s.(UserMarker); ok && both {
			return index{i, marks}
		}
		u, ok := s.(interface{ Unwrap() Store })
		if !ok {
			break
		}
		s = u.Unwrap()
	}
	return nil
}

func outerEntry(e record.UserEntry) UserEntry { return UserEntry{ID(e.ID), time.UnixMilli(e.Login)} }

func (i index) Enter(ctx context.Context, user string, e record.UserEntry, keep, grace time.Duration) error {
	return i.UserIndex.Enter(ctx, user, outerEntry(e), keep, grace)
}

func (i index) Leave(ctx context.Context, user string, entries []record.UserEntry, grace time.Duration) error {
	outer := make([]UserEntry, len(entries))
	for k, e := range entries {
		outer[k] = outerEntry(e)
	}
	return i.UserIndex.Leave(ctx, user, outer, grace)
}

func (i index) Entries(ctx context.Context, user, cursor string) (record.UserPage, error) {
	p, err := i.UserIndex.Entries(ctx, user, cursor)
	return record.UserPage{Entries: innerEntries(p.Entries), Cursor: p.Cursor, Added: p.Added}, err
}

func (i index) Admit(ctx context.Context, user string, id ident.ID, keep time.Duration, a record.LoginAttempt) (int64, error) {
	login, err := i.marks.Admit(ctx, user, ID(id), keep, LoginAttempt{a.Began, UserMark(a.Pass)})
	if err != nil {
		return 0, err
	}
	return login.UnixMilli(), nil
}

func (i index) Mark(ctx context.Context, user string, a record.LoginAttempt) (int64, error) {
	m, err := i.marks.Mark(ctx, user, LoginAttempt{a.Began, UserMark(a.Pass)})
	return int64(m), err
}
