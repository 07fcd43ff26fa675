// Package tally counts what many processors count at once.
package tally

import "sync/atomic"

// Counts is how many counts a Tally has.
const Counts = 16

// Tally is a row of counts. It is made of stripes, so that processors do not fight for one cache line: what is added at
// the same time is best added to different ones. It is safe for concurrent use.
type Tally struct {
	next    atomic.Uint32
	stripes [16][Counts]atomic.Uint64 // each of two cache lines
}

// Stripe returns the stripe for one more of those who count, in turn.
func (t *Tally) Stripe() uint32 { return t.next.Add(1) }

// Add adds one to count c. Any number is a stripe.
func (t *Tally) Add(stripe uint32, c int) { t.stripes[stripe%uint32(len(t.stripes))][c].Add(1) }

// Sum returns count c.
func (t *Tally) Sum(c int) (n uint64) {
	for i := range t.stripes {
		n += t.stripes[i][c].Load()
	}
	return n
}
