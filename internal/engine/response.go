package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/valyala/fasthttp"
)

// debt is the cookie that the response owes the client. It is noted when it arises, and paid when the frame ends.
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

// pay writes the cookie that the response owes into it. It runs on the frame's goroutine, when the handler has returned.
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

// ResponseHeader is that of the response which fasthttp will send: after RequestCtx.TimeoutError that is another one, and
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

// payCookie sends the cookie of the session that d is about. It goes by the options that were stored, not by what was written
// later.
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
	if r.firstLoaded == nil || !r.firstLoaded.HasCookie() && !d.record.HasCookie() {
		return
	}
	// The browser would go on sending the cookie that it has beside one of another path, and first if its path is longer.
	var room cookies.Cookie
	if old := r.m.options(r.firstLoaded, &room); !old.SameCookie(c) {
		r.m.cookies.ExpireBeside(h, old, r.overTLS())
	}
}

// holds reports whether the session that d is about still stands. If the store fails it reports false: the client has the
// cookie already, and a retired id must not replace that of a newer login.
func (r *request) holds(d *debt) bool {
	if found, ok := r.m.shelf.peek(&d.id, time.Now()); ok {
		return found.Live()
	}
	ctx, cancel := r.phase()
	defer cancel()
	found, err := r.m.shelf.read(ctx, &d.id, false)
	return err == nil && found.Live()
}

// overTLS reports whether the request came over TLS, to this process or by Request.Secure. SecureAuto goes by it.
func (r *request) overTLS() bool {
	return r.ctx.IsTLS() || r.in != nil && r.in.Secure()
}

// options returns the cookie options of the session that current keeps, with what this request gave it. They are only to be
// read, as most often they are the Config's.
func (r *request) options(current *record.Record) *cookies.Cookie {
	if r.ownCookie {
		return &r.cookie
	}
	return r.m.options(current, &r.stored)
}

// options returns the cookie options that current has, put into own; else the Config's.
func (m *Manager) options(current *record.Record, own *cookies.Cookie) *cookies.Cookie {
	raw, ok := current.OwnCookie()
	if !ok {
		return &m.config.Cookie
	}
	*own = cookies.ParseJSON(raw, m.config.Cookie)
	return own
}

// setCookie gives the session cookie options of its own.
func (r *request) setCookie(c cookies.Cookie) error {
	if r.detached {
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
	r.noteWrite()
	r.cookie, r.ownCookie = full, true
	return nil
}
