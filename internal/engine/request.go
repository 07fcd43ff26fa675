package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/guard"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/sign"
	"github.com/fibersess/sess/internal/tally"
	"github.com/valyala/fasthttp"
)

// request is what the engine keeps about one HTTP request and its session. It is pooled: its guard says who may use it, and all
// but the guard's own fields is read and written under the guard's lock.
type request struct {
	guard   guard.Guard
	m       *Manager
	stripe  uint32
	tickets []ticket          // made in advance
	jar     cookies.Presented // what the request presents
	draft   draft.Draft       // its base is the record as last seen in the store

	cookieJSON []byte

	arrival
	work
}

// arrival is the part of a request that every HTTP request sets. It is cleared before the request is used again.
type arrival struct {
	ctx         *fasthttp.RequestCtx
	in          Request   // nil: plain fasthttp
	outer       *ticket   // of another manager's session, around this one
	came        time.Time // when the middleware got the request, where ctx does not say
	loaded      bool      // the presented ids were looked up, or there are none
	commitBegun bool      // the frame's commit has begun; a Save does not set it. Only the frame's goroutine uses it
	committed   bool      // the response is decided: what is written from now on needs Save
}

// work is the part that only a request with a session fills: most have none, and do not pay for its reset.
type work struct {
	appContext context.Context // parent of the store's deadlines; nil: Background
	at         time.Time

	detached bool // a Live's: there is no client, so no cookie can be sent
	signed   bool // the jar has an id that is accepted. Not yet looked up unless loaded
	loadErr  error

	id          ident.ID // the session's own; zero until needed if the session is new
	firstLoaded *record.Record
	created     int64 // Unix milliseconds
	fate        draft.Fate
	leaving     ident.ID       // what Regenerate, Login or Destroy leaves behind
	left        *record.Record // its record

	destroyed bool  // Destroy was carried out
	last      bool  // the commit that runs now is the frame's, and no Save
	late      bool  // the response was decided before the save that runs now: no cookie can be sent
	renewed   bool  // a presented id met a tombstone: nothing is saved unless asked for
	ended     bool  // the session ended, or another request renewed it, while this one had it; see dead
	forced    bool  // ForceSave
	tokens    bool  // the response may hold a token: it is not to be stored by caches
	discarded bool  // Discard
	unsaved   bool  // written since committed
	err       error // why the session cannot be saved, beside the draft's faults
	unknown   error // of a save: what the store made of it is not known, so it must not be made again

	authn *authn        // the login that is to be carried out, and what came before it; nil: none
	life  time.Duration // that Remember has asked for; 0: it was not called

	cookie    cookies.Cookie // the session's own options, if ownCookie: written, not yet stored
	ownCookie bool
	stored    cookies.Cookie // room for options parsed from a record

	saving saving
	until  time.Time // the deadline of the phase that writes; zero: its first call at the store sets it
	debt   debt
}

// ticket stands for a request in the user values of its RequestCtx and in every handle. It is never another request's, so
// a Close that comes late, or from a copy of the user values, ends nobody else's request.
type ticket struct {
	r     *request // nil: the middleware has nothing to do with this request
	gen   guard.Generation
	outer *ticket
}

// ticketsAtOnce is how many tickets are made in one allocation, 3 KiB.
const ticketsAtOnce = 128

// Format prints nothing of the request, for every verb.
func (t *ticket) Format(f fmt.State, _ rune) { io.WriteString(f, "sess.request") }

// LogValue is Format's text, for log/slog.
func (t *ticket) LogValue() slog.Value { return slog.StringValue("sess.request") }

// framed reports whether the middleware's frame of t's request runs.
func (t *ticket) framed() bool { return t.r != nil && t.r.guard.Framed(t.gen) }

// handle returns a handle on t's request. While a function of the application's runs, the handle may enter as that function may.
func (t *ticket) handle() Handle {
	if t == nil || t.r == nil {
		return Handle{}
	}
	return Handle{t: t, turn: t.r.guard.Turn()}
}

