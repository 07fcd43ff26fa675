package group_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersess/sess/internal/group"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// store holds one record. Its swaps wait at gate, if there is one, and do what next says, if it says anything.
type store struct {
	t  *testing.T
	mu sync.Mutex

	kept  *record.Record
	swaps int
	gate  chan struct{}
	next  func(old, next *record.Record) (there *record.Record, err error, handled bool)
}

func (s *store) swap(ctx context.Context, _ *ident.ID, old, next *record.Record, _ time.Duration) (*record.Record, error) {
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swaps++
	if s.next != nil {
		if there, err, handled := s.next(old, next); handled {
			return there, err
		}
	}
	switch {
	case s.kept == nil && old != nil:
		return nil, record.ErrNotFound
	case !record.Equal(s.kept, old):
		return s.kept, nil
	}
	s.kept = next
	return next, nil
}

func counter(t *testing.T, n int) *record.Record {
	t.Helper()
	r, err := record.ParseRecord(fmt.Sprintf(`{"n":%d}`, n))
	if err != nil {
		t.Error(err)
	}
	return r
}

func (s *store) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		return -1
	}
	return number(s.kept)
}

func number(r *record.Record) int {
	raw, _ := r.Raw("n")
	n, _ := strconv.Atoi(raw)
	return n
}

// increment is a member that counts.
func (s *store) increment() group.BuildFunc {
	return func(now *record.Record) (*record.Record, time.Duration, error) {
		return counter(s.t, number(now)+1), time.Hour, nil
	}
}

// line is a queue on a store that holds 0, with its first swap held at the gate by one member, behind whom others gather.
type line struct {
	*store
	queue *group.Queue
	id    ident.ID
	seen  *record.Record
	wg    sync.WaitGroup
	errs  chan error
}

func newLine(t *testing.T) *line {
	l := &line{store: &store{t: t, gate: make(chan struct{}), kept: counter(t, 0)}, errs: make(chan error, 1000)}
	l.seen = l.kept
	l.queue = group.New(l.swap, func(*ident.ID) *record.Record { return nil })
	l.id, _ = ident.ParseID("the.id.of.a.hot.session")
	l.join(t.Context(), l.increment())
	synctest.Wait()
	return l
}

// join adds a member, which then waits for what comes.
func (l *line) join(ctx context.Context, b group.Builder) {
	l.wg.Go(func() {
		done := false
		defer func() {
			if p := recover(); p != nil {
				l.errs <- fmt.Errorf("panic: %v", p)
			} else if !done {
				l.errs <- errors.New("gone")
			}
		}()
		_, _, err := l.queue.Store(ctx, &l.id, l.seen, b)
		done = true
		l.errs <- err
	})
	synctest.Wait()
}

// finish opens the gate, waits for all, and returns how many members were told what, the first one aside.
func (l *line) finish() map[string]int {
	close(l.gate)
	l.wg.Wait()
	close(l.errs)
	told := map[string]int{}
	for err := range l.errs {
		told[fmt.Sprint(err)]++
	}
	return told
}

func (l *line) want(t *testing.T, count, swaps int, told map[string]int) {
	t.Helper()
	got := l.finish()
	if fmt.Sprint(got) != fmt.Sprint(told) {
		t.Errorf("told: got %v, want %v", got, told)
	}
	if l.count() != count || l.swaps != swaps {
		t.Errorf("got a count of %d with %d swaps, want %d with %d", l.count(), l.swaps, count, swaps)
	}
	if l.queue.Busy(&l.id) {
		t.Error("the line is there behind its last member, want it gone")
	}
}

const ok = "<nil>"

func TestAGroupCostsOneSwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		for range 63 {
			l.join(t.Context(), l.increment())
		}
		l.want(t, 64, 2, map[string]int{ok: 64})
	})
}

