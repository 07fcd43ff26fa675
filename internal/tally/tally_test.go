package tally_test

import (
	"sync"
	"testing"

	"github.com/fibersess/sess/internal/tally"
)

// TestEveryCountIsOnItsOwn adds from many goroutines, each to a count and with a stripe of its own, above the number of
// stripes too.
func TestEveryCountIsOnItsOwn(t *testing.T) {
	var counts tally.Tally
	var all sync.WaitGroup
	for g := range 40 {
		stripe := counts.Stripe()
		all.Go(func() {
			for range 1000 {
				counts.Add(stripe, g%tally.Counts)
			}
		})
	}
	all.Wait()
	for c := range tally.Counts {
		want := uint64(2000)
		if c < 40%tally.Counts {
			want = 3000
		}
		if got := counts.Sum(c); got != want {
			t.Errorf("count %d: got %d, want %d", c, got, want)
		}
	}
}

func TestStripesAreGivenInTurn(t *testing.T) {
	var counts tally.Tally
	seen := make(map[uint32]bool)
	for range 16 {
		seen[counts.Stripe()%16] = true
	}
	if got := len(seen); got != 16 {
		t.Errorf("stripes of 16 who count: got %d, want 16", got)
	}
}
