package live

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

const (
	// pollEvery is how often a session is looked at in a store that is no Watcher, and pollRate how many are looked at a
	// second at most: with more than pollEvery times pollRate of them it takes longer.
	pollEvery = 10 * time.Second
	pollRate  = 200

	pollTick = 100 * time.Millisecond
)

// Read returns what the store keeps under id now.
type Read func(ctx context.Context, id *ident.ID) (*record.Record, error)

// Poller watches sessions in a store that hears of no changes: it asks for all of them in turn, at a bounded rate. It is safe
// for concurrent use; make one with [NewPoller].
type Poller struct {
	read    Read
	timeout time.Duration
	done    chan struct{}
	ended   sync.WaitGroup

	mu    sync.Mutex
	queue []*polled // the next one to look at first
}

type polled struct {
	id      ident.ID
	seen    func(*record.Record, error)
	last    time.Time // it was looked at
	stopped bool
}

// NewPoller returns a Poller whose reads take no longer than timeout. It has one goroutine, until Close.
func NewPoller(timeout time.Duration, read Read) *Poller {
	p := &Poller{read: read, timeout: timeout, done: make(chan struct{})}
	p.ended.Go(p.run)
	return p
}

// Close ends the goroutine. It is called once.
func (p *Poller) Close() {
	close(p.done)
	p.ended.Wait()
}

// Watch tells seen what is kept under id, now and from time to time, until stop is called.
func (p *Poller) Watch(ctx context.Context, id ident.ID, seen func(*record.Record, error)) (stop func(), err error) {
	w := &polled{id: id, seen: seen, last: time.Now()}
	r, err := p.read(ctx, &w.id)
	if err != nil && !errors.Is(err, record.ErrNotFound) && !errors.Is(err, record.ErrCorrupt) {
		return nil, err
	}
	seen(r, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, w)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		w.stopped = true
	}, nil
}

func (p *Poller) run() {
	tick := time.NewTicker(pollTick)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return
		case now := <-tick.C:
			for range pollRate * int(pollTick) / int(time.Second) {
				w := p.next(now)
				if w == nil {
					break
				}
				ctx, cancel := context.WithTimeout(context.Background(), p.timeout)
				r, err := p.read(ctx, &w.id)
				cancel()
				w.seen(r, err)
			}
		}
	}
}

// next returns the session that was not looked at for the longest time, if that is long enough, and puts it last.
func (p *Poller) next(now time.Time) *polled {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) > 0 {
		w := p.queue[0]
		if !w.stopped && now.Sub(w.last) < pollEvery {
			return nil
		}
		p.queue = p.queue[1:]
		if w.stopped {
			continue
		}
		w.last = now
		p.queue = append(p.queue, w)
		return w
	}
	return nil
}
