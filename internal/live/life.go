// Package live is what goes on when a request is over: how long a session lives for who watches it, by what is heard of
// it, and how a store is asked that reports nothing.
package live

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/record"
)

// Life is one session as somebody watches it, until it ends for him. It is safe for concurrent use, costs no goroutine, and
// begins with [Life.Begin].
type Life struct {
	set     *Set
	silence time.Duration
	ctx     context.Context
	cancel  context.CancelCauseFunc

	mu     sync.Mutex
	stop   func()      // of the watch; nil: it is not there yet, or the Life has ended
	timer  *time.Timer // runs until the Life must end if nothing is heard
	ends   time.Time   // of the session; zero: unknown
	silent time.Time   // since when the store cannot tell; zero: it can
	reason error       // why it cannot
	ended  bool
}

// Begin begins the life, of which nothing is heard yet. It ends when the store cannot tell for longer than silence.
func (l *Life) Begin(set *Set, silence time.Duration) {
	l.set, l.silence = set, silence
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
}

// Context ends with the life, whose end is its cause.
func (l *Life) Context() context.Context { return l.ctx }

// Watched notes how to stop the watch, and counts l among its set until it ends. The error is why it has ended already: then
// the watch was stopped.
func (l *Life) Watched(stop func()) error {
	l.mu.Lock()
	if !l.ended && l.set.add(l) {
		l.stop = stop
		l.mu.Unlock()
		return nil
	}
	l.mu.Unlock()
	stop()
	l.End(record.ErrClosed)
	return context.Cause(l.ctx)
}

// Hear is told what the store keeps, or that it keeps nothing, or cannot tell.
func (l *Life) Hear(r *record.Record, err error) {
	switch {
	case err == nil && r.Tombstone():
		l.End(record.ErrRenewed)
	case err == nil && !r.Live(), errors.Is(err, record.ErrCorrupt):
		l.End(record.ErrEnded)
	case err == nil:
		l.goOn(r.Expires())
	case errors.Is(err, record.ErrNotFound):
		l.End(l.gone())
	case errors.Is(err, record.ErrClosed):
		l.End(record.ErrClosed)
	default:
		l.deaf(err)
	}
}

// gone tells an end by time from any other.
func (l *Life) gone() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ends.IsZero() && !time.Now().Before(l.ends) {
		return record.ErrExpired
	}
	return record.ErrEnded
}

// goOn notes when the session ends that the store keeps.
func (l *Life) goOn(ends time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends, l.silent, l.reason = ends, time.Time{}, nil
	l.wait()
}

// deaf notes that the store cannot tell.
func (l *Life) deaf(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.silent.IsZero() {
		l.silent = time.Now()
	}
	l.reason = err
	l.wait()
}

// until is when the life must end if nothing more is heard, and the reason; zero: never. The lock is held.
func (l *Life) until() (at time.Time, why error) {
	at, why = l.ends, record.ErrExpired
	if !l.silent.IsZero() {
		if deaf := l.silent.Add(l.silence); at.IsZero() || deaf.Before(at) {
			at, why = deaf, l.reason
		}
	}
	return at, why
}

// wait sets the timer. The lock is held.
func (l *Life) wait() {
	at, _ := l.until()
	switch {
	case l.ended:
	case at.IsZero():
		if l.timer != nil {
			l.timer.Stop()
		}
	case l.timer == nil:
		l.timer = time.AfterFunc(time.Until(at), l.due)
	default:
		l.timer.Reset(time.Until(at))
	}
}

// due is called when the timer has run out. Something may have been heard meanwhile.
func (l *Life) due() {
	l.mu.Lock()
	at, why := l.until()
	due := !at.IsZero() && !time.Now().Before(at)
	if !due {
		l.wait()
	}
	l.mu.Unlock()
	if due {
		l.End(why)
	}
}

// End ends the life, once.
func (l *Life) End(cause error) {
	l.mu.Lock()
	stop := l.stop
	again := l.ended
	l.ended, l.stop = true, nil
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	if again {
		return
	}
	if stop != nil {
		stop()
		l.set.remove(l)
	}
	l.cancel(cause)
}

// Set are the lives that end together. The zero Set is empty and ready; it is safe for concurrent use.
type Set struct {
	mu   sync.Mutex
	all  map[*Life]struct{}
	shut bool
}

// Len returns how many live.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// Closed reports whether Close was called.
func (s *Set) Closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shut
}

// Close ends all with [record.ErrClosed], and whatever is added later.
func (s *Set) Close() {
	s.mu.Lock()
	all := s.all
	s.all, s.shut = nil, true
	s.mu.Unlock()
	for l := range all {
		l.End(record.ErrClosed)
	}
}

// add reports whether l was added: not to a closed set.
func (s *Set) add(l *Life) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return false
	}
	if s.all == nil {
		s.all = map[*Life]struct{}{}
	}
	s.all[l] = struct{}{}
	return true
}

func (s *Set) remove(l *Life) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, l)
}
