package redis

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/near"
	"github.com/fibersess/sess/internal/record"
	"github.com/redis/rueidis"
)

// create is Swap where nothing must be there.
func (s *Store) create(ctx context.Context, key string, next *record.Record, ttl time.Duration) (*record.Record, error) {
	for {
		err := s.retryUnsent(ctx, func() error {
			return s.client.Do(ctx, s.client.B().Set().Key(key).Value(next.JSON()).Nx().PxMilliseconds(millis(ttl)).Build()).Error()
		})
		if !rueidis.IsRedisNil(err) {
			return next, err
		}
		current, err := s.fetch(ctx, key)
		if err != record.ErrNotFound {
			return current, err
		}
		// What was there has gone meanwhile.
	}
}

// replace is Swap where old must be there.
func (s *Store) replace(ctx context.Context, key string, old, next *record.Record, ttl time.Duration) (*record.Record, error) {
	var reply rueidis.RedisResult
	sent := time.Now()
	err := s.retryUnsent(ctx, func() error {
		sent = time.Now()
		reply = s.swap.exec(ctx, s.client, key, swapArgs(old, next, ttl)...)
		return reply.Error()
	})
	return swapped(reply, err, next, sent)
}

// exchanged is what became of an exchange.
type exchanged struct {
	current *record.Record // as Swap returns it
	kept    bool           // the near cache holds what the server held after the swap
}

// exchange is replace, which also lets the server report the next change of the key: so the near cache need not ask for
// what this node has written. Where the script surely did nothing replace tries again.
func (s *Store) exchange(ctx context.Context, id ident.ID, old, next *record.Record, ttl time.Duration) (exchanged, error) {
	sent := time.Now()
	f := s.cache.Begin(id, sent)
	key := s.key(id)
	number := s.carried.add(f)
	defer s.carried.remove(number)
	swap := s.swap.evalsha(s.client.B(), key, swapArgs(old, next, ttl)...)
	// A cacheable command is one that is sent with the request to report changes of what it reads.
	reply := s.client.DoCache(ctx, rueidis.Cacheable(swap).ToStaticTTL(), number)
	current, err := swapped(reply, reply.Error(), next, sent)
	if code, _ := errorCode(err); code == "NOSCRIPT" || didNothing(err) {
		s.cache.Land(f, nil, err, time.Now())
		current, err = s.replace(ctx, key, old, next, ttl)
		return exchanged{current: current}, err
	}
	return exchanged{current, s.land(f, current, err, next, sent.Add(ttl))}, err
}

// land ends the flight of a swap that has brought current: if that is next, it ends at the given instant.
func (s *Store) land(f *near.Flight, current *record.Record, err error, next *record.Record, ends time.Time) (kept bool) {
	if err == nil && current == next {
		current = endingBy(next, ends)
	}
	return s.cache.Land(f, current, err, time.Now())
}

// exchangeUnreported is exchange where the server reports nothing: what was swapped in is known without a read, and is
// served as long as if it had been read when the swap was sent.
func (s *Store) exchangeUnreported(ctx context.Context, id ident.ID, old, next *record.Record, ttl time.Duration) (exchanged, error) {
	sent := time.Now()
	f := s.cache.Begin(id, sent)
	current, err := s.replace(ctx, s.key(id), old, next, ttl)
	return exchanged{current, s.land(f, current, err, next, sent.Add(ttl))}, err
}

// endingBy returns r such that its session ends at the given instant at the latest.
func endingBy(r *record.Record, ends time.Time) *record.Record {
	if r.Expires().IsZero() || r.Expires().After(ends) {
		return r.WithExpires(ends)
	}
	return r
}

// swapArgs returns the arguments of swapScript.
func swapArgs(old, next *record.Record, ttl time.Duration) []string {
	args := []string{old.JSON()}
	if next != nil {
		args = append(args, strconv.FormatInt(millis(ttl), 10))
		if next.JSON() != old.JSON() {
			args = append(args, next.JSON())
		}
	}
	return args
}

// swapped returns what Swap does, of the reply of swapScript, which was sent at the given instant.
func swapped(reply rueidis.RedisResult, err error, next *record.Record, sent time.Time) (*record.Record, error) {
	if m, _ := reply.ToMessage(); err == nil && m.IsInt64() {
		return next, nil
	}
	there, _, err := stood(reply, err, sent)
	return there, err
}

