package sesstest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersess/sess"
)

func TestWrappersWithoutOrdersKeepEveryPromise(t *testing.T) {
	t.Run("Faulty", func(t *testing.T) {
		TestStoreInBubble(t, func(*testing.T) sess.Store { return NewFaulty(newModel()).Store() })
	})
	t.Run("Gate", func(t *testing.T) {
		TestStoreInBubble(t, func(*testing.T) sess.Store { return NewGate(newModel()).Store() })
	})
}

// TestWrappersHaveTheCapabilitiesOfTheInnerStore goes through all sets of the four that are passed on. The inner stores are
// wrappers themselves.
func TestWrappersHaveTheCapabilitiesOfTheInnerStore(t *testing.T) {
	capabilities := func(s sess.Store) [4]bool {
		return [...]bool{is[sess.Swapper](s), is[sess.Refresher](s), is[sess.Watcher](s), is[sess.UserIndex](s) && is[sess.UserMarker](s)}
	}
	for i := range 16 {
		want := [...]bool{i&1 != 0, i&2 != 0, i&4 != 0, i&8 != 0}
		w := &wrapper{inner: newModel()}
		inner := w.withoutIndex(want[0], want[1], want[2])
		if want[3] {
			inner = w.withIndex(want[0], want[1], want[2])
		}
		for name, s := range map[string]sess.Store{"chosen": inner, "Faulty": NewFaulty(inner).Store(), "Gate": NewGate(inner).Store()} {
			if got := capabilities(s); got != want {
				t.Errorf("%s: swaps, refreshes, watches, has an index: got %v, want %v as the inner store", name, got, want)
			}
		}
	}
}

func TestWrappersOfAMemoryStoreAreNeitherLocalNorPeekers(t *testing.T) {
	memory := sess.NewMemoryStore()
	for name, outer := range map[string]sess.Store{"Faulty": NewFaulty(memory).Store(), "Gate": NewGate(memory).Store()} {
		if _, ok := outer.(sess.Local); ok {
			t.Errorf("%s: got a sess.Local, want none: it can block", name)
		}
		if _, ok := outer.(sess.Peeker); ok {
			t.Errorf("%s: got a sess.Peeker, want none: it would go past the orders", name)
		}
	}
}

// fixture is a record and the id under which a store keeps it.
func fixture(t *testing.T, s sess.Store) (sess.ID, *sess.Record) {
	t.Helper()
	id, err := sess.ParseID("sesstest-fixture")
	if err != nil {
		t.Fatal(err)
	}
	r, err := sess.ParseRecord(`{"n":1}`)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set(t.Context(), id, r, time.Hour); err != nil {
		t.Fatal(err)
	}
	return id, r
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got the error %v, want %v", what, got, want)
	}
}

func TestFaultyFailsAsOftenAsOrderedAndInTheOrderOfOrders(t *testing.T) {
	m := newModel()
	id, _ := fixture(t, m)
	f := NewFaulty(m)
	other := errors.New("other")
	f.Fail(Get, 2)
	f.FailWith(Get, 1, other)
	f.Corrupt(Get, 1)
	for i, want := range []error{ErrInjected, ErrInjected, other, sess.ErrCorrupt, nil, nil} {
		r, err := f.Store().Get(t.Context(), id)
		wantError(t, fmt.Sprintf("call %d of Get", i+1), err, want)
		if (r == nil) != (want != nil) {
			t.Errorf("call %d of Get: got a nil record: %t, want %t", i+1, r == nil, want != nil)
		}
	}
	if got := f.Calls(Get); got != 6 {
		t.Errorf("calls of Get: got %d, want 6", got)
	}
}

func TestFaultyOrdersForOneOperationLeaveTheOthersAlone(t *testing.T) {
	m := newModel()
	id, r := fixture(t, m)
	f := NewFaulty(m)
	f.Fail(Set, Always)
	_, err := f.Store().Get(t.Context(), id)
	wantError(t, "Get while Set fails", err, nil)
	wantError(t, "Set while Set fails", f.Store().Set(t.Context(), id, r, time.Hour), ErrInjected)
	wantError(t, "Set, again", f.Store().Set(t.Context(), id, r, time.Hour), ErrInjected)
	f.Heal()
	wantError(t, "Set after Heal", f.Store().Set(t.Context(), id, r, time.Hour), nil)
}

func TestFaultyTakesOrdersForAnyOperation(t *testing.T) {
	m := newModel()
	id, r := fixture(t, m)
	f := NewFaulty(m)
	f.Fail(Any, Always)
	s := f.Store()
	_, err := s.Get(t.Context(), id)
	wantError(t, "Get", err, ErrInjected)
	wantError(t, "Set", s.Set(t.Context(), id, r, time.Hour), ErrInjected)
	wantError(t, "Destroy", s.Destroy(t.Context(), id), ErrInjected)
	_, err = s.(sess.Swapper).Swap(t.Context(), id, r, r, time.Hour)
	wantError(t, "Swap", err, ErrInjected)
	_, err = s.(sess.Refresher).Refresh(t.Context(), id)
	wantError(t, "Refresh", err, ErrInjected)
	_, err = s.(sess.Watcher).Watch(t.Context(), id, func(*sess.Record, error) {})
	wantError(t, "Watch", err, ErrInjected)
	if got := f.Calls(Any); got != 6 {
		t.Errorf("calls of Any: got %d, want 6", got)
	}
}

