package live_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/live"
	"github.com/fibersess/sess/internal/record"
)

// begun returns a life that is watched, and how often its watch was stopped.
func begun(t *testing.T, set *live.Set) (l *live.Life, stopped *int) {
	t.Helper()
	l, stopped = &live.Life{}, new(int)
	l.Begin(set, time.Minute)
	if err := l.Watched(func() { *stopped++ }); err != nil {
		t.Fatalf("Watched: got the error %v, want nil", err)
	}
	return l, stopped
}

// until is the record of a session that ends in d.
func until(t *testing.T, d time.Duration) *record.Record {
	t.Helper()
	r, err := record.Merge(nil, nil, record.Header{Created: 1, Ends: time.Now().Add(d).UnixMilli()}, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantCause waits until nothing happens any more, and looks why l has ended; nil: not at all.
func wantCause(t *testing.T, what string, l *live.Life, want error) {
	t.Helper()
	synctest.Wait()
	if got := context.Cause(l.Context()); !errors.Is(got, want) || want == nil && got != nil {
		t.Errorf("%s: got the cause %v, want %v", what, got, want)
	}
}

func TestALifeEndsByWhatIsHeard(t *testing.T) {
	id, _ := ident.MakeID("of-the-successor")
	header := func(h record.Header) *record.Record {
		r, err := record.Merge(nil, nil, h, 1<<10)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range []struct {
		what string
		r    *record.Record
		err  error
		want error
	}{
		{"a tombstone", header(record.Header{Created: 1, Successor: &id}), nil, record.ErrRenewed},
		{"a grave", header(record.Header{Created: 1, Grave: true}), nil, record.ErrEnded},
		{"what is no record", nil, record.ErrCorrupt, record.ErrEnded},
		{"nothing", nil, record.ErrNotFound, record.ErrEnded},
		{"a closed store", nil, record.ErrClosed, record.ErrClosed},
		{"a session", header(record.Header{Created: 1}), nil, nil},
		{"a store that cannot tell", nil, errors.New("no connection"), nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			set := &live.Set{}
			l, stopped := begun(t, set)
			l.Hear(c.r, c.err)
			wantCause(t, c.what, l, c.want)
			n := 0
			if c.want != nil {
				n = 1
			}
			if *stopped != n || set.Len() != 1-n {
				t.Errorf("%s: got %d stopped watches and %d lives, want %d and %d", c.what, *stopped, set.Len(), n, 1-n)
			}
			l.End(context.Canceled)
			if *stopped != 1 {
				t.Errorf("%s, then an end: got %d stopped watches, want 1", c.what, *stopped)
			}
		})
	}
}

func TestALifeEndsWithTheTimeOfItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := begun(t, &live.Set{})
		l.Hear(until(t, time.Hour), nil)
		time.Sleep(59 * time.Minute)
		l.Hear(until(t, time.Hour), nil) // The end has moved.
		time.Sleep(59 * time.Minute)
		wantCause(t, "before the end that moved", l, nil)
		time.Sleep(time.Minute)
		wantCause(t, "at the end that moved", l, record.ErrExpired)

		l, _ = begun(t, &live.Set{})
		l.Hear(until(t, time.Hour), nil)
		time.Sleep(time.Hour - time.Nanosecond)
		time.Sleep(time.Nanosecond)
		l.Hear(nil, record.ErrNotFound)
		wantCause(t, "a store that drops it at that moment", l, record.ErrExpired)
	})
}

func TestALifeEndsAfterSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("no connection")
		l, _ := begun(t, &live.Set{})
		l.Hear(until(t, time.Hour), nil)
		for range 3 { // It counts from the first that could not tell.
			time.Sleep(20 * time.Second)
			l.Hear(nil, broken)
		}
		wantCause(t, "within the silence", l, nil)
		l.Hear(until(t, time.Hour), nil)
		time.Sleep(10 * time.Minute)
		wantCause(t, "when the store has told", l, nil)
		l.Hear(nil, broken)
		time.Sleep(time.Minute)
		wantCause(t, "after a minute of silence", l, broken)
	})
}

func TestAClosedSetEndsItsLivesAndTakesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := &live.Set{}
		first, stopped := begun(t, set)
		set.Close()
		wantCause(t, "a life of a closed set", first, record.ErrClosed)
		if *stopped != 1 || set.Len() != 0 || !set.Closed() {
			t.Errorf("a closed set: got %d stopped watches, %d lives, closed %v; want 1, 0, true", *stopped, set.Len(), set.Closed())
		}
		late, n := &live.Life{}, 0
		late.Begin(set, time.Minute)
		if err := late.Watched(func() { n++ }); !errors.Is(err, record.ErrClosed) || n != 1 {
			t.Errorf("Watched in a closed set: got the error %v and %d stopped watches, want ErrClosed and 1", err, n)
		}
	})
}

func TestALifeThatEndedBeforeItIsWatchedStopsTheWatch(t *testing.T) {
	set, l, n := &live.Set{}, &live.Life{}, 0
	l.Begin(set, time.Minute)
	l.Hear(nil, record.ErrNotFound)
	if err := l.Watched(func() { n++ }); !errors.Is(err, record.ErrEnded) || n != 1 || set.Len() != 0 {
		t.Errorf("Watched: got the error %v, %d stopped watches and %d lives, want ErrEnded, 1 and 0", err, n, set.Len())
	}
}
