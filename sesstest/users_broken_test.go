package sesstest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/fibersess/sess"
)

// ways are the methods of an index that a broken one has of its own; those that are nil are the model's.
type ways struct {
	enter   func(m *model, ctx context.Context, user string, e sess.UserEntry, keep, grace time.Duration) error
	entries func(m *model, ctx context.Context, user, cursor string) (sess.UserPage, error)
	leave   func(m *model, ctx context.Context, user string, entries []sess.UserEntry, grace time.Duration) error
	admit   func(m *model, ctx context.Context, user string, id sess.ID, keep time.Duration, a sess.LoginAttempt) (time.Time, error)
	mark    func(m *model, ctx context.Context, user string, a sess.LoginAttempt) (sess.UserMark, error)
}

type misindexed struct {
	*model
	ways ways
}

func (s misindexed) Enter(ctx context.Context, user string, e sess.UserEntry, keep, grace time.Duration) error {
	if s.ways.enter == nil {
		return s.model.Enter(ctx, user, e, keep, grace)
	}
	return s.ways.enter(s.model, ctx, user, e, keep, grace)
}

func (s misindexed) Entries(ctx context.Context, user, cursor string) (sess.UserPage, error) {
	if s.ways.entries == nil {
		return s.model.Entries(ctx, user, cursor)
	}
	return s.ways.entries(s.model, ctx, user, cursor)
}

func (s misindexed) Leave(ctx context.Context, user string, entries []sess.UserEntry, grace time.Duration) error {
	if s.ways.leave == nil {
		return s.model.Leave(ctx, user, entries, grace)
	}
	return s.ways.leave(s.model, ctx, user, entries, grace)
}

func (s misindexed) Admit(ctx context.Context, user string, id sess.ID, keep time.Duration, a sess.LoginAttempt) (time.Time, error) {
	if s.ways.admit == nil {
		return s.model.Admit(ctx, user, id, keep, a)
	}
	return s.ways.admit(s.model, ctx, user, id, keep, a)
}

func (s misindexed) Mark(ctx context.Context, user string, a sess.LoginAttempt) (sess.UserMark, error) {
	if s.ways.mark == nil {
		return s.model.Mark(ctx, user, a)
	}
	return s.ways.mark(s.model, ctx, user, a)
}

func misindexing(w ways) func() sess.Store {
	return func() sess.Store { return misindexed{newModel(), w} }
}

// changing returns a store that changes what Admit is told of the request.
func changing(change func(m *model, user string, a *sess.LoginAttempt)) func() sess.Store {
	return misindexing(ways{admit: func(m *model, ctx context.Context, user string, id sess.ID, keep time.Duration, a sess.LoginAttempt) (time.Time, error) {
		m.mu.Lock()
		change(m, user, &a)
		m.mu.Unlock()
		return m.Admit(ctx, user, id, keep, a)
	}})
}

// entering returns a store that changes what Enter is given.
func entering(change func(user *string, e *sess.UserEntry, keep, grace *time.Duration)) func() sess.Store {
	return misindexing(ways{enter: func(m *model, ctx context.Context, user string, e sess.UserEntry, keep, grace time.Duration) error {
		change(&user, &e, &keep, &grace)
		return m.Enter(ctx, user, e, keep, grace)
	}})
}

