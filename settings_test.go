package sess_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/redis/rueidis"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// setting is one way to run sessions: where they are kept, what carries them, when they are loaded and who serves them.
type setting struct {
	name   string
	open   func(t *testing.T, server *redistest.Server) (here, there sess.Store) // there: the same sessions on another node
	config sess.Config                                                           // Defer, Koa, Transport
	plain  bool                                                                  // served by fasthttp and Wrap, without Fiber
	last   bool                                                                  // the store is no Swapper: the last write wins
	noUser bool                                                                  // the store is no UserIndex
	lags   bool                                                                  // another node sees a change within MaxStale and not at once
}

// tombstones reports whether a renewal leaves one.
func (s *setting) tombstones() bool { return !s.last && !s.config.Koa }

const headerName = "X-Session"

// settings are those in which everything that can differ does.
var settings = []setting{
	{name: "memory", open: inMemory},
	{name: "memory, deferred", open: inMemory, config: sess.Config{Defer: true}},
	{name: "memory, a header", open: inMemory, config: sess.Config{Transport: sess.HeaderTransport(headerName)}},
	{name: "memory, fasthttp", open: inMemory, plain: true},
	{name: "memory, Koa", open: inMemory, config: sess.Config{Koa: true}},
	{name: "a Swapper and no more", open: swapperAlone, noUser: true},
	{name: "three methods", open: methodsAlone, noUser: true, last: true},
	{name: "three methods, fasthttp, deferred, a header", open: methodsAlone, noUser: true, last: true, plain: true,
		config: sess.Config{Defer: true, Transport: sess.HeaderTransport(headerName)}},
	{name: "fiber.Storage", open: inStorage, noUser: true, last: true},
	{name: "fiber.Storage, deferred", open: inStorage, noUser: true, last: true, config: sess.Config{Defer: true}},
	{name: "Redis", open: onRedis(sess.RueidisConfig{}, nil), lags: true},
	{name: "Redis, fasthttp, deferred", open: onRedis(sess.RueidisConfig{}, nil), lags: true, plain: true, config: sess.Config{Defer: true}},
	{name: "Redis, a header", open: onRedis(sess.RueidisConfig{}, nil), lags: true, config: sess.Config{Transport: sess.HeaderTransport(headerName)}},
	{name: "Redis without near cache", open: onRedis(sess.RueidisConfig{NoNearCache: true}, nil)},
	{name: "Redis that reports nothing", open: onRedis(sess.RueidisConfig{}, reportless), lags: true},
	{name: "Redis, Koa", open: onRedis(sess.RueidisConfig{Koa: true}, nil), lags: true, config: sess.Config{Koa: true}},
	{name: "Redis, Koa, deferred, without near cache", open: onRedis(sess.RueidisConfig{Koa: true, NoNearCache: true}, nil),
		config: sess.Config{Koa: true, Defer: true}},
}

func inMemory(*testing.T, *redistest.Server) (here, there sess.Store) {
	s := sess.NewMemoryStore()
	return s, s
}

func swapperAlone(*testing.T, *redistest.Server) (here, there sess.Store) {
	m := sess.NewMemoryStore()
	s := struct {
		sess.Store
		sess.Swapper
	}{m, m}
	return s, s
}

func methodsAlone(*testing.T, *redistest.Server) (here, there sess.Store) {
	s := threeMethods{sess.NewMemoryStore()}
	return s, s
}

func inStorage(*testing.T, *redistest.Server) (here, there sess.Store) {
	s := sess.NewStorageStore(&mapStorage{}, "sess:")
	return s, s
}

func onRedis(config sess.RueidisConfig, option func(*redistest.Server) rueidis.ClientOption) func(*testing.T, *redistest.Server) (here, there sess.Store) {
	config.Logger = slog.New(slog.DiscardHandler)
	return func(t *testing.T, server *redistest.Server) (here, there sess.Store) {
		o := addresses(server.Addr)
		if option != nil {
			o = option(server)
		}
		return openRueidis(t, o, config), openRueidis(t, o, config)
	}
}

