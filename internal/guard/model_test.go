package guard

import (
	"fmt"
	"strings"
)

// The model is the guard's code cut into atomic steps: what one processor does that no other can divide. A step is a load
// or a compare-and-swap of life, or what happens between two of these while the lock is held. The explorer takes every
// order of the steps of all actors, and checks in each that the promises hold.

// bug is a way in which the guard could be wrong. The explorer must find each.
type bug uint8

const (
	sound bug = iota
	leaveIgnoresTaken
	leaveIgnoresTouched
	leaveIsNotAtomic
	leaveWaitsForNobody
	partsTooEarly
	closeIgnoresTouched
	closeIgnoresFrame
	closeIgnoresGeneration
	closeSwapsOnce
	closeTrustsItsFirstLook
	closeWaitsForTheFrame
	closeWaitsForNobody
	closeTakesNothing
	enterTouchesNothing
	enterIsNotAtomic
	enterLooksOnce
	enterIgnoresTurns
	enterIgnoresGeneration
	callTellsNobody
	callIgnoresInner
	releaseKeepsGeneration
	bugs
)

var bugTexts = [bugs]string{
	leaveIgnoresTaken:       "the frame leaves in one step a request that was closed",
	leaveIgnoresTouched:     "the frame leaves a session behind in one step, without paying",
	leaveIsNotAtomic:        "the frame stores the life that it has read a moment ago",
	leaveWaitsForNobody:     "the frame releases while a function runs inside",
	partsTooEarly:           "the frame gives up its hold before it has finished its business",
	closeIgnoresTouched:     "the request ends in one step what a handle has",
	closeIgnoresFrame:       "the request ends in one step what the frame has",
	closeIgnoresGeneration:  "a late Close ends whatever generation is there",
	closeSwapsOnce:          "Close gives up where its compare-and-swap is lost",
	closeTrustsItsFirstLook: "Close does not look again under the lock",
	closeWaitsForTheFrame:   "Close waits for a function that the frame runs",
	closeWaitsForNobody:     "Close releases while a function runs inside",
	closeTakesNothing:       "Close says only under the lock that the request is over",
	enterTouchesNothing:     "a handle does not note that it was used",
	enterIsNotAtomic:        "a handle stores the life that it has read a moment ago",
	enterLooksOnce:          "a handle does not look at the generation again where its compare-and-swap is lost",
	enterIgnoresTurns:       "a handle without the turn gets in while a function runs",
	enterIgnoresGeneration:  "a handle is good for ever",
	callTellsNobody:         "the end of a function wakes nobody",
	callIgnoresInner:        "a function's end does not wait for one that runs inside of it",
	releaseKeepsGeneration:  "the generation does not end",
}

func (b bug) String() string { return bugTexts[b] }

const nobody = int8(-1)

// world is the guard, the pool, and the actors. It is comparable: the explorer remembers which worlds it has seen.
type world struct {
	life        uint64
	mu          int8 // the actor that holds the lock
	turn, turns uint8
	truth
	actors [most]actor
}

type actor struct {
	op    uint8 // the place in the script
	at    uint8 // the step of that operation
	waits bool  // in the condition variable
	turn  uint8 // the one that its next Enter has
	calls [2]uint8
	outer [2]uint8
	life  uint64 // what the operation has read
	end   End
	ok    bool
	late  bool
}

// run is one exploration.
type run struct {
	world
	scripts []script
	bug     bug
	broken
}

func begin(scripts []script, touched bool, b bug) run {
	r := run{scripts: scripts, bug: b}
	r.mu = nobody
	r.life = generation
	r.begin(touched)
	return r
}

func gen(life uint64) Generation { return Generation(life / generation) }

func (r *run) begin(touched bool) {
	r.truth.begin(gen(r.life), touched)
	r.life = uint64(gen(r.life))*generation | frameBit | requestBit
	if touched {
		r.life |= touchedBit
	}
}

func (r *run) done(i int) bool { return int(r.actors[i].op) == len(r.scripts[i]) }

// step takes the next step of actor i. It reports false if that has to wait for another.
func (r *run) step(i int) bool {
	a := &r.actors[i]
	if a.waits {
		return false
	}
	switch o := r.scripts[i][a.op]; o.kind {
	case opLock:
		return r.lock(i, a, o)
	case opUnlock:
		r.truth.unlocked(i)
		r.mu = nobody
		r.next(a)
	case opEnter:
		return r.enter(i, a, o)
	case opGiven:
		from := &r.actors[o.from]
		if from.calls[0] == 0 && !r.done(o.from) {
			return false
		}
		a.turn = from.calls[max(r.depth[o.from], 1)-1]
		r.next(a)
	case opBegun:
		if r.begun < o.gen {
			return false
		}
		r.next(a)
	case opCall:
		r.turns++
		a.calls[r.depth[i]], a.outer[r.depth[i]] = r.turns, r.turn
		r.depth[i]++
		r.turn, a.turn, r.mu = r.turns, r.turns, nobody
		r.next(a)
	case opReturn:
		return r.return_(i, a)
	case opLeave:
		return r.leave(i, a, o)
	case opPart:
		r.part(a)
	case opClose:
		return r.close(i, a, o)
	case opTake:
		if !r.pooled {
			return false
		}
		r.begin(!o.idle)
		r.next(a)
	}
	return true
}

