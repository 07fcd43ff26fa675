package redis

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/near"
	"github.com/fibersess/sess/internal/record"
)

// lane is a part of the watched sessions, which one goroutine looks at and tells of.
type lane struct {
	*watches
	wake chan struct{} // holds a token after a session became due

	mu      sync.Mutex
	byID    map[ident.ID]*watch
	urgent  *line                 // due: a change was reported, or somebody waits for the first look
	overdue []*line               // due: nobody would report a change
	rests   map[*near.Lease]*line // at rest: a change is reported on the connection of the lease
	others  *line                 // at rest until the next tick: nobody reports a change
	failure error                 // of the last look that failed
}

// watch is a session that somebody watches. The lane's mutex guards it.
type watch struct {
	in         *line // where it stands; nil: it is being looked at, and in no line
	prev, next *watch
	id         ident.ID
	told       *registration // the first of those who watch; nil: nobody does any more
	known      content       // what was told
	lost       bool          // it was told that the store cannot tell
	again      bool          // the last look was overtaken by a change, and this one comes right after it
}

// state says what happens to a watch next.
type state uint8

const (
	// atRest: a report, the end of the lease or, among the others, the next tick makes it due.
	atRest state = iota

	// due: the lane's goroutine takes it out of its line and looks.
	due

	// looking: a report makes it due, so that it is looked at once more; else it is at rest after the look.
	looking
)

func (w *watch) state() state {
	if w.in == nil {
		return looking
	}
	return w.in.state
}

// registration is one call of Watch.
type registration struct {
	seen    func(*record.Record, error)
	next    *registration
	first   chan error // gets nil after the first call of seen, or why there will be none; nil: it has got it. The lane's goroutine's
	stopped atomic.Bool
}

func newLane(ws *watches) *lane {
	return &lane{
		watches: ws,
		wake:    make(chan struct{}, 1),
		byID:    make(map[ident.ID]*watch),
		urgent:  &line{state: due},
		rests:   make(map[*near.Lease]*line),
		others:  &line{state: atRest},
	}
}

// register adds g to those who watch id, and has it looked at: whoever watches already is told once more.
func (l *lane) register(id *ident.ID, g *registration) *watch {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.byID[*id]
	if w == nil {
		w = &watch{id: *id}
		l.byID[*id] = w
		l.watched.Add(1)
	}
	g.next, w.told = w.told, g
	l.hurry(w)
	return w
}

// remove takes g from those who watch, if it is there.
func (l *lane) remove(w *watch, g *registration) {
	g.stopped.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := &w.told; *p != nil; p = &(*p).next {
		if *p == g {
			*p = g.next
			break
		}
	}
	if w.told == nil && l.byID[w.id] == w {
		delete(l.byID, w.id)
		l.watched.Add(-1)
		w.leave()
	}
}

// changed hears from the server that id's record changed.
func (l *lane) changed(id *ident.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.byID[*id]; w != nil {
		l.hurry(w)
	}
}

// hurry makes w urgent. It wants l.mu.
func (l *lane) hurry(w *watch) {
	if w.in != l.urgent {
		w.leave()
		l.urgent.add(w)
		wake(l.wake)
	}
}

// search makes those due whose changes nobody reports: now those whose lease has ended, and at a tick the others.
func (l *lane) search(tick bool) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for lease, rest := range l.rests {
		if lease.Blind(now) || rest.first == nil {
			l.isOverdue(rest)
			delete(l.rests, lease)
		}
	}
	if tick {
		l.isOverdue(l.others)
		l.others = new(line)
	}
}

// now is the present on the clock on which leases end.
func (l *lane) now() int64 {
	if l.clock == nil {
		return 0
	}
	return l.clock.Mono(time.Now())
}

// isOverdue makes a whole line due, at no cost for each watch in it. It wants l.mu.
func (l *lane) isOverdue(rest *line) {
	if rest.first != nil {
		rest.state = due
		l.overdue = append(l.overdue, rest)
		wake(l.wake)
	}
}

// reason returns why the store cannot tell what w asks for, nil if no look has said so.
func (l *lane) reason(w *watch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.lost {
		return nil
	}
	return l.failure
}

// close tells everybody that the store is closed. The lane's goroutine has ended.
func (l *lane) close() {
	l.mu.Lock()
	var all []call
	for _, w := range l.byID {
		all = w.callAll(all, nil, record.ErrClosed)
	}
	l.mu.Unlock()
	for _, c := range all {
		c.make()
	}
}
