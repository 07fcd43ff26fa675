package redis

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/near"
	"github.com/fibersess/sess/internal/record"
)

// errSilent is what a look at a server brings that does not answer.
var errSilent = errors.New("no answer")

// watched is a store's watches, and a server that is made of a map.
type watched struct {
	*Store
	t testing.TB

	mu     sync.Mutex
	kept   map[ident.ID]*record.Record
	err    error // what every look brings, if it is not nil
	lease  *near.Lease
	looks  int                      // sessions looked at
	trips  []trip                   // each round trip
	during func(ids []ident.ID)     // called while a look is under way
	reads  func(ids []ident.ID) int // how many of a look's sessions were asked for; nil: all
}

// trip is one round trip.
type trip struct {
	at time.Time
	n  int
}

func newWatched(t testing.TB, settings Settings) *watched {
	settings.Prefix, settings.InFlight = "p:", 1
	if settings.MaxStale == 0 {
		settings.MaxStale = time.Second
	}
	w := &watched{Store: newStore(settings), t: t, kept: map[ident.ID]*record.Record{}, lease: new(near.Lease)}
	close(w.ready) // as if it were connected
	w.watches.look = w.lookAtMap
	w.prove()
	t.Cleanup(w.end)
	return w
}

// reporting are the settings of a store to which the server reports changes.
var reporting = Settings{NearBytes: 1 << 20}

// end does what Close does of the watches.
func (w *watched) end() {
	select {
	case <-w.done:
	default:
		close(w.done)
		w.watches.close()
	}
}

// prove makes the lease of the connection hold from now on.
func (w *watched) prove() {
	if w.cache != nil {
		w.cache.Prove(w.lease, w.cache.Mono(time.Now()))
	}
}

func (w *watched) lookAtMap(_ context.Context, ids []ident.ID, found []finding) (asked int) {
	w.mu.Lock()
	during := w.during
	w.mu.Unlock()
	if during != nil {
		during(ids)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks += len(ids)
	w.trips = append(w.trips, trip{time.Now(), len(ids)})
	for i, id := range ids {
		switch r := w.kept[id]; {
		case w.err != nil:
			found[i] = finding{err: w.err}
		case r == nil:
			found[i] = finding{err: record.ErrNotFound, lease: w.lease}
		default:
			found[i] = finding{r: r, lease: w.lease}
		}
		if w.cache == nil {
			found[i].lease = nil
		}
	}
	if w.reads != nil {
		return w.reads(ids)
	}
	return len(ids)
}

// many is a number of watches that is normal.
func many() int {
	if testing.Short() {
		return 30_000
	}
	return 100_000
}

// set lets the server keep version n under id; 0 is nothing.
func (w *watched) set(id ident.ID, n int) {
	w.t.Helper()
	var r *record.Record
	if n != 0 {
		var err error
		if r, err = record.ParseRecord(fmt.Sprintf(`{"v":%d}`, n)); err != nil {
			w.t.Fatal(err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept[id] = r
}

// answer lets looks bring err from now on; nil: what is kept.
func (w *watched) answer(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// lose loses the connection. There is another at once.
func (w *watched) lose() {
	w.mu.Lock()
	old := w.lease
	w.lease = new(near.Lease)
	w.mu.Unlock()
	old.End()
	wake(w.watches.lost)
}

// counted returns how many looks there were since the last call.
func (w *watched) counted() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.looks
	w.looks, w.trips = 0, nil
	return n
}

// heard is what one watcher was told.
type heard struct {
	mu    sync.Mutex
	calls int
	last  *record.Record
	err   error
}

func (h *heard) seen(r *record.Record, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	h.last, h.err = r, err
}

// watch watches id until the test ends.
func (w *watched) watch(id ident.ID) *heard {
	w.t.Helper()
	h := &heard{}
	if _, err := w.Watch(context.Background(), id, h.seen); err != nil {
		w.t.Fatal(err)
	}
	return h
}

// want checks how often h was called since the last check, and what it was told last: version n, or an error.
func (h *heard) want(t testing.TB, when string, calls, n int, want error) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	text, _ := h.last.Raw("v")
	if h.calls != calls || !errors.Is(h.err, want) || want == nil && text != fmt.Sprint(n) {
		t.Errorf("%s: got %d calls, the last with (version %s, %v); want %d, with (version %d, %v)", when, h.calls, text, h.err, calls, n, want)
	}
	h.calls = 0
}

func TestAReportIsToldToWhoWatchesAndToNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, reporting)
		id, other := numberedID(t, 1), numberedID(t, 2)
		w.set(id, 1)
		a, b, c := w.watch(id), w.watch(id), w.watch(other)
		synctest.Wait()
		a.want(t, "the first of two watchers", 2, 1, nil) // once more when the second one came
		b.want(t, "the second of two watchers", 1, 1, nil)
		c.want(t, "a watcher of a session that is not there", 1, 0, record.ErrNotFound)
		w.counted()

		w.set(id, 2)
		w.watches.changed(id)
		synctest.Wait()
		a.want(t, "after a report", 1, 2, nil)
		b.want(t, "after a report", 1, 2, nil)
		c.want(t, "after a report of another session", 0, 0, record.ErrNotFound)
		if got := w.counted(); got != 1 {
			t.Errorf("looks for one report: got %d, want 1", got)
		}
		w.watches.changed(numberedID(t, 3))
		synctest.Wait()
		if got := w.counted(); got != 0 {
			t.Errorf("looks for a report of a session that nobody watches: got %d, want 0", got)
		}
	})
}

func TestAReportDuringALookMakesAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, reporting)
		id := numberedID(t, 1)
		w.set(id, 1)
		h := w.watch(id)
		w.counted()
		reports := 3
		w.mu.Lock()
		w.during = func([]ident.ID) {
			if reports--; reports >= 0 {
				w.watches.changed(id)
			}
		}
		w.mu.Unlock()
		w.watches.changed(id)
		synctest.Wait()
		if got := w.counted(); got != 4 {
			t.Errorf("looks for a report, and one during each of three looks: got %d, want 4", got)
		}
		h.want(t, "after these", 5, 1, nil)
	})
}

// TestAFlightThatWasPoisonedIsLookedAtAgain has looks bring no lease: the first such one is followed by another at once,
// the others wait for a tick.
func TestAFlightThatWasPoisonedIsLookedAtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, reporting)
		id := numberedID(t, 1)
		w.set(id, 1)
		w.watch(id)
		w.mu.Lock()
		lease := w.lease
		w.lease = nil
		w.mu.Unlock()
		w.counted()
		w.watches.changed(id)
		synctest.Wait()
		if got := w.counted(); got != 2 {
			t.Errorf("looks that bring no lease: got %d at once, want 2", got)
		}
		w.mu.Lock()
		w.lease = lease
		w.mu.Unlock()
		time.Sleep(600 * time.Millisecond)
		synctest.Wait()
		if got := w.counted(); got != 1 {
			t.Errorf("looks until there is a lease: got %d more, want 1", got)
		}
	})
}

func TestHeartbeatsThatStopMakeAWatchDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, reporting)
		id := numberedID(t, 1)
		w.set(id, 1)
		h := w.watch(id)
		for range 20 {
			time.Sleep(250 * time.Millisecond)
			w.prove()
		}
		h.want(t, "while heartbeats come", 1, 1, nil)
		w.set(id, 2) // and the report is lost
		time.Sleep(1250 * time.Millisecond)
		synctest.Wait()
		h.want(t, "after MaxStale without heartbeats and a quarter", 1, 2, nil)
		time.Sleep(time.Second)
		h.want(t, "while the heartbeats do not come and nothing changes", 0, 2, nil)
		w.set(id, 3)
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		h.want(t, "after a change that nobody reports", 1, 3, nil)
	})
}