func (r *run) next(a *actor) { a.op, a.at, a.life = a.op+1, 0, 0 }

func (r *run) skip(a *actor, o op) { a.op, a.at, a.life = o.to, 0, 0 }

// acquire is mu.Lock and, if turns, await.
func (r *run) acquire(i int, a *actor, turns bool) bool {
	if r.mu != nobody {
		return false
	}
	if turns && r.turn != 0 {
		a.waits = true
		return true
	}
	r.mu = int8(i)
	a.at++
	return true
}

func (r *run) broadcast() {
	for i := range r.actors {
		r.actors[i].waits = false
	}
}

func (r *run) lock(i int, a *actor, o op) bool {
	if a.at == 0 && r.life&touchedBit == 0 {
		r.skip(a, o)
		return true
	}
	if !r.acquire(i, a, true) {
		return false
	}
	if a.at > 0 {
		r.next(a)
	}
	return true
}

func (r *run) enter(i int, a *actor, o op) bool {
	switch a.at {
	case 0:
		return r.acquire(i, a, false)
	case 1:
		if r.turn != 0 && r.turn != a.turn && gen(r.life) == o.gen && r.bug != enterIgnoresTurns {
			a.waits, a.at, r.mu = true, 0, nobody
			return true
		}
		a.at++
	case 2:
		a.life = r.life
		if gen(r.life) != o.gen && r.bug != enterIgnoresGeneration {
			r.mu, a.ok, a.late = nobody, false, false
			r.skip(a, o)
			return true
		}
		if a.at++; a.life&usedBit != 0 || r.bug == enterTouchesNothing {
			r.entered(i, a, o, false)
		}
	case 3:
		switch {
		case r.life == a.life || r.bug == enterIsNotAtomic || r.bug == enterLooksOnce && gen(a.life) == o.gen:
			late := a.life&frameBit == 0
			if r.bug == enterLooksOnce {
				a.life = r.life
			}
			r.life = a.life | touchedBit | usedBit
			r.entered(i, a, o, late)
		default:
			a.at = 2
		}
	}
	return true
}

// entered is where a handle has got in.
func (r *run) entered(i int, a *actor, o op, late bool) {
	r.truth.entered(&r.broken, i, o.gen, gen(r.life), r.turn == 0 || r.turn == a.turn, late)
	a.ok, a.late = true, late
	r.next(a)
}

func (r *run) return_(i int, a *actor) bool {
	if r.mu != nobody {
		return false
	}
	if r.turn != a.calls[r.depth[i]-1] && r.bug != callIgnoresInner {
		a.waits = true
		return true
	}
	r.depth[i]--
	r.mu, r.turn, a.turn = int8(i), a.outer[r.depth[i]], a.outer[r.depth[i]]
	if r.bug != callTellsNobody {
		r.broadcast()
	}
	r.next(a)
	return true
}

func (r *run) leave(i int, a *actor, o op) bool {
	switch a.at {
	case 0:
		a.life = r.life
		fast := a.life&(touchedBit|takenBit) == 0
		switch r.bug {
		case leaveIgnoresTaken:
			fast = a.life&touchedBit == 0
		case leaveIgnoresTouched:
			fast = a.life&takenBit == 0
		}
		if a.at = 2; fast {
			a.at = 1
		}
	case 1:
		if r.life != a.life && r.bug != leaveIsNotAtomic {
			a.at = 2
			break
		}
		r.truth.leftUntouched(&r.broken)
		r.life, a.end = a.life&^frameBit, Gone
		r.skip(a, o)
	case 2:
		return r.acquire(i, a, r.bug != leaveWaitsForNobody)
	case 3:
		if r.life&requestBit == 0 {
			r.last(a, true, gen(r.life))
			break
		}
		if a.end = Held; r.bug == partsTooEarly {
			r.life &^= frameBit
		}
		r.next(a)
	default:
		return r.release(a, o.to)
	}
	return true
}

func (r *run) part(a *actor) {
	switch {
	case a.at > 0:
		r.release(a, a.op+1)
	case r.life&requestBit == 0 && r.bug != partsTooEarly:
		r.life &^= frameBit
		r.last(a, true, gen(r.life))
	default:
		r.life &^= frameBit
		a.end, r.framed, r.mu = Gone, false, nobody
		r.next(a)
	}
}

