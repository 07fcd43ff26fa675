package sess

import (
	"context"
	"iter"
	"time"

	"github.com/fibersess/sess/internal/engine"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/jsontext"
	"github.com/fibersess/sess/internal/record"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// User is somebody who has sessions: those that [Session.Login] began for that name. It is a value, safe for concurrent
// use; get one from [Manager.User]. The zero User has no sessions.
//
// Its methods ask the store's servers, not a cache. Where ctx has no deadline they take at most ten times
// Config.StoreTimeout. Their errors are of type [*Error]; where the store is not a [UserIndex] they are ErrUnsupported.
type User engine.User

// Info is one session of a user.
type Info struct {
	Handle  string    // names the session to User.End: a hash of the id, which it does not reveal
	Created time.Time // by the clock of the store
	Login   time.Time
	Expires time.Time
	Record  *Record // what the application keeps in it, see Value
}

// User returns the user of a name.
func (m *Manager) User(name string) User { return User(m.engine.User(name)) }

// Sessions returns the sessions of the user, the oldest login first within some hundreds; those of a login or a renewal
// under way are not among them. It reads as the loop goes on, and ends with an error.
//
//	for info, err := range m.User("ann").Sessions(ctx) {
//		device, _ := sess.Value[string](info.Record, "device")
//	}
func (u User) Sessions(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for page, err := range engine.User(u).Sessions(ctx) {
			if err != nil {
				yield(Info{}, outer(err))
				return
			}
			for _, l := range page {
				info := Info{engine.NameOf(&l.ID), l.Record.Created(), time.UnixMilli(l.Login), l.Record.Expires(), (*Record)(l.Record)}
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
	return outer(engine.User(u).End(ctx, handle))
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
	n, err = engine.User(u).EndAll(ctx, mapped(s, Session.handle)...)
	return n, outer(err)
}

// EndOthers ends all sessions of the user but s, which must be one of them, and returns how many. What s is renewed into
// meanwhile is spared too. It promises of the others what EndAll does.
func (u User) EndOthers(ctx context.Context, s Session) (n int, err error) {
	n, err = engine.User(u).EndOthers(ctx, s.handle())
	return n, outer(err)
}

// End ends the session of an id, also where it was renewed. It is no error if there is none.
func (m *Manager) End(ctx context.Context, id ID) error {
	return outer(m.engine.End(ctx, ident.ID(id)))
}

// Handle returns what names this session to [User.End], empty if it is new.
func (s Session) Handle() string { return s.handle().Name() }

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
func (s Session) Login(user string) { s.handle().Login(user) }

// User returns who is logged in.
func (s Session) User() (name string, ok bool) { return s.handle().User() }

// LoginTime returns when the user logged in, zero if nobody is logged in, or if the login is not yet stored.
func (s Session) LoginTime() time.Time { return s.handle().LoginTime() }

// Expires returns when the session ends as it is stored, zero if it is new.
func (s Session) Expires() time.Time { return s.handle().Expires() }

// Remember gives this session a life of its own: d from each save on, before Config.TTL, and a cookie that lasts as long.
// The error says what is wrong with d: it must be positive, and not above Config.Lifetime. A login begins a session that
// is not remembered, unless the same request calls Remember.
func (s Session) Remember(d time.Duration) error { return outer(s.handle().Remember(d)) }

// All returns the keys of the session and the JSON of their values, in the order of [Session.Keys]. It sees the session as
// it is when the loop comes to each key.
func (s Session) All() iter.Seq2[string, string] { return s.handle().All() }

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
		h := m.engine.From(ctx)
		answer(ctx, outer(h.Strict(ctx, func() error {
			if err := h.CheckLogin(within); err != nil {
				return m.engine.Fail(ctx, err)
			}
			next(ctx)
			return nil
		})))
	}
}

// CheckLogin returns nil if the session is that of a user whose login is of the age within or less; 0 admits every login, and
// one of this request is new. Else the error is ErrLoginRequired, ErrLoginTooOld, or why the session cannot be read: handed on
// to Fiber it answers with its status. It goes by the session as the request has it.
func (s Session) CheckLogin(within time.Duration) error {
	return outer(s.handle().CheckLogin(within))
}
