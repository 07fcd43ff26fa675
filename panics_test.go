package sess_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	fiberrecover "github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// panicAt is a row of the table of panics in docs/architecture.md: where it panics, what the client's cookie becomes, what
// the store has afterwards, and what the log says. In each the answer is 500, by the recover middleware around sess, which
// has the panic's text; nothing stays locked; and the next requests are served.
type panicAt struct {
	where, cookie, stored, log string

	visitor bool // the client has no session; else it has one with user ann
	config  func(c *sess.Config, fuse func())
	act     func(s sess.Session, fuse func(), site *fused) error // nil: Set
	ask     string                                               // the call of the store that panics, behind a "!" once it was made
}

const (
	noCookie    = "none"
	newCookie   = "that of what is stored"
	takenCookie = "expired"

	nothing  = "nothing new"
	written  = "what was written"
	ended    = "the session has ended"
	noRecord = "nothing"
)

// fused is an app around a fuse.
type fused struct {
	store *spyStore
	other *client // of the same session
}

func setOne(s sess.Session, _ func(), _ *fused) error { sess.Set(s, "n", 1); return nil }

func hook(set func(h *sess.Hooks, f func(sess.Event))) func(c *sess.Config, fuse func()) {
	return func(c *sess.Config, fuse func()) { set(&c.Hooks, func(sess.Event) { fuse() }) }
}

