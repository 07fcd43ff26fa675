package engine

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/valyala/fasthttp"
)

// debt is what the response owes the client. It is noted when it arises, and paid when the frame ends.
type debt struct {
	kind   due
	id     ident.ID       // whose cookie is to be sent
	record *record.Record // as it was stored under id; or the one whose cookie is to be expired
	ends   int64          // of the record, in Unix milliseconds
	check  bool           // the client has the id already: it is sent only if the session still stands when the frame ends
}

// due says what a debt is about.
type due uint8

const (
	dueNothing due = iota
	dueCookie
	dueExpire
)

// owe notes that the response must carry the cookie of the session, which ends at ends.
func (r *request) owe(ends int64, check bool) {
	r.debt = debt{kind: dueCookie, id: r.id, record: r.draft.Base(), ends: ends, check: check}
}

// pay writes into the response what it is owed. It runs on the frame's goroutine, when the handler has returned.
func (r *request) pay() {
	h := ResponseHeader(r.ctx)
	if r.guard.Used() {
		cookies.AddVary(h, r.m.field)
	}
	if r.tokens {
		cookies.NoStore(h)
	}
	switch d := &r.debt; {
	case d.kind == dueExpire:
		cookies.NoStore(h)
		r.payExpiry(h, r.options(d.record))
	case d.kind == dueCookie && (!d.check || r.holds(d)):
		cookies.NoStore(h)
		r.payCookie(h, d)
	}
}

// ResponseHeader is that of the response which fasthttp will send: behind RequestCtx.TimeoutError it is another one, and
// the handler may still write to the first.
func ResponseHeader(ctx *fasthttp.RequestCtx) *fasthttp.ResponseHeader {
	if t := ctx.LastTimeoutErrorResponse(); t != nil {
		return &t.Header
	}
	return &ctx.Response.Header
}

func (r *request) payExpiry(h *fasthttp.ResponseHeader, was *cookies.Cookie) {
	if t := r.m.config.Transport; t != nil {
		r.call(func(Handle) { t.Expire(r.ctx) })
		return
	}
	r.m.cookies.Expire(h, was, r.overTLS())
}

// payCookie sends the cookie of the session that d is about, as it was stored: what was written to it since has no part in
// this.
func (r *request) payCookie(h *fasthttp.ResponseHeader, d *debt) {
	c := r.m.options(d.record, &r.stored)
	left := time.Duration(0) // A browser session: the browser decides.
	if r.m.config.Transport != nil || c.MaxAge != 0 || !c.Expires.IsZero() {
		left = max(time.Until(time.UnixMilli(d.ends)), time.Second)
	}
	if t := r.m.config.Transport; t != nil {
		r.call(func(Handle) { t.Write(r.ctx, r.m.token(&d.id), left) })
		return
	}
	r.m.cookies.Write(h, c, &d.id, r.m.cookies.Signature(&r.jar, &d.id), r.overTLS(), left)
	if r.arrived == nil || !r.arrived.HasCookie() && !d.record.HasCookie() {
		return
	}
	// The browser would go on sending the cookie that it has beside one of another path, and first if its path is longer.
	if old := r.m.options(r.arrived, &r.cookie); !old.SameCookie(c) {
		r.m.cookies.ExpireBeside(h, old, r.overTLS())
	}
}

// holds reports whether the session that d is about still stands. If the store cannot tell it does not: the client has the
// cookie, and to send it again would be worth less than to put a retired id over a newer login.
func (r *request) holds(d *debt) bool {
	if found, ok := r.m.shelf.peek(&d.id, time.Now()); ok {
		return found.Live()
	}
	ctx, cancel := r.phase()
	defer cancel()
	found, err := r.m.shelf.read(ctx, &d.id, false)
	return err == nil && found.Live()
}

// overTLS is what SecureAuto goes by: TLS, or the framework's word for it.
func (r *request) overTLS() bool {
	return r.ctx.IsTLS() || r.in != nil && r.in.Secure()
}

// options returns the cookie options of the session as on keeps it, with what this request gave it. They are only to be
// read, as most often they are the Config's.
func (r *request) options(on *record.Record) *cookies.Cookie {
	if r.ownCookie {
		return &r.cookie
	}
	return r.m.options(on, &r.stored)
}

// options returns the cookie options of a session as on keeps it: the Config's, or its own, put into own.
func (m *Manager) options(on *record.Record, own *cookies.Cookie) *cookies.Cookie {
	raw, ok := on.OwnCookie()
	if !ok {
		return &m.config.Cookie
	}
	*own = cookies.ParseJSON(raw, m.config.Cookie)
	return own
}

// setCookie gives the session cookie options of its own.
func (r *request) setCookie(c cookies.Cookie) error {
	if r.alone {
		return errInsideDo
	}
	own := &r.m.config.Cookie
	c.Name, c.DangerouslyUnsigned = own.Name, own.DangerouslyUnsigned
	if c.Path == "" {
		c.Path = own.Path
	}
	full := c.WithDefaults()
	errs := full.Validate(!c.DangerouslyUnsigned, r.m.config.Koa)
	for _, bound := range [...]struct {
		field string
		most  time.Duration
	}{{"TTL", r.m.config.TTL}, {"Lifetime", r.m.config.Lifetime}} {
		if bound.most > 0 && (c.MaxAge > bound.most || !c.Expires.IsZero() && time.Until(c.Expires) > bound.most) {
			errs = append(errs, fmt.Errorf("sess: SetCookie: the cookie would live longer than Config.%s, %v, lets the session; want less, or Session.Remember", bound.field, bound.most))
		}
	}
	if len(errs) > 0 {
		return &ownError{errors.Join(errs...)}
	}
	r.wrote()
	r.cookie, r.ownCookie = full, true
	return nil
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

// span resolves when the session ends that is saved on top of on at the time at, with the header h.
func (r *request) span(at time.Time, on *record.Record, h *record.Header, ttl time.Duration) draft.Span {
	opts := r.options(on)
	terms := draft.Terms{
		Life: time.Duration(h.Life) * time.Millisecond, TTL: ttl, Expires: opts.Expires, MaxAge: opts.MaxAge,
		Lifetime: r.m.config.Lifetime, Begin: cmp.Or(h.Login, h.Created),
	}
	return terms.Span(at)
}
