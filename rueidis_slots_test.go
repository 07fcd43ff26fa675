package sess_test

import (
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// TestRueidisASlotThatMovesHidesNoLogout lets a node reach a session whose slot is on its way from one master to another:
// the old master has it no more, and sends the node on, where the server notes no reader. Then somebody else ends it.
func TestRueidisASlotThatMovesHidesNoLogout(t *testing.T) {
	cluster := redistest.StartCluster(t, 2, 0)
	for name, reach := range map[string]func(t *testing.T, s *sess.RueidisStore, id sess.ID, r *sess.Record, ended chan<- struct{}){
		"a read": func(t *testing.T, s *sess.RueidisStore, id sess.ID, r *sess.Record, _ chan<- struct{}) {
			if r, err := s.Get(t.Context(), id); err != nil || versionOf(t, r) != 1 {
				t.Fatalf("Get: got %v, want version 1", err)
			}
		},
		"a save": func(t *testing.T, s *sess.RueidisStore, id sess.ID, r *sess.Record, _ chan<- struct{}) {
			if r, err := s.Swap(t.Context(), id, r, version(t, 2), time.Hour); err != nil || versionOf(t, r) != 2 {
				t.Fatalf("Swap: got %v, want version 2", err)
			}
		},
		"a save that meets another version": func(t *testing.T, s *sess.RueidisStore, id sess.ID, r *sess.Record, _ chan<- struct{}) {
			if r, err := s.Swap(t.Context(), id, version(t, 0), version(t, 2), time.Hour); err != nil || versionOf(t, r) != 1 {
				t.Fatalf("Swap: got %v, want version 1", err)
			}
		},
		"a watch": func(t *testing.T, s *sess.RueidisStore, id sess.ID, r *sess.Record, ended chan<- struct{}) {
			stop, err := s.Watch(t.Context(), id, func(_ *sess.Record, err error) {
				if errors.Is(err, sess.ErrNotFound) {
					ended <- struct{}{}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(stop)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openRueidis(t, addresses(cluster.Addrs()...), sess.RueidisConfig{MaxStale: time.Second})
			id := redisID(t, "a-session-of-"+strconv.Itoa(len(name)))
			key := "koa:sess:" + id.Value()
			if err := s.Set(t.Context(), id, version(t, 1), time.Hour); err != nil {
				t.Fatal(err)
			}
			r, err := s.Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			from := cluster.Owner(key)
			to := cluster.Masters[0]
			if to == from {
				to = cluster.Masters[1]
			}
			slot := strconv.FormatInt(from.Do("CLUSTER", "KEYSLOT", key).(int64), 10)
			source, target := from.Do("CLUSTER", "MYID").(string), to.Do("CLUSTER", "MYID").(string)
			to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", source)
			from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", target)
			host, port, err := net.SplitHostPort(to.Addr)
			if err != nil {
				t.Fatal(err)
			}
			from.Do("MIGRATE", host, port, key, "0", "5000")
			eventually(t, "the node has heard that the old master has it no more", func() bool {
				return s.Stats().Entries == 0
			})
			ended := make(chan struct{}, 100)
			reach(t, s, id, r, ended)
			to.Do("CLUSTER", "SETSLOT", slot, "NODE", target)
			from.Do("CLUSTER", "SETSLOT", slot, "NODE", target)
			if n := to.Do("DEL", key); n != int64(1) {
				t.Fatalf("DEL at the new master: got %v, want 1", n)
			}
			if name == "a watch" {
				select {
				case <-ended:
				case <-time.After(5 * time.Second):
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
