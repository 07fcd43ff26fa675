package sess_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/fibersess/sess/sesstest"
	"github.com/redis/rueidis"
)

// untracked are options of clients to which server reports nothing: it refuses to, or it agrees and does not.
func untracked(server *redistest.Server) map[string]rueidis.ClientOption {
	server.Do("ACL", "SETUSER", "untracked", "on", ">pw", "~*", "+@all", "-client|tracking")
	refused := addresses(server.Addr)
	refused.Username, refused.Password = "untracked", "pw"
	swallowed := addresses(server.Addr)
	swallowed.DialCtxFn = rewriting(func(b []byte) []byte {
		return bytes.ReplaceAll(b, []byte("*5\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n$5\r\nOPTIN\r\n$6\r\nNOLOOP\r\n"),
			[]byte("*3\r\n$6\r\nCLIENT\r\n$8\r\nNO-EVICT\r\n$2\r\nON\r\n"))
	}, nil)
	return map[string]rueidis.ClientOption{"refused": refused, "swallowed": swallowed}
}

func TestRueidisWithoutReportsKeepsEveryPromise(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, koa := range []bool{false, true} {
		t.Run(fmt.Sprintf("Koa %t", koa), func(t *testing.T) {
			sesstest.TestStoreBriefly(t, func(t *testing.T) sess.Store {
				return openRueidis(t, untracked(server)["refused"], quick(sess.RueidisConfig{Koa: koa, Logger: slog.New(slog.DiscardHandler)}))
			})
		})
	}
}

// TestRueidisWithoutReportsServesForMaxStale has another process write: its changes are seen within MaxStale, and the
// server is not asked more often.
func TestRueidisWithoutReportsServesForMaxStale(t *testing.T) {
	const maxStale = 200 * time.Millisecond
	server := redistest.Start(t)
	for name, option := range untracked(server) {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			s := openRueidis(t, option, sess.RueidisConfig{MaxStale: maxStale, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if stats := s.Stats(); !stats.NearCache || stats.Reports {
				t.Errorf("near cache and reports: got %t and %t, want true and false", stats.NearCache, stats.Reports)
			}
			if got := strings.Count(log.String(), "level=WARN"); got != 1 {
				t.Errorf("warnings: got %d, want 1, in %q", got, log.String())
			}
			id := redisID(t, "unreported-"+name)
			put(server, id, version(t, 0))
			wantVersion(t, s, id, 0, "at first")
			read := calls(t, server, "getex")
			for v := 1; v <= 5; v++ {
				put(server, id, version(t, v))
				written := time.Now()
				for got := v - 1; got != v; {
					asked := time.Now()
					r, err := s.Get(t.Context(), id)
					if err != nil {
						t.Fatal(err)
					}
					if got = versionOf(t, r); got != v && asked.Sub(written) > maxStale {
						t.Fatalf("Get %v after another process has written version %d: got version %d, want it within %v", asked.Sub(written), v, got, maxStale)
					}
				}
			}
			if got := calls(t, server, "getex") - read; got > 6 {
				t.Errorf("reads at the server while five changes were waited for: got %d, want one for each", got)
			}
			server.Do("DEL", "koa:sess:"+id.Value())
			eventually(t, "the deletion is seen", func() bool {
				_, err := s.Get(t.Context(), id)
				return errors.Is(err, sess.ErrNotFound)
			})
		})
	}
}

// TestRueidisWithoutReportsNobodyReadsOlderThanHisOwnWrite has a MaxStale that no write outlives.
func TestRueidisWithoutReportsNobodyReadsOlderThanHisOwnWrite(t *testing.T) {
	const writers, writes = 8, 300
	server := redistest.Start(t)
	s := openRueidis(t, untracked(server)["refused"],
		sess.RueidisConfig{MaxStale: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	var all sync.WaitGroup
	for g := range writers {
		id := redisID(t, fmt.Sprint("own-", g))
		all.Go(func() { // who reads meanwhile brings older records under way
			for range 4 * writes {
				s.Get(t.Context(), id)
			}
		})
		all.Go(func() {
			var last *sess.Record
			for v := 1; v <= writes; v++ {
				next := version(t, v)
				var err error
				if last == nil || v%3 == 0 {
					err = s.Set(t.Context(), id, next, time.Hour)
				} else if current, swapErr := s.Swap(t.Context(), id, last, next, time.Hour); swapErr != nil || current != next {
					err = fmt.Errorf("swapped to %v, %w", current, swapErr)
				}
				if err != nil {
					t.Errorf("write of version %d: got %v, want it done", v, err)
					return
				}
				last = next
				r, err := s.Get(t.Context(), id)
				if err != nil || versionOf(t, r) != v {
					t.Errorf("Get after the caller's write of version %d: got (%v, %v), want that", v, r, err)
					return
				}
			}
		})
	}
	all.Wait()
	if stats := s.Stats(); stats.Poisoned == 0 || stats.Hits == 0 {
		t.Errorf("got %d hits and %d poisoned reads, want both: this test has shown nothing", stats.Hits, stats.Poisoned)
	}
}

// TestRueidisWithoutReportsAnOwnSwapIsServedWithoutAsking, as it is where the server reports.
func TestRueidisWithoutReportsAnOwnSwapIsServedWithoutAsking(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, untracked(server)["refused"],
		sess.RueidisConfig{MaxStale: time.Minute, Logger: slog.New(slog.DiscardHandler)})
	id := redisID(t, "swapped")
	first, second := version(t, 1), version(t, 2)
	put(server, id, first)
	if _, err := s.Swap(t.Context(), id, first, second, time.Hour); err != nil {
		t.Fatal(err)
	}
	if r, ok := s.Peek(id, time.Now()); !ok || versionOf(t, r) != 2 {
		t.Errorf("Peek after the caller's swap: got (%v, %t), want what was swapped in", r, ok)
	}
	other := version(t, 3)
	put(server, id, other)
	current, err := s.Swap(t.Context(), id, second, version(t, 4), time.Hour)
	if err != nil || versionOf(t, current) != 3 {
		t.Fatalf("Swap behind another process: got (%v, %v), want what that has written", current, err)
	}
	wantVersion(t, s, id, 3, "after a swap that was lost")
}
