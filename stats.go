package sess

import "sync/atomic"

// Stats are a manager's counts since it was made.
type Stats struct {
	Loaded      uint64 // Records found for a request.
	Created     uint64 // Records stored under a new id, renewals included.
	Saved       uint64 // Records changed.
	Touched     uint64 // Records whose end was moved and nothing else.
	Merged      uint64 // Saves that met a change made meanwhile and kept both.
	Dropped     uint64 // Changes that were not stored, see Hooks.Dropped.
	Destroyed   uint64 // Records removed by Destroy.
	Regenerated uint64 // Sessions that moved to a new id.
	Rejected    uint64 // Requests whose id or signature gave no session.
	Expired     uint64 // Records met after their own end.
	StoreErrors uint64 // Failed store operations.
}

// counter is one field of Stats, by place.
type counter int

const (
	countLoaded counter = iota
	countCreated
	countSaved
	countTouched
	countMerged
	countDropped
	countDestroyed
	countRegenerated
	countRejected
	countExpired
	countStoreErrors
	counters
)

// tally counts without making the cores fight for one cache line: each pooled state keeps to one stripe, and the pool
// hands states out by core.
type tally struct {
	next    atomic.Uint32
	stripes [16]struct {
		n [counters]atomic.Uint64
		_ [128 - 8*(counters%16)]byte
	}
}

// stripe gives a new state its place.
func (t *tally) stripe() uint32 { return t.next.Add(1) % uint32(len(t.stripes)) }

func (t *tally) add(stripe uint32, c counter) { t.stripes[stripe].n[c].Add(1) }

func (t *tally) sum(c counter) (n uint64) {
	for i := range t.stripes {
		n += t.stripes[i].n[c].Load()
	}
	return n
}

// Stats returns the counts of this moment. It may be called at any time.
func (m *Manager) Stats() Stats {
	t := &m.tally
	return Stats{
		Loaded:      t.sum(countLoaded),
		Created:     t.sum(countCreated),
		Saved:       t.sum(countSaved),
		Touched:     t.sum(countTouched),
		Merged:      t.sum(countMerged),
		Dropped:     t.sum(countDropped),
		Destroyed:   t.sum(countDestroyed),
		Regenerated: t.sum(countRegenerated),
		Rejected:    t.sum(countRejected),
		Expired:     t.sum(countExpired),
		StoreErrors: t.sum(countStoreErrors),
	}
}
