//go:build !race

package sess_test

import (
	"testing"

	"github.com/gofiber/fiber/v2"
)

// What a request costs in allocations, exactly, through a whole Fiber app. The race detector allocates by itself, so
// these run without it.

func TestAllocationsOfARequest(t *testing.T) {
	const runs = 1000
	for _, c := range []struct {
		name          string
		do            fiber.Handler
		known         bool // the request carries the cookies of the session
		want          float64
		loaded, saved uint64 // by each request
		created       uint64
	}{
		{name: "untouched, without a cookie", do: untouched},
		{name: "untouched, of an existing session", do: untouched, known: true, loaded: 1},
		{name: "two values read", do: readTwo, known: true, loaded: 1},
		// The record and its bytes.
		{name: "one value written", do: countUp, known: true, want: 2, loaded: 1, saved: 1},
		{name: "one value updated", do: countByUpdate, known: true, want: 2, loaded: 1, saved: 1},
		// The record, its bytes, and the memory store's entry; its share of the table's growth is less than one.
		{name: "created", do: create, want: 3, created: 1},
	} {
		app, m, cookies := newReplaySite(t, c.do)
		if !c.known {
			cookies = ""
		}
		r := newReplay(t, app, cookies)
		before := m.Stats()
		if got := testing.AllocsPerRun(runs, r.run); got != c.want {
			t.Errorf("%s: got %v allocations, want %v", c.name, got, c.want)
		}
		after := m.Stats()
		const calls = runs + 1 // AllocsPerRun warms up with one
		if got, want := after.Loaded-before.Loaded, c.loaded*calls; got != want {
			t.Errorf("%s: got %d loads, want %d", c.name, got, want)
		}
		if got, want := after.Saved-before.Saved, c.saved*calls; got != want {
			t.Errorf("%s: got %d saves, want %d", c.name, got, want)
		}
		if got, want := after.Created-before.Created, c.created*calls; got != want {
			t.Errorf("%s: got %d records made, want %d", c.name, got, want)
		}
	}
}
