package sess_test

import (
	"sync"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// Sixty-four who count in one session at once are stored in groups: while one swap is under way the next group gathers.
func TestASharedSessionIsStoredInGroups(t *testing.T) {
	const clients, each = 64, 50
	server := redistest.Start(t)
	app, m, cookies := newReplaySite(t, func(c *fiber.Ctx) error {
		sess.Update(sess.From(c), "count", func(n int, _ bool) int { return n + 1 })
		return nil
	}, openRueidis(t, addresses(server.Addr)))
	before := calls(t, server, "evalsha")
	var running sync.WaitGroup
	for range clients {
		r := newReplay(t, app, cookies)
		running.Go(func() {
			for range each {
				r.run()
			}
		})
	}
	running.Wait()
	const requests = clients * (each + 1) // newReplay makes one as well
	if n := calls(t, server, "evalsha") - before; n > requests/3 {
		t.Errorf("swaps of %d requests: got %d, want less than a third as many", requests, n)
	}
	if n := m.Stats().Saved; n != requests {
		t.Errorf("saved: got %d, want %d", n, requests)
	}
}
