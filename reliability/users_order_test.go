package reliability

import (
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/ordertest"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/redis/rueidis"
)

// TestPromisesOfUsersHoldInEachOrder runs the orders of store calls that break a promise where a rule of the protocol is
// missing, with the requests at two nodes, each with a near cache; and in a cluster where a user's index lies on another
// master than the records of the user's sessions.
func TestPromisesOfUsersHoldInEachOrder(t *testing.T) {
	open := func(t *testing.T, option rueidis.ClientOption) sess.Store {
		t.Helper()
		store, err := sess.NewRueidisStore(option, sess.RueidisConfig{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	}
	t.Run("two nodes", func(t *testing.T) {
		option := at(redistest.Start(t).Addr)
		ordertest.Run(t, ordertest.Stores{Nodes: []sess.Store{open(t, option), open(t, option)}})
	})
	cluster := redistest.StartCluster(t, 3, 0)
	option := at(cluster.Addrs()...)
	owners := map[string]*redistest.Server{}
	apart := func(user, id string) bool {
		if owners[user] == nil {
			owners[user] = cluster.Owner(userKey(user))
		}
		return cluster.Owner("koa:sess:"+id) != owners[user]
	}
	t.Run("cluster", func(t *testing.T) {
		ordertest.Run(t, ordertest.Stores{Nodes: []sess.Store{open(t, option)}, FitsUser: apart})
	})
	t.Run("cluster, two nodes", func(t *testing.T) {
		ordertest.Run(t, ordertest.Stores{Nodes: []sess.Store{open(t, option), open(t, option)}, FitsUser: apart})
	})
}

// userKey is where a user's index is.
func userKey(user string) string {
	sum := sha256.Sum256([]byte(user))
	return "koa:sess:user " + base64.RawURLEncoding.EncodeToString(sum[:])
}
