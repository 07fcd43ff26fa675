package redis

import (
	"context"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/near"
	"github.com/fibersess/sess/internal/record"
	"github.com/redis/rueidis"
)

// lookAll looks at several sessions in one round trip, or in none at those that the near cache has. It puts what it finds
// of ids[i] into found[i], and returns how many reads it has sent.
func (s *Store) lookAll(ctx context.Context, ids []ident.ID, found []finding) (asked int) {
	if s.cache == nil || !s.cache.Reports() {
		return s.pollAll(ctx, ids, found)
	}
	all := make([]joined, len(ids))
	for i := range ids {
		all[i] = joined{id: &ids[i], found: &found[i]}
	}
	for again := false; ; again = true {
		own := s.joinAll(all)
		s.flyAll(ctx, own)
		asked += len(own)
		var left []joined
		for i := range all {
			if all[i].await(ctx); !all[i].own && unanswered(all[i].found.err) {
				left = append(left, all[i]) // The flight may have ended with the deadline of whoever made it.
			}
		}
		if len(left) == 0 || again || ctx.Err() != nil {
			return asked
		}
		all = left
	}
}

// joined is one session that is looked at.
type joined struct {
	id     *ident.ID
	flight *near.Flight // nil: the near cache had it
	own    bool         // this look made the flight
	found  *finding
}

// joinAll takes what the near cache has, and joins a flight for everything else. It returns the flights that are to be made.
func (s *Store) joinAll(all []joined) (own []joined) {
	now := time.Now()
	for i := range all {
		j := &all[i]
		if r, l, ok := s.cache.Get(j.id, now); ok {
			*j.found = finding{r: r, lease: l}
			continue
		}
		if j.flight, j.own = s.cache.Join(*j.id, now); j.own {
			own = append(own, *j)
		}
	}
	return own
}

// await waits for the flight and takes what it brought.
func (j *joined) await(ctx context.Context) {
	if j.flight == nil {
		return
	}
	select {
	case <-j.flight.Landed():
		j.found.r, j.found.lease, j.found.err = j.flight.Result()
	case <-ctx.Done():
		*j.found = finding{err: failure("get", ctx.Err())}
	}
}

// flyAll makes flights: tracked reads in one round trip.
func (s *Store) flyAll(ctx context.Context, all []joined) {
	if len(all) == 0 {
		return
	}
	if err := s.acquire(ctx); err != nil {
		for _, j := range all {
			s.cache.Land(j.flight, nil, failure("get", err), time.Now())
		}
		return
	}
	go func() {
		defer s.release()
		reads := make([]rueidis.CacheableTTL, len(all))
		for i, j := range all {
			reads[i] = rueidis.CT(s.trackedRead(*j.id), near.TTL)
		}
		sent := time.Now()
		replies := s.client.DoMultiCache(lasting{ctx}, reads...)
		for i, j := range all {
			r, err := s.parseTracked(replies[i], sent)
			s.cache.Land(j.flight, r, failure("get", err), time.Now())
		}
	}()
}

// pollAll is lookAll where the server reports nothing.
func (s *Store) pollAll(ctx context.Context, ids []ident.ID, found []finding) (asked int) {
	ids = append([]ident.ID(nil), ids...) // the caller may not wait for the answer
	all, err := run(ctx, s, "get", func(ctx context.Context) ([]finding, error) { return s.fetchAll(ctx, ids), nil })
	if err != nil {
		for i := range found {
			found[i] = finding{err: err}
		}
		return len(ids)
	}
	copy(found, all)
	return len(ids)
}

// fetchAll reads several records from the server in one round trip.
func (s *Store) fetchAll(ctx context.Context, ids []ident.ID) []finding {
	var reads []rueidis.Completed
	for _, id := range ids {
		reads = append(reads, s.client.B().Get().Key(s.key(id)).Build())
		if s.Koa {
			reads = append(reads, s.client.B().Pttl().Key(s.key(id)).Build())
		}
	}
	sent := time.Now()
	replies := s.client.DoMulti(ctx, reads...)
	all := make([]finding, len(ids))
	for i := range ids {
		at := i * len(reads) / len(ids)
		r, err := parseReply(replies[at].ToString())
		if err == nil && s.Koa {
			r = withTTL(r, replies[at+1], sent)
		}
		all[i] = finding{r: r, err: failure("get", err)}
		s.learn(ids[i], r, all[i].err)
	}
	return all
}

// withTTL returns r with the end that a reply to PTTL, sent at the given instant, tells: as it is if that tells none.
func withTTL(r *record.Record, reply rueidis.RedisResult, sent time.Time) *record.Record {
	ttl, err := reply.AsInt64()
	if err != nil || ttl < 0 {
		return r
	}
	return r.WithExpires(time.UnixMilli(sent.UnixMilli() + ttl))
}

// fetchTracked reads a record such that the server will report a change of it.
func (s *Store) fetchTracked(ctx context.Context, id ident.ID) (*record.Record, error) {
	var reply rueidis.RedisResult
	var sent time.Time
	err := s.retry(ctx, func() error {
		sent = time.Now()
		reply = s.client.DoCache(ctx, s.trackedRead(id), near.TTL)
		return reply.Error()
	})
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, err
	}
	return s.parseTracked(reply, sent)
}

// trackedRead is the command of fetchTracked.
func (s *Store) trackedRead(id ident.ID) rueidis.Cacheable {
	get := s.client.B().Get().Key(s.key(id)).Cache()
	if s.Koa {
		return get
	}
	return get.ToStaticTTL() // the record says itself when it ends: do not ask the server for it
}

// parseTracked returns the record of a reply to trackedRead, which was sent at the given instant.
func (s *Store) parseTracked(reply rueidis.RedisResult, sent time.Time) (*record.Record, error) {
	r, err := parseReply(reply.ToString())
	if err != nil || !s.Koa || reply.CachePXAT() <= 0 {
		return r, err
	}
	// rueidis counts the TTL from when the reply came. The server counted it from some time after the command was
	// sent: taking off what the answer took errs on the short side.
	return r.WithExpires(time.UnixMilli(reply.CachePXAT()).Add(-time.Since(sent))), nil
}
