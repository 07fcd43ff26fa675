// Command bench compares session layers: the same work for all of them, interleaved in one run. The README beside it
// says how to start it, docs/benchmarks.md what it does and what came out.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

func main() {
	log.SetFlags(log.Ltime)
	var err error
	switch arguments := os.Args[1:]; {
	case len(arguments) == 3 && arguments[0] == "serve":
		err = serve(arguments[1], arguments[2])
	case len(arguments) == 3 && arguments[0] == "resident":
		err = printResident(arguments[1], arguments[2])
	case len(arguments) == 5 && arguments[0] == "probe":
		err = runProbe(arguments[1], arguments[2], arguments[3], arguments[4])
	case len(arguments) > 3 && arguments[0] == "crowd":
		err = runCrowd(arguments[1], arguments[2], arguments[3:])
	case len(arguments) == 4 && arguments[0] == "requests":
		err = makeRequests(arguments[1], arguments[2], arguments[3])
	case len(arguments) > 0 && arguments[0] == "instructions":
		err = instructions(arguments[1:])
	case len(arguments) > 0 && arguments[0] == "factors":
		err = factors(arguments[1:])
	default:
		err = compare(arguments)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	contestants string
	parts       string
	rounds      int
	duration    time.Duration
	warmup      int
	benchtime   string
	sessions    int
	out         string
	docs        string
	brief       bool // set by -quick
}

// parseOptions reads the flags. The defaults are for a whole run of about a quarter of an hour on two CPUs.
func parseOptions(arguments []string) (options, error) {
	var o options
	var quick bool
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.contestants, "contestants", ".*", "`regexp` of the ids to compare; their bare frameworks come along")
	f.StringVar(&o.parts, "parts", "micro,resident,endtoend", "which `parts` to run")
	f.IntVar(&o.rounds, "rounds", 3, "how often each figure is measured; the median counts")
	f.DurationVar(&o.duration, "duration", time.Second, "of each end-to-end measurement, at least 1 s; 0: a few requests")
	f.IntVar(&o.warmup, "warmup", 4096, "how many requests come before each of them, at least 64; 0: none")
	f.StringVar(&o.benchtime, "benchtime", "300ms", "of each benchmark in process, as go test takes it")
	f.IntVar(&o.sessions, "sessions", 1_000_000, "how many sessions are resident in W5")
	f.StringVar(&o.out, "out", "out", "`directory` for the results and benchstat's input")
	f.StringVar(&o.docs, "docs", "", "`directory` whose benchmarks.md and plots get the new figures; empty: none")
	f.BoolVar(&quick, "quick", false, "run everything once and briefly, to see that it works; the figures mean nothing")
	if err := f.Parse(arguments); err != nil {
		return options{}, err
	}
	if f.NArg() > 0 {
		return options{}, fmt.Errorf("bench: argument %q: unknown; want flags only", f.Arg(0))
	}
	if quick {
		if o.docs != "" {
			return options{}, errors.New("bench: -quick -docs: figures that mean nothing; want one or the other")
		}
		o.rounds, o.duration, o.warmup, o.benchtime, o.sessions, o.brief = 1, 0, 0, "1x", 1000, true
	}
	if o.rounds < 1 || o.sessions < 1 || o.warmup != 0 && o.warmup < connections {
		return options{}, fmt.Errorf("bench: -rounds, -sessions, -warmup: got %d, %d, %d; want at least 1, 1, and 0 or %d", o.rounds, o.sessions, o.warmup, connections)
	}
	return o, nil
}

// compare runs what the flags ask for and writes the results.
func compare(arguments []string) error {
	o, err := parseOptions(arguments)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	chosen, err := choose(o.contestants)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	load := newLoadMeter()
	r, err := runParts(chosen, o)
	if err != nil {
		return err
	}
	r.OtherCPUs = load.others()
	if err := writeResults(r, filepath.Join(o.out, "results.json")); err != nil {
		return err
	}
	tables := r.tables()
	fmt.Println(tables)
	if err := os.WriteFile(filepath.Join(o.out, "readme.md"), []byte(r.readmeTable()), 0o644); err != nil {
		return err
	}
	if o.docs == "" {
		return nil
	}
	return publish(r, tables, o.docs)
}

func runParts(chosen []contestant, o options) (*results, error) {
	redis, err := startRedis(loadCPU())
	if err != nil {
		return nil, err
	}
	defer redis.stop()
	r := &results{Date: time.Now().UTC().Format(time.RFC3339), Options: o.String()}
	if r.Machine, err = describeMachine(redis); err != nil {
		return nil, err
	}
	for _, c := range chosen {
		versions, err := c.versions()
		if err != nil {
			return nil, err
		}
		r.Contestants = append(r.Contestants, described{ID: c.id, Name: c.name, Bare: c.bare, Redis: c.redis, Lacks: c.lacks, Versions: versions})
	}
	if o.has("micro") {
		raw, err := os.Create(filepath.Join(o.out, "micro.txt"))
		if err != nil {
			return nil, err
		}
		defer raw.Close()
		if r.Micro, err = runMicro(chosen, o, raw); err != nil {
			return nil, err
		}
	}
	if o.has("resident") {
		if r.Resident, err = runResident(chosen, o.sessions); err != nil {
			return nil, err
		}
	}
	if o.has("endtoend") {
		if r.EndToEnd, err = runEndToEnd(chosen, o, redis); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// serve runs one contestant until standard input ends.
func serve(id, redis string) error {
	c, err := find(id)
	if err != nil {
		return err
	}
	a, err := c.open(redis)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- a.serve(ln) }()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		failed <- nil
	}()
	fmt.Println(listening + ln.Addr().String())
	return <-failed
}

// printResident measures one contestant in this process.
func printResident(id, sessions string) error {
	var n int
	if _, err := fmt.Sscan(sessions, &n); err != nil {
		return fmt.Errorf("bench: sessions %q: %w", sessions, err)
	}
	c, err := find(id)
	if err != nil {
		return err
	}
	r, err := measureResident(c, n)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// runProbe is the process of a probe.
func runProbe(id, workload, sessions, redis string) error {
	c, err := find(id)
	if err != nil {
		return err
	}
	w, ok := findWorkload(workload)
	n, err := strconv.Atoi(sessions)
	if !ok || err != nil {
		return fmt.Errorf("bench: probe: got workload %q, sessions %q; want a workload in process and a number", workload, sessions)
	}
	return probeLoop(c, w, n, redis, os.Stdin, os.Stdout)
}

// runCrowd is the process of a crowd's users.
func runCrowd(users, cookie string, addresses []string) error {
	n, err := strconv.Atoi(users)
	if err != nil {
		return fmt.Errorf("bench: crowd: users: %w", err)
	}
	return crowdLoop(n, cookie, addresses, os.Stdin, os.Stdout)
}
