package sesstest

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/fibersess/sess"
)

// The stores below are models with one defect. Those that need no more than a function come first.

type getter struct {
	*model
	change func(*sess.Record, error) (*sess.Record, error)
}

func (s *getter) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	return s.change(s.model.Get(ctx, id))
}

type getterOf struct {
	*model
	change func(sess.ID, *sess.Record, error) (*sess.Record, error)
}

func (s *getterOf) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	r, err := s.model.Get(ctx, id)
	return s.change(id, r, err)
}

type setter struct {
	*model
	set func(m *model, ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error
}

func (s *setter) Set(ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	return s.set(s.model, ctx, id, r, ttl)
}

// ttls returns a store that changes every TTL.
func ttls(change func(time.Duration) time.Duration) func() sess.Store {
	return func() sess.Store {
		return &setter{newModel(), func(m *model, ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
			return m.Set(ctx, id, r, change(ttl))
		}}
	}
}

// rewriting returns a store that changes the text of every record.
func rewriting(change func(string) string) func() sess.Store {
	return func() sess.Store {
		return &setter{newModel(), func(m *model, ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
			return m.Set(ctx, id, rewritten(r, change), ttl)
		}}
	}
}

// rewritten returns r with its text changed, or r if the text is no record then.
func rewritten(r *sess.Record, change func(string) string) *sess.Record {
	if r == nil {
		return nil
	}
	if changed, err := sess.ParseRecord(change(r.JSON())); err == nil {
		return changed
	}
	return r
}

type destroyer struct {
	*model
	destroy func(m *model, id sess.ID) error
}

func (s destroyer) Destroy(_ context.Context, id sess.ID) error { return s.destroy(s.model, id) }

// renaming returns a store that takes ids for other ids.
func renaming(change func(string) string) func() sess.Store {
	return func() sess.Store { return renamed{newModel(), change} }
}

type renamed struct {
	*model
	change func(string) string
}

func (s renamed) id(id sess.ID) sess.ID {
	other, err := sess.ParseID(s.change(id.Value()))
	if err != nil {
		return id
	}
	return other
}

func (s renamed) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	return s.model.Get(ctx, s.id(id))
}

func (s renamed) Set(ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	return s.model.Set(ctx, s.id(id), r, ttl)
}

func (s renamed) Destroy(ctx context.Context, id sess.ID) error {
	return s.model.Destroy(ctx, s.id(id))
}

// swap is one call of Swap.
type swap struct {
	ctx       context.Context
	id        sess.ID
	old, next *sess.Record
	ttl       time.Duration
}

// on does s as it should be done.
func (s swap) on(m *model) (*sess.Record, error) { return m.Swap(s.ctx, s.id, s.old, s.next, s.ttl) }

func swapping(do func(m *model, s swap) (*sess.Record, error)) func() sess.Store {
	return func() sess.Store { return swapper{newModel(), do} }
}

type swapper struct {
	*model
	do func(m *model, s swap) (*sess.Record, error)
}

func (s swapper) Swap(ctx context.Context, id sess.ID, old, next *sess.Record, ttl time.Duration) (*sess.Record, error) {
	return s.do(s.model, swap{ctx, id, old, next, ttl})
}

// reviving takes what is gone for what may be created.
var reviving = swapping(func(m *model, s swap) (*sess.Record, error) {
	if _, err := m.Get(s.ctx, s.id); err != nil {
		s.old = nil
	}
	return s.on(m)
})

// unatomic compares and swaps in two steps.
var unatomic = swapping(func(m *model, s swap) (*sess.Record, error) {
	current, err := m.Get(s.ctx, s.id)
	runtime.Gosched()
	switch {
	case err != nil && s.old != nil:
		return nil, err
	case current != nil && (s.old == nil || s.old.JSON() != current.JSON()):
		return current, nil
	}
	runtime.Gosched()
	return s.next, m.Set(s.ctx, s.id, s.next, s.ttl)
})

// once forgets what it has returned.
type once struct{ *model }

func (s once) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	defer s.Destroy(context.Background(), id)
	return s.model.Get(ctx, id)
}

// buffering writes each record over the memory of the one before.
type buffering struct {
	*model
	last *sess.Record
}

func (s *buffering) Set(ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	if s.last != nil {
		text := s.last.JSON()
		copy(unsafe.Slice(unsafe.StringData(text), len(text)), r.JSON())
	}
	s.last = r
	return s.model.Set(ctx, id, r, ttl)
}

// mixing returns the record of another session now and then, when calls overlap.
type mixing struct {
	*model
	mu   sync.Mutex
	last *sess.Record
}

func (s *mixing) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	r, err := s.model.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.last = r
	s.mu.Unlock()
	runtime.Gosched()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, nil
}

// behind has written when Set has long returned.
type behind struct{ *model }

func (s behind) Set(_ context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	time.AfterFunc(time.Millisecond, func() { _ = s.model.Set(context.Background(), id, r, ttl) })
	return nil
}

