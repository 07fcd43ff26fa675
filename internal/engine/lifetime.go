package engine

import (
	"cmp"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// complete fills in the header of a record that is stored under id on top of current: its end and, with Config.Koa, the MAC of
// its user. It returns the TTL.
func (r *request) complete(id *ident.ID, current *record.Record, h *record.Header, at time.Time, ttl time.Duration) time.Duration {
	if h.Created == 0 {
		h.Created = r.created
	}
	span := r.span(at, current, h, ttl)
	if r.late {
		span = draft.Rest(at, current)
	}
	r.setEnd(id, h, span.Ends)
	return max(span.TTL, time.Millisecond) // Another request may have stored an end that has passed.
}

// setEnd writes the end of the session of id into h and, with Config.Koa, the MAC of its user. Koa moves the end by SETEX
// alone, so the record must not name it there.
func (r *request) setEnd(id *ident.ID, h *record.Header, ends int64) {
	h.Ends, h.Known = ends, ends
	if !r.m.config.Koa {
		return
	}
	h.Ends, h.MAC = 0, ""
	if h.User != "" && r.m.keyring != nil {
		h.MAC = string(r.m.keyring.UserMAC(nil, id, h.User, h.Login))
	}
}

// headerOn is the header of a record that is stored on top of current: creation, user and login are current's. After Clear it
// has no user.
func (r *request) headerOn(current *record.Record) record.Header {
	h := r.m.users.HeaderOn(r.storedID(), current)
	if h.Created == 0 {
		h.Created = r.created
	}
	if r.life != 0 {
		h.Life = r.life.Milliseconds()
	}
	if r.draft.Wiped() {
		h.User, h.Login, h.MAC = "", 0, ""
	}
	return h
}

// ttl asks TTLFunc, once for a commit; otherwise it is Config.TTL.
func (r *request) ttl() (ttl time.Duration) {
	f := r.m.config.TTLFunc
	if f == nil {
		return r.m.config.TTL
	}
	r.call(func(s Handle) { ttl = f(s) })
	return ttl
}

// over reports whether the session, if it is saved at the time at as v says, has ended by its own terms.
func (r *request) over(v draft.Verdict, at time.Time, ttl time.Duration) bool {
	if ttl >= 0 && r.m.config.Lifetime == 0 && !r.ownCookie && !r.draft.Base().HasCookie() {
		return false // Only these could have ended it.
	}
	begin := record.Header{Created: at.UnixMilli()}
	if v != draft.LogIn {
		begin = r.headerOn(r.draft.Base())
	}
	return r.span(at, r.draft.Base(), &begin, ttl).TTL <= 0
}

// span is the end and the TTL of a record that is stored on top of current at the time at, with the header h.
func (r *request) span(at time.Time, current *record.Record, h *record.Header, ttl time.Duration) draft.Span {
	opts := r.options(current)
	terms := draft.Terms{
		Life: time.Duration(h.Life) * time.Millisecond, TTL: ttl, Expires: opts.Expires, MaxAge: opts.MaxAge,
		Lifetime: r.m.config.Lifetime, Begin: cmp.Or(h.Login, h.Created),
	}
	return terms.Span(at)
}
