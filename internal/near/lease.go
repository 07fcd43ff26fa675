package near

import (
	"math"
	"sync/atomic"
)

// Lease says until when the records that were read on a connection may be served without asking.
//
// A server sends reports and replies in one stream. So the reply to a heartbeat that was sent at instant t proves that
// every report from before t has arrived, and the lease then holds until t + MaxStale: whatever happens to the connection,
// the server or this process, no record is served that was replaced more than MaxStale ago. When the connection is lost,
// or forgets what it told the server to report, its lease is over and it gets another.
//
// A lease is in one of three states: new, until its first heartbeat; proven, from then on, whether it holds or not; over.
type Lease struct{ until atomic.Int64 } // nanoseconds on the clock of Cache.Mono, or one of the two below

const (
	leaseNew  = 0
	leaseOver = math.MinInt64
)

// always is the lease of what no server reports.
var always = func() *Lease {
	l := new(Lease)
	l.until.Store(math.MaxInt64)
	return l
}()

func (l *Lease) holds(mono int64) bool { return mono < l.until.Load() }

func (l *Lease) over() bool { return l.until.Load() == leaseOver }

// End makes the lease one that never holds again.
func (l *Lease) End() { l.until.Store(leaseOver) }

// reported returns l, or nil if no change of what was read under l is reported.
func (l *Lease) reported() *Lease {
	if l == always {
		return nil
	}
	return l
}

// extend makes the lease hold until the given instant, unless it is over or holds longer.
func (l *Lease) extend(until int64) {
	for {
		old := l.until.Load()
		if old == leaseOver || old >= until || l.until.CompareAndSwap(old, until) {
			return
		}
	}
}

// New reports whether no heartbeat has proven the lease yet.
func (l *Lease) New() bool { return l.until.Load() == leaseNew }

// Blind reports whether no change of what was read under the lease would be reported; nil is no lease. A new lease is not
// blind: its connection was just made.
func (l *Lease) Blind(mono int64) bool { return l == nil || !l.New() && !l.holds(mono) }
