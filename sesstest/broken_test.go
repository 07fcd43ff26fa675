package sesstest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersess/sess"
)

// brokenStore is a store with one defect and the promise that it breaks.
type brokenStore struct {
	promise string // its name
	defect  string // what the store does
	store   func() sess.Store
}

var brokenStores = []brokenStore{
	{"missing", "returns nil and no error for a miss", func() sess.Store {
		return &getter{newModel(), func(r *sess.Record, err error) (*sess.Record, error) { return r, nil }}
	}},
	{"missing", "returns an error of its own for a miss", func() sess.Store {
		return &getter{newModel(), func(r *sess.Record, err error) (*sess.Record, error) {
			if err != nil {
				err = errors.New("nothing there")
			}
			return r, err
		}}
	}},
	{"stored", "forgets what it is given", func() sess.Store {
		return &setter{newModel(), func(m *model, ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
			return nil
		}}
	}},
	{"stored", "gives a record out only once", func() sess.Store { return once{newModel()} }},
	{"overwritten", "keeps the first record", func() sess.Store {
		return &setter{newModel(), func(m *model, ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
			_, err := m.Swap(ctx, id, nil, r, ttl)
			return err
		}}
	}},
	{"destroyed", "does not destroy", func() sess.Store {
		return destroyer{newModel(), func(*model, sess.ID) error { return nil }}
	}},
	{"destroy missing", "reports a destroy of nothing", func() sess.Store {
		return destroyer{newModel(), func(m *model, id sess.ID) error {
			_, err := m.Get(context.Background(), id)
			return errors.Join(err, m.Destroy(context.Background(), id))
		}}
	}},
	{"bytes", "cuts records at 32 KiB", rewriting(func(s string) string {
		if len(s) > 32<<10 {
			return `{}`
		}
		return s
	})},
	{"bytes", "drops white space", rewriting(func(s string) string { return strings.Join(strings.Fields(s), "") })},
	{"bytes", "unescapes HTML", rewriting(func(s string) string { return strings.ReplaceAll(s, "&amp;", "&") })},
	{"bytes", "rounds numbers", rewriting(func(s string) string { return strings.ReplaceAll(s, "9007199254740993", "9007199254740992") })},
	{"ids", "ignores case", renaming(strings.ToLower)},
	{"ids", "keeps 62 bytes of an id", renaming(func(s string) string { return s[:min(len(s), 62)] })},
	{"ids", "cleans ids as paths", renaming(func(s string) string { return strings.ReplaceAll(s, "//", "/") })},
	{"ids", "destroys by pattern", func() sess.Store {
		return destroyer{newModel(), func(m *model, id sess.ID) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			prefix, wild := strings.CutSuffix(id.Value(), "*")
			for other := range m.kept {
				if other == id || wild && strings.HasPrefix(other.Value(), prefix) {
					delete(m.kept, other)
				}
			}
			return nil
		}}
	}},
	{"immutable", "keeps records in one buffer", func() sess.Store { return &buffering{model: newModel()} }},
	{"concurrent", "mixes sessions up under load", func() sess.Store { return &mixing{model: newModel()} }},
	{"own writes", "writes behind", func() sess.Store { return behind{newModel()} }},
	{"secrets", "quotes the id in an error", func() sess.Store {
		return &getterOf{newModel(), func(id sess.ID, r *sess.Record, err error) (*sess.Record, error) {
			if err != nil {
				err = fmt.Errorf("get %q: %w", id.Value(), err)
			}
			return r, err
		}}
	}},

	{"expired", "keeps for ever", ttls(func(time.Duration) time.Duration { return longTTL })},
	{"expired", "takes the TTL for milliseconds", ttls(func(ttl time.Duration) time.Duration { return ttl / 1000 })},
	{"TTL replaced", "keeps the first TTL", func() sess.Store { return &firstTTL{newModel(), map[sess.ID]time.Duration{}} }},
	{"shortest TTL", "takes a TTL below a millisecond for none", ttls(func(ttl time.Duration) time.Duration {
		if ttl < time.Millisecond {
			return longTTL
		}
		return ttl
	})},
	{"shortest TTL", "refuses a TTL below a millisecond", func() sess.Store {
		return &setter{newModel(), func(m *model, ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
			if ttl < time.Millisecond {
				return errors.New("invalid expire time")
			}
			return m.Set(ctx, id, r, ttl)
		}}
	}},
	{"longest TTL", "overflows", ttls(func(ttl time.Duration) time.Duration { return ttl + time.Second })},
	{"TTL of its own", "ends all with the first", func() sess.Store { return collective{newModel()} }},
	{"expired is gone", "remembers the expired", func() sess.Store { return &grudging{newModel(), map[sess.ID]bool{}} }},

	{"context cancelled", "ignores its context", func() sess.Store { return deaf{newModel(), context.Canceled} }},
	{"context deadline", "ignores deadlines", func() sess.Store { return deaf{newModel(), context.DeadlineExceeded} }},
	{"context ends under way", "reports the context in words of its own", func() sess.Store {
		return &getter{newModel(), func(r *sess.Record, err error) (*sess.Record, error) {
			if errors.Is(err, context.DeadlineExceeded) {
				err = errors.New("took too long")
			}
			return r, err
		}}
	}},

	{"Swap creates", "cannot create", swapping(func(m *model, s swap) (*sess.Record, error) {
		if s.old == nil {
			return nil, sess.ErrNotFound
		}
		return s.on(m)
	})},
	{"Swap creates only", "creates over what is there", swapping(func(m *model, s swap) (*sess.Record, error) {
		if s.old == nil {
			return s.next, m.Set(s.ctx, s.id, s.next, s.ttl)
		}
		return s.on(m)
	})},
	{"Swap creates only", "takes equal bytes for a win", swapping(func(m *model, s swap) (*sess.Record, error) {
		r, err := s.on(m)
		if r != nil && s.next != nil && r.JSON() == s.next.JSON() {
			r = s.next
		}
		return r, err
	})},
	{"Swap over expired", "sees what has expired", swapping(func(m *model, s swap) (*sess.Record, error) {
		m.mu.Lock()
		k, ok := m.kept[s.id]
		m.mu.Unlock()
		if ok && s.old == nil {
			return k.r, nil
		}
		return s.on(m)
	})},
	{"Swap replaces", "compares pointers", swapping(func(m *model, s swap) (*sess.Record, error) {
		if r, err := m.Get(s.ctx, s.id); err == nil && r != s.old {
			return r, nil
		}
		return s.on(m)
	})},
	{"Swap lost", "sets without comparing", swapping(func(m *model, s swap) (*sess.Record, error) {
		if _, err := m.Get(s.ctx, s.id); err != nil || s.old == nil {
			return s.on(m)
		}
		return s.next, m.Set(s.ctx, s.id, s.next, s.ttl)
	})},
	{"Swap lost", "returns old instead of what is there", swapping(func(m *model, s swap) (*sess.Record, error) {
		r, err := s.on(m)
		if r != s.next && s.old != nil {
			r = s.old
		}
		return r, err
	})},
	{"Swap gone", "revives the destroyed", reviving},
	{"Swap gone", "reports what is gone as a loss", swapping(func(m *model, s swap) (*sess.Record, error) {
		r, err := s.on(m)
		if errors.Is(err, sess.ErrNotFound) {
			err = nil
		}
		return r, err
	})},
	{"Swap expired", "revives the expired", reviving},
	{"Swap destroys", "stores nil as a record", swapping(func(m *model, s swap) (*sess.Record, error) {
		if s.next == nil {
			s.next, _ = sess.ParseRecord(`{}`)
			s.ttl = longTTL
		}
		return s.on(m)
	})},
	{"Swap destroy lost", "destroys without comparing", swapping(func(m *model, s swap) (*sess.Record, error) {
		if s.next == nil {
			return nil, m.Destroy(s.ctx, s.id)
		}
		return s.on(m)
	})},
	{"Swap renews", "skips a swap that changes nothing", swapping(func(m *model, s swap) (*sess.Record, error) {
		if s.old != nil && s.next != nil && s.old.JSON() == s.next.JSON() {
			return s.next, nil
		}
		return s.on(m)
	})},
	{"Swap sets TTL", "prolongs on a loss", swapping(func(m *model, s swap) (*sess.Record, error) {
		r, err := s.on(m)
		if r != s.next && r != nil {
			_ = m.Set(s.ctx, s.id, r, s.ttl)
		}
		return r, err
	})},
	{"Swap sets TTL", "ignores the TTL of a swap", swapping(func(m *model, s swap) (*sess.Record, error) {
		s.ttl = longTTL
		return s.on(m)
	})},
	{"Swap bytes", "compares lengths", swapping(func(m *model, s swap) (*sess.Record, error) {
		if r, err := m.Get(s.ctx, s.id); err == nil && s.old != nil && strings.Fields(r.JSON())[0] == strings.Fields(s.old.JSON())[0] {
			s.old = r
		}
		s.next = rewritten(s.next, func(text string) string { return strings.ReplaceAll(text, `\/`, `/`) })
		return s.on(m)
	})},
	{"Swap counts", "is not atomic", unatomic},
	{"Swap one creator", "is not atomic", unatomic},
	{"Swap one destroyer", "is not atomic", unatomic},

	{"End", "reports a success where there is nothing", func() sess.Store {
		return ender{newModel(), func(m *model, id sess.ID) (*sess.Record, error) {
			return nil, m.Destroy(context.Background(), id)
		}}
	}},
	{"End", "does nothing", func() sess.Store {
		return ender{newModel(), func(m *model, id sess.ID) (*sess.Record, error) { return m.Get(context.Background(), id) }}
	}},
	{"End", "does not say what was there", func() sess.Store {
		return ender{newModel(), func(m *model, id sess.ID) (*sess.Record, error) {
			_, err := m.End(context.Background(), id)
			return nil, err
		}}
	}},
	{"End keeps tombstones", "removes tombstones", func() sess.Store {
		return ender{newModel(), func(m *model, id sess.ID) (*sess.Record, error) {
			r, err := m.Get(context.Background(), id)
			return r, errors.Join(err, m.Destroy(context.Background(), id))
		}}
	}},
	{"End keeps tombstones", "takes a session that names a successor for a tombstone", func() sess.Store {
		return ender{newModel(), func(m *model, id sess.ID) (*sess.Record, error) {
			r, err := m.Get(context.Background(), id)
			if err == nil && strings.Contains(r.JSON(), `"to":`) {
				return r, nil
			}
			return m.End(context.Background(), id)
		}}
	}},
	{"End against writers", "loses against a writer", func() sess.Store {
		return ender{newModel(), func(m *model, id sess.ID) (*sess.Record, error) {
			r, err := m.Get(context.Background(), id)
			if err != nil || !r.IsSession() {
				return r, err
			}
			runtime.Gosched()
			if there, err := m.Swap(context.Background(), id, r, nil, 0); there != nil || err != nil {
				return there, err
			}
			return r, nil
		}}
	}},
	{"End context", "ends under a cancelled context", func() sess.Store {
		return ender{newModel(), func(m *model, id sess.ID) (*sess.Record, error) { return m.End(context.Background(), id) }}
	}},
	{"Peek", "remembers the destroyed", func() sess.Store { return &peeker{model: newModel(), seen: map[sess.ID]*sess.Record{}} }},
	{"Peek ends", "does not look at the clock", func() sess.Store { return endless{newModel()} }},
	{"Peek allocates nothing", "copies", func() sess.Store { return copying{newModel()} }},
	{"Refresh", "refreshes from a cache", func() sess.Store { return &stale{model: newModel(), first: map[sess.ID]*sess.Record{}} }},
	{"Watch", "does not tell of the end", func() sess.Store {
		return destroyer{newModel(), func(m *model, id sess.ID) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.put(id, nil, 0)
			return nil
		}}
	}},
	{"Watch", "tells the news before last", func() sess.Store { return telling(oldNews) }},
	{"Watch", "tells that there is a change and not what is kept", func() sess.Store {
		return telling(func(seen func(*sess.Record, error)) func(*sess.Record, error) {
			return func(*sess.Record, error) { seen(nil, nil) }
		})
	}},
	{"Watch first", "tells nothing before Watch returns", func() sess.Store { return telling(skipFirst) }},
	{"Watch order", "tells older news after newer", func() sess.Store { return telling(backwards) }},
	{"Watch order", "calls from two goroutines at once", func() sess.Store {
		return telling(func(seen func(*sess.Record, error)) func(*sess.Record, error) {
			return func(r *sess.Record, err error) {
				var second sync.WaitGroup
				second.Go(func() { seen(r, err) })
				seen(r, err)
				second.Wait()
			}
		})
	}},
	{"Watch stop", "cannot stop", func() sess.Store {
		return stopping(func(_ *model, _ func()) func() { return func() {} })
	}},
	{"Watch stop", "stops everybody", func() sess.Store {
		return stopping(func(m *model, _ func()) func() {
			return func() {
				m.mu.Lock()
				defer m.mu.Unlock()
				clear(m.watchers)
			}
		})
	}},
	{"Watch context", "watches under a cancelled context", func() sess.Store {
		return watching{newModel(), func(inner watchFunc, _ context.Context, id sess.ID, seen func(*sess.Record, error)) (func(), error) {
			return inner(context.Background(), id, seen)
		}}
	}},
}

