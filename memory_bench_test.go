//go:build unix

package sess_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fibersess/sess"
)

// sessionJSON returns 334 bytes, what a shop keeps of a visitor.
func sessionJSON(n int) string {
	text := fmt.Sprintf(`{"user":"u%09d","roles":["reader","buyer"],"cart":[1,22,333],"csrf":"`, n)
	return text + strings.Repeat("x", 334-len(text)-len(`"}`)) + `"}`
}

func benchID(n int) sess.ID {
	id, err := sess.ParseID(fmt.Sprintf("%032x", uint64(n)*0x9e3779b97f4a7c15))
	if err != nil {
		panic(err)
	}
	return id
}

// filled returns a store of n sessions, and their ids in an order that no cache foresees. It may hold twice as many,
// so that none is evicted.
func filled(b testing.TB, n int) (*sess.MemoryStore, []sess.ID) {
	b.Helper()
	s := sess.NewMemoryStore(sess.MemoryConfig{MaxSessions: 2 * n})
	ids := make([]sess.ID, n)
	for i := range ids {
		ids[i] = benchID(i)
		r, err := sess.ParseRecord(sessionJSON(i))
		if err == nil {
			err = s.Set(context.Background(), ids[i], r, time.Hour)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	rand.Shuffle(n, func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return s, ids
}

func BenchmarkMemoryStore(b *testing.B) {
	ctx := context.Background()
	for _, n := range []int{1_000, 1_000_000} {
		s, ids := filled(b, n)
		next, err := sess.ParseRecord(sessionJSON(n))
		if err != nil {
			b.Fatal(err)
		}
		now := time.Now()
		operations := []struct {
			name string
			do   func(id sess.ID)
		}{
			{"Peek", func(id sess.ID) { s.Peek(id, now) }},
			{"Get", func(id sess.ID) { _, _ = s.Get(ctx, id) }},
			{"Get of none", func(sess.ID) { _, _ = s.Get(ctx, sess.ID{}) }},
			{"Set", func(id sess.ID) { _ = s.Set(ctx, id, next, time.Hour) }},
			{"Swap", func(id sess.ID) { _, _ = s.Swap(ctx, id, next, next, time.Hour) }}, // Set made them all equal
		}
		for _, op := range operations {
			b.Run(fmt.Sprintf("%s/sessions=%d", op.name, n), func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for i := rand.IntN(n); pb.Next(); i++ {
						if i == n {
							i = 0
						}
						op.do(ids[i])
					}
				})
			})
		}
	}
}

// BenchmarkMemoryStoreChurn creates and ends sessions in a store that is full: every creation evicts.
func BenchmarkMemoryStoreChurn(b *testing.B) {
	ctx := context.Background()
	const n = 100_000
	s := sess.NewMemoryStore(sess.MemoryConfig{MaxSessions: n})
	r, err := sess.ParseRecord(sessionJSON(1))
	if err != nil {
		b.Fatal(err)
	}
	ids := make([]sess.ID, 4*n)
	for i := range ids {
		ids[i] = benchID(i)
		_ = s.Set(ctx, ids[i], r, time.Hour)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		_, _ = s.Swap(ctx, ids[i], nil, r, time.Hour)
		i = (i + 1) % len(ids)
	}
}

// BenchmarkMemoryStoreFootprint reports what a million sessions of 334 bytes cost: live heap and objects of each, and
// one full collection.
func BenchmarkMemoryStoreFootprint(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := onlyFilled(b, n)
		runtime.GC()
		cpu, start := cpuTime(), time.Now()
		runtime.GC()
		cpu, wall := cpuTime()-cpu, time.Since(start)
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/session")
		b.ReportMetric(float64(after.HeapObjects-before.HeapObjects)/n, "objects/session")
		b.ReportMetric(float64(cpu.Microseconds())/1e3, "GC-cpu-ms")
		b.ReportMetric(float64(wall.Microseconds())/1e3, "GC-wall-ms")
		b.ReportMetric(0, "ns/op")
		runtime.KeepAlive(s)
	}
}

// onlyFilled drops the ids that filled returns, which would count.
func onlyFilled(b *testing.B, n int) *sess.MemoryStore {
	s, _ := filled(b, n)
	return s
}

// cpuTime returns the time this process has spent on all CPUs.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