var brokenIndexes = []brokenStore{
	{"Enter", "cuts login times to seconds", entering(func(_ *string, e *sess.UserEntry, _, _ *time.Duration) {
		e.Login = e.Login.Add(time.Millisecond).Truncate(time.Second)
	})},
	{"Enter is apart", "stores a record with the entry", misindexing(ways{enter: func(m *model, ctx context.Context, user string, e sess.UserEntry, keep, grace time.Duration) error {
		r, _ := sess.ParseRecord(`{}`)
		return errors.Join(m.Enter(ctx, user, e, keep, grace), m.Set(ctx, e.ID, r, keep))
	}})},
	{"Entries of each user", "ignores case", entering(func(user *string, _ *sess.UserEntry, _, _ *time.Duration) { *user = strings.ToUpper(*user) })},
	{"Entries in pages", "counts places from the front", misindexing(ways{entries: func(m *model, ctx context.Context, user, cursor string) (page sess.UserPage, err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		u, from, most := m.user(user), len(cursor), 400
		for i := from; i < min(len(u.entries), from+most); i++ {
			page.Entries = append(page.Entries, u.entries[i].UserEntry)
		}
		if page.Added = u.added; from+most < len(u.entries) {
			page.Cursor = strings.Repeat(".", from+most)
		}
		return page, ctx.Err()
	}})},
	{"Entries tell of additions", "counts the entries that are there", misindexing(ways{entries: func(m *model, ctx context.Context, user, cursor string) (sess.UserPage, error) {
		page, err := m.Entries(ctx, user, cursor)
		page.Added = uint64(len(page.Entries))
		return page, err
	}})},
	{"Leave", "removes all", misindexing(ways{leave: func(m *model, ctx context.Context, user string, _ []sess.UserEntry, grace time.Duration) error {
		page, _ := m.Entries(ctx, user, "")
		return m.Leave(ctx, user, page.Entries, grace)
	}})},
	{"Leave spares the young", "knows no grace", misindexing(ways{leave: func(m *model, ctx context.Context, user string, entries []sess.UserEntry, _ time.Duration) error {
		return m.Leave(ctx, user, entries, 0)
	}})},
	{"Leave spares the young", "goes by the login alone", entering(func(_ *string, _ *sess.UserEntry, _, grace *time.Duration) { *grace = 0 })},
	{"Leave after its grace", "spares for ever", misindexing(ways{leave: func(m *model, ctx context.Context, user string, entries []sess.UserEntry, grace time.Duration) error {
		if grace > 0 {
			return nil
		}
		return m.Leave(ctx, user, entries, 0)
	}})},
	{"Admit", "returns another time than it enters", misindexing(ways{admit: func(m *model, ctx context.Context, user string, id sess.ID, keep time.Duration, a sess.LoginAttempt) (time.Time, error) {
		login, err := m.Admit(ctx, user, id, keep, a)
		return login.Add(time.Millisecond), err
	}})},
	{"Admit asks", "enters the zero ID", misindexing(ways{admit: func(m *model, ctx context.Context, user string, id sess.ID, keep time.Duration, a sess.LoginAttempt) (time.Time, error) {
		login, err := m.Admit(ctx, user, id, keep, a)
		if id.IsZero() {
			id, _ = sess.ParseID("0")
			err = errors.Join(err, m.Enter(ctx, user, sess.UserEntry{ID: id, Login: login}, keep, 0))
		}
		return login, err
	}})},
	{"Mark bars", "bars nobody", changing(func(m *model, user string, a *sess.LoginAttempt) { a.Pass = m.user(user).mark })},
	{"Mark bars", "bars those who come later", changing(func(m *model, user string, a *sess.LoginAttempt) { a.Began = a.Began.Add(-time.Hour) })},
	{"Mark lets its own pass", "bars also the request that left it", changing(func(_ *model, _ string, a *sess.LoginAttempt) { a.Pass = 0 })},
	{"Mark lets its own pass", "lets any mark pass that has one of its own", changing(func(m *model, user string, a *sess.LoginAttempt) {
		if a.Pass != 0 {
			a.Pass = m.user(user).mark
		}
	})},
	{"Mark of a barred request", "does not look at the mark before", misindexing(ways{mark: func(m *model, ctx context.Context, user string, a sess.LoginAttempt) (sess.UserMark, error) {
		a.Began = time.Now().Add(time.Hour)
		return m.Mark(ctx, user, a)
	}})},
	{"Mark is one step", "asks for the mark and enters in two steps", misindexing(ways{admit: func(m *model, ctx context.Context, user string, id sess.ID, keep time.Duration, a sess.LoginAttempt) (time.Time, error) {
		login, err := m.Admit(ctx, user, sess.ID{}, keep, a)
		time.Sleep(time.Millisecond)
		if err == nil && !id.IsZero() {
			err = m.Enter(ctx, user, sess.UserEntry{ID: id, Login: login}, keep, 0)
		}
		return login, err
	}})},
	{"Users context cancelled", "lists whatever the context", misindexing(ways{entries: func(m *model, _ context.Context, user, cursor string) (sess.UserPage, error) {
		return m.Entries(context.Background(), user, cursor)
	}})},
}
