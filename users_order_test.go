package sess_test

import (
	"testing"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/ordertest"
	"github.com/fibersess/sess/internal/redistest"
)

// TestPromisesOfUsersHoldInEachOrderOnOneNode runs the orders of store calls that break a promise where a rule of the
// protocol is missing. Module reliability has them on two nodes and in a cluster.
func TestPromisesOfUsersHoldInEachOrderOnOneNode(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		ordertest.Run(t, ordertest.Stores{Nodes: []sess.Store{sess.NewMemoryStore()}})
	})
	t.Run("Redis", func(t *testing.T) {
		server := redistest.Start(t)
		ordertest.Run(t, ordertest.Stores{Nodes: []sess.Store{openRueidis(t, addresses(server.Addr))}})
	})
}
