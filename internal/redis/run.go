package redis

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// opTimeout bounds a command whose context has no deadline.
const opTimeout = time.Second

// task is what a command is about.
type task struct {
	op   string   // for errors
	key  string   // whose server is asked; empty: any
	hide []string // beside the key no error may quote these
}

// about is the task op for id's key.
func (s *Store) about(op string, id ident.ID) task { return task{op: op, key: s.key(id)} }

// secrets are the texts that no error about t may quote: the key, and the id in it.
func (t *task) secrets(prefix string) []string {
	return append(slices.Clip(t.hide), t.key, strings.TrimPrefix(t.key, prefix))
}

// run runs f, which sends commands, on a goroutine of its own, and waits for it no longer than ctx lives. A client
// does not always obey a context: it waits for a connection that is being made, and for room in a full ring. And a
// command that was given up is under way until the server has answered or the connection is dead; it keeps its slot
// for so long, so that the ring never fills.
func run[T any](ctx context.Context, s *Store, t task, f func(ctx context.Context) (T, error)) (T, error) {
	type outcome struct {
		v   T
		err error
	}
	var none T
	ctx, cancel := bounded(ctx)
	defer cancel()
	slot, err := s.acquire(ctx, t.key)
	if err != nil {
		return none, s.failure(t, err)
	}
	ended := make(chan outcome, 1)
	go func() {
		defer slot.release()
		growStack()
		v, err := f(lasting{ctx})
		ended <- outcome{v, err}
	}()
	select {
	case o := <-ended:
		return o.v, s.failure(t, o.err)
	case <-ctx.Done():
		return none, s.failure(t, ctx.Err())
	}
}

// growStack makes the room that a command needs on a new goroutine's stack, while there is next to nothing on it: where
// it grows on the way, frames are to be moved each time, which took 2 µs of the 24 that a save takes in all.
//
//go:noinline
func growStack() {
	var room [6 << 10]byte
	runtime.KeepAlive(&room)
}

// bounded returns a context that has a deadline.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, opTimeout)
}

// lasting is a context with a deadline and an error but without an end to wait for: a client does not begin anything
// under it that is too late, and waits for the reply to what it has sent.
type lasting struct{ context.Context }

func (lasting) Done() <-chan struct{} { return nil }

// acquire waits until the store is connected and a command may be sent to the server of key.
func (s *Store) acquire(ctx context.Context, key string) (slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.connected(ctx); err != nil {
		return nil, err
	}
	sl := s.slots.of(key)
	select {
	case <-s.done:
		return nil, record.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	case sl <- struct{}{}:
	}
	select {
	case <-s.done:
		sl.release()
		return nil, record.ErrClosed
	default:
		return sl, nil
	}
}
