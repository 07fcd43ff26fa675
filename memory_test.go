package sess_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/sesstest"
)

// What a MemoryStore can do beside keeping sessions.
var (
	_ sess.Store   = (*sess.MemoryStore)(nil)
	_ sess.Swapper = (*sess.MemoryStore)(nil)
	_ sess.Peeker  = (*sess.MemoryStore)(nil)
	_ sess.Watcher = (*sess.MemoryStore)(nil)
	_ sess.Ender   = (*sess.MemoryStore)(nil)
	_ sess.Local   = (*sess.MemoryStore)(nil)

	_ sess.UserIndex  = (*sess.MemoryStore)(nil)
	_ sess.UserMarker = (*sess.MemoryStore)(nil)
)

func TestMemoryStoreKeepsEveryPromise(t *testing.T) {
	for name, max := range map[string]int{"one shard": 1000, "many shards": 0} {
		t.Run(name, func(t *testing.T) {
			sesstest.TestStore(t, func(*testing.T) sess.Store {
				return sess.NewMemoryStore(sess.MemoryConfig{MaxSessions: max})
			})
		})
	}
}

func TestMemoryStoreKeepsEveryPromiseInVirtualTime(t *testing.T) {
	sesstest.TestStoreInBubble(t, func(*testing.T) sess.Store { return sess.NewMemoryStore() })
}

// memoryFixture holds a store to what its test wants of it.
type memoryFixture struct {
	*testing.T
	store   *sess.MemoryStore
	evicted []sess.ID
}

func newMemoryFixture(t *testing.T, maxSessions int) *memoryFixture {
	f := &memoryFixture{T: t}
	f.store = sess.NewMemoryStore(sess.MemoryConfig{
		MaxSessions: maxSessions,
		OnEvict:     func(id sess.ID) { f.evicted = append(f.evicted, id) },
	})
	return f
}

func (f *memoryFixture) id(n int) sess.ID {
	f.Helper()
	id, err := sess.ParseID(fmt.Sprintf("session-%d", n))
	if err != nil {
		f.Fatal(err)
	}
	return id
}

func (f *memoryFixture) record(n int) *sess.Record {
	f.Helper()
	r, err := sess.ParseRecord(fmt.Sprintf(`{"n":%d}`, n))
	if err != nil {
		f.Fatal(err)
	}
	return r
}

func (f *memoryFixture) set(n int, ttl time.Duration) {
	f.Helper()
	if err := f.store.Set(context.Background(), f.id(n), f.record(n), ttl); err != nil {
		f.Fatal(err)
	}
}

func (f *memoryFixture) has(n int) bool {
	f.Helper()
	r, err := f.store.Get(context.Background(), f.id(n))
	if err != nil && !errors.Is(err, sess.ErrNotFound) {
		f.Fatal(err)
	}
	if err == nil && r.JSON() != f.record(n).JSON() {
		f.Errorf("session %d: got another record than its own", n)
	}
	return err == nil
}

func (f *memoryFixture) want(what string, got, want int) {
	f.Helper()
	if got != want {
		f.Errorf("%s: got %d, want %d", what, got, want)
	}
}

func TestMemoryStoreEvictsTheLeastRecentlyUsed(t *testing.T) {
	const most = 8
	uses := map[string]func(f *memoryFixture, n int){
		"Get":  func(f *memoryFixture, n int) { f.has(n) },
		"Peek": func(f *memoryFixture, n int) { f.store.Peek(f.id(n), time.Now()) },
		"Set":  func(f *memoryFixture, n int) { f.set(n, time.Hour) },
		"Swap": func(f *memoryFixture, n int) {
			_, _ = f.store.Swap(context.Background(), f.id(n), f.record(n), f.record(n), time.Hour)
		},
		"lost Swap": func(f *memoryFixture, n int) {
			_, _ = f.store.Swap(context.Background(), f.id(n), nil, f.record(n), time.Hour)
		},
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			f := newMemoryFixture(t, most)
			for n := range most {
				f.set(n, time.Hour)
			}
			order := rand.Perm(most)
			for _, n := range order {
				use(f, n)
			}
			for i, n := range order {
				f.set(most+i, time.Hour)
				f.want("Len", f.store.Len(), most)
				if len(f.evicted) != i+1 || f.evicted[i] != f.id(n) {
					t.Fatalf("new session %d: got %d evictions and not the right one last, want the one used longest ago", i, len(f.evicted))
				}
				if f.has(n) {
					t.Errorf("session %d: got its record after its eviction, want none", n)
				}
			}
		})
	}
}

func TestMemoryStoreEvictsOldSessionsBeforeFreshOnesAlsoWhenItSamples(t *testing.T) {
	const most = 2000
	f := newMemoryFixture(t, most)
	for n := range most {
		f.set(n, time.Hour)
	}
	for n := range most / 2 {
		f.has(n)
	}
	for n := range most / 10 {
		f.set(most+n, time.Hour)
	}
	lost := 0
	for n := range most / 2 {
		if !f.has(n) {
			lost++
		}
	}
	// The chance that a sample of 16 holds used sessions only is 2^-16.
	if lost > 2 {
		t.Errorf("recently used sessions after %d evictions: got %d lost, want 2 at most", most/10, lost)
	}
}

