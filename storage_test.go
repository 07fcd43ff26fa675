package sess_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/sesstest"
)

func TestStorageStoreKeepsThePromisesOfAStore(t *testing.T) {
	sesstest.TestStoreInBubble(t, func(*testing.T) sess.Store {
		return sess.NewStorageStore(&mapStorage{}, "sess:")
	})
}

func TestStorageStoreIsNotASwapper(t *testing.T) {
	if _, ok := any(sess.NewStorageStore(&mapStorage{}, "")).(sess.Swapper); ok {
		t.Error("StorageStore: got a Swapper, want none: a fiber.Storage cannot compare and swap")
	}
}

func TestStorageStoreWritesTheRecordUnderPrefixAndID(t *testing.T) {
	storage := &mapStorage{}
	store := sess.NewStorageStore(storage, "my:")
	if err := store.Set(t.Context(), storedID(t), storedRecord(t), time.Minute); err != nil {
		t.Fatalf("Set: got the error %v, want nil", err)
	}
	if got, want := string(storage.entries["my:"+storedID(t).Value()].value), storedRecord(t).JSON(); got != want {
		t.Errorf("value in the storage: got %q, want %q", got, want)
	}
	if err := store.Destroy(t.Context(), storedID(t)); err != nil {
		t.Fatalf("Destroy: got the error %v, want nil", err)
	}
	if got := len(storage.entries); got != 0 {
		t.Errorf("entries after Destroy: got %d, want 0", got)
	}
}

// A driver that cuts off to whole seconds takes half a second for 0, and 0 for ever; one that counts them in 32 bits
// on top of the Unix time overflows in 2106.
func TestStorageStoreGivesDriversTTLsOfWholeSeconds(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{
		1:                      2 * time.Second,
		500 * time.Millisecond: 2 * time.Second,
		time.Second:            2 * time.Second,
		time.Second + 1:        3 * time.Second,
		time.Hour:              time.Hour + time.Second,
		math.MaxInt64:          10*365*24*time.Hour + time.Second,
	} {
		storage := &mapStorage{}
		if err := sess.NewStorageStore(storage, "").Set(t.Context(), storedID(t), storedRecord(t), ttl); err != nil {
			t.Fatalf("Set: got the error %v, want nil", err)
		}
		if got := storage.lastTTL; got != want {
			t.Errorf("TTL at the driver for %v: got %v, want %v", ttl, got, want)
		}
	}
}

func TestStorageStoreDoesNotAskTheDriverUnderAnEndedContext(t *testing.T) {
	asked := 0
	store := sess.NewStorageStore(&mapStorage{before: func(string) { asked++ }}, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range storeCalls(store, storedID(t), storedRecord(t)) {
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got the error %v, want context.Canceled", name, err)
		}
	}
	if asked != 0 {
		t.Errorf("calls of the driver: got %d, want 0", asked)
	}
}

func TestStorageStoreLeavesAHangingDriverWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		store := sess.NewStorageStore(&mapStorage{before: func(string) { <-hang }}, "")
		for name, call := range storeCalls(store, storedID(t), storedRecord(t)) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start := time.Now()
			if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s in a driver that hangs: got the error %v, want context.DeadlineExceeded", name, err)
			}
			if took := time.Since(start); took != time.Second {
				t.Errorf("%s in a driver that hangs: got an answer after %v, want it after 1s", name, took)
			}
			cancel()
		}
		close(hang)
	})
}

// A driver for Fiber v3 has methods that take a context; those without one must not be called then.
func TestStorageStoreGivesADriverForFiberV3TheDeadline(t *testing.T) {
	deadline := time.Now().Add(time.Minute)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	driver := &deadlineStorage{mapStorage: mapStorage{before: func(string) { panic("a call without a context") }}}
	store := sess.NewStorageStore(driver, "")
	for name, call := range storeCalls(store, storedID(t), storedRecord(t)) {
		driver.got = time.Time{}
		if err := call(ctx); err != nil && !errors.Is(err, sess.ErrNotFound) {
			t.Errorf("%s: got the error %v, want none", name, err)
		}
		if !driver.got.Equal(deadline) {
			t.Errorf("%s: got the deadline %v at the driver, want the caller's, %v", name, driver.got, deadline)
		}
	}
}

// deadlineStorage is an empty driver for Fiber v3 that notes the deadline of a call.
type deadlineStorage struct {
	mapStorage
	got time.Time
}

func (d *deadlineStorage) GetWithContext(ctx context.Context, _ string) ([]byte, error) {
	d.got, _ = ctx.Deadline()
	return nil, nil
}

func (d *deadlineStorage) SetWithContext(ctx context.Context, _ string, _ []byte, _ time.Duration) error {
	d.got, _ = ctx.Deadline()
	return nil
}

func (d *deadlineStorage) DeleteWithContext(ctx context.Context, _ string) error {
	d.got, _ = ctx.Deadline()
	return nil
}

