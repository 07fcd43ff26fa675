package near

import "time"

const (
	// tickEvery is the time between two ticks, or an eighth of MaxStale if that is less.
	tickEvery = 125 * time.Millisecond

	// sweepWithin is how long it takes until each entry was looked at whether it still serves.
	sweepWithin = 4 * time.Second
)

// Mono returns the instant t on the monotonic clock of leases, in nanoseconds.
func (c *Cache) Mono(t time.Time) int64 { return int64(t.Sub(c.start)) }

// present returns what the clock of Mono shows, up to one tick late. now is an instant that the caller has at hand, for
// example when its request arrived: if the clock has ticked since then, the system's clock is asked. Asking it each time
// would be simpler, and takes 20 to 250 ns, as long as the rest of a look-up.
func (c *Cache) present(now time.Time) int64 {
	mono := c.Mono(now)
	if mono < c.tick.Load() {
		mono = max(mono, c.Mono(time.Now()))
	}
	return mono
}

// period is the time between two ticks.
func (c *Cache) period() time.Duration { return min(tickEvery, c.hold/8) }

// served is how long after it was asked for an answer may be served: what is served within a tick of its end is served
// before MaxStale.
func (c *Cache) served() int64 { return int64(c.hold - c.period()) }

// Prove notes that every report from before sent, on the clock of Mono, has arrived on the connection of l.
func (c *Cache) Prove(l *Lease, sent int64) { l.extend(sent + c.served()) }

// Run makes the clock tick, and removes entries that serve nobody any more, until done is closed.
func (c *Cache) Run(done <-chan struct{}) {
	period := c.period()
	ticks := int(max(1, sweepWithin/period)) // in which all shards are swept
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		now := time.Now()
		c.tick.Store(c.Mono(now))
		for i := n % ticks; i < len(c.shards); i += ticks {
			c.sweep(&c.shards[i], now)
		}
	}
}
