package users_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/memory"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/users"
)

// These tests let a few requests run at once on a real store, with every call of the store a step that waits for its
// turn, and give the turns at random, from a seed that a failure names. The start states, the requests and the promises are
// those of the model that the protocol was designed with.
//
//	W save         R renewal      D logout      L login of ann     B login of bob      K a login, and then its logout
//	S step-up      E EndAll       O EndOthers   P EndAll and Login in one request      X list
//
// A is the id that is presented, unless a request says B or - for none.

// ledger is a store whose calls are steps.
type ledger struct {
	store *memory.Store
	turns *turns
	op    int // whose calls these are
}

// turns gives turns to the requests of a schedule.
type turns struct {
	mu      sync.Mutex
	waiting []*turn
	dead    map[int]bool // requests whose process has died
	entered map[int]int  // the clock when a request's login was admitted
	clock   int          // counts steps
}

type turn struct {
	op   int
	what string
	take chan error // an error instead of the step, or, for errLost, of its reply
}

var (
	errLost = errors.New("the reply is lost")
	errDead = errors.New("the process has died")
)

// step waits for a turn and takes the step.
func (l ledger) step(what string, do func() error) error {
	t := &turn{l.op, what, make(chan error)}
	l.turns.mu.Lock()
	if l.turns.dead[l.op] {
		l.turns.mu.Unlock()
		return errDead
	}
	l.turns.waiting = append(l.turns.waiting, t)
	l.turns.mu.Unlock()
	fault := <-t.take
	if fault == errDead {
		return errDead
	}
	l.turns.clock++
	if err := do(); fault == nil {
		return err
	}
	return fault
}

func (l ledger) Refresh(ctx context.Context, id *ident.ID) (r *record.Record, err error) {
	err = l.step("get "+id.Value(), func() error { r, err = l.store.Get(ctx, *id); return err })
	return r, err
}

func (l ledger) Swap(ctx context.Context, id *ident.ID, old, next *record.Record, ttl time.Duration) (r *record.Record, err error) {
	err = l.step("swap "+id.Value(), func() error { r, err = l.store.Swap(ctx, *id, old, next, ttl); return err })
	if err != nil {
		r = nil
	}
	return r, err
}

func (l ledger) End(ctx context.Context, id *ident.ID, _ *record.Record) (r *record.Record, err error) {
	err = l.step("end "+id.Value(), func() error {
		r, err = l.store.Get(ctx, *id)
		if errors.Is(err, record.ErrNotFound) {
			return nil
		}
		if r.Live() {
			return l.store.Destroy(ctx, *id)
		}
		return err
	})
	return r, err
}

func (l ledger) Enter(ctx context.Context, user string, e record.UserEntry, keep, grace time.Duration) error {
	return l.step("enter "+e.ID.Value(), func() error { return l.store.Enter(ctx, user, e, keep, grace) })
}

func (l ledger) Leave(ctx context.Context, user string, entries []record.UserEntry, grace time.Duration) error {
	return l.step("leave", func() error { return l.store.Leave(ctx, user, entries, grace) })
}

func (l ledger) Entries(ctx context.Context, user, cursor string) (page record.UserPage, err error) {
	err = l.step("list", func() error { page, err = l.store.Entries(ctx, user, cursor); return err })
	return page, err
}

func (l ledger) Admit(ctx context.Context, user string, id ident.ID, keep time.Duration, a record.LoginAttempt) (login int64, err error) {
	err = l.step("admit "+id.Value(), func() error {
		if login, err = l.store.Admit(ctx, user, id, keep, a); err == nil && !id.IsZero() {
			l.turns.entered[l.op] = l.turns.clock
		}
		return err
	})
	return login, err
}

func (l ledger) Mark(ctx context.Context, user string, a record.LoginAttempt) (pass int64, err error) {
	err = l.step("mark", func() error { pass, err = l.store.Mark(ctx, user, a); return err })
	return pass, err
}

// builder makes the records of one request: it writes one member, which says whose the session was. In the session that
// the request begins, if it is a login, it also notes where that began and who began it.
type builder struct {
	op     int
	begins ident.ID
}

