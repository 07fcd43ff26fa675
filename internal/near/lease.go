package near

import (
	"math"
	"sync/atomic"
)

// leaseOver marks a lease that never holds again.
const leaseOver = math.MinInt64

// Lease says until when the records that were read on a connection may be served without asking.
//
// A server sends invalidations and replies in one stream. So the reply to a heartbeat that was sent at instant t proves
// that every invalidation from before t has arrived, and the lease then holds until t + MaxStale: whatever happens to
// the connection, the server or this process, no record is served that was replaced more than MaxStale ago. When the
// connection is lost, or forgets what it told the server to watch, its lease is over and it gets another.
type Lease struct{ until atomic.Int64 } // nanoseconds on the clock of nearCache.mono

func (l *Lease) holds(mono int64) bool { return mono < l.until.Load() }

func (l *Lease) over() bool { return l.until.Load() == leaseOver }

func (l *Lease) End() { l.until.Store(leaseOver) }

// Extend makes the lease hold until the given instant, unless it is over or holds longer.
func (l *Lease) Extend(until int64) {
	for {
		old := l.until.Load()
		if old == leaseOver || old >= until || l.until.CompareAndSwap(old, until) {
			return
		}
	}
}

// Began reports whether the lease has held for anything yet, or is over.
func (l *Lease) Began() bool { return l.until.Load() != 0 }

// Blind reports whether no change of what was read under the lease would be reported; nil is no lease. One on a connection
// that was just made is not blind, though it holds for nothing before its first heartbeat.
func (l *Lease) Blind(mono int64) bool { return l == nil || l.over() || !l.holds(mono) && l.Began() }
