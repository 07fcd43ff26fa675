package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// pictures shows the plots of these names that have something to show.
func (r *results) pictures(b *strings.Builder, names ...string) {
	drawings := r.drawings()
	for _, name := range names {
		if d, ok := drawings[name]; ok {
			fmt.Fprintf(b, "\n![%s](benchmarks/%s.svg)\n", d.caption(), name)
		}
	}
}

// tables returns the results as Markdown.
func (r *results) tables() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s on %d × %s, %s, %s, Node %s, Redis %s; %s.\n"+
		"Other processes kept %.2f CPUs busy meanwhile.\n", r.Date, r.Machine.CPUs, r.Machine.CPU,
		r.Machine.Kernel, r.Machine.Go, r.Machine.Node, r.Machine.Redis, r.Options, r.OtherCPUs)
	r.microTables(&b)
	r.endToEndTables(&b)
	r.residentTable(&b)
	r.cheaperTable(&b)
	r.versionTable(&b)
	return b.String()
}

// microTables writes a table for each workload in process: the median of the rounds, and what is above the framework.
func (r *results) microTables(b *strings.Builder) {
	if len(r.Micro) == 0 {
		return
	}
	fmt.Fprint(b, "\n### In process\n")
	r.pictures(b, "size-memory", "size-redis", "sessions")
	for _, w := range microWorkloads() {
		fmt.Fprintf(b, "\n**%s: %s**\n\n", w.id, w.title)
		row(b, "contestant", "ns", "CPU ns", "CPU ns over bare", "B", "allocs", "allocs over bare")
		row(b, "---", "--:", "--:", "--:", "--:", "--:", "--:")
		for _, c := range r.Contestants {
			m, ok := r.micro(c.ID, w)
			if !ok {
				continue
			}
			bare, _ := r.micro(c.Bare, w)
			overCPU, overAllocs := "", ""
			if c.ID != c.Bare {
				overCPU, overAllocs = number(m.CPUNanos-bare.CPUNanos), number(m.Allocs-bare.Allocs)
			}
			name := c.Name
			if m.Lost > 0 {
				name += fmt.Sprintf(" (lost %.0f %% of its updates)", m.Lost*100)
			}
			row(b, name, number(m.Nanos), number(m.CPUNanos), overCPU, number(m.Bytes), number(m.Allocs), overAllocs)
		}
	}
}

// endToEndTables writes a table for each workload over TCP.
func (r *results) endToEndTables(b *strings.Builder) {
	if len(r.EndToEnd) == 0 {
		return
	}
	fmt.Fprint(b, "\n### End to end\n")
	r.pictures(b, "shared", "shared-two", "cpu-W1", "cpu-W2", "cpu-W3")
	for _, w := range endToEndWorkloads() {
		if !slices.ContainsFunc(r.EndToEnd, func(m endToEnd) bool { return m.Workload == w.id }) {
			continue
		}
		fmt.Fprintf(b, "\n**%s: %s**\n\n", w.id, w.title)
		header, rule := []string{"contestant", "req/s", "p50 µs", "p99 µs", "server CPU s per 10⁶", "of bare, per core", "Redis CPU s per 10⁶"},
			[]string{"---", "--:", "--:", "--:", "--:", "--:", "--:"}
		if w.counts() {
			header, rule = append(header, "lost updates", "failed"), append(rule, "--:", "--:")
		}
		row(b, header...)
		row(b, rule...)
		for _, c := range r.Contestants {
			if cells, ok := r.endToEndCells(c, w); ok {
				row(b, cells...)
			}
		}
	}
}

// endToEndCells is a contestant's line of the table of w, if it has one.
func (r *results) endToEndCells(c described, w workload) ([]string, bool) {
	e, ok := r.endToEnd(c.ID, w)
	if !ok || w.shared && c.ID == c.Bare {
		return nil, false
	}
	cells := []string{c.Name, number(e.PerSecond), number(e.P50), number(e.P99), number(e.ServerCPU), r.perCore(c.ID, w), number(e.RedisCPU)}
	if w.counts() {
		cells = append(cells, share(e.LostUpdates, e.Updates), share(e.Failed, e.Requests))
	}
	return cells, true
}

// perCore is how much of its bare framework's work per core a contestant does: the median of the pairs.
func (r *results) perCore(id string, w workload) string {
	var ratios []float64
	for _, m := range r.EndToEnd {
		if m.Contestant == id && m.Workload == w.id && m.BareCPU > 0 && m.ServerCPU > 0 {
			ratios = append(ratios, m.BareCPU/m.ServerCPU)
		}
	}
	if len(ratios) == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %%", median(ratios)*100)
}

