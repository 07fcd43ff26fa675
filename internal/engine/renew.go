package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/tally"
	"github.com/fibersess/sess/internal/users"
)

// regenerate leaves the id behind, which the commit retires.
func (r *request) regenerate() {
	if r.alone {
		r.err = errInsideDo
		return
	}
	if base := r.draft.Base(); base != nil && r.fate == draft.Keep {
		r.fate, r.leaving, r.left = draft.Renew, r.id, base
	}
	r.id = ident.ID{}
	r.renewed = false // Asked for: the session is stored under its new id.
}

// move stores the session under its new id, and only then takes the old one away: a tombstone stands there for a while. If
// the old one has ended meanwhile the new one goes too, since a logout wins.
func (r *request) move(ctx context.Context, at time.Time, ttl time.Duration) error {
	old := r.leaving
	made, err := r.m.users.Renew(ctx, old, r.id, r.left, &builder{r, at, ttl, r.draft.Wiped()})
	switch {
	case errors.Is(err, users.ErrRenewed):
		return errRenewed
	case errors.Is(err, users.ErrEnded):
		return record.ErrNotFound
	case errors.Is(err, users.ErrTaken):
		return errIDTaken
	case err != nil:
		return err
	}
	r.draft.Rebase(made.Record)
	r.settled()
	r.count(tally.Created)
	r.tell(tally.Regenerated, r.m.config.Hooks.Regenerated, Event{ID: r.id, Old: old})
	return nil
}

// touch ends a request that changed nothing: a rolling session gets more time, if enough of it has passed, and a cookie
// that an old key signed is signed anew. Nothing of this is worth an error to the client: the session is as good as before,
// and the next request tries again.
func (r *request) touch() {
	base, config := r.draft.Base(), r.m.config
	// Whose beginning is unknown, since Koa has written it, has it noted with the first load: Lifetime counts from there.
	begins := config.Lifetime > 0 && base.CreatedMS() == 0
	if config.Rolling || begins {
		ttl := r.ttl()
		if r.orphaned() {
			return
		}
		at := time.Now()
		h := r.headerOn(base)
		span := r.span(at, base, &h, ttl)
		if begins && !config.Rolling && base.EndsMS() != 0 && base.EndsMS() < span.Ends {
			span = draft.Rest(at, base)
		}
		if begins && span.TTL > 0 || span.Due(base.EndsMS(), config.RollingThreshold) {
			r.prolong(&h, span)
			return
		}
	}
	if r.signed && r.jar.Key() > 0 && r.debt.kind == dueNothing {
		r.owe(draft.Rest(time.Now(), base).Ends, true)
	}
}

// prolong moves the session's end to that of span. If another request was faster, that one has moved it.
func (r *request) prolong(h *record.Header, span draft.Span) {
	base := r.draft.Base()
	r.bear(&r.id, h, span.Ends)
	next, err := record.Merge(base, nil, *h, r.m.config.MaxRecordBytes)
	if errors.Is(err, record.ErrTooLarge) && !base.HasHeader() { // No room to say when: the store's TTL does.
		next, err = base.WithExpires(time.UnixMilli(span.Ends)), nil
	}
	var winner *record.Record
	if err == nil {
		ctx, cancel := r.within()
		defer cancel()
		if err = r.m.users.Move(ctx, &r.id, base, next); err == nil {
			winner, err = r.m.shelf.swap(ctx, &r.id, base, next, span.TTL)
		}
	}
	switch {
	case errors.Is(err, record.ErrNotFound):
		_ = r.die(ReasonGone)
	case errors.Is(err, record.ErrCorrupt):
		_ = r.die(ReasonCorrupt)
	case err != nil:
		_ = r.storeError("touch", r.id, err) // Told to the hook and the log.
	case winner.Tombstone():
		_ = r.die(ReasonRenewed)
	default:
		r.draft.Rebase(winner)
		r.count(tally.Touched)
		r.owe(draft.Rest(time.Now(), winner).Ends, false)
		emit(r.m.config.Hooks.Saved, Event{ID: r.id})
	}
}

