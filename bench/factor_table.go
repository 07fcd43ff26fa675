package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// factorTable writes a line for each figure of each row.
func factorTable(rows []measuredRow, builds []build) string {
	var b strings.Builder
	if len(builds) == 1 {
		row(&b, "row", "figure", "now", "wanted", "holds")
		row(&b, "---", "---", "--:", "--:", "---")
	} else {
		row(&b, "row", "figure", builds[1].name, "now", "now / "+builds[1].name, "wanted", "wanted as a factor", "holds")
		row(&b, "---", "---", "--:", "--:", "--:", "--:", "--:", "---")
	}
	for _, m := range rows {
		title := m.row.title
		for i := range m.row.figures {
			row(&b, append([]string{title}, m.cells(i, builds)...)...)
			title = ""
		}
	}
	return b.String()
}

// cells are the figure's part of a line of the table.
func (m measuredRow) cells(i int, builds []build) []string {
	f := m.row.figures[i]
	now := median(m.values[builds[0].name][i])
	if len(builds) == 1 {
		return []string{f.name, number(now), f.wanted(), f.verdict(now, 0, m.best(i))}
	}
	base := median(m.values[builds[1].name][i])
	ratios := quotients(m.values[builds[0].name][i], m.values[builds[1].name][i])
	factor, spread := median(ratios), ""
	if len(ratios) > 0 {
		low, high := interval(ratios)
		spread = fmt.Sprintf("%.2f (%.2f–%.2f)", factor, low, high)
	}
	return []string{f.name, number(base), number(now), spread, f.wanted(), f.wantedFactor(), f.verdict(now, factor, m.best(i))}
}

// A best is the rival with the best median of a figure.
type best struct {
	rival string // empty: the row has none
	value float64
}

// best looks for the rival that takes least, or does most.
func (m measuredRow) best(i int) best {
	var found best
	more := m.row.figures[i].more
	for rival, values := range m.rivals {
		if len(values[i]) == 0 {
			continue
		}
		v := median(values[i])
		if found.rival == "" || more && v > found.value || !more && v < found.value {
			found = best{rival, v}
		}
	}
	return found
}

// wanted is what the figure must be, in words.
func (b bound) wanted() string {
	switch b.kind {
	case atMostKind:
		return "≤ " + number(b.want)
	case atLeastKind:
		return "≥ " + number(b.want)
	case notBehindKind:
		return "not behind"
	}
	return ""
}

// wantedFactor is what the figure must be as a factor to the older build's, if that was known when the bound was made.
func (b bound) wantedFactor() string {
	if b.today == 0 {
		return ""
	}
	sign := "≤ "
	if b.kind == atLeastKind {
		sign = "≥ "
	}
	return fmt.Sprintf("%s%.2f", sign, b.want/b.today)
}

// verdict says whether the bound holds: as a figure, which depends on the machine, and as a factor to the other build,
// which does not. factor is 0 if there is none.
func (f figure) verdict(now, factor float64, rival best) string {
	switch f.kind {
	case reportOnly:
		return ""
	case notBehindKind:
		if f.more && now >= rival.value || !f.more && now <= rival.value {
			return fmt.Sprintf("yes; %s: %s", rival.rival, number(rival.value))
		}
		return fmt.Sprintf("**no**; %s: %s", rival.rival, number(rival.value))
	}
	within := func(got, want float64) bool {
		if f.more {
			return got >= want
		}
		return got <= want
	}
	asFigure := within(now, f.want)
	if f.today == 0 || factor == 0 {
		return map[bool]string{true: "yes", false: "**no**"}[asFigure]
	}
	switch asFactor := within(factor, f.want/f.today); {
	case asFigure && asFactor:
		return "yes"
	case asFactor:
		return "as a factor"
	case asFigure:
		return "as a figure"
	}
	return "**no**"
}

// quotients divides round by round; rounds in which the divisor is not above 0 say nothing.
func quotients(a, b []float64) []float64 {
	var all []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			all = append(all, a[i]/b[i])
		}
	}
	return all
}

// interval is where the median of many more such values would lie, in 19 of 20 runs: between the values that as many
// ranks from the middle as such a median strays.
func interval(values []float64) (low, high float64) {
	n := float64(len(values))
	half := 0.98 / math.Sqrt(n)
	return quantile(values, max(0, 0.5-half)), quantile(values, min(1, 0.5+half))
}

// quantile returns the value below which the fraction q of the values lies; 0 of none.
func quantile[T cmp.Ordered](values []T, q float64) T {
	if len(values) == 0 {
		var zero T
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(math.Round(q*float64(len(sorted)-1)))]
}
