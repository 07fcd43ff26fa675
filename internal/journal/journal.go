// Package journal writes to the log what an operator must hear of although no hook is set.
package journal

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Journal is a log in which each kind of line is written at most once a second, so that a failing store does not fill the
// disk as well. It is safe for concurrent use.
type Journal struct {
	logger *slog.Logger
	last   sync.Map // of a kind of line: its time, *atomic.Int64 in Unix nanoseconds
}

// New returns a Journal that writes to logger.
func New(logger *slog.Logger) *Journal { return &Journal{logger: logger} }

// Failing says that something failed, and of what operation.
func (j *Journal) Failing(what, op string, err error) {
	entry, _ := j.last.LoadOrStore(what+op, new(atomic.Int64))
	last, now := entry.(*atomic.Int64), time.Now().UnixNano()
	if before := last.Load(); now-before < int64(time.Second) || !last.CompareAndSwap(before, now) {
		return
	}
	j.logger.Error("sess: "+what, "op", op, "err", err)
}

// Once warns of something that is true for as long as the program runs, the first time it is called for it.
func (j *Journal) Once(what string, args ...any) {
	if _, said := j.last.LoadOrStore(what, nil); !said {
		j.logger.Warn("sess: "+what, args...)
	}
}