// share writes part of whole; nothing of nothing.
func share(part, whole int) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", float64(part)/float64(whole)*100)
}

// lost is the fraction of the updates that no count shows.
func (e endToEnd) lost() float64 {
	if e.Updates == 0 {
		return 0
	}
	return float64(e.LostUpdates) / float64(e.Updates)
}

func (r *results) residentTable(b *strings.Builder) {
	if len(r.Resident) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### Resident\n\n![W5: bytes per session](benchmarks/memory-W5.svg)\n\n**W5: %d sessions in the memory of one process**\n\n", r.Resident[0].Sessions)
	row(b, "contestant", "live heap, B each", "RSS, B each", "objects each", "full GC, CPU ms", "read over bare, CPU ns")
	row(b, "---", "--:", "--:", "--:", "--:", "--:")
	for _, s := range r.Resident {
		objects, reads := "", ""
		if s.ReadNanos > 0 {
			objects, reads = number(s.ObjectsPerSession), number(s.ReadNanos-s.BareReadNanos)
		}
		row(b, r.name(s.Contestant), number(s.HeapPerSession), number(s.RSSPerSession), objects, number(s.GCMillis), reads)
	}
}

func (r *results) versionTable(b *strings.Builder) {
	fmt.Fprint(b, "\n### Versions\n\n")
	row(b, "contestant", "made of")
	row(b, "---", "---")
	for _, c := range r.Contestants {
		row(b, c.Name, strings.Join(c.Versions, ", "))
	}
}

// residentOf returns what the sessions of one contestant cost.
func (r *results) residentOf(id string) (resident, bool) {
	i := slices.IndexFunc(r.Resident, func(s resident) bool { return s.Contestant == id })
	if i < 0 {
		return resident{}, false
	}
	return r.Resident[i], true
}

func (r *results) name(id string) string {
	for _, c := range r.Contestants {
		if c.ID == id {
			return c.Name
		}
	}
	return id
}

// micro returns the medians over the rounds of one contestant and workload.
func (r *results) micro(id string, w workload) (micro, bool) {
	var nanos, cpu, bytes, allocs, lost []float64
	for _, m := range r.Micro {
		if m.Contestant == id && m.Workload == w.id {
			nanos, cpu, bytes = append(nanos, m.Nanos), append(cpu, m.CPUNanos), append(bytes, m.Bytes)
			allocs, lost = append(allocs, m.Allocs), append(lost, m.Lost)
		}
	}
	return micro{
		Nanos: median(nanos), CPUNanos: median(cpu), Bytes: median(bytes), Allocs: median(allocs), Lost: median(lost),
	}, len(nanos) > 0
}

// endToEnd returns the medians over the rounds of one contestant and workload. A bare framework was measured with many
// connections and with W2's few; whichever fits w counts.
func (r *results) endToEnd(id string, w workload) (endToEnd, bool) {
	measured := w.id
	for _, c := range r.Contestants {
		if c.ID == id && c.Bare == id && w.id != count.id {
			measured = read.id
		}
	}
	var e endToEnd
	var perSecond, p50, p99, server, redis []float64
	for _, m := range r.EndToEnd {
		if m.Contestant == id && m.Workload == measured {
			perSecond, p50, p99 = append(perSecond, m.PerSecond), append(p50, m.P50), append(p99, m.P99)
			server, redis = append(server, m.ServerCPU), append(redis, m.RedisCPU)
			e.Updates, e.LostUpdates = e.Updates+m.Updates, e.LostUpdates+m.LostUpdates
			e.Requests, e.Failed = e.Requests+m.Requests, e.Failed+m.Failed
		}
	}
	e.PerSecond, e.P50, e.P99 = median(perSecond), median(p50), median(p99)
	e.ServerCPU, e.RedisCPU = median(server), median(redis)
	return e, len(perSecond) > 0
}

func row(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// number writes x with three figures, more where they stand before the point; nothing for 0 would say more than "0".
func number(x float64) string {
	switch size := max(x, -x); {
	case size >= 100 || x == float64(int64(x)):
		return thousands(int64(x + 0.5*sign(x)))
	case size >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

func sign(x float64) float64 {
	if x < 0 {
		return -1
	}
	return 1
}

// thousands writes n with a comma at every third digit.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
