// Package group stores what several requests of one process write to one session at the same time: in groups, with one
// swap a group. Without it each of n requests competes with all others for each swap.
//
// Requests that compete for one id stand in a line. A request whose turn it is builds its record on top of the one before
// it, on its own goroutine, so a panic in its function is its own. Where nobody waits behind it, a member swaps the last
// record for all of the group, while the next group gathers:
//
//	A B C wait    A builds a on base, B builds b on a, C builds c on b    swap base -> c    A, B and C have stored c
//	              D E arrive while the swap is under way                                    D builds d on c …
//
// What becomes of a member:
//
//   - Its function fails, panics or ends its goroutine: it drops out, and the others' record is stored all the same.
//   - Its context ends before it has built: it withdraws with ErrConflict, and nothing of it is stored.
//   - Its context ends after that: it does not know, and gets the error of the context.
//   - The swap is lost to another process: the group builds again on what that one stored, without those who have gone.
//   - The outcome of the swap is not known: it is not known to any of the group.
//
// A record that ends the session (none, a tombstone) closes its group: it is swapped before anyone builds on it.
package group

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// Builder makes the record to store on top of now, and its TTL. If it returns now itself, nothing of it is to be stored.
type Builder interface {
	Build(now *record.Record) (next *record.Record, ttl time.Duration, err error)
}

// BuildFunc is a function as a [Builder].
type BuildFunc func(now *record.Record) (next *record.Record, ttl time.Duration, err error)

func (f BuildFunc) Build(now *record.Record) (*record.Record, time.Duration, error) { return f(now) }

// Swap is the store's compare-and-swap: it returns what stands there, next if it was done.
type Swap func(ctx context.Context, id *ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error)

// maxMembers bounds a group, so that a group that others join without pause is stored all the same.
const maxMembers = 256

// Queue has a line for each id that requests compete for. It is safe for concurrent use.
type Queue struct {
	swap   Swap
	newest func(*ident.ID) *record.Record // the newest record that the process knows, nil if it knows none
	seed   maphash.Seed
	shards [64]shard
}

type shard struct {
	mu    sync.Mutex
	lines map[ident.ID]*line
	n     atomic.Int32 // how many lines, so that most look-ups need no lock
}

// New returns a Queue that stores by swap. newest may return nil always.
func New(swap Swap, newest func(*ident.ID) *record.Record) *Queue {
	return &Queue{swap: swap, newest: newest, seed: maphash.MakeSeed()}
}

// Busy reports whether requests compete for id.
func (q *Queue) Busy(id *ident.ID) bool {
	s := q.shard(id)
	if s.n.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[*id] != nil
}

// Store stores what b makes of the record of id, last seen as seen (nil: none), in a group with all who compete for
// the same id. It returns what stands there then, and whether another process was met. The error is [record.ErrConflict]
// if ctx ended before b had its turn, [record.ErrNotFound] if there was a record and is none any more, b's own, or
// that of the swap.
func (q *Queue) Store(ctx context.Context, id *ident.ID, seen *record.Record, b Builder) (stands *record.Record, met bool, err error) {
	m := &member{ctx: ctx, seen: seen, builder: b, told: make(chan message, 1)}
	l := q.join(id, m)
	defer q.leave(l)
	for {
		select {
		case msg := <-m.told:
			switch {
			case msg.done:
				return msg.record, m.met, msg.err
			case msg.swap:
				l.carryOut(m)
			default:
				l.take(m, msg.record)
			}
		case <-ctx.Done():
			if err := l.withdraw(m); err != nil {
				return nil, m.met, err
			}
		}
	}
}

func (q *Queue) shard(id *ident.ID) *shard {
	return &q.shards[maphash.Bytes(q.seed, id.Bytes())%uint64(len(q.shards))]
}

// join puts m behind all others that compete for id.
func (q *Queue) join(id *ident.ID, m *member) *line {
	s := q.shard(id)
	s.mu.Lock()
	l := s.lines[*id]
	if l == nil {
		l = &line{queue: q, id: *id}
		if s.lines == nil {
			s.lines = map[ident.ID]*line{}
		}
		s.lines[*id] = l
		s.n.Add(1)
	}
	l.members++
	s.mu.Unlock()

	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, m)
	if l.busy == nil {
		l.begin()
	}
	return l
}

