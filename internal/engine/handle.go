package engine

import (
	"errors"
	"iter"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/guard"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/jsontext"
	"github.com/fibersess/sess/internal/record"
	"github.com/valyala/fasthttp"
)

// Handle is the root's Session, which says what its methods promise. Each of them locks the request, and unlocks it before it
// returns. They enter it by one of six methods, which all return nil where the request is over:
//
//	enter         locked
//	look          locked, and loaded; nil too where the load fails
//	enterAnyway   as enter; a dead handle is told to the Dropped hook
//	enterToWrite  as enterAnyway; nil too, and told, where the session has ended
//	mustEnter     as enterToWrite, with the error
//	withRecord    calls a function, locked and loaded, if there is a stored record
type Handle struct {
	t    *ticket
	turn guard.Turn // of the callback that got this handle; 0: none
}

// Inert reports whether h is on no request at all.
func (h Handle) Inert() bool { return h.t == nil }

// Get returns the value under key.
func Get[T any](h Handle, key string) (value T, ok bool) {
	raw, ok := h.Raw(key)
	if !ok {
		return value, false
	}
	return jsontext.DecodeValue[T](raw)
}

// Set puts value under key.
func Set[T any](h Handle, key string, value T) {
	r := h.enterToWrite()
	if r == nil {
		return
	}
	defer r.guard.Unlock()
	r.noteWrite()
	draft.Set(&r.draft, key, value)
}

// Update puts under key what f makes of the value there.
func Update[T any](h Handle, key string, f func(old T, ok bool) T) {
	r := h.enterToWrite()
	if r == nil || !r.lookUp() {
		return
	}
	defer r.guard.Unlock()
	r.noteWrite()
	r.draft.Update(key, record.UpdateFunc[T](f))
}

// Take returns the value under key and deletes it, at once and in the store.
func Take[T any](h Handle, key string) (value T, ok bool, err error) {
	raw, ok, err := h.take(key)
	if err != nil || !ok {
		return value, false, err
	}
	value, ok = jsontext.DecodeValue[T](raw)
	return value, ok, nil
}

func (h Handle) take(key string) (raw string, ok bool, err error) {
	r := h.enter()
	if r == nil {
		return "", false, released("take")
	}
	defer r.guard.Unlock()
	raw, ok, err = r.takeKey(key)
	return raw, ok, wrap("take", err)
}

// Raw returns the JSON of the value under key, in memory that nobody writes to.
func (h Handle) Raw(key string) (string, bool) {
	r := h.look()
	if r == nil {
		return "", false
	}
	defer r.guard.Unlock()
	return r.draft.Get(key)
}

// Holds reports whether there is a value under key, and the error if the session cannot be read.
func (h Handle) Holds(key string) (ok bool, err error) {
	r := h.enter()
	if r == nil {
		return false, released("take")
	}
	defer r.guard.Unlock()
	if err := r.load(); err != nil {
		return false, err
	}
	_, ok = r.draft.Get(key)
	return ok, nil
}

func (h Handle) ID() ident.ID {
	r := h.look()
	if r == nil {
		return ident.ID{}
	}
	defer r.guard.Unlock()
	if r.ended {
		return ident.ID{}
	}
	if err := r.newID(); err != nil && r.err == nil {
		r.err = err
	}
	return r.id
}

// withRecord calls f with the stored record and the request, unless there is none.
func withRecord[T any](h Handle, f func(r *request, base *record.Record) T) (answer T) {
	r := h.look()
	if r == nil {
		return answer
	}
	defer r.guard.Unlock()
	if base := r.draft.Base(); base != nil {
		return f(r, base)
	}
	return answer
}

func (h Handle) Exists() bool {
	return withRecord(h, func(*request, *record.Record) bool { return true })
}

func (h Handle) Created() time.Time {
	return withRecord(h, func(r *request, _ *record.Record) time.Time { return instant(r.created) })
}

func (h Handle) Expires() time.Time {
	return withRecord(h, func(_ *request, base *record.Record) time.Time { return base.Expires() })
}

func (h Handle) LoginTime() time.Time {
	return withRecord(h, func(r *request, base *record.Record) time.Time {
		if r.fate == draft.Begin || r.user() == "" {
			return time.Time{}
		}
		return instant(base.LoginMS())
	})
}

// instant is a time in Unix milliseconds, 0 for none.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func (h Handle) Keys() []string {
	r := h.look()
	if r == nil {
		return nil
	}
	defer r.guard.Unlock()
	return r.draft.Keys()
}

func (h Handle) All() iter.Seq2[string, string] {
	return func(yield func(key, json string) bool) {
		for _, key := range h.Keys() {
			if raw, ok := h.Raw(key); ok && !yield(key, raw) {
				return
			}
		}
	}
}

func (h Handle) User() (name string, ok bool) {
	r := h.look()
	if r == nil {
		return "", false
	}
	defer r.guard.Unlock()
	name = r.user()
	return name, name != ""
}

// CheckLogin returns nil if a user is logged in whose login is of the age within or less; 0 admits every login.
func (h Handle) CheckLogin(within time.Duration) error {
	r := h.enter()
	if r == nil {
		return released("login")
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

func (h Handle) Cookie() cookies.Cookie {
	r := h.look()
	if r == nil {
		return cookies.Cookie{}
	}
	defer r.guard.Unlock()
	return *r.options(r.draft.Base())
}

func (h Handle) CheckToken(purpose, token string) bool {
	r := h.look()
	if r == nil {
		return false
	}
	defer r.guard.Unlock()
	return !r.id.IsZero() && r.m.keyring != nil && r.m.keyring.CheckToken(purpose, &r.id, token)
}

func (h Handle) Refresh() error {
	r := h.enter()
	if r == nil {
		return released("refresh")
	}
	defer r.guard.Unlock()
	return wrap("refresh", r.refresh())
}

// Strict runs next if the session could be read past every cache, also where it has ended.
func (h Handle) Strict(ctx *fasthttp.RequestCtx, next func() error) error {
	err := h.Refresh()
	switch {
	case err == nil, errors.Is(err, record.ErrEnded):
		return next()
	case h.Inert():
		sayNoSession()
		return err
	}
	return h.t.r.m.Fail(ctx, err)
}

func (h Handle) Err() error {
	r := h.enter()
	if r == nil {
		return released("use")
	}
	defer r.guard.Unlock()
	switch {
	case r.loadErr != nil:
		return r.loadErr
	case r.err != nil:
		return wrap("save", r.err)
	case r.dead():
		return wrap("save", record.ErrEnded)
	}
	if err := r.draft.Fault(); err != nil {
		return &Failure{Op: "save", Err: &ownError{err}}
	}
	return nil
}

// dead reports whether the session ended while the handle was in use, and nothing has begun a new one.
func (r *request) dead() bool { return r.ended && r.fate == draft.Keep }

// enter takes the lock, and returns the request; nil if the handle is not alive, and then nothing is locked.
func (h Handle) enter() *request {
	if h.t == nil {
		return nil
	}
	r := h.t.r
	late, ok := r.guard.Enter(h.t.gen, h.turn)
	if !ok {
		return nil
	}
	r.committed = r.committed || late
	return r
}

// look is enter, with the session loaded.
func (h Handle) look() *request {
	r := h.enter()
	if r == nil || r.loaded && r.loadErr == nil || r.lookUp() {
		return r
	}
	return nil
}

// released is the error of a handle that is not alive.
func released(op string) error { return &Failure{Op: op, Err: ErrReleased} }