func TestMemoryStoreNeverHoldsMoreThanMaxSessions(t *testing.T) {
	for _, most := range []int{1, 2, 3, 17, 4096, 8192, 9001} {
		f := newMemoryFixture(t, most)
		for n := range 3*most + 10 {
			f.set(n, time.Hour)
			if got := f.store.Len(); got > most {
				t.Fatalf("MaxSessions %d: got %d sessions, want no more", most, got)
			}
		}
		f.want("the last session is there", btoi(f.has(3*most+9)), 1)
		f.want("sessions and evictions", f.store.Len()+len(f.evicted), 3*most+10)
		if got := f.store.Len(); got < most*97/100 {
			t.Errorf("MaxSessions %d, after three times as many: got %d sessions, want 97 %% or more", most, got)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestMemoryStoreMakesRoomByWhatHasExpiredBeforeItEvicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 16
		f := newMemoryFixture(t, most)
		time.Sleep(100 * time.Millisecond) // the sweep, which counts in seconds, is then late, and eviction must look
		for n := range most {
			f.set(n, time.Duration(1+n%2)*time.Minute)
		}
		time.Sleep(time.Minute)
		for n := range most / 2 {
			f.set(most+n, time.Hour)
		}
		f.want("evictions while expired sessions were there", len(f.evicted), 0)
		for n := 1; n < most; n += 2 {
			f.want("a session that has not expired is there", btoi(f.has(n)), 1)
		}
	})
}

func TestMemoryStoreFreesExpiredSessionsAsItIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sessions = 4000
		f := newMemoryFixture(t, 1<<16)
		for n := range sessions {
			f.set(n, time.Minute)
		}
		time.Sleep(time.Minute)
		f.want("Len before a write", f.store.Len(), sessions)
		// The writes look at 64,000 places, of which there are about 8,000, and reach every shard.
		for range sessions {
			f.set(sessions+rand.IntN(1000), time.Minute)
		}
		if got := f.store.Len(); got > 1000 {
			t.Errorf("Len after %d writes: got %d, want no more than the 1000 that were written", sessions, got)
		}
		f.want("evictions", len(f.evicted), 0)
	})
}

func TestMemoryStoreExpiresAtTheMillisecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, ttl := range []time.Duration{1, time.Microsecond, time.Millisecond, time.Millisecond + 1, time.Hour} {
			f := newMemoryFixture(t, 10)
			f.set(1, ttl)
			last := (ttl + time.Millisecond - 1).Truncate(time.Millisecond) - 1
			time.Sleep(last)
			f.want(fmt.Sprintf("TTL %v, there after %v", ttl, last), btoi(f.has(1)), 1)
			time.Sleep(time.Nanosecond)
			f.want(fmt.Sprintf("TTL %v, there 1 ns later", ttl), btoi(f.has(1)), 0)
			time.Sleep(time.Millisecond - time.Duration(time.Now().Nanosecond())%time.Millisecond)
		}
	})
}

func TestMemoryStoreKeepsNothingForATTLThatIsNotPositive(t *testing.T) {
	for _, ttl := range []time.Duration{0, -1, math.MinInt64} {
		f := newMemoryFixture(t, 10)
		f.set(1, ttl)
		f.want("there after Set", btoi(f.has(1)), 0)

		f.set(1, time.Hour)
		f.set(1, ttl)
		f.want("there after Set of a kept id", btoi(f.has(1)), 0)

		f.set(1, time.Hour)
		next := f.record(2)
		got, err := f.store.Swap(context.Background(), f.id(1), f.record(1), next, ttl)
		if got != next || err != nil {
			t.Errorf("Swap with the TTL %v: got the error %v and next %t, want nil and next", ttl, err, got == next)
		}
		f.want("there after Swap", btoi(f.has(1)), 0)
		f.want("Len", f.store.Len(), 0)
	}
}

func TestMemoryStoreCallsOnEvictWithoutALock(t *testing.T) {
	var store *sess.MemoryStore
	calls := 0
	store = sess.NewMemoryStore(sess.MemoryConfig{MaxSessions: 1, OnEvict: func(id sess.ID) {
		calls++
		if _, err := store.Get(context.Background(), id); !errors.Is(err, sess.ErrNotFound) {
			t.Errorf("Get of an evicted session in OnEvict: got the error %v, want ErrNotFound", err)
		}
	}})
	f := &memoryFixture{T: t, store: store}
	f.set(1, time.Hour)
	f.set(2, time.Hour)
	f.want("calls of OnEvict", calls, 1)
}

