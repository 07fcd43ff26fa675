// Package guard says who has the pooled state of a request, who may use it, and when it may serve the next request.
//
// Three actors have to do with a state:
//
//   - The frame is the middleware's function around the handler. It begins with Begin and ends with Leave, or with Part
//     where Leave has found something to do.
//   - The request is fasthttp's. It ends when fasthttp resets the RequestCtx, which calls Close: after the body stream or
//     the hijacked connection, so it can end long after the frame, or before it, when a timeout takes the request away.
//   - A handle is whatever a goroutine of the handler's holds. It is good for one generation, and checks that in Enter.
//
// The frame and the request own the state. The last of them to go releases it, which ends the generation: every handle of
// it is inert from then on. The table says what each step finds and does; "frame" and "request" are who still has the state.
//
//	step      frame+request            frame only               request only            nobody
//	Leave     request only             released                 -                       -
//	Close     frame only, taken        nothing                  released                nothing
//	Enter     locks                    locks                    locks                   refused
//	Call      others wait              others wait              others wait             -
//
// A state that nobody has touched changes hands by a compare-and-swap of one word, without the lock. Everything else
// happens under the lock, so a release never overtakes a handle that is at work.
package guard

import (
	"sync"
	"sync/atomic"
)

// Guard guards one pooled state. The zero Guard is not usable: call Init before the state goes into its pool.
type Guard struct {
	mu    sync.Mutex
	life  atomic.Uint64 // the generation, and below it the bits
	turn  atomic.Uint64 // of the application's function that runs now; 0: none. Written under the lock
	turns Turn          // the last turn given out
	idle  sync.Cond     // signalled when a function has returned
}

// Generation numbers the requests that a state has served, from 1 on. A handle of generation 0 is the zero handle.
type Generation uint64

// Turn lets the handle that a function of the application's was given through, while all others wait. 0 is no turn.
type Turn uint64

// The bits of a life.
const (
	frameBit   uint64 = 1 << iota // the frame has the state
	requestBit                    // the request has the state
	takenBit                      // Close was called. Set before the lock is taken, which a load may hold for a StoreTimeout
	touchedBit                    // an id was presented, or a handle was used: only the lock's holder may release now
	usedBit                       // a handle was used
	generation
)

// Init makes g ready, at rest.
func (g *Guard) Init() {
	g.life.Store(generation)
	g.idle.L = &g.mu
}

// Begin gives the state, which is at rest, to the frame and the request of a new generation. touched says that a session
// was presented.
func (g *Guard) Begin(touched bool) {
	life := uint64(g.Generation())*generation | frameBit | requestBit
	if touched {
		life |= touchedBit
	}
	g.life.Store(life)
}

// Generation returns the present generation.
func (g *Guard) Generation() Generation { return Generation(g.life.Load() / generation) }

// Framed reports whether the frame of generation gen has the state.
func (g *Guard) Framed(gen Generation) bool {
	life := g.life.Load()
	return Generation(life/generation) == gen && life&frameBit != 0
}

// Taken reports whether the request is over, be it that the frame still runs.
func (g *Guard) Taken() bool { return g.life.Load()&takenBit != 0 }

// Outlived reports whether the frame has the state and the request has not: the request was reset under its handler.
func (g *Guard) Outlived() bool { return g.life.Load()&(requestBit|frameBit) == frameBit }

// Touched reports whether there was anything for a session in this request.
func (g *Guard) Touched() bool { return g.life.Load()&touchedBit != 0 }

// Used reports whether a handle was used.
func (g *Guard) Used() bool { return g.life.Load()&usedBit != 0 }

// Lock takes the lock when no function of the application's runs inside.
func (g *Guard) Lock() {
	g.mu.Lock()
	g.await()
}

// Unlock releases the lock.
func (g *Guard) Unlock() { g.mu.Unlock() }

// await waits, with the lock held, for a function of the application's to return.
func (g *Guard) await() {
	for g.turn.Load() != 0 {
		g.idle.Wait()
	}
}

