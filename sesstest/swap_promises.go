package sesstest

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/fibersess/sess"
)

var swapPromises = []promise{
	{"Swap creates", "Swap(nil, next) stores next if nothing is kept under the id", (*probe).swapCreates},
	{"Swap creates only", "Swap(nil, next) leaves what is there and returns it", (*probe).swapCreatesOnly},
	{"Swap over expired", "Swap(nil, next) stores next where a record has expired or was destroyed", (*probe).swapOverExpired},
	{"Swap replaces", "Swap(old, next) stores next if the store holds the bytes of old", (*probe).swapReplaces},
	{"Swap lost", "a Swap that lost changes nothing and returns what is there", (*probe).swapLost},
	{"Swap gone", "Swap(old, next) where nothing is kept returns ErrNotFound, and the session stays gone", (*probe).swapGone},
	{"Swap expired", "an expired record is gone for Swap too", (*probe).swapExpired},
	{"Swap destroys", "Swap(old, nil) destroys if the store holds the bytes of old", (*probe).swapDestroys},
	{"Swap destroy lost", "Swap(old, nil) leaves a record that is not old and returns it", (*probe).swapDestroyLost},
	{"Swap renews", "Swap(old, old) renews the TTL", (*probe).swapRenews},
	{"Swap sets TTL", "a Swap that won sets the TTL, one that lost does not", (*probe).swapSetsTTL},
	{"Swap bytes", "Swap compares and returns records byte for byte", (*probe).swapBytes},
	{"Swap counts", "parallel Swaps of one session lose no update", (*probe).swapCounts},
	{"Swap one creator", "of parallel Swaps that create one session, one wins and the others get its record", (*probe).swapOneCreator},
	{"Swap one destroyer", "of parallel Swaps that destroy one record, one wins and the others get ErrNotFound", (*probe).swapOneDestroyer},
}

// swap calls Swap.
func (p *probe) swap(id sess.ID, old, next *sess.Record, ttl time.Duration) (*sess.Record, error) {
	return p.store.(sess.Swapper).Swap(p.ctx, id, old, next, ttl)
}

// wantWon calls Swap, which must do what it is asked. That it returns next itself is how a caller knows.
func (p *probe) wantWon(id sess.ID, old, next *sess.Record, ttl time.Duration, what string) {
	p.Helper()
	current, err := p.swap(id, old, next, ttl)
	if err != nil || current != next {
		p.giveUp("%s: got (%s, %v), want the very record it was given as next, and no error", what, show(current), err)
	}
}

// wantLost calls Swap, which must find that current is there.
func (p *probe) wantLost(id sess.ID, old, next, want *sess.Record, what string) {
	p.Helper()
	got, err := p.swap(id, old, next, longTTL)
	switch {
	case err != nil || got == nil || got.JSON() != want.JSON():
		p.giveUp("%s: got (%s, %v), want what is there, %s, and no error", what, show(got), err, show(want))
	case got == next:
		p.giveUp("%s: got next itself, which says that it won, want another record", what)
	}
}

// wantMissed calls Swap, which must find nothing.
func (p *probe) wantMissed(id sess.ID, old, next *sess.Record, what string) {
	p.Helper()
	got, err := p.swap(id, old, next, longTTL)
	if got != nil || !errors.Is(err, sess.ErrNotFound) {
		p.giveUp("%s: got (%s, %v), want (nil, ErrNotFound)", what, show(got), err)
	}
}

func (p *probe) swapCreates() {
	id, first := p.newID(), p.number(1)
	p.wantWon(id, nil, first, longTTL, "Swap(nil, next) on a free id")
	p.wantKept(id, first, "after Swap created it")
}

func (p *probe) swapCreatesOnly() {
	id, first := p.newID(), p.number(1)
	p.set(id, first, longTTL)
	p.wantLost(id, nil, p.number(2), first, "Swap(nil, next) where a record is kept")
	p.wantLost(id, nil, p.number(1), first, "Swap(nil, next) where equal bytes are kept")
	p.wantKept(id, first, "after Swap(nil, next) lost")
}

func (p *probe) swapOverExpired() {
	expired, destroyed := p.newID(), p.newID()
	p.set(expired, p.number(1), shortTTL)
	p.set(destroyed, p.number(1), longTTL)
	p.destroy(destroyed)
	p.outlive()
	for when, id := range map[string]sess.ID{"an expired": expired, "a destroyed": destroyed} {
		next := p.number(2)
		p.wantWon(id, nil, next, longTTL, "Swap(nil, next) over "+when+" record")
		p.wantKept(id, next, "after Swap(nil, next) over "+when+" record")
	}
}