var panics = []panicAt{
	{where: "the handler", cookie: noCookie, stored: nothing,
		act: func(s sess.Session, fuse func(), _ *fused) error { sess.Set(s, "n", 1); fuse(); return nil }},
	{where: "the handler, and recover stands inside of sess", cookie: newCookie, stored: written,
		act: func(s sess.Session, fuse func(), _ *fused) error {
			return recoverInside(func() { sess.Set(s, "n", 1); fuse() })
		}},
	{where: "the function of Update, or a value's own encoding, in the handler", cookie: noCookie, stored: nothing,
		act: func(s sess.Session, fuse func(), _ *fused) error { sess.Set(s, "n", panicky{fuse}); return nil }},
	{where: "the function of Update, run again by the save", cookie: noCookie, stored: nothing,
		act: func(s sess.Session, fuse func(), site *fused) error {
			runs := 0
			sess.Update(s, "n", func(n int, _ bool) int {
				if runs++; runs == 2 {
					fuse()
				}
				return 1
			})
			site.other.get("/other")
			return nil
		}},
	{where: "Config.Next", cookie: noCookie, stored: nothing,
		config: func(c *sess.Config, fuse func()) { c.Next = func(*fasthttp.RequestCtx) bool { fuse(); return false } }},
	{where: "Config.Adopt", cookie: noCookie, stored: noRecord, visitor: true,
		config: func(c *sess.Config, fuse func()) {
			c.Adopt = func(*fasthttp.RequestCtx) (string, map[string]any, bool) { fuse(); return "", nil, false }
		}},
	{where: "Config.Valid", cookie: noCookie, stored: nothing,
		config: func(c *sess.Config, fuse func()) {
			c.Valid = func(*fasthttp.RequestCtx, sess.Session) bool { fuse(); return true }
		}},
	{where: "Config.BeforeSave", cookie: noCookie, stored: nothing,
		config: func(c *sess.Config, fuse func()) {
			c.BeforeSave = func(*fasthttp.RequestCtx, sess.Session) error { fuse(); return nil }
		}},
	{where: "Config.BeforeSave, behind Destroy", cookie: takenCookie, stored: ended,
		config: func(c *sess.Config, fuse func()) {
			c.BeforeSave = func(*fasthttp.RequestCtx, sess.Session) error { fuse(); return nil }
		},
		act: func(s sess.Session, _ func(), _ *fused) error { s.Destroy(); sess.Set(s, "n", 1); return nil }},
	{where: "Config.TTLFunc", cookie: noCookie, stored: nothing,
		config: func(c *sess.Config, fuse func()) {
			c.TTLFunc = func(sess.Session) time.Duration { fuse(); return time.Hour }
		}},
	{where: "Config.GenerateID", cookie: noCookie, stored: noRecord, visitor: true,
		config: func(c *sess.Config, fuse func()) {
			c.GenerateID = func(*fasthttp.RequestCtx) (string, error) { fuse(); return "an.id.of.these.tests", nil }
		}},
	{where: "Config.ErrorHandler, when the store fails", cookie: noCookie, stored: nothing, log: "the store failed",
		config: func(c *sess.Config, fuse func()) {
			c.ErrorHandler = func(_ *fasthttp.RequestCtx, err error) error { fuse(); return err }
		},
		act: func(s sess.Session, _ func(), site *fused) error {
			site.store.ask(outages["fails"])
			sess.Set(s, "n", 1)
			return nil
		}},
	{where: "Transport.Read", cookie: noCookie, stored: nothing,
		config: func(c *sess.Config, fuse func()) { c.Transport = fusedTransport{read: fuse} }},
	{where: "Transport.Write", cookie: noCookie, stored: written,
		config: func(c *sess.Config, fuse func()) { c.Transport = fusedTransport{write: fuse} }},
	{where: "Transport.Expire", cookie: noCookie, stored: ended,
		config: func(c *sess.Config, fuse func()) { c.Transport = fusedTransport{expire: fuse} },
		act:    func(s sess.Session, _ func(), _ *fused) error { s.Destroy(); return nil }},
	{where: "Store.Get", cookie: noCookie, stored: nothing, ask: "get"},
	{where: "Store.Swap or Set, before it has stored", cookie: noCookie, stored: nothing, ask: "swap"},
	{where: "Store.Swap or Set, once it has stored", cookie: noCookie, stored: written, ask: "!swap"},
	{where: "Store.Swap, once it has stored, and recover stands inside of sess", cookie: noCookie, stored: written, ask: "!swap", log: "a session was not saved",
		act: func(s sess.Session, _ func(), _ *fused) error {
			return recoverInside(func() {
				sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
				_ = s.Save()
			})
		}},
	{where: "Store.End or Destroy, once it has ended the session", cookie: noCookie, stored: ended, ask: "!end",
		act: func(s sess.Session, _ func(), _ *fused) error { s.Destroy(); return nil }},
	{where: "Hooks.Created", cookie: newCookie, stored: written, visitor: true,
		config: hook(func(h *sess.Hooks, f func(sess.Event)) { h.Created = f })},
	{where: "Hooks.Saved", cookie: newCookie, stored: written,
		config: hook(func(h *sess.Hooks, f func(sess.Event)) { h.Saved = f })},
	{where: "Hooks.Merged", cookie: newCookie, stored: written,
		config: hook(func(h *sess.Hooks, f func(sess.Event)) { h.Merged = f }),
		act: func(s sess.Session, _ func(), site *fused) error {
			sess.Set(s, "n", 1)
			site.other.get("/other")
			return nil
		}},
	{where: "Hooks.Regenerated", cookie: newCookie, stored: written,
		config: hook(func(h *sess.Hooks, f func(sess.Event)) { h.Regenerated = f }),
		act:    func(s sess.Session, _ func(), _ *fused) error { sess.Set(s, "n", 1); s.Regenerate(); return nil }},
	{where: "Hooks.Destroyed", cookie: takenCookie, stored: ended,
		config: hook(func(h *sess.Hooks, f func(sess.Event)) { h.Destroyed = f }),
		act:    func(s sess.Session, _ func(), _ *fused) error { s.Destroy(); return nil }},
	{where: "Hooks.Dropped", cookie: noCookie, stored: ended,
		config: hook(func(h *sess.Hooks, f func(sess.Event)) { h.Dropped = f }),
		act: func(s sess.Session, _ func(), site *fused) error {
			sess.Set(s, "n", 1)
			site.other.get("/logout")
			return nil
		}},
	{where: "Hooks.Rejected", cookie: noCookie, stored: nothing,
		config: func(c *sess.Config, fuse func()) {
			c.Hooks.Rejected = func(sess.Event) { fuse() }
			c.Valid = func(ctx *fasthttp.RequestCtx, _ sess.Session) bool { return string(ctx.Path()) != "/act" }
		}},
	{where: "Hooks.Expired", cookie: noCookie, stored: nothing,
		config: func(c *sess.Config, fuse func()) { c.Hooks.Expired = func(sess.Event) { fuse() } },
		act: func(s sess.Session, _ func(), _ *fused) error { // It ends by its own terms.
			return s.SetCookie(sess.Cookie{Expires: time.Now().Add(-time.Hour)})
		}},
	{where: "Hooks.StoreError", cookie: noCookie, stored: nothing, log: "the store failed",
		config: hook(func(h *sess.Hooks, f func(sess.Event)) { h.StoreError = f }),
		act: func(s sess.Session, _ func(), site *fused) error {
			site.store.ask(outages["fails"])
			sess.Set(s, "n", 1)
			return nil
		}},
	{where: "Hooks.Store, behind Swap or Set", cookie: noCookie, stored: written,
		config: func(c *sess.Config, fuse func()) {
			c.Hooks.Store = func(op string, _ time.Duration, _ error) {
				if op == "swap" {
					fuse()
				}
			}
		}},
}

