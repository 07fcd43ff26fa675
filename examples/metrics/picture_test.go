package main

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"
)

// event is what was done to the site, and when.
type event struct {
	at   time.Duration
	what string
}

// drawn is a panel and what it shows.
type drawn struct {
	panel
	curves []curve
}

// The measures of the picture, in the SVG's units.
const (
	column   = 40 // of the dashboard's 24
	rowUnit  = 25 // of the dashboard's rows
	plotLeft = 46 // of a panel
	plotTop  = 30 // below its title
	below    = 38 // for the legend
	headline = 60 // above all
)

var colours = []string{"#3274d9", "#d1570d", "#37872d", "#a352cc", "#8f8f8f"}

// draw is the picture of a run as an SVG. The colours follow the reader's light or dark scheme.
func draw(all []drawn, events []event, length time.Duration) string {
	var kept []drawn
	height := 0
	for _, d := range all {
		if len(d.curves) > 0 {
			kept = append(kept, d)
			height = max(height, headline+rowUnit*(d.GridPos.Y+d.GridPos.H))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="The dashboard of a run with faults">`+"\n", 24*column, height+6)
	b.WriteString(style)
	b.WriteString(`<text class="title" x="8" y="18">The dashboard of a run: three nodes, twelve users</text>` + "\n")
	for i, e := range events {
		fmt.Fprintf(&b, `<text x="%d" y="40"><tspan class="mark">%d</tspan> %s, second %.0f</text>`+"\n",
			8+240*i, i+1, html.EscapeString(e.what), e.at.Seconds())
	}
	for _, d := range kept {
		d.draw(&b, events, length)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

const style = `<style>
text { font: 11px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 13px; font-weight: 600; }
.mark { font-weight: 600; fill: #c4162a; }
.axis { text-anchor: end; }
.box { fill: none; stroke: #d5d9dd; }
.grid { stroke: #d5d9dd; stroke-width: .6; }
.event { stroke: #c4162a; stroke-width: .8; stroke-dasharray: 3 3; }
.line { fill: none; stroke-width: 1.4; stroke-linejoin: round; }
@media (prefers-color-scheme: dark) {
text { fill: #d8dee4; }
.box, .grid { stroke: #4b525a; }
.mark { fill: #ff7383; }
.event { stroke: #ff7383; }
}
</style>
`

func (d drawn) draw(b *strings.Builder, events []event, length time.Duration) {
	left, top := d.GridPos.X*column, headline+(d.GridPos.Y-1)*rowUnit
	width, height := d.GridPos.W*column-8, d.GridPos.H*rowUnit-8
	fmt.Fprintf(b, `<rect class="box" x="%d" y="%d" width="%d" height="%d" rx="3"/><text class="title" x="%d" y="%d">%s</text>`+"\n",
		left, top, width, height, left+8, top+18, html.EscapeString(d.Title))
	most := 0.0
	for _, c := range d.curves {
		for _, v := range c.values {
			if !math.IsNaN(v) {
				most = max(most, v)
			}
		}
	}
	most = round(most)
	bottom, right := float64(top+height-below), float64(left+width-10)
	x := func(second float64) float64 {
		return float64(left+plotLeft) + (right-float64(left+plotLeft))*second/length.Seconds()
	}
	y := func(v float64) float64 { return bottom - (bottom-float64(top+plotTop))*v/most }
	for _, part := range []float64{0, .5, 1} {
		at := y(part * most)
		fmt.Fprintf(b, `<path class="grid" d="M%d %.1fH%.0f"/><text class="axis" x="%d" y="%.1f">%s</text>`+"\n",
			left+plotLeft, at, right, left+plotLeft-4, at+4, figure(part*most, d.FieldConfig.Defaults.Unit))
	}
	for i, e := range events {
		at := x(e.at.Seconds())
		fmt.Fprintf(b, `<path class="event" d="M%.1f %.1fV%d"/><text class="mark" x="%.1f" y="%.1f">%d</text>`+"\n", at, bottom, top+plotTop, at-3, bottom+11, i+1)
	}
	next := float64(left + 10)
	for i, c := range d.curves {
		colour := colours[i%len(colours)]
		fmt.Fprintf(b, `<path class="line" stroke="%s" d="%s"/>`, colour, c.path(x, y))
		fmt.Fprintf(b, `<text style="fill:%s" x="%.0f" y="%d">%s</text>`+"\n", colour, next, top+height-8, html.EscapeString(c.label))
		next += 6.2*float64(len(c.label)) + 14
	}
}

// path is the line of c. What lies on a level stretch is left out.
func (c curve) path(x, y func(float64) float64) string {
	var b strings.Builder
	before, level := math.NaN(), false
	for i, v := range c.values {
		switch {
		case math.IsNaN(v):
		case math.IsNaN(before):
			fmt.Fprintf(&b, "M%.0f %.1f", x(float64(i)), y(v))
		case v == before && i+1 < len(c.values) && c.values[i+1] == v:
			level = true
			continue
		default:
			if level && v != before {
				fmt.Fprintf(&b, "H%.0f", x(float64(i-1)))
			}
			fmt.Fprintf(&b, "L%.0f %.1f", x(float64(i)), y(v))
		}
		before, level = v, false
	}
	return b.String()
}

// round is the next number above v whose half is short too.
func round(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 4, 6, 8} {
		if v <= step*power {
			return step * power
		}
	}
	return 10 * power
}

func figure(v float64, unit string) string {
	switch {
	case unit == "percentunit":
		return fmt.Sprintf("%.0f %%", 100*v)
	case unit == "bytes" && v >= 1000:
		return fmt.Sprintf("%.3g kB", v/1000)
	case unit == "bytes":
		return fmt.Sprintf("%.3g B", v)
	case unit == "s" && v >= 1:
		return fmt.Sprintf("%.3g s", v)
	case unit == "s":
		return fmt.Sprintf("%.3g ms", 1000*v)
	case unit == "ops":
		return fmt.Sprintf("%.3g/s", v)
	}
	return fmt.Sprintf("%.3g", v)
}
