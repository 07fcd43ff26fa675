package sess

import (
	"fmt"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/engine"
)

// Session is a handle on the session of one request: a value, to be copied freely. Several goroutines of the request
// may use it at once. When the request is over the handle is inert: reads find nothing, writes do nothing, and Err is
// ErrReleased; it never reaches the session of another request. The zero Session is inert.
//
// A request is over when fasthttp resets it: after a body stream, and after a hijacked connection such as a WebSocket.
// There a handle lives on and shows the session as the handshake found it. A socket or a stream that must hear of a logout
// takes a [Live] from [Session.Detach].
//
// What a handler writes is kept beside the stored record and saved when the handler has returned, together with what
// other requests saved meanwhile: requests that write different keys all win. The exceptions are told, and are all of one
// kind: what is written to a session that another request ends or renews meanwhile is dropped.
//
// Errors that a Session returns are of type [*Error]: handed on to Fiber, they answer with a status and no more.
type Session engine.Handle

// handle is s in the words of the engine.
func (s Session) handle() engine.Handle { return engine.Handle(s) }

// Get returns the value under key. ok is false if there is none, or if it is not a T: a number is every numeric type
// that holds it exactly (and the float64 that JavaScript writes so: 2^60 as 1152921504606847000), everything else is what
// encoding/json makes of it. Where T has an any, wherever it stands, a number in that is a float64, or a [json.Number] if
// no float64 holds it exactly. The value may be kept after the request.
func Get[T any](s Session, key string) (value T, ok bool) {
	return engine.Get[T](s.handle(), key)
}

// Set puts value under key, whatever its type: scalars, strings, byte slices and times without an allocation, all
// else as encoding/json writes it. The value is copied at once. If it cannot be stored, nothing is written,
// [Session.Err] says so, and the save will fail with that error, until key is written or deleted. That is so if key is
// "cookie" or "$", if key or a string in value is not UTF-8 (use []byte for bytes), if the session would be larger than
// Config.MaxRecordBytes, if encoding/json refuses the value, or if T can never be read back, as an interface with methods
// such as error. A value's own encoding must not use the session.
func Set[T any](s Session, key string, value T) { engine.Set(s.handle(), key, value) }

// Update puts under key what f makes of the value there; ok is false if there is none, or none of type T. Under
// parallel requests it is exact, with a store that is a [Swapper]: f runs at once, and again with the newer value each
// time the save meets another's change. So f must be pure, and touch neither the session nor the request.
func Update[T any](s Session, key string, f func(old T, ok bool) T) {
	engine.Update(s.handle(), key, f)
}

// Take returns the value under key and deletes it, at once and in the store: of all the requests of all processes that
// take it, one gets it. For one-time tokens and messages. The error is ErrUnsupported if the store is not a
// [Swapper], ErrReleased for an inert handle, ErrEnded if the session has ended, else the store's. A value that is not a
// T is taken too, with ok false.
func Take[T any](s Session, key string) (value T, ok bool, err error) {
	value, ok, err = engine.Take[T](s.handle(), key)
	return value, ok, outer(err)
}

// ID returns the session's id, a secret. A new session gets one when asked. It is zero if the id cannot be had, and where
// the session has ended.
func (s Session) ID() ID { return ID(s.handle().ID()) }

// Exists reports whether the store holds the session, as far as this request knows.
func (s Session) Exists() bool { return s.handle().Exists() }

// Created returns when the session was first stored, zero if it is new. [Session.Regenerate] does not change it.
func (s Session) Created() time.Time { return s.handle().Created() }

// Keys returns the session's keys: the stored ones in the order of the record, then new ones in the order of writing.
func (s Session) Keys() []string { return s.handle().Keys() }

// Has reports whether there is a value under key, of whatever type.
func (s Session) Has(key string) bool {
	_, ok := s.handle().Raw(key)
	return ok
}

// Delete removes the value under key.
func (s Session) Delete(key string) { s.handle().Delete(key) }

// Clear removes every value, also those that other requests add until the save. Cookie options stay.
func (s Session) Clear() { s.handle().Clear() }

