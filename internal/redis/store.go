package redis

import (
	"context"
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
	starting
	client     rueidis.Client // set when it is ready
	ownsClient bool
	conns      conns // of a client that is the store's own
	swap       script
	ending     script // see End
	users      userScripts
	slots      *slots

	tracksScripts bool // the server reports changes of what a script has read

	brief sync.Once // the log was told that the server does not say what it evicts
	full  sync.Once // and that it may forget readers

	mu    sync.Mutex // guards the change from starting to connected to closed
	life  context.Context
	kill  context.CancelFunc
	done  chan struct{} // closed by Close
	beats sync.WaitGroup
}

// newStore returns a store that lacks its client.
func newStore(settings Settings) *Store {
	s := &Store{
		Settings: settings,
		starting: starting{ready: make(chan struct{}), gone: make(chan struct{})},
		swap:     newScript(swapScript),
		ending:   newScript(endScript),
		users:    newUserScripts(),
		slots:    newSlots(settings.InFlight),
		done:     make(chan struct{}),
	}
	s.life, s.kill = context.WithCancel(context.Background())
	s.connect = make(chan struct{}, 1)
	if settings.NearBytes > 0 {
		s.cache = near.New(settings.Prefix, settings.NearBytes, settings.MaxStale)
	}
	s.watches = newWatches(s)
	return s
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
	t := s.about("get", id)
	r, err := run(ctx, s, t, func(ctx context.Context) (*record.Record, error) {
		return s.fetch(ctx, t.key)
	})
	s.learn(id, r, err)
	s.missed(id, err)
	return r, err
}

// missed is told the error of a read that no watch has asked for. The server may have expired the session for this very read,
// and does not report that to the connection that made it.
func (s *Store) missed(id ident.ID, err error) {
	if errors.Is(err, record.ErrNotFound) {
		s.watches.changed(id)
	}
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
	t := s.about("set", id)
	t.hide = []string{r.JSON()}
	_, err := write(ctx, s, id, t, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.retryUnsent(ctx, func() error {
			return s.client.Do(ctx, s.client.B().Set().Key(t.key).Value(r.JSON()).PxMilliseconds(millis(ttl)).Build()).Error()
		})
	})
	return err
}

// Destroy removes what is kept under id.
func (s *Store) Destroy(ctx context.Context, id ident.ID) error {
	t := s.about("destroy", id)
	_, err := write(ctx, s, id, t, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.remove(ctx, t.key)
	})
	return err
}

// End removes the session that is kept under id, as [Ender] says.
func (s *Store) End(ctx context.Context, id ident.ID) (*record.Record, error) {
	t := s.about("end", id)
	return write(ctx, s, id, t, func(ctx context.Context) (*record.Record, error) {
		return s.end(ctx, t.key)
	})
}

// Swap replaces old by next in one atomic step among all who write to the same server, as [Swapper] says.
func (s *Store) Swap(ctx context.Context, id ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error) {
	if next != nil && ttl <= 0 {
		return nil, errTTL("swap", ttl)
	}
	if old == nil && next == nil {
		return nil, errNothingToSwap
	}
	t := s.about("swap", id)
	t.hide = []string{old.JSON(), next.JSON()}
	if old != nil && next != nil && s.keepsSwapped() {
		t.writes = true
		e, err := run(ctx, s, t, func(ctx context.Context) (exchanged, error) {
			if !s.reports() {
				return s.exchangeUnreported(ctx, id, old, next, ttl)
			}
			return s.exchange(ctx, id, old, next, ttl)
		})
		if e.kept {
			s.watches.changed(id)
		} else {
			s.wrote(id)
		}
		return e.current, err
	}
	return write(ctx, s, id, t, func(ctx context.Context) (*record.Record, error) {
		if old == nil {
			return s.create(ctx, t.key, next, ttl)
		}
		return s.replace(ctx, t.key, old, next, ttl)
	})
}

// keepsSwapped reports whether the near cache may keep what a swap leaves. Beside Koa the end of a record is known to the
// server alone.
func (s *Store) keepsSwapped() bool {
	return s.cache != nil && !s.Koa && (!s.reports() || s.tracksScripts)
}

// Watch is the root's RueidisStore.Watch.
func (s *Store) Watch(ctx context.Context, id ident.ID, seen func(*record.Record, error)) (stop func(), err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	if err := s.connected(ctx); err != nil {
		return nil, s.failure(s.about("watch", id), err)
	}
	return s.watches.add(ctx, id, seen)
}

