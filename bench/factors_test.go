package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestQuotientsPairTheRounds(t *testing.T) {
	got := quotients([]float64{10, 30, 8}, []float64{5, 10, 0})
	if want := []float64{2, 3}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v: round by round, without the one that says nothing", got, want)
	}
}

func TestIntervalNarrowsWithTheNumberOfRounds(t *testing.T) {
	values := func(n int) []float64 {
		all := make([]float64, n)
		for i := range all {
			all[i] = float64(i) / float64(n-1)
		}
		return all
	}
	low, high := interval(values(3))
	if low != 0 || high != 1 {
		t.Errorf("of 3 rounds: got %v–%v, want all of them", low, high)
	}
	low, high = interval(values(101))
	if low < 0.39 || low > 0.41 || high < 0.59 || high > 0.61 {
		t.Errorf("of 101 rounds: got %v–%v, want 0.4–0.6", low, high)
	}
}

func TestVerdictTellsFigureFromFactor(t *testing.T) {
	for _, test := range []struct {
		name        string
		bound       bound
		now, factor float64
		rival       best
		want        string
	}{
		{"both", atMost(25, 100), 20, 0.2, best{}, "yes"},
		{"a slow machine", atMost(25, 100), 40, 0.2, best{}, "as a factor"},
		{"a fast machine", atMost(25, 100), 20, 0.5, best{}, "as a figure"},
		{"neither", atMost(25, 100), 40, 0.5, best{}, "**no**"},
		{"more is better", atLeast(500, 100), 600, 5.5, best{}, "yes"},
		{"more is better, and is not", atLeast(500, 100), 400, 4, best{}, "**no**"},
		{"without another checkout", atMost(25, 100), 20, 0, best{}, "yes"},
		{"nothing allowed", atMost(0, 0), 0.1, 0, best{}, "**no**"},
		{"ahead of the rival", notAbove(), 40, 1, best{"scs", 50}, "yes; scs: 50"},
		{"behind the rival", notAbove(), 60, 1, best{"scs", 50}, "**no**; scs: 50"},
		{"no bound", bound{}, 60, 1, best{}, ""},
	} {
		if got := (figure{name: "CPU", bound: test.bound}).verdict(test.now, test.factor, test.rival); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestFactorTableHasALineForEachFigure(t *testing.T) {
	m := measuredRow{
		row: factorRow{title: "a write", figures: []figure{{"CPU, µs", cpuOf, atMost(5, 10)}, {"objects", objectsOf, atMost(2, 0)}}},
		values: map[string][][]float64{
			"now": {{4, 5, 6}, {2, 2, 2}},
			"old": {{10, 10, 10}, {3, 3, 3}},
		},
	}
	got := factorTable([]measuredRow{m}, []build{{"now", ""}, {"old", ""}})
	for _, want := range []string{
		"| a write | CPU, µs | 10 | 5 | 0.50 (0.40–0.60) | ≤ 5 | ≤ 0.50 | yes |\n",
		"|  | objects | 3 | 2 | 0.67 (0.67–0.67) | ≤ 2 |  | yes |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want the line %q", got, want)
		}
	}
}

func TestRowsNameWhatThereIs(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range factorRows(1000) {
		if seen[r.id] {
			t.Errorf("%s: got two rows of that id, want one", r.id)
		}
		seen[r.id] = true
		for _, s := range append(r.subjects, r.rivals...) {
			if _, err := find(s.contestantID()); err != nil {
				t.Errorf("%s: %v", r.id, err)
			}
			if q, ok := s.(requestSubject); ok {
				if _, ok := findWorkload(q.workload); !ok {
					t.Errorf("%s: workload %q: got none, want one in process", r.id, q.workload)
				}
			}
		}
	}
}

func TestProbeMakesAsManyRequestsAsItIsTold(t *testing.T) {
	var out bytes.Buffer
	if err := probeLoop(sessMemory, count, 20, "", strings.NewReader("run 30\nbare 7\n"), &out); err != nil {
		t.Fatal(err)
	}
	said := json.NewDecoder(&out)
	var f filled
	var own, bare stint
	for _, v := range []any{&f, &own, &bare} {
		if err := said.Decode(v); err != nil {
			t.Fatal(err)
		}
	}
	if own.Requests != 30 || bare.Requests != 7 || own.Wrong != 0 || bare.Wrong != 0 || own.CPUNanos <= 0 {
		t.Errorf("got %+v, %+v; want 30 and 7 requests, right answers and CPU time", own, bare)
	}
	if own.Bytes < profileBytes || bare.Bytes > profileBytes {
		t.Errorf("allocated: got %.0f B with a session, %.0f without; want a record more", own.Bytes, bare.Bytes)
	}
}

