package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/near"
	"github.com/fibersess/sess/internal/record"
	"github.com/redis/rueidis"
)

// opTimeout bounds a command whose context has no deadline.
const opTimeout = time.Second

// run runs f, which sends commands, on a goroutine of its own, and waits for it no longer than ctx lives. A client
// does not always obey a context: it waits for a connection that is being made, and for room in a full ring. And a
// command that was given up is under way until the server has answered or the connection is dead; it keeps its slot
// for so long, so that the ring never fills.
func run[T any](ctx context.Context, s *Store, op string, f func(ctx context.Context) (T, error)) (T, error) {
	type outcome struct {
		v   T
		err error
	}
	var none T
	ctx, cancel := bounded(ctx)
	defer cancel()
	if err := s.acquire(ctx); err != nil {
		return none, failure(op, err)
	}
	ended := make(chan outcome, 1)
	go func() {
		defer s.release()
		growStack()
		v, err := f(lasting{ctx})
		ended <- outcome{v, err}
	}()
	select {
	case o := <-ended:
		return o.v, failure(op, o.err)
	case <-ctx.Done():
		return none, failure(op, ctx.Err())
	}
}

// growStack makes the room that a command needs on a new goroutine's stack, while there is next to nothing on it: where
// it grows on the way, frames are to be moved each time, which took 2 µs of the 24 that a save takes in all.
//
//go:noinline
func growStack() {
	var room [6 << 10]byte
	runtime.KeepAlive(&room)
}

// bounded returns a context that has a deadline.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, opTimeout)
}

// lasting is a context with a deadline and an error but without an end to wait for: a client does not begin anything
// under it that is too late, and waits for the reply to what it has sent.
type lasting struct{ context.Context }

func (lasting) Done() <-chan struct{} { return nil }

func (s *Store) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.done:
		return record.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case s.slots <- struct{}{}:
	}
	select {
	case <-s.done:
		s.release()
		return record.ErrClosed
	default:
		return nil
	}
}

func (s *Store) release() { <-s.slots }

// swapScript compares what is there with ARGV[1] and, if they are equal, deletes it, or gives it the TTL ARGV[2] in
// milliseconds, or replaces it by ARGV[3] with that TTL. It returns 1 when that is done, nil if nothing is there, and
// else what is there, with its TTL in milliseconds.
//
// GETEX without options reads as GET does but counts as a write. So a replica refuses it, where GET would say what is
// old, or that nothing is there. It comes after the comparison because a script that has written may go on when the
// server is out of memory: SET must be the first write, to be refused then. DEL and PEXPIRE are not refused.
const swapScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then
	if #ARGV == 1 then redis.call('DEL', KEYS[1])
	elseif #ARGV == 2 then redis.call('PEXPIRE', KEYS[1], ARGV[2])
	else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2]) end
	return 1