// Cookie returns the cookie options of this session: its own, or those of the Config.
func (s Session) Cookie() Cookie { return Cookie(s.handle().Cookie()) }

// SetCookie gives this session cookie options of its own. They are kept in the record and hold for every later cookie
// of the session; without Config.TTL its Expires or MaxAge also are the record's. Change what Cookie returns: a zero
// MaxAge and Expires mean a browser session, an empty Path is that of the Config, a zero Secure or SameSite the default.
// The name cannot be changed. The error lists what is wrong with c, and then nothing was changed; a cookie that would
// outlive Config.TTL or Lifetime is wrong.
func (s Session) SetCookie(c Cookie) error { return outer(s.handle().SetCookie(cookies.Cookie(c))) }

// Token returns a token that is bound to this session and to purpose, for forms and headers: [Session.CheckToken] knows it
// again. Nothing is stored for it, and it is another text each time. It ends with the session's id, so a form that was opened
// before a login or a Regenerate is refused after it. A new session is stored for the sake of its token. Where cookies are
// unsigned there is no key to make it with: it is empty, and Err says so.
func (s Session) Token(purpose string) string { return s.handle().Token(purpose) }

// CheckToken reports whether token is one that [Session.Token] made for purpose in this session, with any of the present
// keys. The time it takes does not depend on how much of token is right.
func (s Session) CheckToken(purpose, token string) bool {
	return s.handle().CheckToken(purpose, token)
}

// Save stores the session now and not at the end of the request; the cookie is sent with the response as always.
// Nothing is stored if nothing has changed. The error is ErrEnded if the session ended meanwhile, or if another request
// renewed it; the handle is dead from then on: [Session.Exists] is false, the values are gone, and writes are refused.
//
// After the middleware has returned, Save still stores changes of a session that exists, without moving its end; for a new
// one the error is ErrCommitted then, since its cookie can no longer be sent. It is ErrReleased where the request was reset
// before anything was stored. When the store fails it may have stored the session or not, so nothing saves it a second
// time: the request fails with the same error, unless Destroy ends the session.
func (s Session) Save() error { return outer(s.handle().Save()) }

// ForceSave makes the session be saved at the end of the request, changed or not, empty or not.
func (s Session) ForceSave() { s.handle().ForceSave() }

// Discard makes the session not be saved, renewed or destroyed at the end of the request, whatever was asked for
// before or after, ForceSave excepted.
func (s Session) Discard() { s.handle().Discard() }

// Regenerate gives the session a new id and keeps its data. Call it on every change of privilege: an id that somebody
// planted or saw before is worth nothing then. For an empty session call Clear as well.
//
// The old record goes when the new one is stored. Requests under way with the old id lose what they write. Regenerate is
// void, and Save says ErrEnded, if the session ended or was renewed by another request meanwhile.
func (s Session) Regenerate() { s.handle().Regenerate() }

// Destroy ends the session: at the end of the request, before anything else is done for it, its record is deleted and its
// cookies are expired, also where the store no longer has it. Of several sessions that the request presents, all end.
// Nothing that another request does can bring them back. What is written after Destroy begins a new session. Destroying a
// new session only forgets it.
func (s Session) Destroy() { s.handle().Destroy() }

// Refresh reads the session again, past every cache of this process. Changes not yet saved stay. The error is ErrEnded if
// the session has ended or was renewed, and then the handle is dead as [Session.Save] says; else the store failed.
func (s Session) Refresh() error { return outer(s.handle().Refresh()) }

// Err returns why the session cannot be read or saved as things are: the store's failure, a value that could not be
// encoded, a reserved key; ErrEnded, ErrReleased for an inert handle, ErrCommitted for a write that came too late; or nil.
// Writing or deleting the same key, or Clear, takes the failure of a value back.
func (s Session) Err() error { return outer(s.handle().Err()) }

// Format prints no more than whether there is a session.
func (s Session) Format(f fmt.State, _ rune) {
	text := "sess.Session"
	if s.handle().Inert() {
		text += "(inert)"
	}
	fmt.Fprint(f, text)
}
