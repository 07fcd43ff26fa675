package tally

import (
	"iter"
	"reflect"
)

// What a manager counts, by place. What Stats tells as a part of another count is counted apart here, and added in Stats: then the
// difference of the two never falls, whenever Stats is called. Those of nearly every request come first, so that they share a cache line.
const (
	Loaded = iota
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
)

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
		Loaded:        t.Sum(Loaded),
		Created:       t.Sum(Created),
		Saved:         t.Sum(Saved),
		Touched:       t.Sum(Touched),
		Merged:        t.Sum(Merged),
		Dropped:       t.Sum(Dropped),
		Destroyed:     t.Sum(Destroyed),
		Displaced:     t.Sum(Displaced),
		Regenerated:   t.Sum(Regenerated),
		Rejected:      t.Sum(Refused),
		BadSignatures: t.Sum(BadSignatures),
		Unknown:       t.Sum(Unknown),
		Corrupt:       t.Sum(Corrupt),
		Expired:       t.Sum(Expired),
		StoreErrors:   t.Sum(Failed),
		Conflicts:     t.Sum(Conflicts),
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