end
local other = redis.call('GETEX', KEYS[1])
return other and {other, redis.call('PTTL', KEYS[1])}`

// readScript returns what is there and its TTL in milliseconds.
const readScript = `return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}`

// create is Swap where nothing must be there.
func (s *Store) create(ctx context.Context, id ident.ID, next *record.Record, ttl time.Duration) (*record.Record, error) {
	for {
		err := s.retryUnsent(ctx, func() error {
			return s.client.Do(ctx, s.client.B().Set().Key(s.key(id)).Value(next.JSON()).Nx().PxMilliseconds(millis(ttl)).Build()).Error()
		})
		if !rueidis.IsRedisNil(err) {
			return next, err
		}
		current, err := s.fetch(ctx, id)
		if err != record.ErrNotFound {
			return current, err
		}
		// What was there has gone meanwhile.
	}
}

// replace is Swap where old must be there.
func (s *Store) replace(ctx context.Context, id ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error) {
	var reply rueidis.RedisResult
	sent := time.Now()
	err := s.retryUnsent(ctx, func() error {
		sent = time.Now()
		reply = s.swap.Exec(ctx, s.client, []string{s.key(id)}, swapArgs(old, next, ttl))
		return reply.Error()
	})
	return s.swapped(reply, err, next, sent)
}

// exchanged is what became of an exchange.
type exchanged struct {
	current *record.Record // as Swap returns it
	kept    bool           // the near cache holds what the server held after the swap
}

// exchange is replace, which in the same round trip reads the key again, such that the server will report a change of
// it: so the near cache need not ask for what this node has written. Where the script surely did nothing replace tries
// again.
func (s *Store) exchange(ctx context.Context, id ident.ID, old, next *record.Record, ttl time.Duration) (exchanged, error) {
	sent := time.Now()
	f := s.cache.Begin(id, sent)
	key := s.key(id)
	swap := s.client.B().Evalsha().Sha1(s.swapSum).Numkeys(1).Key(key).Arg(swapArgs(old, next, ttl)...).Build()
	get := s.client.B().Get().Key(key).Cache()
	// A cacheable command is one that is sent with the request to track what it reads. All commands of a batch must be.
	replies := s.client.DoMultiCache(ctx,
		rueidis.CT(rueidis.Cacheable(swap).ToStaticTTL(), near.TTL), rueidis.CT(get.ToStaticTTL(), near.TTL))
	there, err := replies[1].ToString()
	r := next
	if err != nil || there != next.JSON() {
		r, err = parseReply(there, err)
	}
	kept := s.cache.Land(f, r, failure("get", err), time.Now())

	err = replies[0].Error()
	if code, _ := errorCode(err); code == "NOSCRIPT" || didNothing(err) {
		current, err := s.replace(ctx, id, old, next, ttl)
		return exchanged{current: current}, err
	}
	current, err := s.swapped(replies[0], err, next, sent)
	return exchanged{current, kept}, err
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
func (s *Store) swapped(reply rueidis.RedisResult, err error, next *record.Record, sent time.Time) (*record.Record, error) {
	if rueidis.IsRedisNil(err) {
		return nil, record.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	if m, _ := reply.ToMessage(); m.IsInt64() {
		return next, nil
	}
	return s.parsePair(reply, sent)
}

// fetch reads a record from the server.
func (s *Store) fetch(ctx context.Context, id ident.ID) (*record.Record, error) {
	var reply rueidis.RedisResult
	sent := time.Now()
	err := s.retry(ctx, func() error {
		sent = time.Now()
		if s.Koa {
			reply = s.read.Exec(ctx, s.client, []string{s.key(id)}, nil)
		} else {
			reply = s.client.Do(ctx, s.client.B().Get().Key(s.key(id)).Build())
		}
		return reply.Error()
	})
	switch {
	case rueidis.IsRedisNil(err):
		return nil, record.ErrNotFound
	case err != nil:
		return nil, err
	case s.Koa:
		return s.parsePair(reply, sent)
	default:
		return parseReply(reply.ToString())
	}
}

// parsePair returns the record of a reply that is a value and its TTL in milliseconds, asked for at sent.
func (s *Store) parsePair(reply rueidis.RedisResult, sent time.Time) (*record.Record, error) {
	pair, err := reply.ToArray()
	if err != nil {
		return nil, err
	}
	if len(pair) != 2 {
		return nil, errReply
	}
	r, err := parseReply(pair[0].ToString())
	ttl, _ := pair[1].AsInt64() // negative: it has none
	if err != nil || !s.Koa || ttl < 0 {
		return r, err
	}
	return r.WithExpires(time.UnixMilli(sent.UnixMilli() + ttl)), nil
}

func parseReply(json string, err error) (*record.Record, error) {
	if rueidis.IsRedisNil(err) {
		return nil, record.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return record.ParseRecord(json)
}

// retry calls f, which only reads, until it succeeds, fails for a reason that will last, or ctx is about to end.
func (s *Store) retry(ctx context.Context, f func() error) error {
	return s.retryIf(ctx, f, func(err error) bool {
		code, replied := errorCode(err)
		return replied && slices.Contains(passingCodes, code) || !replied
	})
}

// retryUnsent is retry for what writes: only when the server surely did nothing.
func (s *Store) retryUnsent(ctx context.Context, f func() error) error {
	return s.retryIf(ctx, f, didNothing)
}

// didNothing reports whether an error says that the server surely did nothing, and that this will pass.
func didNothing(err error) bool {
	if err == nil {
		return false
	}
	code, replied := errorCode(err)
	var dial *net.OpError
	return replied && slices.Contains(passingCodes, code) || errors.As(err, &dial) && dial.Op == "dial" ||
		errors.Is(err, rueidis.ErrNoSlot)
}

// passingCodes are the errors of a server that did nothing and will say something else soon: after it has loaded its
// data, after a failover, when a script of somebody's has ended, when a slot has moved.
var passingCodes = []string{"LOADING", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "READONLY", "BUSY"}

// The pauses between tries double, in milliseconds, from 2 to 64.
const (
	firstPause = 2 * time.Millisecond
	maxPause   = 64 * time.Millisecond
)

func (s *Store) retryIf(ctx context.Context, f func() error, passing func(error) bool) error {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := f()
		if err == nil || rueidis.IsRedisNil(err) || isContext(err) || ctx.Err() != nil || !passing(err) {
			return err
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) <= pause {
			return err
		}
		select {
		case <-s.done:
			return record.ErrClosed
		case <-time.After(pause):
		}
	}
}

// passes reports whether an error that failure returned may pass by itself.
func passes(err error) bool {
	var told *Error
	if errors.As(err, &told) {
		return slices.Contains(passingCodes, told.Code)
	}
	return unanswered(err)
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// Error is the root's RedisError.
type Error struct {
	Op   string // what was done: get, set, swap, destroy, connect
	Code string // the first word of the reply: OOM, READONLY, NOPERM
}

func (e *Error) Error() string {
	return fmt.Sprintf("sess: redis %s: the server replied %s", e.Op, e.Code)
}

var (
	errReply         = errors.New("a reply of another kind than the command has")
	errNothingToSwap = errors.New("sess: redis swap: got neither an old nor a next record; want at least one")
)

func errTTL(op string, ttl time.Duration) error {
	return fmt.Errorf("sess: redis %s: ttl: got %v; want more than 0", op, ttl)
}

// failure returns what a caller is told of err.
func failure(op string, err error) error {
	if err == nil || err == record.ErrNotFound {
		return err
	}
	var told *Error
	switch {
	case errors.As(err, &told):
		return err
	case errors.Is(err, rueidis.ErrClosing):
		err = record.ErrClosed
	}
	if code, ok := errorCode(err); ok {
		if code == "WRONGTYPE" {
			return fmt.Errorf("sess: redis %s: %w: the key holds no string", op, record.ErrCorrupt)
		}
		return &Error{Op: op, Code: code}
	}
	return fmt.Errorf("sess: redis %s: %w", op, err)
}

// errorCode returns the code of an error that a server replied. Servers before 7.0 put what a script met into a text
// of theirs: "ERR Error running script (call to f_…): @user_script:2: @user_script: 2: -OOM command not allowed …".
func errorCode(err error) (string, bool) {
	reply, ok := rueidis.IsRedisErr(err)
	if !ok {
		return "", false
	}
	text := reply.Error()
	if strings.HasPrefix(text, "ERR Error running script") {
		if _, cause, ok := strings.Cut(text, ": -"); ok {
			text = cause
		}
	}
	code, _, _ := strings.Cut(text, " ")
	if strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		code = "ERR"
	}
	return code, true
}
