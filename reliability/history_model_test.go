package reliability

import (
	"fmt"
	"math"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// opKind is what was asked of a store.
type opKind uint8

const (
	opGet     opKind = iota // may be answered by the near cache
	opRefresh               // read past it
	opSet
	opDestroy
	opSwap // with old 0 a create, with next 0 a destroy, with old == next a renewal of the TTL
)

func (k opKind) String() string { return []string{"Get", "Refresh", "Set", "Destroy", "Swap"}[k] }

// outcome is what the caller was told.
type outcome uint8

const (
	done    outcome = iota
	lost            // Swap: something else is there
	unknown         // an error: a write may have happened, may still happen or never
)

// op is one operation on one key. Versions are numbers of which every write has its own; 0 is that there is nothing.
type op struct {
	node      int
	kind      opKind
	old, next int64 // Set writes next; Swap has both
	outcome   outcome
	seen      int64 // version that was there afterwards, as far as the caller was told
	call, ret int64 // nanoseconds since the histories began
}

// writes reports whether the operation may change what is there.
func (o *op) writes() bool {
	return o.kind == opSet || o.kind == opDestroy || o.kind == opSwap && o.old != o.next
}

// removes reports whether the operation is meant to leave nothing.
func (o *op) removes() bool { return o.writes() && o.next == 0 }

// history is what happened to one key.
type history struct {
	mu      sync.Mutex
	ops     []op
	checked int // operations but Get, which a search for an order has to place
	vague   int // removals of which nobody knows whether they happened: each one doubles that search
}

func (h *history) add(o op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, o)
	if o.kind != opGet {
		h.checked++
	}
	if o.outcome == unknown && o.removes() {
		h.vague++
	}
}

// full reports whether the history is as long as one that can be checked should be.
func (h *history) full() bool {
	const maxChecked, maxVague = 300, 6
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.checked >= maxChecked || h.vague >= maxVague
}

// register is a key as a single server would keep it: the specification. What the caller was told is part of the input.
var register = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, _ any) (bool, any) {
		there, o := state.(int64), input.(op)
		switch {
		case o.kind == opRefresh:
			return there == o.seen, there
		case o.kind == opSet, o.kind == opDestroy:
			return true, o.next
		case o.outcome == lost:
			return there == o.seen && there != o.old, there
		case there == o.old:
			return true, o.next
		default: // Of an unknown one that found something else nobody was told.
			return o.outcome == unknown, there
		}
	},
	DescribeOperation: func(input, _ any) string {
		o := input.(op)
		return fmt.Sprintf("%v at %d: %d to %d, %d there, outcome %d", o.kind, o.node, o.old, o.next, o.seen, o.outcome)
	},
}

// births returns for each version an instant by which it had been written: a write of it had returned, or somebody had
// seen it.
func births(ops []op) map[int64]int64 {
	by := map[int64]int64{}
	note := func(version, instant int64) {
		if first, ok := by[version]; version != 0 && (!ok || instant < first) {
			by[version] = instant
		}
	}
	for i := range ops {
		o := &ops[i]
		note(o.old, o.call)
		if o.outcome != unknown {
			note(o.seen, o.ret)
		}
	}
	return by
}

// linearizable looks for an order of all operations but Get, each somewhere between its call and its return, that a
// single server would have answered alike. An operation of unknown outcome may come at any time after its call, which
// is also how it never comes: after all others.
//
// To keep the search short, such an operation gets an earlier end, or is left out, where that is the same: what it
// wrote had been written when somebody saw it, for nobody else writes that; and what nobody saw had no effect on
// anybody, since every operation that is not blind names what it saw.
func linearizable(ops []op, patience time.Duration) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(register, toPlace(ops), patience)
}

// toPlace returns the operations that linearizable has to place.
func toPlace(ops []op) (placed []porcupine.Operation) {
	born := births(ops)
	for i, o := range ops {
		if o.kind == opGet {
			continue
		}
		if o.outcome == unknown {
			instant, seen := born[o.next]
			switch {
			case !o.writes(), o.next != 0 && !seen:
				continue
			case o.next == 0:
				o.ret = math.MaxInt64
			default:
				o.ret = max(o.call, instant)
			}
		}
		placed = append(placed, porcupine.Operation{ClientId: i, Input: o, Call: o.call, Return: o.ret})
	}
	return placed
}

