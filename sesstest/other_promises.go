package sesstest

import (
	"errors"
	"runtime"
	"time"

	"github.com/fibersess/sess"
)

var peekPromises = []promise{
	{"Peek", "Peek returns the current record or nothing", (*probe).peek},
	{"Peek ends", "Peek serves no record at an instant after its TTL has passed", (*probe).peekEnds},
	{"Peek allocates nothing", "Peek does not allocate", (*probe).peekAllocatesNothing},
}

// wantPeek checks that Peek returns nothing or, if want is not nil, want.
func (p *probe) wantPeek(id sess.ID, want *sess.Record, when string) {
	p.Helper()
	got, ok := p.store.(sess.Peeker).Peek(id, time.Now())
	switch {
	case !ok && got != nil:
		p.broken("Peek %s: got %s and false, want nil and false", when, show(got))
	case ok && (got == nil || want == nil || got.JSON() != want.JSON()):
		p.broken("Peek %s: got %s, want %s, or nothing", when, show(got), show(want))
	}
}

func (p *probe) peek() {
	id := p.newID()
	p.wantPeek(id, nil, "of an id that was never stored")
	p.set(id, p.number(1), longTTL)
	p.wantPeek(id, p.number(1), "after Set")
	p.wantKept(id, p.number(1), "after Set")
	p.wantPeek(id, p.number(1), "after Get")
	p.set(id, p.number(2), longTTL)
	p.wantPeek(id, p.number(2), "after one's own second Set")
	if _, ok := p.store.(sess.Swapper); ok {
		p.wantKept(id, p.number(2), "after Set")
		p.wantWon(id, p.number(2), p.number(3), longTTL, "Swap(old, next)")
		p.wantPeek(id, p.number(3), "after one's own Swap")
	} else {
		p.set(id, p.number(3), longTTL)
	}
	p.wantKept(id, p.number(3), "after the last write")
	p.destroy(id)
	p.wantPeek(id, nil, "after one's own Destroy")
}

func (p *probe) peekEnds() {
	id := p.newID()
	p.set(id, p.number(1), longTTL)
	p.wantKept(id, p.number(1), "after Set")
	if r, ok := p.store.(sess.Peeker).Peek(id, time.Now().Add(longTTL+early)); ok {
		p.broken("Peek with an instant after the end: got %s, want nothing", show(r))
	}
	p.set(id, p.number(2), shortTTL)
	p.outlive()
	p.wantPeek(id, nil, "of an expired record")
}

// peekAllocatesNothing takes the least of several counts: the process may have other goroutines that allocate.
func (p *probe) peekAllocatesNothing() {
	const calls = 100
	id, peeker, now := p.newID(), p.store.(sess.Peeker), time.Now()
	p.set(id, p.number(1), longTTL)
	p.wantKept(id, p.number(1), "after Set")
	least := ^uint64(0)
	for range 10 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range calls {
			peeker.Peek(id, now)
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	if least >= calls {
		p.broken("%d calls of Peek: got %d allocations, want 0", calls, least)
	}
}

var refreshPromises = []promise{
	{"Refresh", "Refresh returns what Get does, as the server has it", (*probe).refresh},
}

func (p *probe) refresh() {
	id, refresher := p.newID(), p.store.(sess.Refresher)
	gone := func(when string) {
		p.Helper()
		if r, err := refresher.Refresh(p.ctx, id); r != nil || !errors.Is(err, sess.ErrNotFound) {
			p.broken("Refresh %s: got (%s, %v), want (nil, ErrNotFound)", when, show(r), err)
		}
	}
	gone("of an id that was never stored")
	for n := range 3 {
		p.set(id, p.number(n), longTTL)
		r, err := refresher.Refresh(p.ctx, id)
		if err != nil || r == nil || r.JSON() != p.number(n).JSON() {
			p.broken("Refresh after Set: got (%s, %v), want %s", show(r), err, show(p.number(n)))
		}
		p.wantKept(id, p.number(n), "after Refresh")
	}
	p.destroy(id)
	gone("after Destroy")
	p.set(id, p.number(9), shortTTL)
	p.outlive()
	gone("of an expired record")
}
