package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A section of benchmarks.md is written by this program; the prose around it is not.
type section struct{ begin, end string }

var (
	tablesSection       = section{"<!-- tables: written by bench -->\n", "<!-- end of tables -->\n"}
	factorsSection      = section{"<!-- factors: written by bench -->\n", "<!-- end of factors -->\n"}
	instructionsSection = section{"<!-- instructions: written by bench -->\n", "<!-- end of instructions -->\n"}
)

// put replaces the section's text in the benchmarks.md of docs.
func (s section) put(text, docs string) error {
	path := filepath.Join(docs, "benchmarks.md")
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(page), s.begin)
	_, after, ok2 := strings.Cut(rest, s.end)
	if !ok || !ok2 {
		return fmt.Errorf("bench: %s: want the lines %q and %q", path, s.begin, s.end)
	}
	return os.WriteFile(path, []byte(before+s.begin+"\n"+strings.TrimSpace(text)+"\n\n"+s.end+after), 0o644)
}

// publish puts the tables into benchmarks.md, and the plots and every measurement beside it.
func publish(r *results, tables, docs string) error {
	if err := tablesSection.put(tables, docs); err != nil {
		return err
	}
	dir := filepath.Join(docs, "benchmarks")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := writeResults(r, filepath.Join(dir, "results.json")); err != nil {
		return err
	}
	return writePlots(r, dir)
}

// readmeTable is the table of the README: the part that a reader who compares session layers asks for first.
func (r *results) readmeTable() string {
	var b strings.Builder
	row(&b, "", "read two values", "allocations", "counter++", "throughput, read", "one session, 64 users: counted a second")
	row(&b, "---", "--:", "--:", "--:", "--:", "--:")
	for _, c := range r.Contestants {
		readIn, ok := r.micro(c.ID, read)
		countIn, ok2 := r.micro(c.ID, count)
		shared, ok3 := r.endToEnd(c.ID, countShared)
		if c.ID == c.Bare || !ok || !ok2 || !ok3 {
			continue
		}
		bareRead, _ := r.micro(c.Bare, read)
		bareCount, _ := r.micro(c.Bare, count)
		name := c.Name
		if c.ours() {
			store, _ := strings.CutPrefix(c.Name, "sess")
			name = "**sess**" + store
		}
		row(&b, name, number((readIn.CPUNanos-bareRead.CPUNanos)/1000)+" µs", number(readIn.Allocs-bareRead.Allocs),
			number((countIn.CPUNanos-bareCount.CPUNanos)/1000)+" µs", r.perCore(c.ID, read), shared.kept())
	}
	return b.String()
}

// kept is how many updates a second the count shows, and what share of the answered ones it does not.
func (e endToEnd) kept() string {
	text := number(e.PerSecond * (1 - e.lost()))
	if e.lost() < 0.0005 {
		return text + ", none lost"
	}
	return fmt.Sprintf("%s, %.0f %% lost", text, e.lost()*100)
}
