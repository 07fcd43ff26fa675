//go:build !race

package sess_test

import (
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// What a request costs in allocations, exactly, through a whole Fiber app. The race detector allocates by itself, so
// these run without it.

func TestAllocationsOfARequest(t *testing.T) {
	const runs = 1000
	for _, c := range []struct {
		name          string
		do            fiber.Handler
		cookies       string
		known         bool // the request carries the cookies of the session instead
		want          float64
		loaded, saved uint64 // by each request
		created       uint64
	}{
		{name: "untouched, without a cookie", do: untouched},
		{name: "untouched, with two foreign cookies", do: untouched, cookies: foreignCookies},
		{name: "untouched, of an existing session", do: untouched, known: true, loaded: 1},
		{name: "two values read", do: readTwo, known: true, loaded: 1},
		// The record and its bytes.
		{name: "one value written", do: countUp, known: true, want: 2, loaded: 1, saved: 1},
		{name: "one value updated", do: countByUpdate, known: true, want: 2, loaded: 1, saved: 1},
		// The record, its bytes, and the memory store's entry; its share of the table's growth is less than one.
		{name: "created", do: create, want: 3, created: 1},
	} {
		app, m, cookies := newReplaySite(t, c.do, sess.NewMemoryStore())
		if !c.known {
			cookies = c.cookies
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

// What a request on Redis costs once its session is in the near cache: to read it no allocation and no command, to
// change it one script.
func TestAllocationsAndCommandsOfACachedRequestOnRedis(t *testing.T) {
	server := redistest.Start(t)
	store := openRueidis(t, addresses(server.Addr))
	prepare := func(do fiber.Handler) *replay {
		app, _, cookies := newReplaySite(t, do, store)
		r := newReplay(t, app, cookies)
		eventually(t, "the session is in the near cache", func() bool {
			misses := store.Stats().Misses
			r.run()
			return store.Stats().Misses == misses
		})
		return r
	}

	const runs = 1000
	r := prepare(readTwo)
	hits, gets := store.Stats().Hits, calls(t, server, "get")
	if got := testing.AllocsPerRun(runs, r.run); got != 0 {
		t.Errorf("two values read: got %v allocations, want 0", got)
	}
	const reads = runs + 1 // AllocsPerRun warms up with one
	if got := store.Stats().Hits - hits; got != reads {
		t.Errorf("two values read: got %d hits, want %d", got, reads)
	}
	if got := calls(t, server, "get") - gets; got != 0 {
		t.Errorf("two values read: got %d GET commands, want 0", got)
	}

	r = prepare(countByUpdate)
	misses := store.Stats().Misses
	scripts := calls(t, server, "evalsha")
	for range runs {
		r.run()
	}
	if got := calls(t, server, "evalsha") - scripts; got != runs {
		t.Errorf("one value updated: got %d scripts, want %d", got, runs)
	}
	if got := store.Stats().Misses - misses; got != 0 {
		t.Errorf("one value updated: got %d reads of their own, want 0", got)
	}
}
