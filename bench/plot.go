package main

import (
	"fmt"
	"html"
	"strings"
)

// A plot is a chart of horizontal bars.
type plot struct {
	title string
	unit  string
	parts []string // what a bar's segments are, if there is more than one
	bars  []bar
}

// A bar is one contestant: one segment or two, laid end to end.
type bar struct {
	label string
	ours  bool // drawn in the colour that stands out
	bare  bool // drawn in grey: a framework without sessions
	parts []float64
	note  string // stands behind the bar's number
}

func (b bar) total() float64 {
	sum := 0.0
	for _, p := range b.parts {
		sum += p
	}
	return sum
}

func (p plot) caption() string { return p.title }

func (p plot) empty() bool { return len(p.bars) == 0 }

func (c described) bar(parts ...float64) bar {
	return bar{label: c.Name, ours: c.ours(), bare: c.ID == c.Bare, parts: parts}
}

// The plot's measures, in the SVG's units; a viewer scales them.
const (
	plotWidth   = 860
	labelWidth  = 250
	valueWidth  = 150
	barHeight   = 18
	barDistance = 26
	plotTop     = 56
	plotBottom  = 14
)

// svg draws p. The colours follow the reader's light or dark scheme.
func (p plot) svg() string {
	var b strings.Builder
	height := plotTop + barDistance*len(p.bars) + plotBottom
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n",
		plotWidth, height, html.EscapeString(p.title))
	b.WriteString(plotStyle)
	fmt.Fprintf(&b, `<text class="title" x="8" y="22">%s (%s)</text>`+"\n", html.EscapeString(p.title), html.EscapeString(p.unit))
	p.legend(&b)

	most := 0.0
	for _, bar := range p.bars {
		most = max(most, bar.total())
	}
	if most == 0 {
		most = 1
	}
	scale := float64(plotWidth-labelWidth-valueWidth) / most
	for i, bar := range p.bars {
		bar.draw(&b, plotTop+i*barDistance, scale)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

const plotStyle = `<style>
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 15px; font-weight: 600; }
.label { text-anchor: end; }
.a { fill: #6e9bd1; } .b { fill: #c9d9ee; }
.ours.a { fill: #d1570d; } .ours.b { fill: #f2c4a4; }
.bare.a { fill: #9aa1a9; } .bare.b { fill: #d5d9dd; }
@media (prefers-color-scheme: dark) {
text { fill: #d8dee4; }
.a { fill: #5b8fcf; } .b { fill: #33557f; }
.ours.a { fill: #f0883e; } .ours.b { fill: #8a4a1c; }
.bare.a { fill: #7d858e; } .bare.b { fill: #4b525a; }
}
</style>
`

// legend names the segments, if some bar has a second one.
func (p plot) legend(b *strings.Builder) {
	if len(p.parts) < 2 {
		return
	}
	for i, part := range p.parts {
		x := labelWidth + 120*i
		fmt.Fprintf(b, `<rect class="%c" x="%d" y="33" width="12" height="12" rx="2"/><text x="%d" y="44">%s</text>`+"\n",
			'a'+i, x, x+18, html.EscapeString(part))
	}
}

func (b bar) draw(out *strings.Builder, y int, scale float64) {
	kind := ""
	switch {
	case b.ours:
		kind = "ours "
	case b.bare:
		kind = "bare "
	}
	fmt.Fprintf(out, `<text class="label" x="%d" y="%d">%s</text>`+"\n", labelWidth-8, y+barHeight-4, html.EscapeString(b.label))
	x := float64(labelWidth)
	for i, part := range b.parts {
		if part <= 0 {
			continue
		}
		fmt.Fprintf(out, `<rect class="%s%c" x="%.1f" y="%d" width="%.1f" height="%d"/>`+"\n", kind, 'a'+i, x, y, part*scale, barHeight)
		x += part * scale
	}
	fmt.Fprintf(out, `<text x="%.1f" y="%d">%s</text>`+"\n", x+6, y+barHeight-4, number(b.total())+html.EscapeString(b.note))
}
