package sesstest

import (
	"context"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"

	"github.com/valyala/fasthttp"
)

// App is an application that a client can be in front of: a *fiber.App of Fiber v2 or v3, or a [Handler].
type App interface {
	Handler() fasthttp.RequestHandler
}

// Handler makes an App of an application on plain fasthttp.
type Handler fasthttp.RequestHandler

// Handler returns h.
func (h Handler) Handler() fasthttp.RequestHandler { return fasthttp.RequestHandler(h) }

// NewClient returns an HTTP client in front of app that keeps cookies and follows redirects, as a browser does, without a
// network. Addresses may leave the host out; it is https://app.test then.
//
//	client := sesstest.NewClient(app)
//	client.PostForm("/login", url.Values{"user": {"ann"}})
//	res, err := client.Get("/account")
//
// Each client is a browser of its own. Its Jar takes the cookies of [Cookies]:
//
//	client.Jar.SetCookies(&url.URL{Path: "/"}, sesstest.Cookies(t, manager, "ann", nil))
//
// A stream is read as it comes: Get returns with the first bytes of the response, and closing its Body ends the connection.
//
// In a bubble of testing/synctest, where hours pass at once, make the manager, the application and the client inside. Before the
// bubble write one response, in TestMain for one, since fasthttp then starts a goroutine for its Date header that never ends:
//
//	new(fasthttp.ResponseHeader).AppendBytes(nil)
func NewClient(app App) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil { // It never fails without options.
		panic(err)
	}
	server := &fasthttp.Server{Handler: app.Handler()}
	dial := func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() { _ = server.ServeConn(far) }() // It closes far; what fails here the client sees.
		return near, nil
	}
	// Also https goes without TLS: what DialTLSContext returns is taken to have made the handshake.
	transport := &http.Transport{DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true}
	return &http.Client{Transport: inProcess{transport}, Jar: resolving{jar}}
}

// base is where an address without a host leads. It is https, so that Secure cookies are kept.
var base = url.URL{Scheme: "https", Host: "app.test", Path: "/"}

// inProcess sends requests to the application.
type inProcess struct{ transport *http.Transport }

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.URL = base.ResolveReference(req.URL)
	if out.Host == "" {
		out.Host = out.URL.Host
	}
	res, err := t.transport.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	res.Request = req
	return res, nil
}

// resolving is a jar that knows where an address without a host leads.
type resolving struct{ jar http.CookieJar }

func (j resolving) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.jar.SetCookies(base.ResolveReference(u), cookies)
}

func (j resolving) Cookies(u *url.URL) []*http.Cookie { return j.jar.Cookies(base.ResolveReference(u)) }
