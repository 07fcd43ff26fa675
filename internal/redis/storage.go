package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Storage is what the root's Storage says.
func (s *Store) Storage(prefix string) *Storage {
	if prefix == "" {
		panic(`sess: Storage: prefix is empty; want one of its own, such as "csrf:", or Reset would remove the sessions`)
	}
	if strings.HasPrefix(prefix, s.Prefix) || strings.HasPrefix(s.Prefix, prefix) {
		panic(fmt.Sprintf("sess: Storage: prefix %q overlaps %q, the sessions' own; want one that does not", prefix, s.Prefix))
	}
	return &Storage{s, prefix}
}

// Storage is a fiber.Storage for Fiber v2 and v3. It copies every key and value: they are often views of a request, and a
// command that was given up may be sent when the request is long over. A call whose context has no deadline has opTimeout.
type Storage struct {
	store  *Store
	prefix string
}

// valueless is a context without values. Fiber v3's middleware passes its fiber.Ctx, which is another request's when a
// command that was given up still dials, and a dial asks for values.
type valueless struct{ context.Context }

func (valueless) Value(any) any { return nil }

// GetWithContext returns a copy of the value under key, nil if there is none.
func (r *Storage) GetWithContext(ctx context.Context, key string) ([]byte, error) {
	if key == "" {
		return nil, nil
	}
	key = r.prefix + key
	s := r.store
	return run(valueless{ctx}, s, task{op: "storage get", key: key}, func(ctx context.Context) (value []byte, err error) {
		err = s.retry(ctx, func() error {
			text, err := s.client.Do(ctx, s.client.B().Get().Key(key).Build()).ToString()
			value = []byte(text)
			return err
		})
		if rueidis.IsRedisNil(err) {
			return nil, nil
		}
		return value, err
	})
}

// SetWithContext keeps value under key for ttl; 0 is for ever, less than 0 has passed already. An empty key or value is
// ignored.
func (r *Storage) SetWithContext(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if key == "" || len(value) == 0 {
		return nil
	}
	if ttl < 0 {
		return r.DeleteWithContext(ctx, key)
	}
	t := task{op: "storage set", key: r.prefix + key, hide: []string{string(value)}}
	return r.write(ctx, t, func(b rueidis.Builder) rueidis.Completed {
		set := b.Set().Key(t.key).Value(t.hide[0])
		if ttl == 0 {
			return set.Build()
		}
		return set.PxMilliseconds(millis(ttl)).Build()
	})
}

// DeleteWithContext removes what is under key.
func (r *Storage) DeleteWithContext(ctx context.Context, key string) error {
	if key == "" {
		return nil
	}
	t := task{op: "storage delete", key: r.prefix + key}
	return r.write(ctx, t, func(b rueidis.Builder) rueidis.Completed { return b.Unlink().Key(t.key).Build() })
}

// write sends a command, again if the server surely did nothing.
func (r *Storage) write(ctx context.Context, t task, command func(rueidis.Builder) rueidis.Completed) error {
	s := r.store
	_, err := run(valueless{ctx}, s, t, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.retryUnsent(ctx, func() error { return s.client.Do(ctx, command(s.client.B())).Error() })
	})
	return err
}

// ResetWithContext removes everything under the prefix. It asks every server for keys, replicas too, and removes them where
// they live. Without a deadline in ctx each step has opTimeout.
func (r *Storage) ResetWithContext(ctx context.Context) error {
	first, cancel := bounded(valueless{ctx})
	err := r.store.connected(first)
	cancel()
	if err != nil {
		return r.store.failure(task{op: "storage reset"}, err)
	}
	var errs []error
	for _, node := range r.store.client.Nodes() {
		for cursor, first := uint64(0), true; first || cursor != 0; first = false {
			next, err := r.resetStep(ctx, node, cursor)
			if err != nil {
				errs = append(errs, err)
				break
			}
			cursor = next
		}
	}
	return errors.Join(errs...)
}

// resetStep removes what one SCAN finds.
func (r *Storage) resetStep(ctx context.Context, node rueidis.Client, cursor uint64) (next uint64, err error) {
	const keysAtATime = 512
	s := r.store
	return run(valueless{ctx}, s, task{op: "storage reset"}, func(ctx context.Context) (uint64, error) {
		scan := node.B().Scan().Cursor(cursor).Match(globEscape(r.prefix) + "*").Count(keysAtATime).Build()
		found, err := node.Do(ctx, scan).AsScanEntry()
		if err != nil {
			return 0, err
		}
		unlinks := make(rueidis.Commands, len(found.Elements))
		for i, key := range found.Elements {
			unlinks[i] = s.client.B().Unlink().Key(key).Build()
		}
		for _, reply := range s.client.DoMulti(ctx, unlinks...) {
			if err := reply.Error(); err != nil {
				return 0, err
			}
		}
		return found.Cursor, nil
	})
}

// globEscape returns the pattern that matches s alone.
var globEscape = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace

// Get is GetWithContext, as Fiber v2 calls it.
func (r *Storage) Get(key string) ([]byte, error) { return r.GetWithContext(context.Background(), key) }

// Set is SetWithContext, as Fiber v2 calls it.
func (r *Storage) Set(key string, value []byte, ttl time.Duration) error {
	return r.SetWithContext(context.Background(), key, value, ttl)
}

// Delete is DeleteWithContext, as Fiber v2 calls it.
func (r *Storage) Delete(key string) error { return r.DeleteWithContext(context.Background(), key) }

// Reset is ResetWithContext, as Fiber v2 calls it.
func (r *Storage) Reset() error { return r.ResetWithContext(context.Background()) }

// Close does nothing: the connections are the store's.
func (r *Storage) Close() error { return nil }
