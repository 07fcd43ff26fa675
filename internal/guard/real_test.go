package guard

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// TestTheGuardDoesWhatTheModelDoes drives the guard and the model through the same orders of whole methods, and compares
// what each method finds, which ones wait, and what life and turn are behind each.
func TestTheGuardDoesWhatTheModelDoes(t *testing.T) {
	for _, s := range scenarios {
		for _, touched := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c := comparison{t: t, touched: touched, scripts: s.actors}
				c.orders(begin(s.actors, touched, sound), [len(world{}.actors)]bool{})
				t.Logf("%s, touched %v: %d orders", s.what, touched, c.n)
			})
		}
	}
}

// comparison goes through the orders of one scenario.
type comparison struct {
	t       *testing.T
	touched bool
	scripts []script
	path    []event
	n       int
}

// event is one method of one actor, and what the model makes of it.
type event struct {
	actor int
	op    op
	turn  uint8   // the actor's, before it
	waits bool    // it waits for a function to return
	ends  []ended // what returned: this one, and those that waited for it
	after world
}

type ended struct {
	actor int
	kind  kind
	end   End
	ok    bool
	late  bool
}

func (e ended) String() string {
	return fmt.Sprintf("actor %d: kind %d, end %d, ok %v, late %v", e.actor, e.kind, e.end, e.ok, e.late)
}

// orders takes every order of whole methods from r on. waiting are the actors in the middle of one.
func (c *comparison) orders(r run, waiting [len(world{}.actors)]bool) {
	left := false
	for i := range r.scripts {
		if r.done(i) {
			continue
		}
		if left = true; waiting[i] {
			continue
		}
		next, pending := r, waiting
		e := event{actor: i, op: r.scripts[i][r.actors[i].op], turn: r.actors[i].turn}
		if !next.method(i, &e, &pending) || !next.settle(&e, &pending) {
			continue
		}
		e.after = next.world
		c.path = append(c.path, e)
		c.orders(next, pending)
		c.path = c.path[:len(c.path)-1]
	}
	if !left {
		c.n++
		replay(c.t, len(c.scripts), c.touched, c.path)
	}
}

// method runs the present operation of actor i until it returns or waits for a function of the application's. It reports
// false where it would wait for the lock.
func (r *run) method(i int, e *event, waiting *[len(world{}.actors)]bool) bool {
	a, at := &r.actors[i], r.actors[i].op
	kind := r.scripts[i][at].kind
	for a.op == at {
		if a.waits {
			e.waits = e.waits || i == e.actor
			waiting[i] = true
			return true
		}
		if !r.step(i) {
			return false
		}
	}
	waiting[i] = false
	e.ends = append(e.ends, ended{i, kind, a.end, a.ok, a.late})
	return true
}

// settle lets the one go on who waited and need not any more. It reports false if there are two: which of them comes first
// is not for a test to say.
func (r *run) settle(e *event, waiting *[len(world{}.actors)]bool) bool {
	for r.mu == nobody {
		woken := -1
		for i, is := range waiting {
			if is && !r.actors[i].waits {
				if woken >= 0 {
					return false
				}
				woken = i
			}
		}
		if woken < 0 {
			break
		}
		if !r.method(woken, e, waiting) {
			return false
		}
	}
	return true
}

// replay drives a guard through path.
func replay(t *testing.T, actors int, touched bool, path []event) {
	var g Guard
	g.Init()
	g.Begin(touched)
	players := make([]player, actors)
	for i := range players {
		players[i] = player{i: i, g: &g, orders: make(chan order), reports: make(chan ended, 1)}
		go players[i].play()
		defer close(players[i].orders)
	}
	for n, e := range path {
		players[e.actor].orders <- order{e.op, Turn(e.turn)}
		if e.waits {
			synctest.Wait()
			select {
			case got := <-players[e.actor].reports:
				t.Errorf("%s\ngot %v, want it to wait", story(path[:n+1]), got)
				return
			default:
			}
		}
		for _, want := range e.ends {
			if got := <-players[want.actor].reports; got != want {
				t.Errorf("%s\ngot %v, want %v", story(path[:n+1]), got, want)
			}
		}
		w := &e.after
		if life, turn := g.life.Load(), g.turn.Load(); life != w.life || turn != uint64(w.turn) {
			t.Errorf("%s\ngot life %b and turn %d, want %b and %d", story(path[:n+1]), life, turn, w.life, w.turn)
		}
		bits := [...]bool{g.Taken(), g.Outlived(), g.Touched(), g.Used(), g.Framed(w.begun)}
		is := func(bit uint64) bool { return w.life&bit != 0 }
		want := [...]bool{is(takenBit), is(frameBit) && !is(requestBit), is(touchedBit), is(usedBit), gen(w.life) == w.begun && is(frameBit)}
		if bits != want {
			t.Errorf("%s\ntaken, orphaned, touched, used, framed: got %v, want %v", story(path[:n+1]), bits, want)
		}
	}
}

func story(path []event) string {
	var b strings.Builder
	for _, e := range path {
		fmt.Fprintf(&b, "actor %d does %d (generation %d, turn %d); ", e.actor, e.op.kind, e.op.gen, e.turn)
	}
	return b.String()
}

type order struct {
	op
	turn Turn
}

// player is an actor's goroutine: it does what it is told, one method at a time, and reports.
type player struct {
	i       int
	g       *Guard
	orders  chan order
	reports chan ended

	end      End
	ok, late bool
}

// play follows orders until the function of a call is to return.
func (p *player) play() {
	for o := range p.orders {
		switch o.kind {
		case opReturn:
			return
		case opCall:
			p.g.Call(func(Turn) {
				p.report(opCall)
				p.play()
			})
			p.report(opReturn)
		default:
			p.do(o)
			p.report(o.kind)
		}
	}
}

func (p *player) report(k kind) { p.reports <- ended{p.i, k, p.end, p.ok, p.late} }

func (p *player) do(o order) {
	switch o.kind {
	case opLock:
		if p.g.Touched() {
			p.g.Lock()
		}
	case opUnlock:
		p.g.Unlock()
	case opEnter:
		p.late, p.ok = p.g.Enter(o.gen, o.turn)
	case opLeave:
		p.go_(p.g.Leave())
	case opPart:
		p.go_(p.g.Part())
	case opClose:
		p.go_(p.g.Close(o.gen))
	case opTake:
		p.g.Begin(!o.idle)
	}
}

func (p *player) go_(end End) {
	if p.end = end; end == Last {
		p.g.Release()
	}
}
