package sess

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/redis/rueidis"
)

// redisStore is what the root's RueidisStore consists of: see there for what its methods promise.
type redisStore struct {
	redisSettings
	tracking
	client     rueidis.Client
	ownsClient bool
	swap       *rueidis.Lua
	swapSum    string // swap's SHA-1, by which the server knows it
	read       *rueidis.Lua
	slots      chan struct{} // one token for each command under way
	done       chan struct{} // closed by Close
	closing    sync.Once
	beats      sync.WaitGroup
}

// newRedisStore returns a store that lacks its client.
func newRedisStore(settings redisSettings) *redisStore {
	sum := sha1.Sum([]byte(swapScript))
	s := &redisStore{
		redisSettings: settings,
		swap:          rueidis.NewLuaScript(swapScript),
		swapSum:       hex.EncodeToString(sum[:]),
		read:          rueidis.NewLuaScript(readScript),
		slots:         make(chan struct{}, settings.inFlight),
		done:          make(chan struct{}),
	}
	s.hold = settings.maxStale
	s.connect = make(chan struct{}, 1)
	if settings.nearBytes > 0 {
		s.cache = newNearCache(settings.prefix, settings.nearBytes, settings.maxStale)
	}
	s.watches = newWatches(s)
	return s
}

// Get returns the record kept under id, from the near cache if it is there.
func (s *redisStore) Get(ctx context.Context, id ident.ID) (*record.Record, error) {
	r, _, err := s.look(ctx, id)
	return r, err
}

// Peek returns the record of id if the near cache holds it. now must be the present, or little before: what is served
// is as old as MaxStale at now.
func (s *redisStore) Peek(id *ident.ID, now time.Time) (*record.Record, bool) {
	if s.cache == nil {
		return nil, false
	}
	return s.cache.peek(id, now)
}

// Refresh returns the record kept under id, which it asks the server for.
func (s *redisStore) Refresh(ctx context.Context, id ident.ID) (*record.Record, error) {
	r, err := run(ctx, s, "get", func(ctx context.Context) (*record.Record, error) {
		return s.fetch(ctx, id)
	})
	if s.cache != nil {
		switch {
		case err == nil:
			s.cache.agree(id, r.JSON())
		case !unseen(err):
			s.cache.invalidate(id)
		}
	}
	return r, err
}

// Set keeps r under id for ttl, whatever is there. The TTL is kept in milliseconds, rounded up.
func (s *redisStore) Set(ctx context.Context, id ident.ID, r *record.Record, ttl time.Duration) error {
	if ttl <= 0 {
		return errTTL("set", ttl)
	}
	_, err := s.write(ctx, id, "set", func(ctx context.Context) (*record.Record, error) {
		return r, s.retryUnsent(ctx, func() error {
			return s.client.Do(ctx, s.client.B().Set().Key(s.key(id)).Value(r.JSON()).PxMilliseconds(millis(ttl)).Build()).Error()
		})
	})
	return err
}

// Destroy removes what is kept under id.
func (s *redisStore) Destroy(ctx context.Context, id ident.ID) error {
	_, err := s.write(ctx, id, "destroy", func(ctx context.Context) (*record.Record, error) {
		return nil, s.retryUnsent(ctx, func() error {
			return s.client.Do(ctx, s.client.B().Del().Key(s.key(id)).Build()).Error()
		})
	})
	return err
}

// Swap replaces old by next in one atomic step among all who write to the same server, as [Swapper] says.
func (s *redisStore) Swap(ctx context.Context, id ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error) {
	if next != nil && ttl <= 0 {
		return nil, errTTL("swap", ttl)
	}
	if old == nil && next == nil {
		return nil, errNothingToSwap
	}
	if s.cache != nil && !s.koa && old != nil && next != nil { // Beside Koa the end of a record is known to the server alone.
		e, err := run(ctx, s, "swap", func(ctx context.Context) (exchanged, error) {
			return s.exchange(ctx, id, old, next, ttl)
		})
		if !e.kept {
			s.cache.invalidate(id)
		}
		return e.current, err
	}
	return s.write(ctx, id, "swap", func(ctx context.Context) (*record.Record, error) {
		if old == nil {
			return s.create(ctx, id, next, ttl)
		}
		return s.replace(ctx, id, old, next, ttl)
	})
}

// Watch calls changed when the record of id may have changed, as [Watcher] says: when the server reports it, and when
// the connection to the server was lost. Without a near cache it asks the server at the interval MaxStale.
func (s *redisStore) Watch(ctx context.Context, id ident.ID, changed func()) (stop func(), err error) {
	select {
	case <-s.done:
		return nil, failure("watch", record.ErrClosed)
	default:
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	return s.watches.add(ctx, id, &watcher{changed: changed})
}

// Close ends what the store started and, if the store made it, the client. It waits for commands that are under way
// for as long as a dead connection takes to be noticed. What is called later returns [record.ErrClosed].
func (s *redisStore) Close() error {
	s.closing.Do(func() {
		close(s.done)
		if s.cache != nil {
			s.cache.close()
		}
		if s.ownsClient {
			s.client.Close()
		}
		for range cap(s.slots) {
			s.slots <- struct{}{}
		}
		s.beats.Wait()
		s.watches.run.Wait()
	})
	return nil
}

// look returns the record of id, and the lease under which the server reports changes of it, nil if it does not.
func (s *redisStore) look(ctx context.Context, id ident.ID) (*record.Record, *lease, error) {
	if s.cache == nil {
		r, err := s.Refresh(ctx, id)
		return r, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, failure("get", err)
	}
	if r, l, ok := s.cache.get(&id, time.Now()); ok {
		return r, l, nil
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	for again := false; ; {
		f, first := s.cache.join(id, time.Now())
		if first {
			s.fly(ctx, id, f)
		}
		select {
		case <-f.landed():
		case <-ctx.Done():
			return nil, nil, failure("get", ctx.Err())
		}
		r, l, err := f.result()
		if ctx.Err() == nil && (isContext(err) || !first && !again && unanswered(err)) {
			again = true
			continue // it ended with the deadline of whoever made the flight, or with that one's last try before it
		}
		return r, l, err
	}
}

// unanswered reports whether err says that no server has answered.
func unanswered(err error) bool {
	var told *replyError
	return unseen(err) && !errors.As(err, &told) && !errors.Is(err, record.ErrClosed)
}

// fly makes the flight f: one tracked read, under the deadline of its first reader.
func (s *redisStore) fly(ctx context.Context, id ident.ID, f *flight) {
	if err := s.acquire(ctx); err != nil {
		s.cache.land(f, nil, failure("get", err), time.Now())
		return
	}
	go func() {
		defer s.release()
		r, err := s.fetchTracked(lasting{ctx}, id)
		s.cache.land(f, r, failure("get", err), time.Now())
	}()
}

// write runs a command that may change id's record. When it returns, whatever the outcome, the near cache has forgotten
// what was read before. What a command changes that was given up is reported like the change of somebody else.
func (s *redisStore) write(ctx context.Context, id ident.ID, op string, f func(ctx context.Context) (*record.Record, error)) (*record.Record, error) {
	if s.cache != nil {
		defer s.cache.invalidate(id)
	}
	return run(ctx, s, op, f)
}

func (s *redisStore) key(id ident.ID) string {
	b := make([]byte, 0, len(s.prefix)+ident.MaxIDLen)
	return string(id.AppendTo(append(b, s.prefix...)))
}

// millis returns ttl in milliseconds, rounded up.
func millis(ttl time.Duration) int64 { return int64((ttl-1)/time.Millisecond) + 1 }
