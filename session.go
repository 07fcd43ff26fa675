package sess

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/jsontext"
	"github.com/fibersess/sess/internal/record"
)

// Session is a handle on the session of one request: a value, to be copied freely. Several goroutines of the request
// may use it at once. When the request is over the handle is inert: reads find nothing, writes do nothing, and Err is
// ErrReleased; it never reaches the session of another request. The zero Session is inert.
//
// What a handler writes is kept beside the stored record and saved when the handler has returned, together with what
// other requests saved meanwhile: requests that write different keys all win.
type Session struct {
	st   *state
	gen  uint64
	pass uint64 // of a callback's handle, see state.call
}

// Get returns the value under key. ok is false if there is none, or if it is not a T: a number is every numeric type
// that holds it exactly (and the float64 that JavaScript writes so: 2^60 as 1152921504606847000), everything else is what
// encoding/json makes of it. The value may be kept after the request.
func Get[T any](s Session, key string) (value T, ok bool) {
	raw, ok := s.raw(key)
	if !ok {
		return value, false
	}
	return jsontext.DecodeValue[T](raw)
}

// Set puts value under key, whatever its type: scalars, strings, byte slices and times without an allocation, all
// else as encoding/json writes it. The value is copied at once. If it cannot be encoded, or if key is "cookie" or
// "$", nothing is written, [Session.Err] says so, and the save will fail with that error. A value's own encoding must
// not use the session.
func Set[T any](s Session, key string, value T) {
	if !s.enterToWrite() {
		return
	}
	defer s.st.mu.Unlock()
	s.st.written()
	if err := record.Set(&s.st.changes, key, value); err != nil {
		s.st.failWrite(err)
	}
}

// Update puts under key what f makes of the value there; ok is false if there is none, or none of type T. Under
// parallel requests it is exact, with a store that is a [Swapper]: f runs at once, and again with the newer value each
// time the save meets another's change. So f must be pure, and touch neither the session nor the request.
func Update[T any](s Session, key string, f func(old T, ok bool) T) {
	if !s.enterToWrite() {
		return
	}
	defer s.st.mu.Unlock()
	s.st.written()
	if s.st.load() != nil {
		return
	}
	if err := s.st.changes.Update(s.st.record, key, record.UpdateFunc[T](f)); err != nil {
		s.st.failWrite(err)
	}
}

// Take returns the value under key and deletes it, at once and in the store: of all the requests of all processes that
// take it, one gets it. For one-time tokens and messages. The error is ErrUnsupported if the store is not a
// [Swapper], ErrReleased for an inert handle, an [*Error] if the store failed. A value that is not a T is taken too,
// with ok false.
func Take[T any](s Session, key string) (value T, ok bool, err error) {
	raw, ok, err := s.take(key)
	if err != nil || !ok {
		return value, false, err
	}
	value, ok = jsontext.DecodeValue[T](raw)
	return value, ok, nil
}

// ID returns the session's id, a secret. A new session gets one when asked. It is zero if the id cannot be had.
func (s Session) ID() ID {
	if !s.look() {
		return ID{}
	}
	defer s.st.mu.Unlock()
	if err := s.st.newID(); err != nil {
		s.st.failWrite(err)
	}
	return ID(s.st.id)
}

// IsNew reports whether the session is not one that the store holds.
func (s Session) IsNew() bool { return !s.Exists() }

// Exists reports whether the store holds the session, as far as this request knows.
func (s Session) Exists() bool {
	if !s.look() {
		return false
	}
	defer s.st.mu.Unlock()
	return s.st.record != nil
}

// Created returns when the session was first stored, zero if it is new. [Session.Regenerate] does not change it.
func (s Session) Created() time.Time {
	if !s.look() {
		return time.Time{}
	}
	defer s.st.mu.Unlock()
	if s.st.record == nil || s.st.created == 0 {
		return time.Time{}
	}
	return time.UnixMilli(s.st.created)
}

// Keys returns the session's keys: the stored ones in the order of the record, then new ones in the order of writing.
func (s Session) Keys() []string {
	if !s.look() {
		return nil
	}
	defer s.st.mu.Unlock()
	return slices.Collect(s.st.changes.Keys(s.st.record))
}

// Has reports whether there is a value under key, of whatever type.
func (s Session) Has(key string) bool {
	_, ok := s.raw(key)
	return ok
}

// Delete removes the value under key.
func (s Session) Delete(key string) {
	if !s.enterToWrite() {
		return
	}
	defer s.st.mu.Unlock()
	s.st.written()
	err := s.st.changes.Delete(s.st.record, key)
	if record.IsReserved(key) {
		err = ErrReserved
	}
	if err != nil {
		s.st.failWrite(err)
	}
}

// Clear removes every value, also those that other requests add until the save. Cookie options stay.
func (s Session) Clear() {
	if !s.enterToWrite() {
		return
	}
	defer s.st.mu.Unlock()
	s.st.written()
	s.st.changes.Wipe()
}

// Cookie returns the cookie options of this session: its own, or those of the Config.
func (s Session) Cookie() Cookie {
	if !s.look() {
		return Cookie{}
	}
	defer s.st.mu.Unlock()
	return Cookie(*s.st.options(s.st.record))
}

