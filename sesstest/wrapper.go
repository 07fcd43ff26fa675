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
	Enter   Op = "Enter"
	Entries Op = "Entries"
	Leave   Op = "Leave"
	Admit   Op = "Admit"
	Mark    Op = "Mark"

	// Any is each of them.
	Any Op = "any"
)

// matches reports whether an order for op is meant for a call of called.
func (op Op) matches(called Op) bool { return op == called || op == Any }

// wrap returns a store that does every operation on inner through around, which calls do, or does not, and returns the
// operation's error.
//
// It is a Swapper, a Refresher, a Watcher, and a UserIndex with its UserMarker exactly if inner is, and an Ender if inner
// is a Swapper: where inner is no Ender it ends by swaps. It is never Local or a Peeker: these promise that nothing waits
// and nothing fails, which is what wrappers are for.
func wrap(inner sess.Store, around func(ctx context.Context, op Op, do func() error) error) sess.Store {
	w := &wrapper{inner: inner, around: around}
	swaps, refreshes, watches := is[sess.Swapper](inner), is[sess.Refresher](inner), is[sess.Watcher](inner)
	if is[userStore](inner) {
		return w.withIndex(swaps, refreshes, watches)
	}
	return w.withoutIndex(swaps, refreshes, watches)
}

func is[T any](s sess.Store) bool {
	_, ok := s.(T)
	return ok
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
func endBySwaps(ctx context.Context, s sess.Store, id sess.ID) (was *sess.Record, err error) {
	was, err = s.Get(ctx, id)
	for err == nil && was.IsSession() {
		there, swapErr := s.(sess.Swapper).Swap(ctx, id, was, nil, 0)
		if swapErr != nil || there == nil {
			return was, swapErr
		}
		was = there
	}
	return was, err
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

func (w *wrapper) users() userStore { return w.inner.(userStore) }

func (w *wrapper) Enter(ctx context.Context, user string, e sess.UserEntry, keep, grace time.Duration) error {
	return w.around(ctx, Enter, func() error { return w.users().Enter(ctx, user, e, keep, grace) })
}

func (w *wrapper) Leave(ctx context.Context, user string, entries []sess.UserEntry, grace time.Duration) error {
	return w.around(ctx, Leave, func() error { return w.users().Leave(ctx, user, entries, grace) })
}

func (w *wrapper) Entries(ctx context.Context, user, cursor string) (page sess.UserPage, err error) {
	err = w.around(ctx, Entries, func() (err error) {
		page, err = w.users().Entries(ctx, user, cursor)
		return err
	})
	if err != nil {
		return sess.UserPage{}, err
	}
	return page, nil
}

func (w *wrapper) Admit(ctx context.Context, user string, id sess.ID, keep time.Duration, a sess.LoginAttempt) (login time.Time, err error) {
	err = w.around(ctx, Admit, func() (err error) {
		login, err = w.users().Admit(ctx, user, id, keep, a)
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	return login, nil
}

func (w *wrapper) Mark(ctx context.Context, user string, a sess.LoginAttempt) (mark sess.UserMark, err error) {
	err = w.around(ctx, Mark, func() (err error) {
		mark, err = w.users().Mark(ctx, user, a)
		return err
	})
	if err != nil {
		return 0, err
	}
	return mark, nil
}
