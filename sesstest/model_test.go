package sesstest

import (
	"context"
	"slices"
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
}

// modelWatch is one call of Watch.
type modelWatch struct {
	id   sess.ID
	seen func(*sess.Record, error)
}

type kept struct {
	r   *sess.Record
	end time.Time
}

func newModel() *model {
	return &model{kept: map[sess.ID]kept{}, watchers: map[sess.ID][]*modelWatch{}}
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
	return nil, nil
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

// plain is a model without capabilities.
type plain struct{ sess.Store }
