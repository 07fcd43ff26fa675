package sesstest

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"

	"github.com/fibersess/sess"
)

// Faulty makes a store fail, hang or return garbage on order, and counts its calls:
//
//	faulty := sesstest.NewFaulty(sess.NewMemoryStore())
//	app.Use(sess.New(sess.Config{Store: faulty.Store()}))
//	faulty.Fail(sesstest.Get, 2)                 // the next two calls of Get return ErrInjected
//	faulty.Hang(sesstest.Swap, sesstest.Always)  // every Swap waits for the end of its context
//	faulty.Heal()                                // from now on all is well
//
// Orders that match the same call are carried out in the order they were given, each until its number of calls is used
// up. A call that a fault was ordered for does not reach the store, except under [Faulty.Lose].
//
// All methods are safe for concurrent use.
type Faulty struct {
	store sess.Store

	mu     sync.Mutex
	calls  map[Op]int
	orders []*order
}

// order is a fault for the next calls of an operation.
type order struct {
	op    Op
	left  int // calls it is still for, at least 1
	fault fault
}

// fault stands for the operation do: it calls it, or does not, and returns the error.
type fault func(ctx context.Context, do func() error) error

// Always, as a number of calls, stands for all that follow.
const Always = math.MaxInt

// ErrInjected is what a store fails with on order.
var ErrInjected = errors.New("sesstest: injected failure")

// NewFaulty returns a Faulty around inner, without orders.
func NewFaulty(inner sess.Store) *Faulty {
	f := &Faulty{calls: map[Op]int{}}
	f.store = wrap(inner, f.around)
	return f
}

// Store returns the store to use in the place of the inner one. It is a [sess.Swapper], [sess.Refresher],
// [sess.Watcher], and [sess.UserIndex] with [sess.UserMarker] if the inner store is, and neither [sess.Local] nor a [sess.Peeker], since it can hang.
func (f *Faulty) Store() sess.Store { return f.store }

// Fail lets the next calls of op return [ErrInjected].
func (f *Faulty) Fail(op Op, calls int) { f.FailWith(op, calls, ErrInjected) }

// FailWith lets the next calls of op return err.
func (f *Faulty) FailWith(op Op, calls int, err error) {
	f.order(op, calls, func(context.Context, func() error) error { return err })
}

// Corrupt lets the next calls of op find what is not a record: they return [sess.ErrCorrupt].
func (f *Faulty) Corrupt(op Op, calls int) { f.FailWith(op, calls, sess.ErrCorrupt) }

// Lose lets the next calls of op reach the store and return [ErrInjected], as if the connection broke before the answer
// came: a write was done, and the caller cannot know.
func (f *Faulty) Lose(op Op, calls int) {
	f.order(op, calls, func(_ context.Context, do func() error) error {
		_ = do()
		return ErrInjected
	})
}

// Hang lets the next calls of op wait until their context ends, and return its error. A context that never ends makes
// them wait for ever.
func (f *Faulty) Hang(op Op, calls int) {
	f.order(op, calls, func(ctx context.Context, _ func() error) error {
		<-ctx.Done()
		return ctx.Err()
	})
}

// Heal takes all orders back. Calls that hang go on hanging.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders = nil
}

// Calls returns how many calls of op there were, those that failed included.
func (f *Faulty) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for called, calls := range f.calls {
		if op.matches(called) {
			n += calls
		}
	}
	return n
}

// order gives an order; one for no calls is none.
func (f *Faulty) order(op Op, calls int, fault fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if calls > 0 {
		f.orders = append(f.orders, &order{op, calls, fault})
	}
}

func (f *Faulty) around(ctx context.Context, op Op, do func() error) error {
	if fault := f.next(op); fault != nil {
		return fault(ctx, do)
	}
	return do()
}

// next counts a call of op and returns the fault that was ordered for it, or nil.
func (f *Faulty) next(op Op) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	i := slices.IndexFunc(f.orders, func(o *order) bool { return o.op.matches(op) })
	if i < 0 {
		return nil
	}
	o := f.orders[i]
	if o.left != Always {
		o.left--
	}
	if o.left == 0 {
		f.orders = slices.Delete(f.orders, i, i+1)
	}
	return o.fault
}
