package record

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/fibersess/sess/internal/ident"
)

// Header is what the reserved member "$" says, which no handler sees. To store a session anew, take the Header of the
// record that it is built on, so that creation, user and login are that record's and not the request's; give it the new
// end; change what the request is about.
//
// Times are Unix milliseconds up to the end of the year 9999, 0 for none. The zero value of every field is none. Every
// save passes a Header on by value, so the ids, which few records have, are pointers: nobody writes to what they point to.
type Header struct {
	Created int64
	Ends    int64
	Life    int64 // milliseconds that the session is remembered for after each save, before any TTL; see Session.Remember
	Known   int64 // when the record ends, where "$" must not say so because Koa moves the end; 0: as Ends says

	User  string // 1 to 256 bytes of UTF-8, see [CheckUser]
	Login int64  // when User logged in
	MAC   string // of id, user and login time, 1 to 128 bytes; whether it counts is not for a record to say

	From      *ident.ID // the record is provisional, made from the one of this id
	Successor *ident.ID // the record is a tombstone: the session lives on under this id

	Cookie []byte // JSON for the member "cookie"; nil: keep what is there

	ByLogin bool // a tombstone that a login has left, not a renewal
	Grave   bool // the record is no session: it stands there so that no other can be created
	foreign bool // there are members that are not ours
}

// Header returns what the header of r says, without the record's end, which is decided anew whenever a record is made.
func (r *Record) Header() Header {
	if !r.is(userKnown | tombstone | grave | provisional | remembered) {
		return Header{Created: r.CreatedMS()}
	}
	h, _ := parseHeader(r.headerText())
	h.Ends = 0
	return h
}

// HasHeader reports whether r says anything of itself.
func (r *Record) HasHeader() bool { return r.headerText() != "" }

// CreatedMS is when the session began, in Unix milliseconds, 0 if the record does not say.
func (r *Record) CreatedMS() int64 {
	if r == nil {
		return 0
	}
	return r.created
}

// EndsMS is when the session ends, in Unix milliseconds, 0 if the record does not say.
func (r *Record) EndsMS() int64 {
	if r == nil {
		return 0
	}
	return r.ends
}

// Created is CreatedMS as a time, zero if the record does not say.
func (r *Record) Created() time.Time { return instant(r.CreatedMS()) }

// Expires is EndsMS as a time, zero if the record does not say.
func (r *Record) Expires() time.Time { return instant(r.EndsMS()) }

// User returns who is logged in, empty if nobody is.
func (r *Record) User() string {
	if !r.is(userKnown) {
		return ""
	}
	return r.Header().User
}

// LoginMS is when the user logged in, in Unix milliseconds, 0 if the record does not say.
func (r *Record) LoginMS() int64 {
	if !r.is(userKnown) {
		return 0
	}
	return r.Header().Login
}

// LifeMS is how long the session is remembered after each save, in milliseconds, 0 if as long as any other.
func (r *Record) LifeMS() int64 {
	if !r.is(remembered) {
		return 0
	}
	return r.Header().Life
}

// Live reports whether r is a session, which may be provisional: neither a tombstone nor a grave.
func (r *Record) Live() bool { return !r.is(tombstone | grave) }

// Grave reports whether r stands where no session may be created.
func (r *Record) Grave() bool { return r.is(grave) }

// Tombstone reports whether r is what a session has left under an id that it gave up.
func (r *Record) Tombstone() bool { return r.is(tombstone) }

// ByLogin reports whether r is the tombstone of a login, and not of a renewal.
func (r *Record) ByLogin() bool { return r.is(byLogin) }

// Successor returns the id that the session lives on under, if r is a tombstone.
func (r *Record) Successor() (ident.ID, bool) {
	if !r.is(tombstone) {
		return ident.ID{}, false
	}
	return *r.Header().Successor, true
}

// Provisional returns the id of the record that r is made from, if that was not yet retired when r was made.
func (r *Record) Provisional() (from ident.ID, ok bool) {
	if !r.is(provisional) {
		return ident.ID{}, false
	}
	return *r.Header().From, true
}

// WithExpires returns a record of the same bytes that ends at t, for stores that know the end from elsewhere. Zero
// means that the end is unknown.
func (r *Record) WithExpires(t time.Time) *Record {
	var c Record
	if r != nil {
		c = *r
	}
	c.ends = 0
	if !t.IsZero() {
		c.ends = t.UnixMilli()
	}
	return &c
}

// CheckUser returns an error if user cannot be the name of one. The error does not tell the name.
func CheckUser(user string) error {
	switch {
	case user == "" || len(user) > maxUser:
		return fmt.Errorf("sess: user: %d bytes; want 1 to %d", len(user), maxUser)
	case !utf8.ValidString(user):
		return fmt.Errorf("sess: user: not UTF-8; want 1 to %d bytes of UTF-8", maxUser)
	}
	return nil
}

// check makes h what a record can say, or returns an error: times are brought into their bounds, and a login of nobody is
// none.
func (h *Header) check() error {
	h.Created, h.Ends, h.Login = valid(h.Created), valid(h.Ends), valid(h.Login)
	if h.User == "" {
		h.Login, h.MAC = 0, ""
	} else if err := h.checkUser(); err != nil {
		return err
	}
	if fault := h.fault(); fault != "" {
		return fmt.Errorf("sess: header: %s; want one kind of record", fault)
	}
	return nil
}

func (h *Header) checkUser() error {
	if len(h.MAC) > maxMAC || !utf8.ValidString(h.MAC) {
		return fmt.Errorf("sess: MAC: %d bytes; want at most %d of UTF-8", len(h.MAC), maxMAC)
	}
	return CheckUser(h.User)
}

// valid returns the time of a header that is nearest to ms.
func valid(ms int64) int64 { return min(max(ms, 0), maxInstant) }

// instant is a time of the header: Unix milliseconds, 0 for none.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// until returns when a record of h ends, 0 if that is unknown.
func (h *Header) until() int64 {
	if h.Known != 0 {
		return h.Known
	}
	return h.Ends
}

// shape returns what a record of h is.
func (h *Header) shape() shape {
	return when(h.Successor != nil, tombstone) | when(h.ByLogin, byLogin) | when(h.Grave, grave) |
		when(h.From != nil, provisional) | when(h.Life != 0, remembered) | when(h.User != "", userKnown) | when(h.foreign, foreign)
}

// fault returns which rule h breaks, empty if none: what no record may say of itself.
func (h *Header) fault() string {
	switch to, from := h.Successor != nil, h.From != nil; {
	case to && h.Successor.IsZero() || from && h.From.IsZero():
		return "an id without a byte"
	case to && h.Grave || to && from || from && h.Grave:
		return "two of tombstone, grave and provisional"
	case h.ByLogin && !to:
		return "a login's tombstone without a successor"
	case h.User == "" && (h.Login != 0 || h.MAC != ""):
		return "a login without a user"
	}
	return ""
}
