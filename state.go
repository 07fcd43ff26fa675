package sess

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// state is what one request knows of one session. It is pooled, and has two owners: the middleware's frame, which
// ends in leave, and the request, which calls Close when it is reset. The last one to let go puts it back.
//
// All of it but life is guarded by mu. The generation grows when the state is released: a handle of an older one is
// inert. A state that nobody has touched is let go by both its owners without mu.
type state struct {
	mu     sync.Mutex
	life   atomic.Uint64 // the generation, and below it the bits that say who has the state
	m      *Manager
	stripe uint32
	jar    cookies.Presented // the cookies of the request; each one overwrites the last one's

	callback uint64    // the pass of the user's function that runs now, 0: none. Others wait for it to end.
	passes   uint64    // the last pass given out
	idle     sync.Cond // signalled when callback becomes 0

	frame
	work
}

// The bits of a state's life, and the unit of its generation.
const (
	lifeFrame   uint64 = 1 << iota // the middleware's frame runs
	lifeRequest                    // the request was not reset
	lifeReset                      // Close was called. Set before mu is taken, which a load may hold for as long as a StoreTimeout.
	lifeTouched                    // work is no longer empty: an id was presented, or a handle was used. Only mu's holder may release now.
	lifeUsed                       // a handle was used
	generation
)

// frame is the part of a state that every request fills, and the next one finds empty.
type frame struct {
	decided   bool // the frame began to commit; its own business
	committed bool // the frame has decided; later writes need Save
	loaded    bool // the presented id was looked up, or there is none
	outer     *state
	ctx       *fasthttp.RequestCtx
	fiberCtx  *fiber.Ctx
}

// work is the part of a request that only one with a session fills: most have none, and do not pay for its reset.
type work struct {
	base context.Context // parent of the store's deadlines; nil: Background
	at   time.Time

	signed  bool // the jar holds an id with a good signature, not yet looked up unless loaded
	loadErr error

	id      ident.ID       // the session's own; zero until needed if it is new
	record  *record.Record // as it was last seen in the store; nil: none there
	created int64          // unix milliseconds
	leaving ident.ID       // what Regenerate or Destroy leaves behind, with its record
	left    *record.Record
	fate    fate
	renewed bool // the presented id met a tombstone: nothing is saved unless asked for

	forced    bool
	discarded bool
	unsaved   bool // written since committed
	err       error
	failed    error // of a save: what the store made of it is not known, so it must not be made again

	arrived *record.Record // as the request found it

	changes    record.Changes
	cookie     cookies.Cookie // the session's own options, if ownCookie
	stored     cookies.Cookie // room for those that a record has
	ownCookie  bool
	cookieJSON []byte

	due      due // what the response owes the client
	dueEnds  int64
	goneOpts cookies.Cookie // of the session that dueExpire is about, or of a cookie that dueCookie takes the place of
}

// fate is what becomes of the id a session had.
type fate uint8

const (
	fateKeep       fate = iota
	fateRegenerate      // leaving goes once the session is stored under its new id
	fateDestroy         // leaving is destroyed
)

// due is what the frame writes into the response when it ends.
type due uint8

const (
	dueNothing due = iota
	dueCookie
	dueExpire
)

// What a pooled state keeps of its buffers, in bytes and in changes. Larger ones go to the garbage collector, so that
// one large session does not stay in the pool.
const (
	keepBuffer  = 8 << 10
	keepChanges = 64
)

func newState(m *Manager) *state {
	st := &state{m: m, stripe: m.tally.stripe()}
	st.changes.Limit = m.config.MaxRecordBytes
	st.life.Store(generation) // A handle of generation 0 is the zero Session's.
	st.idle.L = &st.mu
	return st
}

