package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// factorOptions are the flags of "bench factors".
type factorOptions struct {
	base     string
	baseName string
	rows     string
	rounds   int
	starts   int
	sessions int
	out      string
	docs     string
	quick    bool
}

func parseFactorOptions(arguments []string) (factorOptions, error) {
	var o factorOptions
	f := flag.NewFlagSet("bench factors", flag.ContinueOnError)
	f.StringVar(&o.base, "base", "", "`program` of the other checkout, as make factors BASE=… builds it; empty: only this one is measured")
	f.StringVar(&o.baseName, "basename", "base", "what the tables call the other checkout")
	f.StringVar(&o.rows, "rows", ".*", "`regexp` of the ids of the rows to measure; "+rowIDs())
	f.IntVar(&o.rounds, "rounds", 24, "how often each build is measured at each row, at most")
	f.IntVar(&o.starts, "starts", 3, "how often the processes are started anew meanwhile, at most")
	f.IntVar(&o.sessions, "sessions", 1_000_000, "how many sessions the largest row has")
	f.StringVar(&o.out, "out", "out", "`directory` for every measurement, factors.json")
	f.StringVar(&o.docs, "docs", "", "`directory` whose benchmarks.md gets the table; empty: none")
	f.BoolVar(&o.quick, "quick", false, "everything once and briefly, to see that it works; the figures mean nothing")
	if err := f.Parse(arguments); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("bench: factors: argument %q: unknown; want flags only", f.Arg(0))
	}
	if o.quick && o.docs != "" {
		return o, errors.New("bench: factors: -quick -docs: figures that mean nothing; want one or the other")
	}
	if o.quick {
		o.rounds, o.starts, o.sessions = 1, 1, 1000
	}
	if o.rounds < 1 || o.starts < 1 || o.sessions < 1 {
		return o, fmt.Errorf("bench: factors: -rounds, -starts, -sessions: got %d, %d, %d; want at least 1", o.rounds, o.starts, o.sessions)
	}
	return o, nil
}

func rowIDs() string {
	var ids []string
	for _, r := range factorRows(1_000_000) {
		ids = append(ids, r.id)
	}
	return strings.Join(ids, ", ")
}

// A measuredRow is everything that one row's measurements said.
type measuredRow struct {
	ID     string              `json:"id"`
	Builds map[string][]sample `json:"builds"` // by the build's name: of the first subject, a sample a round
	Rivals map[string][]sample `json:"rivals,omitempty"`

	row    factorRow
	values map[string][][]float64 // by the build's name: for each figure, a value a round
	rivals map[string][][]float64 // by the rival's id
}