func TestFaultyLosesTheAnswerAndNotTheWrite(t *testing.T) {
	m := newModel()
	id, _ := fixture(t, m)
	f := NewFaulty(m)
	f.Lose(Destroy, 1)
	wantError(t, "Destroy", f.Store().Destroy(t.Context(), id), ErrInjected)
	_, err := m.Get(t.Context(), id)
	wantError(t, "Get from the inner store", err, sess.ErrNotFound)

	f.Lose(Watch, 1)
	told := 0
	stop, err := f.Store().(sess.Watcher).Watch(t.Context(), id, func(*sess.Record, error) { told++ })
	wantError(t, "Watch", err, ErrInjected)
	if fixture(t, m); told != 1 || stop != nil {
		t.Errorf("a Watch that failed: got told %d times and a stop %t, want once, before it failed, and no stop", told, stop != nil)
	}
}

func TestFaultyHangsUntilTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		id, _ := fixture(t, m)
		f := NewFaulty(m)
		f.Hang(Get, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := f.Store().Get(ctx, id)
		wantError(t, "Get that hangs", err, context.DeadlineExceeded)
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("Get that hangs: got an answer after %v, want it after 3s", got)
		}
	})
}

func TestFaultyCountsParallelCallsExactly(t *testing.T) {
	m := newModel()
	id, _ := fixture(t, m)
	f := NewFaulty(m)
	f.Fail(Get, 100)
	var wg sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if _, err := f.Store().Get(t.Context(), id); err != nil {
					mu.Lock()
					failed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if failed != 100 || f.Calls(Get) != 400 {
		t.Errorf("400 calls, 100 to fail: got %d failures of %d calls", failed, f.Calls(Get))
	}
}

func TestGateStopsTheChosenCallBeforeItReachesTheStore(t *testing.T) {
	m := newModel()
	id, _ := fixture(t, m)
	g := NewGate(m)
	stop := g.Before(Destroy, 2)
	wantError(t, "the first Destroy", g.Store().Destroy(t.Context(), id), nil)
	fixture(t, m)

	done := make(chan error)
	go func() { done <- g.Store().Destroy(t.Context(), id) }()
	<-stop.Reached
	_, err := g.Store().Get(t.Context(), id)
	wantError(t, "Get while Destroy waits before the store", err, nil)
	stop.Release()
	stop.Release()
	wantError(t, "Destroy after Release", <-done, nil)
	_, err = m.Get(t.Context(), id)
	wantError(t, "Get after Destroy", err, sess.ErrNotFound)
}

func TestGateStopsTheChosenCallAfterTheStoreHasDoneIt(t *testing.T) {
	m := newModel()
	id, r := fixture(t, m)
	g := NewGate(m)
	stop := g.After(Swap, 1)
	done := make(chan error)
	go func() {
		_, err := g.Store().(sess.Swapper).Swap(t.Context(), id, r, nil, 0)
		done <- err
	}()
	<-stop.Reached
	_, err := m.Get(t.Context(), id)
	wantError(t, "Get while Swap waits after the store", err, sess.ErrNotFound)
	select {
	case <-done:
		t.Error("Swap: got an answer before Release, want none")
	default:
	}
	stop.Release()
	wantError(t, "Swap after Release", <-done, nil)
}

func TestGateForcesALostSwap(t *testing.T) {
	m := newModel()
	id, r := fixture(t, m)
	g := NewGate(m)
	s := g.Store().(sess.Swapper)
	mine, _ := sess.ParseRecord(`{"n":"mine"}`)
	theirs, _ := sess.ParseRecord(`{"n":"theirs"}`)

	stop := g.Before(Swap, 1)
	got := make(chan *sess.Record)
	go func() {
		current, _ := s.Swap(t.Context(), id, r, mine, time.Hour)
		got <- current
	}()
	<-stop.Reached
	if _, err := s.Swap(t.Context(), id, r, theirs, time.Hour); err != nil {
		t.Fatal(err)
	}
	stop.Release()
	if current := <-got; current != theirs {
		t.Errorf("the Swap that was held: got %s, want the record of the one that overtook it", show(current))
	}
}

func TestGateLetsAStoppedCallGoWhenItsContextEnds(t *testing.T) {
	for name, order := range map[string]func(*Gate) *Stop{
		"before": func(g *Gate) *Stop { return g.Before(Get, 1) },
		"after":  func(g *Gate) *Stop { return g.After(Get, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newModel()
			id, _ := fixture(t, m)
			g := NewGate(m)
			stop := order(g)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				_, err := g.Store().Get(ctx, id)
				done <- err
			}()
			<-stop.Reached
			cancel()
			wantError(t, "Get whose context ended at the gate", <-done, context.Canceled)
			stop.Release()
		})
	}
}

func TestGateThatWasReleasedEarlyLetsTheCallPass(t *testing.T) {
	m := newModel()
	id, _ := fixture(t, m)
	g := NewGate(m)
	stop := g.Before(Get, 1)
	stop.Release()
	_, err := g.Store().Get(t.Context(), id)
	wantError(t, "Get at a released gate", err, nil)
	<-stop.Reached
}

func TestGateRefusesACallThatCannotCome(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Before(Get, 0): got no panic, want one")
		}
	}()
	NewGate(newModel()).Before(Get, 0)
}
