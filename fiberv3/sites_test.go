package sess_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	fiber2 "github.com/gofiber/fiber/v2"
	recover2 "github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/gofiber/fiber/v2/middleware/timeout"
	fiber3 "github.com/gofiber/fiber/v3"
	recover3 "github.com/gofiber/fiber/v3/middleware/recover"
	timeout3 "github.com/gofiber/fiber/v3/middleware/timeout"
	"github.com/valyala/fasthttp"

	core "github.com/fibersess/sess"
	sess "github.com/fibersess/sess/fiberv3"
)

// visit is a request, and step a handler or a middleware, in words that all frameworks have.
type (
	visit struct {
		ctx     *fasthttp.RequestCtx
		session func() sess.Session // what From returns
		next    func() error
		restart func() error              // RestartRouting; nil with plain fasthttp
		path    func(path string)         // sets the path of the request
		error   func(status int) error    // the framework's own error
		bound   func(ctx context.Context) // sets the request's context; nil with plain fasthttp
	}
	step func(v visit) error
)

// site is an application of one of the frameworks.
type site interface {
	use(steps ...step)
	recovering()              // use the framework's middleware that turns a panic into an error
	sessions(m *core.Manager) // use the session middleware
	get(path string, steps ...step)
	getWithin(d time.Duration, path string, do step) // the framework's timeout around do
	strict(path string, do step)
	forUsers(within time.Duration, path string, do step) // RequireLogin
	serve() fasthttp.RequestHandler
}

// nested is a site whose framework has routers inside of routers.
type nested interface {
	site
	group(prefix string, m *core.Manager) nested // whose middleware is m
	mount(prefix string, inner nested)
	empty() nested
}

// frameworks are those of the table. A proxy is the address of one that is trusted; "" is an app that trusts anybody's word.
var frameworks = []struct {
	name string
	open func(proxy string) site
}{
	{"Fiber v2", func(proxy string) site { return newV2(proxy) }},
	{"Fiber v3", func(proxy string) site { return newV3(fiber3.New(configV3(proxy))) }},
	{"Fiber v3 with a context of its own", func(proxy string) site {
		return newV3(fiber3.NewWithCustomCtx(func(app *fiber3.App) fiber3.CustomCtx {
			return &ownCtx{DefaultCtx: *fiber3.NewDefaultCtx(app)}
		}, configV3(proxy)))
	}},
	{"Wrap", func(string) site { return &plain{routes: map[string]fasthttp.RequestHandler{}} }},
}

// onEach runs a test for every framework.
func onEach(t *testing.T, test func(t *testing.T, s site)) {
	for _, f := range frameworks {
		t.Run(f.name, func(t *testing.T) { test(t, f.open("")) })
	}
}

// onNested runs a test for every framework with routers inside of routers.
func onNested(t *testing.T, test func(t *testing.T, s nested)) {
	onEach(t, func(t *testing.T, s site) {
		if n, ok := s.(nested); ok {
			test(t, n)
		}
	})
}

type v2 struct {
	app    *fiber2.App
	router fiber2.Router
}

func newV2(proxy string) *v2 {
	config := fiber2.Config{DisableStartupMessage: true}
	if proxy != "" {
		config.EnableTrustedProxyCheck, config.TrustedProxies = true, []string{proxy}
	}
	app := fiber2.New(config)
	return &v2{app, app}
}

func v2Step(do step) fiber2.Handler {
	return func(c *fiber2.Ctx) error {
		return do(visit{
			ctx: c.Context(), session: func() sess.Session { return core.From(c) }, next: c.Next, restart: c.RestartRouting,
			path:  func(path string) { c.Path(path) },
			error: func(status int) error { return fiber2.NewError(status) }, bound: c.SetUserContext,
		})
	}
}

func v2Steps(steps []step) (handlers []fiber2.Handler) {
	for _, do := range steps {
		handlers = append(handlers, v2Step(do))
	}
	return handlers
}

func (s *v2) use(steps ...step) {
	for _, do := range steps {
		s.router.Use(v2Step(do))
	}
}
func (s *v2) recovering()                    { s.router.Use(recover2.New()) }
func (s *v2) sessions(m *core.Manager)       { s.router.Use(m.Handle) }
func (s *v2) get(path string, steps ...step) { s.router.Get(path, v2Steps(steps)...) }
func (s *v2) getWithin(d time.Duration, path string, do step) {
	s.router.Get(path, timeout.New(v2Step(do), d))
}
func (s *v2) strict(path string, do step) { s.router.Get(path, core.Strict, v2Step(do)) }
func (s *v2) forUsers(within time.Duration, path string, do step) {
	s.router.Get(path, core.RequireLogin(within), v2Step(do))
}
func (s *v2) group(prefix string, m *core.Manager) nested {
	return &v2{s.app, s.router.Group(prefix, m.Handle)}
}
func (s *v2) mount(prefix string, inner nested) { s.router.Mount(prefix, inner.(*v2).app) }
func (s *v2) empty() nested                     { return newV2("") }
func (s *v2) serve() fasthttp.RequestHandler    { return s.app.Handler() }

type v3 struct {
	app    *fiber3.App
	router fiber3.Router
}