func TestStorageStoreBoundsTheCallsInTheDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound, callers = 256, 1000
		hang := make(chan struct{})
		var mu sync.Mutex
		inside := 0
		store := sess.NewStorageStore(&mapStorage{before: func(string) {
			mu.Lock()
			inside++
			mu.Unlock()
			<-hang
		}}, "")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() { store.Get(ctx, storedID(t)) })
		}
		wg.Wait()
		if inside != bound {
			t.Errorf("calls inside a driver that hangs: got %d of %d, want %d", inside, callers, bound)
		}
		close(hang)
		synctest.Wait()
		if _, err := store.Get(t.Context(), storedID(t)); !errors.Is(err, sess.ErrNotFound) {
			t.Errorf("Get once the driver answers again: got the error %v, want ErrNotFound", err)
		}
	})
}

func TestStorageStoreDoesNotQuoteTheIDInADriversError(t *testing.T) {
	cause := errors.New("disk full")
	id := storedID(t)
	store := sess.NewStorageStore(&mapStorage{fail: func(key string) error {
		return errors.Join(cause, errors.New("open /var/sessions/"+key))
	}}, "sess:")
	for name, call := range storeCalls(store, id, storedRecord(t)) {
		err := call(t.Context())
		if !errors.Is(err, cause) {
			t.Errorf("%s: got the error %v, want one that wraps the driver's", name, err)
		}
		if strings.Contains(err.Error(), id.Value()) {
			t.Errorf("%s: got an error that quotes the id, want it hidden: %s", name, err)
		}
		if want := "sess: storage " + strings.ToLower(name) + ": disk full"; !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got the error %q, want it to begin with %q", name, err, want)
		}
	}
}

func TestStorageStoreTurnsADriversPanicIntoAnError(t *testing.T) {
	id := storedID(t)
	store := sess.NewStorageStore(&mapStorage{before: func(key string) { panic("no connection for " + key) }}, "")
	for name, call := range storeCalls(store, id, storedRecord(t)) {
		err := call(t.Context())
		if err == nil || !strings.Contains(err.Error(), "panicked") {
			t.Errorf("%s in a driver that panics: got the error %v, want one that says so", name, err)
		} else if strings.Contains(err.Error(), id.Value()) {
			t.Errorf("%s in a driver that panics: got an error that quotes the id, want it hidden", name)
		}
	}
}

func TestStorageStoreSaysWhatIsNotARecord(t *testing.T) {
	storage := &mapStorage{}
	storage.Set(storedID(t).Value(), []byte("gob"), 0)
	if _, err := sess.NewStorageStore(storage, "").Get(t.Context(), storedID(t)); !errors.Is(err, sess.ErrCorrupt) {
		t.Errorf("Get of foreign bytes: got the error %v, want ErrCorrupt", err)
	}
}

func TestNewStorageStoreRefusesNil(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("NewStorageStore(nil): got no panic, want one that says what to pass")
		}
	}()
	sess.NewStorageStore(nil, "")
}

// storeCalls returns the three methods of store, by name.
func storeCalls(store sess.Store, id sess.ID, r *sess.Record) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Get":     func(ctx context.Context) error { _, err := store.Get(ctx, id); return err },
		"Set":     func(ctx context.Context) error { return store.Set(ctx, id, r, time.Minute) },
		"Destroy": func(ctx context.Context) error { return store.Destroy(ctx, id) },
	}
}

func storedID(t *testing.T) sess.ID {
	t.Helper()
	id, err := sess.ParseID("bGX1r5jcQHX4CqO1Heiy_DLvkTpQvx3M")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func storedRecord(t *testing.T) *sess.Record {
	t.Helper()
	r, err := sess.ParseRecord(`{"user":"ada"}`)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mapStorage is the least careful fiber.Storage that is one: it keeps the very slices it is given, returns them, and
// counts in whole seconds on a clock that moves once a second.
type mapStorage struct {
	before func(key string)       // runs inside every call, if set
	fail   func(key string) error // makes every call fail, if set

	mu      sync.Mutex
	entries map[string]mapEntry
	lastTTL time.Duration
}

type mapEntry struct {
	value []byte
	ends  int64 // Unix seconds, 0: never
}

func (m *mapStorage) enter(key string) error {
	if m.before != nil {
		m.before(key)
	}
	if m.fail != nil {
		return m.fail(key)
	}
	return nil
}

func (m *mapStorage) Get(key string) ([]byte, error) {
	if err := m.enter(key); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[key]
	if e.ends != 0 && e.ends <= time.Now().Unix() {
		return nil, nil
	}
	return e.value, nil
}

func (m *mapStorage) Set(key string, value []byte, ttl time.Duration) error {
	if err := m.enter(key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = make(map[string]mapEntry)
	}
	e := mapEntry{value: value}
	if s := int64(ttl / time.Second); s != 0 {
		e.ends = time.Now().Unix() + s
	}
	m.entries[key], m.lastTTL = e, ttl
	return nil
}

func (m *mapStorage) Delete(key string) error {
	if err := m.enter(key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, key)
	return nil
}

func (m *mapStorage) Reset() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.entries)
	return nil
}

func (m *mapStorage) Close() error { return nil }