// SetCookie gives this session cookie options of its own. They are kept in the record and hold for every later cookie
// of the session; without Config.TTL its Expires or MaxAge also are the record's. Change what Cookie returns: a zero
// MaxAge and Expires mean a browser session, an empty Path is that of the Config, a zero Secure or SameSite the default. The name cannot be changed.
// The error lists what is wrong with c, and then nothing was changed.
func (s Session) SetCookie(c Cookie) error {
	if !s.enterToWrite() {
		return ErrReleased
	}
	defer s.st.mu.Unlock()
	own := &s.st.m.cookie
	c.Name, c.DangerouslyUnsigned = own.Name, own.DangerouslyUnsigned
	if c.Path == "" {
		c.Path = own.Path
	}
	full := cookies.Cookie(c).WithDefaults()
	if errs := full.Validate(!c.DangerouslyUnsigned); len(errs) > 0 {
		return errors.Join(errs...)
	}
	s.st.written()
	s.st.cookie, s.st.ownCookie = full, true
	return nil
}

// Save stores the session now and not at the end of the request; the cookie is sent with the response as always.
// Nothing is stored if nothing has changed. After the middleware has returned, Save still stores changes of a session
// that exists; for a new one the error is ErrCommitted then, since its cookie can no longer be sent. It is ErrReleased
// where the request was reset before anything was stored. When the store fails it may have stored the session or not,
// so nothing saves it a second time: the request fails with the same error, unless Destroy ends the session.
func (s Session) Save() error {
	if !s.enter() {
		return ErrReleased
	}
	defer s.st.mu.Unlock()
	return s.st.save()
}

// ForceSave makes the session be saved at the end of the request, changed or not, empty or not.
func (s Session) ForceSave() {
	if !s.enterToWrite() {
		return
	}
	defer s.st.mu.Unlock()
	s.st.written()
	s.st.forced, s.st.discarded = true, false
}

// Discard makes the session not be saved, renewed or destroyed at the end of the request, whatever was asked for
// before or after, ForceSave excepted.
func (s Session) Discard() {
	if !s.enter() {
		return
	}
	defer s.st.mu.Unlock()
	s.st.written()
	s.st.discarded, s.st.forced = true, false
}

// Regenerate gives the session a new id and keeps its data. Call it on every change of privilege, a login above all:
// an id that somebody planted or saw before is worth nothing then. For an empty session call Clear as well.
//
// The old record goes when the new one is stored. Requests under way with the old id lose what they write.
func (s Session) Regenerate() {
	if !s.enterToWrite() || !s.st.lookUp() {
		return
	}
	defer s.st.mu.Unlock()
	s.st.written()
	s.st.regenerate()
}

// Destroy ends the session: at the end of the request its record is deleted and its cookies are expired. Nothing that
// another request does can bring it back. What is written after Destroy begins a new session. Destroying a new session
// only forgets it.
func (s Session) Destroy() {
	if !s.enterToWrite() || !s.st.lookUp() {
		return
	}
	defer s.st.mu.Unlock()
	s.st.written()
	s.st.destroy()
}

// Refresh reads the session again, past every cache of this process. Changes not yet saved stay. The error is an
// [*Error] if the store failed; a session that has ended is a new one after it, and no error.
func (s Session) Refresh() error {
	if !s.enter() {
		return ErrReleased
	}
	defer s.st.mu.Unlock()
	return s.st.refresh()
}

// Err returns why the session cannot be read or saved as things are: the store's failure, a value that could not be
// encoded, a reserved key; ErrReleased for an inert handle, ErrCommitted for a write that came too late; or nil.
func (s Session) Err() error {
	if !s.enter() {
		return ErrReleased
	}
	defer s.st.mu.Unlock()
	if s.st.loadErr != nil {
		return s.st.loadErr
	}
	return s.st.err
}

// Format prints no more than whether there is a session.
func (s Session) Format(f fmt.State, _ rune) {
	text := "sess.Session"
	if s.st == nil {
		text += "(inert)"
	}
	fmt.Fprint(f, text)
}

// enter takes the state's lock, and reports whether the handle is alive; if not, nothing is locked.
func (s Session) enter() bool {
	st := s.st
	if st == nil {
		return false
	}
	st.mu.Lock()
	for st.callback != 0 && st.callback != s.pass && st.life.Load()/generation == s.gen {
		st.idle.Wait()
	}
	if !st.use(s.gen) {
		st.mu.Unlock()
		return false
	}
	return true
}

// look is enter, with the session loaded. It reports false if that failed.
func (s Session) look() bool {
	return s.enter() && (s.st.loaded && s.st.loadErr == nil || s.st.lookUp())
}

// enterToWrite is enter. The Dropped hook hears of a handle that is not alive any more.
func (s Session) enterToWrite() bool {
	if s.enter() {
		return true
	}
	if s.st != nil {
		s.st.drop(Event{Reason: ReasonReleased}) // It reads what never changes.
	}
	return false
}

// raw returns the JSON of the value under key, in memory that nobody writes to.
func (s Session) raw(key string) (string, bool) {
	if !s.look() {
		return "", false
	}
	defer s.st.mu.Unlock()
	return s.st.changes.Raw(s.st.record, key)
}

// take removes key from the store and from what is written, and returns what was there.
func (s Session) take(key string) (string, bool, error) {
	if !s.enter() {
		return "", false, ErrReleased
	}
	defer s.st.mu.Unlock()
	return s.st.take(key)
}