// factors measures the rows of two builds in turns and writes the table.
func factors(arguments []string) error {
	o, err := parseFactorOptions(arguments)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	chosen, err := regexp.Compile("^(?:" + o.rows + ")$")
	if err != nil {
		return fmt.Errorf("bench: factors: -rows: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	builds := []build{{"now", self}}
	if o.base != "" {
		builds = append(builds, build{o.baseName, o.base})
	}
	load := newLoadMeter()
	start := time.Now()
	var rows []measuredRow
	for _, r := range factorRows(o.sessions) {
		if !chosen.MatchString(r.id) {
			continue
		}
		log.Printf("%s: %s", r.id, r.title)
		m, err := measureRow(r, builds, o)
		if err != nil {
			return fmt.Errorf("bench: factors: %s: %w", r.id, err)
		}
		rows = append(rows, m)
	}
	if len(rows) == 0 {
		return fmt.Errorf("bench: factors: -rows: %q matches none; want some of %s", o.rows, rowIDs())
	}
	text := fmt.Sprintf("Measured %s on %d × %s, %s, in %.0f s; `now` is this checkout. Other processes kept %.2f CPUs busy meanwhile.\n\n%s",
		start.UTC().Format(time.RFC3339), runtime.NumCPU(), cpuModel(), runtime.Version(), time.Since(start).Seconds(), load.others(), factorTable(rows, builds))
	fmt.Println(text)
	if err := writeFactors(rows, o.out); err != nil || o.docs == "" {
		return err
	}
	return factorsSection.put(text, o.docs)
}

func writeFactors(rows []measuredRow, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(rows, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "factors.json"), append(text, '\n'), 0o644)
}

// measureRow has all builds and rivals at work at once, and measures them in turns.
func measureRow(r factorRow, builds []build, o factorOptions) (measuredRow, error) {
	m := measuredRow{
		ID: r.id, row: r, Builds: map[string][]sample{}, Rivals: map[string][]sample{},
		values: map[string][][]float64{}, rivals: map[string][][]float64{},
	}
	rounds, starts := o.rounds, o.starts
	if r.rounds > 0 {
		rounds = min(rounds, r.rounds)
	}
	if r.starts > 0 {
		starts = min(starts, r.starts)
	}
	for start := range starts {
		n := rounds*(start+1)/starts - rounds*start/starts
		if err := m.measure(builds, n, o.quick); err != nil {
			return m, err
		}
	}
	return m, nil
}

// A seat is one subject of one build, at work.
type seat struct {
	opened
	entrant string // the build's name, or the rival's id
	rival   bool
	subject int // index in the row's subjects; a rival is compared with the first
}

// measure starts the processes, measures n rounds, and stops the processes.
func (m *measuredRow) measure(builds []build, n int, quick bool) error {
	redis, err := startRedis(loadCPU())
	if err != nil {
		return err
	}
	defer redis.stop()
	seats, err := m.row.open(builds, redis)
	defer func() {
		for _, s := range seats {
			s.stop()
		}
	}()
	if err != nil {
		return err
	}
	stint := m.row.stint
	switch {
	case quick:
		stint = time.Millisecond
	case stint == 0:
		stint = requestStint
	}
	paces, err := paces(seats, len(m.row.subjects), stint)
	if err != nil {
		return err
	}
	for round := range n {
		found := map[string][]sample{}
		for i := range seats {
			s := seats[i]
			if round%2 == 1 { // there and back, so that what changes steadily falls on all alike
				s = seats[len(seats)-1-i]
			}
			if found[s.entrant] == nil {
				found[s.entrant] = make([]sample, len(m.row.subjects))
			}
			if found[s.entrant][s.subject], err = s.measure(paces[s.subject]); err != nil {
				return fmt.Errorf("%s: %w", s.entrant, err)
			}
		}
		m.take(seats, found)
	}
	return nil
}

// open starts every subject of every build, and the rivals.
func (r factorRow) open(builds []build, redis *redisServer) ([]seat, error) {
	var seats []seat
	for i, s := range r.subjects {
		for _, b := range builds {
			o, err := s.open(b, redis)
			if err != nil {
				return seats, fmt.Errorf("%s: %w", b.name, err)
			}
			seats = append(seats, seat{o, b.name, false, i})
		}
	}
	for _, s := range r.rivals {
		o, err := s.open(builds[0], redis)
		if err != nil {
			return seats, fmt.Errorf("%s: %w", s.contestantID(), err)
		}
		seats = append(seats, seat{o, s.contestantID(), true, 0})
	}
	return seats, nil
}

// paces is how much each subject does in one measurement, the same for all builds: what the slowest does in that time.
func paces(seats []seat, subjects int, stint time.Duration) ([]int, error) {
	paces := make([]int, subjects)
	for _, s := range seats {
		n, err := s.pace(stint)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.entrant, err)
		}
		if i := s.subject; paces[i] == 0 || n < paces[i] {
			paces[i] = n
		}
	}
	return paces, nil
}

// take keeps what a round found.
func (m *measuredRow) take(seats []seat, found map[string][]sample) {
	taken := map[string]bool{}
	for _, s := range seats {
		if taken[s.entrant] {
			continue
		}
		taken[s.entrant] = true
		samples, values := m.Builds, m.values
		if s.rival {
			samples, values = m.Rivals, m.rivals
		}
		samples[s.entrant] = append(samples[s.entrant], found[s.entrant][0])
		if values[s.entrant] == nil {
			values[s.entrant] = make([][]float64, len(m.row.figures))
		}
		for i, f := range m.row.figures {
			if s.rival && f.kind != notBehindKind {
				continue
			}
			values[s.entrant][i] = append(values[s.entrant][i], f.of(found[s.entrant]))
		}
	}
}
