package reliability

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersess/sess"
)

// subject is a store whose histories are checked.
type subject interface {
	sess.Store
	sess.Swapper
	sess.Refresher
}

// recording is a run of clients that work on few keys through several nodes, with a history of each key.
type recording struct {
	t       testing.TB
	seed    uint64
	nodes   []subject
	clients int // at each node
	enough  int // stop at so many keys; 0: at end

	start    time.Time
	versions atomic.Int64 // the last one given out
	slots    [64]slot
	mu       sync.Mutex
	all      []*chronicle
	stop     atomic.Bool
	running  sync.WaitGroup
}

// slot is a place for a key; a key whose history is full makes way for the next. The first hotSlots get half of the
// work, so that everybody meets there; the others last for seconds, so that there is something to grow old.
type slot struct {
	mu  sync.Mutex
	now *chronicle
}

const hotSlots = 4

// chronicle is a key and its history.
type chronicle struct {
	history
	id sess.ID
}

// opTimeout is how long a client waits for one operation.
const opTimeout = 300 * time.Millisecond

// record starts the clients, which stop when there are enough keys, if that is not 0.
func record(t testing.TB, seed uint64, clients, enough int, nodes ...subject) *recording {
	r := &recording{t: t, seed: seed, nodes: nodes, clients: clients, enough: enough, start: time.Now()}
	for node := range nodes {
		for i := range clients {
			r.running.Go(func() {
				c := client{recording: r, node: node, rnd: rand.New(rand.NewPCG(seed, uint64(node*clients+i)))}
				for !r.stop.Load() {
					c.act()
				}
			})
		}
	}
	return r
}

// end stops the clients, unless they stop by themselves, waits for them, reads each key once more and returns the
// histories. Faults must have ended.
func (r *recording) end() (histories []*history) {
	if r.enough == 0 {
		r.stop.Store(true)
	}
	r.running.Wait()
	last := client{recording: r, rnd: rand.New(rand.NewPCG(r.seed, 0))}
	for _, k := range r.all {
		last.key = k
		last.refresh()
		histories = append(histories, &k.history)
	}
	return histories
}

// key returns the key in a slot that the client chose.
func (r *recording) key(i int) *chronicle {
	s := &r.slots[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != nil && !s.now.full() {
		return s.now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id, err := sess.ParseID(fmt.Sprintf("history-%d-%d", r.seed, len(r.all)))
	if err != nil {
		r.t.Errorf("ParseID: got the error %v, want none", err)
	}
	s.now = &chronicle{id: id}
	r.all = append(r.all, s.now)
	if len(r.all) == r.enough {
		r.stop.Store(true)
	}
	return s.now
}

func (r *recording) now() int64 { return int64(time.Since(r.start)) }

// client does one operation after the other.
type client struct {
	*recording
	node int
	rnd  *rand.Rand
	key  *chronicle
}

// act does something to some key. Of every second key that lasts, one node only reads what its cache may answer: nothing
// of its own doing then helps it to forget what is old.
func (c *client) act() {
	i := c.rnd.IntN(hotSlots)
	if c.rnd.IntN(2) == 0 {
		i = hotSlots + c.rnd.IntN(len(c.slots)-hotSlots)
	}
	c.key = c.recording.key(i)
	n := c.rnd.IntN(100)
	if i >= hotSlots && i%2 == 0 && c.node == i/2%len(c.nodes) {
		n %= 40
	}
	switch {
	case n < 25:
		c.get()
	case n < 40:
		c.peek()
	case n < 55:
		c.refresh()
	case n < 60:
		c.set()
	case n < 63:
		c.destroy()
	case n < 70:
		c.swap(nil, c.fresh())
	case n < 73:
		c.change(func(*sess.Record) *sess.Record { return nil })
	case n < 77:
		c.change(func(r *sess.Record) *sess.Record { return r })
	default:
		c.change(func(*sess.Record) *sess.Record { return c.fresh() })
	}
}

// fresh returns a record with a version of its own.
func (c *client) fresh() *sess.Record {
	ends := time.Now().Add(time.Hour).UnixMilli()
	r, err := sess.ParseRecord(fmt.Sprintf(`{"$":{"e":%d},"v":%d}`, ends, c.versions.Add(1)))
	if err != nil {
		c.t.Errorf("ParseRecord: got the error %v, want none", err)
	}
	return r
}

// versionOf returns the version of a record, 0 of none.
func versionOf(r *sess.Record) int64 {
	if r == nil {
		return 0
	}
	text, _ := r.Raw("v")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return -1 // No client wrote that: no order explains it.
	}
	return n
}

// do notes what f, which fills in what it was told, does.
func (c *client) do(o op, f func(ctx context.Context, store subject, o *op) error) {
	ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
	defer cancel()
	o.node = c.node
	o.call = c.now()
	err := f(ctx, c.nodes[c.node], &o)
	o.ret = c.now()
	if err != nil {
		o.outcome = unknown
	}
	c.key.add(o)
}

func (c *client) get() (r *sess.Record) {
	c.do(op{kind: opGet}, func(ctx context.Context, store subject, o *op) (err error) {
		r, err = found(store.Get(ctx, c.key.id))
		o.seen = versionOf(r)
		return err
	})
	return r
}

// peek is a Get that asks the near cache only. A miss says nothing.
func (c *client) peek() {
	p, ok := c.nodes[c.node].(sess.Peeker)
	if !ok {
		return
	}
	call := c.now()
	if r, ok := p.Peek(c.key.id, time.Now()); ok {
		c.key.add(op{node: c.node, kind: opGet, seen: versionOf(r), call: call, ret: c.now()})
	}
}

func (c *client) refresh() {
	c.do(op{kind: opRefresh}, func(ctx context.Context, store subject, o *op) error {
		r, err := found(store.Refresh(ctx, c.key.id))
		o.seen = versionOf(r)
		return err
	})
}

func (c *client) set() {
	r := c.fresh()
	c.do(op{kind: opSet, next: versionOf(r), seen: versionOf(r)}, func(ctx context.Context, store subject, _ *op) error {
		return store.Set(ctx, c.key.id, r, time.Hour)
	})
}

func (c *client) destroy() {
	c.do(op{kind: opDestroy}, func(ctx context.Context, store subject, _ *op) error { return store.Destroy(ctx, c.key.id) })
}

// change reads and swaps, once more if it lost.
func (c *client) change(how func(*sess.Record) *sess.Record) {
	old := c.get()
	for range 2 {
		if old == nil {
			return
		}
		old = c.swap(old, how(old))
	}
}

// swap returns what is there instead of old.
func (c *client) swap(old, next *sess.Record) (other *sess.Record) {
	c.do(op{kind: opSwap, old: versionOf(old), next: versionOf(next)}, func(ctx context.Context, store subject, o *op) error {
		there, err := store.Swap(ctx, c.key.id, old, next, time.Hour)
		switch {
		case errors.Is(err, sess.ErrNotFound) && old != nil:
			o.outcome = lost
			return nil
		case err != nil:
			return err
		case there != next:
			o.outcome, other = lost, there
		}
		o.seen = versionOf(there)
		return nil
	})
	return other
}

// found makes no error of finding nothing.
func found(r *sess.Record, err error) (*sess.Record, error) {
	if errors.Is(err, sess.ErrNotFound) {
		return nil, nil
	}
	return r, err
}