func (r *run) close(i int, a *actor, o op) bool {
	switch a.at {
	case 0:
		a.life = r.life
		r.truth.closing(o.gen, gen(a.life))
		if gen(a.life) != o.gen && r.bug != closeIgnoresGeneration || a.life&requestBit == 0 {
			r.closed(a, o, Gone)
			break
		}
		busy := touchedBit | frameBit | takenBit
		switch r.bug {
		case closeIgnoresTouched:
			busy = frameBit | takenBit
		case closeIgnoresFrame:
			busy = touchedBit | takenBit
		}
		if a.at = 2; a.life&busy == 0 {
			a.at = 1
		}
	case 1:
		if a.at = 2; r.life == a.life {
			r.truth.over(&r.broken, false, o.gen, gen(r.life))
			r.life = uint64(gen(a.life)+1) * generation
			r.pooled = true
			r.closed(a, o, LastIdle)
		}
	case 2:
		switch {
		case r.bug == closeTakesNothing:
			a.at = 3
		case r.life == a.life:
			r.life |= takenBit
			a.at = 3
		case r.bug == closeSwapsOnce:
			r.closed(a, o, Gone)
		default:
			if a.life = r.life; gen(a.life) != o.gen && r.bug != closeIgnoresGeneration {
				r.closed(a, o, Gone)
			}
		}
	case 3: // The lock may be held for long.
		r.truth.waitsToClose(&r.broken, o.gen, r.life)
		return r.acquire(i, a, false)
	case 4:
		if r.bug == closeTakesNothing {
			r.life |= takenBit
		}
		if trusts := r.bug == closeTrustsItsFirstLook; !trusts && (gen(r.life) != o.gen && r.bug != closeIgnoresGeneration || r.life&requestBit == 0) {
			r.mu = nobody
			r.closed(a, o, Gone)
			break
		}
		a.at++
	case 5:
		r.life &^= requestBit
		a.at++
		if r.life&frameBit != 0 && r.bug != closeWaitsForTheFrame {
			r.mu = nobody
			r.closed(a, o, Gone)
		}
	case 6: // await
		switch {
		case r.turn != 0 && r.bug != closeWaitsForNobody:
			a.waits, a.at, r.mu = true, 7, nobody
		case r.life&frameBit != 0: // Only with closeWaitsForTheFrame.
			r.mu = nobody
			r.closed(a, o, Gone)
		default:
			r.last(a, false, o.gen)
		}
	case 7:
		if r.mu != nobody {
			return false
		}
		r.mu, a.at = int8(i), 6
	default:
		return r.release(a, a.op+1)
	}
	return true
}

// closed is the end of a Close.
func (r *run) closed(a *actor, o op, end End) {
	r.truth.closed(&r.broken, o.gen, r.life)
	a.end = end
	r.next(a)
}

// The steps of a release, behind those of the method that gave it to the actor.
const (
	releasing = 20 + iota
	unlocking
	pooling
)

// last is where an owner finds that it is the last.
func (r *run) last(a *actor, frame bool, g Generation) {
	a.end, a.at = Last, releasing
	r.truth.over(&r.broken, frame, g, gen(r.life))
}

func (r *run) release(a *actor, to uint8) bool {
	switch a.at {
	case releasing:
		if r.bug != releaseKeepsGeneration {
			r.life = uint64(gen(r.life)+1) * generation
		} else {
			r.life = uint64(gen(r.life)) * generation
		}
		a.at = unlocking
	case unlocking:
		r.mu, a.at = nobody, pooling
	case pooling:
		r.pooled = true
		a.op, a.at, a.life = to, 0, 0
	}
	return true
}

// finish checks what must hold when nobody can take a step any more.
func (r *run) finish() {
	for i := range r.scripts {
		if !r.done(i) {
			r.broken.is("actor %d waits for ever, in operation %d", i, r.actors[i].op)
		}
	}
	r.truth.finish(&r.broken)
	if r.mu != nobody || r.turn != 0 {
		r.broken.is("at the end the lock is held by actor %d, and turn %d runs", r.mu, r.turn)
	}
}

// explorer takes every order of the actors' steps.
type explorer struct {
	seen   map[world]bool
	path   []int
	orders int // how many worlds in which nobody can take a step
}

// explore returns the first promise that breaks, and the order in which it does.
func (e *explorer) explore(r run) broken {
	if e.seen[r.world] {
		return ""
	}
	e.seen[r.world] = true
	moved := false
	for i := range r.scripts {
		if r.done(i) {
			continue
		}
		next := r
		if !next.step(i) {
			continue
		}
		moved = true
		next.word(&next.broken, next.life)
		e.path = append(e.path, i)
		if next.broken == "" {
			next.broken = e.explore(next)
		} else {
			next.broken += broken("\n" + e.order())
		}
		if next.broken != "" {
			return next.broken
		}
		e.path = e.path[:len(e.path)-1]
	}
	if !moved {
		e.orders++
		if r.finish(); r.broken != "" {
			return r.broken + broken("\n"+e.order())
		}
	}
	return ""
}

func (e *explorer) order() string {
	return "in this order of the actors' steps: " + strings.Trim(fmt.Sprint(e.path), "[]")
}
