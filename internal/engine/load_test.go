package engine

import (
	"testing"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/record"
	"github.com/valyala/fasthttp"
)

// grave is what EndAll leaves where a session has expired and its entry has not.
func grave(t *testing.T) string {
	t.Helper()
	r, err := record.Merge(nil, nil, record.Header{Created: 1, Ends: 253402300799999, Grave: true}, 1<<12)
	if err != nil {
		t.Fatal(err)
	}
	return r.JSON()
}

// present makes ctx a request with the cookies of the tests' id.
func present(t *testing.T, m *Manager, ctx *fasthttp.RequestCtx) {
	t.Helper()
	id := testID(t)
	ctx.Request.Header.SetCookie("koa.sid", testIDText)
	ctx.Request.Header.SetCookie("koa.sid.sig", string(m.keyring.Sign(nil, &id)))
}

// TestAGraveIsNoSessionAndNoRenewal: whoever presents the id of a grave begins anew, and what it writes is stored.
func TestAGraveIsNoSessionAndNoRenewal(t *testing.T) {
	var rejected []Event
	m := newRemoteManager(t, grave(t), func(c *Config) { c.Hooks.Rejected = func(e Event) { rejected = append(rejected, e) } })
	var ctx fasthttp.RequestCtx
	present(t, m, &ctx)
	err := m.Run(&ctx, nil, func() error { Set(m.From(&ctx), "n", 1); return nil })
	if err != nil || len(rejected) != 1 || rejected[0].Reason != ReasonUnknown {
		t.Errorf("the request: got %v, rejected %v; want it served, and one rejection as unknown", err, rejected)
	}
	if len(ctx.Response.Header.PeekCookie("koa.sid")) == 0 || m.Stats().Created != 1 || m.Stats().Dropped != 0 {
		t.Errorf("what the request wrote: got %+v and a cookie: %v; want a new session", m.Stats(), len(ctx.Response.Header.PeekCookie("koa.sid")) > 0)
	}
}

// TestWhatMeetsAGraveIsGone: the session was not renewed, it has ended.
func TestWhatMeetsAGraveIsGone(t *testing.T) {
	for name, meet := range map[string]func(Handle){
		"a save":    func(Handle) {},
		"a Refresh": func(h Handle) { _ = h.Refresh() },
		"a Take":    func(h Handle) { _, _, _ = Take[int](h, "n") },
	} {
		var dropped []Event
		m := newRemoteManager(t, `{"n":1}`, func(c *Config) { c.Hooks.Dropped = func(e Event) { dropped = append(dropped, e) } })
		var ctx fasthttp.RequestCtx
		present(t, m, &ctx)
		_ = m.Run(&ctx, nil, func() error {
			h := m.From(&ctx)
			Set(h, "m", 2)
			keep(t, m, grave(t))
			meet(h)
			return nil
		})
		if len(dropped) != 1 || dropped[0].Reason != ReasonGone || len(ctx.Response.Header.PeekCookie("koa.sid")) > 0 {
			t.Errorf("the change, behind %s: got told %v, want one that was dropped because the session is gone, and no cookie", name, dropped)
		}
	}
}

// TestARollingSessionThatMeetsAGraveSendsNoCookie: nothing was prolonged.
func TestARollingSessionThatMeetsAGraveSendsNoCookie(t *testing.T) {
	m := newRemoteManager(t, `{"n":1}`, func(c *Config) { c.Rolling = true })
	var ctx fasthttp.RequestCtx
	present(t, m, &ctx)
	_ = m.Run(&ctx, nil, func() error {
		m.From(&ctx).Exists()
		keep(t, m, grave(t))
		return nil
	})
	if n := m.Stats().Touched; n != 0 || len(ctx.Response.Header.PeekCookie("koa.sid")) > 0 {
		t.Errorf("a session that was buried meanwhile: got %d prolonged and a cookie: %v, want none", n, len(ctx.Response.Header.PeekCookie("koa.sid")) > 0)
	}
}

// TestTheOldCookieIsNotMixedWithAWrittenOne: the cookie that a Save owes is sent while a SetCookie behind it was not stored.
func TestTheOldCookieIsNotMixedWithAWrittenOne(t *testing.T) {
	m := newRemoteManager(t, `{"cookie":{"path":"/old","httpOnly":true},"n":1}`, func(*Config) {})
	var ctx fasthttp.RequestCtx
	present(t, m, &ctx)
	var h Handle
	_ = m.Run(&ctx, nil, func() error {
		h = m.From(&ctx)
		if err := h.SetCookie(cookies.Cookie{Path: "/first"}); err != nil {
			t.Fatal(err)
		}
		if err := h.Save(); err != nil {
			t.Fatal(err)
		}
		if err := h.SetCookie(cookies.Cookie{Path: "/second"}); err != nil {
			t.Fatal(err)
		}
		h.Discard()
		return nil
	})
	if got := h.Cookie().Path; got != "/second" {
		t.Errorf("the path of the cookie that was written and not stored: got %q, want /second", got)
	}
}