// TestEverythingIsReadAgainAfterALoss, at a bounded rate, in few round trips, and what is reported meanwhile comes first.
func TestEverythingIsReadAgainAfterALoss(t *testing.T) {
	n := many()
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, reporting)
		all := w.watchMany(n)
		w.counted()
		w.set(numberedID(t, 1), 2)
		w.set(numberedID(t, n-2), 0)
		w.lose()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := w.counted(); got < looksPerSecond || got > looksPerSecond*11/10 {
			t.Errorf("looks in the second after the loss: got %d, want %d and few more", got, looksPerSecond)
		}
		hot := numberedID(t, n-1) // in the last batch, but for the report
		w.set(hot, 7)
		w.watches.changed(hot)
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		all[n-1].want(t, "20 ms after a report", 2, 7, nil)
		all[n-1].calls = 1
		time.Sleep(time.Duration(n-looksPerSecond) * time.Second / looksPerSecond)
		synctest.Wait()
		w.mu.Lock()
		trips := len(w.trips)
		w.mu.Unlock()
		if got := w.counted(); got < n-looksPerSecond*11/10 || got > n {
			t.Errorf("looks in the next three seconds: got %d, want those at the rest of %d, once", got, n)
		}
		if trips > n/100 {
			t.Errorf("round trips for these: got %d, want at most one for each hundred", trips)
		}
		for i, h := range all[:n-1] {
			switch i {
			case 1:
				h.want(t, "the watcher of a session that changed meanwhile", 2, 2, nil)
			case n - 2:
				h.want(t, "the watcher of a session that ended meanwhile", 2, 0, record.ErrNotFound)
			default:
				h.want(t, fmt.Sprintf("watcher %d, after the loss", i), 1, 1, nil)
			}
			if t.Failed() {
				return
			}
		}
		time.Sleep(time.Minute)
		if got := w.counted(); got != 0 {
			t.Errorf("looks in the minute after that: got %d, want 0", got)
		}
	})
}

// watchMany watches n sessions of version 1 that a near cache has.
func (w *watched) watchMany(n int) []*heard {
	w.t.Helper()
	w.mu.Lock()
	w.reads = func([]ident.ID) int { return 0 }
	w.mu.Unlock()
	all := make([]*heard, n)
	for i := range all {
		id := numberedID(w.t, i)
		w.set(id, 1)
		all[i] = w.watch(id)
	}
	w.mu.Lock()
	w.reads = nil
	w.mu.Unlock()
	return all
}

// TestASilentServerIsToldOnceAndItsReturnToo: nobody hears of an end that is none, and nothing is missed.
func TestASilentServerIsToldOnceAndItsReturnToo(t *testing.T) {
	const n = 1000
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, reporting)
		all := w.watchMany(n)
		w.counted()
		w.answer(errSilent)
		w.lose()
		synctest.Wait()
		for i, h := range all {
			h.want(t, fmt.Sprintf("watcher %d, of a server that is silent", i), 2, 0, errSilent)
		}
		if got := w.counted(); got != maxBatch {
			t.Errorf("looks at a server that is silent: got %d, want one batch of %d", got, maxBatch)
		}
		time.Sleep(10 * time.Second)
		for i, h := range all {
			h.want(t, fmt.Sprintf("watcher %d, while it goes on", i), 0, 0, errSilent)
		}
		if got := w.counted(); got > 40*maxBatch {
			t.Errorf("looks in 10 s of silence: got %d, want at most a batch in each quarter of MaxStale", got)
		}
		w.set(numberedID(t, 7), 0)
		w.answer(nil)
		time.Sleep(time.Second)
		synctest.Wait()
		for i, h := range all {
			if i == 7 {
				h.want(t, "the watcher of the session that ended meanwhile", 1, 0, record.ErrNotFound)
				continue
			}
			h.want(t, fmt.Sprintf("watcher %d, when the server is back", i), 1, 1, nil)
		}
	})
}

func TestWatchWaitsForAServerThatIsSilentAsLongAsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, reporting)
		id := numberedID(t, 1)
		w.set(id, 1)
		w.answer(errSilent)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		stop, err := w.Watch(ctx, id, func(*record.Record, error) { t.Error("got a call, want none") })
		if stop != nil || !errors.Is(err, errSilent) {
			t.Errorf("Watch at a silent server: got a stop %t and the error %v, want none and that of the server", stop != nil, err)
		}
		time.AfterFunc(600*time.Millisecond, func() { w.answer(nil) })
		start := time.Now()
		w.watch(id).want(t, "at a server that answers again", 1, 1, nil)
		if took := time.Since(start); took < 600*time.Millisecond || took > 900*time.Millisecond {
			t.Errorf("Watch at a server that answers again after 600 ms: got it after %v, want it within the next quarter of MaxStale", took)
		}
	})
}

func TestWatchDoesNotWaitForWhatWillLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, reporting)
		denied := &Error{Op: "get", Code: "NOPERM"}
		w.answer(denied)
		start := time.Now()
		if _, err := w.Watch(t.Context(), numberedID(t, 1), func(*record.Record, error) {}); !errors.Is(err, denied) || time.Since(start) > 0 {
			t.Errorf("Watch without the permission: got %v after %v, want the server's error at once", err, time.Since(start))
		}
		w.wantEmpty("after it failed")
	})
}

// wantEmpty checks that nothing is kept of watches that ended.
func (w *watched) wantEmpty(when string) {
	w.t.Helper()
	l := w.watches.lanes[0]
	l.mu.Lock()
	defer l.mu.Unlock()
	standing := 0
	for _, line := range append([]*line{l.urgent, l.others}, l.overdue...) {
		for w := line.first; w != nil; w = w.next {
			standing++
		}
	}
	for _, line := range l.rests {
		for w := line.first; w != nil; w = w.next {
			standing++
		}
	}
	if len(l.byID) != 0 || w.watches.watched.Load() != 0 || standing != 0 {
		w.t.Errorf("%s: got %d watches, %d counted, %d in lines; want none", when, len(l.byID), w.watches.watched.Load(), standing)
	}
}

func TestStopLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, reporting)
		id := numberedID(t, 1)
		var stops []func()
		var told int
		for range 3 {
			stop, err := w.Watch(t.Context(), id, func(*record.Record, error) { told++ })
			if err != nil {
				t.Fatal(err)
			}
			stops = append(stops, stop)
		}
		w.mu.Lock()
		w.during = func([]ident.ID) { stops[1](); stops[0](); stops[1]() }
		w.mu.Unlock()
		synctest.Wait()
		told = 0
		w.watches.changed(id)
		synctest.Wait()
		if told != 1 {
			t.Errorf("calls after two of three stopped during the look: got %d, want 1", told)
		}
		stops[2]()
		w.wantEmpty("after all stopped")
	})
}

func TestCloseTellsEverybodyLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, reporting)
		a, b := w.watch(numberedID(t, 1)), w.watch(numberedID(t, 2))
		synctest.Wait()
		a.calls, b.calls = 0, 0
		w.end()
		a.want(t, "after the store was closed", 1, 0, record.ErrClosed)
		b.want(t, "after the store was closed", 1, 0, record.ErrClosed)
		if _, err := w.Watch(t.Context(), numberedID(t, 1), a.seen); !errors.Is(err, record.ErrClosed) {
			t.Errorf("Watch after Close: got %v, want ErrClosed", err)
		}
	})
}

// TestPollingTellsWhatIsNewAtABoundedRate has 30,000 sessions at a server that reports nothing.
func TestPollingTellsWhatIsNewAtABoundedRate(t *testing.T) {
	const n = 30_000
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, Settings{})
		all := w.watchMany(n)
		w.counted()
		time.Sleep(10 * time.Second)
		if got := w.counted(); got < 9*pollsPerSecond || got > 101*pollsPerSecond/10 {
			t.Errorf("looks in 10 s: got %d, want %d a second", got, pollsPerSecond)
		}
		w.set(numberedID(t, 1), 2)
		w.set(numberedID(t, 2), 0)
		time.Sleep(time.Second + n*time.Second/pollsPerSecond)
		synctest.Wait()
		for i, h := range all {
			switch i {
			case 1:
				h.want(t, "the watcher of a session that changed", 2, 2, nil)
			case 2:
				h.want(t, "the watcher of a session that ended", 2, 0, record.ErrNotFound)
			default:
				h.want(t, "a watcher of a session that did not change", 1, 1, nil)
			}
		}
	})
}

func TestFewAreLookedAtOnceInMaxStaleWhereNothingIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, Settings{})
		w.watchMany(10)
		w.counted()
		time.Sleep(10*time.Second + time.Millisecond)
		if got := w.counted(); got != 100 {
			t.Errorf("looks at 10 sessions in 10 times MaxStale: got %d, want 100", got)
		}
	})
}

