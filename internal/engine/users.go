package engine

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"iter"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/tally"
	"github.com/fibersess/sess/internal/users"
)

// User is the root's User, which says what its methods promise.
type User struct {
	m    *Manager
	name string
}

// User returns the user of a name.
func (m *Manager) User(name string) User { return User{m, name} }

// Sessions returns the sessions of the user, page by page.
func (u User) Sessions(ctx context.Context) iter.Seq2[[]users.Listed, error] {
	return func(yield func([]users.Listed, error) bool) {
		if err := u.usable(); err != nil {
			yield(nil, err)
			return
		}
		for page, err := range u.m.users.Sessions(ctx, u.name) {
			if err != nil {
				yield(nil, u.failed(err))
				return
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// End ends the session of a name, see [NameOf], if it is one of this user's.
func (u User) End(ctx context.Context, name string) error {
	if err := u.usable(); err != nil {
		return err
	}
	id, err := u.m.users.EndEntry(ctx, u.name, func(id *ident.ID) bool { return NameOf(id) == name })
	if !id.IsZero() {
		u.m.ended(id)
	}
	return u.failed(err)
}

// EndAll ends all sessions of the user, and returns how many. With h, of a request that goes on to log the user in, that
// login is let in.
func (u User) EndAll(ctx context.Context, h ...Handle) (n int, err error) {
	if err := u.usable(); err != nil {
		return 0, err
	}
	if len(h) == 0 {
		return u.swept(u.m.users.EndAll(ctx, u.name, ident.ID{}, record.LoginAttempt{Began: time.Now()}))
	}
	if len(h) > 1 {
		return 0, misused("sess: User.EndAll: several sessions; want at most one")
	}
	a, err := u.attempt(h[0])
	if err != nil {
		return 0, err
	}
	all, err := u.m.users.EndAll(ctx, u.name, ident.ID{}, a)
	n, err = u.swept(all, err)
	r := h[0].look()
	if r == nil {
		return n, released("users")
	}
	defer r.guard.Unlock()
	r.authenticate().noteSweep(all)
	return n, err
}

// noteSweep notes what the request's EndAll has ended, for the login that follows.
func (a *authn) noteSweep(all users.Swept) {
	a.pass = all.Pass
	if a.swept == nil {
		a.swept = all.Ended
	}
	for id := range all.Ended {
		a.swept[id] = true
	}
}

// EndOthers ends all sessions of the user but that of h, which must be one of them, and returns how many.
func (u User) EndOthers(ctx context.Context, h Handle) (n int, err error) {
	if err := u.usable(); err != nil {
		return 0, err
	}
	a, err := u.attempt(h)
	if err != nil {
		return 0, err
	}
	r := h.look()
	if r == nil {
		return 0, released("users")
	}
	spare, user := *r.storedID(), r.user()
	stored := r.draft.Base() != nil && r.fate != draft.Begin
	r.guard.Unlock()
	if !stored || user != u.name {
		return 0, misused("sess: User.EndOthers: the session is not a stored one of this user; want one that is")
	}
	return u.swept(u.m.users.EndAll(ctx, u.name, spare, a))
}

// attempt is what the marks go by, for the request of h.
func (u User) attempt(h Handle) (a record.LoginAttempt, err error) {
	r := h.look()
	if r == nil {
		return a, released("users")
	}
	defer r.guard.Unlock()
	if r.m != u.m {
		return a, misused("sess: User: the session is another Manager's; want one of this Manager")
	}
	if r.guard.Taken() {
		return a, released("users")
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
		return misused("sess: User: the zero User; want that of Manager.User")
	case u.m.users.Index == nil || !u.m.shelf.atomic:
		return &Failure{Op: "users", Err: ErrUnsupported}
	}
	if err := record.CheckUser(u.name); err != nil {
		return &Failure{Op: "users", Err: &ownError{err}}
	}
	return nil
}

// misused is the error of a call that is the application's own mistake.
func misused(text string) error { return &Failure{Op: "users", Err: &ownError{errors.New(text)}} }

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
	emit(m.config.Hooks.Destroyed, Event{ID: id})
}

// End ends the session of an id, also where it was renewed.
func (m *Manager) End(ctx context.Context, id ident.ID) error {
	ctx, cancel := context.WithTimeout(ctx, m.config.StoreTimeout)
	defer cancel()
	d, err := m.users.Destroy(ctx, id, nil)
	if err != nil {
		return m.storeError(0, "destroy", id, err)
	}
	if d.Ended {
		m.ended(id)
	}
	return nil
}

// Name returns what names the session to [User.End], empty if it is new.
func (h Handle) Name() string {
	return withRecord(h, func(r *request, _ *record.Record) string { return NameOf(r.storedID()) })
}

// NameOf is 128 bits of a hash of an id, in base64url.
func NameOf(id *ident.ID) string {
	sum := sha256.Sum256(append([]byte("sess handle "), id.Bytes()...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
