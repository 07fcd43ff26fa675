package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/redis/rueidis"
)

// Storage is what the root's Storage says.
func (s *Store) Storage(prefix string) fiber.Storage {
	if prefix == "" {
		panic(`sess: Storage: prefix is empty; want one of its own, such as "csrf:", or Reset would remove the sessions`)
	}
	if strings.HasPrefix(prefix, s.Prefix) || strings.HasPrefix(s.Prefix, prefix) {
		panic(fmt.Sprintf("sess: Storage: prefix %q overlaps %q, the sessions' own; want one that does not", prefix, s.Prefix))
	}
	return &storage{s, prefix}
}

// storage copies every key and value: they are often views of a request, and a command that was given up may be
// sent when the request is long over.
type storage struct {
	store  *Store
	prefix string
}

// Get returns a copy of the value under key, nil if there is none.
func (r *storage) Get(key string) ([]byte, error) {
	if key == "" {
		return nil, nil
	}
	key = r.prefix + key
	s := r.store
	return run(context.Background(), s, task{op: "storage get", key: key}, func(ctx context.Context) (value []byte, err error) {
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

// Set keeps value under key for ttl; 0 is for ever, less than 0 has passed already. An empty key or value is ignored.
func (r *storage) Set(key string, value []byte, ttl time.Duration) error {
	if key == "" || len(value) == 0 {
		return nil
	}
	if ttl < 0 {
		return r.Delete(key)
	}
	t := task{op: "storage set", key: r.prefix + key, hide: []string{string(value)}}
	return r.write(t, func(b rueidis.Builder) rueidis.Completed {
		set := b.Set().Key(t.key).Value(t.hide[0])
		if ttl == 0 {
			return set.Build()
		}
		return set.PxMilliseconds(millis(ttl)).Build()
	})
}

// Delete removes what is under key.
func (r *storage) Delete(key string) error {
	if key == "" {
		return nil
	}
	t := task{op: "storage delete", key: r.prefix + key}
	return r.write(t, func(b rueidis.Builder) rueidis.Completed { return b.Unlink().Key(t.key).Build() })
}

// write sends a command, again if the server surely did nothing.
func (r *storage) write(t task, command func(rueidis.Builder) rueidis.Completed) error {
	s := r.store
	_, err := run(context.Background(), s, t, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.retryUnsent(ctx, func() error { return s.client.Do(ctx, command(s.client.B())).Error() })
	})
	return err
}

// Reset removes everything under the prefix. It asks every server for keys, replicas too, and removes them where they
// live.
func (r *storage) Reset() error {
	ctx, cancel := bounded(context.Background())
	defer cancel()
	if err := r.store.connected(ctx); err != nil {
		return r.store.failure(task{op: "storage reset"}, err)
	}
	var errs []error
	for _, node := range r.store.client.Nodes() {
		for cursor, first := uint64(0), true; first || cursor != 0; first = false {
			next, err := r.resetStep(node, cursor)
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
func (r *storage) resetStep(node rueidis.Client, cursor uint64) (next uint64, err error) {
	const keysAtATime = 512
	s := r.store
	return run(context.Background(), s, task{op: "storage reset"}, func(ctx context.Context) (uint64, error) {
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

// Close does nothing: the connections are the store's.
func (r *storage) Close() error { return nil }
