package sesstest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fibersess/sess"
)

// model is the contract in its plainest form: one map, one lock. It has every capability. The broken stores of the
// tests are models with one method replaced.
type model struct {
	mu       sync.Mutex
	kept     map[sess.ID]kept
	watchers map[sess.ID][]*modelWatch
	telling  sync.Mutex // held by whoever calls a watcher
	users    map[string]*modelUser
}

// modelWatch is one call of Watch.
type modelWatch struct {
	id   sess.ID
	seen func(*sess.Record, error)
}

// modelUser is what the model knows of a user.
type modelUser struct {
	entries []modelEntry
	added   uint64
	mark    sess.UserMark // nanoseconds since 1970, in virtual time
}

type modelEntry struct {
	sess.UserEntry
	until, young time.Time
}

type kept struct {
	r   *sess.Record
	end time.Time
}

func newModel() *model {
	return &model{kept: map[sess.ID]kept{}, watchers: map[sess.ID][]*modelWatch{}, users: map[string]*modelUser{}}
}

// at returns what is kept under id; the lock is held.
func (m *model) at(id sess.ID) *sess.Record {
	k, ok := m.kept[id]
	if !ok || !time.Now().Before(k.end) {
		return nil
	}
	return k.r
}

// put keeps r, or nothing if r is nil, and returns the watchers to call; the lock is held.
func (m *model) put(id sess.ID, r *sess.Record, ttl time.Duration) []*modelWatch {
	if r == nil {
		delete(m.kept, id)
	} else {
		m.kept[id] = kept{r, time.Now().Add(ttl)}
	}
	return slices.Clone(m.watchers[id])
}

// tell gives the watchers what is kept when it is their turn, so that none hears of a change before it hears of an older one.
func (m *model) tell(watchers []*modelWatch) {
	for _, w := range watchers {
		m.telling.Lock()
		w.seen(m.Get(context.Background(), w.id))
		m.telling.Unlock()
	}
}

func (m *model) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.at(id); r != nil {
		return r, nil
	}
	return nil, sess.ErrNotFound
}

func (m *model) Set(ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	watchers := m.put(id, r, ttl)
	m.mu.Unlock()
	m.tell(watchers)
	return nil
}

func (m *model) Destroy(ctx context.Context, id sess.ID) error {
	return m.Set(ctx, id, nil, 0)
}

func (m *model) Swap(ctx context.Context, id sess.ID, old, next *sess.Record, ttl time.Duration) (*sess.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	current := m.at(id)
	switch {
	case current == nil && old != nil:
		m.mu.Unlock()
		return nil, sess.ErrNotFound
	case current != nil && (old == nil || old.JSON() != current.JSON()):
		m.mu.Unlock()
		return current, nil
	}
	watchers := m.put(id, next, ttl)
	m.mu.Unlock()
	m.tell(watchers)
	return next, nil
}

func (m *model) End(ctx context.Context, id sess.ID) (*sess.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	current := m.at(id)
	switch {
	case current == nil:
		m.mu.Unlock()
		return nil, sess.ErrNotFound
	case !current.IsSession():
		m.mu.Unlock()
		return current, nil
	}
	watchers := m.put(id, nil, 0)
	m.mu.Unlock()
	m.tell(watchers)
	return current, nil
}

func (m *model) Peek(id sess.ID, now time.Time) (*sess.Record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.kept[id]
	if !ok || !now.Before(k.end) {
		return nil, false
	}
	return k.r, true
}

func (m *model) Refresh(ctx context.Context, id sess.ID) (*sess.Record, error) {
	return m.Get(ctx, id)
}

func (m *model) Watch(ctx context.Context, id sess.ID, seen func(*sess.Record, error)) (stop func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &modelWatch{id, seen}
	m.mu.Lock()
	m.watchers[id] = append(m.watchers[id], w)
	m.mu.Unlock()
	m.tell([]*modelWatch{w})
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.watchers[id] = slices.DeleteFunc(m.watchers[id], func(other *modelWatch) bool { return other == w })
	}, nil
}

// user returns what is known of a user; the lock is held.
func (m *model) user(name string) *modelUser {
	if m.users[name] == nil {
		m.users[name] = &modelUser{}
	}
	return m.users[name]
}

func (u *modelUser) enter(e modelEntry) {
	for i := range u.entries {
		if have := &u.entries[i]; have.UserEntry == e.UserEntry {
			if have.young = e.young; e.until.After(have.until) {
				have.until = e.until
			}
			return
		}
	}
	u.entries = append(u.entries, e)
	u.added++
}

func (m *model) Enter(ctx context.Context, name string, e sess.UserEntry, keep, grace time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	entry := modelEntry{UserEntry: e, until: time.Now().Add(keep)}
	if grace > 0 {
		entry.young = time.Now().Add(grace)
	}
	m.user(name).enter(entry)
	return nil
}

func (m *model) Entries(ctx context.Context, name, cursor string) (page sess.UserPage, err error) {
	if err := ctx.Err(); err != nil {
		return page, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.user(name)
	page.Added = u.added
	const most = 400
	for _, e := range u.entries {
		id := e.ID.Value()
		if id <= cursor {
			continue
		}
		i, _ := slices.BinarySearchFunc(page.Entries, id, func(e sess.UserEntry, id string) int { return strings.Compare(e.ID.Value(), id) })
		if page.Entries = slices.Insert(page.Entries, i, e.UserEntry); len(page.Entries) > most {
			page.Entries = page.Entries[:most]
			page.Cursor = page.Entries[most-1].ID.Value()
		}
	}
	return page, nil
}

func (m *model) Leave(ctx context.Context, name string, entries []sess.UserEntry, grace time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now, u := time.Now(), m.user(name)
	u.entries = slices.DeleteFunc(u.entries, func(e modelEntry) bool {
		young := e.young.After(now) || e.young.IsZero() && e.until.After(now) && e.Login.After(now.Add(-grace))
		return slices.Contains(entries, e.UserEntry) && !(grace > 0 && young)
	})
	return nil
}

func (m *model) Admit(ctx context.Context, name string, id sess.ID, keep time.Duration, a sess.LoginAttempt) (login time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return login, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.user(name)
	if u.mark != 0 && u.mark != a.Pass && int64(u.mark) >= a.Began.UnixNano() {
		return login, sess.ErrLoginRefused
	}
	login = time.UnixMilli(time.Now().UnixMilli())
	if !id.IsZero() {
		u.enter(modelEntry{UserEntry: sess.UserEntry{ID: id, Login: login}, until: time.Now().Add(keep)})
	}
	return login, nil
}

func (m *model) Mark(ctx context.Context, name string, a sess.LoginAttempt) (sess.UserMark, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.user(name)
	before := u.mark
	u.mark = max(sess.UserMark(time.Now().UnixNano()), before+1)
	if before != 0 && before != a.Pass && int64(before) >= a.Began.UnixNano() {
		return 0, nil
	}
	return u.mark, nil
}

// plain is a model without capabilities.
type plain struct{ sess.Store }