func TestEveryBrokenStoreIsCaughtByThePromiseItBreaks(t *testing.T) {
	for _, b := range slices.Concat(brokenStores, brokenIndexes) {
		t.Run(b.promise+"/"+b.defect, func(t *testing.T) {
			p := promiseNamed(t, b.promise)
			synctest.Test(t, func(t *testing.T) {
				failures := failuresOf(t, p, b.store())
				if len(failures) == 0 {
					t.Fatalf("a store that %s: got no failure, want that the promise %q is broken", b.defect, p.text)
				}
				for _, f := range failures {
					if !strings.Contains(f, "broken promise: "+p.text) || !strings.Contains(f, "got ") || !strings.Contains(f, "want ") {
						t.Errorf("failure: got %q, want one that names the promise, what it got and what it wants", f)
					}
				}
			})
		})
	}
}

func TestEveryPromiseCanBeBroken(t *testing.T) {
	for _, p := range promises() {
		if !slices.ContainsFunc(slices.Concat(brokenStores, brokenIndexes), func(b brokenStore) bool { return b.promise == p.name }) {
			t.Errorf("promise %q: got no broken store that it catches, want one", p.name)
		}
	}
}

func TestAStoreThatHangsFailsAndDoesNotHangTheSuite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := NewFaulty(newModel())
		faulty.Hang(Get, Always)
		if failures := failuresOf(t, promiseNamed(t, "stored"), faulty.Store()); len(failures) == 0 {
			t.Error("a store whose Get hangs: got no failure, want one")
		}
	})
}

func promiseNamed(t *testing.T, name string) promise {
	t.Helper()
	all := promises()
	i := slices.IndexFunc(all, func(p promise) bool { return p.name == name })
	if i < 0 {
		t.Fatalf("promise: got the unknown name %q, want one of the suite", name)
	}
	return all[i]
}

// failuresOf returns what the suite says when it holds store to p.
func failuresOf(t *testing.T, p promise, store sess.Store) []string {
	t.Helper()
	r := &recorder{ctx: t.Context()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.cleanUp()
		p.check(r, store)
	}()
	<-done
	return r.failures
}

// recorder is a tester that remembers.
type recorder struct {
	ctx      context.Context
	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) cleanUp() {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(string, ...any) { runtime.Goexit() }