// fusedTransport is a header transport that panics.
type fusedTransport struct{ read, write, expire func() }

func (t fusedTransport) Field() string { return headerName }

func (t fusedTransport) Read(ctx *fasthttp.RequestCtx) []byte {
	if t.read != nil {
		t.read()
	}
	return ctx.Request.Header.Peek(headerName)
}

func (t fusedTransport) Write(ctx *fasthttp.RequestCtx, token string, _ time.Duration) {
	if t.write != nil {
		t.write()
	}
	ctx.Response.Header.Set(headerName, token)
}

func (t fusedTransport) Expire(ctx *fasthttp.RequestCtx) {
	if t.expire != nil {
		t.expire()
	}
	ctx.Response.Header.Set(headerName, "")
}

// TestThePanicsOfTheTable also holds docs/architecture.md to the table.
func TestThePanicsOfTheTable(t *testing.T) {
	doc, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range panics {
		line := fmt.Sprintf("| %s | %s | %s | %s |", row.where, row.cookie, row.stored, cmpOr(row.log, noRecord))
		if !bytes.Contains(doc, []byte(line)) {
			t.Errorf("docs/architecture.md: got no such line, want\n%s", line)
		}
		for _, deferred := range []bool{false, true} {
			t.Run(fmt.Sprint(row.where, ", deferred ", deferred), func(t *testing.T) { row.test(t, deferred) })
		}
	}
}

func cmpOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (p panicAt) test(t *testing.T, deferred bool) {
	const text = "on purpose"
	armed, fired := false, false
	fuse := func() {
		if armed {
			armed, fired = false, true
			panic(text)
		}
	}
	var log bytes.Buffer
	site := &fused{store: newSpyStore()}
	config := sess.Config{Store: panickingStore{site.store, p.ask, fuse}, Defer: deferred,
		Logger: slog.New(slog.NewTextHandler(lockedWriter{&sync.Mutex{}, &log}, nil))}
	if p.config != nil {
		p.config(&config, fuse)
	}
	act := p.act
	if act == nil {
		act = setOne
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(fiberrecover.New())
	var kept sess.Session
	app.Mount("/", routed(config, routes{
		"act": func(_ *fiber.Ctx, s sess.Session) error {
			kept = s
			s.Has("user") // Loads it.
			return act(s, fuse, site)
		},
		"other": func(_ *fiber.Ctx, s sess.Session) error { sess.Set(s, "other", 1); return nil },
		"state": func(c *fiber.Ctx, s sess.Session) error {
			n, _ := sess.Get[int](s, "n")
			return c.SendString(fmt.Sprint(s.Exists(), n))
		},
	}))
	h := &house{T: t, setting: setting{config: config}}
	v := h.visitor()
	get := func(path string) answer {
		return v.visit(&node{handler: func(ctx *fasthttp.RequestCtx) { ctx.Request.SetRequestURI(path); app.Handler()(ctx) }}, nil)
	}
	if !p.visitor {
		get("/login")
	}
	before := v.carried
	site.other = &client{jar: map[string]string{}, handler: func(ctx *fasthttp.RequestCtx) {
		ctx.Request.Header.Set("Cookie", before)
		app.Handler()(ctx)
	}}
	armed = true
	a := get("/act")
	if armed = false; !fired {
		t.Fatal("got no panic, want one")
	}
	site.store.ask(nil)
	within(t, "a handle of the request", func() { _ = kept.Err() })
	if a.status != 500 {
		t.Errorf("status: got %d, want 500", a.status)
	}
	if got := map[bool]string{a.sent != "": newCookie, a.expired: takenCookie}[true]; cmpOr(got, noCookie) != p.cookie {
		t.Errorf("the cookie: got %s, want %s", cmpOr(got, noCookie), p.cookie)
	}
	if v.carried == "" {
		v.carried = before
	}
	state := ""
	within(t, "the next request", func() { state = get("/state").body })
	if want := map[string]string{nothing: "true 0", written: "true 1", ended: "false 0", noRecord: "false 0"}[p.stored]; state != want {
		t.Errorf("the session afterwards: got %q, want %q", state, want)
	}
	if n := site.store.kept.Len(); p.visitor && p.stored == noRecord && n != 0 {
		t.Errorf("records: got %d, want none", n)
	}
	if lines := log.String(); (lines != "") != (p.log != "") || !strings.Contains(lines, p.log) {
		t.Errorf("the log: got %q, want %q", lines, cmpOr(p.log, noRecord))
	}
	within(t, "the next write", func() {
		if got := get("/other"); got.status != 200 && !slices.Contains([]string{"Hooks.Rejected"}, p.where) {
			t.Errorf("the next write: got %d, want 200", got.status)
		}
	})
}

// panickingStore calls fuse at a call of its store, or behind it where call begins with "!".
type panickingStore struct {
	*spyStore
	call string
	fuse func()
}

func (s panickingStore) at(call string) {
	if s.call == call {
		s.fuse()
	}
}

func (s panickingStore) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	s.at("get")
	return s.spyStore.Get(ctx, id)
}