// staleness looks for reads that break a promise of the cache, and describes what it finds:
//
//   - older than what was written or read on the same node before the read began;
//   - older than MaxStale: something newer had been written or read anywhere for longer than that.
//
// A version that had been written before another one was written, or before something else was found on the server, is
// dead then and stays so, for every write has a version of its own. And a read may find nothing only if somebody may
// have removed what was there.
func staleness(ops []op, maxStale time.Duration) (broken []string) {
	born, begun := births(ops), writeCalls(ops)
	for i := range ops {
		read := &ops[i]
		if read.kind != opGet || read.outcome == unknown {
			continue
		}
		var (
			newest *op
			since  int64 // from then on what newest saw was there, or something newer
		)
		for j := range ops {
			o := &ops[j]
			if o.outcome == unknown || o.seen == read.seen ||
				o.ret >= read.call-int64(maxStale) && !(o.node == read.node && o.ret < read.call) {
				continue
			}
			from := o.call
			if o.kind == opGet {
				from = begun[o.seen] // it may have been old itself
			}
			if newest == nil || from > since {
				newest, since = o, from
			}
		}
		if newest == nil || read.seen != 0 && born[read.seen] >= since || read.seen == 0 && removedBetween(ops, since, read.ret) {
			continue
		}
		whose := "on the same node"
		if newest.node != read.node {
			whose = "on another node"
		}
		broken = append(broken, fmt.Sprintf("a Get at node %d found what is older than a %v had left or found %s, %v before the Get began",
			read.node, newest.kind, whose, time.Duration(read.call-newest.ret)))
	}
	return broken
}

// writeCalls returns for each version when its write was called. Nothing, which is no version, has none.
func writeCalls(ops []op) map[int64]int64 {
	begun := map[int64]int64{}
	for i := range ops {
		if o := &ops[i]; o.next != 0 && o.writes() {
			begun[o.next] = o.call
		}
	}
	return begun
}

// removedBetween reports whether a removal may have happened between the two instants.
func removedBetween(ops []op, from, to int64) bool {
	for i := range ops {
		o := &ops[i]
		if o.removes() && o.outcome != lost && (o.ret > from || o.outcome == unknown) && o.call < to {
			return true
		}
	}
	return false
}

// findings are what the check of histories has found.
type findings struct {
	keys, ops, gets, unknown, unread, longest int
	broken                                    []string
}

// check checks every history, and returns what it found.
func check(t testing.TB, histories []*history, maxStale time.Duration) findings {
	t.Helper()
	return checkWithin(t, histories, maxStale, time.Minute)
}

// checkWithin is check that gives each history a time. One that cannot be judged in it counts as broken.
func checkWithin(t testing.TB, histories []*history, maxStale, patience time.Duration) (f findings) {
	t.Helper()
	const workers = 2
	var (
		mu  sync.Mutex
		all sync.WaitGroup
	)
	work := make(chan *history)
	for range workers {
		all.Go(func() {
			for h := range work {
				broken := staleness(h.ops, maxStale)
				switch linearizable(h.ops, patience) {
				case porcupine.Ok:
				case porcupine.Unknown:
					broken = append(broken, fmt.Sprintf("got no verdict on a history of %d operations within %v", h.checked, patience))
				default:
					broken = append(broken, "got a history that no single server answers"+picture(h.ops, patience))
				}
				mu.Lock()
				f.broken = append(f.broken, broken...)
				mu.Unlock()
			}
		})
	}
	for _, h := range histories {
		f.keys++
		f.longest = max(f.longest, h.checked)
		for i := range h.ops {
			f.ops++
			o := &h.ops[i]
			switch {
			case o.outcome == unknown && o.writes():
				f.unknown++
			case o.outcome == unknown:
				f.unread++
			case o.kind == opGet:
				f.gets++
			}
		}
		work <- h
	}
	close(work)
	all.Wait()
	return f
}

// picture draws a history that has no order, if the variable SESS_HISTORY_PICTURES names a directory, and says where.
func picture(ops []op, patience time.Duration) string {
	dir := os.Getenv("SESS_HISTORY_PICTURES")
	if dir == "" {
		return "; set SESS_HISTORY_PICTURES to a directory to see it"
	}
	file, err := os.CreateTemp(dir, "history-*.html")
	if err != nil {
		return ": " + err.Error()
	}
	defer file.Close()
	_, info := porcupine.CheckOperationsVerbose(register, toPlace(ops), patience)
	if err := porcupine.Visualize(register, info, file); err != nil {
		return ": " + err.Error()
	}
	return ": " + file.Name()
}