func reportless(server *redistest.Server) rueidis.ClientOption { return untracked(server)["refused"] }

// house serves sessions in one setting, on two nodes.
type house struct {
	*testing.T
	setting
	here, there sess.Store
	log         *bytes.Buffer // what the nodes have logged
	mu          *sync.Mutex
}

// inEverySetting runs each test in each setting. One server and two nodes serve all tests of a setting.
func inEverySetting(t *testing.T, tests map[string]func(h *house)) {
	server := redistest.Start(t)
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			here, there := s.open(t, server)
			for name, test := range tests {
				t.Run(name, func(t *testing.T) { test(&house{t, s, here, there, &bytes.Buffer{}, &sync.Mutex{}}) })
			}
		})
	}
}

// node is one process that serves a house's sessions.
type node struct {
	h       *house
	m       *sess.Manager
	handler fasthttp.RequestHandler
}

// act is what a request does.
type act = func(ctx *fasthttp.RequestCtx, s sess.Session) error

// node starts one on the store here, with the setting's config and what change makes of it.
func (h *house) node(change ...func(*sess.Config)) *node {
	h.Helper()
	m := h.manager(change...)
	return &node{h, m, h.serve(m)}
}

// elsewhere is node on the store there. Where that hears of changes late it is here: its own are seen at once.
func (h *house) elsewhere(change ...func(*sess.Config)) *node {
	h.Helper()
	if h.lags {
		return h.node(change...)
	}
	return h.node(append(change, func(c *sess.Config) { c.Store = h.there })...)
}

func (h *house) manager(change ...func(*sess.Config)) *sess.Manager {
	h.Helper()
	config := h.config
	config.Store, config.Keys = h.here, sess.Keys(clientKey)
	config.Logger = slog.New(slog.NewTextHandler(lockedWriter{h.mu, h.log}, nil))
	for _, c := range change {
		c(&config)
	}
	m, err := sess.NewManager(config)
	if err != nil {
		h.Fatalf("NewManager: got %v, want no error", err)
	}
	return m
}

