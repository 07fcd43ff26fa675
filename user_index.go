package sess

import (
	"context"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

var (
	_ UserIndex  = (*MemoryStore)(nil)
	_ UserMarker = (*MemoryStore)(nil)
	_ UserIndex  = (*RueidisStore)(nil)
	_ UserMarker = (*RueidisStore)(nil)
)

func innerEntry(e UserEntry) record.UserEntry {
	return record.UserEntry{ID: ident.ID(e.ID), Login: e.Login.UnixMilli()}
}

func innerEntries(entries []UserEntry) []record.UserEntry {
	inner := make([]record.UserEntry, len(entries))
	for i, e := range entries {
		inner[i] = innerEntry(e)
	}
	return inner
}

func outerPage(p record.UserPage, err error) (UserPage, error) {
	page := UserPage{Cursor: p.Cursor, Added: p.Added}
	for _, e := range p.Entries {
		page.Entries = append(page.Entries, UserEntry{ID(e.ID), time.UnixMilli(e.Login)})
	}
	return page, err
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

// Enter does what [UserIndex] says.
func (s *MemoryStore) Enter(ctx context.Context, user string, e UserEntry, keep, grace time.Duration) error {
	return s.store.Enter(ctx, user, innerEntry(e), keep, grace)
}

// Entries does what [UserIndex] says.
func (s *MemoryStore) Entries(ctx context.Context, user, cursor string) (UserPage, error) {
	return outerPage(s.store.Entries(ctx, user, cursor))
}

// Leave does what [UserIndex] says. An entry also goes with its session, when that is evicted, or has expired and is
// cleaned up.
func (s *MemoryStore) Leave(ctx context.Context, user string, entries []UserEntry, grace time.Duration) error {
	return s.store.Leave(ctx, user, innerEntries(entries), grace)
}

// Admit does what [UserMarker] says.
func (s *MemoryStore) Admit(ctx context.Context, user string, id ID, keep time.Duration, a LoginAttempt) (time.Time, error) {
	return outerLogin(s.store.Admit(ctx, user, ident.ID(id), keep, a.inner()))
}

// Mark does what [UserMarker] says.
func (s *MemoryStore) Mark(ctx context.Context, user string, a LoginAttempt) (UserMark, error) {
	m, err := s.store.Mark(ctx, user, a.inner())
	return UserMark(m), err
}

// Enter does what [UserIndex] says.
func (s *RueidisStore) Enter(ctx context.Context, user string, e UserEntry, keep, grace time.Duration) error {
	return s.store.Enter(ctx, user, innerEntry(e), keep, grace)
}

// Entries does what [UserIndex] says. It asks the server.
func (s *RueidisStore) Entries(ctx context.Context, user, cursor string) (UserPage, error) {
	return outerPage(s.store.Entries(ctx, user, cursor))
}

// Leave does what [UserIndex] says.
func (s *RueidisStore) Leave(ctx context.Context, user string, entries []UserEntry, grace time.Duration) error {
	return s.store.Leave(ctx, user, innerEntries(entries), grace)
}

// Admit does what [UserMarker] says, by the server's clock.
func (s *RueidisStore) Admit(ctx context.Context, user string, id ID, keep time.Duration, a LoginAttempt) (time.Time, error) {
	return outerLogin(s.store.Admit(ctx, user, ident.ID(id), keep, a.inner()))
}

// Mark does what [UserMarker] says.
func (s *RueidisStore) Mark(ctx context.Context, user string, a LoginAttempt) (UserMark, error) {
	m, err := s.store.Mark(ctx, user, a.inner())
	return UserMark(m), err
}