// Close is called by fasthttp when the request is reset. Where the frame still runs, fasthttp reset the request before the
// handler returned: the commit will touch neither the store nor the response. A second Close does nothing.
func (t *ticket) Close() error {
	for ; t != nil && t.r != nil; t = t.outer {
		switch r := t.r; r.guard.Close(t.gen) {
		case guard.LastIdle:
			r.arrival = arrival{}
			r.m.requests.Put(r)
		case guard.Last:
			r.release()
		}
	}
	return nil
}

func newRequest(m *Manager) *request {
	r := &request{m: m, stripe: m.tally.Stripe()}
	r.draft.Limit(m.config.MaxRecordBytes)
	r.guard.Init()
	return r
}

// bind makes r the request of ctx, finds what that presents, and returns its ticket.
func (r *request) bind(ctx *fasthttp.RequestCtx, in Request, outer *ticket) *ticket {
	r.ctx, r.in, r.outer = ctx, in, outer
	at := ctx.Time()
	if at.IsZero() { // Made by hand.
		at = time.Now()
		r.came = at
	}
	signed := r.present()
	r.loaded = !signed
	if signed {
		r.signed = true
		r.at = at
		if in != nil && !r.m.shelf.local {
			r.appContext = in.Context()
		}
	}
	r.guard.Begin(signed)
	return r.ticket()
}

// ticket makes the ticket of the present generation.
func (r *request) ticket() *ticket {
	if len(r.tickets) == 0 {
		r.tickets = make([]ticket, ticketsAtOnce)
	}
	t := &r.tickets[0]
	r.tickets = r.tickets[1:]
	t.r, t.gen, t.outer = r, r.guard.Generation(), r.outer
	return t
}

// began is when the request came in, as fasthttp says. It may be too early and never too late: logins are compared with it.
func (r *request) began() time.Time {
	if t := r.ctx.Time(); !t.IsZero() {
		return t
	}
	return r.came
}

// parent is what the deadlines of a load derive from.
func (r *request) parent() context.Context {
	if r.appContext == nil {
		return context.Background()
	}
	return r.appContext
}

// phase returns the context of a new phase that writes. It has the phase's deadline, and does not end with the request's own
// context, which a timeout may have ended.
func (r *request) phase() (context.Context, context.CancelFunc) {
	r.until = time.Time{}
	return r.within()
}

// within returns the context of the phase that has begun. The time of a phase runs from its first call at the store.
func (r *request) within() (context.Context, context.CancelFunc) {
	if r.m.shelf.local { // To have a deadline costs an allocation.
		return context.Background(), noCancel
	}
	return context.WithDeadline(context.WithoutCancel(r.parent()), r.end())
}

// end returns the deadline of the phase that has begun.
func (r *request) end() time.Time {
	if r.until.IsZero() {
		r.until = time.Now().Add(r.m.config.StoreTimeout)
	}
	return r.until
}

// call runs a function of the application's with a handle of its own; every other handle waits until it has returned.
func (r *request) call(f func(Handle)) {
	r.guard.Call(func(turn guard.Turn) { f(Handle{t: r.ticket(), turn: turn}) })
}

// newID gives the session an id if it has none.
func (r *request) newID() error {
	if !r.id.IsZero() {
		return nil
	}
	generate := r.m.config.GenerateID
	if generate == nil {
		r.id = r.m.ids.RandomID()
		return nil
	}
	text, err := generate(r.ctx)
	if err != nil {
		return &ownError{errors.Join(errors.New("sess: Config.GenerateID failed"), err)}
	}
	id, ok := ident.MakeID(text)
	if !ok || len(text) < minIDBytes {
		return &ownError{errors.New("sess: Config.GenerateID: bad id; want 16 to 63 cookie-safe bytes")}
	}
	r.id = id
	return nil
}

