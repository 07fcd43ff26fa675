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

// RueidisStore keeps sessions in Redis 6.2 or later: one server, a Sentinel-managed pair or a cluster. Records are the
// JSON objects that Koa's session middleware reads and writes, under the same keys.
//
// Records that were read are held in the memory of the process, so reading one again costs no round trip, and the
// server reports when one changes. Nobody reads a record older than what was written on the same node; what another
// node wrote is seen within RueidisConfig.MaxStale, typically within a millisecond or two. [RueidisStore.Refresh] asks
// the server.
//
// Writes are atomic on the server. Like all of Redis they are lost when a master fails before it has told its replica.
//
// A RueidisStore is safe for concurrent use. The zero RueidisStore is not useful: make one with [NewRueidisStore].
type RueidisStore struct {
	rueidisSettings
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

var (
	_ Store     = (*RueidisStore)(nil)
	_ Swapper   = (*RueidisStore)(nil)
	_ Peeker    = (*RueidisStore)(nil)
	_ Refresher = (*RueidisStore)(nil)
	_ Watcher   = (*RueidisStore)(nil)
)

// NewRueidisStore connects to Redis and returns a store with a near cache. It completes option, whose TLS, addresses,
// credentials, Sentinel and sizes are the application's; it returns all that is wrong with option and config at once.
// It gives up after 5 seconds. Close the store to end its connections.
//
// The error is [ErrRedisVersion], [ErrRedisReplica] or [ErrRedisAuth] where one of these is the cause. A server, or a
// proxy before it, that cannot report changes is no error: the store then works without near cache and logs a warning.
func NewRueidisStore(option rueidis.ClientOption, config ...RueidisConfig) (*RueidisStore, error) {
	settings, err := first(config).freeze()
	if err != nil {
		return nil, errors.Join(err, rueidisDefaults().refuse(&option))
	}
	if option, err = settings.clientOption(option); err != nil {
		return nil, err
	}
	return openRueidisStore(settings, option)
}

// NewRueidisStoreFromClient returns a store on a client of the application's, which the store does not close. It has no
// near cache, since a client that exists cannot be made to report connection losses: every read asks the server, and
// Watch asks it at the interval MaxStale. Of config, NearCacheBytes and NoNearCache mean nothing here. Nor can its options
// be seen: it must not send reads to replicas, which lag behind, nor have a ConnLifetime, since what was sent and not yet
// answered is sent again at its end.
func NewRueidisStoreFromClient(client rueidis.Client, config ...RueidisConfig) (*RueidisStore, error) {
	settings, err := first(config).freeze()
	if err != nil {
		return nil, err
	}
	settings.nearBytes = 0
	s := newRueidisStore(settings)
	if err := s.examine(client); err != nil {
		return nil, err
	}
	s.client = client
	return s, nil
}

func first(config []RueidisConfig) RueidisConfig {
	if len(config) == 0 {
		return RueidisConfig{}
	}
	return config[0]
}

// newRueidisStore returns a store that lacks its client.
func newRueidisStore(settings rueidisSettings) *RueidisStore {
	sum := sha1.Sum([]byte(swapScript))
	s := &RueidisStore{
		rueidisSettings: settings,
		swap:            rueidis.NewLuaScript(swapScript),
		swapSum:         hex.EncodeToString(sum[:]),
		read:            rueidis.NewLuaScript(readScript),
		slots:           make(chan struct{}, settings.inFlight),
		done:            make(chan struct{}),
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
func (s *RueidisStore) Get(ctx context.Context, id ident.ID) (*record.Record, error) {
	r, _, err := s.look(ctx, id)
	return r, err
}

// Peek returns the record of id if the near cache holds it. now must be the present, or little before: what is served
// is as old as MaxStale at now.
func (s *RueidisStore) Peek(id ident.ID, now time.Time) (*record.Record, bool) {
	if s.cache == nil {
		return nil, false
	}
	return s.cache.peek(&id, now)
}

// Refresh returns the record kept under id, which it asks the server for.
func (s *RueidisStore) Refresh(ctx context.Context, id ident.ID) (*record.Record, error) {
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
func (s *RueidisStore) Set(ctx context.Context, id ident.ID, r *record.Record, ttl time.Duration) error {
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
func (s *RueidisStore) Destroy(ctx context.Context, id ident.ID) error {
	_, err := s.write(ctx, id, "destroy", func(ctx context.Context) (*record.Record, error) {
		return nil, s.retryUnsent(ctx, func() error {
			return s.client.Do(ctx, s.client.B().Del().Key(s.key(id)).Build()).Error()
		})
	})
	return err
}

// Swap replaces old by next in one atomic step among all who write to the same server, as [Swapper] says.
func (s *RueidisStore) Swap(ctx context.Context, id ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error) {
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
func (s *RueidisStore) Watch(ctx context.Context, id ident.ID, changed func()) (stop func(), err error) {
	select {
	case <-s.done:
		return nil, failure("watch", ErrClosed)
	default:
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	return s.watches.add(ctx, id, &watcher{changed: changed})
}

// Close ends what the store started and, if the store made it, the client. It waits for commands that are under way
// for as long as a dead connection takes to be noticed. What is called later returns [ErrClosed].
func (s *RueidisStore) Close() error {
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
func (s *RueidisStore) look(ctx context.Context, id ident.ID) (*record.Record, *lease, error) {
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
			s.fly(ctx, f)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, nil, failure("get", ctx.Err())
		}
		if ctx.Err() == nil && (isContext(f.err) || !first && !again && unanswered(f.err)) {
			again = true
			continue // it ended with the deadline of whoever made the flight, or with that one's last try before it
		}
		if f.poisoned {
			return f.rec, nil, f.err
		}
		return f.rec, f.lease, f.err
	}
}

// unanswered reports whether err says that no server has answered.
func unanswered(err error) bool {
	var told *RedisError
	return unseen(err) && !errors.As(err, &told) && !errors.Is(err, ErrClosed)
}

// fly makes the flight f: one tracked read, under the deadline of its first reader.
func (s *RueidisStore) fly(ctx context.Context, f *flight) {
	if err := s.acquire(ctx); err != nil {
		s.cache.land(f, nil, failure("get", err), time.Now())
		return
	}
	go func() {
		defer s.release()
		r, err := s.fetchTracked(lasting{ctx}, f.id)
		s.cache.land(f, r, failure("get", err), time.Now())
	}()
}

// write runs a command that may change id's record. When it returns, whatever the outcome, the near cache has forgotten
// what was read before. What a command changes that was given up is reported like the change of somebody else.
func (s *RueidisStore) write(ctx context.Context, id ident.ID, op string, f func(ctx context.Context) (*record.Record, error)) (*record.Record, error) {
	if s.cache != nil {
		defer s.cache.invalidate(id)
	}
	return run(ctx, s, op, f)
}

func (s *RueidisStore) key(id ident.ID) string {
	b := make([]byte, 0, len(defaultPrefix)+ident.MaxIDLen)
	return string(id.AppendTo(append(b, s.prefix...)))
}

// millis returns ttl in milliseconds, rounded up.
func millis(ttl time.Duration) int64 { return int64((ttl-1)/time.Millisecond) + 1 }