func (b builder) Write(id *ident.ID, on *record.Record, h record.Header) (*record.Record, time.Duration, error) {
	var c record.Changes
	if err := record.Set(&c, fmt.Sprintf("w%d", b.op), "by "+h.User); err != nil {
		return nil, 0, err
	}
	if *id == b.begins {
		if err := errors.Join(record.Set(&c, "origin", id.Value()), record.Set(&c, "maker", strconv.Itoa(b.op))); err != nil {
			return nil, 0, err
		}
	}
	return b.make(on, &c, h)
}

func (b builder) Keep(_ *ident.ID, on *record.Record, h record.Header) (*record.Record, time.Duration, error) {
	return b.make(on, nil, h)
}

func (builder) make(on *record.Record, c *record.Changes, h record.Header) (*record.Record, time.Duration, error) {
	h.Ends = time.Now().Add(24 * time.Hour).UnixMilli()
	next, err := record.Merge(on, c, h, 1<<16)
	return next, 24 * time.Hour, err
}

// idOf is A, B for those that are there, C and so on for those that the requests make.
func idOf(name string) ident.ID {
	id, err := ident.ParseID(name)
	if err != nil {
		panic(err)
	}
	return id
}

// op is a request.
type op struct {
	kind   byte
	cookie string // "" : none
}

// outcome is what a request was told.
type outcome struct {
	err    error
	cookie string
	gone   string // the id whose logout was answered
	met    bool
	swept  bool
	began  int // the clock at which it began, and
	called int // called Login, and
	at     int // was answered
	saved  bool
}

// world is one schedule.
type world struct {
	*turns
	store  *memory.Store
	max    int
	ops    []op
	out    []outcome
	start  string
	trail  []string
	faulty bool // a reply was lost or a process died
	before map[string]*record.Record
}

func (w *world) protocol(i int) *users.Protocol {
	l := ledger{w.store, w.turns, i}
	return &users.Protocol{Records: l, Index: l, Timeout: time.Hour, Step: 24 * time.Hour, Max: w.max, Provisional: true, Tombstones: true}
}

// perform is the request i.
func (w *world) perform(i int) {
	ctx, p, o := context.Background(), w.protocol(i), &w.out[i]
	l := ledger{w.store, w.turns, i}
	op := w.ops[i]
	var x ident.ID
	if op.cookie != "" {
		x = idOf(op.cookie)
	}
	_ = l.step("begin", func() error { o.began = w.clock; return nil })
	in := users.Login{User: "ann", Old: x, New: idOf(string("CDEF"[i])), Attempt: record.LoginAttempt{Began: time.Now()}}
	in.Build = builder{i, in.New}
	switch op.kind {
	case 'W':
		w.save(ctx, l, x, i)
	case 'R':
		r, err := l.Refresh(ctx, &x)
		if err != nil || !r.Live() {
			o.err = users.ErrEnded
			return
		}
		made, err := p.Renew(ctx, x, in.New, r, keeping{})
		w.told(i, made, err)
	case 'D':
		w.destroy(ctx, p, l, x, i)
	case 'X':
		for _, err := range p.Sessions(ctx, "ann") {
			o.err = err
		}
	case 'L', 'K', 'B':
		if op.kind == 'B' {
			in.User = "bob"
		}
		w.login(ctx, p, in, i)
		if op.kind == 'K' && o.err == nil {
			w.destroy(ctx, p, l, idOf(o.cookie), i)
		}
	case 'S':
		if r, err := l.Refresh(ctx, &x); err != nil || !r.Live() || r.User() != "ann" {
			o.err = users.ErrEnded
			return
		}
		in.Seen = true
		w.login(ctx, p, in, i)
	case 'E', 'O':
		if op.kind == 'O' {
			if r, err := l.Refresh(ctx, &x); err != nil || !r.Live() && (!r.Tombstone() || r.ByLogin()) {
				o.err = users.ErrEnded
				return
			}
		} else {
			x = ident.ID{}
		}
		_, o.err = p.EndAll(ctx, "ann", x, in.Attempt)
		o.swept = o.err == nil
	case 'P':
		r, err := l.Refresh(ctx, &x)
		in.Seen = err == nil && r.Live() && r.User() == "ann"
		swept, err := p.EndAll(ctx, "ann", ident.ID{}, in.Attempt)
		if o.err = err; err != nil {
			return
		}
		o.swept, in.Swept, in.Attempt.Pass = true, swept.Ended, swept.Pass
		w.login(ctx, p, in, i)
	}
}

