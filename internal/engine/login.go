package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/tally"
	"github.com/fibersess/sess/internal/users"
)

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
	id := r.storedID()
	return r.m.users.UserOf(id, r.draft.Base())
}

// proven returns whose the session of id is, where others write records too: only a MAC of ours counts.
func (m *Manager) proven(id *ident.ID, r *record.Record) string {
	h := r.Header()
	if h.User == "" || m.keyring == nil {
		return ""
	}
	if _, ok := m.keyring.CheckUserMAC(h.MAC, id, h.User, h.Login); !ok {
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
	if r.detached {
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

// cancelLogin notes that no login is to be carried out any more.
func (r *request) cancelLogin() {
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
	case r.detached:
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
	r.noteWrite()
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
	if !r.leaving.IsZero() && r.firstLoaded != nil && r.signed {
		in.Seen = r.m.users.UserOf(r.presented(), r.firstLoaded) == a.user
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
	r.cancelLogin()
	_ = r.die(ReasonGone)
	return &Failure{Op: "login", Err: err}
}
