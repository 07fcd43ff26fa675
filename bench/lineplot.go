package main

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// A linePlot shows how a figure grows, on a logarithmic scale.
type linePlot struct {
	title string
	unit  string
	steps []string // what stands below, from left to right
	lines []line
}

// A line is one contestant: a value for each step.
type line struct {
	label  string
	ours   bool // drawn in the colour that stands out
	values []float64
}

// add takes l in if it has a value for each step that a logarithmic scale can show.
func (p *linePlot) add(l line) {
	if len(l.values) == len(p.steps) && slices.Min(l.values) > 0 {
		p.lines = append(p.lines, l)
	}
}

func (p linePlot) caption() string { return p.title }

func (p linePlot) empty() bool { return len(p.lines) == 0 }

// The measures of a line plot beside those of plot.
const (
	linesHeight = 400
	linesLeft   = 72
	linesRight  = plotWidth - 270
	linesBottom = linesHeight - 40
	labelHeight = 16
)

// svg draws p. The colours follow the reader's light or dark scheme.
func (p linePlot) svg() string {
	low, high := p.bounds()
	y := func(value float64) float64 {
		return linesBottom - (linesBottom-plotTop)*(math.Log10(value)-low)/(high-low)
	}
	x := func(step int) float64 {
		return linesLeft + 20 + float64(step)*(linesRight-linesLeft-40)/float64(max(1, len(p.steps)-1))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n",
		plotWidth, linesHeight, html.EscapeString(p.title))
	b.WriteString(lineStyle)
	fmt.Fprintf(&b, `<text class="title" x="8" y="22">%s (%s, logarithmic)</text>`+"\n", html.EscapeString(p.title), html.EscapeString(p.unit))
	for power := low; power <= high; power++ {
		at := y(math.Pow(10, power))
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%d"/><text class="label" x="%d" y="%.1f">%s</text>`+"\n",
			linesLeft, at, linesRight, linesLeft-8, at+4, number(math.Pow(10, power)))
	}
	for i, step := range p.steps {
		fmt.Fprintf(&b, `<text class="step" x="%.1f" y="%d">%s</text>`+"\n", x(i), linesBottom+24, html.EscapeString(step))
	}
	labels := p.labelHeights(y)
	for i, l := range p.lines {
		l.draw(&b, x, y, labels[i])
	}
	b.WriteString("</svg>\n")
	return b.String()
}

const lineStyle = `<style>
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 15px; font-weight: 600; }
.label { text-anchor: end; }
.step { text-anchor: middle; }
.grid { stroke: #d5d9dd; }
.line { fill: none; stroke: #6e9bd1; stroke-width: 2; }
.ours.line { stroke: #d1570d; stroke-width: 3; }
text.ours { font-weight: 600; }
@media (prefers-color-scheme: dark) {
text { fill: #d8dee4; }
.grid { stroke: #4b525a; }
.line { stroke: #5b8fcf; }
.ours.line { stroke: #f0883e; }
}
</style>
`

// bounds are the powers of ten below and above all values.
func (p linePlot) bounds() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, l := range p.lines {
		low = min(low, math.Floor(math.Log10(slices.Min(l.values))))
		high = max(high, math.Ceil(math.Log10(slices.Max(l.values))))
	}
	return low, max(high, low+1)
}

// labelHeights returns where the label of each line stands: at its end, and clear of the others'.
func (p linePlot) labelHeights(y func(float64) float64) []float64 {
	order := make([]int, len(p.lines))
	heights := make([]float64, len(p.lines))
	for i, l := range p.lines {
		order[i], heights[i] = i, y(l.values[len(l.values)-1])
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(heights[a], heights[b]) })
	for i := 1; i < len(order); i++ {
		heights[order[i]] = max(heights[order[i]], heights[order[i-1]]+labelHeight)
	}
	return heights
}

func (l line) draw(out *strings.Builder, x func(int) float64, y func(float64) float64, label float64) {
	kind := ""
	if l.ours {
		kind = "ours "
	}
	var path strings.Builder
	for i, value := range l.values {
		command := byte('L')
		if i == 0 {
			command = 'M'
		}
		fmt.Fprintf(&path, "%c%.1f %.1f", command, x(i), y(value))
	}
	last := len(l.values) - 1
	fmt.Fprintf(out, `<path class="%sline" d="%s"/>`+"\n", kind, path.String())
	fmt.Fprintf(out, `<text class="%sname" x="%.1f" y="%.1f">%s: %s … %s</text>`+"\n", kind, x(last)+10, label+4,
		html.EscapeString(l.label), number(l.values[0]), number(l.values[last]))
}
