package redis

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/near"
	"github.com/fibersess/sess/internal/record"
	"github.com/redis/rueidis"
)

// Store is what the root's RueidisStore consists of: see there for what its methods promise.
type Store struct {
	Settings
	tracking
	client     rueidis.Client
	ownsClient bool
	conns      conns // of a client that is the store's own
	swap       *rueidis.Lua
	swapSum    string // swap's SHA-1, by which the server knows it
	read       *rueidis.Lua
	users      userScripts
	slots      chan struct{} // one token for each command under way
	done       chan struct{} // closed by Close
	closing    sync.Once
	beats      sync.WaitGroup
}

// newStore returns a store that lacks its client.
func newStore(settings Settings) *Store {
	sum := sha1.Sum([]byte(swapScript))
	s := &Store{
		Settings: settings,
		swap:     rueidis.NewLuaScript(swapScript),
		swapSum:  hex.EncodeToString(sum[:]),
		read:     rueidis.NewLuaScript(readScript),
		users:    newUserScripts(),
		slots:    make(chan struct{}, settings.InFlight),
		done:     make(chan struct{}),
	}
	s.connect = make(chan struct{}, 1)
	if settings.NearBytes > 0 {
		s.cache = near.New(settings.Prefix, settings.NearBytes, settings.MaxStale)
	}
	s.watches = newWatches(s)
	return s
}

// Get returns the record kept under id, from the near cache if it is there.
func (s *Store) Get(ctx context.Context, id ident.ID) (*record.Record, error) {
	r, _, err := s.look(ctx, id)
	return r, err
}

// Peek returns the record of id if the near cache holds it. now must be the present, or little before: what is served
// is as old as MaxStale at now.
func (s *Store) Peek(id *ident.ID, now time.Time) (*record.Record, bool) {
	if s.cache == nil {
		return nil, false
	}
	return s.cache.Peek(id, now)
}

// Refresh returns the record kept under id, which it asks the server for.
func (s *Store) Refresh(ctx context.Context, id ident.ID) (*record.Record, error) {
	r, err := run(ctx, s, "get", func(ctx context.Context) (*record.Record, error) {
		return s.fetch(ctx, id)
	})
	s.learn(id, r, err)
	return r, err
}

// learn tells the near cache what a read past it has brought: nothing older is served later.
func (s *Store) learn(id ident.ID, r *record.Record, err error) {
	switch {
	case s.cache == nil || unseen(err):
	case err == nil:
		s.cache.Agree(id, r.JSON())
	default:
		s.cache.Invalidate(id)
	}
}

// Set keeps r under id for ttl, whatever is there. The TTL is kept in milliseconds, rounded up.
func (s *Store) Set(ctx context.Context, id ident.ID, r *record.Record, ttl time.Duration) error {
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
func (s *Store) Destroy(ctx context.Context, id ident.ID) error {
	_, err := s.write(ctx, id, "destroy", func(ctx context.Context) (*record.Record, error) {
		return nil, s.retryUnsent(ctx, func() error {
			return s.client.Do(ctx, s.client.B().Del().Key(s.key(id)).Build()).Error()
		})
	})
	return err
}

// Swap replaces old by next in one atomic step among all who write to the same server, as [Swapper] says.
func (s *Store) Swap(ctx context.Context, id ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error) {
	if next != nil && ttl <= 0 {
		return nil, errTTL("swap", ttl)
	}
	if old == nil && next == nil {
		return nil, errNothingToSwap
	}
	if s.cache != nil && !s.Koa && old != nil && next != nil { // Beside Koa the end of a record is known to the server alone.
		e, err := run(ctx, s, "swap", func(ctx context.Context) (exchanged, error) {
			return s.exchange(ctx, id, old, next, ttl)
		})
		if !e.kept {
			s.cache.Invalidate(id)
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

// Watch is the root's RueidisStore.Watch.
func (s *Store) Watch(ctx context.Context, id ident.ID, seen func(*record.Record, error)) (stop func(), err error) {
	select {
	case <-s.done:
		return nil, failure("watch", record.ErrClosed)
	default:
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	return s.watches.add(ctx, id, seen)
}

// Close ends what the store started and, if the store made it, the client. It waits for commands that are under way
// for as long as a dead connection takes to be noticed. What is called later returns [record.ErrClosed].
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.done)
		if s.cache != nil {
			s.cache.Close()
		}
		if s.ownsClient {
			s.client.Close()
		}
		for range cap(s.slots) {
			s.slots <- struct{}{}
		}
		s.beats.Wait()
		s.watches.close()
	})
	return nil
}

// look returns the record of id, and the lease under which the server reports changes of it, nil if it does not.
func (s *Store) look(ctx context.Context, id ident.ID) (*record.Record, *near.Lease, error) {
	if s.cache == nil {
		r, err := s.Refresh(ctx, id)
		return r, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, failure("get", err)
	}
	if r, l, ok := s.cache.Get(&id, time.Now()); ok {
		return r, l, nil
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	for again := false; ; {
		f, first := s.cache.Join(id, time.Now())
		if first {
			s.fly(ctx, id, f)
		}
		select {
		case <-f.Landed():
		case <-ctx.Done():
			return nil, nil, failure("get", ctx.Err())
		}
		r, l, err := f.Result()
		if ctx.Err() == nil && (isContext(err) || !first && !again && unanswered(err)) {
			again = true
			continue // it ended with the deadline of whoever made the flight, or with that one's last try before it
		}
		return r, l, err
	}
}

// unseen reports whether err says that the store cannot tell what the server keeps.
func unseen(err error) bool {
	return err != nil && !errors.Is(err, record.ErrNotFound) && !errors.Is(err, record.ErrCorrupt)
}

// unanswered reports whether err says that no server has answered.
func unanswered(err error) bool {
	var told *Error
	return unseen(err) && !errors.As(err, &told) && !errors.Is(err, record.ErrClosed)
}

// fly makes the flight f: one tracked read, under the deadline of its first reader.
func (s *Store) fly(ctx context.Context, id ident.ID, f *near.Flight) {
	if err := s.acquire(ctx); err != nil {
		s.cache.Land(f, nil, failure("get", err), time.Now())
		return
	}
	go func() {
		defer s.release()
		r, err := s.fetchTracked(lasting{ctx}, id)
		s.cache.Land(f, r, failure("get", err), time.Now())
	}()
}

// write runs a command that may change id's record. When it returns, whatever the outcome, the near cache has forgotten
// what was read before. What a command changes that was given up is reported like the change of somebody else.
func (s *Store) write(ctx context.Context, id ident.ID, op string, f func(ctx context.Context) (*record.Record, error)) (*record.Record, error) {
	if s.cache != nil {
		defer s.cache.Invalidate(id)
	}
	return run(ctx, s, op, f)
}

func (s *Store) key(id ident.ID) string {
	b := make([]byte, 0, len(s.Prefix)+ident.MaxIDLen)
	return string(id.AppendTo(append(b, s.Prefix...)))
}

// millis returns ttl in milliseconds, rounded up.
func millis(ttl time.Duration) int64 { return int64((ttl-1)/time.Millisecond) + 1 }
