package near

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// TestInEveryOrderNobodyReadsWhatIsTooOld runs actors on one session in every order in which their steps, the server's and
// the connection's can follow each other. The server does not report a change to the connection that made it, and forgets
// that the connection has read the key. Whatever a reader gets must not be older than what this node had written, what it
// had read, or what the server had reported to it, when the reader asked; and what is kept in the end is what the server has.
func TestInEveryOrderNobodyReadsWhatIsTooOld(t *testing.T) {
	actors := map[string]func() actor{
		"reader":        func() actor { return &reader{} },
		"refresh":       func() actor { return &refresher{} },
		"write":         func() actor { return &writer{} },
		"given up":      func() actor { return &quitter{} },
		"write+read":    func() actor { return &exchanger{} },
		"other's write": func() actor { return &stranger{} },
		"loss":          func() actor { return &loss{} },
	}
	for _, cast := range []string{
		"reader, other's write, other's write",
		"reader, reader, other's write",
		"reader, refresh, other's write",
		"refresh, write+read, other's write",
		"reader, reader, write",
		"reader, write, other's write",
		"reader, write, write",
		"reader, write+read, write",
		"reader, write+read, other's write",
		"write+read, write+read, other's write",
		"write+read, other's write, other's write",
		"write+read, loss, other's write",
		"reader, loss, other's write",
		"reader, write, loss",
		"reader, given up, other's write",
		"reader, reader, given up",
		"write+read, given up, other's write",
		"given up, loss, reader",
	} {
		t.Run(cast, func(t *testing.T) {
			if testing.Short() && strings.HasSuffix(cast, "given up") {
				t.Skip("many orders")
			}
			t.Parallel()
			runs := 0
			records := map[int]*record.Record{}
			for _, start := range []start{{}, {kept: true}} {
				runs += everyOrder(func(choose func(n int) int) string {
					w := newWorld(t, start, records, choose)
					for _, name := range strings.Split(cast, ", ") {
						w.actors = append(w.actors, actors[name]())
					}
					return w.run()
				}, func(fault, order string) { t.Errorf("%+v: %s\n%s", start, fault, order) })
				if t.Failed() {
					return
				}
			}
			t.Logf("%d orders", runs)
		})
	}
}

// everyOrder calls run with every sequence of choices, until one brings a fault.
func everyOrder(run func(choose func(n int) int) (fault string), report func(fault, order string)) (runs int) {
	type choice struct{ made, of int }
	var path []choice
	for {
		at := 0
		fault := run(func(n int) int {
			if at == len(path) {
				path = append(path, choice{0, n})
			}
			at++
			return path[at-1].made
		})
		runs++
		if fault != "" {
			report(fault, fmt.Sprint(path))
			return runs
		}
		for len(path) > 0 && path[len(path)-1].made+1 == path[len(path)-1].of {
			path = path[:len(path)-1]
		}
		if len(path) == 0 {
			return runs
		}
		path[len(path)-1].made++
	}
}

// start is what there is before the first step.
type start struct {
	kept bool // the record is in the cache, and the server will report a change
}

// world is a node and a server that hold one session. A record is a number that each write raises.
type world struct {
	t      *testing.T
	start  start
	c      *Cache
	id     ident.ID
	now    time.Time
	choose func(n int) int
	actors []actor
	fault  string
	steps  []int // who took them: an actor, or the server or the connection

	lease   *Lease
	up      []*command // sent and not executed
	down    []message  // said by the server and not received
	stored  int        // at the server
	tracked bool       // the server will report a change

	known int // no reader who asks now may get less

	can     []int // scratch of open
	records map[int]*record.Record
}

// command is a read or a write that was sent.
type command struct {
	write     bool
	reads     bool // a write that reads in the same step
	untracked bool // a read that does not ask for a report
	value     int  // what was read or written
	replied   bool
	failed    bool // the connection was lost before the reply
}

// message is what the connection carries to the node: the reply to a command, or, if that is nil, a report.
type message struct{ reply *command }

// actor is somebody with steps.
type actor interface {
	ready(w *world) bool // the next step can be taken
	step(w *world)
	done() bool
}

func newWorld(t *testing.T, start start, records map[int]*record.Record, choose func(n int) int) *world {
	w := &world{
		t: t, start: start, c: New(prefix, 1<<10, time.Hour), now: time.Now(), choose: choose, stored: 1, records: records,
	}
	w.id, _ = ident.MakeID("id")
	w.c.shards[0].limit = 1 << 20
	w.connect()
	if start.kept {
		w.actors = []actor{&reader{}}
		for open := w.open(); len(open) > 0; open = w.open() {
			w.step(open[0])
		}
		w.actors, w.steps = nil, nil
	}
	return w
}

