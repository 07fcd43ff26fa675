package guard

// scenarios are what the actors do. The first one is the frame of the request that is there at the beginning.
var scenarios = []struct {
	what   string
	actors []script
}{
	{"a request and a copy of it, closed twice", []script{
		leave(), join(closing(1), closing(1)), closing(1),
	}},
	{"two handles", []script{
		leave(), closing(1), enter(1), enter(1),
	}},
	{"the commit waits for a function of a handle's", []script{
		join(locked(call()), leave()), closing(1), enter(1, call(enter(1))), enter(1),
	}},
	{"a function resets the request", []script{
		join(locked(call(closing(1))), leave()), enter(1), closing(1),
	}},
	{"a function that pays resets the request", []script{
		leave(call(closing(1))), enter(1), closing(1),
	}},
	{"a function outlives the frame", []script{
		leave(), closing(1), enter(1, call(enter(1))),
	}},
	{"a function starts a goroutine", []script{
		leave(), closing(1), enter(1, call()), join(given(2), enter(1)),
	}},
	{"a function starts a goroutine that runs another", []script{
		leave(), closing(1), enter(1, call(enter(1))), join(given(2), enter(1, call())),
	}},
	{"a function inside of a function", []script{
		join(locked(call(enter(1, call()))), leave()), closing(1), enter(1),
	}},
	{"the next request", []script{
		leave(), join(closing(1), closing(1)), enter(1), join(take(), leave(), closing(2)),
	}},
	{"the next request, which presents nothing", []script{
		leave(), closing(1), join(closing(1), enter(1)), join(takeIdle(), leave(), closing(2)),
	}},
	{"the next request, whose copy closes late", []script{
		leave(), closing(1), closing(1), join(take(), leave(), closing(2)),
	}},
	{"the next request, and a handle of each", []script{
		leave(), closing(1), enter(1), join(take(), locked(call()), leave(), closing(2)), join(begun(2), enter(2)),
	}},
}

// op is one call of a method.
type op struct {
	kind kind
	gen  Generation // of Enter and Close
	from int        // of given: the actor whose turn it is
	idle bool
	to   uint8 // where the script goes on if there is nothing more to do in between
}

type kind uint8

const (
	opLock   kind = iota // the frame's: it does so only if the state was touched
	opUnlock             //
	opEnter              // with the turn of the actor's own call, or that it was given
	opGiven              // waits for another actor's call and takes its turn, as a goroutine does that a function started
	opBegun              // waits for the generation
	opCall               // begins a call; what follows, until opReturn, is its function
	opReturn             //
	opLeave              //
	opPart               //
	opClose              //
	opTake               // takes the state from the pool for a request that presents an id, or nothing: idle
)

type script []op

// The scripts' building blocks. One that may find nothing to do jumps behind what stands inside of it.
func join(parts ...script) (all script) {
	for _, p := range parts {
		base := uint8(len(all))
		for _, o := range p {
			o.to += base
			all = append(all, o)
		}
	}
	return all
}

func around(first op, last kind, body []script) script {
	inner := join(body...)
	first.to = uint8(len(inner) + 2)
	for i := range inner {
		inner[i].to++
	}
	return append(append(script{first}, inner...), op{kind: last})
}

func locked(body ...script) script { return around(op{kind: opLock}, opUnlock, body) }
func enter(gen Generation, body ...script) script {
	return around(op{kind: opEnter, gen: gen}, opUnlock, body)
}
func call(body ...script) script      { return around(op{kind: opCall}, opReturn, body) }
func leave(business ...script) script { return around(op{kind: opLeave}, opPart, business) }
func given(from int) script           { return script{{kind: opGiven, from: from}} }
func begun(gen Generation) script     { return script{{kind: opBegun, gen: gen}} }
func takeIdle() script                { return script{{kind: opTake, idle: true}} }
func take() script                    { return script{{kind: opTake}} }
func closing(gen Generation) script   { return script{{kind: opClose, gen: gen}} }
