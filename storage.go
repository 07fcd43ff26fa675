package sess

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
)

// StorageStore keeps sessions in a [fiber.Storage], so that every driver of gofiber/storage serves.
//
// It promises less than the stores of this package, because a fiber.Storage does:
//
//   - It is not a [Swapper]. Of two requests that change one session at the same time the last to save wins, and one
//     that saves after another has destroyed the session brings it back.
//   - A driver knows no deadline but its own. The request goes on when its context ends, but a driver that hangs is
//     left behind and may still write later. At most 256 calls are inside the driver at a time, those left behind
//     included; while it hangs on all of them, further calls fail when their context ends.
//   - Many drivers count whole seconds. A record stays in the driver for up to two seconds longer than its session
//     lives, which the session layer sees, and for no more than ten years, which it does not.
//
// A StorageStore is safe for concurrent use if the driver is. It does not close the driver.
type StorageStore struct {
	storage fiber.Storage
	prefix  string
	slots   chan struct{} // holds one token for each call inside the driver
}

const (
	storageCalls  = 256                       // in the driver at a time
	storageMaxTTL = 10 * 365 * 24 * time.Hour // drivers that count seconds in 32 bits overflow in 2106
)

// NewStorageStore returns a store that keeps each session in storage under prefix and its id. The prefix keeps apart
// what else is in the same database; "sess:" is a good one, "" keeps the bare id. It panics if storage is nil.
func NewStorageStore(storage fiber.Storage, prefix string) *StorageStore {
	if storage == nil {
		panic("sess: NewStorageStore: storage is nil; want a driver of gofiber/storage, or leave Config.Store unset")
	}
	return &StorageStore{storage: storage, prefix: prefix, slots: make(chan struct{}, storageCalls)}
}

// Get returns the record kept under id.
func (s *StorageStore) Get(ctx context.Context, id ID) (*Record, error) {
	var text string
	err := s.call(ctx, "get", id, func() error {
		b, err := s.storage.Get(s.key(id))
		text = string(b) // A copy: some drivers return what they keep.
		return err
	})
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
	return s.call(ctx, "set", id, func() error {
		return s.storage.Set(s.key(id), []byte(r.JSON()), driverTTL(ttl))
	})
}

// Destroy removes what is kept under id.
func (s *StorageStore) Destroy(ctx context.Context, id ID) error {
	return s.call(ctx, "destroy", id, func() error {
		return s.storage.Delete(s.key(id))
	})
}

// call runs f, which may hang in the driver, and leaves it behind when ctx ends. What f writes may be read only if
// call returns nil.
func (s *StorageStore) call(ctx context.Context, operation string, id ID, f func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sess: storage %s: %w", operation, err)
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("sess: storage %s: %d calls hang in the driver: %w", operation, storageCalls, ctx.Err())
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-s.slots }()
		done <- recovered(f)
	}()
	select {
	case err := <-done:
		return driverFault(operation, id, err)
	case <-ctx.Done():
		return fmt.Errorf("sess: storage %s: %w", operation, ctx.Err())
	}
}

// recovered is f, with a panic as an error: in this goroutine nobody could recover it, and the process would die.
func recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the driver panicked: %v", p)
		}
	}()
	return f()
}

// key is a string of its own: drivers may keep it.
func (s *StorageStore) key(id ID) string { return s.prefix + id.Value() }

// driverTTL returns a TTL that a driver which cuts off to whole seconds, on a clock that is itself up to a second
// late, does not make shorter than ttl, and never 0, which would mean for ever.
func driverTTL(ttl time.Duration) time.Duration {
	ttl = min(ttl, storageMaxTTL)
	return (ttl + 2*time.Second - 1).Truncate(time.Second)
}

// driverError is a driver's error under a text that does not quote the id. The cause is for errors.Is and errors.As.
type driverError struct {
	text  string
	cause error
}

func (e *driverError) Error() string { return e.text }
func (e *driverError) Unwrap() error { return e.cause }

// driverFault wraps err. Drivers like to name the key that failed.
func driverFault(operation string, id ID, err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), id.Value(), id.String())
	return &driverError{"sess: storage " + operation + ": " + text, err}
}