// token makes a token of the session for purpose. A new session must be stored, since the token names its id.
func (r *request) token(purpose string) string {
	err := r.newID()
	var room [sign.TokenLen]byte
	token := room[:0]
	if err == nil {
		token, err = r.m.keyring.Token(token, purpose, &r.id)
	}
	if err != nil {
		r.err = cmp.Or(r.err, error(&ownError{err}))
		return ""
	}
	if r.draft.Base() == nil {
		r.noteWrite()
		r.forced = true
	}
	r.tokens = true
	return string(token)
}

// dirty reports whether the request has unsaved changes or orders.
func (r *request) dirty() bool {
	return r.draft.Dirty() || r.ownCookie || r.life != 0 || r.forced || r.fate != draft.Keep
}

// noteWrite notes a write. One that comes after the response was decided is not lost in silence: Err says so at once, and the
// Dropped hook when the request ends, unless Save is called.
func (r *request) noteWrite() {
	if r.committed {
		r.unsaved = true
		if r.err == nil {
			r.err = ErrCommitted
		}
	}
}

// fail hands an error to the ErrorHandler, or on. When the request was reset nobody is left to be answered, and another
// request may own ctx.
func (r *request) fail(err error) error {
	if err == nil || r.guard.Taken() {
		return nil
	}
	return r.m.Fail(r.ctx, err)
}

// leave ends the middleware's frame: it writes the cookie that the response owes the client, and lets go of the request.
func (r *request) leave() {
	end := r.guard.Leave()
	if end == guard.Gone {
		return
	}
	if r.commitBegun && !r.committed && r.dirty() { // A goroutine wrote when the frame had committed nothing.
		r.committed = true
		r.noteWrite()
	}
	if end == guard.Last { // fasthttp may have given ctx to another request.
		r.release()
		return
	}
	defer func() { // A Transport may panic, or reset the request.
		if r.guard.Part() == guard.Last {
			r.release()
		}
	}()
	r.committed = true
	if r.guard.Touched() && !r.guard.Taken() {
		r.pay()
	}
}

// release empties a request that nobody has any more, and puts it back. It is called with the lock held.
func (r *request) release() {
	m, stripe, unsaved, id := r.m, r.stripe, r.unsaved, ident.ID{}
	if unsaved {
		id = r.id
	}
	if r.guard.Touched() {
		r.jar.Reset() // An id and a session: they do not lie around.
		r.draft.Empty()
		clear(r.cookieJSON[:cap(r.cookieJSON)])
		r.cookieJSON = r.cookieJSON[:0]
		r.work = work{}
	}
	r.arrival = arrival{}
	r.guard.Release()
	m.requests.Put(r)
	if unsaved { // At last, since a hook may panic.
		m.drop(stripe, Event{ID: id, Reason: ReasonCommitted})
	}
}

func (r *request) count(c int) { r.m.tally.Add(r.stripe, c) }

// tell counts what happened, and calls the hook.
func (r *request) tell(c int, hook func(Event), e Event) {
	r.count(c)
	emit(hook, e)
}

// reject counts what was presented and gave no session, and calls the hook.
func (r *request) reject(e Event) {
	switch e.Reason {
	case ReasonSignature:
		r.count(tally.BadSignatures)
	case ReasonUnknown:
		r.count(tally.Unknown)
	case ReasonCorrupt:
		r.count(tally.Corrupt)
	default:
		r.count(tally.Refused)
	}
	emit(r.m.config.Hooks.Rejected, e)
}

// refuse is reject for the presented id.
func (r *request) refuse(reason Reason, err error) {
	r.reject(Event{ID: *r.presented(), Reason: reason, Err: err})
}

// drop tells that a change was not stored.
func (r *request) drop(e Event) { r.m.drop(r.stripe, e) }

func (r *request) storeError(op string, id ident.ID, err error) error {
	return r.m.storeError(r.stripe, op, id, err)
}
