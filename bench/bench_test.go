package main

import (
	"encoding/json"
	"os"
	"strconv"
	"sync"
	"testing"
)

// The benchmarks are named for the workloads; each has one sub-benchmark for each Go contestant.
func BenchmarkW1(b *testing.B)  { benchmark(b, read) }
func BenchmarkW2(b *testing.B)  { benchmark(b, count) }
func BenchmarkW4(b *testing.B)  { benchmark(b, anonymous) }
func BenchmarkW4f(b *testing.B) { benchmark(b, anonymousForeign) }

// BenchmarkW3 comes last: it fills the stores.
func BenchmarkW3(b *testing.B) { benchmark(b, create) }

// hotSessions is how many sessions take turns.
const hotSessions = 1000

func benchmark(b *testing.B, w workload) {
	for _, c := range contestants() {
		if c.node {
			continue
		}
		b.Run(c.id, func(b *testing.B) {
			d := open(b, c)
			cookies := []string{w.cookie}
			if w.owned {
				cookies = logins(b, d, hotSessions)
			}
			answer := w.answer()
			for _, cookie := range cookies { // caches are filled and signatures known before the clock starts
				d.get(w.path, cookie)
			}
			loads, next := 0, 0
			b.ReportAllocs()
			start := ownCPU()
			for b.Loop() {
				status, body := d.get(w.path, cookies[next])
				if status == 200 && string(body) == answer {
					loads++
				}
				if next++; next == len(cookies) {
					next = 0
				}
			}
			b.StopTimer()
			b.ReportMetric(cpuPer(b.N, start), "cpu-ns/op")
			if loads != b.N {
				b.Fatalf("%s: right answers: got %d, want %d", w.path, loads, b.N)
			}
			if w.id == create.id && !c.isBare() && d.cookie() == "" {
				b.Fatalf("%s: got no cookie, want a new session's", w.path)
			}
			if w.id == count.id && !c.isBare() {
				b.ReportMetric(1-float64(counted(b, d, cookies)-len(cookies))/float64(b.N), "lost/op")
			}
		})
	}
}

// logins makes n sessions and returns their cookies.
func logins(b *testing.B, d driver, n int) []string {
	cookies := make([]string, n)
	for i := range cookies {
		var err error
		if cookies[i], err = login(d); err != nil {
			b.Fatal(err)
		}
	}
	return cookies
}

// counted is the sum of the counts of all sessions.
func counted(b *testing.B, d driver, cookies []string) int {
	sum := 0
	for _, cookie := range cookies {
		status, body := d.get("/peek", cookie)
		n, err := strconv.Atoi(string(body))
		if status != 200 || err != nil {
			b.Fatalf("/peek: got %d %q, want 200 and a number", status, body)
		}
		sum += n
	}
	return sum
}

func TestEveryContestantDoesItsWork(t *testing.T) {
	for _, c := range contestants() {
		if c.node {
			continue
		}
		t.Run(c.id, func(t *testing.T) {
			if err := verify(c, open(t, c)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEveryNodeContestantDoesItsWork(t *testing.T) {
	if _, err := os.Stat("node/node_modules"); err != nil {
		t.Skip("node/node_modules is missing: make node/node_modules")
	}
	for _, c := range contestants() {
		if !c.node {
			continue
		}
		t.Run(c.id, func(t *testing.T) {
			s, err := startServer(c, redisFor(t, c), false)
			if err != nil {
				t.Fatal(err)
			}
			s.stop()
		})
	}
}

func TestProfileIsAsLargeAsSaid(t *testing.T) {
	values := map[string]any{}
	for _, f := range profile() {
		values[f.key] = f.value
	}
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	if size := len(text); size < 320 || size > 340 {
		t.Errorf("profile as JSON: got %d bytes, want about 330", size)
	}
}

func open(tb testing.TB, c contestant) driver {
	a, err := c.open(redisFor(tb, c))
	if err != nil {
		tb.Fatal(err)
	}
	return a.driver()
}

// redisFor returns the address of this process's Redis, empty if c needs none.
func redisFor(tb testing.TB, c contestant) string {
	if !c.redis {
		return ""
	}
	shared.once.Do(func() { shared.server, shared.err = startRedis(loadCPU()) })
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.server.address
}

// shared is the Redis of all tests and benchmarks; the first that needs it starts it.
var shared struct {
	once   sync.Once
	server *redisServer
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		shared.server.stop()
	}
	os.Exit(code)
}