func TestWhoFailsDropsOutAndTheOthersAreStored(t *testing.T) {
	bad := map[string]group.BuildFunc{
		record.ErrTooLarge.Error(): func(*record.Record) (*record.Record, time.Duration, error) { return nil, 0, record.ErrTooLarge },
		"panic: boom":              func(*record.Record) (*record.Record, time.Duration, error) { panic("boom") },
		"gone":                     func(*record.Record) (*record.Record, time.Duration, error) { runtime.Goexit(); return nil, 0, nil },
	}
	for told, build := range bad {
		for place := range 3 {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t)
				for i := range 3 {
					if i == place {
						l.join(t.Context(), build)
					} else {
						l.join(t.Context(), l.increment())
					}
				}
				l.want(t, 3, 2, map[string]int{ok: 3, told: 1})
			})
		}
	}
}

func TestWhoseDeadlineEndsBeforeItsTurnStoresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l.join(ctx, l.increment())
		l.join(t.Context(), l.increment())
		time.Sleep(2 * time.Second)
		l.want(t, 2, 2, map[string]int{ok: 2, record.ErrConflict.Error(): 1})
	})
}

func TestALostSwapIsBuiltAgainOnWhatCameBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		foreign := true
		l.next = func(old, _ *record.Record) (*record.Record, error, bool) {
			if foreign && number(old) == 1 { // Another process has counted to 100.
				foreign = false
				l.kept = counter(t, 100)
			}
			return nil, nil, false
		}
		for range 5 {
			l.join(t.Context(), l.increment())
		}
		l.want(t, 105, 3, map[string]int{ok: 6})
	})
}

func TestAnUnknownOutcomeIsEverybodysAndNobodyStoresTwice(t *testing.T) {
	for name, outcome := range map[string]func() (*record.Record, error, bool){
		"an error": func() (*record.Record, error, bool) { return nil, errors.New("lost reply"), true },
		"a panic":  func() (*record.Record, error, bool) { panic("broken store") },
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLine(t)
			l.next = func(old, next *record.Record) (*record.Record, error, bool) {
				if number(old) == 1 {
					l.kept = next // It was stored, and nobody hears of it.
					return outcome()
				}
				return nil, nil, false
			}
			for range 4 {
				l.join(t.Context(), l.increment())
			}
			told := l.finish()
			if told[ok] != 1 || l.count() != 5 || l.swaps != 2 {
				t.Errorf("%s: got %v, a count of %d, %d swaps; want one who knows, 5, 2", name, told, l.count(), l.swaps)
			}
			if name == "a panic" && told["panic: broken store"] != 1 {
				t.Errorf("%s: got %v, want it on one goroutine alone", name, told)
			}
		})
	}
}

func TestALogoutClosesItsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.join(t.Context(), l.increment())
		l.join(t.Context(), group.BuildFunc(func(*record.Record) (*record.Record, time.Duration, error) { return nil, 0, nil }))
		for range 3 {
			l.join(t.Context(), l.increment())
		}
		l.want(t, -1, 2, map[string]int{ok: 3, record.ErrNotFound.Error(): 3})
	})
}

func TestWhoChangesNothingCostsNoSwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		for range 3 {
			l.join(t.Context(), group.BuildFunc(func(now *record.Record) (*record.Record, time.Duration, error) { return now, 0, nil }))
		}
		l.want(t, 1, 1, map[string]int{ok: 4})
	})
}

// The request that gives up does not cost its group the outcome, nor does the deadline of one that has built.
func TestACancelledMemberDoesNotEndTheSwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{store: &store{t: t, gate: make(chan struct{}), kept: counter(t, 0)}, errs: make(chan error, 10)}
		l.seen = l.kept
		l.queue = group.New(l.swap, func(*ident.ID) *record.Record { return nil })
		l.id, _ = ident.ParseID("the.id.of.a.hot.session")
		ctx, cancel := context.WithCancel(t.Context())
		l.join(ctx, l.increment()) // It swaps.
		cancel()
		synctest.Wait()
		l.want(t, 1, 1, map[string]int{ok: 1})
	})
}
