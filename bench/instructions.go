package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// instructionWorkloads are the requests whose instructions are counted: the common ones, then what grows with what a
// request brings or a session holds.
func instructionWorkloads() []workload {
	all := []workload{anonymous, anonymousOwn, read, write, count, create, readBetween}
	for _, w := range slices.Concat(countSized, countKeyed, readKeyed) {
		if slices.Contains([]string{"W2at10kB", "W2at60kB", "W2keys100", "W1keys1000"}, w.id) {
			all = append(all, w)
		}
	}
	return all
}

// A column is what one build takes.
type column struct {
	Label    string          `json:"label"`
	Date     string          `json:"date"`
	Go       string          `json:"go"`
	Valgrind string          `json:"valgrind"`
	Requests int             `json:"requests"` // that each figure is the mean of
	Repeats  int             `json:"repeats"`  // how often each was counted
	Counts   map[string]cost `json:"counts"`   // by workload
}

// cost is instructions per request.
type cost struct {
	Bare float64 `json:"bare"` // of the framework alone
	Own  float64 `json:"own"`  // with sess

	// Strayed is by how many the counts of Own differed.
	Strayed float64 `json:"strayed"`
}

// over is what sess adds.
func (c cost) over() float64 { return c.Own - c.Bare }

// instructionOptions are the flags of "bench instructions".
type instructionOptions struct {
	base, baseName, label, docs string
	requests, repeat            int
}

func parseInstructionOptions(arguments []string) (instructionOptions, error) {
	var o instructionOptions
	f := flag.NewFlagSet("bench instructions", flag.ContinueOnError)
	f.StringVar(&o.base, "base", "", "`program` of another checkout, as make instructions BASE=… builds it, to compare with; empty: none")
	f.StringVar(&o.baseName, "basename", "base", "what the table calls the other checkout")
	f.StringVar(&o.label, "label", "now", "what the table calls this checkout")
	f.StringVar(&o.docs, "docs", "", "`directory` whose benchmarks.md gets the table; its other columns stay; empty: none")
	f.IntVar(&o.requests, "n", 10_000, "requests that each figure is a mean of")
	f.IntVar(&o.repeat, "repeat", 2, "how often each is counted; the least counts")
	if err := f.Parse(arguments); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.requests < 1 || o.repeat < 1 {
		return o, fmt.Errorf("bench: instructions: got %q, -n %d, -repeat %d; want flags only, and at least 1", f.Args(), o.requests, o.repeat)
	}
	return o, nil
}

// instructions counts what requests take, and writes a column for each build.
func instructions(arguments []string) error {
	o, err := parseInstructionOptions(arguments)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	builds := []build{{o.label, self}}
	if o.base != "" {
		builds = []build{{o.baseName, o.base}, {o.label, self}}
	}
	var columns []column
	for _, b := range builds {
		log.Printf("instructions of %s", b.name)
		c, err := countBuild(b, o)
		if err != nil {
			return err
		}
		columns = append(columns, c)
	}
	if o.docs == "" {
		fmt.Println(instructionTable(columns))
		return nil
	}
	return publishInstructions(columns, o.docs)
}

// countBuild counts every request of a build, as many at once as there are CPUs: an instruction is one wherever it runs.
func countBuild(b build, o instructionOptions) (column, error) {
	c := column{
		Label: b.name, Date: time.Now().UTC().Format(time.RFC3339), Go: runtime.Version(),
		Valgrind: firstLine("valgrind", "--version"), Requests: o.requests, Repeats: o.repeat, Counts: map[string]cost{},
	}
	var mu sync.Mutex
	var failed error
	var running sync.WaitGroup
	free := make(chan struct{}, runtime.NumCPU())
	for _, w := range instructionWorkloads() {
		for _, id := range []string{"fiber", "sess-memory"} {
			running.Go(func() {
				free <- struct{}{}
				defer func() { <-free }()
				least, strayed, err := countRepeatedly(b, id, w, o)
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, err)
				pair := c.Counts[w.id]
				if id == "fiber" {
					pair.Bare = least
				} else {
					pair.Own, pair.Strayed = least, strayed
				}
				c.Counts[w.id] = pair
			})
		}
	}
	running.Wait()
	return c, failed
}

// countRepeatedly returns the instructions per request: those of a process that makes 2n requests less those of one that
// makes n. What both do once, starting and making the sessions, is in neither. Of several such processes the one with
// the fewest instructions counts: on a busy machine the scheduler of Go gets more to do, never less. It also returns by how
// much the differences strayed.
func countRepeatedly(b build, id string, w workload, o instructionOptions) (least, strayed float64, err error) {
	var once, twice, counts []float64
	for range o.repeat {
		n, err := countProcess(b, id, w, o.requests)
		if err != nil {
			return 0, 0, err
		}
		n2, err := countProcess(b, id, w, 2*o.requests)
		if err != nil {
			return 0, 0, err
		}
		once, twice, counts = append(once, n), append(twice, n2), append(counts, (n2-n)/float64(o.requests))
	}
	return (slices.Min(twice) - slices.Min(once)) / float64(o.requests), slices.Max(counts) - slices.Min(counts), nil
}

