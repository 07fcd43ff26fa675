package main

import (
	"fmt"
	"strings"
)

// A cheaper is one row of the tables in which a rival takes less than sess does with the same kind of store.
type cheaper struct {
	row, rival, takes, ours, lacks string
}

// margin is the share of sess' whole figure by which a rival must be below it: rows differ by that from run to run.
const margin = 0.05

// cheaperRows finds every row in which a rival takes less. The page shows them with what the rival leaves out; an
// unexplained one is a defect of sess.
func (r *results) cheaperRows() []cheaper {
	var rows []cheaper
	for _, rival := range r.Contestants {
		ours, ok := r.ourCounterpart(rival)
		if !ok {
			continue
		}
		rows = append(rows, r.cheaperInProcess(rival, ours)...)
		rows = append(rows, r.cheaperEndToEnd(rival, ours)...)
		rows = append(rows, r.cheaperResident(rival, ours)...)
	}
	return rows
}

// ourCounterpart is sess with the kind of store that rival has, and under the same framework where that was measured.
func (r *results) ourCounterpart(rival described) (described, bool) {
	if rival.ours() || rival.ID == rival.Bare {
		return described{}, false
	}
	for _, sameBare := range []bool{true, false} {
		for _, c := range r.Contestants {
			if c.ours() && c.Redis == rival.Redis && (c.Bare == rival.Bare || !sameBare) {
				return c, true
			}
		}
	}
	return described{}, false
}

// ours reports whether c is sess.
func (c described) ours() bool { return strings.HasPrefix(c.ID, "sess-") }

// cheaperInProcess compares what each adds to its bare framework.
func (r *results) cheaperInProcess(rival, ours described) []cheaper {
	var rows []cheaper
	for _, w := range microWorkloads() {
		theirs, ok := r.micro(rival.ID, w)
		mine, ok2 := r.micro(ours.ID, w)
		theirBare, _ := r.micro(rival.Bare, w)
		myBare, _ := r.micro(ours.Bare, w)
		if !ok || !ok2 {
			continue
		}
		over, myOver := theirs.CPUNanos-theirBare.CPUNanos, mine.CPUNanos-myBare.CPUNanos
		if myOver-over > margin*mine.CPUNanos {
			rows = append(rows, cheaper{w.id + " in process", rival.Name, number(over) + " ns", number(myOver) + " ns", rival.leavesOut(w, theirs.Lost)})
		}
	}
	return rows
}

// cheaperEndToEnd compares the CPU time of server and Redis: above the bare framework's, and on a shared session, where
// frameworks are not measured, all of it.
func (r *results) cheaperEndToEnd(rival, ours described) []cheaper {
	var rows []cheaper
	for _, w := range endToEndWorkloads() {
		theirs, ok := r.endToEnd(rival.ID, w)
		mine, ok2 := r.endToEnd(ours.ID, w)
		if !ok || !ok2 {
			continue
		}
		takes, myTakes := theirs.ServerCPU+theirs.RedisCPU, mine.ServerCPU+mine.RedisCPU
		whole := myTakes
		if !w.shared {
			theirBare, _ := r.endToEnd(rival.Bare, w)
			myBare, _ := r.endToEnd(ours.Bare, w)
			takes, myTakes = takes-theirBare.ServerCPU, myTakes-myBare.ServerCPU
		}
		if myTakes-takes > margin*whole {
			rows = append(rows, cheaper{w.id + " end to end", rival.Name, number(takes) + " µs", number(myTakes) + " µs", rival.leavesOut(w, theirs.lost())})
		}
	}
	return rows
}

// cheaperResident compares the memory of a session, and reading one of many.
func (r *results) cheaperResident(rival, ours described) []cheaper {
	theirs, ok := r.residentOf(rival.ID)
	mine, ok2 := r.residentOf(ours.ID)
	if !ok || !ok2 {
		return nil
	}
	var rows []cheaper
	if mine.HeapPerSession-theirs.HeapPerSession > margin*mine.HeapPerSession {
		rows = append(rows, cheaper{"W5, live heap", rival.Name, number(theirs.HeapPerSession) + " B", number(mine.HeapPerSession) + " B", rival.leavesOut(workload{}, 0)})
	}
	over, myOver := theirs.ReadNanos-theirs.BareReadNanos, mine.ReadNanos-mine.BareReadNanos
	if theirs.ReadNanos > 0 && myOver-over > margin*mine.ReadNanos {
		rows = append(rows, cheaper{"W5, read", rival.Name, number(over) + " ns", number(myOver) + " ns", rival.leavesOut(workload{}, 0)})
	}
	return rows
}

// leavesOut is what c leaves out in w, and first of all the updates that it lost there. That it has no middleware
// matters where the session is left alone.
func (c described) leavesOut(w workload, lost float64) string {
	var words []string
	if lost >= 0.001 {
		words = append(words, fmt.Sprintf("**%.0f %% of the updates**", lost*100))
	}
	for _, word := range c.Lacks {
		if word != noMiddleware || w.path == anonymous.path {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

// cheaperTable writes the rows in which a rival takes less.
func (r *results) cheaperTable(b *strings.Builder) {
	rows := r.cheaperRows()
	fmt.Fprint(b, "\n### Where a rival takes less\n\n")
	if len(rows) == 0 {
		fmt.Fprintf(b, "In no row does a rival take less than `sess` with the same kind of store, by more than %.0f %% of `sess`' whole figure.\n", margin*100)
		return
	}
	fmt.Fprintf(b, "Every row in which a rival takes less CPU time or memory than `sess` with the same kind of store, by more than %.0f %% of `sess`'\n"+
		"whole figure. CPU time is above that of the bare framework; on a shared session it is that of server and Redis. What a rival leaves out:\n"+
		"*middleware*: a request that asks for no session pays nothing, and one that changes it must save by itself; *signature*: any id is\n"+
		"looked up; *merge*: of parallel requests that write, the last one overwrites the others; *refusal*: an id that a client made up becomes a\n"+
		"session; *end*: sessions are kept for ever; *isolation*: all requests hold one object, so it works within one process alone.\n\n", margin*100)
	row(b, "row", "rival", "takes", "sess takes", "what the rival leaves out")
	row(b, "---", "---", "--:", "--:", "---")
	for _, c := range rows {
		row(b, c.row, c.rival, c.takes, c.ours, c.lacks)
	}
}