// stood returns what a script says was there, and what it says after that. The script was sent at the given instant.
func stood(reply rueidis.RedisResult, err error, sent time.Time) (r *record.Record, rest []rueidis.RedisMessage, failed error) {
	if rueidis.IsRedisNil(err) {
		return nil, nil, record.ErrNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	parts, err := reply.ToArray()
	if err != nil {
		return nil, nil, err
	}
	if len(parts) < 2 {
		return nil, nil, errReply
	}
	text, err := parts[0].ToString()
	if err != nil {
		return nil, nil, err
	}
	ttl, err := parts[1].AsInt64()
	r, err = parse(text, ttl, sent, err)
	return r, parts[2:], err
}

// end deletes the session under key, whichever it is, and returns it, or what it has left there because it is none.
func (s *Store) end(ctx context.Context, key string) (*record.Record, error) {
	for {
		var reply rueidis.RedisResult
		sent := time.Now()
		err := s.retryUnsent(ctx, func() error {
			sent = time.Now()
			reply = s.ending.exec(ctx, s.client, key)
			return reply.Error()
		})
		was, rest, err := stood(reply, err, sent)
		code, _ := errorCode(err)
		switch {
		case code == "WRONGTYPE" || errors.Is(err, record.ErrCorrupt):
			return nil, s.remove(ctx, key)
		case err != nil || !was.Live():
			return was, err
		}
		if len(rest) > 0 {
			if deleted, err := rest[0].AsInt64(); err != nil || deleted == 1 {
				return was, err
			}
		}
		// A session that the server cannot read. It may have changed meanwhile.
		if current, err := s.replace(ctx, key, was, nil, 0); err != nil || current == nil {
			return was, err
		}
	}
}

// remove deletes key.
func (s *Store) remove(ctx context.Context, key string) error {
	return s.retryUnsent(ctx, func() error {
		return s.client.Do(ctx, s.client.B().Del().Key(key).Build()).Error()
	})
}

// fetch reads a record from the server: from a master, since a replica refuses GETEX.
func (s *Store) fetch(ctx context.Context, key string) (*record.Record, error) {
	var r *record.Record
	err := s.retry(ctx, func() (err error) {
		sent := time.Now()
		b := s.client.B()
		replies := s.client.DoMulti(ctx, b.Getex().Key(key).Build(), b.Pttl().Key(key).Build())
		r, err = parsePair(replies[0], replies[1], sent)
		if code, _ := errorCode(err); code == "NOREPLICAS" || code == "MISCONF" {
			r, err = s.fetchUnwritable(ctx, key, err)
		}
		return err
	})
	return r, err
}

// fetchUnwritable is fetch where the server refuses every write, for the given reason. It asks for the server's role
// instead. In a cluster a replica sends its readers to the master.
func (s *Store) fetchUnwritable(ctx context.Context, key string, refused error) (*record.Record, error) {
	sent := time.Now()
	b := s.client.B()
	get, pttl := b.Get().Key(key).Build(), b.Pttl().Key(key).Build()
	if s.client.Mode() == rueidis.ClientModeCluster {
		replies := s.client.DoMulti(ctx, get, pttl)
		return parsePair(replies[0], replies[1], sent)
	}
	replies := s.client.DoMulti(ctx, b.Hello().Build(), b.Role().Build(), get, pttl)
	if roleOf(replies[0], replies[1]) != roleMaster {
		return nil, refused
	}
	return parsePair(replies[2], replies[3], sent)
}

// fetchTracked reads a record such that the server will report a change of it.
func (s *Store) fetchTracked(ctx context.Context, key string) (*record.Record, error) {
	var r *record.Record
	err := s.retry(ctx, func() (err error) {
		sent := time.Now()
		b := s.client.B()
		replies := s.client.DoMultiCache(ctx, rueidis.CT(b.Get().Key(key).Cache().ToStaticTTL(), near.TTL),
			rueidis.CT(b.Pttl().Key(key).Cache().ToStaticTTL(), near.TTL))
		r, err = parsePair(replies[0], replies[1], sent)
		return err
	})
	return r, err
}

// parsePair returns the record of the replies to a read and to PTTL, asked for at sent.
func parsePair(value, pttl rueidis.RedisResult, sent time.Time) (*record.Record, error) {
	text, err := value.ToString()
	ttl, ttlErr := pttl.AsInt64()
	if err == nil {
		err = ttlErr
	}
	return parse(text, ttl, sent, err)
}

// parse returns the record that text is. Its end is the server's, on this node's clock: ttl is what it had left, in
// milliseconds, some time after sent. The end that the record states is that of the clock of who wrote it; it counts where
// the key has no TTL, which is -1. Where the key is gone, ttl is -2.
func parse(text string, ttl int64, sent time.Time, err error) (*record.Record, error) {
	r, err := parseText(text, err)
	switch {
	case err != nil:
		return nil, err
	case ttl == -2:
		return nil, record.ErrNotFound
	case ttl < 0:
		return r, nil
	default:
		return r.WithExpires(sent.Add(time.Duration(ttl) * time.Millisecond)), nil
	}
}

func parseText(json string, err error) (*record.Record, error) {
	if rueidis.IsRedisNil(err) {
		return nil, record.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return record.ParseRecord(json)
}
