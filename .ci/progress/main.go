// Progress runs "go test" with the arguments given and prints what that prints, and besides, every ten seconds, what it
// is doing. Whole packages that take minutes would be silent otherwise. At the end it counts the tests.
//
//	go run ./.ci/progress -race ./...
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

const every = 10 * time.Second

// event is a line of go test -json, see "go doc test2json".
type event struct {
	Action, Package, Test, Output string
}

// run is what is known of the tests so far.
type run struct {
	out                     io.Writer
	began                   time.Time
	packages                map[string]*pkg
	passed, failed, skipped int
}

// pkg is a package whose tests run.
type pkg struct {
	passed int
	began  map[string]time.Time // tests under way
	output map[string][]string  // of tests under way, and of the package under ""
}

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "progress:", err)
		os.Exit(2)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for r := bufio.NewReader(stdout); ; {
			line, err := r.ReadString('\n')
			if line != "" {
				lines <- line
			}
			if err != nil {
				return
			}
		}
	}()
	r := &run{out: os.Stdout, began: time.Now(), packages: map[string]*pkg{}}
	r.follow(lines, time.Tick(every))
	fmt.Printf("%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	if err := cmd.Wait(); err != nil {
		os.Exit(1)
	}
}

// follow reads lines to their end, and tells at each tick what runs.
func (r *run) follow(lines <-chan string, ticks <-chan time.Time) {
	for {
		select {
		case line, more := <-lines:
			if !more {
				return
			}
			r.read(line)
		case now := <-ticks:
			r.tell(now)
		}
	}
}

// read takes one line of go test -json. What is no event goes out as it is.
func (r *run) read(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil || e.Action == "build-output" {
		if e.Output != "" {
			line = e.Output
		}
		fmt.Fprint(r.out, line)
		return
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &pkg{began: map[string]time.Time{}, output: map[string][]string{}}
		r.packages[e.Package] = p
	}
	switch e.Action {
	case "run", "cont":
		p.began[e.Test] = time.Now()
	case "pause":
		delete(p.began, e.Test)
	case "output":
		p.output[e.Test] = append(p.output[e.Test], e.Output)
	case "pass", "skip", "fail":
		r.end(p, e)
	}
}

// end takes the end of a test, or of a package if e names no test.
func (r *run) end(p *pkg, e event) {
	if e.Test == "" {
		r.endPackage(p, e)
		return
	}
	switch e.Action {
	case "pass":
		p.passed++
		r.passed++
	case "skip":
		r.skipped++
	case "fail":
		r.failed++
		r.print(p.output[e.Test])
	}
	delete(p.began, e.Test)
	delete(p.output, e.Test)
}

func (r *run) endPackage(p *pkg, e event) {
	if e.Action == "fail" {
		for _, test := range slices.Sorted(maps.Keys(p.output)) { // a panic or a timeout leaves tests without an end
			r.print(p.output[test])
		}
	} else {
		r.print(slices.DeleteFunc(p.output[""], func(line string) bool { return !strings.HasPrefix(line, "ok ") }))
	}
	delete(r.packages, e.Package)
}

func (r *run) print(lines []string) { fmt.Fprint(r.out, strings.Join(lines, "")) }

// tell prints what has run longest in each package.
func (r *run) tell(now time.Time) {
	if len(r.packages) == 0 {
		fmt.Fprintf(r.out, "  … %d s: the compiler works\n", int(now.Sub(r.began).Seconds()))
	}
	for _, name := range slices.Sorted(maps.Keys(r.packages)) {
		p := r.packages[name]
		oldest := ""
		for _, test := range slices.Sorted(maps.Keys(p.began)) {
			if oldest == "" || p.began[test].Before(p.began[oldest]) {
				oldest = test
			}
		}
		if oldest != "" {
			fmt.Fprintf(r.out, "  … %s: %d passed, now %s (%d s)\n", name, p.passed, oldest, int(now.Sub(p.began[oldest]).Seconds()))
		}
	}
}
