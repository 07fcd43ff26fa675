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

			used, _ := strconv.Atoi(server.Info("memory")["used_memory"])
			server.Do("CONFIG", "SET", "maxmemory", strconv.Itoa(used+100_000))
			for i := range 8 { // The server evicts when the next command comes: this node's, if nobody asks in between.
				if err := here.Set(t.Context(), redisID(t, fmt.Sprintf("large-%d", i)), padded(t, 40_000), 100*time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			if server.Do("EXISTS", "koa:sess:"+evicted.Value()).(int64) == 1 {
				t.Fatal("the session was not evicted: this test has shown nothing")
			}
			gone := time.Now()
			eventually(t, "the session is not served", func() bool {
				_, err := here.Get(t.Context(), evicted)
				return errors.Is(err, sess.ErrNotFound)
			})
			if took := time.Since(gone); took > 5*time.Second { // Without all this it would be 10 s.
				t.Errorf("an evicted session: got served for %v, want about a second at most", took)
			}
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
