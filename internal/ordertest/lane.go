package ordertest

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/sesstest"
)

// call is the step of a request that has begun, and found its session, and has done nothing yet.
const call sesstest.Op = "call"

// steps are what a request can be stopped at.
var steps = []sesstest.Op{
	call, sesstest.Get, sesstest.Refresh, sesstest.Set, sesstest.Destroy, sesstest.Swap, sesstest.End,
	sesstest.Enter, sesstest.Entries, sesstest.Leave, sesstest.Admit, sesstest.Mark,
}

const (
	mostCalls = 64               // of one operation, in one request
	patience  = 20 * time.Second // with a step
)

// fullStore is what the protocol of users asks of a store.
type fullStore interface {
	bareStore
	sess.Refresher
}

// lane is one request and its calls at the store, each of which waits for its turn.
type lane struct {
	t     testing.TB
	name  string
	store fullStore
	fault *sesstest.Faulty

	begin, after map[sesstest.Op][]*sesstest.Stop
	seen         map[sesstest.Op]int
	called       chan struct{}
	goOn         chan struct{}
	answered     chan struct{}
}

// newLane returns a lane to inner, open or with a gate that stops every call.
func newLane(t testing.TB, name string, inner fullStore, open bool) *lane {
	l := &lane{t: t, name: name, store: inner}
	if open {
		return l
	}
	l.fault = sesstest.NewFaulty(inner)
	gate := sesstest.NewGate(l.fault.Store())
	l.store = gate.Store().(fullStore)
	l.begin, l.after = map[sesstest.Op][]*sesstest.Stop{}, map[sesstest.Op][]*sesstest.Stop{}
	l.seen = map[sesstest.Op]int{}
	l.called, l.goOn, l.answered = make(chan struct{}), make(chan struct{}), make(chan struct{})
	for _, op := range steps[1:] {
		for n := range mostCalls {
			l.begin[op] = append(l.begin[op], gate.Before(op, n+1))
			l.after[op] = append(l.after[op], gate.After(op, n+1))
		}
	}
	return l
}

// wait is where the request's handler stops before it acts.
func (l *lane) wait() {
	if l.called != nil {
		close(l.called)
		<-l.goOn
	}
}

// until lets the request go on until it has done its next op, or has answered if op is empty.
func (l *lane) until(op sesstest.Op) {
	l.t.Helper()
	for {
		next, ok := l.next(op)
		if !ok {
			if op != "" {
				l.t.Fatalf("request %s: got its answer before a call of %s; want it to come there", l.name, op)
			}
			return
		}
		n := l.seen[next]
		l.seen[next]++
		if next == call {
			if op == call {
				return
			}
			continue
		}
		l.begin[next][n].Release()
		<-l.after[next][n].Reached
		l.after[next][n].Release()
		if next == op {
			return
		}
	}
}

// next waits until the request has come to a step, and prefers that of op. It reports false for its answer.
func (l *lane) next(op sesstest.Op) (sesstest.Op, bool) {
	l.t.Helper()
	if l.seen[call] == 1 { // It waits in its handler, and may go on.
		l.seen[call]++
		close(l.goOn)
	}
	if n := l.seen[op]; op != "" && op != call {
		select {
		case <-l.begin[op][n].Reached:
			return op, true
		default:
		}
	}
	cases := []reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(l.answered)}}
	for _, step := range steps {
		reached := reflect.ValueOf((<-chan struct{})(l.called))
		if step != call {
			reached = reflect.ValueOf(l.begin[step][l.seen[step]].Reached)
		} else if l.seen[call] > 0 {
			reached = reflect.ValueOf((<-chan struct{})(nil))
		}
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reached})
	}
	cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(time.After(patience))})
	switch i, _, _ := reflect.Select(cases); i {
	case 0:
		return "", false
	case len(cases) - 1:
		l.t.Fatalf("request %s: got no step within %v; want a call of %q", l.name, patience, op)
		return "", false
	default:
		return steps[i-1], true
	}
}

// die makes everything fail that the request asks of the store from now on: its process has died.
func (l *lane) die() {
	l.fault.Fail(sesstest.Any, sesstest.Always)
	l.until("")
}

// lose does the next op of the request, and loses the reply.
func (l *lane) lose(op sesstest.Op) {
	l.fault.Lose(op, 1)
	l.until(op)
}

// laneKey is where the context of a request has its lane.
type laneKey struct{}

// fork is a node's store: each request's calls go through its lane. A call without a request fails, as one that a dead
// process cannot make any more.
type fork struct{ inner, dead fullStore }

func newFork(inner fullStore) fork {
	dead := sesstest.NewFaulty(inner)
	dead.Fail(sesstest.Any, sesstest.Always)
	return fork{inner, dead.Store().(fullStore)}
}

func (f fork) of(ctx context.Context) fullStore {
	if l, ok := ctx.Value(laneKey{}).(*lane); ok {
		return l.store
	}
	return f.dead
}

func (f fork) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	return f.of(ctx).Get(ctx, id)
}

func (f fork) Refresh(ctx context.Context, id sess.ID) (*sess.Record, error) {
	return f.of(ctx).Refresh(ctx, id)
}

func (f fork) Set(ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	return f.of(ctx).Set(ctx, id, r, ttl)
}

func (f fork) Destroy(ctx context.Context, id sess.ID) error { return f.of(ctx).Destroy(ctx, id) }

func (f fork) Swap(ctx context.Context, id sess.ID, old, next *sess.Record, ttl time.Duration) (*sess.Record, error) {
	return f.of(ctx).Swap(ctx, id, old, next, ttl)
}

func (f fork) End(ctx context.Context, id sess.ID) (*sess.Record, error) {
	return f.of(ctx).End(ctx, id)
}

func (f fork) Enter(ctx context.Context, user string, e sess.UserEntry, keep, grace time.Duration) error {
	return f.of(ctx).Enter(ctx, user, e, keep, grace)
}

func (f fork) Entries(ctx context.Context, user, cursor string) (sess.UserPage, error) {
	return f.of(ctx).Entries(ctx, user, cursor)
}

func (f fork) Leave(ctx context.Context, user string, entries []sess.UserEntry, grace time.Duration) error {
	return f.of(ctx).Leave(ctx, user, entries, grace)
}

func (f fork) Admit(ctx context.Context, user string, id sess.ID, keep time.Duration, a sess.LoginAttempt) (time.Time, error) {
	return f.of(ctx).Admit(ctx, user, id, keep, a)
}

func (f fork) Mark(ctx context.Context, user string, a sess.LoginAttempt) (sess.UserMark, error) {
	return f.of(ctx).Mark(ctx, user, a)
}

// uncached is a store without a cache, which can look past it all the same.
type uncached struct{ bareStore }

type bareStore interface {
	sess.Store
	sess.Swapper
	sess.Ender
	sess.UserIndex
	sess.UserMarker
}

func (u uncached) Refresh(ctx context.Context, id sess.ID) (*sess.Record, error) {
	return u.Get(ctx, id)
}
