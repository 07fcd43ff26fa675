// Package browser_test has a real Chromium use sessions: what a browser keeps, sends and refuses is its own decision,
// and no cookie jar of a test library takes it the same way. All hosts are names of this machine's loopback.
package browser_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
)

// chromium is the browser of all tests, and certificate that of all sites.
var (
	chromium    context.Context
	certificate tls.Certificate
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if !slices.ContainsFunc([]string{"chromium", "chromium-browser", "google-chrome"}, func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	}) {
		fmt.Println("browser: there is no Chromium on PATH; install it (Debian: apt-get install chromium)")
		if os.Getenv("CI") != "" {
			return 1
		}
		return 0
	}
	profile, err := os.MkdirTemp("", "browser-")
	if err != nil {
		fmt.Println("browser:", err)
		return 1
	}
	defer os.RemoveAll(profile)
	if built.dir, err = os.MkdirTemp("", "examples-"); err != nil {
		fmt.Println("browser:", err)
		return 1
	}
	defer os.RemoveAll(built.dir)
	certificate = selfSigned()
	allocator, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.UserDataDir(profile),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.WSURLReadTimeout(time.Minute),
	)
	defer stop()
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {})) // events newer than the client's list
	defer cancel()
	if err := chromedp.Do(ctx); err != nil {
		fmt.Println("browser: start Chromium:", err)
		return 1
	}
	chromium = ctx
	return m.Run()
}

// selfSigned returns a certificate for every site here; the browser is told to take it.
func selfSigned() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "shop.test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		DNSNames:     []string{"shop.test", "evil.test", "news.test", "blog.test"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serve lets app listen on a port of its own until the test ends, and returns the port.
func serve(t *testing.T, app *fiber.App, overTLS bool) (port int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = ln.Addr().(*net.TCPAddr).Port
	if overTLS {
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{certificate}})
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = app.Listener(ln)
	}()
	t.Cleanup(func() {
		_ = app.ShutdownWithTimeout(time.Second)
		<-served
	})
	return port
}

// newApp returns an application without Fiber's banner.
func newApp() *fiber.App { return fiber.New(fiber.Config{DisableStartupMessage: true}) }

// page answers with a document of one element, which it also tells the page that has it in a frame.
func page(c *fiber.Ctx, text string) error {
	c.Type("html", "utf-8")
	return c.SendString(`<!doctype html><title>t</title><link rel="icon" href="data:,"><p id="answer">` + text + `</p><script>parent.postMessage(answer.innerText, "*")</script>`)
}

// counting adds to app what the tests look at: GET /count counts up and shows the count, GET /look only shows it.
func counting(app *fiber.App) {
	app.Get("/count", func(c *fiber.Ctx) error {
		s := sess.From(c)
		n, _ := sess.Get[int](s, "n")
		sess.Set(s, "n", n+1)
		return page(c, fmt.Sprint(n+1))
	})
	look := func(c *fiber.Ctx) error {
		n, _ := sess.Get[int](sess.From(c), "n")
		return page(c, fmt.Sprint(n))
	}
	app.Get("/look", look)
	app.Post("/look", look)
}

// window is a tab of a profile that has nothing in common with those of other windows.
type window struct {
	t   *testing.T
	ctx context.Context
}

func newWindow(t *testing.T) *window {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // without a deadline, which would be the profile's
		t.Fatalf("open a window: got %v, want no error", err)
	}
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(stop)
	return &window{t, ctx}
}

// run has the window do what is asked.
func (w *window) run(actions ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	if err := chromedp.Do(w.ctx, actions...); err != nil {
		w.t.Fatalf("the browser: got %v, want no error", err)
	}
}

// open goes to url and returns the text of what is there.
func (w *window) open(url string) string {
	w.t.Helper()
	w.run(chromedp.Navigate(url))
	return w.text()
}

// text is what the window shows.
func (w *window) text() string {
	w.t.Helper()
	return evaluate[string](w, "document.body.innerText.trim()")
}

// evaluate returns what a script in the window gives; a promise is waited for.
func evaluate[T any](w *window, script string) T {
	w.t.Helper()
	got, err := chromedp.Run(w.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		w.t.Fatalf("a script in the browser: got %v, want no error", err)
	}
	return got
}

// arrive waits until the window has loaded a page of host, and returns its text.
func (w *window) arrive(host string) string {
	w.t.Helper()
	for w.ctx.Err() == nil {
		there, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](fmt.Sprintf(`location.host === %q && document.readyState === "complete"`, host)))
		if err == nil && there { // An error: the page went away meanwhile.
			return w.text()
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Fatalf("the browser did not arrive at %s", host)
	return ""
}

// cookies returns what the browser would send to url, by name.
func (w *window) cookies(url string) map[string]*network.Cookie {
	w.t.Helper()
	got, err := chromedp.Call(w.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{url}})
	if err != nil {
		w.t.Fatalf("the cookies of the browser: got %v, want no error", err)
	}
	byName := map[string]*network.Cookie{}
	for _, c := range got.Cookies {
		byName[c.Name] = c
	}
	return byName
}

// jar returns every cookie of the window's profile.
func (w *window) jar() []*network.Cookie {
	w.t.Helper()
	profile := chromedp.FromContext(w.ctx).BrowserContextID
	got, err := chromedp.CallBrowser(w.ctx, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: profile})
	if err != nil {
		w.t.Fatalf("the cookies of the profile: got %v, want no error", err)
	}
	return got.Cookies
}

// wantText checks what the window shows.
func wantText(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got the page %q, want %q", what, got, want)
	}
}
