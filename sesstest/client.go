package sesstest

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"

	"github.com/gofiber/fiber/v2"
)

// NewClient returns an HTTP client in front of app that keeps cookies and follows redirects, as a browser does, without a
// network: it calls app.Test. Addresses may leave the host out; it is https://app.test then.
//
//	client := sesstest.NewClient(app)
//	client.PostForm("/login", url.Values{"user": {"ann"}})
//	res, err := client.Get("/account")
//
// Each client is a browser of its own. Its Jar takes the cookies of [Cookies]:
//
//	client.Jar.SetCookies(&url.URL{Path: "/"}, sesstest.Cookies(t, manager, "ann", nil))
func NewClient(app *fiber.App) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil { // It never fails without options.
		panic(err)
	}
	return &http.Client{Transport: inProcess{app}, Jar: resolving{jar}}
}

// base is where an address without a host leads. It is https, so that Secure cookies are kept.
var base = url.URL{Scheme: "https", Host: "app.test", Path: "/"}

// inProcess sends requests to the app.
type inProcess struct{ app *fiber.App }

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.URL = base.ResolveReference(req.URL)
	if out.Host == "" {
		out.Host = out.URL.Host
	}
	res, err := t.app.Test(out, -1)
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