func (p *probe) swapReplaces() {
	id := p.newID()
	p.set(id, p.number(0), longTTL)
	for n := range 5 {
		// The old record is made anew: its bytes count, not where it came from.
		next := p.number(n + 1)
		p.wantWon(id, p.number(n), next, longTTL, "Swap(old, next) where old is kept")
		p.wantKept(id, next, "after Swap(old, next)")
	}
	p.set(id, p.number(100), longTTL)
	p.wantWon(id, p.number(100), p.number(101), longTTL, "Swap(old, next) after a Set")
}

func (p *probe) swapLost() {
	id, kept := p.newID(), p.number(2)
	p.set(id, kept, longTTL)
	p.wantLost(id, p.number(1), p.number(3), kept, "Swap(old, next) where something else is kept")
	p.wantKept(id, kept, "after Swap(old, next) lost")
	p.wantLost(id, p.record(`{"n": 2}`), p.number(3), kept, "Swap(old, next) where old differs by a space")
	p.wantLost(id, p.number(1), p.number(2), kept, "Swap(old, next) where the bytes of next are kept already")
	p.wantLost(id, p.number(1), p.number(1), kept, "Swap(old, old) where something else is kept")
	p.wantKept(id, kept, "after every Swap lost")
	p.wantWon(id, kept, p.number(3), longTTL, "Swap(current, next) with what the lost one returned")
}

func (p *probe) swapGone() {
	never, destroyed, r := p.newID(), p.newID(), p.number(1)
	p.set(destroyed, r, longTTL)
	p.destroy(destroyed)
	for when, id := range map[string]sess.ID{"never stored": never, "destroyed": destroyed} {
		p.wantMissed(id, r, p.number(2), "Swap(old, next) of a session "+when)
		p.wantMissed(id, r, r, "Swap(old, old) of a session "+when)
		p.wantMissed(id, r, nil, "Swap(old, nil) of a session "+when)
		p.wantGone(id, "after Swap of a session "+when)
	}
}

func (p *probe) swapExpired() {
	id, r := p.newID(), p.number(1)
	p.set(id, r, shortTTL)
	p.outlive()
	p.wantMissed(id, r, r, "Swap(old, old) of an expired session")
	p.wantMissed(id, r, p.number(2), "Swap(old, next) of an expired session")
	p.wantMissed(id, r, nil, "Swap(old, nil) of an expired session")
	p.wantGone(id, "after Swap of an expired session")
}

func (p *probe) swapDestroys() {
	id := p.newID()
	p.set(id, p.number(1), longTTL)
	// The TTL is ignored, so none need be given.
	p.wantWon(id, p.number(1), nil, 0, "Swap(old, nil) where old is kept")
	p.wantGone(id, "after Swap(old, nil)")
	p.wantWon(id, nil, p.number(2), longTTL, "Swap(nil, next) after Swap(old, nil)")
}

func (p *probe) swapDestroyLost() {
	id, kept := p.newID(), p.number(2)
	p.set(id, kept, longTTL)
	p.wantLost(id, p.number(1), nil, kept, "Swap(old, nil) where something else is kept")
	p.wantKept(id, kept, "after Swap(old, nil) lost")
}

func (p *probe) swapRenews() {
	id, r := p.newID(), p.number(1)
	p.set(id, r, shortTTL)
	current, err := p.swap(id, p.number(1), r, longTTL)
	if errors.Is(err, sess.ErrNotFound) {
		p.Skipf("the store took longer than %v for two calls", shortTTL)
	}
	if err != nil || current != r {
		p.giveUp("Swap(old, old): got (%s, %v), want the very record it was given, and no error", show(current), err)
	}
	p.outlive()
	p.wantKept(id, r, "after Swap(old, old) with a long TTL, when the short one has passed")
}

func (p *probe) swapSetsTTL() {
	created, replaced, renewed, lost := p.newID(), p.newID(), p.newID(), p.newID()
	old := p.number(1)
	for _, id := range []sess.ID{replaced, renewed, lost} {
		p.set(id, old, longTTL)
	}
	start := time.Now()
	p.wantWon(created, nil, p.number(2), shortTTL, "Swap(nil, next) with a short TTL")
	p.wantWon(replaced, old, p.number(2), shortTTL, "Swap(old, next) with a short TTL")
	p.wantWon(renewed, old, old, shortTTL, "Swap(old, old) with a short TTL")
	if current, err := p.swap(lost, p.number(9), p.number(2), shortTTL); err != nil || current == nil {
		p.giveUp("Swap(old, next) where something else is kept: got (%s, %v), want what is there", show(current), err)
	}
	p.wantExpiry(created, start, shortTTL, "of a session created by Swap with a short TTL")
	p.wantExpiry(replaced, start, shortTTL, "of a session replaced by Swap with a short TTL")
	p.wantExpiry(renewed, start, shortTTL, "of a session whose TTL was shortened by Swap(old, old)")
	p.outlive()
	p.wantKept(lost, old, "after a lost Swap with a short TTL")
}

