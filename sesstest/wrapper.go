package sesstest

import (
	"context"
	"time"

	"github.com/fibersess/sess"
)

// Op names an operation of a store.
type Op string

// The operations that [Faulty] and [Gate] take orders for.
const (
	Get     Op = "Get"
	Set     Op = "Set"
	Destroy Op = "Destroy"
	Swap    Op = "Swap"
	End     Op = "End"
	Refresh Op = "Refresh"
	Watch   Op = "Watch"

	// Any is each of them.
	Any Op = "any"
)

// matches reports whether an order for op is meant for a call of called.
func (op Op) matches(called Op) bool { return op == called || op == Any }

// wrap returns a store that does every operation on inner through around, which calls do, or does not, and returns the
// operation's error.
//
// It is a Swapper, a Refresher and a Watcher exactly if inner is, and an Ender if inner is a Swapper: where inner is no
// Ender it ends by swaps. It is never Local or a Peeker: these promise that
// nothing waits and nothing fails, which is what wrappers are for.
func wrap(inner sess.Store, around func(ctx context.Context, op Op, do func() error) error) sess.Store {
	w := &wrapper{inner: inner, around: around}
	_, swaps := inner.(sess.Swapper)
	_, refreshes := inner.(sess.Refresher)
	_, watches := inner.(sess.Watcher)
	switch {
	case swaps && refreshes && watches:
		return w
	case swaps && refreshes:
		return struct {
			sess.Store
			sess.Swapper
			sess.Ender
			sess.Refresher
		}{w, w, w, w}
	case swaps && watches:
		return struct {
			sess.Store
			sess.Swapper
			sess.Ender
			sess.Watcher
		}{w, w, w, w}
	case refreshes && watches:
		return struct {
			sess.Store
			sess.Refresher
			sess.Watcher
		}{w, w, w}
	case swaps:
		return struct {
			sess.Store
			sess.Swapper
			sess.Ender
		}{w, w, w}
	case refreshes:
		return struct {
			sess.Store
			sess.Refresher
		}{w, w}
	case watches:
		return struct {
			sess.Store
			sess.Watcher
		}{w, w}
	}
	return struct{ sess.Store }{w}
}

// wrapper has every capability; wrap hides those that inner lacks.
type wrapper struct {
	inner  sess.Store
	around func(ctx context.Context, op Op, do func() error) error
}

func (w *wrapper) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	return w.read(ctx, Get, func() (*sess.Record, error) { return w.inner.Get(ctx, id) })
}

func (w *wrapper) Set(ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	return w.around(ctx, Set, func() error { return w.inner.Set(ctx, id, r, ttl) })
}

func (w *wrapper) Destroy(ctx context.Context, id sess.ID) error {
	return w.around(ctx, Destroy, func() error { return w.inner.Destroy(ctx, id) })
}

func (w *wrapper) Swap(ctx context.Context, id sess.ID, old, next *sess.Record, ttl time.Duration) (*sess.Record, error) {
	return w.read(ctx, Swap, func() (*sess.Record, error) {
		return w.inner.(sess.Swapper).Swap(ctx, id, old, next, ttl)
	})
}

func (w *wrapper) End(ctx context.Context, id sess.ID) (*sess.Record, error) {
	return w.read(ctx, End, func() (*sess.Record, error) {
		if ender, ok := w.inner.(sess.Ender); ok {
			return ender.End(ctx, id)
		}
		return endBySwaps(ctx, w.inner, id)
	})
}

// endBySwaps does what End does on a Swapper, though writers may keep it waiting.
func endBySwaps(ctx context.Context, s sess.Store, id sess.ID) (left *sess.Record, err error) {
	there, err := s.Get(ctx, id)
	for err == nil && there != nil {
		if !there.IsSession() {
			return there, nil
		}
		there, err = s.(sess.Swapper).Swap(ctx, id, there, nil, 0)
	}
	return nil, err
}

func (w *wrapper) Refresh(ctx context.Context, id sess.ID) (*sess.Record, error) {
	return w.read(ctx, Refresh, func() (*sess.Record, error) { return w.inner.(sess.Refresher).Refresh(ctx, id) })
}

func (w *wrapper) Watch(ctx context.Context, id sess.ID, seen func(*sess.Record, error)) (stop func(), err error) {
	err = w.around(ctx, Watch, func() (err error) {
		stop, err = w.inner.(sess.Watcher).Watch(ctx, id, seen)
		return err
	})
	if err != nil && stop != nil {
		stop() // nobody will know of this watch
		stop = nil
	}
	return stop, err
}

// read is around for an operation that returns a record: none where there is an error.
func (w *wrapper) read(ctx context.Context, op Op, do func() (*sess.Record, error)) (r *sess.Record, err error) {
	err = w.around(ctx, op, func() (err error) {
		r, err = do()
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}