// Ping returns nil if a master answers: in a cluster, any.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	if err := s.connected(ctx); err != nil {
		return s.failure(task{op: "ping"}, err)
	}
	keys := s.probeKeys()
	errs := make(chan error, len(keys))
	for _, key := range keys {
		go func() {
			_, err := run(ctx, s, task{op: "ping", key: key}, func(ctx context.Context) (*record.Record, error) {
				return s.fetch(ctx, key)
			})
			errs <- err
		}()
	}
	var err error
	for range keys {
		if err = <-errs; !unseen(err) {
			return nil
		}
	}
	return err
}

// Close ends what the store started and, if the store made it, the client. It waits for commands that are under way
// for as long as a dead connection takes to be noticed. What is called later returns [record.ErrClosed].
func (s *Store) Close() error {
	if !s.closed() {
		return nil
	}
	if s.cache != nil {
		s.cache.Close()
	}
	if s.client != nil && s.ownsClient {
		s.client.Close()
	}
	s.slots.close()
	s.beats.Wait()
	s.watches.close()
	return nil
}

// closed makes the store one that is closed. It reports false if it was that already.
func (s *Store) closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return false
	}
	s.kill()
	close(s.done)
	return true
}

// reports reports whether the server tells the store what changes.
func (s *Store) reports() bool { return s.cache != nil && s.cache.Reports() }

// Get returns the record kept under id, from the near cache if it is there.
func (s *Store) Get(ctx context.Context, id ident.ID) (*record.Record, error) {
	if s.cache == nil {
		return s.Refresh(ctx, id)
	}
	if err := ctx.Err(); err != nil {
		return nil, s.failure(s.about("get", id), err)
	}
	if r, ok := s.cache.Peek(&id, time.Now()); ok {
		return r, nil
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
			return nil, s.failure(s.about("get", id), ctx.Err())
		}
		r, _, err := f.Result()
		// It may have failed whoever made the flight: a read by its deadline, a swap for a reason of its own.
		switch others := !first && !ofRecord(err) && ctx.Err() == nil; {
		case others && (f.OfWrite() || isContext(err)):
		case others && !again:
			again = true
		default:
			return r, err
		}
	}
}

// ofRecord reports whether err says what is kept, be it nothing or nothing of use.
func ofRecord(err error) bool {
	return err == nil || errors.Is(err, record.ErrNotFound) || errors.Is(err, record.ErrCorrupt) || errors.Is(err, record.ErrClosed)
}

// fly makes the flight f: one read, under the deadline of its first reader.
func (s *Store) fly(ctx context.Context, id ident.ID, f *near.Flight) {
	t := s.about("get", id)
	slot, err := s.acquire(ctx, t.key)
	if err != nil {
		s.cache.Land(f, nil, s.failure(t, err), time.Now())
		return
	}
	go func() {
		defer slot.release()
		var r *record.Record
		var err error
		if s.reports() {
			r, err = s.fetchTracked(lasting{ctx}, t.key)
		}
		if !s.reports() || !unseen(err) && !s.cache.Vouched(f, time.Now()) {
			r, err = s.fetch(lasting{ctx}, t.key) // the server may have become a replica, whose news is old
		}
		s.cache.Land(f, r, s.failure(t, err), time.Now())
		s.missed(id, err)
	}()
}

// write runs a command that may change id's record. When it returns, whatever the outcome, the near cache has forgotten
// what was read before, and it forgets once more when a command ends that was given up.
func write[T any](ctx context.Context, s *Store, id ident.ID, t task, f func(ctx context.Context) (T, error)) (T, error) {
	t.writes = true
	defer s.wrote(id)
	return run(ctx, s, t, f)
}

// wrote is told that this store has written what is kept under id, or may have: the server reports it to everybody else.
func (s *Store) wrote(id ident.ID) {
	if s.cache != nil {
		s.cache.Invalidate(id)
	}
	s.watches.changed(id)
}

func (s *Store) key(id ident.ID) string {
	b := make([]byte, 0, len(s.Prefix)+ident.MaxIDLen)
	return string(id.AppendTo(append(b, s.Prefix...)))
}

// millis returns ttl in milliseconds, rounded up.
func millis(ttl time.Duration) int64 { return int64((ttl-1)/time.Millisecond) + 1 }