var instructionLine = regexp.MustCompile(`I\s+refs:\s+([\d,]+)`)

// countProcess returns the instructions of a whole process. Nothing that depends on time may run in it: no collection, no
// second processor, no preemption by signal.
func countProcess(b build, id string, w workload, n int) (float64, error) {
	command := exec.Command("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null",
		b.binary, "requests", id, w.id, strconv.Itoa(n))
	command.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1")
	out, err := command.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("bench: instructions: %s, %s, %s: %w\n%s", b.name, id, w.id, err, out)
	}
	found := instructionLine.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("bench: instructions: valgrind said %q; want a line with I refs", out)
	}
	return strconv.ParseFloat(strings.ReplaceAll(string(found[1]), ",", ""), 64)
}

// makeRequests is the process whose instructions are counted.
func makeRequests(id, workload, requests string) error {
	c, err := find(id)
	if err != nil {
		return err
	}
	w, ok := findWorkload(workload)
	n, err := strconv.Atoi(requests)
	if !ok || err != nil {
		return fmt.Errorf("bench: requests: got workload %q, %q; want a workload in process and a number", workload, requests)
	}
	p, err := openProbe(c, w, "")
	if err != nil {
		return err
	}
	if _, err := p.fill(few); err != nil {
		return err
	}
	if s := p.run(n); s.Wrong > 0 {
		return fmt.Errorf("bench: requests: got %d of %d answers wrong, want none", s.Wrong, n)
	}
	return nil
}

// publishInstructions puts the columns beside those that were there, each in place of the one with its label.
func publishInstructions(columns []column, docs string) error {
	path := filepath.Join(docs, "benchmarks", "instructions.json")
	var all []column
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		if err := json.Unmarshal(text, &all); err != nil {
			return fmt.Errorf("bench: %s: %w", path, err)
		}
	}
	for _, c := range columns {
		if i := slices.IndexFunc(all, func(old column) bool { return old.Label == c.Label }); i >= 0 {
			all[i] = c
		} else {
			all = append(all, c)
		}
	}
	if text, err = json.MarshalIndent(all, "", "\t"); err != nil {
		return err
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return err
	}
	table := instructionTable(all)
	fmt.Println(table)
	return instructionsSection.put(table, docs)
}

// instructionTable writes what sess adds to each request, a column for each build, and what the last changed of the first.
func instructionTable(columns []column) string {
	var b strings.Builder
	first, last := columns[0], columns[len(columns)-1]
	header, rule := []string{"instructions per request", "bare Fiber v2"}, []string{"---", "--:"}
	for _, c := range columns {
		header, rule = append(header, "sess adds, "+c.Label), append(rule, "--:")
	}
	if len(columns) > 1 {
		header, rule = append(header, "change"), append(rule, "--:")
	}
	row(&b, header...)
	row(&b, rule...)
	for _, w := range instructionWorkloads() {
		cells := []string{w.title, whole(last.Counts[w.id].Bare)}
		for _, c := range columns {
			cells = append(cells, whole(c.Counts[w.id].over()))
		}
		if len(columns) > 1 {
			cells = append(cells, fmt.Sprintf("%+.1f %%", 100*(last.Counts[w.id].over()/first.Counts[w.id].over()-1)))
		}
		row(&b, cells...)
	}
	fmt.Fprintln(&b)
	for _, c := range columns {
		fmt.Fprintf(&b, "`%s`: counted %s with %s and %s, the mean of %s requests", c.Label, c.Date, c.Go, c.Valgrind, thousands(int64(c.Requests)))
		if c.Repeats > 1 {
			title, strayed := c.strayed()
			fmt.Fprintf(&b, "; counted %d times, they differed by %.1f %% at most (%s)", c.Repeats, 100*strayed, title)
		}
		fmt.Fprint(&b, ".\n\n")
	}
	return b.String()
}

// strayed returns which request's counts differed most, and by which part of the whole.
func (c column) strayed() (title string, part float64) {
	for _, w := range instructionWorkloads() {
		if k := c.Counts[w.id]; k.Strayed/k.Own >= part {
			title, part = w.title, k.Strayed/k.Own
		}
	}
	return title, part
}

// whole writes x as a whole number.
func whole(x float64) string { return thousands(int64(math.Round(x))) }
