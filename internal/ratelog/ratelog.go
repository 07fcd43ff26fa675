// Package ratelog writes to the log what an operator must hear of although no hook is set.
package ratelog

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Log is a log in which each kind of line is written at most once a second, so that a failing store does not fill the
// disk as well. It is safe for concurrent use.
type Log struct {
	logger *slog.Logger
	last   sync.Map // of a kind of line: its time, *atomic.Int64 in Unix nanoseconds
}

// New returns a Log that writes to logger.
func New(logger *slog.Logger) *Log { return &Log{logger: logger} }

// Failing says that something failed, and of what operation.
func (l *Log) Failing(what, op string, err error) {
	entry, _ := l.last.LoadOrStore(what+op, new(atomic.Int64))
	last, now := entry.(*atomic.Int64), time.Now().UnixNano()
	if before := last.Load(); now-before < int64(time.Second) || !last.CompareAndSwap(before, now) {
		return
	}
	l.logger.Error("sess: "+what, "op", op, "err", err)
}

// Once warns of something that is true for as long as the program runs, the first time it is called for it.
func (l *Log) Once(what string, args ...any) {
	if _, said := l.last.LoadOrStore(what, nil); !said {
		l.logger.Warn("sess: "+what, args...)
	}
}
