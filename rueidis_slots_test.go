package sess_test

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// TestRueidisASlotThatMovesHidesNoLogout lets a node reach a session whose slot is on its way from one master to another:
// the old master has it no more, and sends the node on, where the server notes no reader. Then another client ends it.
func TestRueidisASlotThatMovesHidesNoLogout(t *testing.T) {
	cluster := redistest.StartCluster(t, 2, 0)
	type step func(t *testing.T, s *sess.RueidisStore, id sess.ID, r *sess.Record)
	swap := func(old func(t *testing.T, r *sess.Record) *sess.Record, want int) step {
		return func(t *testing.T, s *sess.RueidisStore, id sess.ID, r *sess.Record) {
			if r, err := s.Swap(t.Context(), id, old(t, r), version(t, 2), time.Hour); err != nil || versionOf(t, r) != want {
				t.Fatalf("Swap: got the error %v or another version, want version %d", err, want)
			}
		}
	}
	var ended chan struct{} // of the subtest
	watch := func(t *testing.T, s *sess.RueidisStore, id sess.ID, _ *sess.Record) {
		hear := ended
		stop, err := s.Watch(t.Context(), id, func(_ *sess.Record, err error) {
			if errors.Is(err, sess.ErrNotFound) {
				hear <- struct{}{}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
	}
	nothing := func(*testing.T, *sess.RueidisStore, sess.ID, *sess.Record) {}
	for _, c := range []struct {
		name          string
		before, while step // the slot moves
		watched       bool
	}{
		{name: "a read", before: nothing, while: func(t *testing.T, s *sess.RueidisStore, id sess.ID, _ *sess.Record) {
			if r, err := s.Get(t.Context(), id); err != nil || versionOf(t, r) != 1 {
				t.Fatalf("Get: got the error %v or another version, want version 1", err)
			}
		}},
		{name: "a save", before: nothing, while: swap(func(_ *testing.T, r *sess.Record) *sess.Record { return r }, 2)},
		{name: "a save that meets another version", before: nothing,
			while: swap(func(t *testing.T, _ *sess.Record) *sess.Record { return version(t, 0) }, 1)},
		{name: "a watch", before: nothing, while: watch, watched: true},
		{name: "a watch that was there before", before: watch, while: nothing, watched: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ended = make(chan struct{}, 100)
			s := openRueidis(t, addresses(cluster.Addrs()...), sess.RueidisConfig{MaxStale: time.Second})
			id := redisID(t, strings.ReplaceAll(c.name, " ", "-"))
			if err := s.Set(t.Context(), id, version(t, 1), time.Hour); err != nil {
				t.Fatal(err)
			}
			r, err := s.Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			c.before(t, s, id, r)
			key := "koa:sess:" + id.Value()
			moved := startMove(cluster, key)
			eventually(t, "the node has heard that the old master has it no more", func() bool { return s.Stats().Entries == 0 })
			c.while(t, s, id, r)
			to := moved()
			if len(ended) > 0 {
				t.Fatal("the watch heard of an end before there was one")
			}
			if n := to.Do("DEL", key); n != int64(1) {
				t.Fatalf("DEL at the new master: got %v, want 1", n)
			}
			if c.watched {
				select {
				case <-ended:
				case <-time.After(10 * time.Second):
					t.Error("the watch did not hear of the end")
				}
				return
			}
			time.Sleep(100 * time.Millisecond) // for a report
			if _, err := s.Get(t.Context(), id); !errors.Is(err, sess.ErrNotFound) {
				t.Errorf("Get after the end: got the error %v, want ErrNotFound", err)
			}
		})
	}
}

// startMove begins to move the slot of key to another master, and moves key. moved ends it, and returns that master.
func startMove(cluster *redistest.Cluster, key string) (moved func() *redistest.Server) {
	from, to := cluster.Owner(key), cluster.Masters[0]
	if to == from {
		to = cluster.Masters[1]
	}
	slot := strconv.FormatInt(from.Do("CLUSTER", "KEYSLOT", key).(int64), 10)
	target := to.Do("CLUSTER", "MYID").(string)
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", from.Do("CLUSTER", "MYID").(string))
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", target)
	host, port, _ := net.SplitHostPort(to.Addr)
	from.Do("MIGRATE", host, port, key, "0", "5000")
	return func() *redistest.Server {
		to.Do("CLUSTER", "SETSLOT", slot, "NODE", target)
		from.Do("CLUSTER", "SETSLOT", slot, "NODE", target)
		return to
	}
}