// Enter takes the lock for a handle of generation gen with the given turn. It reports false, with nothing locked, if the
// generation is over. late says that the frame has left a state that nobody had used before.
func (g *Guard) Enter(gen Generation, turn Turn) (late, ok bool) {
	g.mu.Lock()
	for now := g.Turn(); now != 0 && now != turn && g.Generation() == gen; now = g.Turn() {
		g.idle.Wait()
	}
	for {
		life := g.life.Load()
		switch {
		case Generation(life/generation) != gen:
			g.mu.Unlock()
			return false, false
		case life&usedBit != 0:
			return false, true
		case g.life.CompareAndSwap(life, life|touchedBit|usedBit):
			return life&frameBit == 0, true
		}
	}
}

// Turn returns the turn of the application's function that runs now, 0 if there is none. A handle that is made now gets
// it, so that the function may ask for one: it would wait for itself without.
func (g *Guard) Turn() Turn { return Turn(g.turn.Load()) }

// Call runs f, a function of the application's, with a turn of its own. It is called with the lock held, which it lets go
// of meanwhile: only handles with that turn get in until f has returned, so nobody sees the state half-way. A Call of one
// of those handles runs inside of this one, which waits for it, also where a goroutine makes it that f has started.
//
// While the frame has the state, f may reset the request. Behind the frame it must not: Close waits for f there.
func (g *Guard) Call(f func(Turn)) {
	g.turns++
	turn, outer := g.turns, g.turn.Load()
	g.turn.Store(uint64(turn))
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		for g.Turn() != turn {
			g.idle.Wait()
		}
		g.turn.Store(outer)
		g.idle.Broadcast()
	}()
	f(turn)
}

// End is how an owner has let go of a state.
type End uint8

const (
	Gone     End = iota // nothing is left to do: the other owner has the state, or it was no owner's call. Nothing is locked
	Held                // by Leave: the request goes on. The lock is held: finish the frame's business, then Part
	Last                // nobody else has the state. The lock is held: empty the state, then Release and put it back
	LastIdle            // nobody else has the state and nobody has touched it; its generation is over. Put it back
)

// Leave ends the frame's hold, at once or, where it returns Held, with Part.
func (g *Guard) Leave() End {
	life := g.life.Load()
	if life&(touchedBit|takenBit) == 0 && g.life.CompareAndSwap(life, life&^frameBit) {
		return Gone
	}
	g.Lock()
	if g.life.Load()&requestBit == 0 {
		return Last
	}
	return Held
}

// Part ends the frame's hold where Leave has returned Held. Until then the frame has the state, so a function that it runs
// may still reset the request. It returns Last if one has done so, else Gone.
func (g *Guard) Part() End {
	if g.life.And(^frameBit)&requestBit == 0 {
		return Last
	}
	g.mu.Unlock()
	return Gone
}

// Close ends the request's hold, if generation gen is not over: it may come late, or twice, from a copy of the user
// values of a request. Where the frame still runs, the request was taken from under its handler.
func (g *Guard) Close(gen Generation) End {
	life := g.life.Load()
	if Generation(life/generation) != gen || life&requestBit == 0 {
		return Gone
	}
	if life&(touchedBit|frameBit|takenBit) == 0 && g.life.CompareAndSwap(life, uint64(gen+1)*generation) {
		return LastIdle
	}
	for !g.life.CompareAndSwap(life, life|takenBit) {
		if life = g.life.Load(); Generation(life/generation) != gen {
			return Gone
		}
	}
	g.mu.Lock()
	if life = g.life.Load(); Generation(life/generation) != gen || life&requestBit == 0 {
		g.mu.Unlock()
		return Gone
	}
	if g.life.And(^requestBit)&frameBit != 0 { // Not to be waited for: a function that the frame runs may have reset the request.
		g.mu.Unlock()
		return Gone
	}
	g.await()
	return Last
}

// Release ends the generation and unlocks.
func (g *Guard) Release() {
	g.life.Store(uint64(g.Generation()+1) * generation)
	g.mu.Unlock()
}
