package redis

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/near"
	"github.com/redis/rueidis"
)

// heartbeats asks every server four times per MaxStale whether it is there and a master, which extends the leases of
// the near cache, and at once when a connection was made.
func (s *Store) heartbeats() {
	tick := time.NewTicker(s.MaxStale / 4)
	defer tick.Stop()
	beating := new(sync.Map) // addresses of servers that have not answered yet
	for {
		select {
		case <-s.done:
			return
		case <-s.connect:
		case <-tick.C:
		}
		for addr, node := range s.client.Nodes() {
			if _, busy := beating.LoadOrStore(addr, true); busy {
				continue
			}
			s.beats.Go(func() {
				defer beating.Delete(addr)
				s.beat(node)
			})
		}
	}
}

// beat asks one server. Its link takes the reply; here it counts if the server is a replica, which in a cluster it may be.
func (s *Store) beat(node rueidis.Client) {
	asked := time.Now()
	if role := s.askRole(node); role != "" && role != roleMaster {
		s.redial(asked)
	}
}

// askRole returns what a server says it is, empty if it says nothing. Its link takes the reply too. Where the server reports
// nothing it may not know HELLO either, and must not be told to speak another version of the protocol.
func (s *Store) askRole(node rueidis.Client) (role string) {
	b := node.B()
	if !s.reports() {
		replies := node.DoMulti(context.Background(), b.Hello().Build(), b.Role().Build())
		return roleOf(replies[0], replies[1])
	}
	stats := rueidis.Cacheable(b.Info().Section("stats").Build())
	hello := rueidis.Cacheable(b.Hello().Protover(3).Build())
	replies := node.DoMultiCache(context.Background(), rueidis.CT(stats.ToStaticTTL(), near.TTL), rueidis.CT(hello.ToStaticTTL(), near.TTL))
	s.complainOfSilence(replies[0])
	reply, err := replies[1].ToMessage()
	if err != nil {
		return ""
	}
	g, _ := greeting(reply)
	return g.role
}

// complainOfSilence tells the log, once each, of a server that does not say what it evicts, and of one that forgets readers.
func (s *Store) complainOfSilence(stats rueidis.RedisResult) {
	why := "its INFO does not name evicted_keys"
	if text, err := stats.ToString(); err != nil {
		code, refused := errorCode(err)
		if !refused {
			return
		}
		why = "it answers INFO with " + code
	} else if seen := statsOf(text); seen.counts {
		if s.crowded(seen.tracked) {
			s.full.Do(func() {
				s.Logger.Warn(fmt.Sprintf("sess: redis: the server notes the readers of %d keys, of %d at most, and when it is full it forgets some without a word, "+
					"so the near cache keeps a session for MaxStale, %v, and no longer, and watches ask as often; raise %s", seen.tracked, s.trackedKeys.Load(), s.MaxStale, trackedKeysSetting))
			})
		}
		return
	}
	s.brief.Do(func() {
		s.Logger.Warn(fmt.Sprintf("sess: redis: the server does not say what it evicts, so the near cache keeps a session for MaxStale, %v, "+
			"and no longer, and watches ask as often; allow +info: %s", s.MaxStale, why))
	})
}

// stats is what a server says in INFO stats.
type stats struct {
	counts   bool  // it says how many keys it has evicted
	evicted  int64 // keys, since its statistics began
	commands int64 // that it has carried out, since its statistics began
	tracked  int64 // keys of which it notes the readers
}

func statsOf(info string) (s stats) {
	s.evicted, s.counts = statistic(info, "evicted_keys")
	s.commands, _ = statistic(info, "total_commands_processed")
	s.tracked, _ = statistic(info, "tracking_total_keys")
	return s
}

func statistic(info, name string) (n int64, ok bool) {
	n, err := strconv.ParseInt(infoField(info, name), 10, 64)
	return n, err == nil
}

// Counters returns what Stats does.
func (s *Store) Counters() near.Stats {
	stats := near.Stats{InFlight: s.slots.taken()}
	select {
	case <-s.done: // Close keeps all slots
		stats.InFlight = 0
	default:
	}
	if s.cache != nil {
		s.cache.AddTo(&stats)
	}
	return stats
}
