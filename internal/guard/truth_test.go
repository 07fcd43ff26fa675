package guard

import "fmt"

const (
	generations = 3 // the tests serve two requests, numbered from 1
	most        = 5 // actors
)

// truth is what the promises are about. Whoever explores keeps it, beside the words that the guard knows. It is comparable.
type truth struct {
	begun  Generation         // the last generation that began
	pooled bool               // the state is at rest
	framed bool               // the present generation's frame has not let go
	used   bool               // an id was presented, or a handle got in
	asked  [generations]bool  // Close was called
	ended  [generations]uint8 // how often a generation was released
	inside [most]bool         // a handle of this actor's has got in
	depth  [most]uint8        // how many of its calls run
}

// broken is the first promise that was not kept, empty as long as all are.
type broken string

func (b *broken) is(format string, args ...any) {
	if *b == "" {
		*b = broken(fmt.Sprintf(format, args...))
	}
}

func (w *truth) begin(g Generation, touched bool) {
	w.begun, w.framed, w.used, w.pooled = g, true, touched, false
}

// entered is where a handle of generation g got in, that is now, with the turn if there is one. Who uses a state first is told
// whether the frame has left.
func (w *truth) entered(b *broken, i int, g, now Generation, hasTurn, late bool) {
	switch {
	case now != g || w.pooled || w.ended[now] > 0:
		b.is("a handle of generation %d got into generation %d, at rest %v", g, now, w.pooled)
	case !hasTurn:
		b.is("a handle without the turn got in while a function of the application's ran")
	case !w.used && late == w.framed:
		b.is("the first use of a state: late %v, want %v", late, !w.framed)
	}
	w.used, w.inside[i] = true, true
}

func (w *truth) unlocked(i int) { w.inside[i] = w.inside[i] && w.depth[i] > 0 }

// leftUntouched is where the frame has gone and has nothing to do.
func (w *truth) leftUntouched(b *broken) {
	if w.used {
		b.is("the frame left a state that was used as if nobody had touched it")
	}
	w.framed = false
}

// closing is where Close of generation g begins.
func (w *truth) closing(g, now Generation) {
	if g == now && !w.pooled {
		w.asked[g] = true
	}
}

// waitsToClose is where Close of generation g asks for the lock, which may be held for long.
func (w *truth) waitsToClose(b *broken, g Generation, life uint64) {
	if gen(life) == g && life&requestBit != 0 && life&takenBit == 0 {
		b.is("a request that is over is not known to be")
	}
}

// closed is where Close of generation g returns.
func (w *truth) closed(b *broken, g Generation, life uint64) {
	if gen(life) == g && !w.pooled && life&takenBit == 0 {
		b.is("Close came back, and the request counts as not taken")
	}
}

// over is where an owner of generation g ends a generation, that is now.
func (w *truth) over(b *broken, frame bool, g, now Generation) {
	w.ended[now]++
	switch {
	case now != g:
		b.is("a Close of generation %d ended generation %d", g, now)
	case w.ended[g] != 1:
		b.is("generation %d was released %d times, want once", g, w.ended[g])
	case !frame && w.framed:
		b.is("a state was released that the frame has")
	case !w.asked[g]:
		b.is("a state was released that the request has")
	}
	for i := range w.depth {
		if w.depth[i] > 0 || w.inside[i] {
			b.is("a state was released that a handle or a function is at work in")
		}
	}
	w.framed = false
}

// word checks life, which may change at each step.
func (w *truth) word(b *broken, life uint64) {
	switch {
	case life&takenBit != 0 && !w.asked[gen(life)]:
		b.is("a request counts as taken that nobody has closed")
	case w.pooled && life%generation != 0:
		b.is("a state at rest has an owner or was used")
	}
}

// finish is where nobody can take a step any more.
func (w *truth) finish(b *broken) {
	if over := w.asked[w.begun] && !w.framed; over != (w.ended[w.begun] == 1) {
		b.is("generation %d: nobody has it any more: %v; released %d times", w.begun, over, w.ended[w.begun])
	}
}