// ownCtx is a context of the application's own type.
type ownCtx struct{ fiber3.DefaultCtx }

func newV3(app *fiber3.App) *v3 { return &v3{app, app} }

func configV3(proxy string) fiber3.Config {
	if proxy == "" {
		return fiber3.Config{}
	}
	return fiber3.Config{TrustProxy: true, TrustProxyConfig: fiber3.TrustProxyConfig{Proxies: []string{proxy}}}
}

func v3Step(do step) fiber3.Handler {
	return func(c fiber3.Ctx) error {
		return do(visit{
			ctx: c.RequestCtx(), session: func() sess.Session { return sess.From(c) }, next: c.Next, restart: c.RestartRouting,
			path:  func(path string) { c.Path(path) },
			error: func(status int) error { return fiber3.NewError(status) }, bound: c.SetContext,
		})
	}
}

func (s *v3) use(steps ...step) {
	for _, do := range steps {
		s.router.Use(v3Step(do))
	}
}
func (s *v3) recovering()              { s.router.Use(recover3.New()) }
func (s *v3) sessions(m *core.Manager) { s.router.Use((&sess.Manager{Manager: m}).Handle) }
func (s *v3) get(path string, steps ...step) {
	var more []any
	for _, do := range steps[1:] {
		more = append(more, v3Step(do))
	}
	s.router.Get(path, v3Step(steps[0]), more...)
}
func (s *v3) getWithin(d time.Duration, path string, do step) {
	s.router.Get(path, timeout3.New(v3Step(do), timeout3.Config{Timeout: d}))
}
func (s *v3) strict(path string, do step) { s.router.Get(path, sess.Strict, v3Step(do)) }
func (s *v3) forUsers(within time.Duration, path string, do step) {
	s.router.Get(path, sess.RequireLogin(within), v3Step(do))
}
func (s *v3) group(prefix string, m *core.Manager) nested {
	return &v3{s.app, s.router.Group(prefix, (&sess.Manager{Manager: m}).Handle)}
}
func (s *v3) mount(prefix string, inner nested) { s.router.Use(prefix, inner.(*v3).app) }
func (s *v3) empty() nested                     { return newV3(fiber3.New()) }
func (s *v3) serve() fasthttp.RequestHandler    { return s.app.Handler() }

// plain is an application on plain fasthttp, which answers its handlers' errors itself.
type plain struct {
	around []func(next fasthttp.RequestHandler) fasthttp.RequestHandler
	routes map[string]fasthttp.RequestHandler
	m      *core.Manager
}

// failed is an error of plain with a status.
type failed int

func (f failed) Error() string { return http.StatusText(int(f)) }

func plainStep(do step, next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		err := do(visit{
			ctx: ctx, session: func() sess.Session { return sess.FromRequest(ctx) },
			next:  func() error { next(ctx); return nil },
			error: func(status int) error { return failed(status) },
		})
		if err == nil {
			return
		}
		status := http.StatusInternalServerError
		if e, ok := errors.AsType[failed](err); ok {
			status = int(e)
		} else if e, ok := errors.AsType[*fiber2.Error](err); ok {
			status = e.Code
		}
		ctx.SetStatusCode(status)
		ctx.SetBodyString(err.Error())
	}
}

func (s *plain) use(steps ...step) {
	for _, do := range steps {
		s.around = append(s.around, func(next fasthttp.RequestHandler) fasthttp.RequestHandler { return plainStep(do, next) })
	}
}
func (s *plain) recovering() {
	s.around = append(s.around, func(next fasthttp.RequestHandler) fasthttp.RequestHandler {
		return func(ctx *fasthttp.RequestCtx) {
			defer func() {
				if p := recover(); p != nil {
					ctx.SetStatusCode(http.StatusInternalServerError)
					ctx.SetBodyString(fmt.Sprint(p))
				}
			}()
			next(ctx)
		}
	})
}
func (s *plain) sessions(m *core.Manager) {
	s.m = m
	s.around = append(s.around, m.Wrap)
}
func (s *plain) get(path string, steps ...step) {
	s.routes[path] = func(*fasthttp.RequestCtx) {}
	for i := len(steps) - 1; i >= 0; i-- {
		s.routes[path] = plainStep(steps[i], s.routes[path])
	}
}
func (s *plain) getWithin(d time.Duration, path string, do step) {
	s.routes[path] = fasthttp.TimeoutWithCodeHandler(plainStep(do, nil), d, "Request Timeout", http.StatusRequestTimeout)
}
func (s *plain) strict(path string, do step) {
	s.get(path, func(v visit) error { return core.RunStrict(v.ctx, v.next) }, do)
}
func (s *plain) forUsers(within time.Duration, path string, do step) {
	s.routes[path] = s.m.RequireLogin(within, plainStep(do, nil))
}
func (s *plain) serve() fasthttp.RequestHandler {
	serve := func(ctx *fasthttp.RequestCtx) {
		if do := s.routes[string(ctx.Path())]; do != nil {
			do(ctx)
			return
		}
		ctx.SetStatusCode(http.StatusNotFound)
	}
	for i := len(s.around) - 1; i >= 0; i-- {
		serve = s.around[i](serve)
	}
	return serve
}

func newV3Site() *v3 { return newV3(fiber3.New()) }
