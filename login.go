package sess

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/users"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Login makes the session that of user, 1 to 256 bytes of UTF-8, under a new id. Call it when the credentials were
// checked, and only then: it is carried out also where the handler returns an error. It keeps the data of a session that
// was nobody's or this user's; its age begins now. Whoever holds the old id gains nothing from it.
//
// It is carried out by the save, as Regenerate is. If it is void the response is replaced by 401, and [Session.Save] tells
// early: ErrLoginRefused if all sessions of the user were ended after this request began; ErrEnded if the request had the
// session as this user's, for a step-up, and that has ended meanwhile.
func (s Session) Login(user string) {
	r := s.enter()
	if r == nil {
		s.dropped()
		return
	}
	if r.lookUp() {
		defer r.guard.Unlock()
		r.wrote()
		r.logIn(user)
	}
}

// User returns who is logged in.
func (s Session) User() (name string, ok bool) {
	r := s.look()
	if r == nil {
		return "", false
	}
	defer r.guard.Unlock()
	name = r.user()
	return name, name != ""
}

// LoginTime returns when the user logged in, zero if nobody is logged in, or if the login is not yet stored.
func (s Session) LoginTime() time.Time {
	r := s.look()
	if r == nil {
		return time.Time{}
	}
	defer r.guard.Unlock()
	if r.fate == draft.Begin || r.user() == "" || r.draft.Base().LoginMS() == 0 {
		return time.Time{}
	}
	return time.UnixMilli(r.draft.Base().LoginMS())
}

// Expires returns when the session ends as it is stored, zero if it is new.
func (s Session) Expires() time.Time {
	r := s.look()
	if r == nil {
		return time.Time{}
	}
	defer r.guard.Unlock()
	return r.draft.Base().Expires()
}

// Remember gives this session a life of its own: d from each save on, before Config.TTL, and a cookie that lasts as long.
// The error says what is wrong with d: it must be positive, and not above Config.Lifetime. A login begins a session that
// is not remembered, unless the same request calls Remember.
func (s Session) Remember(d time.Duration) error {
	r, err := s.mustEnter("remember")
	if err != nil {
		return err
	}
	defer r.guard.Unlock()
	return wrap("remember", r.remember(d))
}

// All returns the keys of the session and the JSON of their values, in the order of [Session.Keys]. It sees the session as
// it is when the loop comes to each key.
func (s Session) All() iter.Seq2[string, string] {
	return func(yield func(key, json string) bool) {
		for _, key := range s.Keys() {
			if raw, ok := s.raw(key); ok && !yield(key, raw) {
				return
			}
		}
	}
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
	r.authenticate().user = strings.Clone(user)
	if r.draft.Base().LifeMS() != 0 && r.life == 0 {
		r.cookie, r.ownCookie = r.m.cookie, true
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
		Attempt: record.LoginAttempt{Began: arrivalTime(r.ctx), Pass: a.pass},
		Build:   &builder{r, at, ttl, false},
	}
	if !r.leaving.IsZero() && r.arrived != nil && r.signed {
		in.Seen = r.m.users.UserOf(r.presented(), r.arrived) == a.user
	}
	made, err := r.m.users.Login(ctx, in)
	if errors.Is(err, users.ErrTaken) {
		return errIDTaken
	}
	for _, id := range made.Trimmed {
		r.count(countDestroyed)
		emit(r.m.config.Hooks.Displaced, Event{ID: ID(id)})
	}
	if err != nil {
		return err
	}
	r.id, r.created, r.ended = made.ID, made.Record.CreatedMS(), false
	r.draft.Rebase(made.Record)
	if made.Joined {
		r.count(countSaved)
		emit(r.m.config.Hooks.Saved, Event{ID: ID(r.id)})
		return nil
	}
	r.count(countCreated)
	if made.Old.IsZero() {
		emit(r.m.config.Hooks.Created, Event{ID: ID(r.id)})
		return nil
	}
	r.count(countRegenerated)
	emit(r.m.config.Hooks.Regenerated, Event{ID: ID(r.id), Old: ID(made.Old)})
	return nil
}

// refuseLogin makes a login that is void the error of the request.
func (r *request) refuseLogin(err error) error {
	if !errors.Is(err, ErrLoginRefused) {
		err = ErrEnded
	}
	r.authenticate().void = true
	r.loggedIn()
	_ = r.die(ReasonGone)
	return &Error{Op: "login", Err: err}
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

// RequireLogin is a handler for routes that only users may use: it answers 401 if nobody is logged in, and 403 if the login
// is older than within, so that the user can be asked for the password again; 0 admits every login. It reads the session
// as [Strict] does.
//
//	app.Post("/password", sess.RequireLogin(10*time.Minute), changePassword)
func RequireLogin(within time.Duration) fiber.Handler {
	return func(c *fiber.Ctx) error {
		s := From(c)
		if err := s.Refresh(); err != nil && s.t != nil && !errors.Is(err, ErrEnded) {
			return s.t.r.m.fail(c.Context(), err)
		}
		if status := s.loginStatus(within); status != http.StatusOK {
			return fiber.NewError(status)
		}
		return c.Next()
	}
}

// RequireLogin is the function of that name for plain fasthttp, inside of Wrap.
func (m *Manager) RequireLogin(within time.Duration, next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		s := m.FromRequest(ctx)
		status := http.StatusServiceUnavailable
		if err := s.Refresh(); err == nil || errors.Is(err, ErrEnded) || errors.Is(err, ErrReleased) {
			status = s.loginStatus(within)
		}
		if status == http.StatusOK {
			next(ctx)
			return
		}
		ctx.SetStatusCode(status)
		ctx.SetBodyString(http.StatusText(status))
	}
}

// loginStatus is the status of a request that needs a login of the given age or less.
func (s Session) loginStatus(within time.Duration) int {
	if _, ok := s.User(); !ok {
		return http.StatusUnauthorized
	}
	if within > 0 && time.Since(s.LoginTime()) > within {
		return http.StatusForbidden
	}
	return http.StatusOK
}
