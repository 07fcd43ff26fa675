package sess

import (
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// span is the one answer to when a session ends: the record, the store's TTL and the cookie all get it.
type span struct {
	ends int64         // Unix milliseconds
	ttl  time.Duration // until ends; zero or negative: the session is over
}

// lifespan resolves when a session of these cookie options ends that is saved at now. The manager's TTL (or TTLFunc's,
// passed as ttl) beats the options' Expires, that their MaxAge, that the default. Lifetime bounds them all.
func (m *Manager) lifespan(now time.Time, created int64, c *cookies.Cookie, ttl time.Duration) span {
	ms := now.UnixMilli()
	ends := int64(0)
	switch {
	case ttl != 0:
		ends = ms + milliseconds(min(ttl, maxTTL))
	case !c.Expires.IsZero(): // It may be anything, also what no number of milliseconds holds.
		switch latest := now.Add(maxTTL); {
		case c.Expires.Before(now):
			ends = ms
		case c.Expires.After(latest):
			ends = latest.UnixMilli()
		default:
			ends = c.Expires.UnixMilli()
		}
	case c.MaxAge != 0:
		ends = ms + milliseconds(min(c.MaxAge, maxTTL))
	default:
		ends = ms + defaultTTL.Milliseconds()
	}
	if m.config.Lifetime > 0 {
		ends = min(ends, created+m.config.Lifetime.Milliseconds())
	}
	return span{ends: ends, ttl: time.Duration(max(ends-ms, 0)) * time.Millisecond}
}

// milliseconds returns d in milliseconds, rounded up: what is positive is not nothing.
func milliseconds(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

// over reports whether a record has ended at now, by its own word or by the bound on its life.
func (m *Manager) over(r *record.Record, now time.Time) bool {
	ms := now.UnixMilli()
	life := m.config.Lifetime.Milliseconds()
	return r.EndsMS() != 0 && r.EndsMS() <= ms || life > 0 && r.CreatedMS() != 0 && r.CreatedMS()+life <= ms
}

// stored is the end as a record's header bears it: not at all beside Koa, which moves the end by SETEX alone.
func (m *Manager) stored(ends int64) int64 {
	if m.config.Koa {
		return 0
	}
	return ends
}

// remaining is the TTL that a record which ends at ends still has at now.
func (m *Manager) remaining(now time.Time, ends int64) time.Duration {
	if ends == 0 { // Foreign, and its store does not tell.
		return defaultTTL
	}
	return max(time.Duration(ends-now.UnixMilli())*time.Millisecond, time.Millisecond)
}

// ttl asks TTLFunc, once for a commit; otherwise it is Config.TTL.
func (st *state) ttl() (ttl time.Duration) {
	f := st.m.config.TTLFunc
	if f == nil {
		return st.m.config.TTL
	}
	st.call(func(s Session) { ttl = f(s) })
	return ttl
}

// options returns the cookie options of the session as r keeps it, with what this request gave it. They are only to be
// read, as most often they are the Config's.
func (st *state) options(r *record.Record) *cookies.Cookie {
	if st.ownCookie {
		return &st.cookie
	}
	return st.m.options(r, &st.stored)
}

// options returns the cookie options of a session as r keeps it: the Config's, or its own, put into own.
func (m *Manager) options(r *record.Record, own *cookies.Cookie) *cookies.Cookie {
	raw, ok := r.OwnCookie()
	if !ok {
		return &m.cookie
	}
	*own = cookies.ParseJSON(raw, m.cookie)
	return own
}

// owe notes that the response must carry the cookie of a session that ends at ends.
func (st *state) owe(ends int64) { st.due, st.dueEnds = dueCookie, ends }

// pay writes into the response what it is owed. It runs on the frame's goroutine, when the handler has returned.
func (st *state) pay() {
	h := &st.ctx.Response.Header
	m := st.m
	if st.is(lifeUsed) {
		cookies.AddVary(h, m.field)
	}
	if st.due == dueNothing {
		return
	}
	cookies.NoStore(h)
	t := m.config.Transport
	if st.due == dueExpire {
		if t != nil {
			t.Expire(st.ctx)
			return
		}
		m.cookies.Expire(h, &st.goneOpts, st.overTLS())
		return
	}
	id, r := &st.id, st.record
	if st.fate == fateRegenerate { // The new id was never stored: it is about the one that Save has stored.
		id, r = &st.leaving, st.left
	}
	c := m.options(r, &st.stored) // As it was stored: what was written to the session since has no part in this.
	left := time.Duration(0)      // A browser session: the browser decides.
	if t != nil || c.MaxAge != 0 || !c.Expires.IsZero() {
		left = max(time.Until(time.UnixMilli(st.dueEnds)), time.Second)
	}
	if t != nil {
		t.Write(st.ctx, m.token(id), left)
		return
	}
	m.cookies.Write(h, c, id, st.signature(id), st.overTLS(), left)
	if st.arrived == nil || !st.arrived.HasCookie() && !r.HasCookie() {
		return
	}
	// The browser would go on sending the cookie that it has beside one of another path, and first if its path is longer.
	if old := m.options(st.arrived, &st.goneOpts); !old.SameCookie(c) {
		m.cookies.ExpireBeside(h, old, st.overTLS())
	}
}

// signature returns the signature of id if the request has brought it and the first key has made it.
func (st *state) signature(id *ident.ID) []byte { return st.m.cookies.Signature(&st.jar, id) }

// token is what a Transport carries: the id, and its signature behind a dot.
func (m *Manager) token(id *ident.ID) string {
	b := id.AppendTo(make([]byte, 0, 2*ident.MaxIDLen))
	if m.ring != nil {
		b = m.ring.Sign(append(b, '.'), id)
	}
	return string(b)
}

// overTLS is what SecureAuto goes by: TLS, or a proxy's word for it where the Fiber app checks which proxies it trusts.
// With no such check anybody could say so.
func (st *state) overTLS() bool {
	if st.ctx.IsTLS() {
		return true
	}
	f := st.fiberCtx
	return f != nil && f.App().Config().EnableTrustedProxyCheck && f.IsProxyTrusted() && f.Protocol() == "https"
}
