package reliability

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersess/sess"
)

// honest is a store that keeps its word.
type honest struct{ *sess.MemoryStore }

func (h honest) Refresh(ctx context.Context, id sess.ID) (*sess.Record, error) { return h.Get(ctx, id) }

var errNoAnswer = errors.New("no answer came")

// vague does some writes without saying so, some later and some never. It keeps its word, too.
type vague struct {
	honest
	calls atomic.Int64
}

func (v *vague) write(do func()) (answered bool) {
	switch v.calls.Add(1) % 40 {
	case 0:
		do()
	case 13:
	case 26:
		time.AfterFunc(time.Millisecond, do)
	default:
		do()
		return true
	}
	return false
}

func (v *vague) Set(_ context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	if !v.write(func() { v.honest.Set(context.Background(), id, r, ttl) }) {
		return errNoAnswer
	}
	return nil
}

func (v *vague) Swap(_ context.Context, id sess.ID, old, next *sess.Record, ttl time.Duration) (*sess.Record, error) {
	type result struct {
		r   *sess.Record
		err error
	}
	ended := make(chan result, 1)
	if !v.write(func() {
		r, err := v.honest.Swap(context.Background(), id, old, next, ttl)
		ended <- result{r, err}
	}) {
		return nil, errNoAnswer
	}
	got := <-ended
	return got.r, got.err
}

// lastWriteWins takes every swap for a write.
type lastWriteWins struct{ honest }

func (l lastWriteWins) Swap(ctx context.Context, id sess.ID, _, next *sess.Record, ttl time.Duration) (*sess.Record, error) {
	if next == nil {
		return nil, l.Destroy(ctx, id)
	}
	return next, l.Set(ctx, id, next, ttl)
}

// reviving swaps where nothing is left.
type reviving struct{ honest }

func (r reviving) Swap(ctx context.Context, id sess.ID, old, next *sess.Record, ttl time.Duration) (*sess.Record, error) {
	there, err := r.honest.Swap(ctx, id, old, next, ttl)
	if errors.Is(err, sess.ErrNotFound) && next != nil {
		return next, r.Set(ctx, id, next, ttl)
	}
	return there, err
}

// forgetful acknowledges some writes that it does not do.
type forgetful struct {
	honest
	calls atomic.Int64
}

func (f *forgetful) Set(ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	if f.calls.Add(1)%10 == 0 {
		return nil
	}
	return f.honest.Set(ctx, id, r, ttl)
}

// repeating does some writes whose answer was lost a second time, as a client does that tries again.
type repeating struct {
	honest
	calls atomic.Int64
}

func (r *repeating) Set(ctx context.Context, id sess.ID, rec *sess.Record, ttl time.Duration) error {
	err := r.honest.Set(ctx, id, rec, ttl)
	if r.calls.Add(1)%10 != 0 {
		return err
	}
	time.AfterFunc(time.Millisecond, func() { r.honest.Set(context.Background(), id, rec, ttl) })
	return errNoAnswer
}

// cached answers Get with what it got last, for a while.
type cached struct {
	honest
	lasts                time.Duration
	forgetsWhatItWrites  bool
	forgetsWhatItRefresh bool

	mu   *sync.Mutex
	kept map[sess.ID]kept
}

type kept struct {
	r   *sess.Record
	err error
	at  time.Time
}

func newCached(h honest, lasts time.Duration, writes, refreshes bool) cached {
	return cached{h, lasts, writes, refreshes, new(sync.Mutex), map[sess.ID]kept{}}
}

// Peek hides that of the MemoryStore.
func (c cached) Peek(sess.ID, time.Time) (*sess.Record, bool) { return nil, false }

func (c cached) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.kept[id]
	if !ok || time.Since(k.at) > c.lasts {
		k.at = time.Now()
		k.r, k.err = c.honest.Get(ctx, id)
		c.kept[id] = k
	}
	return k.r, k.err
}

func (c cached) forget(id sess.ID, really bool) {
	if really {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.kept, id)
	}
}

func (c cached) Refresh(ctx context.Context, id sess.ID) (*sess.Record, error) {
	defer c.forget(id, c.forgetsWhatItRefresh)
	return c.honest.Refresh(ctx, id)
}

func (c cached) Set(ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	defer c.forget(id, c.forgetsWhatItWrites)
	return c.honest.Set(ctx, id, r, ttl)
}

func (c cached) Destroy(ctx context.Context, id sess.ID) error {
	defer c.forget(id, c.forgetsWhatItWrites)
	return c.honest.Destroy(ctx, id)
}

func (c cached) Swap(ctx context.Context, id sess.ID, old, next *sess.Record, ttl time.Duration) (*sess.Record, error) {
	defer c.forget(id, c.forgetsWhatItWrites)
	return c.honest.Swap(ctx, id, old, next, ttl)
}

const (
	noOrder   = "no single server answers"
	staleHere = "on the same node"
	staleAway = "on another node"
)