func (p *probe) swapBytes() {
	id := p.newID()
	kept := p.number(0)
	p.set(id, kept, longTTL)
	for name, text := range oddRecords {
		next := p.record(text)
		p.wantLost(id, p.record(`{"other":true}`), p.number(1), kept, "Swap(old, next) before a record with "+name)
		p.wantWon(id, p.record(kept.JSON()), next, longTTL, "Swap(old, next) to a record with "+name)
		p.wantKept(id, next, "after Swap to a record with "+name)
		kept = next
	}
}

// swapCounts counts in one session from 64 goroutines. A goroutine that lost tries again in one of four lanes, as
// programs under contention do: it keeps the number of tries within bounds, and the race stays.
func (p *probe) swapCounts() {
	const goroutines = 64
	each := p.rounds(1000)
	id, zero := p.newID(), p.number(0)
	p.set(id, zero, longTTL)

	lanes := make(chan struct{}, 4)
	p.parallel(goroutines, func(int) {
		current := zero
		for range each {
			var err error
			if current, err = p.increment(id, current, lanes); err != nil {
				p.broken("%v", err)
				return
			}
		}
	})

	r, err := p.store.Get(p.ctx, id)
	if err != nil {
		p.giveUp("Get after all Swaps: got the error %v, want the record", err)
	}
	got, _ := r.Raw("n")
	if want := strconv.Itoa(goroutines * each); got != want {
		p.broken("%d goroutines × %d increments: got %s, want %s", goroutines, each, got, want)
	}
}

// increment adds one to the member n of the session, starting from what the caller believes is there.
func (p *probe) increment(id sess.ID, base *sess.Record, lanes chan struct{}) (*sess.Record, error) {
	waiting := false
	for {
		text, _ := base.Raw("n")
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("a lost Swap: got the record %s, want the one that won", excerpt(base.JSON()))
		}
		next, err := sess.ParseRecord(fmt.Sprintf(`{"n":%d}`, n+1))
		if err != nil {
			return nil, err
		}
		current, err := p.swap(id, base, next, longTTL)
		if err != nil || current == nil {
			return nil, fmt.Errorf("Swap beside others: got (%s, %w), want a record and no error", show(current), err)
		}
		if current == next {
			if waiting {
				<-lanes
			}
			return next, nil
		}
		base = current
		if !waiting {
			lanes <- struct{}{}
			waiting = true
		}
	}
}

func (p *probe) swapOneCreator() {
	const goroutines = 16
	for range p.rounds(50) {
		id := p.newID()
		var winners atomic.Int64
		results := make([]*sess.Record, goroutines)
		p.parallel(goroutines, func(g int) {
			// Every other record has the same bytes: equal is not the same.
			next, err := sess.ParseRecord(fmt.Sprintf(`{"n":%d}`, g/2))
			if err == nil {
				results[g], err = p.swap(id, nil, next, longTTL)
			}
			if err != nil || results[g] == nil {
				p.broken("Swap(nil, next) beside others: got (%s, %v), want a record and no error", show(results[g]), err)
			} else if results[g] == next {
				winners.Add(1)
			}
		})
		if got := winners.Load(); got != 1 {
			p.giveUp("%d parallel Swap(nil, next): got %d winners, want 1", goroutines, got)
		}
		for _, r := range results {
			if r != nil {
				p.wantKept(id, r, "after parallel Swaps, compared with what each returned")
			}
		}
	}
}

func (p *probe) swapOneDestroyer() {
	const goroutines = 16
	for range p.rounds(50) {
		id, r := p.newID(), p.number(1)
		p.set(id, r, longTTL)
		var winners atomic.Int64
		p.parallel(goroutines, func(int) {
			current, err := p.swap(id, r, nil, 0)
			switch {
			case current == nil && err == nil:
				winners.Add(1)
			case current != nil || !errors.Is(err, sess.ErrNotFound):
				p.broken("Swap(old, nil) beside others: got (%s, %v), want (nil, nil) or (nil, ErrNotFound)", show(current), err)
			}
		})
		if got := winners.Load(); got != 1 {
			p.giveUp("%d parallel Swap(old, nil): got %d winners, want 1", goroutines, got)
		}
	}
}

// show returns a record in a message.
func show(r *sess.Record) string {
	if r == nil {
		return "nil"
	}
	return excerpt(r.JSON())
}
