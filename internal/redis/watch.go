package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/near"
	"github.com/fibersess/sess/internal/record"
)

// maxLooks is how many watched sessions are looked at in parallel, when a connection to the server is lost with the
// watches on it.
const maxLooks = 64

// watches tells who waits for it that a session may have changed.
//
// A server reports one change of a key and then forgets that it was read. So a watch is a loop: read the record, which
// makes the server report the next change; wait until it does, or until the connection that was read on has lost its
// lease; read again, and then tell. Whatever changed before that read is what is told of, and whatever changes after it
// will be reported. A store without a near cache reads at an interval instead, and compares.
type watches struct {
	look  func(ctx context.Context, id ident.ID) (*record.Record, *near.Lease, error)
	mono  func(time.Time) int64
	every time.Duration // between two checks of all watches
	poll  bool          // the store hears nothing: compare
	news  chan struct{} // holds a token when something is to be looked at
	done  chan struct{} // closed with the store

	start sync.Once
	run   sync.WaitGroup
	any   atomic.Int64 // how many are watched, so that an invalidation costs nothing where none are

	mu    sync.Mutex
	byID  map[ident.ID]*redisWatch
	looks int    // under way
	round uint64 // counts the checks of all
	more  bool   // the last one found more than maxLooks: it goes on as looks end
}

// redisWatch is one session that somebody waits for. The mutex of watches guards it.
type redisWatch struct {
	id       ident.ID
	told     map[*watcher]struct{}
	lease    *near.Lease    // of the connection that reports a change; nil: none does
	last     *record.Record // what was there
	round    uint64         // the check of all that looked at it last
	stale    bool           // a change was reported
	lost     bool           // the server could not be asked, and the watchers know
	underWay bool           // it is being looked at
}

// watcher is one call of Watch.
type watcher struct {
	changed func()
	stopped atomic.Bool
}

func newWatches(s *Store) *watches {
	ws := &watches{
		look:  s.look,
		mono:  func(time.Time) int64 { return 0 },
		every: s.MaxStale,
		poll:  true,
		news:  make(chan struct{}, 1),
		done:  s.done,
		byID:  make(map[ident.ID]*redisWatch),
	}
	if s.cache != nil {
		ws.mono, ws.every, ws.poll = s.cache.Mono, ws.every/4, false
	}
	return ws
}

// withoutReports makes ws poll. Nothing is watched yet.
func (ws *watches) withoutReports(every time.Duration) {
	ws.mono, ws.every, ws.poll = func(time.Time) int64 { return 0 }, every, true
}

// add watches id for w. The server reports changes once it returns without an error. The watch is there before the
// read that starts the reports, so that none is missed.
func (ws *watches) add(ctx context.Context, id ident.ID, w *watcher) (stop func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ws.start.Do(func() { ws.run.Go(ws.loop) })
	sw := ws.register(id, w)
	r, l, err := ws.look(ctx, id)
	if unseen(err) {
		ws.remove(id, w)
		return nil, err
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if !sw.underWay {
		// What the others have missed until now this look has seen: they must hear of it before it is taken for old.
		missed := len(sw.told) > 1 && (sw.lost || !record.Equal(r, sw.last) || !ws.poll && sw.lease.Blind(ws.mono(time.Now())))
		sw.lease, sw.last = l, r
		if missed || l == nil && !ws.poll { // or it changed during the look
			sw.stale = true
			wake(ws.news)
		}
	}
	return func() { ws.remove(id, w) }, nil
}

func (ws *watches) register(id ident.ID, w *watcher) *redisWatch {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	sw := ws.byID[id]
	if sw == nil {
		sw = &redisWatch{id: id, told: make(map[*watcher]struct{})}
		ws.byID[id] = sw
		ws.any.Add(1)
	}
	sw.told[w] = struct{}{}
	return sw
}

// unseen reports whether err says that the server could not be asked.
func unseen(err error) bool {
	return err != nil && !errors.Is(err, record.ErrNotFound) && !errors.Is(err, record.ErrCorrupt)
}

func (ws *watches) remove(id ident.ID, w *watcher) {
	w.stopped.Store(true)
	ws.mu.Lock()
	defer ws.mu.Unlock()
	sw := ws.byID[id]
	if sw == nil {
		return
	}
	delete(sw.told, w)
	if len(sw.told) == 0 {
		delete(ws.byID, id)
		ws.any.Add(-1)
	}
}

// changed hears from the server that id's record changed.
func (ws *watches) changed(id ident.ID) {
	if ws.any.Load() == 0 {
		return
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if sw := ws.byID[id]; sw != nil {
		sw.stale = true
		wake(ws.news)
	}
}

// loop looks at watches that need it until the store is closed.
func (ws *watches) loop() {
	tick := time.NewTicker(ws.every)
	defer tick.Stop()
	for {
		select {
		case <-ws.done:
			return
		case <-ws.news:
			ws.check(false)
		case <-tick.C:
			ws.check(true)
		}
	}
}

// check starts a look at each watch that a change was reported of. When all is set it also looks at those that no
// connection reports for; when polling, that is all of them.
func (ws *watches) check(all bool) {
	now := ws.mono(time.Now())
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if all && !ws.more {
		ws.round++
		ws.more = true
	}
	for _, sw := range ws.byID {
		blind := ws.more && sw.round != ws.round && sw.lease.Blind(now)
		if sw.underWay || !(sw.stale || blind) {
			continue
		}
		if ws.looks == maxLooks {
			return // the end of a look wakes the loop
		}
		ws.looks++
		sw.underWay, sw.round = true, ws.round
		tell := sw.stale || blind && !ws.poll && !sw.lost
		sw.stale = false
		ws.run.Go(func() { ws.lookAt(sw, tell) })
	}
	ws.more = false
}

// lookAt looks at one watch and tells the watchers if tell is set or something is new.
func (ws *watches) lookAt(sw *redisWatch, tell bool) {
	ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
	defer cancel()
	r, l, err := ws.look(ctx, sw.id)

	ws.mu.Lock()
	if unseen(err) {
		tell = tell || !sw.lost
		sw.lost, sw.lease = true, nil
	} else {
		tell = tell || sw.lost || ws.poll && !record.Equal(r, sw.last)
		sw.lost, sw.lease, sw.last = false, l, r
		sw.stale = sw.stale || l == nil && !ws.poll // it changed during the look
	}
	sw.underWay = false
	ws.looks--
	told := make([]*watcher, 0, len(sw.told))
	for w := range sw.told {
		told = append(told, w)
	}
	ws.mu.Unlock()

	wake(ws.news) // for what could not be looked at because of maxLooks, or changed meanwhile
	if !tell {
		return
	}
	for _, w := range told {
		if !w.stopped.Load() {
			w.changed()
		}
	}
}
