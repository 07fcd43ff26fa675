package near

import "sync/atomic"

// counters count what is rare enough to be counted in one place.
type counters struct {
	misses, joined, stale, poisoned, reports, flushes, evicted atomic.Uint64
}

// Flushed counts the loss of all that was read on one connection.
func (c *Cache) Flushed() { c.count.flushes.Add(1) }

// Stats has the fields of the root's RueidisStats, which says what they mean: each converts to the other.
type Stats struct {
	Hits          uint64
	Misses        uint64
	Joined        uint64
	Stale         uint64
	Poisoned      uint64
	Invalidations uint64
	Flushes       uint64
	Evicted       uint64

	NearCache bool
	Reports   bool
	Entries   int
	Bytes     int64
	InFlight  int
}

// AddTo fills in all but InFlight.
func (c *Cache) AddTo(stats *Stats) {
	stats.NearCache, stats.Reports = true, c.Reports()
	stats.Misses = c.count.misses.Load()
	stats.Joined = c.count.joined.Load()
	stats.Stale = c.count.stale.Load()
	stats.Poisoned = c.count.poisoned.Load()
	stats.Invalidations = c.count.reports.Load()
	stats.Flushes = c.count.flushes.Load()
	stats.Evicted = c.count.evicted.Load()
	for i := range c.shards {
		s := &c.shards[i]
		stats.Hits += s.hits.Load()
		s.mu.Lock()
		stats.Entries += s.entries
		stats.Bytes += s.bytes
		s.mu.Unlock()
	}
}