// bind makes st the state of a request, and finds what that presents.
func (st *state) bind(ctx *fasthttp.RequestCtx, c *fiber.Ctx, outer *state) {
	st.ctx, st.fiberCtx, st.outer = ctx, c, outer
	life := st.generation()*generation | lifeFrame | lifeRequest
	st.loaded = !st.present()
	if st.signed {
		life |= lifeTouched
		st.at = now(ctx)
		if c != nil && !st.m.store.local {
			st.base = c.UserContext()
		}
	}
	st.life.Store(life)
}

// generation is which request's st is, counted since it was made.
func (st *state) generation() uint64 { return st.life.Load() / generation }

// is reports whether a bit of the state's life is set.
func (st *state) is(bit uint64) bool { return st.life.Load()&bit != 0 }

// use notes that a handle of generation gen is used, with mu held. It reports false if the state is past that one.
func (st *state) use(gen uint64) bool {
	for {
		life := st.life.Load()
		switch {
		case life/generation != gen:
			return false
		case life&lifeUsed != 0:
			return true
		case st.life.CompareAndSwap(life, life|lifeTouched|lifeUsed):
			st.committed = st.committed || life&lifeFrame == 0 // The frame left an untouched state without a word.
			return true
		}
	}
}

// session returns a handle on st.
func (st *state) session() Session {
	if st == nil {
		return Session{}
	}
	return Session{st: st, gen: st.generation()}
}

// fail hands an error to the ErrorHandler, or on. When the request was reset nobody is left to be answered, and ctx is
// somebody else's.
func (st *state) fail(err error) error {
	if st.is(lifeReset) {
		return nil
	}
	return st.m.fail(st.ctx, err)
}

// lock takes mu when no function of the user's runs inside.
func (st *state) lock() {
	st.mu.Lock()
	st.await()
}

// await waits, with mu held, for a function of the user's to return.
func (st *state) await() {
	for st.callback != 0 {
		st.idle.Wait()
	}
}

// phase is the deadline of a commit. The end of the request's own context, which a timeout may have brought about by
// now, does not stop it.
func (st *state) phase() (context.Context, context.CancelFunc) {
	parent := st.parent()
	if !st.m.store.local { // To say so costs an allocation.
		parent = context.WithoutCancel(parent)
	}
	return st.m.deadline(parent)
}

// call runs a function of the user's with a handle of its own. It lets go of mu meanwhile, and every other handle on
// this session waits until it has returned: nobody sees the session half-way.
func (st *state) call(f func(Session)) {
	st.passes++
	pass := st.passes
	s := Session{st: st, gen: st.generation(), pass: pass}
	outer := st.callback
	st.callback = pass
	st.mu.Unlock()
	defer func() {
		st.mu.Lock()
		st.callback = outer
		st.idle.Broadcast()
	}()
	f(s)
}

// newID gives the session an id if it has none.
func (st *state) newID() error {
	if !st.id.IsZero() {
		return nil
	}
	generate := st.m.config.GenerateID
	if generate == nil {
		st.id = st.m.ids.RandomID()
		return nil
	}
	text, err := generate()
	if err != nil {
		return &handlerError{errors.Join(errors.New("sess: Config.GenerateID failed"), err)}
	}
	id, ok := ident.MakeID(text)
	if !ok || len(text) < minIDBytes {
		return &handlerError{errors.New("sess: Config.GenerateID: bad id; want 16 to 63 cookie-safe bytes")}
	}
	st.id = id
	return nil
}

// leave ends the middleware's frame: it pays what the response is owed and lets go of the state.
func (st *state) leave() {
	life := st.life.Load()
	if life&(lifeTouched|lifeReset) == 0 && st.life.CompareAndSwap(life, life&^lifeFrame) {
		return
	}
	st.lock()
	life = st.life.And(^lifeFrame)
	if st.decided && !st.committed && st.dirty() { // By a goroutine, while the frame found nothing to commit.
		st.committed = true
		st.written()
	}
	if life&lifeRequest == 0 { // The request is over, and ctx is somebody else's.
		st.release()
		return
	}
	defer st.mu.Unlock() // A Transport may panic.
	st.committed = true
	if life&lifeTouched != 0 && life&lifeReset == 0 {
		st.pay()
	}
}

