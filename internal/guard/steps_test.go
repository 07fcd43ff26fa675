package guard

import (
	"encoding/json"
	"hash/maphash"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestEveryOrderOfTheCodeKeepsThePromises is TestEveryOrderKeepsThePromises for the code itself. It has guard.go compiled
// with the types below in the place of those of sync and sync/atomic, in a process of its own, and takes every order of
// their steps.
func TestEveryOrderOfTheCodeKeepsThePromises(t *testing.T) {
	if _, stepped := any(&new(Guard).life).(*stepWord); !stepped {
		stepThrough(t)
		return
	}
	worlds := 0
	for _, s := range scenarios {
		for _, touched := range []bool{false, true} {
			n, broken := walkAll(s.actors, touched)
			if worlds += n; broken != "" {
				t.Errorf("%s, touched %v: got %s", s.what, touched, broken)
			}
		}
	}
	t.Logf("%d worlds", worlds)
}

// stepThrough runs this test in another process, on a guard.go that can be stopped at each step.
func stepThrough(t *testing.T) {
	source, err := os.ReadFile("guard.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []struct{ from, to string }{
		{`(?s)\nimport \(.*?\n\)\n`, "\n"},
		{`\blife(\s+)atomic\.Uint64\b`, "life$1 stepWord"},
		{`\bturn(\s+)atomic\.Uint64\b`, "turn$1 quietWord"},
		{`\bsync\.Mutex\b`, "stepMutex"},
		{`\bsync\.Cond\b`, "stepCond"},
	} {
		pattern := regexp.MustCompile(change.from)
		if n := len(pattern.FindAll(source, -1)); n != 1 {
			t.Fatalf("guard.go: got %d matches of %s, want 1", n, change.from)
		}
		source = pattern.ReplaceAll(source, []byte(change.to))
	}
	dir := t.TempDir()
	stepped, overlay := filepath.Join(dir, "guard.go"), filepath.Join(dir, "overlay.json")
	here, err := filepath.Abs("guard.go")
	if err != nil {
		t.Fatal(err)
	}
	replaced, err := json.Marshal(map[string]map[string]string{"Replace": {here: stepped}})
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{stepped: source, overlay: replaced} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("go", "test", "-vet=off", "-v", "-overlay", overlay, "-run", "^"+t.Name()+"$", ".").CombinedOutput()
	if err != nil {
		t.Errorf("the guard, step by step: got %v, want nil\n%s", err, out)
	}
	t.Logf("%s", out)
}

// walking is the walk whose actor is at work. Only one is at a time.
var walking *walk

// stepWord is an atomic.Uint64 that lets another actor go first.
type stepWord struct{ v uint64 }

func (w *stepWord) Load() uint64 {
	walking.pause(nil)
	walking.note(w.v)
	return w.v
}

func (w *stepWord) Store(v uint64) {
	walking.pause(nil)
	w.v = v
}

func (w *stepWord) CompareAndSwap(old, new uint64) bool {
	walking.pause(nil)
	if w.v != old {
		walking.note(0)
		return false
	}
	w.v = new
	walking.note(1)
	return true
}

func (w *stepWord) And(mask uint64) (old uint64) {
	walking.pause(nil)
	old = w.v
	walking.note(old)
	w.v &= mask
	return old
}

// quietWord is a word that is only used under the lock: nobody comes between.
type quietWord struct{ v uint64 }

func (w *quietWord) Load() uint64 {
	walking.note(w.v)
	return w.v
}

func (w *quietWord) Store(v uint64) { w.v = v }

// stepMutex lets others go first before it is locked. That it is unlocked gives others only more to do, so this is one
// step with what was done before.
type stepMutex struct{ held bool }

func (m *stepMutex) Lock() {
	walking.asks()
	walking.pause(func() bool { return !m.held })
	m.held = true
}

func (m *stepMutex) Unlock() { m.held = false }

type stepCond struct {
	L       *stepMutex
	waiting [most]bool
}

func (c *stepCond) Wait() {
	i := walking.now
	c.waiting[i] = true
	c.L.held = false
	walking.pause(func() bool { return !c.waiting[i] && !c.L.held })
	c.L.held = true
}

func (c *stepCond) Broadcast() { c.waiting = [most]bool{} }

// walk is a guard and the actors, each in a coroutine. It is no test's but TestEveryOrderOfTheCodeKeepsThePromises, where
// Guard has the types above; elsewhere it would not stop anywhere.
type walk struct {
	g Guard
	truth
	broken
	scripts []script
	now     int // the actor at work; -1: nobody
	actors  [most]walker
	stopped bool
}

type walker struct {
	next  func() (func() bool, bool)
	stop  func()
	yield func(func() bool) bool
	ready func() bool // whether it can go on; nil: always
	done  bool
	state walkerState

	closing Generation // its Close is about; 0: it is in none
}

// walkerState is what an actor's future depends on. What its methods have read, and how far they are,
// stands in the hash.
type walkerState struct {
	op    uint8
	turn  Turn
	calls [2]Turn
	read  uint64
}

type place struct {
	truth
	life, turn uint64
	turns      Turn
	held       bool
	waiting    [most]bool
	actors     [most]walkerState
}

var seed = maphash.MakeSeed()

func newWalk(scripts []script, touched bool) *walk {
	w := &walk{scripts: scripts, now: -1}
	walking = w
	w.g.Init()
	w.begin(touched)
	for i, s := range scripts {
		a := &w.actors[i]
		a.next, a.stop = iter.Pull(func(yield func(func() bool) bool) {
			defer func() {
				if r := recover(); r != nil && r != errStopped {
					panic(r)
				}
			}()
			a.yield = yield
			w.play(i, s)
		})
		w.step(i)
	}
	return w
}

func (w *walk) begin(touched bool) {
	w.truth.begin(w.g.Generation(), touched)
	w.g.Begin(touched)
}

// step lets actor i go on until it stops before its next step.
func (w *walk) step(i int) {
	a := &w.actors[i]
	w.now = i
	ready, more := a.next()
	w.now = -1
	a.ready, a.done = ready, !more
}

var errStopped = new(int)

// pause stops the actor at work until it is told to go on, which is only if ready says so.
func (w *walk) pause(ready func() bool) {
	if w == nil || w.now < 0 {
		return
	}
	a := &w.actors[w.now]
	w.note(0) // One step further.
	if w.stopped || !a.yield(ready) {
		panic(errStopped)
	}
}

// note keeps what the actor at work has read.
func (w *walk) note(v uint64) {
	if w != nil && w.now >= 0 {
		s := &w.actors[w.now].state
		s.read = maphash.Comparable(seed, [2]uint64{s.read, v})
	}
}

// asks checks that a Close is known of before it waits for the lock.
func (w *walk) asks() {
	if w != nil && w.now >= 0 && w.actors[w.now].closing > 0 {
		life, _, _, _ := w.inner()
		w.waitsToClose(&w.broken, w.actors[w.now].closing, life)
	}
}

// wait is pause for an actor that waits for something outside of the guard.
func (w *walk) wait(ready func() bool) { w.pause(ready) }

func (w *walk) end() {
	w.stopped = true
	for i := range w.scripts {
		w.now = i
		w.actors[i].stop()
	}
	w.now = -1
}

func (w *walk) place() place {
	p := place{truth: w.truth, turns: w.g.turns}
	p.life, p.turn, p.held, p.waiting = w.inner()
	for i := range w.scripts {
		p.actors[i] = w.actors[i].state
	}
	return p
}

// inner returns what the guard's fields hold, of whatever type they are.
func (w *walk) inner() (life, turn uint64, held bool, waiting [most]bool) {
	if word, ok := any(&w.g.life).(*stepWord); ok {
		life = word.v
	}
	if word, ok := any(&w.g.turn).(*quietWord); ok {
		turn = word.v
	}
	if mu, ok := any(&w.g.mu).(*stepMutex); ok {
		held = mu.held
	}
	if cond, ok := any(&w.g.idle).(*stepCond); ok {
		waiting = cond.waiting
	}
	return life, turn, held, waiting
}

// play does what s says, up to the return of a call of this actor's, and returns where s goes on.
func (w *walk) play(i int, s script) {
	a := &w.actors[i].state
	for int(a.op) < len(s) {
		o := s[a.op]
		if o.kind == opReturn {
			return
		}
		a.op++
		if w.do(i, s, o) {
			a.op = o.to
		}
		if w.depth[i] == 0 {
			a.read = 0
		}
	}
}

// do does one method. skip says that there is nothing more to do in between.
func (w *walk) do(i int, s script, o op) (skip bool) {
	a := &w.actors[i].state
	switch o.kind {
	case opLock:
		if skip = !w.g.Touched(); !skip {
			w.g.Lock()
		}
	case opUnlock:
		w.unlocked(i)
		w.g.Unlock()
	case opEnter:
		late, ok := w.g.Enter(o.gen, a.turn)
		if skip = !ok; ok {
			life, turn, _, _ := w.inner()
			w.entered(&w.broken, i, o.gen, gen(life), turn == 0 || Turn(turn) == a.turn, late)
		}
	case opGiven:
		from := &w.actors[o.from]
		w.wait(func() bool { return from.state.calls[0] != 0 || from.done })
		a.turn = from.state.calls[max(w.depth[o.from], 1)-1]
	case opBegun:
		w.wait(func() bool { return w.begun >= o.gen })
	case opCall:
		w.call(i, s)
	case opLeave:
		end := w.g.Leave()
		if skip = end != Held; end == Gone {
			w.leftUntouched(&w.broken)
		}
		w.release(end, true, w.g.now())
	case opPart:
		end := w.g.Part()
		if w.framed = w.framed && end != Gone; end == Last {
			w.release(end, true, w.g.now())
		}
	case opClose:
		w.close(i, o.gen)
	case opTake:
		w.wait(func() bool { return w.pooled })
		w.begin(!o.idle)
	}
	return skip
}

// now is Generation, without a step.
func (g *Guard) now() Generation {
	if word, ok := any(&g.life).(*stepWord); ok {
		return gen(word.v)
	}
	return 0
}

func (w *walk) call(i int, s script) {
	a := &w.actors[i].state
	outer := a.turn
	w.g.Call(func(turn Turn) {
		a.turn, a.calls[w.depth[i]] = turn, turn
		w.depth[i]++
		w.play(i, s)
		w.wait(nil) // The function has come to its end, and Call has not.
		a.op++
		w.depth[i]--
		w.note(uint64(turn))
	})
	a.turn = outer
}

func (w *walk) close(i int, g Generation) {
	w.wait(nil)
	w.closing(g, w.g.now())
	w.actors[i].closing = g
	end := w.g.Close(g)
	w.actors[i].closing = 0
	if end == LastIdle {
		w.over(&w.broken, false, g, w.g.now()-1)
		w.pooled = true
	}
	life, _, _, _ := w.inner()
	w.closed(&w.broken, g, life)
	w.release(end, false, g)
}

func (w *walk) release(end End, frame bool, g Generation) {
	if end != Last {
		return
	}
	w.over(&w.broken, frame, g, w.g.now())
	w.wait(nil)
	w.g.Release()
	w.wait(nil)
	w.pooled = true
}

// walkAll takes every order of the actors' steps. It begins a walk anew for each choice that it did not take before.
func walkAll(scripts []script, touched bool) (worlds int, b broken) {
	seen := map[place]bool{}
	todo := [][]byte{nil}
	for len(todo) > 0 {
		path := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		w := newWalk(scripts, touched)
		for _, i := range path {
			w.step(int(i))
		}
		for w.broken == "" {
			p := w.place()
			w.word(&w.broken, p.life)
			if seen[p] {
				break
			}
			seen[p] = true
			first := -1
			for i := range scripts {
				a := &w.actors[i]
				switch {
				case a.done || a.ready != nil && !a.ready():
				case first < 0:
					first = i
				default:
					todo = append(todo, append(slices.Clone(path), byte(i)))
				}
			}
			if first < 0 {
				w.finish()
				break
			}
			path = append(slices.Clip(path), byte(first))
			w.step(first)
		}
		b = w.broken
		w.end()
		if b != "" {
			return len(seen), b + broken("\nin this order of the actors' steps: "+string(digits(path)))
		}
	}
	return len(seen), ""
}

func digits(path []byte) []byte {
	for i := range path {
		path[i] += '0'
	}
	return path
}

func (w *walk) finish() {
	for i := range w.scripts {
		if !w.actors[i].done {
			w.broken.is("actor %d waits for ever, in operation %d", i, w.actors[i].state.op)
		}
	}
	w.truth.finish(&w.broken)
}
