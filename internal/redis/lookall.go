package redis

import (
	"context"
	"slices"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/near"
	"github.com/fibersess/sess/internal/record"
	"github.com/redis/rueidis"
)

// lookAll looks at several sessions in one round trip, or in none at those that the near cache has. It puts what it finds
// of ids[i] into found[i], and returns how many reads it has sent.
func (s *Store) lookAll(ctx context.Context, ids []ident.ID, found []finding) (asked int) {
	if !s.reports() {
		return s.pollAll(ctx, ids, found)
	}
	all := make([]joined, len(ids))
	for i, id := range ids {
		all[i] = joined{id: id, found: &found[i]}
	}
	for again := false; ; again = true {
		own := s.joinAll(all)
		s.flyAll(ctx, own)
		asked += len(own)
		var left []joined
		for i := range all {
			j := &all[i]
			if s.await(ctx, j); !j.own && unseen(j.found.err) && (j.flight.OfWrite() || !again && unanswered(j.found.err)) {
				left = append(left, *j) // It may have failed whoever made the flight, as in Get.
			}
		}
		if len(left) == 0 || ctx.Err() != nil {
			return asked
		}
		all = left
	}
}

// joined is one session that is looked at.
type joined struct {
	id     ident.ID
	flight *near.Flight // nil: the near cache had it
	own    bool         // this look made the flight
	found  *finding
}

// joinAll takes what the near cache has, and joins a flight for everything else. It returns the flights that are to be made.
func (s *Store) joinAll(all []joined) (own []joined) {
	now := time.Now()
	for i := range all {
		j := &all[i]
		if r, l, ok := s.cache.Get(&j.id, now); ok {
			j.flight, *j.found = nil, finding{r: r, lease: l}
			continue
		}
		if j.flight, j.own = s.cache.Join(j.id, now); j.own {
			own = append(own, *j)
		}
	}
	return own
}

// await waits for the flight and takes what it brought.
func (s *Store) await(ctx context.Context, j *joined) {
	if j.flight == nil {
		return
	}
	select {
	case <-j.flight.Landed():
		j.found.r, j.found.lease, j.found.err = j.flight.Result()
	case <-ctx.Done():
		*j.found = finding{err: s.failure(task{op: "get"}, ctx.Err())}
	}
}

// flyAll makes flights: tracked reads in one round trip.
func (s *Store) flyAll(ctx context.Context, all []joined) {
	if len(all) == 0 {
		return
	}
	keys := make([]string, len(all))
	for i, j := range all {
		keys[i] = s.key(j.id)
	}
	slot, err := s.acquire(ctx, keys[0])
	if err != nil {
		for _, j := range all {
			s.cache.Land(j.flight, nil, s.failure(task{op: "get"}, err), time.Now())
		}
		return
	}
	go func() {
		defer slot.release()
		for i, o := range s.fetchAllVouched(lasting{ctx}, all, keys) {
			s.cache.Land(all[i].flight, o.r, s.failure(task{op: "get", key: keys[i]}, o.err), time.Now())
		}
	}()
}

// fetched is what a read of a key has brought.
type fetched struct {
	r   *record.Record
	err error
}

// fetchAllVouched reads several records such that the server will report changes of them. Those that come from a server
// which may have become a replica, whose news is old, it reads again.
func (s *Store) fetchAllVouched(ctx context.Context, all []joined, keys []string) []fetched {
	brought := s.fetchAllTracked(ctx, keys)
	var doubtful []int
	var again []string
	now := time.Now()
	for i, o := range brought {
		if !unseen(o.err) && !s.cache.Vouched(all[i].flight, now) {
			doubtful = append(doubtful, i)
			again = append(again, keys[i])
		}
	}
	if len(again) > 0 {
		for i, o := range s.fetchAll(ctx, again) {
			brought[doubtful[i]] = o
		}
	}
	return brought
}

// fetchAllTracked is fetchTracked for several keys, in one round trip.
func (s *Store) fetchAllTracked(ctx context.Context, keys []string) []fetched {
	reads := make([]rueidis.CacheableTTL, 0, 2*len(keys))
	b := s.client.B()
	for _, key := range keys {
		reads = append(reads, rueidis.CT(b.Get().Key(key).Cache().ToStaticTTL(), near.TTL),
			rueidis.CT(b.Pttl().Key(key).Cache().ToStaticTTL(), near.TTL))
	}
	sent := time.Now()
	return parsePairs(s.client.DoMultiCache(ctx, reads...), sent)
}

// fetchAll is fetch for several keys, in one round trip where the server takes writes.
func (s *Store) fetchAll(ctx context.Context, keys []string) []fetched {
	reads := make([]rueidis.Completed, 0, 2*len(keys))
	b := s.client.B()
	for _, key := range keys {
		reads = append(reads, b.Getex().Key(key).Build(), b.Pttl().Key(key).Build())
	}
	sent := time.Now()
	all := parsePairs(s.client.DoMulti(ctx, reads...), sent)
	for i := range all {
		switch code, _ := errorCode(all[i].err); code {
		case "NOREPLICAS", "MISCONF":
			all[i].r, all[i].err = s.fetchUnwritable(ctx, keys[i], all[i].err)
		case "READONLY":
			s.redial(sent)
		}
	}
	return all
}

func parsePairs(replies []rueidis.RedisResult, sent time.Time) []fetched {
	all := make([]fetched, 0, len(replies)/2)
	for pair := range slices.Chunk(replies, 2) {
		r, err := parsePair(pair[0], pair[1], sent)
		all = append(all, fetched{r, err})
	}
	return all
}

// pollAll is lookAll where the server reports nothing.
func (s *Store) pollAll(ctx context.Context, ids []ident.ID, found []finding) (asked int) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = s.key(id)
	}
	all, err := run(ctx, s, task{op: "get", key: keys[0]}, func(ctx context.Context) ([]fetched, error) {
		return s.fetchAll(ctx, keys), nil
	})
	for i := range found {
		if err != nil {
			found[i] = finding{err: err}
			continue
		}
		found[i] = finding{r: all[i].r, err: s.failure(task{op: "get", key: keys[i]}, all[i].err)}
		s.learn(ids[i], found[i].r, found[i].err)
	}
	return len(ids)
}