// Close is called by fasthttp when the request is reset. While the frame still runs, the request was taken from under
// its handler: the state is orphaned, and its commit will touch neither the store nor the response.
//
// It may be called again, by whoever walks over the user values of a request, and does nothing then.
func (st *state) Close() error {
	outer := st.close()
	if outer != nil {
		_ = outer.Close()
	}
	return nil
}

// close is Close without the state that st was nested in, which it returns: nil if there is none, or if st was closed
// before, since what it holds then may be another request's.
func (st *state) close() (outer *state) {
	life := st.life.Load()
	if life&lifeRequest == 0 {
		return nil
	}
	gen := life / generation
	if life&(lifeTouched|lifeFrame|lifeReset) == 0 && st.life.CompareAndSwap(life, (gen+1)*generation) {
		outer = st.outer
		st.frame = frame{}
		st.m.states.Put(st)
		return outer
	}
	for !st.life.CompareAndSwap(life, life|lifeReset) {
		if life = st.life.Load(); life/generation != gen {
			return nil
		}
	}
	st.mu.Lock()
	if life = st.life.Load(); life/generation != gen || life&lifeRequest == 0 {
		st.mu.Unlock()
		return nil
	}
	outer = st.outer
	if life = st.life.And(^lifeRequest); life&lifeFrame != 0 { // Not to be waited for: a callback of the frame's may have reset the request.
		st.mu.Unlock()
		return outer
	}
	st.await()
	st.release()
	return outer
}

// release ends the generation and puts the state back. It is called with mu held, by the last owner, and unlocks it.
func (st *state) release() {
	m, stripe, unsaved, id := st.m, st.stripe, st.unsaved, ident.ID{}
	if unsaved {
		id = st.id
	}
	life := st.life.Load()
	if life&lifeTouched != 0 {
		st.changes.Release(keepBuffer, keepChanges) // Somebody's session: it does not lie around.
		changes, cookieJSON := st.changes, st.cookieJSON[:0]
		st.work = work{} // With the buffers in the literal it would be built beside and copied, in twice the time.
		st.changes, st.cookieJSON = changes, cookieJSON
	}
	st.frame = frame{}
	st.life.Store((life/generation + 1) * generation)
	st.mu.Unlock()
	m.states.Put(st)
	if unsaved { // At last, since a hook may panic.
		m.drop(stripe, Event{ID: ID(id), Reason: ReasonCommitted})
	}
}

// dropChanges forgets what was written and not yet saved.
func (st *state) dropChanges() {
	st.changes.Clear()
	st.ownCookie = false
}

func (st *state) count(c counter) { st.m.tally.add(st.stripe, c) }

// reject tells that what was presented gave no session.
func (st *state) reject(e Event) {
	st.count(countRejected)
	emit(st.m.config.Hooks.Rejected, e)
}

// drop tells that a change was not stored.
func (st *state) drop(e Event) { st.m.drop(st.stripe, e) }

func (m *Manager) drop(stripe uint32, e Event) {
	m.tally.add(stripe, countDropped)
	emit(m.config.Hooks.Dropped, e)
}

// lose is drop where the session is another's or nobody's by now: a cookie that an earlier Save owes is not sent.
func (st *state) lose(reason Reason) {
	st.drop(Event{ID: ID(st.id), Reason: reason})
	if st.due == dueCookie {
		st.due = dueNothing
	}
}

// storeError tells of a failing store and returns what the request is failed with.
func (st *state) storeError(op string, id ident.ID, err error) error {
	st.count(countStoreErrors)
	emit(st.m.config.Hooks.StoreError, Event{ID: ID(id), Err: err})
	return &Error{Op: op, Err: err}
}