func (w *world) connect() {
	w.lease, w.tracked, w.up, w.down = new(Lease), false, nil, nil
	w.c.Prove(w.lease, w.c.Mono(w.now))
}

// Who can take a step beside the actors.
const (
	byServer     = -1
	byConnection = -2
)

// open returns who can take a step now.
func (w *world) open() []int {
	all := w.can[:0]
	for i, a := range w.actors {
		if !a.done() && a.ready(w) {
			all = append(all, i)
		}
	}
	if len(w.up) > 0 {
		all = append(all, byServer)
	}
	if len(w.down) > 0 {
		all = append(all, byConnection)
	}
	w.can = all
	return all
}

func (w *world) step(who int) {
	w.steps = append(w.steps, who)
	switch who {
	case byServer:
		w.execute()
	case byConnection:
		w.receive()
	default:
		w.actors[who].step(w)
	}
}

// told is the steps in words.
func (w *world) told() string {
	var b strings.Builder
	for _, who := range w.steps {
		switch who {
		case byServer:
			fmt.Fprintln(&b, "the server executes")
		case byConnection:
			fmt.Fprintln(&b, "a message arrives")
		default:
			fmt.Fprintf(&b, "%T %d\n", w.actors[who], who)
		}
	}
	return b.String()
}

func (w *world) run() (fault string) {
	for w.fault == "" {
		open := w.open()
		if len(open) == 0 {
			break
		}
		i := 0
		if len(open) > 1 {
			i = w.choose(len(open))
		}
		w.step(open[i])
	}
	if r, ok := w.c.Peek(&w.id, w.now); w.fault == "" && ok && numberOf(r) != w.stored {
		w.fault = fmt.Sprintf("in the end the cache has %d, want %d or nothing", numberOf(r), w.stored)
	}
	if w.fault != "" {
		w.fault += "\n" + w.told()
	}
	return w.fault
}

// send sends a command on the connection.
func (w *world) send(cmd *command) {
	if !cmd.write && !cmd.untracked {
		w.c.Sent(keyOf(w.id), w.lease)
	}
	w.up = append(w.up, cmd)
}

// execute is the server's: it takes the next command.
func (w *world) execute() {
	cmd := w.up[0]
	w.up = w.up[1:]
	if !cmd.write {
		cmd.value, w.tracked = w.stored, w.tracked || !cmd.untracked
		w.down = append(w.down, message{cmd})
		return
	}
	w.tracked = false // its own change is not reported to the connection
	w.store()
	cmd.value, w.tracked = w.stored, cmd.reads
	w.down = append(w.down, message{cmd})
}

// store stores the next number, and reports it if somebody has asked for that.
func (w *world) store() {
	w.stored++
	if w.tracked {
		w.down = append(w.down, message{})
		w.tracked = false
	}
}

// receive is the node's receiver: it takes the next message.
func (w *world) receive() {
	m := w.down[0]
	w.down = w.down[1:]
	if m.reply == nil {
		w.c.Report(w.id, w.lease)
		return
	}
	m.reply.replied = true
	if !m.reply.write && !m.reply.untracked {
		w.c.Answered(keyOf(w.id), w.lease)
	}
}

func (w *world) knows(value int) { w.known = max(w.known, value) }

// reader asks the cache, and where it has nothing the server.
type reader struct {
	state   int // 0: has not asked; 1: makes a flight; 2: waits for one; 3: done
	flight  *Flight
	cmd     *command
	atLeast int
}

func (r *reader) done() bool { return r.state == 3 }

func (r *reader) ready(*world) bool {
	switch r.state {
	case 1:
		return r.cmd.replied || r.cmd.failed
	case 2:
		select {
		case <-r.flight.Landed():
			return true
		default:
			return false
		}
	}
	return true
}

func (r *reader) step(w *world) {
	switch r.state {
	case 0:
		r.atLeast = w.known
		if got, ok := w.c.Peek(&w.id, w.now); ok {
			r.gets(w, got)
			return
		}
		var first bool
		r.flight, first = w.c.Join(w.id, w.now)
		r.state = 2
		if first {
			r.state, r.cmd = 1, &command{}
			w.send(r.cmd)
		}
		return
	case 1:
		land(w, r.flight, r.cmd)
	}
	got, _, err := r.flight.Result()
	if err != nil {
		r.state = 3
		return
	}
	r.gets(w, got)
}

func (r *reader) gets(w *world, got *record.Record) {
	r.state = 3
	value := numberOf(got)
	if value < r.atLeast {
		w.fault = fmt.Sprintf("a reader got %d, want at least %d", value, r.atLeast)
	}
	w.knows(value)
}

