// Package tally counts what happens to the sessions of a manager.
package tally

import (
	"iter"
	"reflect"
	"sync/atomic"
)

// Counter is one count, by place. What Stats tells as a part of another count is counted apart here, and added in Stats: then
// the difference of the two never falls, whenever Stats is called. Those of nearly every request come first, so that they share a cache line.
type Counter int

const (
	Loaded Counter = iota
	Saved
	Touched
	Created
	Merged
	Destroyed
	Regenerated
	Expired
	Dropped
	Displaced
	Failed // of the store, but for conflicts
	Conflicts
	Refused // rejected for another reason than the next three
	BadSignatures
	Unknown
	Corrupt
	counters
)

// Tally counts without making the cores fight for one cache line: each pooled request keeps to one stripe, and the pool
// hands requests out by core. It is safe for concurrent use.
type Tally struct {
	next    atomic.Uint32
	stripes [16]struct {
		n [counters]atomic.Uint64
		_ [(128 - 8*(counters%16)) % 128]byte
	}
}

// Stripe gives a new request its place.
func (t *Tally) Stripe() uint32 { return t.next.Add(1) % uint32(len(t.stripes)) }

// Add counts one more of c.
func (t *Tally) Add(stripe uint32, c Counter) { t.stripes[stripe].n[c].Add(1) }

func (t *Tally) sum(c Counter) (n uint64) {
	for i := range t.stripes {
		n += t.stripes[i].n[c].Load()
	}
	return n
}

// Stats has the fields of the root's Stats, which says what they mean: each converts to the other.
type Stats struct {
	Loaded, Created, Saved, Touched, Merged, Dropped, Destroyed, Displaced, Regenerated uint64
	Rejected, BadSignatures, Unknown, Corrupt                                           uint64
	Expired, StoreErrors, Conflicts                                                     uint64

	Lives int
}

// Stats returns the counts of this moment, beside what is not counted here.
func (t *Tally) Stats(lives int) Stats {
	s := Stats{
		Lives:         lives,
		Loaded:        t.sum(Loaded),
		Created:       t.sum(Created),
		Saved:         t.sum(Saved),
		Touched:       t.sum(Touched),
		Merged:        t.sum(Merged),
		Dropped:       t.sum(Dropped),
		Destroyed:     t.sum(Destroyed),
		Displaced:     t.sum(Displaced),
		Regenerated:   t.sum(Regenerated),
		Rejected:      t.sum(Refused),
		BadSignatures: t.sum(BadSignatures),
		Unknown:       t.sum(Unknown),
		Corrupt:       t.sum(Corrupt),
		Expired:       t.sum(Expired),
		StoreErrors:   t.sum(Failed),
		Conflicts:     t.sum(Conflicts),
	}
	s.Destroyed += s.Displaced
	s.Rejected += s.BadSignatures + s.Unknown + s.Corrupt
	s.StoreErrors += s.Conflicts
	return s
}

// Each yields the name and the number of each field of a struct of numbers and bools, in their order; true is 1.
func Each(stats any) iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		v := reflect.ValueOf(stats)
		for i := range v.NumField() {
			if !yield(v.Type().Field(i).Name, number(v.Field(i))) {
				return
			}
		}
	}
}

func number(v reflect.Value) int64 {
	switch {
	case v.CanUint():
		return int64(v.Uint())
	case v.CanInt():
		return v.Int()
	case v.Bool():
		return 1
	}
	return 0
}
