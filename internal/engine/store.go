package engine

import (
	"context"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/users"
)

// Store is what a store can do, each ability apart, in the words of the rooms below: nil is an ability that it lacks. The
// root says what the methods promise.
type Store struct {
	Keeper
	Swapper   Swapper
	Peeker    Peeker
	Refresher Refresher
	Ender     Ender
	Watcher   Watcher
	Index     users.Index
	Local     bool // no method waits for I/O
}

// The abilities of a store.
type (
	Keeper interface {
		Get(ctx context.Context, id ident.ID) (*record.Record, error)
		Set(ctx context.Context, id ident.ID, r *record.Record, ttl time.Duration) error
		Destroy(ctx context.Context, id ident.ID) error
	}
	Swapper interface {
		Swap(ctx context.Context, id ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error)
	}
	Peeker interface {
		Peek(id *ident.ID, now time.Time) (*record.Record, bool)
	}
	Refresher interface {
		Refresh(ctx context.Context, id ident.ID) (*record.Record, error)
	}
	Ender interface {
		End(ctx context.Context, id ident.ID) (*record.Record, error)
	}
	Watcher interface {
		Watch(ctx context.Context, id ident.ID, seen func(*record.Record, error)) (stop func(), err error)
	}
)
