package sesstest

import (
	"errors"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersess/sess"
)

var watchPromises = []promise{
	{"Watch first", "a watcher is told what the store keeps before Watch returns", (*probe).watchFirst},
	{"Watch", "a watcher is told what the store keeps after each change", (*probe).watch},
	{"Watch order", "a watcher is called by one goroutine at a time, never with what is older than the call before, and last with what is kept", (*probe).watchOrder},
	{"Watch stop", "after stop a watcher is not called any more, others are, and stop may be called again, or by the watcher", (*probe).watchStop},
	{"Watch context", "Watch under a cancelled context returns its error", (*probe).watchContext},
}

// watcher notes the calls of one Watch.
type watcher struct {
	calls  atomic.Int64
	called chan struct{} // holds a token after a call
	stop   func()

	mu   sync.Mutex
	last *sess.Record
	err  error
}

func (w *watcher) seen(r *sess.Record, err error) {
	w.mu.Lock()
	w.last, w.err = r, err
	w.mu.Unlock()
	w.calls.Add(1)
	select {
	case w.called <- struct{}{}:
	default:
	}
}

// knows reports whether the last call told that want is kept; nil is nothing.
func (w *watcher) knows(want *sess.Record) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if want == nil {
		return w.last == nil && errors.Is(w.err, sess.ErrNotFound)
	}
	return w.err == nil && w.last != nil && w.last.JSON() == want.JSON()
}

// told returns what the last call told.
func (w *watcher) told() (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return show(w.last), w.err
}

func (p *probe) newWatcher(id sess.ID) *watcher {
	p.Helper()
	w := &watcher{called: make(chan struct{}, 1)}
	w.stop = p.watchWith(id, w.seen)
	return w
}

func (p *probe) watchWith(id sess.ID, seen func(*sess.Record, error)) (stop func()) {
	p.Helper()
	stop, err := p.store.(sess.Watcher).Watch(p.ctx, id, seen)
	if err != nil || stop == nil {
		p.giveUp("Watch: got a nil stop (%t) and the error %v, want a stop and nil", stop == nil, err)
	}
	p.Cleanup(stop)
	return stop
}

// wantTold makes a change and waits until w was told that want is kept; nil is nothing.
func (p *probe) wantTold(w *watcher, want *sess.Record, what string, change func()) {
	p.Helper()
	change()
	wanted := "nothing is kept"
	if want != nil {
		wanted = show(want)
	}
	for deadline := time.After(soon); !w.knows(want); {
		select {
		case <-w.called:
		case <-deadline:
			got, err := w.told()
			p.giveUp("%s: got %d calls of the watcher, the last with (%s, %v), within %v, want one that tells that %s", what, w.calls.Load(), got, err, soon, wanted)
		}
	}
}

func (p *probe) watchFirst() {
	id := p.newID()
	nothing := p.newWatcher(id)
	if got, err := nothing.told(); nothing.calls.Load() == 0 || !nothing.knows(nil) {
		p.broken("Watch of an id that was never stored: got %d calls of the watcher, the last with (%s, %v), want one with (nil, ErrNotFound)", nothing.calls.Load(), got, err)
	}
	p.set(id, p.number(1), longTTL)
	w := p.newWatcher(id)
	if got, err := w.told(); w.calls.Load() == 0 || !w.knows(p.number(1)) {
		p.broken("Watch after Set: got %d calls of the watcher, the last with (%s, %v), want one with %s", w.calls.Load(), got, err, show(p.number(1)))
	}
}

func (p *probe) watch() {
	id := p.newID()
	p.set(id, p.number(1), longTTL)
	w := p.newWatcher(id)
	p.wantTold(w, p.number(2), "Set", func() { p.set(id, p.number(2), longTTL) })
	if _, ok := p.store.(sess.Swapper); ok {
		p.wantTold(w, p.number(3), "Swap(old, next)", func() {
			p.wantWon(id, p.number(2), p.number(3), longTTL, "Swap(old, next)")
		})
		p.wantTold(w, nil, "Swap(old, nil)", func() { p.wantWon(id, p.number(3), nil, 0, "Swap(old, nil)") })
		p.wantTold(w, p.number(4), "Swap(nil, next)", func() { p.wantWon(id, nil, p.number(4), longTTL, "Swap(nil, next)") })
	}
	p.wantTold(w, nil, "Destroy", func() { p.destroy(id) })
}

// watchOrder counts up while a watcher looks.
func (p *probe) watchOrder() {
	const writes = 200
	id := p.newID()
	p.set(id, p.number(1), longTTL)
	w := &watcher{called: make(chan struct{}, 1)}
	var running, overlaps, backward, newest atomic.Int64
	p.watchWith(id, func(r *sess.Record, err error) {
		if running.Add(1) > 1 {
			overlaps.Add(1)
		}
		text, _ := r.Raw("n")
		if n, err := strconv.Atoi(text); err == nil {
			if before := newest.Swap(int64(n)); int64(n) < before {
				backward.Add(1)
			}
		}
		w.seen(r, err)
		for range 10 { // so that a second call meets this one
			runtime.Gosched()
		}
		running.Add(-1)
	})
	p.wantTold(w, p.number(writes), "Set again and again", func() {
		for n := 2; n <= writes; n++ {
			p.set(id, p.number(n), longTTL)
		}
	})
	if got := overlaps.Load(); got != 0 {
		p.broken("calls of the watcher while another one was under way: got %d, want 0", got)
	}
	if got := backward.Load(); got != 0 {
		p.broken("calls of the watcher with what is older than the call before told: got %d, want 0", got)
	}
}

func (p *probe) watchStop() {
	id := p.newID()
	p.set(id, p.number(1), longTTL)
	stopped, other := p.newWatcher(id), p.newWatcher(id)
	last := &watcher{called: make(chan struct{}, 1)} // stops itself when it is told of the first change
	last.stop = p.watchWith(id, func(r *sess.Record, err error) {
		if r != nil && r.JSON() == p.number(2).JSON() {
			last.stop()
		}
		last.seen(r, err)
	})
	p.wantTold(stopped, p.number(2), "Set", func() { p.set(id, p.number(2), longTTL) })
	p.wantTold(last, p.number(2), "Set", func() {})
	stopped.stop()
	stopped.stop()
	p.wantTold(other, p.number(3), "Set after another watcher stopped", func() { p.set(id, p.number(3), longTTL) })
	before, lastBefore := stopped.calls.Load(), last.calls.Load() // calls that were under way have ended
	for n := range 3 {
		p.wantTold(other, p.number(4+n), "Set after another watcher stopped", func() { p.set(id, p.number(4+n), longTTL) })
	}
	if got := stopped.calls.Load(); got != before {
		p.broken("changes after stop: got %d calls of the watcher, want 0", got-before)
	}
	if got := last.calls.Load(); got != lastBefore {
		p.broken("changes after the watcher has called stop: got %d calls of it, want 0", got-lastBefore)
	}
}

func (p *probe) watchContext() {
	ctx := p.cancelled()
	stop, err := p.store.(sess.Watcher).Watch(ctx, p.newID(), func(*sess.Record, error) {})
	if stop != nil {
		stop()
	}
	if !errors.Is(err, ctx.Err()) {
		p.broken("Watch under a cancelled context: got the error %v, want %v", err, ctx.Err())
	}
}