// serve stacks the middlewares of managers, the outermost first, around a handler that does what the request brings along.
func (h *house) serve(managers ...*sess.Manager) fasthttp.RequestHandler {
	if h.plain {
		handler := func(ctx *fasthttp.RequestCtx) {
			do, _ := ctx.UserValue(visited{}).(act)
			if err := do(ctx, sess.FromRequest(ctx)); err != nil {
				status := http.StatusInternalServerError
				if e, ok := errors.AsType[*fiber.Error](err); ok {
					status = e.Code
				}
				ctx.Error(http.StatusText(status), status)
			}
		}
		for i := range managers {
			handler = managers[len(managers)-1-i].Wrap(handler)
		}
		return handler
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	for _, m := range managers {
		app.Use(m.Handle)
	}
	app.All("/*", func(c *fiber.Ctx) error {
		do, _ := c.Context().UserValue(visited{}).(act)
		return do(c.Context(), sess.From(c))
	})
	return app.Handler()
}

// visitor is a client and what it carries: a Cookie header, or a token.
type visitor struct {
	h       *house
	carried string
}

// answer is a response: what it gives the client to carry, "" if nothing, and whether it takes away what the client has.
type answer struct {
	status  int
	body    string
	sent    string
	expired bool
}

func (h *house) visitor() *visitor { return &visitor{h: h} }

// twin is another request of the same client, at the same time.
func (v *visitor) twin() *visitor { return &visitor{v.h, v.carried} }

// visit sends a request that does what it is told.
func (v *visitor) visit(n *node, do act) answer {
	v.h.Helper()
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	ctx.Request.SetRequestURI("/")
	ctx.SetUserValue(visited{}, do)
	field := "Cookie"
	if v.h.config.Transport != nil {
		field = headerName
	}
	if v.carried != "" {
		ctx.Request.Header.Set(field, v.carried)
	}
	n.handler(&ctx)
	r := &ctx.Response
	if late := ctx.LastTimeoutErrorResponse(); late != nil {
		r = late
	}
	a := v.receive(r)
	ctx.ResetUserValues()
	return a
}

// receive takes what a response gives or takes away.
func (v *visitor) receive(r *fasthttp.Response) answer {
	a := answer{status: r.StatusCode(), body: string(r.Body())}
	if v.h.config.Transport != nil {
		if lines := r.Header.PeekAll(headerName); len(lines) > 0 {
			a.sent, a.expired = string(lines[0]), len(lines[0]) == 0
		}
	}
	var pairs []string
	for name, line := range r.Header.Cookies() {
		value, _, _ := strings.Cut(strings.TrimPrefix(string(line), string(name)+"="), ";")
		if a.expired = value == ""; !a.expired {
			pairs = append(pairs, string(name)+"="+value)
		}
	}
	if len(pairs) > 0 {
		a.sent = strings.Join(pairs, "; ")
	}
	if a.sent != "" {
		v.carried = a.sent
	}
	if a.expired {
		v.carried = ""
	}
	return a
}

// id is the id that v carries.
func (v *visitor) id() string {
	if v.h.config.Transport != nil {
		return v.carried[:max(0, strings.LastIndexByte(v.carried, '.'))]
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(v.carried, "koa.sid="), ";")
	return id
}

// carry makes what a client carries that was given id, signed by the tests' key.
func (h *house) carry(id string) string {
	sig := signature(id)
	if h.config.Koa {
		mac := hmac.New(sha1.New, []byte(clientKey))
		mac.Write([]byte("koa.sid=" + id))
		sig = base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	if h.config.Transport != nil {
		return id + "." + sig
	}
	return "koa.sid=" + id + "; koa.sid.sig=" + sig
}

// begin returns a client whose session holds user under the key of that name.
func (h *house) begin(n *node, user string) *visitor {
	h.Helper()
	v := h.visitor()
	if a := v.visit(n, set("user", user)); a.status != 200 || v.carried == "" {
		h.Fatalf("a new session: got %d, carried %v, want 200 and something to carry", a.status, v.carried != "")
	}
	return v
}

// user returns what the client's session holds under user, as the store's server has it; "" also where there is no session.
func (v *visitor) user(n *node) (user string) {
	v.h.Helper()
	a := v.twin().visit(n, func(_ *fasthttp.RequestCtx, s sess.Session) error {
		if err := s.Refresh(); err != nil && !errors.Is(err, sess.ErrEnded) {
			return err
		}
		user, _ = sess.Get[string](s, "user")
		return nil
	})
	if a.status != 200 {
		v.h.Errorf("who: got %d, want 200", a.status)
	}
	return user
}

func (v *visitor) wantUser(what string, n *node, want string) {
	v.h.Helper()
	if got := v.user(n); got != want {
		v.h.Errorf("%s: got the user %q, want %q", what, got, want)
	}
}

// want checks status, and whether the answer gives the client something to carry or takes it away.
func (a answer) want(h *house, what string, status int, sent, expired bool) {
	h.Helper()
	if a.status != status || (a.sent != "") != sent || a.expired != expired {
		h.Errorf("%s: got %d, sent %v, expired %v; want %d, %v, %v", what, a.status, a.sent != "", a.expired, status, sent, expired)
	}
}

func set(key string, value any) act {
	return func(_ *fasthttp.RequestCtx, s sess.Session) error { sess.Set(s, key, value); return nil }
}

func regenerate(_ *fasthttp.RequestCtx, s sess.Session) error { s.Regenerate(); return nil }

func destroy(_ *fasthttp.RequestCtx, s sess.Session) error { s.Destroy(); return nil }

func touchNothing(*fasthttp.RequestCtx, sess.Session) error { return nil }

// wantError reports if err is not want.
func (h *house) wantError(what string, got, want error) {
	h.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		h.Errorf("%s: got the error %s, want %v", what, fmt.Sprintf("%+v", got), want)
	}
}
