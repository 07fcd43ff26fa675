package redis

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersess/sess/internal/near"
	"github.com/redis/rueidis"
)

// link is what rueidis takes for the cache of one connection. It keeps nothing. It tells the near cache on which
// connection a read is sent, what the server invalidates and that the connection is lost, and keeps the connection's
// lease.
//
// rueidis calls Flight from the goroutine that reads, Cancel from that or from the one that receives, and all others
// from the one that receives, in the order of the stream.
type link struct {
	*tracking
	lease atomic.Pointer[near.Lease]
	beat  atomic.Int64 // when the heartbeat under way was sent, as nearCache.mono has it; 0: there is none

	// What the server says of its evictions, for the goroutine that receives.
	evicted  int64 // keys so far, and one more; 0: it has not said so yet
	commands int64 // that it had carried out when it said so
	silence  int   // heartbeats for which it has not
}

var _ rueidis.CacheStore = (*link)(nil)

// tracking is what all links of a store share.
type tracking struct {
	cache   *near.Cache
	watches *watches
	probe   atomic.Pointer[probe]
	connect chan struct{} // holds a token after a connection was made, which has no lease before its first heartbeat
	carried carried

	trackedKeys atomic.Int64 // of how many keys a server notes the readers at most, the least of all servers; 0: of any number
}

// crowded reports whether a server that notes the readers of so many keys may soon be full, or is.
func (t *tracking) crowded(tracked int64) bool {
	most := t.trackedKeys.Load()
	return most > 0 && tracked > most-max(most/10, min(most/2, 50_000))
}

// carried are the flights whose read is part of a write that is being sent. A client does not tell a link which session such
// a command is about. It hands through, as a TTL that means nothing to a link, a number, which is negative.
type carried struct {
	mu      sync.Mutex
	last    time.Duration
	flights map[time.Duration]*near.Flight
}

func (c *carried) add(f *near.Flight) (number time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last--
	if c.flights == nil {
		c.flights = make(map[time.Duration]*near.Flight)
	}
	c.flights[c.last] = f
	return c.last
}

func (c *carried) remove(number time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, number)
}

func (c *carried) all() []*near.Flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.flights))
}

func (c *carried) of(number time.Duration) *near.Flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flights[number]
}

func (t *tracking) newLink(rueidis.CacheStoreOption) rueidis.CacheStore {
	l := &link{tracking: t}
	l.lease.Store(new(near.Lease))
	wake(t.connect)
	return l
}

// probe waits for the invalidation of one key.
type probe struct {
	key  string
	seen chan struct{} // holds a token after it came
}

// wake puts a token into a channel that holds one, if it is not there.
func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// heartbeatCommand is the name of the command whose replies extend the lease: HELLO is the cheapest that also tells
// whether the server is a master.
const heartbeatCommand = "HELLO"

// evictionsCommand is the name of the command that goes before each heartbeat, and tells how many keys the server has
// evicted, and of how many it notes the readers. A key that it evicts in order to carry out a command of this connection it does
// not report to this connection, and it reports no later change of it either. The same goes for a key whose readers it forgets
// then, since it notes those of tracking-table-max-keys keys: that it does not count.
const evictionsCommand = "INFO"

// scriptCommand is what the name of a write begins with that carries a read.
const scriptCommand = "EVAL"

// maxSilence is for how many heartbeats, of which there are four in MaxStale, a lease holds where the server does not tell.
const maxSilence = 3

// Flight always says that there is nothing, so rueidis asks the server.
func (l *link) Flight(key, command string, number time.Duration, now time.Time) (rueidis.RedisMessage, rueidis.CacheEntry) {
	switch {
	case number < 0:
		if f := l.carried.of(number); f != nil {
			l.cache.Carried(f, l.lease.Load())
		}
	case command == heartbeatCommand:
		l.beat.Store(max(1, l.cache.Mono(now)))
	case command == evictionsCommand:
	default:
		l.cache.Sent(key, l.lease.Load())
	}
	return rueidis.RedisMessage{}, nil
}

// Update takes the reply to a tracked read, which the reader itself gets too: here it counts that it came, and what
// heartbeats say. It returns when the value ends in Unix milliseconds, 0 if the server did not say.
func (l *link) Update(key, command string, reply rueidis.RedisMessage) int64 {
	switch command {
	case evictionsCommand:
		text, _ := reply.ToString()
		l.counted(statsOf(text))
		return 0
	case heartbeatCommand:
	default:
		l.cache.Answered(key, l.lease.Load())
		return max(0, reply.CachePXAT())
	}
	sent := l.beat.Swap(0)
	server, err := greeting(reply)
	switch {
	case err != nil || sent == 0:
	case server.role != roleMaster: // The server was a master before a failover: its reports are those of a replica, which come late.
		l.renew(!l.lease.Load().New()) // a replica has no lease to lose: that is no news
	default:
		l.cache.Prove(l.lease.Load(), sent)
	}
	return 0
}

// Cancel hears of reads that failed or were redirected. Where a server asks to send one command elsewhere, since it is giving
// the key's slot away, the client does so such that the other server does not note who reads: it will report no change.
func (l *link) Cancel(key, command string, err error) {
	switch command {
	case heartbeatCommand:
		l.beat.Store(0)
		return
	case evictionsCommand:
		if _, refused := errorCode(err); refused {
			l.uncounted()
		}
		return
	}
	if strings.HasPrefix(command, scriptCommand) { // What it carries is not said: it may be any of those under way.
		for _, f := range l.carried.all() {
			l.cache.Strayed(f, l.lease.Load())
		}
		return
	}
	if id, ok := l.cache.IDOf(key); ok {
		l.cache.Invalidate(id)
	}
}

// Delete hears what the server invalidates; nil stands for everything.
func (l *link) Delete(keys []rueidis.RedisMessage) {
	if keys == nil {
		l.renew(true)
		return
	}
	for i := range keys {
		if key, err := keys[i].ToString(); err == nil {
			l.invalidated(key)
		}
	}
}

func (l *link) invalidated(key string) {
	if p := l.probe.Load(); p != nil && p.key == key {
		wake(p.seen)
	}
	if id, ok := l.cache.IDOf(key); ok {
		l.cache.Report(id, l.lease.Load())
		l.watches.changed(id)
	}
}

// counted hears how many keys the server has evicted so far. What was read before that changed may be gone, and no later
// change of it will be reported. Where its statistics began anew (CONFIG RESETSTAT) it may have evicted as many as before.
func (l *link) counted(seen stats) {
	if !seen.counts {
		l.uncounted()
		return
	}
	if news := l.evicted != 0; l.evicted != seen.evicted+1 || seen.commands < l.commands {
		l.evicted, l.silence = seen.evicted+1, 0
		l.renew(news)
	}
	l.commands = seen.commands
	if l.crowded(seen.tracked) {
		l.uncounted()
	}
}

// uncounted hears that the server does not say what it forgets: nothing that was read is believed for longer than MaxStale.
func (l *link) uncounted() {
	if l.silence++; l.silence%maxSilence == 0 {
		l.renew(false)
	}
}

// Close hears that the connection is lost.
func (l *link) Close(error) { l.renew(true) }

// renew ends the lease and begins another that holds for nothing yet: all that was read before is worthless. news says
// whether that is worth telling.
func (l *link) renew(news bool) {
	fresh := new(near.Lease)
	l.lease.Swap(fresh).End()
	if news {
		l.cache.Flushed()
		wake(l.watches.lost)
	}
}