func (w *world) login(ctx context.Context, p *users.Protocol, in users.Login, i int) {
	_ = p.Records.(ledger).step("call Login", func() error { w.out[i].called = w.clock; return nil })
	made, err := p.Login(ctx, in)
	w.told(i, made, err)
}

func (w *world) told(i int, made users.Made, err error) {
	if w.out[i].err = err; err == nil {
		w.out[i].cookie = made.ID.Value()
	}
}

func (w *world) destroy(ctx context.Context, p *users.Protocol, l ledger, x ident.ID, i int) {
	o := &w.out[i]
	d, err := p.Destroy(ctx, x, nil)
	_ = l.step("answer", func() error { o.at = w.clock; return nil })
	if o.err, o.met = err, d.ByLogin; err == nil {
		o.gone = x.Value()
	}
}

// save is a save of a session that stands, as the root makes it.
func (w *world) save(ctx context.Context, l ledger, x ident.ID, i int) {
	w.out[i].err = users.ErrEnded
	r, err := l.Refresh(ctx, &x)
	for err == nil && r.Live() {
		h := r.Header()
		h.From = nil
		n, ttl, _ := builder{op: i}.Write(&x, r, h)
		now, err := l.Swap(ctx, &x, r, n, ttl)
		if err != nil {
			w.out[i].err = err
			return
		}
		if now == n {
			w.out[i].err, w.out[i].saved = nil, true
			return
		}
		r = now
	}
}

// keeping is a builder that writes nothing.
type keeping struct{ builder }

func (k keeping) Write(id *ident.ID, on *record.Record, h record.Header) (*record.Record, time.Duration, error) {
	return k.Keep(id, on, h)
}

// run gives turns until all requests are done. faults is how many replies may be lost and processes die.
func (w *world) run(random *rand.Rand, faults int) {
	w.turns = &turns{dead: map[int]bool{}, entered: map[int]int{}}
	w.out = make([]outcome, len(w.ops))
	var done sync.WaitGroup
	for i := range w.ops {
		done.Go(func() { w.perform(i) })
	}
	for last := -1; ; {
		time.Sleep(2 * time.Millisecond) // Logins are told apart by the millisecond.
		synctest.Wait()
		if len(w.waiting) == 0 {
			break
		}
		slices.SortFunc(w.waiting, func(a, b *turn) int { return strings.Compare(fmt.Sprint(a.op, a.what), fmt.Sprint(b.op, b.what)) })
		t := w.waiting[random.IntN(len(w.waiting))]
		if i := slices.IndexFunc(w.waiting, func(t *turn) bool { return t.op == last }); i >= 0 && random.IntN(3) > 0 {
			t = w.waiting[i] // Long runs of one request find what short ones do not.
		}
		last = t.op
		w.trail = append(w.trail, fmt.Sprintf("%d %c %s", t.op+1, w.ops[t.op].kind, t.what))
		var fault error
		if local := strings.Contains("begin call Login answer", t.what); faults > 0 && !local && random.IntN(15) == 0 {
			fault = [...]error{errLost, errDead}[random.IntN(2)]
			w.trail = append(w.trail, "  "+fault.Error())
			faults--
			w.faulty = true
		}
		if fault == errDead {
			w.dead[t.op] = true
			w.out[t.op] = outcome{err: errDead, began: w.out[t.op].began}
		}
		var taken []*turn
		w.waiting = slices.DeleteFunc(w.waiting, func(o *turn) bool {
			take := o == t || w.dead[o.op]
			if take {
				taken = append(taken, o)
			}
			return take
		})
		for _, o := range taken {
			o.take <- fault
		}
	}
	done.Wait()
}