// TestOneChangeCostsTheSameWithManyWatches counts what a report does among 100 and among 100,000 registrations.
func TestOneChangeCostsTheSameWithManyWatches(t *testing.T) {
	for _, n := range []int{100, many()} {
		synctest.Test(t, func(t *testing.T) {
			w := newWatched(t, reporting)
			goroutines := runtime.NumGoroutine()
			all := w.watchMany(n)
			if got := runtime.NumGoroutine() - goroutines; got > 2 { // Those of earlier tests may have ended meanwhile.
				t.Errorf("goroutines of %d watches: got %d more, want at most 2", n, got)
			}
			for i, h := range all {
				h.want(t, fmt.Sprintf("watcher %d", i), 1, 1, nil)
			}
			w.counted()
			ids := []ident.ID{numberedID(t, 0), numberedID(t, n/2), numberedID(t, n-1)}
			for _, id := range ids {
				w.watches.changed(id)
				synctest.Wait()
			}
			if got := w.counted(); got != len(ids) {
				t.Errorf("looks for %d changes among %d watches: got %d, want %d", len(ids), n, got, len(ids))
			}
			calls := 0
			for _, h := range all {
				calls += h.calls
			}
			if calls != len(ids) {
				t.Errorf("calls for %d changes among %d watches: got %d, want %d", len(ids), n, calls, len(ids))
			}
			l := w.watches.lanes[0]
			if got := testing.AllocsPerRun(100, func() { l.search(true) }); got > 1 {
				t.Errorf("objects made by a tick among %d watches: got %v, want at most 1", n, got)
			}
		})
	}
}

// TestWhatAWatchTakes counts the memory and the objects that are left of a call of Watch.
func TestWhatAWatchTakes(t *testing.T) {
	const n = 20_000
	w := newWatched(t, Settings{NearBytes: 1 << 20, MaxStale: time.Hour})
	w.watchMany(1)
	w.reads = func([]ident.ID) int { w.trips = nil; return 0 }
	seen := func(*record.Record, error) {}
	ids := make([]ident.ID, n)
	for i := range ids {
		ids[i] = numberedID(t, i)
	}
	stops := make([]func(), n)
	before := heap()
	for i, id := range ids {
		stop, err := w.Watch(context.Background(), id, seen)
		if err != nil {
			t.Fatal(err)
		}
		stops[i] = stop
	}
	w.counted()
	after := heap()
	if got := float64(after.HeapObjects-before.HeapObjects) / n; got > 3.1 {
		t.Errorf("objects of a watch: got %.2f, want 3: the watch, the registration and its stop", got)
	}
	if got := (after.HeapAlloc - before.HeapAlloc) / n; got > 400 {
		t.Errorf("bytes of a watch: got %d, want at most 400", got)
	}
	for _, stop := range stops[1:] {
		stop()
	}
	stops[0]()
	runtime.KeepAlive(ids)
}

// heap returns what is on the heap when the garbage is collected.
func heap() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

func BenchmarkWatch(b *testing.B) {
	w := newWatched(b, Settings{NearBytes: 1 << 20, MaxStale: time.Hour})
	w.reads = func([]ident.ID) int { w.trips = nil; return 0 }
	ids := make([]ident.ID, b.N)
	for i := range ids {
		ids[i] = numberedID(b, i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, id := range ids {
		if _, err := w.Watch(context.Background(), id, func(*record.Record, error) {}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReport is one change among many watches, until the watcher was told.
func BenchmarkReport(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWatched(b, Settings{NearBytes: 1 << 20, MaxStale: time.Hour})
			w.reads = func([]ident.ID) int { w.trips = nil; return 0 }
			told := make(chan struct{}, 1)
			for i := range n {
				if _, err := w.Watch(context.Background(), numberedID(b, i), func(*record.Record, error) { wake(told) }); err != nil {
					b.Fatal(err)
				}
			}
			id := numberedID(b, n/2)
			wake(told)
			<-told
			b.ResetTimer()
			for range b.N {
				w.watches.changed(id)
				<-told
			}
		})
	}
}