func TestMemoryStoreTellsWatchersOfAnEviction(t *testing.T) {
	f := newMemoryFixture(t, 1)
	f.set(1, time.Hour)
	told := make(chan error, 2)
	stop, err := f.store.Watch(context.Background(), f.id(1), func(r *sess.Record, err error) { told <- err })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	f.set(2, time.Hour)
	if err := <-told; err != nil {
		t.Errorf("before the eviction: got told the error %v, want the record", err)
	}
	if err := <-told; !errors.Is(err, sess.ErrNotFound) {
		t.Errorf("after the eviction: got told the error %v, want ErrNotFound", err)
	}
}

func TestMemoryStoreLetsAWatcherTakeLocksOfTheWriter(t *testing.T) {
	f := newMemoryFixture(t, 10)
	var mu sync.Mutex
	told := make(chan struct{})
	stop, err := f.store.Watch(context.Background(), f.id(1), func(r *sess.Record, _ error) {
		mu.Lock()
		defer mu.Unlock()
		if r != nil {
			close(told)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	mu.Lock()
	f.set(1, time.Hour)
	mu.Unlock()
	<-told
}

// TestMemoryStoreAgreesWithAMap does what it likes to a store and to a map, with few ids, so that tables grow, shrink,
// and close gaps all the time.
func TestMemoryStoreAgreesWithAMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newMemoryFixture(t, 1000)
		type kept struct {
			n   int
			end time.Time
		}
		want := map[int]kept{}
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 1))
		for step := range 100_000 {
			n := random.IntN(1 + random.IntN(400)) // sometimes few, sometimes many
			id := f.id(n)
			k, alive := want[n]
			alive = alive && time.Now().Before(k.end)
			switch random.IntN(8) {
			case 0, 1:
				ttl := time.Duration(1+random.IntN(3000)) * time.Millisecond
				_ = f.store.Set(context.Background(), id, f.record(step), ttl)
				want[n] = kept{step, time.Now().Add(ttl)}
			case 2, 3:
				_ = f.store.Destroy(context.Background(), id)
				delete(want, n)
			case 4:
				ttl := time.Duration(1+random.IntN(3000)) * time.Millisecond
				next := f.record(step)
				got, err := f.store.Swap(context.Background(), id, f.record(k.n), next, ttl)
				if alive != (err == nil) || alive && got != next {
					t.Fatalf("seed %d, step %d: Swap: got the error %v, want a win: %t", seed, step, err, alive)
				}
				if alive {
					want[n] = kept{step, time.Now().Add(ttl)}
				}
			case 5:
				time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
			default:
				r, err := f.store.Get(context.Background(), id)
				if alive != (err == nil) || alive && r.JSON() != f.record(k.n).JSON() {
					t.Fatalf("seed %d, step %d: Get: got the error %v, want the record that was set: %t", seed, step, err, alive)
				}
			}
		}
	})
}

func TestMemoryStoreDoesNotAllocateForASessionItHas(t *testing.T) {
	ctx := context.Background()
	f := newMemoryFixture(t, 100)
	f.set(1, time.Hour)
	id, r, now := f.id(1), f.record(1), time.Now()
	operations := map[string]func(){
		"Get":         func() { _, _ = f.store.Get(ctx, id) },
		"Get of none": func() { _, _ = f.store.Get(ctx, sess.ID{}) },
		"Peek":        func() { f.store.Peek(id, now) },
		"Set":         func() { _ = f.store.Set(ctx, id, r, time.Hour) },
		"Swap":        func() { _, _ = f.store.Swap(ctx, id, r, r, time.Hour) },
		"lost Swap":   func() { _, _ = f.store.Swap(ctx, id, nil, r, time.Hour) },
	}
	for name, operation := range operations {
		if got := testing.AllocsPerRun(100, operation); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
	}
	created := testing.AllocsPerRun(100, func() {
		_ = f.store.Destroy(ctx, id)
		_, _ = f.store.Swap(ctx, id, nil, r, time.Hour)
	})
	if created != 1 {
		t.Errorf("Swap that creates: got %v allocations, want 1, the entry", created)
	}
}

func TestMemoryStorePrintsNoSession(t *testing.T) {
	f := newMemoryFixture(t, 10)
	f.set(1, time.Hour)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		if got, want := fmt.Sprintf(verb, f.store), "sess.MemoryStore(1 sessions)"; got != want {
			t.Errorf("%s: got %s, want %s", verb, got, want)
		}
	}
	if got := fmt.Sprint((*sess.MemoryStore)(nil)); !strings.Contains(got, "nil") {
		t.Errorf("a nil store: got %s, want that it is nil", got)
	}
}

func TestNewMemoryStoreRefusesAConfigThatCannotBe(t *testing.T) {
	for name, configs := range map[string][]sess.MemoryConfig{
		"a negative bound": {{MaxSessions: -1}},
		"two configs":      {{}, {}},
	} {
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.HasPrefix(text, "sess: ") || !strings.Contains(text, "want") {
					t.Errorf("%s: got the panic %q, want one that says what to do", name, text)
				}
			}()
			sess.NewMemoryStore(configs...)
		}()
	}
}
