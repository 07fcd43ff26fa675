// Package csrf protects a Fiber application from forged requests: those that another site makes a visitor's browser
// send, cookies included.
//
//	app.Use(sess.New())
//	app.Use(csrf.New())
//
// That is the whole of it for most applications: it looks at what the browser itself says of a request's origin, and
// needs no token, no storage and no change to a form. [Config.Token] asks for a token in every form as well:
//
//	app.Use(csrf.New(csrf.Config{Token: true}))
//	app.Get("/", func(c *fiber.Ctx) error { return c.Render("form", fiber.Map{"csrf": csrf.Token(c)}) })
//
//	<form method="post"> <input type="hidden" name="csrf" value="{{.csrf}}"> … </form>
package csrf

import (
	"bytes"
	"errors"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess/internal/httpstatus"
)

// Config says which requests pass. Its zero value lets the application's own pages through, and what is no browser.
type Config struct {
	// TrustedOrigins are other origins whose requests pass, each as a browser writes it: "https://pay.example.com".
	// A trusted origin can do whatever its visitors can. Default: none.
	TrustedOrigins []string

	// Token asks for a token besides, see [Token], in every request that is not safe and that presents a session. It is
	// for applications that must not rely on what browsers say alone. A visitor without a session needs none: the
	// origin rule protects the login form. Trusted origins, which cannot read one, need none either, nor does a WebSocket,
	// with which browsers cannot send one. Default: false.
	Token bool

	// DangerouslySkip lets a request through unseen when it returns true. It is for what other sites have a browser
	// post here, such as the form_post callback of an identity provider, whose own state parameter then has to be
	// checked. Default: nil.
	DangerouslySkip func(ctx *fasthttp.RequestCtx) bool
}

// The errors of requests that are refused. Fiber answers them with 403 and their text.
var (
	ErrOrigin error = refusal("Forbidden: another site caused this request")                             // another origin caused it
	ErrToken  error = refusal("Forbidden: this page was opened before a login or logout; open it again") // its token is missing or not this session's
)

// refusal is an error that Fiber answers with 403 and its text.
type refusal string

func (r refusal) Error() string { return string(r) }

// As gives Fiber the status, v2 and v3.
func (r refusal) As(target any) bool { return httpstatus.As(target, fiber.StatusForbidden) }

// Unwrap is the fiber.Error of Fiber v2 with the status.
func (r refusal) Unwrap() error { return fiber.ErrForbidden }

// New returns the protection as a handler for Fiber, of at most one Config. A request that is refused goes no further,
// and the application's ErrorHandler gets [ErrOrigin] or [ErrToken]. New panics if the Config is wrong; [NewProtection] returns the
// error instead.
func New(config ...Config) fiber.Handler {
	var c Config
	switch len(config) {
	case 0:
	case 1:
		c = config[0]
	default:
		panic("csrf: New: more than one Config; want one")
	}
	p, err := NewProtection(c)
	if err != nil {
		panic(err)
	}
	return p.Handle
}

// Protection tells an application's own requests from those that other sites cause. It follows the rule of
// [net/http.CrossOriginProtection]:
//
//   - GET, HEAD and OPTIONS pass, so their handlers must change nothing. A request with Upgrade is the exception, which
//     a browser sends to open a WebSocket and for nothing else: it is checked like a POST, since every site may open one
//     here, with this site's cookies.
//   - Sec-Fetch-Site decides where it is there, which is in every browser since 2023, on https and on localhost:
//     same-origin and none (an address that the visitor typed, a bookmark) pass; another value passes from a trusted
//     Origin only. A subdomain is another origin.
//   - Else Origin decides: the request's own host passes, with any port left out that is the scheme's own, and so does
//     a trusted origin.
//   - With neither of the two the request comes from no browser, or from one older than 2020, and passes.
//
// What it does not stop: a request that a script of this very origin sends (an injected script is the visitor), a GET that
// changes something, and DNS rebinding: a site that points its own name at this server sends a Host and an Origin that agree.
// Refuse every Host that is not the application's; the cookies of the application's own host do not go there. Behind a proxy
// that puts another Host in place of the visitor's, name the public origin in [Config.TrustedOrigins].
//
// A Protection is safe for concurrent use.
type Protection struct {
	trusted map[string]struct{}
	token   bool
	skip    func(ctx *fasthttp.RequestCtx) bool
}

