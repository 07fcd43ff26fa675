package memory

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// watch is one call of Watch.
type watch struct {
	id      ident.ID
	seen    func(*record.Record, error)
	next    *watch       // the next watch of the same id; the shard's mutex guards it
	untold  atomic.Int32 // changes since seen was last given the record; not 0: a goroutine is at it
	stopped atomic.Bool
}

// Watch is the root's MemoryStore.Watch.
func (s *Store) Watch(ctx context.Context, id ident.ID, seen func(*record.Record, error)) (stop func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &watch{id: id, seen: seen}
	w.untold.Store(1) // What changes before the first call is told by whoever makes the first call.
	sh, _ := s.locate(&id)
	sh.watch(w)
	if !s.tellOnce(w) {
		go s.tell(w)
	}
	return func() {
		w.stopped.Store(true)
		sh.unwatch(w)
	}, nil
}

// announce tells what a write has done, after the write has released its lock. The watches are told on a goroutine of
// their own, since the writer may hold locks that a watch wants.
func (s *Store) announce(ev *events) {
	for _, l := range ev.left {
		s.leave(l.user, []record.UserEntry{l.entry}, 0)
	}
	if ev.watches != nil {
		go s.tellAll(ev.watches)
	}
	if s.onEvict != nil && !ev.evicted.IsZero() {
		s.onEvict(ev.evicted)
	}
}

func (s *Store) tellAll(changed []*watch) {
	for _, w := range changed {
		if w.untold.Add(1) == 1 {
			s.tell(w)
		}
	}
}

// tell gives w what the store keeps until w knows the last change. One goroutine at a time does so for a watch, so that
// the watch never hears of a change before it hears of an older one.
func (s *Store) tell(w *watch) {
	for !s.tellOnce(w) {
	}
}

// tellOnce gives w what the store keeps now. It reports whether nothing has changed meanwhile.
func (s *Store) tellOnce(w *watch) bool {
	changes := w.untold.Load()
	sh, hash := s.locate(&w.id)
	r, err := sh.look(hash, &w.id, time.Now().UnixMilli())
	if !w.stopped.Load() {
		w.seen(r, err)
	}
	return w.untold.CompareAndSwap(changes, 0)
}

// look is get that is no use of the entry.
func (sh *shard) look(hash uint32, id *ident.ID, now int64) (*record.Record, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i, ok := sh.table.find(hash, id); ok {
		if e := sh.table.slots[i].entry; e.end > now {
			return e.record, nil
		}
	}
	return nil, record.ErrNotFound
}

func (sh *shard) watch(w *watch) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.watchers == nil {
		sh.watchers = map[ident.ID]*watch{}
	}
	w.next = sh.watchers[w.id]
	sh.watchers[w.id] = w
}

// unwatch removes w, if it is there.
func (sh *shard) unwatch(w *watch) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	first := sh.watchers[w.id]
	if first == w {
		if w.next == nil {
			delete(sh.watchers, w.id)
		} else {
			sh.watchers[w.id] = w.next
		}
		return
	}
	for ; first != nil; first = first.next {
		if first.next == w {
			first.next = w.next
			return
		}
	}
}
