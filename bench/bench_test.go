package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The benchmarks are named for the workloads; each has one sub-benchmark for each Go contestant.
func BenchmarkW1(b *testing.B)         { benchmark(b, "W1") }
func BenchmarkW1a(b *testing.B)        { benchmark(b, "W1a") }
func BenchmarkW1b(b *testing.B)        { benchmark(b, "W1b") }
func BenchmarkW1of30000(b *testing.B)  { benchmark(b, "W1of30000") }
func BenchmarkW1keys1(b *testing.B)    { benchmark(b, "W1keys1") }
func BenchmarkW1keys10(b *testing.B)   { benchmark(b, "W1keys10") }
func BenchmarkW1keys100(b *testing.B)  { benchmark(b, "W1keys100") }
func BenchmarkW1keys1000(b *testing.B) { benchmark(b, "W1keys1000") }
func BenchmarkW2(b *testing.B)         { benchmark(b, "W2") }
func BenchmarkW2at1kB(b *testing.B)    { benchmark(b, "W2at1kB") }
func BenchmarkW2at10kB(b *testing.B)   { benchmark(b, "W2at10kB") }
func BenchmarkW2at60kB(b *testing.B)   { benchmark(b, "W2at60kB") }
func BenchmarkW2keys1(b *testing.B)    { benchmark(b, "W2keys1") }
func BenchmarkW2keys10(b *testing.B)   { benchmark(b, "W2keys10") }
func BenchmarkW2keys100(b *testing.B)  { benchmark(b, "W2keys100") }
func BenchmarkW2keys1000(b *testing.B) { benchmark(b, "W2keys1000") }
func BenchmarkW4(b *testing.B)         { benchmark(b, "W4") }
func BenchmarkW4f(b *testing.B)        { benchmark(b, "W4f") }

// BenchmarkW3 comes last: it fills the stores.
func BenchmarkW3(b *testing.B) { benchmark(b, "W3") }

// briefly is how many sessions take turns with -short, whatever the workload says.
const briefly = 10

func benchmark(b *testing.B, id string) {
	w, ok := findWorkload(id)
	if !ok {
		b.Fatalf("workload %q: unknown; want one of microWorkloads", id)
	}
	for _, c := range contestants() {
		if c.node {
			continue
		}
		b.Run(c.id, func(b *testing.B) {
			d := open(b, c)
			cookies := []string{w.cookie}
			if w.login != "" {
				if cookies = cookiesOf(b, d, w); cookies == nil {
					b.Skip("has one cookie; nothing can stand between two")
				}
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
			if w.counts() && !c.isBare() {
				b.ReportMetric(1-float64(counted(b, d, cookies)-len(cookies))/float64(b.N), "lost/op")
			}
		})
	}
}

// cookiesOf makes the sessions of w and returns their Cookie headers; none if they cannot be dressed as w wants.
func cookiesOf(b *testing.B, d driver, w workload) []string {
	n := w.sessions
	if testing.Short() {
		n = min(n, briefly)
	}
	cookies := make([]string, n)
	for i := range cookies {
		own, err := login(d, w.login)
		if err != nil {
			b.Fatal(err)
		}
		var ok bool
		if cookies[i], ok = w.header(own); !ok {
			return nil
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
			d := open(t, c)
			if err := verify(c, d); err != nil {
				t.Error(err)
			}
			if c.isBare() {
				return
			}
			if err := verifySizes(d); err != nil {
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

func TestSessionsAreAsLargeAsSaid(t *testing.T) {
	for _, test := range []struct {
		path        string
		bytes, keys int
	}{
		{"/login", profileBytes, 10},
		{"/login-1kB", 1_000, 14},
		{"/login-10kB", 10_000, 14},
		{"/login-60kB", 60_000, 14},
		{"/login-keys-1", len(`{"count":0}`), 1},
		{"/login-keys-1000", len(`{"count":0}`) + 999*len(`"article0000":"2 pieces",`), 1_000},
	} {
		values := map[string]any{}
		for _, f := range logins()[test.path] {
			values[f.key] = f.value
		}
		text, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) != test.bytes || len(values) != test.keys {
			t.Errorf("%s as JSON: got %d bytes, %d keys; want %d, %d", test.path, len(text), len(values), test.bytes, test.keys)
		}
	}
}

func TestEveryWorkloadInProcessHasItsBenchmark(t *testing.T) {
	source, err := os.ReadFile("bench_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range microWorkloads() {
		if !strings.Contains(string(source), "func Benchmark"+w.id+"(") {
			t.Errorf("%s: got no func Benchmark%s, want one", w.id, w.id)
		}
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
