package sesstest

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/fibersess/sess"
)

var ttlPromises = []promise{
	{"expired", "a record is there until its TTL has passed and gone after it", (*probe).expired},
	{"TTL replaced", "Set replaces the TTL too", (*probe).replacedTTL},
	{"shortest TTL", "the shortest positive TTL, 1 ns, is a TTL", (*probe).shortestTTL},
	{"longest TTL", "the longest TTL, 292 years, is one in which nothing expires", (*probe).longestTTL},
	{"TTL of its own", "every session has its own TTL: another one's expiry does not touch it", (*probe).ownTTL},
	{"expired is gone", "an expired record is gone for Destroy, and its id can be used again", (*probe).expiredIsGone},
}

func (p *probe) expired() {
	id := p.newID()
	start := time.Now()
	p.set(id, p.number(1), shortTTL)
	p.wantExpiry(id, start, shortTTL, "of a record with a short TTL")
	p.wantGone(id, "after expiry, a second time")
}

func (p *probe) replacedTTL() {
	shortened, prolonged := p.newID(), p.newID()
	p.set(shortened, p.number(1), longTTL)
	p.set(prolonged, p.number(1), shortTTL)

	start := time.Now()
	p.set(shortened, p.number(2), shortTTL)
	p.set(prolonged, p.number(2), longTTL)

	p.wantExpiry(shortened, start, shortTTL, "of a record stored for long and then for a short time")
	p.outlive()
	p.wantKept(prolonged, p.number(2), "of a record stored for a short time and then for long")
}

func (p *probe) shortestTTL() {
	id := p.newID()
	start := time.Now()
	p.set(id, p.number(1), 1)
	p.wantExpiry(id, start, 1, "of a record with a TTL of 1 ns")
}

func (p *probe) longestTTL() {
	id, want := p.newID(), p.number(1)
	p.set(id, want, math.MaxInt64)
	p.wantKept(id, want, "of a record with the longest TTL")
	p.outlive()
	p.wantKept(id, want, "of a record with the longest TTL, later")
}

func (p *probe) ownTTL() {
	ids := make([]sess.ID, 32)
	for i := range ids {
		ids[i] = p.newID()
		ttl := longTTL
		if i%2 == 1 {
			ttl = shortTTL
		}
		p.set(ids[i], p.number(i), ttl)
	}
	p.outlive()
	p.set(p.newID(), p.number(0), longTTL) // a store may clean up when it is written to
	for i := range ids {
		if i%2 == 1 {
			p.wantGone(ids[i], "of a record whose TTL has passed")
		} else {
			p.wantKept(ids[i], p.number(i), "of a record with a long TTL among expired ones")
		}
	}
}

func (p *probe) expiredIsGone() {
	id, again := p.newID(), p.number(2)
	p.set(id, p.number(1), shortTTL)
	p.outlive()
	if err := p.store.Destroy(p.ctx, id); err != nil {
		p.broken("Destroy of an expired record: got the error %v, want nil", err)
	}
	p.set(id, p.number(1), shortTTL)
	p.outlive()
	p.set(id, again, longTTL)
	p.wantKept(id, again, "after expiry and another Set")
}

var contextPromises = []promise{
	{"context cancelled", "with a cancelled context every method returns its error soon", (*probe).contextCancelled},
	{"context deadline", "after the deadline of its context every method returns context.DeadlineExceeded soon", (*probe).contextDeadline},
	{"context ends under way", "when the context ends during a call, the call returns its error or its result, soon", (*probe).contextEnds},
}

// cancelled returns a context that has ended.
func (p *probe) cancelled() context.Context {
	ctx, cancel := context.WithCancel(p.ctx)
	cancel()
	return ctx
}

func (p *probe) contextCancelled() {
	p.wantContextError(p.cancelled(), context.Canceled)
}

func (p *probe) contextDeadline() {
	ctx, cancel := context.WithDeadline(p.ctx, time.Now().Add(-time.Second))
	defer cancel()
	p.wantContextError(ctx, context.DeadlineExceeded)
}

// wantContextError checks that every method refuses to work under a context that has ended.
func (p *probe) wantContextError(ended context.Context, want error) {
	p.Helper()
	id := p.newID()
	p.set(id, p.number(1), longTTL)
	for _, call := range p.calls() {
		start := time.Now()
		err := call.do(ended, id)
		if !errors.Is(err, want) {
			p.broken("%s under a context that has ended: got the error %v, want %v", call.name, err, want)
		}
		if took := time.Since(start); took > soon {
			p.broken("%s under a context that has ended: got an answer after %v, want it within %v", call.name, took, soon)
		}
	}
}

// contextEnds cancels contexts while calls run, at moments that differ from round to round.
func (p *probe) contextEnds() {
	id := p.newID()
	for round := range p.rounds(100) {
		for _, call := range p.calls() {
			ctx, cancel := context.WithTimeout(p.ctx, time.Duration(round)*10*time.Microsecond)
			start := time.Now()
			err := call.do(ctx, id)
			cancel()
			if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, sess.ErrNotFound) {
				p.giveUp("%s under a context that ends: got the error %v, want nil, ErrNotFound or the context's", call.name, err)
			}
			if took := time.Since(start); took > soon {
				p.giveUp("%s under a context that ends: got an answer after %v, want it within %v", call.name, took, soon)
			}
		}
	}
}

// call is one method of the store.
type call struct {
	name string
	do   func(ctx context.Context, id sess.ID) error
}

// calls returns the methods of the store that take a context and give it up when they are done.
func (p *probe) calls() []call {
	r := p.number(1)
	calls := []call{
		{"Get", func(ctx context.Context, id sess.ID) error { _, err := p.store.Get(ctx, id); return err }},
		{"Set", func(ctx context.Context, id sess.ID) error { return p.store.Set(ctx, id, r, longTTL) }},
		{"Destroy", func(ctx context.Context, id sess.ID) error { return p.store.Destroy(ctx, id) }},
	}
	if s, ok := p.store.(sess.Swapper); ok {
		calls = append(calls, call{"Swap", func(ctx context.Context, id sess.ID) error {
			_, err := s.Swap(ctx, id, r, r, longTTL)
			return err
		}})
	}
	if s, ok := p.store.(sess.Refresher); ok {
		calls = append(calls, call{"Refresh", func(ctx context.Context, id sess.ID) error {
			_, err := s.Refresh(ctx, id)
			return err
		}})
	}
	return calls
}
