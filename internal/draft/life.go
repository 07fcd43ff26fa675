package draft

import (
	"cmp"
	"time"

	"github.com/fibersess/sess/internal/record"
)

// DefaultTTL is how long a session lives that nothing else gives an end. MaxTTL bounds every TTL.
const (
	DefaultTTL = 24 * time.Hour
	MaxTTL     = 100 * 365 * 24 * time.Hour
)

// Span is the one answer to when a session ends: the record, the store's TTL and the cookie all get it.
type Span struct {
	Ends int64         // Unix milliseconds
	TTL  time.Duration // until Ends; zero or negative: the session is over
}

// Terms are what a session's end follows from. Each is zero where it is not set.
type Terms struct {
	Life     time.Duration // of the session itself, see Session.Remember
	TTL      time.Duration // of the Config, or of its function
	Expires  time.Time     // of the session's own cookie options
	MaxAge   time.Duration // of the session's cookie options
	Lifetime time.Duration // counted from Begin
	Begin    int64         // of the session, or of its login, in Unix milliseconds
}

// Span resolves when a session of these terms ends that is saved at now. Life beats TTL, that beats Expires,
// that beats MaxAge, that beats the default. Lifetime bounds them all.
func (t Terms) Span(now time.Time) Span {
	ms := now.UnixMilli()
	ends := int64(0)
	switch {
	case t.Life > 0:
		ends = ms + milliseconds(min(t.Life, MaxTTL))
	case t.TTL != 0:
		ends = ms + milliseconds(min(t.TTL, MaxTTL))
	case !t.Expires.IsZero(): // It may be anything, also what no number of milliseconds holds.
		switch latest := now.Add(MaxTTL); {
		case t.Expires.Before(now):
			ends = ms
		case t.Expires.After(latest):
			ends = latest.UnixMilli()
		default:
			ends = t.Expires.UnixMilli()
		}
	case t.MaxAge != 0:
		ends = ms + milliseconds(min(t.MaxAge, MaxTTL))
	default:
		ends = ms + DefaultTTL.Milliseconds()
	}
	if begin := t.Begin; t.Lifetime > 0 {
		if begin == 0 { // Not known: it begins now.
			begin = ms
		}
		ends = min(ends, begin+t.Lifetime.Milliseconds())
	}
	return Until(now, ends)
}

// Until is the span from now to ends, in Unix milliseconds. It is empty if ends is past, and its TTL is at most MaxTTL: a
// record may say that it ends in the year 9999.
func Until(now time.Time, ends int64) Span {
	left := min(max(ends-now.UnixMilli(), 0), MaxTTL.Milliseconds())
	return Span{Ends: ends, TTL: time.Duration(left) * time.Millisecond}
}

// Rest is the span that r has left at now, whose end does not move. It is not empty.
func Rest(now time.Time, r *record.Record) Span {
	if r == nil || r.EndsMS() == 0 { // Foreign, and its store does not tell.
		return Span{Ends: now.Add(DefaultTTL).UnixMilli(), TTL: DefaultTTL}
	}
	s := Until(now, r.EndsMS())
	s.TTL = max(s.TTL, time.Millisecond)
	return s
}

// milliseconds returns d in milliseconds, rounded up: what is positive is not nothing.
func milliseconds(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

// Over reports whether r has ended at now, by its own end or by the bound on its life.
func Over(r *record.Record, now time.Time, lifetime time.Duration) bool {
	ms := now.UnixMilli()
	if ends := r.EndsMS(); ends != 0 && ends <= ms {
		return true
	}
	if lifetime <= 0 {
		return false
	}
	begin := cmp.Or(r.LoginMS(), r.CreatedMS())
	return begin != 0 && begin+lifetime.Milliseconds() <= ms
}

// Due reports whether a session that ends at ends is to be moved to s: s is later, by at least the given part of its TTL.
func (s Span) Due(ends int64, threshold float64) bool {
	if s.TTL <= 0 || s.Ends < ends {
		return false
	}
	return ends == 0 || threshold == 0 || float64(s.Ends-ends) >= threshold*float64(s.TTL.Milliseconds())
}
