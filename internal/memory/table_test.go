package memory

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/fibersess/sess/internal/ident"
)

// TestTableFindsAllItHoldsThroughCollisionsAndGaps gives all entries one of few homes, the last places among them, so
// that runs are long and go round the end.
func TestTableFindsAllItHoldsThroughCollisionsAndGaps(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	homes := []uint32{0, 1, 5, 1<<32 - 1, 1<<32 - 2}
	var table table
	held := map[ident.ID]uint32{}
	for step := range 20_000 {
		id, _ := ident.ParseID(fmt.Sprint(random.IntN(1 + random.IntN(200))))
		hash, ok := held[id]
		if !ok {
			hash = homes[random.IntN(len(homes))]
		}
		i, found := table.find(hash, &id)
		if found != ok {
			t.Fatalf("seed %d, step %d: find: got %t, want %t", seed, step, found, ok)
		}
		if found {
			table.remove(i)
			table.shrink()
			delete(held, id)
		} else {
			table.insert(hash, &entry{id: id})
			held[id] = hash
		}
		if table.n != len(held) || 4*table.n > 3*len(table.slots) {
			t.Fatalf("seed %d, step %d: got %d entries in %d places, want %d and a quarter free", seed, step, table.n, len(table.slots), len(held))
		}
	}
	for id, hash := range held {
		if i, ok := table.find(hash, &id); !ok || table.slots[i].entry.id != id {
			t.Errorf("seed %d, at the end: got no entry for an id that is held, want its own", seed)
		}
	}
}

func TestTableGivesMemoryBackWhenItIsAlmostEmpty(t *testing.T) {
	var table table
	ids := make([]ident.ID, 1000)
	for n := range ids {
		ids[n], _ = ident.ParseID(fmt.Sprint(n))
		table.insert(uint32(n), &entry{id: ids[n]})
	}
	for n := range ids {
		i, _ := table.find(uint32(n), &ids[n])
		table.remove(i)
		table.shrink()
	}
	if got := len(table.slots); got != minSlots {
		t.Errorf("places of an empty table: got %d, want %d", got, minSlots)
	}
}

func TestCoarseEndsAreNeverEarly(t *testing.T) {
	for _, end := range []int64{1, 999, 1000, 1001, 1_700_000_000_123, noEnd*1000 - 1, noEnd * 1000, 9_300_000_000_000_000} {
		s := slot{end: coarse(end), entry: &entry{end: end}}
		if s.expired(seconds(end - 1)) {
			t.Errorf("end %d: got expired 1 ms before, want not", end)
		}
		if free := (slot{}); free.expired(seconds(end)) || s.expired(seconds(-end)) {
			t.Errorf("end %d: got a free place expired, or an entry before 1970, want neither", end)
		}
		if end < (noEnd-1)*1000 && !s.expired(seconds(end+1000)) {
			t.Errorf("end %d: got not expired a second later, want expired", end)
		}
	}
}
