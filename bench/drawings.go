package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// A drawing is a plot of some kind.
type drawing interface {
	svg() string
	caption() string
	empty() bool // it has nothing to show
}

// writePlots writes the results' plots as SVG files into dir.
func writePlots(r *results, dir string) error {
	for name, d := range r.drawings() {
		if err := os.WriteFile(filepath.Join(dir, name+".svg"), []byte(d.svg()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// drawings returns the plots that have something to show, by file name.
func (r *results) drawings() map[string]drawing {
	all := map[string]drawing{
		"throughput-W1": r.throughput(),
		"shared":        r.sharedPlot(countShared),
		"shared-two":    r.sharedPlot(countSharedTwo),
		"memory-W5":     r.memoryPlot(),
		"size-memory":   r.sizeLines(false),
		"size-redis":    r.sizeLines(true),
		"sessions":      r.sessionLines(),
	}
	for _, w := range []workload{read, count, create} {
		all["cpu-"+w.id] = r.cpuPlot(w)
	}
	for name, d := range all {
		if d.empty() {
			delete(all, name)
		}
	}
	return all
}

func (r *results) cpuPlot(w workload) plot {
	p := plot{title: w.id + ", " + w.title + ": CPU per request", unit: "µs", parts: []string{"server", "Redis"}}
	for _, c := range r.Contestants {
		if e, ok := r.endToEnd(c.ID, w); ok {
			p.bars = append(p.bars, c.bar(e.ServerCPU, e.RedisCPU))
		}
	}
	return p
}

func (r *results) throughput() plot {
	p := plot{title: read.id + ", " + read.title + ": requests per second and core", unit: "req/s"}
	for _, c := range r.Contestants {
		if e, ok := r.endToEnd(c.ID, read); ok && e.ServerCPU > 0 {
			p.bars = append(p.bars, c.bar(1e6/e.ServerCPU))
		}
	}
	return p
}

// sharedPlot shows how many requests a second a shared session takes, and how many of them were in vain.
func (r *results) sharedPlot(w workload) plot {
	p := plot{title: w.id + ", " + w.title, unit: "answered req/s", parts: []string{"counted", "lost"}}
	for _, c := range r.Contestants {
		if e, ok := r.endToEnd(c.ID, w); ok && c.ID != c.Bare {
			b := c.bar(e.PerSecond*(1-e.lost()), e.PerSecond*e.lost())
			b.note = fmt.Sprintf(", %.0f %% lost", e.lost()*100)
			p.bars = append(p.bars, b)
		}
	}
	return p
}

func (r *results) memoryPlot() plot {
	p := plot{title: "W5, many sessions in memory: bytes per session", unit: "B", parts: []string{"live heap", "rest of RSS"}}
	for _, s := range r.Resident {
		i := slices.IndexFunc(r.Contestants, func(c described) bool { return c.ID == s.Contestant })
		p.bars = append(p.bars, r.Contestants[i].bar(s.HeapPerSession, max(0, s.RSSPerSession-s.HeapPerSession)))
	}
	return p
}

// sizeLines shows what W2 costs by the size of the session, for the contestants with one kind of store.
func (r *results) sizeLines(redis bool) linePlot {
	store := "memory"
	if redis {
		store = "Redis"
	}
	p := linePlot{title: "W2, counter++ by the size of the session, " + store + ": CPU over bare", unit: "µs", steps: []string{"330 B", "1 kB", "10 kB", "60 kB"}}
	for _, c := range r.Contestants {
		if c.Redis != redis || c.ID == c.Bare {
			continue
		}
		l := line{label: c.Name, ours: c.ours()}
		for _, w := range append([]workload{count}, countSized...) {
			l.values = append(l.values, r.overBare(c, w)/1000)
		}
		p.add(l)
	}
	return p
}

// sessionLines shows what W1 costs by the number of sessions among which it goes round.
func (r *results) sessionLines() linePlot {
	p := linePlot{title: "W1, read two values by the number of sessions, memory: CPU over bare", unit: "µs", steps: []string{"1,000", "30,000"}}
	if len(r.Resident) > 0 {
		p.steps = append(p.steps, thousands(int64(r.Resident[0].Sessions))+", at random")
	}
	for _, c := range r.Contestants {
		if c.Redis || c.ID == c.Bare {
			continue
		}
		l := line{label: c.Name, ours: c.ours(), values: []float64{r.overBare(c, read) / 1000, r.overBare(c, readOf30000) / 1000}}
		if s, ok := r.residentOf(c.ID); ok {
			l.values = append(l.values, (s.ReadNanos-s.BareReadNanos)/1000)
		}
		p.add(l)
	}
	return p
}

// overBare is the CPU nanoseconds of w in process above the bare framework's; 0 if w was not measured.
func (r *results) overBare(c described, w workload) float64 {
	m, ok := r.micro(c.ID, w)
	bare, ok2 := r.micro(c.Bare, w)
	if !ok || !ok2 {
		return 0
	}
	return m.CPUNanos - bare.CPUNanos
}