// NewProtection checks config and returns its Protection. The error holds every mistake at once.
func NewProtection(config Config) (*Protection, error) {
	p := &Protection{trusted: make(map[string]struct{}, len(config.TrustedOrigins)), token: config.Token, skip: config.DangerouslySkip}
	var errs []error
	for _, origin := range config.TrustedOrigins {
		if err := validOrigin(origin); err != nil {
			errs = append(errs, err)
		}
		p.trusted[origin] = struct{}{}
	}
	return p, errors.Join(errs...)
}

// Handle is the protection for Fiber: app.Use(p.Handle).
func (p *Protection) Handle(c *fiber.Ctx) error {
	if err := p.Check(c.Context()); err != nil {
		return err
	}
	return c.Next()
}

// Check returns nil if the request may pass, for plain fasthttp and other frameworks; else [ErrOrigin], [ErrToken], or what
// kept it from looking at the session. Without Config.Token it needs no session and allocates nothing.
//
// A response to a refused request gets Cache-Control: no-store, since it depends on fields that caches do not compare. What
// passes needs no Vary for them: its response is the same whatever they say.
func (p *Protection) Check(ctx *fasthttp.RequestCtx) error {
	err := p.check(ctx)
	if err != nil {
		ctx.Response.Header.SetCanonical(cacheControlField, noStore)
	}
	return err
}

var cacheControlField, noStore = []byte(fasthttp.HeaderCacheControl), []byte("no-store")

func (p *Protection) check(ctx *fasthttp.RequestCtx) error {
	upgrade := len(ctx.Request.Header.PeekCanonical(upgradeField)) > 0
	if !upgrade && safe(ctx.Method()) || p.skip != nil && p.skip(ctx) {
		return nil
	}
	switch origin := field(&ctx.Request.Header, originField); {
	case ours(ctx, origin):
		if p.token && !upgrade {
			return checkToken(ctx)
		}
		return nil
	case p.trusts(origin):
		return nil
	}
	return ErrOrigin
}

// The header fields of a request that are asked for, as fasthttp keeps their names.
var (
	upgradeField = []byte(fasthttp.HeaderUpgrade)
	siteField    = []byte("Sec-Fetch-Site")
	originField  = []byte(fasthttp.HeaderOrigin)
)

// safe reports whether a request of method changes nothing by the rules of HTTP.
func safe(method []byte) bool {
	switch string(method) {
	case fasthttp.MethodGet, fasthttp.MethodHead, fasthttp.MethodOptions:
		return true
	}
	return false
}

// ours reports whether the application itself caused the request, or no browser at all.
func ours(ctx *fasthttp.RequestCtx, origin []byte) bool {
	switch site := field(&ctx.Request.Header, siteField); string(site) {
	case "same-origin", "none":
		return true
	case "":
		return len(origin) == 0 || sameHost(origin, ctx.Request.URI().Host())
	}
	return false
}

func (p *Protection) trusts(origin []byte) bool {
	_, trusted := p.trusted[string(origin)]
	return trusted
}

// field returns the value of a request's header field. A server that leaves names as they came
// (DisableHeaderNormalizing) may have it in another case, and a field that was overlooked would let the request pass.
func field(h *fasthttp.RequestHeader, name []byte) []byte {
	if value := h.PeekCanonical(name); len(value) > 0 {
		return value
	}
	for key, value := range h.AllInOrder() {
		if len(value) > 0 && bytes.EqualFold(key, name) {
			return value
		}
	}
	return nil
}

// sameHost reports whether origin is http:// or https:// and then host. The scheme is not compared: behind a proxy that
// ends TLS nothing here knows it. Browsers that send Sec-Fetch-Site do compare it.
func sameHost(origin, host []byte) bool {
	rest, ok := bytes.CutPrefix(origin, []byte("https://"))
	if !ok {
		rest, ok = bytes.CutPrefix(origin, []byte("http://"))
	}
	return ok && len(host) > 0 && bytes.EqualFold(rest, host)
}