// leave takes the line away with its last member.
func (q *Queue) leave(l *line) {
	s := q.shard(&l.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.members--; l.members == 0 {
		delete(s.lines, l.id)
		s.n.Add(-1)
	}
}

// line is the requests that compete for one id. mu guards all fields but members, which the shard's lock guards.
type line struct {
	queue   *Queue
	id      ident.ID
	members int

	mu      sync.Mutex
	waiting []*member // not built yet
	built   []*member // of the group that is being built or swapped
	busy    *member   // whose turn it is, or who swaps; nil: the line is at rest
	known   bool      // base is what the store had a moment ago
	base    *record.Record
	tip     *record.Record // what the group's last member has built
	ttl     time.Duration  // of tip
}

// member is a request in a line. met belongs to its goroutine, the rest to the line.
type member struct {
	ctx     context.Context
	seen    *record.Record
	builder Builder
	told    chan message // room for one: a member is told one thing at a time
	ready   bool         // it is among built
	gone    bool
	met     bool // another process has written between
}

// message tells a member what to do: to build on record, to swap, or that it is done.
type message struct {
	record *record.Record
	swap   bool
	done   bool
	err    error
}

// begin begins a group, with mu held, if anyone waits.
func (l *line) begin() {
	l.busy, l.built = nil, nil
	if len(l.waiting) == 0 {
		l.known = false
		return
	}
	if first := l.waiting[0]; !l.known {
		l.base, l.known = first.seen, true
		if newest := l.queue.newest(&l.id); newest != nil && first.seen != nil && !record.Equal(newest, first.seen) {
			l.base = newest
		}
	}
	l.tip, l.ttl = l.base, 0
	l.next()
}

// next gives the turn to the next member, with mu held. Where none is left, or the group is full or closed, it has the
// group swapped, by the member that can wait for that the longest.
func (l *line) next() {
	closed := len(l.built) >= maxMembers || len(l.built) > 0 && l.tip != l.base && (l.tip == nil || !l.tip.Live())
	for !closed && len(l.waiting) > 0 {
		m := l.waiting[0]
		l.waiting = l.waiting[1:]
		if l.tip == nil && m.seen != nil { // There was a session, and there is none.
			m.gone = true
			m.told <- message{done: true, err: record.ErrNotFound}
			continue
		}
		l.busy = m
		m.told <- message{record: l.tip}
		return
	}
	switch swapper := l.last(); {
	case swapper == nil:
		l.begin()
	case l.tip == l.base:
		l.finish(l.tip, nil)
	default:
		l.busy = swapper
		swapper.told <- message{swap: true}
	}
}

// last returns the member of the group whose deadline comes last, nil if all have gone.
func (l *line) last() (last *member) {
	var latest time.Time
	for _, m := range l.built {
		end, bounded := m.ctx.Deadline()
		if m.gone || last != nil && bounded && end.Before(latest) {
			continue
		}
		if last, latest = m, end; !bounded {
			break
		}
	}
	return last
}

// take is m's turn: it builds on now.
func (l *line) take(m *member, now *record.Record) {
	next, ttl, err := now, time.Duration(0), errAborted
	defer func() { // also where build panics or ends the goroutine
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case err != nil:
			m.gone = true
			m.told <- message{done: true, err: err}
		default:
			m.ready = true
			l.built = append(l.built, m)
			if next != now {
				l.tip, l.ttl = next, ttl
			}
		}
		l.next()
	}()
	if m.ctx.Err() != nil { // The turn came too late.
		err = record.ErrConflict
		return
	}
	next, ttl, err = m.builder.Build(now)
}

// errAborted is the outcome of a member that is not there any more to hear of it.
var errAborted = errors.New("sess: the function of a save did not return")

// errUnknown is what the others of a group hear of a swap that panicked.
var errUnknown = errors.New("sess: the store panicked while it stored the changes of several requests; what it made of them is not known")

// carryOut swaps for the whole group.
func (l *line) carryOut(m *member) {
	l.mu.Lock()
	base, tip, ttl := l.base, l.tip, l.ttl
	l.mu.Unlock()
	there, err := tip, errUnknown
	defer func() { // also where the store panics
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case err == nil && there != tip:
			l.again(there)
		case errors.Is(err, record.ErrNotFound):
			l.finish(nil, err)
		case err != nil:
			l.known = false
			l.finish(base, err)
		default:
			l.finish(there, nil)
		}
	}()
	ctx, cancel := bounded(m.ctx)
	defer cancel()
	there, err = l.queue.swap(ctx, &l.id, base, tip, ttl)
}

// bounded is ctx without its cancellation: who gives its own request up does not cost the group its outcome.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	free := context.WithoutCancel(ctx)
	if end, ok := ctx.Deadline(); ok {
		return context.WithDeadline(free, end)
	}
	return free, func() {}
}

// finish tells the group what became of it, with mu held, and begins the next one, on top of stands.
func (l *line) finish(stands *record.Record, err error) {
	for _, m := range l.built {
		if !m.gone {
			m.gone = true
			m.told <- message{done: true, record: stands, err: err}
		}
	}
	l.base = stands
	l.begin()
}

// again has the group built on what another process has stored, with mu held, before those who came behind it.
func (l *line) again(there *record.Record) {
	group := make([]*member, 0, len(l.built)+len(l.waiting))
	for _, m := range l.built {
		if !m.gone {
			m.ready, m.met = false, true
			group = append(group, m)
		}
	}
	l.waiting = append(group, l.waiting...)
	l.base = there
	l.begin()
}

// withdraw takes m, whose context has ended, out of the line. It returns no error where m must carry on: it swaps for its
// group, or has just been told how that went.
func (l *line) withdraw(m *member) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(m.told) > 0 && (m.gone || m.ready):
		return nil
	case m.ready: // What it has built may be stored, or not.
		m.gone = true
		return m.ctx.Err()
	}
	m.gone = true
	if l.busy == m { // It was given the turn, and has not begun.
		<-m.told
		l.next()
		return record.ErrConflict
	}
	for i, w := range l.waiting {
		if w == m {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			break
		}
	}
	return record.ErrConflict
}
