package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A micro is one Go contestant under one workload in process: a line of a Go benchmark.
type micro struct {
	Contestant string  `json:"contestant"`
	Workload   string  `json:"workload"`
	Round      int     `json:"round"`
	Nanos      float64 `json:"nanos"`
	CPUNanos   float64 `json:"cpuNanos"` // of this process, the collector's share included; Redis is another process
	Bytes      float64 `json:"bytes"`
	Allocs     float64 `json:"allocs"`
	Lost       float64 `json:"lost"` // of W2: the fraction of updates that the counts do not show
}

// runMicro runs the package's benchmarks, one process for each contestant and round, and writes their lines to raw,
// which benchstat reads.
func runMicro(cs []contestant, o options, raw io.Writer) ([]micro, error) {
	const binary = "out/bench.test"
	if err := run("go", "test", "-c", "-o", binary, "."); err != nil {
		return nil, err
	}
	var all []micro
	for round := range o.rounds {
		log.Printf("in process, round %d of %d", round+1, o.rounds)
		for _, c := range cs {
			if c.node {
				continue
			}
			command := exec.Command("./"+binary, "-test.run", "^$", "-test.benchmem",
				"-test.bench", "/^"+c.id+"$", "-test.benchtime", o.benchtime, fmt.Sprintf("-test.short=%t", o.brief))
			command.Stderr = os.Stderr
			out, err := command.Output()
			if err != nil {
				return nil, fmt.Errorf("bench: in process: %s: %w\n%s", c.id, err, out)
			}
			if _, err := raw.Write(out); err != nil {
				return nil, err
			}
			results, err := parseBenchmarks(out)
			if err != nil {
				return nil, err
			}
			for _, r := range results {
				r.Round = round
				all = append(all, r)
			}
		}
	}
	return all, nil
}

func run(name string, arguments ...string) error {
	if out, err := exec.Command(name, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("bench: %s: %w\n%s", name, err, out)
	}
	return nil
}

// parseBenchmarks reads lines like
//
//	BenchmarkW1/scs-memory-2   1000   23010 ns/op   22900 cpu-ns/op   9000 B/op   279 allocs/op
func parseBenchmarks(out []byte) ([]micro, error) {
	var results []micro
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 4 || !strings.HasPrefix(words[0], "BenchmarkW") {
			continue
		}
		workload, id, _ := strings.Cut(strings.TrimPrefix(words[0], "Benchmark"), "/")
		if i := strings.LastIndexByte(id, '-'); i >= 0 {
			if _, err := strconv.Atoi(id[i+1:]); err == nil {
				id = id[:i]
			}
		}
		r := micro{Contestant: id, Workload: workload}
		for i := 2; i+1 < len(words); i += 2 {
			value, err := strconv.ParseFloat(words[i], 64)
			if err != nil {
				return nil, fmt.Errorf("bench: benchmark line %q: %w", lines.Text(), err)
			}
			switch words[i+1] {
			case "ns/op":
				r.Nanos = value
			case "cpu-ns/op":
				r.CPUNanos = value
			case "B/op":
				r.Bytes = value
			case "allocs/op":
				r.Allocs = value
			case "lost/op":
				r.Lost = value
			}
		}
		results = append(results, r)
	}
	return results, nil
}

// cpuPer runs f and returns the CPU nanoseconds of this process for each of n.
func cpuPer(n int, start time.Duration) float64 { return float64(ownCPU()-start) / float64(n) }
