// Package fiberstorage calls storage drivers that were written for Fiber, and leaves those behind that hang.
package fiberstorage

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fibersess/sess/internal/ident"
)

// Storage is what is used of a driver that knows no deadline but its own, as one for Fiber v2.
type Storage interface {
	Get(key string) ([]byte, error)
	Set(key string, value []byte, ttl time.Duration) error
	Delete(key string) error
}

// contextual is a driver that takes deadlines, as one for Fiber v3 does.
type contextual interface {
	GetWithContext(ctx context.Context, key string) ([]byte, error)
	SetWithContext(ctx context.Context, key string, value []byte, ttl time.Duration) error
	DeleteWithContext(ctx context.Context, key string) error
}

// plain is a Storage as a contextual one.
type plain struct{ Storage }

func (p plain) GetWithContext(_ context.Context, key string) ([]byte, error) { return p.Get(key) }

func (p plain) SetWithContext(_ context.Context, key string, value []byte, ttl time.Duration) error {
	return p.Set(key, value, ttl)
}

func (p plain) DeleteWithContext(_ context.Context, key string) error { return p.Delete(key) }

// Driver is a driver in which at most Calls calls are at a time, those left behind included. It is safe for concurrent use
// if the driver is.
type Driver struct {
	storage contextual
	prefix  string
	slots   chan struct{} // holds one token for each call inside the driver
}

// Calls is how many calls are inside a driver at a time.
const Calls = 256

// maxTTL is the longest TTL that a driver is given: those that count seconds in 32 bits overflow in 2106.
const maxTTL = 10 * 365 * 24 * time.Hour

// New returns a Driver that keeps text in storage under prefix and an id. Each call of storage gets the caller's context,
// if it has methods that take one.
func New(storage Storage, prefix string) *Driver {
	c, ok := storage.(contextual)
	if !ok {
		c = plain{storage}
	}
	return &Driver{storage: c, prefix: prefix, slots: make(chan struct{}, Calls)}
}

// Get returns what is kept under id, empty if there is nothing.
func (d *Driver) Get(ctx context.Context, id *ident.ID) (text string, err error) {
	var kept string
	err = d.call(ctx, "get", id, func(key string) error {
		b, err := d.storage.GetWithContext(ctx, key)
		kept = string(b) // A copy: some drivers return what they keep.
		return err
	})
	if err != nil {
		return "", err // A driver that was left behind may still write to kept.
	}
	return kept, nil
}

// Set keeps text under id for ttl or a little longer.
func (d *Driver) Set(ctx context.Context, id *ident.ID, text string, ttl time.Duration) error {
	return d.call(ctx, "set", id, func(key string) error {
		return d.storage.SetWithContext(ctx, key, []byte(text), driverTTL(ttl))
	})
}

// Delete removes what is kept under id.
func (d *Driver) Delete(ctx context.Context, id *ident.ID) error {
	return d.call(ctx, "destroy", id, func(key string) error { return d.storage.DeleteWithContext(ctx, key) })
}

// call runs f, which may hang in the driver, and leaves it behind when ctx ends: not every driver that takes a context
// obeys it. What f writes may be read only if call returns nil.
func (d *Driver) call(ctx context.Context, operation string, id *ident.ID, f func(key string) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sess: storage %s: %w", operation, err)
	}
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("sess: storage %s: %d calls hang in the driver: %w", operation, Calls, ctx.Err())
	}
	key := d.prefix + id.Value() // A string of its own: drivers may keep it.
	done := make(chan error, 1)
	go func() {
		defer func() { <-d.slots }()
		done <- recovered(f, key)
	}()
	select {
	case err := <-done:
		return fault(operation, id, err)
	case <-ctx.Done():
		return fmt.Errorf("sess: storage %s: %w", operation, ctx.Err())
	}
}

// recovered is f, with a panic as an error: in this goroutine nobody could recover it, and the process would die.
func recovered(f func(string) error, key string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the driver panicked: %v", p)
		}
	}()
	return f(key)
}

// driverTTL returns a TTL that a driver which cuts off to whole seconds, on a clock that is itself up to a second
// late, does not make shorter than ttl, and never 0, which would mean for ever.
func driverTTL(ttl time.Duration) time.Duration {
	ttl = min(ttl, maxTTL)
	return (ttl + 2*time.Second - 1).Truncate(time.Second)
}

// driverError is a driver's error under a text that does not quote the id. The cause is for errors.Is and errors.As.
type driverError struct {
	text  string
	cause error
}

func (e *driverError) Error() string { return e.text }
func (e *driverError) Unwrap() error { return e.cause }

// fault wraps err. Drivers like to name the key that failed.
func fault(operation string, id *ident.ID, err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), id.Value(), id.String())
	return &driverError{"sess: storage " + operation + ": " + text, err}
}