// destroy leaves the session behind and begins a new one.
func (r *request) destroy() {
	switch base := r.draft.Base(); {
	case r.fate != draft.Keep: // The stored session is the one that was left.
		r.fate = draft.End
	case base != nil:
		r.fate, r.leaving, r.left = draft.End, r.id, base
	case r.signed: // The store has it no more, or under another id.
		r.fate = draft.End
	}
	r.renewed, r.ended, r.forced, r.failed, r.life = false, false, false, nil, 0
	r.loggedIn()
	if !errors.Is(r.err, ErrCommitted) {
		r.err = nil
	}
	r.forget()
	r.draft.Drop()
	r.ownCookie = false
}

// condemned are the ids that a logout ends, each with the record that the request has seen under it: the session that was
// left, then whatever else the request presents well signed.
func (r *request) condemned() iter.Seq2[ident.ID, *record.Record] {
	return func(yield func(ident.ID, *record.Record) bool) {
		if !r.leaving.IsZero() && !yield(r.leaving, r.left) {
			return
		}
		if !r.signed {
			return
		}
		for id := range r.jar.Candidates() {
			if *id != r.leaving && !yield(*id, nil) {
				return
			}
		}
	}
}

// expire ends a session whose own terms say so. It reports whether the store has one to end.
func (r *request) expire() (finish bool) {
	if r.draft.Base() == nil && r.left == nil {
		r.draft.Drop()
		r.ownCookie, r.forced = false, false
		return false
	}
	r.tell(tally.Expired, r.m.config.Hooks.Expired, Event{ID: *r.stands()})
	r.destroy()
	return true
}

// finish ends the session that was left, what that was renewed into, and every other session that the request presents
// well signed. The cookie is expired with the attributes that it was set with.
func (r *request) finish() error {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(r.parent()), r.end())
	defer cancel()
	expire := debt{kind: dueExpire, record: r.left}
	if expire.record == nil {
		expire.record = r.arrived
	}
	var room [5]ident.ID
	ended := room[:0]
	defer func() { // At last, since a hook may panic.
		for _, id := range ended {
			r.tell(tally.Destroyed, r.m.config.Hooks.Destroyed, Event{ID: id})
		}
	}()
	for id, seen := range r.condemned() {
		d, err := r.m.users.Destroy(ctx, id, seen)
		if err != nil {
			return r.storeError("destroy", id, err)
		}
		if d.Ended {
			ended = append(ended, id)
		}
		if d.ByLogin { // The client may hold the cookie of that login.
			expire = debt{}
		}
	}
	r.fate, r.leaving, r.left, r.destroyed = draft.Keep, ident.ID{}, nil, true
	if r.authn != nil && r.authn.user != "" {
		r.fate = draft.Begin
	}
	r.debt = expire
	return nil
}

// authn is what a request has to do with a login.
type authn struct {
	user  string            // who is to be logged in; empty: nobody
	pass  int64             // the mark of this request's EndAll
	swept map[ident.ID]bool // what that has ended
	void  bool              // a login was void or refused
}

// authenticate returns the request's authn.
func (r *request) authenticate() *authn {
	if r.authn == nil {
		r.authn = &authn{}
	}
	return r.authn
}

// user returns who is logged in, as far as this request knows.
func (r *request) user() string {
	if r.authn != nil && r.authn.user != "" {
		return r.authn.user
	}
	if r.draft.Wiped() {
		return ""
	}
	id := r.stands()
	return r.m.users.UserOf(id, r.draft.Base())
}

// proven returns whose the session of id is that others can write: only our own proof counts.
func (m *Manager) proven(id *ident.ID, r *record.Record) string {
	h := r.Header()
	if h.User == "" || m.ring == nil {
		return ""
	}
	if _, ok := m.ring.CheckUserMAC(h.MAC, id, h.User, h.Login); !ok {
		return ""
	}
	return h.User
}

// logIn notes the login, which the commit carries out.
func (r *request) logIn(user string) {
	if err := record.CheckUser(user); err != nil {
		if r.err == nil {
			r.err = &ownError{err}
		}
		return
	}
	if r.alone {
		r.err = errInsideDo
		return
	}
	r.authenticate().user = strings.Clone(user)
	if r.draft.Base().LifeMS() != 0 && r.life == 0 {
		r.cookie, r.ownCookie = r.m.config.Cookie, true
	}
	switch base := r.draft.Base(); {
	case r.fate == draft.End: // First that one ends.
		return
	case r.fate == draft.Keep && base != nil:
		r.leaving, r.left = r.id, base
	case r.fate == draft.Keep && (r.renewed || r.ended) && r.signed:
		r.leaving = *r.presented()
	}
	r.fate, r.id, r.renewed = draft.Begin, ident.ID{}, false
}