func TestCrowdCountsWhatItsServersAnswer(t *testing.T) {
	a, err := sessMemory.open("")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go a.serve(ln)
	d := &wireDriver{address: ln.Addr().String()}
	cookie, err := login(d, "/login")
	if err != nil {
		t.Fatal(err)
	}
	nobody, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := crowdLoop(4, cookie, []string{d.address, "127.0.0.1:" + nobody}, strings.NewReader("50\n"), &out); err != nil {
		t.Fatal(err)
	}
	var r rush
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if up, down := r.Servers[0], r.Servers[1]; up.OK == 0 || up.Failed > 0 || down.OK > 0 || down.Failed == 0 {
		t.Errorf("got %+v; want success at the first server alone, failure at the second alone", r)
	}
	if _, body := d.get("/peek", cookie); string(body) != fmt.Sprint(r.total().OK) {
		t.Errorf("the count: got %s, want the %d that were answered", body, r.total().OK)
	}
	if r.InTime > r.total().OK {
		t.Errorf("in time: got %d of %d answered, want no more than all", r.InTime, r.total().OK)
	}
}

func TestLinkDelaysBothWaysAndKeepsTheOrder(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { // an echo
		if c, err := ln.Accept(); err == nil {
			io.Copy(c, c)
			c.Close()
		}
	}()
	const roundTrip = 200 * time.Millisecond
	l, err := newLink(ln.Addr().String(), roundTrip)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	c, err := net.Dial("tcp", l.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	for _, part := range []string{"one ", "two ", "three"} {
		io.WriteString(c, part)
	}
	got := make([]byte, len("one two three"))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); string(got) != "one two three" || took < roundTrip {
		t.Errorf("got %q after %v, want %q after %v or more", got, took, "one two three", roundTrip)
	}
}

func TestInstructionLineIsFound(t *testing.T) {
	got := instructionLine.FindStringSubmatch("==4759== \n==4759== I   refs:      121,234,446\n")
	if got == nil || got[1] != "121,234,446" {
		t.Errorf("got %q, want the number", got)
	}
}

func TestInstructionTableComparesTheLastColumnWithTheFirst(t *testing.T) {
	made := func(label string, over float64) column {
		c := column{Label: label, Requests: 10_000, Counts: map[string]cost{}}
		for _, w := range instructionWorkloads() {
			c.Counts[w.id] = cost{Bare: 3000, Own: 3000 + over}
		}
		return c
	}
	got := instructionTable([]column{made("ca8f596", 5000), made("now", 4500)})
	if want := "| read two values | 3,000 | 5,000 | 4,500 | -10.0 % |\n"; !strings.Contains(got, want) {
		t.Errorf("got %q, want the line %q", got, want)
	}
}

func TestInstructionsOfOneRequestAreCounted(t *testing.T) {
	if _, err := exec.LookPath("valgrind"); err != nil || testing.Short() {
		t.Skip("valgrind is missing, or -short")
	}
	program := t.TempDir() + "/bench"
	if err := run("go", "build", "-o", program, "."); err != nil {
		t.Fatal(err)
	}
	got, _, err := countRepeatedly(build{"now", program}, "fiber", anonymous, instructionOptions{requests: 500, repeat: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got < 500 || got > 20_000 {
		t.Errorf("bare Fiber: got %.0f instructions a request, want some thousands", got)
	}
}

func TestARivalThatTakesLessIsNamedWithWhatItLeavesOut(t *testing.T) {
	r := results{
		Contestants: []described{
			{ID: "fiber", Name: "bare", Bare: "fiber"},
			{ID: "sess-memory", Name: "sess, memory", Bare: "fiber"},
			{ID: "a-memory", Name: "A", Bare: "fiber", Lacks: []string{noSignature}},
			{ID: "b-redis", Name: "B", Bare: "fiber", Redis: true},
		},
		Micro: []micro{
			{Contestant: "fiber", Workload: count.id, CPUNanos: 300},
			{Contestant: "sess-memory", Workload: count.id, CPUNanos: 2300},
			{Contestant: "a-memory", Workload: count.id, CPUNanos: 1300, Lost: 0.5},
			{Contestant: "b-redis", Workload: count.id, CPUNanos: 400}, // another kind of store
			{Contestant: "fiber", Workload: read.id, CPUNanos: 300},
			{Contestant: "sess-memory", Workload: read.id, CPUNanos: 900},
			{Contestant: "a-memory", Workload: read.id, CPUNanos: 880}, // within the margin
		},
	}
	got := r.cheaperRows()
	want := []cheaper{{"W2 in process", "A", "1,000 ns", "2,000 ns", "**50 % of the updates**, " + noSignature}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReadmeTableEndsWithTheSharedSession(t *testing.T) {
	r := results{
		Contestants: []described{{ID: "fiber", Bare: "fiber"}, {ID: "sess-redis", Name: "sess, Redis", Bare: "fiber", Redis: true}},
		Micro: []micro{
			{Contestant: "fiber", Workload: read.id}, {Contestant: "fiber", Workload: count.id},
			{Contestant: "sess-redis", Workload: read.id, CPUNanos: 620},
			{Contestant: "sess-redis", Workload: count.id, CPUNanos: 100_000},
		},
		EndToEnd: []endToEnd{{Contestant: "sess-redis", Workload: countShared.id, PerSecond: 30_000, Updates: 100, LostUpdates: 25}},
	}
	got := r.readmeTable()
	if want := regexp.MustCompile(`\*\*sess\*\*, Redis \|.*\| 22,500, 25 % lost \|\n`); !want.MatchString(got) {
		t.Errorf("got %q, want a line like %q", got, want)
	}
}