func (s panickingStore) Swap(ctx context.Context, id sess.ID, old, next *sess.Record, ttl time.Duration) (*sess.Record, error) {
	s.at("swap")
	defer s.at("!swap")
	return s.spyStore.Swap(ctx, id, old, next, ttl)
}

func (s panickingStore) End(ctx context.Context, id sess.ID) (*sess.Record, error) {
	s.at("end")
	defer s.at("!end")
	return s.spyStore.End(ctx, id)
}

// TestAPanicBesideALoginLeavesOneSession: in the hook that hears of what the limit has ended, the login stands and the client
// has its cookie; in the store's index, which comes first, nobody is logged in.
func TestAPanicBesideALoginLeavesOneSession(t *testing.T) {
	for _, c := range []struct {
		where, cookie string
		live          []string // of the users ann's first browser, ann's second
		config        func(c *sess.Config, fuse func())
	}{
		{"Hooks.Displaced", newCookie, []string{"", "ann"}, hook(func(h *sess.Hooks, f func(sess.Event)) { h.Displaced = f })},
		{"UserIndex", noCookie, []string{"ann", ""}, func(c *sess.Config, fuse func()) {
			c.Store = panickingIndex{c.Store.(*sess.MemoryStore), fuse}
		}},
	} {
		t.Run(c.where, func(t *testing.T) {
			armed := false
			config := sess.Config{Store: sess.NewMemoryStore(), MaxPerUser: 1}
			c.config(&config, func() {
				if armed {
					panic("on purpose")
				}
			})
			app := fiber.New(fiber.Config{DisableStartupMessage: true})
			app.Use(fiberrecover.New())
			app.Mount("/", routed(config, routes{
				"in":  func(_ *fiber.Ctx, s sess.Session) error { s.Login("ann"); return nil },
				"who": func(c *fiber.Ctx, s sess.Session) error { user, _ := s.User(); return c.SendString(user) },
			}))
			first, second := newClient(app), newClient(app)
			wantReply(t, "the first login", first.get("/in"), 200, "")
			time.Sleep(2 * time.Millisecond) // of two logins in one millisecond either may be the older one
			armed = true
			r := second.get("/in")
			armed = false
			wantReply(t, "the login that panics", r, 500, "on purpose")
			if got := len(r.setCookie) > 0; got != (c.cookie == newCookie) {
				t.Errorf("a cookie in its answer: got %v, want %s", got, c.cookie)
			}
			for i, browser := range []*client{first, second} {
				wantReply(t, fmt.Sprintf("browser %d afterwards", i+1), browser.get("/who"), 200, c.live[i])
			}
		})
	}
}

// panickingIndex panics where a login is entered.
type panickingIndex struct {
	*sess.MemoryStore
	fuse func()
}

func (s panickingIndex) Admit(ctx context.Context, user string, id sess.ID, keep time.Duration, a sess.LoginAttempt) (time.Time, error) {
	s.fuse()
	return s.MemoryStore.Admit(ctx, user, id, keep, a)
}
