package sess_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// padded is a record that holds n bytes.
func padded(t *testing.T, n int) *sess.Record {
	t.Helper()
	r, err := sess.ParseRecord(fmt.Sprintf(`{"$":{"c":1,"e":%d},"text":%q}`, time.Now().Add(time.Hour).UnixMilli(), strings.Repeat(".", n)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestASessionThatANodesOwnCommandEvictsIsServedForMaxStaleAtMost: a server that is out of memory evicts while it serves a
// command of a node, and reports that to all but this node, whose connection has asked for NOLOOP; nor does it report to this node
// what happens to the session later. It is found out all the same, by a Live too, also where the server does not say
// what it evicts.
func TestASessionThatANodesOwnCommandEvictsIsServedForMaxStaleAtMost(t *testing.T) {
	for _, silent := range []bool{false, true} {
		t.Run(fmt.Sprintf("INFO is refused %t", silent), func(t *testing.T) {
			server := redistest.Start(t, "--maxmemory-policy", "volatile-ttl")
			var log bytes.Buffer
			config := sess.RueidisConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))}
			option := addresses(server.Addr)
			if silent {
				server.Do("ACL", "SETUSER", "blind", "on", ">secret", "~*", "&*", "+@all", "-info")
				option.Username, option.Password = "blind", "secret"
			}
			here, there := openRueidis(t, option, config), openRueidis(t, addresses(server.Addr))
			evicted, other := redisID(t, "evicted-by-an-own-command"), redisID(t, "another-session-1234")
			for _, id := range []sess.ID{evicted, other} {
				ttl := 30 * time.Minute
				if id == evicted {
					ttl = time.Minute // It ends first, so it goes first.
				}
				if err := there.Set(t.Context(), id, padded(t, 10), ttl); err != nil {
					t.Fatal(err)
				}
				if _, err := here.Get(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
			ended := make(chan error, 8)
			stop, err := here.Watch(t.Context(), evicted, func(_ *sess.Record, err error) { ended <- err })
			if err != nil {
				t.Fatal(err)
			}
			defer stop()

			evict(t, server, here, evicted, func() {})
			wantUnserved(t, here, evicted)
			for err := error(nil); !errors.Is(err, sess.ErrNotFound); {
				select {
				case err = <-ended:
				case <-time.After(20 * time.Second):
					t.Fatal("a watch of the evicted session: heard nothing for 20 s, want ErrNotFound")
				}
			}
			said := strings.Count(log.String(), "allow +info")
			if want := map[bool]int{false: 0, true: 1}[silent]; said != want {
				t.Errorf("lines of the log about what is evicted: got %d, want %d, in %q", said, want, log.String())
			}
		})
	}
}

// TestASessionWhoseReadersTheServerForgetsIsServedForMaxStaleAtMost: a server notes the readers of tracking-table-max-keys keys.
// Where there are more it forgets some while it serves a command, and reports that to all but the node whose command it is.
func TestASessionWhoseReadersTheServerForgetsIsServedForMaxStaleAtMost(t *testing.T) {
	const sessions = 50
	for most, warns := range map[string]int{"10": 1, "0": 0, "1000": 0} {
		t.Run("tracking-table-max-keys "+most, func(t *testing.T) {
			server := redistest.Start(t, "--tracking-table-max-keys", most)
			var log bytes.Buffer
			here := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			there := openRueidis(t, addresses(server.Addr))
			var ids []sess.ID
			ended := make([]chan struct{}, sessions)
			for i := range sessions {
				id := redisID(t, fmt.Sprintf("tracked-session-%d", i))
				if err := there.Set(t.Context(), id, version(t, 1), time.Hour); err != nil {
					t.Fatal(err)
				}
				ended[i] = endOf(t, here, id)
				ids = append(ids, id)
			}
			for _, id := range ids {
				if _, err := here.Get(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(500 * time.Millisecond) // two heartbeats
			for _, id := range ids {
				if err := there.Destroy(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
			gone := time.Now()
			for i, id := range ids {
				eventually(t, "an ended session is not served", func() bool {
					_, err := here.Get(t.Context(), id)
					return errors.Is(err, sess.ErrNotFound)
				})
				select {
				case <-ended[i]:
				case <-time.After(20 * time.Second):
					t.Fatal("a watch of an ended session: heard nothing for 20 s, want ErrNotFound")
				}
			}
			if took := time.Since(gone); took > 5*time.Second { // Without all this it would be 10 s.
				t.Errorf("ended sessions: got served for %v, want about a second at most", took)
			}
			if got := strings.Count(log.String(), "raise tracking-table-max-keys"); got != warns {
				t.Errorf("lines of the log about a full table: got %d, want %d, in %q", got, warns, log.String())
			}
		})
	}
}

// endOf watches a session, and returns what gets a token when it has ended.
func endOf(t *testing.T, s *sess.RueidisStore, id sess.ID) (ended chan struct{}) {
	t.Helper()
	ended = make(chan struct{}, 1)
	stop, err := s.Watch(t.Context(), id, func(_ *sess.Record, err error) {
		if errors.Is(err, sess.ErrNotFound) {
			select {
			case ended <- struct{}{}:
			default:
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return ended
}

// TestAResetOfTheStatisticsHidesNoEviction: the count of evicted keys is then what it was before, none.
func TestAResetOfTheStatisticsHidesNoEviction(t *testing.T) {
	server := redistest.Start(t, "--maxmemory-policy", "volatile-ttl")
	s := openRueidis(t, addresses(server.Addr))
	evicted := redisID(t, "evicted-by-an-own-command")
	if err := s.Set(t.Context(), evicted, padded(t, 10), time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), evicted); err != nil {
		t.Fatal(err)
	}
	evict(t, server, s, evicted, func() { server.Do("CONFIG", "RESETSTAT") })
	wantUnserved(t, s, evicted)
}

// evict fills the server by commands of s until it has evicted the session of id, and runs then before it asks whether it has.
func evict(t *testing.T, server *redistest.Server, s *sess.RueidisStore, id sess.ID, then func()) {
	t.Helper()
	used, _ := strconv.Atoi(server.Info("memory")["used_memory"])
	server.Do("CONFIG", "SET", "maxmemory", strconv.Itoa(used+100_000))
	for i := range 8 { // The server evicts when the next command comes: that of s, if nobody asks in between.
		if err := s.Set(t.Context(), redisID(t, fmt.Sprintf("large-%d", i)), padded(t, 40_000), 100*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	then()
	if server.Do("EXISTS", "koa:sess:"+id.Value()).(int64) == 1 {
		t.Fatal("the session was not evicted: this test has shown nothing")
	}
}

// wantUnserved waits until s does not serve id, and fails where that takes long.
func wantUnserved(t *testing.T, s *sess.RueidisStore, id sess.ID) {
	t.Helper()
	gone := time.Now()
	eventually(t, "the session is not served", func() bool {
		_, err := s.Get(t.Context(), id)
		return errors.Is(err, sess.ErrNotFound)
	})
	if took := time.Since(gone); took > 5*time.Second { // With the near cache alone it is 10 s.
		t.Errorf("a session that is gone: got served for %v, want about a second at most", took)
	}
}

// TestAWatchHearsOfAnEndThatAReadOfItsOwnNodeCauses: a server that finds a key's TTL passed while it serves a read removes it, and
// reports that to all but the node that reads.
func TestAWatchHearsOfAnEndThatAReadOfItsOwnNodeCauses(t *testing.T) {
	for name, read := range map[string]func(s *sess.RueidisStore, id sess.ID) error{
		"Get":     func(s *sess.RueidisStore, id sess.ID) error { _, err := s.Get(t.Context(), id); return err },
		"Refresh": func(s *sess.RueidisStore, id sess.ID) error { _, err := s.Refresh(t.Context(), id); return err },
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			server.Do("DEBUG", "SET-ACTIVE-EXPIRE", "0") // It looks for expired keys when it is asked for one, and not by itself.
			s := openRueidis(t, addresses(server.Addr))
			id := redisID(t, "expiring-session-12345")
			if err := s.Set(t.Context(), id, version(t, 1), 300*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			ended := endOf(t, s, id)
			eventually(t, "the session has ended", func() bool { return errors.Is(read(s, id), sess.ErrNotFound) })
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("the watch did not hear of the end")
			}
		})
	}
}
