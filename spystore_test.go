package sess_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
)

// spyStore is a memory store that passes for a remote one. It remembers every id it was asked to store something
// under, and asks before each call.
type spyStore struct {
	kept *sess.MemoryStore

	mu     sync.Mutex
	before func(ctx context.Context, call string, id sess.ID) error // nil: nothing to ask
	calls  map[string]int
	ids    map[sess.ID]bool
}

func newSpyStore() *spyStore {
	return &spyStore{kept: sess.NewMemoryStore(), calls: map[string]int{}, ids: map[sess.ID]bool{}}
}

// ask sets what is called before each call; its error is the call's.
func (s *spyStore) ask(before func(ctx context.Context, call string, id sess.ID) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

// count returns how often these calls, or all if none is named, were made since the last count.
func (s *spyStore) count(names ...string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for name, times := range s.calls {
		if len(names) == 0 || slices.Contains(names, name) {
			n += times
		}
	}
	clear(s.calls)
	return n
}

// stored returns every id that something was ever stored under.
func (s *spyStore) stored() []sess.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.ids))
}

func (s *spyStore) enter(ctx context.Context, call string, id sess.ID, stores bool) error {
	s.mu.Lock()
	s.calls[call]++
	if stores {
		s.ids[id] = true
	}
	before := s.before
	s.mu.Unlock()
	if before == nil {
		return ctx.Err()
	}
	return before(ctx, call, id)
}

func (s *spyStore) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	if err := s.enter(ctx, "get", id, false); err != nil {
		return nil, err
	}
	return s.kept.Get(ctx, id)
}

func (s *spyStore) Set(ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	if err := s.enter(ctx, "set", id, true); err != nil {
		return err
	}
	return s.kept.Set(ctx, id, r, ttl)
}

func (s *spyStore) Destroy(ctx context.Context, id sess.ID) error {
	if err := s.enter(ctx, "destroy", id, false); err != nil {
		return err
	}
	return s.kept.Destroy(ctx, id)
}

func (s *spyStore) Swap(ctx context.Context, id sess.ID, old, next *sess.Record, ttl time.Duration) (*sess.Record, error) {
	if err := s.enter(ctx, "swap", id, next != nil); err != nil {
		return nil, err
	}
	return s.kept.Swap(ctx, id, old, next, ttl)
}

func (s *spyStore) End(ctx context.Context, id sess.ID) (*sess.Record, error) {
	if err := s.enter(ctx, "end", id, false); err != nil {
		return nil, err
	}
	return s.kept.End(ctx, id)
}

// pause is a point where one goroutine waits for another.
type pause struct{ reached, proceed chan struct{} }

func newPause() *pause { return &pause{make(chan struct{}), make(chan struct{})} }

// wait says that the point is reached and waits until proceed is closed.
func (p *pause) wait() {
	close(p.reached)
	<-p.proceed
}

// requestName is the key under which a request's context tells whose store calls are its.
type requestName struct{}

// named is a middleware that gives a request the name in its query, for everyOrder.
func named(c *fiber.Ctx) error {
	c.SetUserContext(context.WithValue(context.Background(), requestName{}, c.Query("as")))
	return c.Next()
}

// everyOrder runs two requests, which call themselves "a" and "b", in every order that their first store calls can
// take: each call waits for its turn. prepare runs before each order, in the bubble of virtual time that run is in too.
func everyOrder(t *testing.T, test func(t *testing.T, run func(store *spyStore, a, b func()))) {
	const turns = 7
	for order := range 1 << turns {
		synctest.Test(t, func(t *testing.T) {
			test(t, func(store *spyStore, a, b func()) { takeTurns(store, order, turns, a, b) })
		})
		if t.Failed() {
			t.Fatalf("the order of the store calls was %0*b, from the right, 0 for a, 1 for b", turns, order)
		}
	}
}

// takeTurns lets the bits of order say whose store call is next, until both requests are through.
func takeTurns(store *spyStore, order, turns int, a, b func()) {
	turn := map[any]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{})}
	store.ask(func(ctx context.Context, _ string, _ sess.ID) error {
		<-turn[ctx.Value(requestName{})]
		return nil
	})
	defer store.ask(nil)
	done := make(chan struct{}, 2)
	for _, request := range []func(){a, b} {
		go func() {
			request()
			done <- struct{}{}
		}()
	}
	give := func(name string) {
		synctest.Wait()
		select {
		case turn[name] <- struct{}{}:
		default: // Through, or waiting for the other.
		}
	}
	for i := range turns {
		give([]string{"a", "b"}[order>>i&1])
	}
	for len(done) < 2 {
		give("a")
		give("b")
		synctest.Wait()
	}
}

// wantLive checks how many of all ids that the store has ever held are sessions now, and returns those.
func wantLive(t *testing.T, store *spyStore, c *client, want int) (live []string) {
	t.Helper()
	for _, id := range store.stored() {
		if c.holding(id.Value()).get("/exists").body == "true" {
			live = append(live, id.Value())
		}
	}
	if len(live) != want {
		t.Errorf("live sessions: got %d, want %d", len(live), want)
	}
	return live
}
