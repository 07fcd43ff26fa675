package sesstest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/fibersess/sess"
)

// Gate stops chosen calls of a store, so that a test decides what happens between two of them:
//
//	gate := sesstest.NewGate(sess.NewMemoryStore())
//	app.Use(sess.New(sess.Config{Store: gate.Store()}))
//
//	stop := gate.Before(sesstest.Swap, 1)  // the next Swap is to wait before it reaches the store
//	go request("/slow")
//	<-stop.Reached                         // now it is there
//	request("/logout")                     // what happens meanwhile
//	stop.Release()                         // let it go on
//
// A call that is stopped still obeys its context: when that ends, the call returns its error. So StoreTimeout must be
// longer than a test lets a request wait.
//
// All methods are safe for concurrent use.
type Gate struct {
	store sess.Store

	mu    sync.Mutex
	stops []*Stop
}

// Stop is one call that a [Gate] was told to stop.
type Stop struct {
	// Reached is closed when the call has come to the gate and waits there.
	Reached <-chan struct{}

	reached chan struct{} // Reached, to close it
	release chan struct{}
	once    sync.Once

	op    Op
	after bool
	calls int // how many calls it is away; 0: it came
}

// NewGate returns an open Gate in front of inner.
func NewGate(inner sess.Store) *Gate {
	g := &Gate{}
	g.store = wrap(inner, g.around)
	return g
}

// Store returns the store to use in the place of the inner one. It is a [sess.Swapper], [sess.Refresher],
// [sess.Watcher], and [sess.UserIndex] with [sess.UserMarker] if the inner store is, and neither [sess.Local] nor a [sess.Peeker], since it can wait.
func (g *Gate) Store() sess.Store { return g.store }

// Before stops the n-th call of op from now on (1 is the next) before it reaches the store. It panics if n is less than
// 1.
func (g *Gate) Before(op Op, n int) *Stop { return g.stop(op, n, false) }

// After stops the n-th call of op from now on (1 is the next) when the store has done it and the caller does not know
// yet. It panics if n is less than 1.
func (g *Gate) After(op Op, n int) *Stop { return g.stop(op, n, true) }

// Release lets the call go on or, if it has not come yet, pass. It may be called more than once.
func (s *Stop) Release() { s.once.Do(func() { close(s.release) }) }

func (g *Gate) stop(op Op, n int, after bool) *Stop {
	if n < 1 {
		panic(fmt.Sprintf("sesstest: Gate: the number of the call to stop: got %d; want 1, the next, or more", n))
	}
	reached := make(chan struct{})
	s := &Stop{Reached: reached, reached: reached, release: make(chan struct{}), op: op, after: after, calls: n}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stops = append(g.stops, s)
	return s
}

func (g *Gate) around(ctx context.Context, op Op, do func() error) error {
	stops := g.arrive(op)
	for _, s := range stops {
		if !s.after {
			if err := s.wait(ctx); err != nil {
				return err
			}
		}
	}
	err := do()
	for _, s := range stops {
		if s.after {
			if err := s.wait(ctx); err != nil {
				return err
			}
		}
	}
	return err
}

// arrive counts a call of op and takes the stops that it is the awaited call of.
func (g *Gate) arrive(op Op) (stops []*Stop) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stops = slices.DeleteFunc(g.stops, func(s *Stop) bool {
		if !s.op.matches(op) {
			return false
		}
		s.calls--
		if s.calls == 0 {
			stops = append(stops, s)
		}
		return s.calls == 0
	})
	return stops
}

// wait says that the call is here and returns when it may go on, or with the error of a context that ended first.
func (s *Stop) wait(ctx context.Context) error {
	close(s.reached)
	select {
	case <-s.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
