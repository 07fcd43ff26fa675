package redis

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// batch is what a lane looks at in one round trip, and what it found.
type batch struct {
	watches  []*watch
	reported int // how many of them are urgent; they come first
	ids      []ident.ID
	found    []finding
	calls    []call // to be made when the lane's mutex is free
}

// call is a call of seen that is due.
type call struct {
	g   *registration
	r   *record.Record
	err error
}

// make makes the call, unless its registration has ended. Only the lane's goroutine does so, or its end.
func (c *call) make() {
	if !c.g.stopped.Load() {
		c.g.seen(c.r, c.err)
	}
	if c.g.first != nil {
		c.g.first <- nil
		c.g.first = nil
	}
}

// work looks at what is due until the store is closed.
func (l *lane) work() {
	var b batch
	for {
		select {
		case <-l.done:
			return
		case <-l.wake:
		}
		for l.take(&b) {
			asked := l.lookAt(&b)
			select {
			case <-l.done:
				return // what is told then is told by close
			default:
			}
			l.settle(&b)
			for i := range b.calls {
				b.calls[i].make()
			}
			if !l.pay(asked) {
				return
			}
		}
	}
}

// take fills b with sessions that are due, and reports whether there are any. The urgent ones come first, but leave a
// quarter of the room.
func (l *lane) take(b *batch) bool {
	b.watches, b.ids, b.calls = b.watches[:0], b.ids[:0], b.calls[:0]
	l.mu.Lock()
	defer l.mu.Unlock()
	urgent := maxBatch
	if len(l.overdue) > 0 {
		urgent -= maxBatch / 4
	}
	b.fill(l.urgent, urgent)
	b.reported = len(b.ids)
	for len(l.overdue) > 0 && len(b.ids) < maxBatch {
		b.fill(l.overdue[0], maxBatch)
		if l.overdue[0].first == nil {
			l.overdue = l.overdue[1:]
		}
	}
	return len(b.ids) > 0
}

// fill takes watches from l until b has n of them.
func (b *batch) fill(l *line, n int) {
	for l.first != nil && len(b.ids) < n {
		w := l.first
		w.leave()
		b.watches = append(b.watches, w)
		b.ids = append(b.ids, w.id)
	}
}

func (l *lane) lookAt(b *batch) (asked int) {
	ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
	defer cancel()
	b.found = append(b.found[:0], make([]finding, len(b.ids))...)
	return l.look(ctx, b.ids, b.found)
}

// settle notes what a look has found: each watch goes to where it stands next, and b.calls tells who is to be told.
func (l *lane) settle(b *batch) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	answered := false
	for i, w := range b.watches {
		f := &b.found[i]
		answered = answered || !unanswered(f.err)
		if w.told == nil { // nobody watches any more
			continue
		}
		if unseen(f.err) {
			l.fail(b, w, f.err)
		} else {
			b.tell(w, f, i < b.reported)
		}
		if w.state() == looking {
			l.rest(w, f, now)
		}
	}
	if !answered {
		l.silence(b)
	}
}

// tell notes the calls that tell what was found, if it is news or the server has reported a change. Who waits for the
// first call is told in any case.
func (b *batch) tell(w *watch, f *finding, reported bool) {
	known := contentOf(f.r)
	news := reported || w.lost || !known.is(w.known)
	w.lost, w.known = false, known
	for g := w.told; g != nil; g = g.next {
		if news || g.first != nil {
			b.calls = append(b.calls, call{g, f.r, f.err})
		}
	}
}

// fail notes the calls that tell that the store cannot tell, if it could before. Who waits for the first call goes on
// waiting, unless the error will last. It wants l.mu.
func (l *lane) fail(b *batch, w *watch, err error) {
	news := !w.lost
	w.lost, l.failure = true, err
	for g := w.told; g != nil; g = g.next {
		switch {
		case g.first == nil && news:
			b.calls = append(b.calls, call{g, nil, err})
		case g.first != nil && !passes(err):
			g.first <- err
			g.first = nil
			g.stopped.Store(true)
		}
	}
}

// rest puts w where it waits for the next look. It wants l.mu.
func (l *lane) rest(w *watch, f *finding, now int64) {
	switch {
	case unseen(f.err) || l.clock == nil:
		l.others.add(w)
	case f.lease == nil && !w.again: // It changed while it was being looked at.
		w.again = true
		l.hurry(w)
		return
	case f.lease.Blind(now):
		l.others.add(w)
	default:
		rest := l.rests[f.lease]
		if rest == nil {
			rest = new(line)
			l.rests[f.lease] = rest
		}
		rest.add(w)
	}
	w.again = false
}

// silence is called when a look got no answer. What is due would get none either: all are told so now, and are looked at
// after the next tick. It wants l.mu.
func (l *lane) silence(b *batch) {
	err := b.found[0].err
	for _, due := range append(l.overdue, l.urgent) {
		for due.first != nil {
			w := due.first
			w.leave()
			l.fail(b, w, err)
			l.others.add(w)
		}
	}
	l.overdue = nil
}

// callAll adds the calls that tell everybody who watches w.
func (w *watch) callAll(calls []call, r *record.Record, err error) []call {
	for g := w.told; g != nil; g = g.next {
		calls = append(calls, call{g, r, err})
	}
	return calls
}

// content stands for a record among those that are kept under one id in turn.
type content struct {
	sum  uint64 // of the bytes; 0: there is no record
	ends int64  // Unix milliseconds
}

// contentSeed is as good as another for all stores, since sums are compared within one watch only.
var contentSeed = maphash.MakeSeed()

func contentOf(r *record.Record) content {
	if r == nil {
		return content{}
	}
	return content{maphash.String(contentSeed, r.JSON()) | 1, r.EndsMS()}
}

// is reports whether a and b are of one record. Beside Koa the end is computed from the TTL and the clock of this node, so
// that it differs a little each time.
func (a content) is(b content) bool {
	const tolerance = 100 // milliseconds
	return a.sum == b.sum && max(a.ends-b.ends, b.ends-a.ends) < tolerance
}

// pace keeps the reads of all lanes within a rate.
type pace struct {
	mu   sync.Mutex
	paid time.Time // when the reads sent so far would have been sent at the rate
}

// ahead notes that so many reads were sent, and returns how far that is ahead of the rate.
func (p *pace) ahead(reads, rate int) time.Duration {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paid.Before(now) {
		p.paid = now
	}
	p.paid = p.paid.Add(time.Duration(reads) * time.Second / time.Duration(rate))
	return p.paid.Sub(now)
}

// pay waits until the reads that were sent are within the rate, or nearly so. It reports whether the store is still open.
func (l *lane) pay(reads int) bool {
	wait := l.pace.ahead(reads, l.rate) - burst
	if wait <= 0 {
		return true
	}
	select {
	case <-l.done:
		return false
	case <-time.After(wait):
		return true
	}
}

// line is a queue of watches.
type line struct {
	state       state // of those who stand in it: atRest or due
	first, last *watch
}

// add puts w, which stands in no line, at the end.
func (l *line) add(w *watch) {
	w.in, w.prev, w.next = l, l.last, nil
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
}

// leave takes w out of its line, if it stands in one.
func (w *watch) leave() {
	l := w.in
	if l == nil {
		return
	}
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.in, w.prev, w.next = nil, nil, nil
}
