package sess

import (
	"context"
	"time"

	"github.com/fibersess/sess/internal/fiberstorage"
	"github.com/fibersess/sess/internal/ident"
	"github.com/gofiber/fiber/v2"
)

// StorageStore keeps sessions in a [fiber.Storage], so that every driver of gofiber/storage serves, those for Fiber v3 too.
//
// It promises less than the stores of this package, because a fiber.Storage does:
//
//   - It is not a [Swapper]. Of two requests that change one session at the same time the last to save wins, and one
//     that saves after another has destroyed the session brings it back.
//   - A driver for Fiber v2 knows no deadline but its own; one for v3 is given the request's. The request goes on when its
//     context ends in any case, but a driver that hangs is left behind and may still write later. At most 256 calls are
//     inside the driver at a time, those left behind included; while it hangs on all of them, further calls fail when their
//     context ends.
//   - Many drivers count whole seconds. A record stays in the driver for up to two seconds longer than its session
//     lives, which the session layer sees, and for no more than ten years, which it does not.
//
// A StorageStore is safe for concurrent use if the driver is. It does not close the driver.
type StorageStore struct{ driver *fiberstorage.Driver }

// NewStorageStore returns a store that keeps each session in storage under prefix and its id. The prefix keeps apart
// what else is in the same database; "sess:" is a good one, "" keeps the bare id. It panics if storage is nil.
func NewStorageStore(storage fiber.Storage, prefix string) *StorageStore {
	if storage == nil {
		panic("sess: NewStorageStore: storage is nil; want a driver of gofiber/storage, or leave Config.Store unset")
	}
	return &StorageStore{fiberstorage.New(storage, prefix)}
}

// Get returns the record kept under id.
func (s *StorageStore) Get(ctx context.Context, id ID) (*Record, error) {
	text, err := s.driver.Get(ctx, (*ident.ID)(&id))
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, ErrNotFound
	}
	return ParseRecord(text)
}

// Set keeps r under id.
func (s *StorageStore) Set(ctx context.Context, id ID, r *Record, ttl time.Duration) error {
	return s.driver.Set(ctx, (*ident.ID)(&id), r.JSON(), ttl)
}

// Destroy removes what is kept under id.
func (s *StorageStore) Destroy(ctx context.Context, id ID) error {
	return s.driver.Delete(ctx, (*ident.ID)(&id))
}
