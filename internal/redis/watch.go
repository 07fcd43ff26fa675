package redis

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/near"
	"github.com/fibersess/sess/internal/record"
	"github.com/redis/rueidis"
)

const (
	// maxBatch is how many watched sessions are looked at in one round trip.
	maxBatch = 128

	// looksPerSecond bounds how many reads all watches of a store send, so that a lost connection, after which every
	// watched session must be read again, costs its server a tenth of a core for some seconds and not all of it at once:
	// 100,000 sessions are read within 4 seconds.
	looksPerSecond = 25_000

	// pollsPerSecond is looksPerSecond where the server reports nothing, so that the reads never end.
	pollsPerSecond = 10_000

	// burst is how far the looks may run ahead of their rate.
	burst = 10 * time.Millisecond
)

// watches tells who waits for it what the server keeps of a session, each time that may have changed.
//
// A server reports one change of a key and then forgets that it was read. So a session is looked at again and again: a look
// reads the record, which makes the server report the next change; what was read is told; and when the server reports a
// change, or the lease of the connection that was read on ends, the next look is due. What changes before a look is told
// by that look, and what changes after it makes the next one due: nothing is missed. A store to which the server reports
// nothing looks at an interval, and tells what is new.
//
// Sessions that are due are looked at in turn, up to maxBatch in one round trip, by one goroutine for each lane. That is
// also the only one that tells anybody anything.
type watches struct {
	look    func(ctx context.Context, ids []ident.ID, found []finding) (asked int)
	failure func(error) error // what a caller of Watch is told of an error
	done    chan struct{}     // closed with the store
	lost    chan struct{}     // holds a token after a connection was lost
	watched atomic.Int64      // how many sessions, so that a report costs nothing where there are none
	run     sync.WaitGroup
	pace    pace

	mu      sync.Mutex
	started bool
	closed  bool

	// What the first watch decides, when the store is connected.
	arrange func() arrangement
	arrangement
	lanes []*lane
}

// arrangement is how the sessions are watched.
type arrangement struct {
	clock *near.Cache   // on whose clock leases end; nil: the server reports nothing
	every time.Duration // between two searches for sessions whose changes nobody reports
	rate  int           // looks in a second
	width int           // lanes
	lane  func(*ident.ID) int
}

// finding is what a look found: what Get returns, and the lease under which the server reports a change, nil if it does not.
type finding struct {
	r     *record.Record
	err   error
	lease *near.Lease
}

func newWatches(s *Store) *watches {
	return &watches{
		look:    s.lookAll,
		failure: func(err error) error { return s.failure(task{op: "watch"}, err) },
		done:    s.done,
		lost:    make(chan struct{}, 1),
		arrange: s.arrange,
	}
}

// clusterLanes is how many lanes the sessions of a cluster have. A lane is a range of slots, so that nearly all of them are
// of one master alone.
const clusterLanes = 64

// arrange returns how the sessions of a store are watched that is connected.
func (s *Store) arrange() arrangement {
	a := arrangement{every: s.MaxStale, rate: pollsPerSecond, width: 1, lane: func(*ident.ID) int { return 0 }}
	if s.reports() {
		a.clock, a.every, a.rate = s.cache, s.MaxStale/4, looksPerSecond
	}
	if s.client != nil && s.client.Mode() == rueidis.ClientModeCluster {
		a.width = clusterLanes
		a.lane = func(id *ident.ID) int { return int(keySlot(s.key(*id))) * clusterLanes / clusterSlots }
	}
	return a
}

// add watches id: see the root's Watcher.
func (ws *watches) add(ctx context.Context, id ident.ID, seen func(*record.Record, error)) (stop func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, ws.failure(err)
	}
	if !ws.begin() {
		return nil, ws.failure(record.ErrClosed)
	}
	l := ws.laneOf(&id)
	first := make(chan error, 1)
	g := &registration{seen: seen, first: first}
	w := l.register(&id, g)
	stop = func() { l.remove(w, g) }
	select {
	case err = <-first:
	case <-ws.done:
		err = ws.failure(record.ErrClosed)
	case <-ctx.Done():
		err = cmp.Or(l.reason(w), ws.failure(ctx.Err()))
	}
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// begin starts the goroutines with the first watch. It reports whether the store is open.
func (ws *watches) begin() bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if !ws.started && !ws.closed {
		ws.started = true
		ws.arrangement = ws.arrange()
		for range ws.width {
			ws.lanes = append(ws.lanes, newLane(ws))
		}
		ws.run.Go(ws.search)
		for _, l := range ws.lanes {
			ws.run.Go(l.work)
		}
	}
	return !ws.closed
}

// close tells everybody that the store is closed, which done has told the goroutines.
func (ws *watches) close() {
	ws.mu.Lock()
	ws.closed = true
	ws.mu.Unlock()
	ws.run.Wait()
	for _, l := range ws.lanes {
		l.close()
	}
}

// changed hears from the server that id's record changed.
func (ws *watches) changed(id ident.ID) {
	if ws.watched.Load() != 0 {
		ws.laneOf(&id).changed(&id)
	}
}

func (ws *watches) laneOf(id *ident.ID) *lane { return ws.lanes[ws.lane(id)] }

// search makes those sessions due whose changes nobody reports, until the store is closed.
func (ws *watches) search() {
	tick := time.NewTicker(ws.every)
	defer tick.Stop()
	for {
		select {
		case <-ws.done:
			return
		case <-ws.lost:
			for _, l := range ws.lanes {
				l.search(false)
			}
		case <-tick.C:
			for _, l := range ws.lanes {
				l.search(true)
			}
		}
	}
}