// loggedIn notes that no login is to be carried out any more.
func (r *request) loggedIn() {
	if r.authn != nil {
		r.authn.user = ""
	}
}

// void reports whether a login of this request was void or refused.
func (r *request) void() bool { return r.authn != nil && r.authn.void }

// remember notes the life that the session is to have.
func (r *request) remember(d time.Duration) error {
	most := r.m.config.Lifetime
	switch {
	case r.alone:
		return errInsideDo
	case d < time.Second:
		return &ownError{fmt.Errorf("sess: Remember: %v; want at least a second", d)}
	case most > 0 && d > most:
		return &ownError{fmt.Errorf("sess: Remember: %v; want at most Config.Lifetime, %v", d, most)}
	}
	c := *r.options(r.draft.Base())
	c.MaxAge, c.Expires = d, time.Time{}
	if errs := c.Validate(!c.DangerouslyUnsigned, r.m.config.Koa); len(errs) > 0 {
		return &ownError{errors.Join(errs...)}
	}
	r.wrote()
	r.life, r.cookie, r.ownCookie = d, c, true
	return nil
}

// login begins the session of the user, and retires the one that was presented.
func (r *request) login(ctx context.Context, at time.Time, ttl time.Duration) error {
	a := r.authn
	in := users.Login{
		User: a.user, Old: r.leaving, New: r.id, Swept: a.swept,
		Attempt: record.LoginAttempt{Began: r.began(), Pass: a.pass},
		Build:   &builder{r, at, ttl, false},
	}
	if !r.leaving.IsZero() && r.arrived != nil && r.signed {
		in.Seen = r.m.users.UserOf(r.presented(), r.arrived) == a.user
	}
	made, err := r.m.users.Login(ctx, in)
	if errors.Is(err, users.ErrTaken) {
		return errIDTaken
	}
	if err == nil {
		r.id, r.created, r.ended = made.ID, made.Record.CreatedMS(), false
		r.draft.Rebase(made.Record)
		r.settled()
	}
	for _, id := range made.Trimmed {
		r.tell(tally.Displaced, r.m.config.Hooks.Displaced, Event{ID: id})
	}
	if err != nil {
		return err
	}
	if made.Joined {
		r.tell(tally.Saved, r.m.config.Hooks.Saved, Event{ID: r.id})
		return nil
	}
	r.count(tally.Created)
	if made.Old.IsZero() {
		emit(r.m.config.Hooks.Created, Event{ID: r.id})
		return nil
	}
	r.tell(tally.Regenerated, r.m.config.Hooks.Regenerated, Event{ID: r.id, Old: made.Old})
	return nil
}

// refuseLogin makes a login that is void the error of the request.
func (r *request) refuseLogin(err error) error {
	if !errors.Is(err, record.ErrLoginRefused) {
		err = record.ErrEnded
	}
	r.authenticate().void = true
	r.loggedIn()
	_ = r.die(ReasonGone)
	return &Failure{Op: "login", Err: err}
}

// builder makes the records of a request for the protocol of users' sessions.
type builder struct {
	r      *request
	at     time.Time
	ttl    time.Duration
	nobody bool // the new record is nobody's
}

func (b *builder) Write(id *ident.ID, on *record.Record, h record.Header) (*record.Record, time.Duration, error) {
	if b.r.life != 0 {
		h.Life = b.r.life.Milliseconds()
	}
	if b.nobody {
		h.User, h.Login = "", 0
	}
	return b.r.write(id, on, h, b.at, b.ttl)
}

func (b *builder) Keep(id *ident.ID, on *record.Record, h record.Header) (*record.Record, time.Duration, error) {
	ttl := b.r.complete(id, on, &h, b.at, b.ttl)
	next, err := record.Merge(on, nil, h, b.r.m.config.MaxRecordBytes)
	return next, ttl, err
}
