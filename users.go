package sess

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"iter"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/jsontext"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/tally"
	"github.com/fibersess/sess/internal/users"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// User is somebody who has sessions: those that [Session.Login] began for that name. It is a value, safe for concurrent
// use; get one from [Manager.User]. The zero User has no sessions.
//
// Its methods ask the store's servers, not a cache. Where ctx has no deadline they take at most ten times
// Config.StoreTimeout. Their errors are of type [*Error]; where the store is not a [UserIndex] they are ErrUnsupported.
type User struct {
	m    *Manager
	name string
}

// Info is one session of a user.
type Info struct {
	Handle  string    // names the session to User.End: a hash of the id, which it does not reveal
	Created time.Time // by the clock of the store
	Login   time.Time
	Expires time.Time
	Record  *Record // what the application keeps in it, see Value
}

// User returns the user of a name.
func (m *Manager) User(name string) User { return User{m, name} }

// Sessions returns the sessions of the user, the oldest login first within some hundreds; those of a login or a renewal
// under way are not among them. It reads as the loop goes on, and ends with an error.
//
//	for info, err := range m.User("ann").Sessions(ctx) {
//		device, _ := sess.Value[string](info.Record, "device")
//	}
func (u User) Sessions(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := u.usable(); err != nil {
			yield(Info{}, err)
			return
		}
		for page, err := range u.m.users.Sessions(ctx, u.name) {
			if err != nil {
				yield(Info{}, u.failed(err))
				return
			}
			for _, l := range page {
				info := Info{handleOf(&l.ID), l.Record.Created(), time.UnixMilli(l.Login), l.Record.Expires(), (*Record)(l.Record)}
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

// End ends the session of a handle, if it is one of this user's: nobody ends another's by guessing. It is no error if it is
// not.
func (u User) End(ctx context.Context, handle string) error {
	if err := u.usable(); err != nil {
		return err
	}
	id, err := u.m.users.EndEntry(ctx, u.name, func(id *ident.ID) bool { return handleOf(id) == handle })
	if !id.IsZero() {
		u.m.ended(id)
	}
	return u.failed(err)
}

// EndAll ends all sessions of the user, and returns how many. When it has returned without an error, no session of the user
// lives whose login request began before it; other nodes let none in after RueidisConfig.MaxStale. A login whose request
// begins after it is a login.
//
// With s, the session of a request that goes on to log the user in anew, that login is let in: a password change is
//
//	changePassword(user)
//	n, err := m.User(user).EndAll(ctx, s)
//	s.Login(user)
func (u User) EndAll(ctx context.Context, s ...Session) (n int, err error) {
	if err := u.usable(); err != nil {
		return 0, err
	}
	if len(s) == 0 {
		swept, err := u.m.users.EndAll(ctx, u.name, ident.ID{}, record.LoginAttempt{Began: time.Now()})
		return u.swept(swept, err)
	}
	if len(s) > 1 {
		return 0, &Error{Op: "users", Err: &ownError{errors.New("sess: User.EndAll: several sessions; want at most one")}}
	}
	a, err := u.attempt(s[0])
	if err != nil {
		return 0, err
	}
	swept, err := u.m.users.EndAll(ctx, u.name, ident.ID{}, a)
	n, err = u.swept(swept, err)
	r := s[0].look()
	if r == nil {
		return n, s[0].released("users")
	}
	defer r.guard.Unlock()
	auth := r.authenticate()
	auth.pass = swept.Pass
	if auth.swept == nil {
		auth.swept = swept.Ended
	}
	for id := range swept.Ended {
		auth.swept[id] = true
	}
	return n, err
}

// EndOthers ends all sessions of the user but s, which must be one of them, and returns how many. What s is renewed into
// meanwhile is spared too. It promises of the others what EndAll does.
func (u User) EndOthers(ctx context.Context, s Session) (n int, err error) {
	if err := u.usable(); err != nil {
		return 0, err
	}
	a, err := u.attempt(s)
	if err != nil {
		return 0, err
	}
	r := s.look()
	if r == nil {
		return 0, s.released("users")
	}
	spare, user := *r.stands(), r.user()
	stored := r.draft.Base() != nil && r.fate != draft.Begin
	r.guard.Unlock()
	if !stored || user != u.name {
		return 0, &Error{Op: "users", Err: &ownError{errors.New("sess: User.EndOthers: the session is not a stored one of this user; want one that is")}}
	}
	return u.swept(u.m.users.EndAll(ctx, u.name, spare, a))
}

// attempt is what the marks go by, for the request of s.
func (u User) attempt(s Session) (a record.LoginAttempt, err error) {
	r := s.look()
	if r == nil {
		return a, s.released("users")
	}
	defer r.guard.Unlock()
	if r.m != u.m {
		return a, &Error{Op: "users", Err: &ownError{errors.New("sess: User: the session is another Manager's; want one of this Manager")}}
	}
	if r.guard.Taken() {
		return a, s.released("users")
	}
	a.Began = r.began()
	if r.authn != nil {
		a.Pass = r.authn.pass
	}
	return a, nil
}

// usable returns why u has no sessions to speak of.
func (u User) usable() error {
	switch {
	case u.m == nil:
		return &Error{Op: "users", Err: &ownError{errors.New("sess: User: the zero User; want that of Manager.User")}}
	case u.m.users.Index == nil || !u.m.shelf.atomic:
		return &Error{Op: "users", Err: ErrUnsupported}
	}
	if err := record.CheckUser(u.name); err != nil {
		return &Error{Op: "users", Err: &ownError{err}}
	}
	return nil
}

// swept tells of the sessions that were ended, and returns how many.
func (u User) swept(all users.Swept, err error) (n int, failed error) {
	for id := range all.Ended {
		u.m.ended(id)
	}
	return len(all.Ended), u.failed(err)
}

// failed turns an error of the store into the caller's.
func (u User) failed(err error) error {
	if err == nil {
		return nil
	}
	return u.m.storeError(0, "users", ident.ID{}, err)
}

// ended tells that a session was ended from outside of its requests.
func (m *Manager) ended(id ident.ID) {
	m.tally.Add(0, tally.Destroyed)
	emit(m.config.Hooks.Destroyed, Event{ID: ID(id)})
}

// End ends the session of an id, also behind renewals. It is no error if there is none.
func (m *Manager) End(ctx context.Context, id ID) error {
	ctx, cancel := context.WithTimeout(ctx, m.config.StoreTimeout)
	defer cancel()
	d, err := m.users.Destroy(ctx, ident.ID(id), nil)
	if err != nil {
		return m.storeError(0, "destroy", ident.ID(id), err)
	}
	if d.Ended {
		m.ended(ident.ID(id))
	}
	return nil
}

// Handle returns what names this session to [User.End], empty if it is new.
func (s Session) Handle() string {
	r := s.look()
	if r == nil {
		return ""
	}
	defer r.guard.Unlock()
	if r.draft.Base() == nil {
		return ""
	}
	id := r.stands()
	return handleOf(id)
}

// handleOf is 128 bits of a hash of an id, in base64url.
func handleOf(id *ident.ID) string {
	sum := sha256.Sum256(append([]byte("sess handle "), id.Bytes()...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Value returns the value under key in a record, as [Get] does of a session.
func Value[T any](r *Record, key string) (value T, ok bool) {
	raw, ok := r.Raw(key)
	if !ok || record.IsReserved(key) {
		return value, false
	}
	return jsontext.DecodeValue[T](raw)
}

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
	return r.logged("remember", r.remember(d))
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

// RequireLogin is a handler for routes that only users may use. It refuses a request as [Session.CheckLogin] says: with
// [ErrLoginRequired], 401, if nobody is logged in, and with [ErrLoginTooOld], 403, if the login is older than within, so that the
// user can be asked for the password again. It reads the session as [Strict] does.
//
//	app.Post("/password", sess.RequireLogin(10*time.Minute), changePassword)
func RequireLogin(within time.Duration) fiber.Handler {
	return func(c *fiber.Ctx) error {
		return RunStrict(c.Context(), func() error {
			if err := From(c).CheckLogin(within); err != nil {
				return err
			}
			return c.Next()
		})
	}
}

// RequireLogin is the function of that name for plain fasthttp, inside of Wrap. Config.ErrorHandler hears of what it refuses.
func (m *Manager) RequireLogin(within time.Duration, next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		s := m.FromRequest(ctx)
		answer(ctx, s.strict(ctx, func() error {
			if err := s.CheckLogin(within); err != nil {
				return m.fail(ctx, err)
			}
			next(ctx)
			return nil
		}))
	}
}

// CheckLogin returns nil if the session is that of a user whose login is of the age within or less; 0 admits every login, and
// one of this request is new. Else the error is ErrLoginRequired, ErrLoginTooOld, or why the session cannot be read: handed on
// to Fiber it answers with its status. It goes by the session as the request has it.
func (s Session) CheckLogin(within time.Duration) error {
	r := s.enter()
	if r == nil {
		return s.released("login")
	}
	defer r.guard.Unlock()
	if err := r.load(); err != nil {
		return err
	}
	fresh := r.authn != nil && r.authn.user != ""
	switch {
	case r.user() == "":
		return wrap("login", ErrLoginRequired)
	case within > 0 && !fresh && time.Since(time.UnixMilli(r.draft.Base().LoginMS())) > within:
		return wrap("login", ErrLoginTooOld)
	}
	return nil
}
