package redis

import (
	"context"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/near"
	"github.com/redis/rueidis"
)

// heartbeats asks every server four times per MaxStale whether it is there and a master, which extends the leases of
// the near cache, and at once when a connection was made. Each time it also clears a part of the cache of what has
// ended.
func (s *Store) heartbeats() {
	tick := time.NewTicker(s.MaxStale / 4)
	defer tick.Stop()
	beating := new(sync.Map) // addresses of servers that have not answered yet
	for shard := uint(0); ; shard++ {
		select {
		case <-s.done:
			return
		case <-s.connect:
		case <-tick.C:
			s.cache.Sweep(shard, time.Now())
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
	hello := rueidis.Cacheable(node.B().Hello().Protover(3).Build())
	reply, err := node.DoCache(context.Background(), hello.ToStaticTTL(), near.TTL).ToMessage()
	if err != nil {
		return
	}
	if g, err := greeting(reply); err == nil && g.role != roleMaster {
		s.redial(asked)
	}
}

// Counters returns what Stats does.
func (s *Store) Counters() near.Stats {
	stats := near.Stats{InFlight: s.slots.taken()}
	select {
	case <-s.done: // Close keeps all slots
		stats.InFlight = 0
	default:
	}
	if s.reports() {
		s.cache.AddTo(&stats)
	}
	return stats
}