// firstTTL keeps the TTL a session began with.
type firstTTL struct {
	*model
	first map[sess.ID]time.Duration
}

func (s *firstTTL) Set(ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	if first, ok := s.first[id]; ok {
		ttl = first
	}
	s.first[id] = ttl
	return s.model.Set(ctx, id, r, ttl)
}

// collective ends all sessions when one has expired.
type collective struct{ *model }

func (s collective) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	s.mu.Lock()
	for _, k := range s.kept {
		if !time.Now().Before(k.end) {
			clear(s.kept)
			break
		}
	}
	s.mu.Unlock()
	return s.model.Get(ctx, id)
}

// grudging never stores again under an id whose record has expired.
type grudging struct {
	*model
	used map[sess.ID]bool
}

func (s *grudging) Set(ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	_, err := s.Get(ctx, id)
	if s.used[id] && err != nil {
		return nil
	}
	s.used[id] = true
	return s.model.Set(ctx, id, r, ttl)
}

// deaf ignores a context that has ended for one reason.
type deaf struct {
	*model
	reason error
}

func (s deaf) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	if ctx.Err() == s.reason {
		ctx = context.Background()
	}
	return s.model.Get(ctx, id)
}

// peeker serves what it has seen once.
type peeker struct {
	*model
	mu   sync.Mutex
	seen map[sess.ID]*sess.Record
}

func (s *peeker) Peek(id sess.ID, now time.Time) (*sess.Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.model.Peek(id, now); ok {
		s.seen[id] = r
	}
	r, ok := s.seen[id]
	return r, ok
}

// endless peeks without looking at the end.
type endless struct{ *model }

func (s endless) Peek(id sess.ID, _ time.Time) (*sess.Record, bool) {
	return s.model.Peek(id, time.Time{})
}

// copying peeks at a copy.
type copying struct{ *model }

func (s copying) Peek(id sess.ID, now time.Time) (*sess.Record, bool) {
	r, ok := s.model.Peek(id, now)
	if !ok {
		return nil, false
	}
	c, err := sess.ParseRecord(strings.Clone(r.JSON()))
	return c, err == nil
}

// stale refreshes with the first record it has found.
type stale struct {
	*model
	first map[sess.ID]*sess.Record
}

func (s *stale) Refresh(ctx context.Context, id sess.ID) (*sess.Record, error) {
	if r, ok := s.first[id]; ok {
		return r, nil
	}
	r, err := s.Get(ctx, id)
	if err == nil {
		s.first[id] = r
	}
	return r, err
}

// ender has another End.
type ender struct {
	*model
	end func(m *model, id sess.ID) (*sess.Record, error)
}

func (s ender) End(_ context.Context, id sess.ID) (*sess.Record, error) { return s.end(s.model, id) }

// watching has another Watch: inner is the model's.
type watching struct {
	*model
	watch func(inner watchFunc, ctx context.Context, id sess.ID, seen func(*sess.Record, error)) (func(), error)
}

type watchFunc func(ctx context.Context, id sess.ID, seen func(*sess.Record, error)) (func(), error)

func (s watching) Watch(ctx context.Context, id sess.ID, seen func(*sess.Record, error)) (func(), error) {
	return s.watch(s.model.Watch, ctx, id, seen)
}

// stopping is a store whose watches have another stop.
func stopping(change func(m *model, stop func()) func()) sess.Store {
	m := newModel()
	return watching{m, func(inner watchFunc, ctx context.Context, id sess.ID, seen func(*sess.Record, error)) (func(), error) {
		stop, err := inner(ctx, id, seen)
		return change(m, stop), err
	}}
}

// telling is a store whose watchers are told something else.
func telling(change func(seen func(*sess.Record, error)) func(*sess.Record, error)) sess.Store {
	return watching{newModel(), func(inner watchFunc, ctx context.Context, id sess.ID, seen func(*sess.Record, error)) (func(), error) {
		return inner(ctx, id, change(seen))
	}}
}

// skipFirst tells nothing before Watch returns.
func skipFirst(seen func(*sess.Record, error)) func(*sess.Record, error) {
	first := true
	return func(r *sess.Record, err error) {
		if !first {
			seen(r, err)
		}
		first = false
	}
}

// oldNews tells each time what it should have told the time before.
func oldNews(seen func(*sess.Record, error)) func(*sess.Record, error) {
	var last *sess.Record
	var lastErr error
	return func(r *sess.Record, err error) {
		seen(last, lastErr)
		last, lastErr = r, err
	}
}

// backwards tells the old record once more behind each new one.
func backwards(seen func(*sess.Record, error)) func(*sess.Record, error) {
	var old *sess.Record
	return func(r *sess.Record, err error) {
		seen(r, err)
		if old != nil {
			seen(old, nil)
			seen(r, err)
		}
		old = r
	}
}
