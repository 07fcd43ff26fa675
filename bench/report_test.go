package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNumbersKeepThreeFigures(t *testing.T) {
	for _, test := range []struct {
		x    float64
		want string
	}{
		{0, "0"}, {3, "3"}, {0.456, "0.46"}, {9.876, "9.88"}, {12.34, "12.3"}, {99.4, "99.4"}, {123.6, "124"},
		{1234.5, "1,235"}, {1234567, "1,234,567"}, {-13.61, "-13.6"}, {-1234.6, "-1,235"}, {-123.4, "-123"},
	} {
		if got := number(test.x); got != test.want {
			t.Errorf("number(%v): got %q, want %q", test.x, got, test.want)
		}
	}
}

func TestBenchmarkLinesAreRead(t *testing.T) {
	out := "goos: linux\nBenchmarkW2/scs-memory-2   \t 31622\t 3745 ns/op\t 4245.5 cpu-ns/op\t 0.25 lost/op\t 1550 B/op\t 36 allocs/op\nPASS\n"
	got, err := parseBenchmarks([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	want := micro{Contestant: "scs-memory", Workload: "W2", Nanos: 3745, CPUNanos: 4245.5, Lost: 0.25, Bytes: 1550, Allocs: 36}
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want one %+v", got, want)
	}
}

func TestMedianIsTheMiddleOfAll(t *testing.T) {
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("got %v, want 5", got)
	}
	if got := median([]float64(nil)); got != 0 {
		t.Errorf("of none: got %v, want 0", got)
	}
}

func TestPerCoreIsTheMedianOfPairs(t *testing.T) {
	r := results{EndToEnd: []endToEnd{
		{Contestant: "a", Workload: read.id, ServerCPU: 10, BareCPU: 9},
		{Contestant: "a", Workload: read.id, ServerCPU: 20, BareCPU: 10}, // the machine was slow
		{Contestant: "a", Workload: read.id, ServerCPU: 30, BareCPU: 30}, // and slower
		{Contestant: "b", Workload: read.id, ServerCPU: 1, BareCPU: 1},
		{Contestant: "a", Workload: count.id, ServerCPU: 1, BareCPU: 1},
	}}
	if got, want := r.perCore("a", read), "90 %"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := r.perCore("a", create); got != "" {
		t.Errorf("of a workload that was not measured: got %q, want nothing", got)
	}
}

func TestPlotsAreWellFormedAndEscaped(t *testing.T) {
	p := plot{title: "a < b & c", unit: "µs", parts: []string{"server", "Redis"}, bars: []bar{
		{label: "<one>", parts: []float64{1, 2}}, {label: "none", parts: []float64{0, 0}, bare: true},
	}}
	d := xml.NewDecoder(strings.NewReader(p.svg()))
	bars := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if want := 4; bars != want { // two of the legend, two segments
		t.Errorf("rectangles: got %d, want %d", bars, want)
	}
}

func TestLinePlotKeepsItsLabelsApart(t *testing.T) {
	p := linePlot{title: "a & b", unit: "µs", steps: []string{"1", "10"}}
	p.add(line{label: "<one>", values: []float64{1, 10}})
	p.add(line{label: "two", values: []float64{2, 10.1}, ours: true})
	p.add(line{label: "not above zero", values: []float64{-1, 10}})
	p.add(line{label: "too short", values: []float64{1}})
	if len(p.lines) != 2 {
		t.Fatalf("lines: got %d, want the 2 that a logarithmic scale can show", len(p.lines))
	}
	heights := p.labelHeights(func(v float64) float64 { return 100 - v })
	if d := heights[0] - heights[1]; d < labelHeight {
		t.Errorf("labels: got %v apart, want %d or more", d, labelHeight)
	}
	d := xml.NewDecoder(strings.NewReader(p.svg()))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestPublishingKeepsTheProseAroundTheTables(t *testing.T) {
	docs := t.TempDir()
	path := filepath.Join(docs, "benchmarks.md")
	if err := os.WriteFile(path, []byte("before\n"+tablesSection.begin+"old\n"+tablesSection.end+"after\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it must find its own marks
		if err := publish(&results{}, "new", docs); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if want := "before\n" + tablesSection.begin + "\nnew\n\n" + tablesSection.end + "after\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestChoosingBringsTheBareFrameworkAlong(t *testing.T) {
	got, err := choose("scs-memory")
	if err != nil {
		t.Fatal(err)
	}
	if want := "nethttp scs-memory"; strings.Join(ids(got), " ") != want {
		t.Errorf("got %v, want %v", ids(got), want)
	}
	if _, err := choose("nobody"); err == nil {
		t.Error("nobody: got no error, want one")
	}
}
