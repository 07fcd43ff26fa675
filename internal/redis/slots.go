package redis

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// slot is a bound of commands under way: it holds a token for each. There is one for each server.
type slot chan struct{}

func (s slot) release() { <-s }

// slots bound the commands under way to each server, so that a server that hangs takes no others' share. Which one serves
// a key the client knows and does not tell: in a cluster the store asks for itself, now and then. What it thinks meanwhile
// of a key that has moved decides which bound counts, not where the command goes.
type slots struct {
	each  int
	whole slot // of a server that is alone, and of what is about no key

	owners atomic.Pointer[owners] // nil: not a cluster, or not known yet

	mu       sync.Mutex
	byMaster map[string]slot // all there ever were
}

// owners says which master serves a slot of the cluster: the index of its bound, counted from 1; 0 is unknown.
type owners struct {
	master [clusterSlots]uint16
	bounds []slot
}

const (
	// clusterSlots is the number of hash slots a cluster divides its keys into.
	clusterSlots = 16384

	// ownersInterval is how often a store asks which master serves what.
	ownersInterval = 5 * time.Second
)

func newSlots(each int) *slots {
	return &slots{each: each, whole: make(slot, each), byMaster: make(map[string]slot)}
}

// of returns the bound that counts for key.
func (s *slots) of(key string) slot {
	o := s.owners.Load()
	if o == nil || key == "" {
		return s.whole
	}
	if i := o.master[keySlot(key)]; i > 0 {
		return o.bounds[i-1]
	}
	return s.whole
}

// all returns every bound.
func (s *slots) all() []slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []slot{s.whole}
	for _, b := range s.byMaster {
		all = append(all, b)
	}
	return all
}

// taken counts the commands under way.
func (s *slots) taken() (n int) {
	for _, b := range s.all() {
		n += len(b)
	}
	return n
}

// close takes every token, so it waits for the commands under way. No others may begin.
func (s *slots) close() {
	for _, b := range s.all() {
		for range cap(b) {
			b <- struct{}{}
		}
	}
}

// bound returns the bound of a master.
func (s *slots) bound(master string) slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.byMaster[master]
	if b == nil {
		b = make(slot, s.each)
		s.byMaster[master] = b
	}
	return b
}

// learn asks the cluster which master serves what.
func (s *slots) learn(ctx context.Context, client rueidis.Client) error {
	ranges, err := client.Do(ctx, client.B().ClusterSlots().Build()).ToArray()
	if err != nil {
		return err
	}
	o := new(owners)
	var masters []string
	for _, r := range ranges {
		first, last, master, ok := parseRange(r)
		if !ok {
			continue
		}
		i := slices.Index(masters, master)
		if i < 0 {
			i = len(masters)
			masters = append(masters, master)
			o.bounds = append(o.bounds, s.bound(master))
		}
		for n := first; n <= last; n++ {
			o.master[n] = uint16(i + 1)
		}
	}
	if len(masters) > 0 {
		s.owners.Store(o)
	}
	return nil
}

// parseRange reads one range of CLUSTER SLOTS: the first and the last slot and the nodes, the master first, each with its
// address, port and name.
func parseRange(m rueidis.RedisMessage) (first, last int64, master string, ok bool) {
	r, err := m.ToArray()
	if err != nil || len(r) < 3 {
		return 0, 0, "", false
	}
	first, err1 := r[0].AsInt64()
	last, err2 := r[1].AsInt64()
	node, err3 := r[2].ToArray()
	if err1 != nil || err2 != nil || err3 != nil || first < 0 || last >= clusterSlots || len(node) < 3 {
		return 0, 0, "", false
	}
	master, err = node[2].ToString()
	return first, last, master, err == nil && master != ""
}

// keySlot returns the hash slot of a key: the CRC-16 of what stands between the first "{" and the next "}", if there is
// something, else of all of it.
func keySlot(key string) uint16 {
	if _, tag, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(tag, "}"); ok && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^key[i]]
	}
	return crc % clusterSlots
}

// crcTable is CRC-16 of one byte, with the polynomial x^16 + x^12 + x^5 + 1.
var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}()