// land ends a flight whose read was replied to, or lost.
func land(w *world, f *Flight, cmd *command) (kept bool) {
	if cmd.failed {
		w.c.Invalidate(w.id)
		return w.c.Land(f, nil, record.ErrClosed, w.now)
	}
	return w.c.Land(f, w.record(cmd.value), nil, w.now)
}

func (w *world) record(value int) *record.Record {
	if r := w.records[value]; r != nil {
		return r
	}
	r, err := record.ParseRecord(fmt.Sprintf(`{"n":%d}`, value))
	if err != nil {
		w.t.Fatal(err)
	}
	w.records[value] = r.WithExpires(w.now.Add(time.Hour))
	return w.records[value]
}

// writer writes.
type writer struct {
	state int // 0: has not written; 1: waits; 2: done
	write command
}

func (a *writer) done() bool        { return a.state == 2 }
func (a *writer) ready(*world) bool { return a.state == 0 || a.write.replied || a.write.failed }

func (a *writer) step(w *world) {
	a.state++
	if a.state == 1 {
		a.write.write = true
		w.send(&a.write)
		return
	}
	w.c.Invalidate(w.id)
	if a.write.replied {
		w.knows(a.write.value)
	}
}

// exchanger writes and reads in one step.
type exchanger struct {
	state int // 0: has not written; 1: waits; 2: done
	cmd   command
	f     *Flight
}

func (a *exchanger) done() bool        { return a.state == 2 }
func (a *exchanger) ready(*world) bool { return a.state == 0 || a.cmd.replied || a.cmd.failed }

func (a *exchanger) step(w *world) {
	a.state++
	if a.state == 1 {
		a.cmd.write, a.cmd.reads = true, true
		a.f = w.c.Begin(w.id, w.now)
		w.c.Carried(a.f, w.lease)
		w.send(&a.cmd)
		return
	}
	if !land(w, a.f, &a.cmd) {
		w.c.Invalidate(w.id)
	}
	if a.cmd.replied {
		w.knows(a.cmd.value)
	}
}

// quitter gives a write up, before or after it is sent, and hears of the reply later.
type quitter struct {
	sent, gaveUp, ended bool
	write               command
}

func (a *quitter) done() bool { return a.gaveUp && a.ended }

func (a *quitter) ready(*world) bool {
	return !a.sent || !a.gaveUp || a.write.replied || a.write.failed
}

func (a *quitter) step(w *world) {
	heard := a.write.replied || a.write.failed
	switch {
	case !a.gaveUp && (a.sent || w.choose(2) == 0):
		a.gaveUp = true
		w.c.Invalidate(w.id)
	case !a.sent:
		a.sent, a.write.write = true, true
		w.send(&a.write)
	case heard:
		a.ended = true
		w.c.Invalidate(w.id)
	}
}

// refresher reads past the cache.
type refresher struct {
	state   int // 0: has not asked; 1: waits; 2: done
	cmd     command
	atLeast int
}

func (a *refresher) done() bool        { return a.state == 2 }
func (a *refresher) ready(*world) bool { return a.state == 0 || a.cmd.replied || a.cmd.failed }

func (a *refresher) step(w *world) {
	a.state++
	if a.state == 1 {
		a.cmd.untracked, a.atLeast = true, w.known
		w.send(&a.cmd)
		return
	}
	if a.cmd.failed {
		return
	}
	w.c.Agree(w.id, w.record(a.cmd.value).JSON())
	if a.cmd.value < a.atLeast {
		w.fault = fmt.Sprintf("a refresh got %d, want at least %d", a.cmd.value, a.atLeast)
	}
	w.knows(a.cmd.value)
}

// stranger is a writer on another node.
type stranger struct{ wrote bool }

func (a *stranger) done() bool        { return a.wrote }
func (a *stranger) ready(*world) bool { return true }
func (a *stranger) step(w *world)     { a.wrote = true; w.store() }

// loss is the loss of the connection, with all that is on it, and the next one.
type loss struct{ lost bool }

func (a *loss) done() bool        { return a.lost }
func (a *loss) ready(*world) bool { return true }

func (a *loss) step(w *world) {
	a.lost = true
	for _, cmd := range w.up {
		cmd.failed = true
	}
	for _, m := range w.down {
		if m.reply != nil {
			m.reply.failed = true
		}
	}
	w.lease.End()
	w.connect()
}

func numberOf(r *record.Record) (n int) {
	text, _ := r.Raw("n")
	fmt.Sscan(text, &n)
	return n
}