// TestTheCheckOfHistoriesFindsBrokenStores runs it on stores that break one promise each, and on such that break none.
func TestTheCheckOfHistoriesFindsBrokenStores(t *testing.T) {
	const (
		maxStale = 20 * time.Millisecond
		keys     = 90
		few      = 30 // for a store in which nothing is to be found, so that no run ends early
		runs     = 20 // at most: some need two clients to meet
	)
	for _, c := range []struct {
		what string
		open func(h honest) subject
		want string // empty: nothing
	}{
		{"keeps its word", func(h honest) subject { return h }, ""},
		{"keeps its word and does not always say so", func(h honest) subject { return &vague{honest: h} }, ""},
		{"caches for less than MaxStale what nobody here writes or refreshes", func(h honest) subject { return newCached(h, maxStale/2, true, true) }, ""},
		{"swaps whatever is there", func(h honest) subject { return lastWriteWins{h} }, noOrder},
		{"swaps where nothing is left", func(h honest) subject { return reviving{h} }, noOrder},
		{"forgets a write", func(h honest) subject { return &forgetful{honest: h} }, noOrder},
		{"does a write twice", func(h honest) subject { return &repeating{honest: h} }, noOrder},
		{"caches for longer than MaxStale what others write", func(h honest) subject { return newCached(h, time.Hour, true, true) }, staleAway},
		{"caches what was written here", func(h honest) subject { return newCached(h, maxStale/2, false, true) }, staleHere},
		{"caches what was refreshed here", func(h honest) subject { return newCached(h, maxStale/2, true, false) }, staleHere},
	} {
		t.Run(c.what, func(t *testing.T) {
			var f findings
			text, keys := "", keys
			if c.want == "" {
				keys = few
			}
			for seed := range uint64(runs) {
				h := honest{sess.NewMemoryStore()}
				f = check(t, record(t, seed, 4, keys, c.open(h), c.open(h)).end(), maxStale)
				text = strings.Join(f.broken, "\n")
				if c.want == "" || strings.Contains(text, c.want) {
					break
				}
			}
			switch {
			case c.want == "" && text != "":
				t.Errorf("what a store breaks that breaks nothing: got %d findings, want none; the first: %s", len(f.broken), f.broken[0])
			case !strings.Contains(text, c.want):
				t.Errorf("what this store breaks: got nothing like %q in %d runs, want it found", c.want, runs)
			}
		})
	}
}

// TestTheCheckOfHistoriesTellsOldFromOlder judges histories of a few operations.
func TestTheCheckOfHistoriesTellsOldFromOlder(t *testing.T) {
	const maxStale = 100
	var (
		first  = op{node: 0, kind: opSet, next: 1, seen: 1, call: 0, ret: 10}
		second = op{node: 0, kind: opSwap, old: 1, next: 2, seen: 2, call: 20, ret: 30}
		remove = op{node: 0, kind: opDestroy, call: 40, ret: 50}
	)
	get := func(node int, seen, call, ret int64) op {
		return op{node: node, kind: opGet, seen: seen, call: call, ret: ret}
	}
	refresh := func(node int, seen, call, ret int64) op {
		return op{node: node, kind: opRefresh, seen: seen, call: call, ret: ret}
	}
	for _, c := range []struct {
		what string
		ops  []op
		want string
	}{
		{"the old version beside the write", []op{first, second, get(0, 1, 25, 60)}, ""},
		{"the old version after the write", []op{first, second, get(0, 1, 31, 32)}, staleHere},
		{"the old version after the write, at the other node", []op{first, second, get(1, 1, 31, 32)}, ""},
		{"the old version for MaxStale, at the other node", []op{first, second, get(1, 1, 130, 131)}, ""},
		{"the old version for longer than MaxStale, at the other node", []op{first, second, get(1, 1, 131, 132)}, staleAway},
		{"the old version after a Refresh there", []op{first, second, refresh(1, 2, 31, 32), get(1, 1, 33, 34)}, staleHere},
		{"the old version after a Refresh at the other node", []op{first, second, refresh(0, 2, 31, 32), get(1, 1, 33, 34)}, ""},
		{"the old version after the new one", []op{first, second, get(1, 2, 31, 32), get(1, 1, 33, 34)}, staleHere},
		{"the new version after the old one", []op{first, second, get(1, 1, 31, 32), get(1, 2, 33, 34)}, ""},
		{"a removed version", []op{first, second, remove, get(0, 2, 51, 52)}, staleHere},
		{"a removed version for MaxStale, at the other node", []op{first, second, remove, get(1, 2, 150, 152)}, ""},
		{"a removed version for longer than MaxStale", []op{first, second, remove, get(1, 2, 151, 152)}, staleAway},
		{"nothing after a write", []op{first, second, get(0, 0, 31, 32)}, staleHere},
		{"nothing beside a removal", []op{first, second, remove, get(0, 0, 45, 52)}, ""},
		{"nothing after a removal", []op{first, second, remove, get(1, 0, 60, 70)}, ""},
		{"nothing before a removal", []op{first, second, remove, get(0, 0, 31, 35)}, staleHere},
	} {
		if got := strings.Join(staleness(c.ops, maxStale), "\n"); (got != "") != (c.want != "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
}

// TestAHistoryWithoutAVerdictIsBroken gives the search no time.
func TestAHistoryWithoutAVerdictIsBroken(t *testing.T) {
	h := &history{}
	for i := range int64(40) { // writes beside each other, none of which was seen where it could have been
		h.add(op{kind: opSet, next: i + 1, seen: i + 1, call: 0, ret: 1000})
	}
	h.add(op{kind: opRefresh, seen: 41, call: 0, ret: 1000})
	h.add(op{kind: opSet, next: 41, seen: 41, call: 1001, ret: 1002})
	if f := checkWithin(t, []*history{h}, time.Second, time.Millisecond); len(f.broken) != 1 || !strings.Contains(f.broken[0], "no verdict") {
		t.Errorf("a search that was cut short: got %v, want one finding that says so", f.broken)
	}
}
