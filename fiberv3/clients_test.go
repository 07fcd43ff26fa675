package sess_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	core "github.com/fibersess/sess"
	sess "github.com/fibersess/sess/fiberv3"
)

// aKey signs the sessions of these tests.
const aKey = "a key of these tests, 32 bytes.."

// newManager is a manager with a memory store, where config names no other.
func newManager(t testing.TB, config sess.Config) *core.Manager {
	t.Helper()
	if config.Store == nil {
		config.Store = sess.NewMemoryStore()
	}
	config.Keys = sess.Keys(aKey)
	m, err := core.NewManager(config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// listen serves on loopback until the test ends, and returns the address with the scheme.
func listen(t testing.TB, serve fasthttp.RequestHandler) (base string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{Handler: serve}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = server.Shutdown()
		<-served
	})
	return "http://" + ln.Addr().String()
}

// browser is an HTTP client with a jar.
type browser struct {
	t    testing.TB
	base string
	http *http.Client
	head http.Header // goes with every request
}

func newBrowser(t testing.TB, base string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t: t, base: base, http: &http.Client{Jar: jar, Transport: transport}, head: http.Header{}}
}

// answer is what a browser got.
type answer struct {
	status int
	body   string
	header http.Header
}

// setsCookie reports whether the answer sets the session's cookies.
func (a answer) setsCookie() bool {
	return strings.Contains(strings.Join(a.header.Values("Set-Cookie"), "\n"), "koa.sid")
}

func (b *browser) get(path string) answer { b.t.Helper(); return b.send(http.MethodGet, path) }

func (b *browser) send(method, path string) answer {
	b.t.Helper()
	req, err := http.NewRequest(method, b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header = b.head.Clone()
	res, err := b.http.Do(req)
	if err != nil {
		b.t.Errorf("%s %s: got the error %v, want an answer", method, path, err)
		return answer{header: http.Header{}}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Errorf("%s %s: got the error %v while reading the body, want none", method, path, err)
	}
	return answer{res.StatusCode, string(body), res.Header}
}

// want gets path and checks the status and the body.
func (b *browser) want(path string, status int, body string) answer {
	b.t.Helper()
	got := b.get(path)
	if got.status != status || got.body != body {
		b.t.Errorf("GET %s: got %d %q, want %d %q", path, got.status, got.body, status, body)
	}
	return got
}

// wantPost posts nothing to path and checks the status and the body.
func (b *browser) wantPost(path string, status int, body string) answer {
	b.t.Helper()
	got := b.send(http.MethodPost, path)
	if got.status != status || got.body != body {
		b.t.Errorf("POST %s: got %d %q, want %d %q", path, got.status, got.body, status, body)
	}
	return got
}

// id is the session's id in the jar.
func (b *browser) id() string {
	req, err := http.NewRequest(http.MethodGet, b.base+"/", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.http.Jar.Cookies(req.URL) {
		if c.Name == "koa.sid" {
			return c.Value
		}
	}
	return ""
}

// cookieHeader is what the browser sends.
func (b *browser) cookieHeader() string {
	req, err := http.NewRequest(http.MethodGet, b.base+"/", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	var pairs []string
	for _, c := range b.http.Jar.Cookies(req.URL) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

// upgrade opens a connection with the browser's cookies that the server is to take over, and reads the head of the answer.
func (b *browser) upgrade(path string) (net.Conn, *bufio.Reader) {
	b.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.base, "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nCookie: "+b.cookieHeader()+"\r\n\r\n"); err != nil {
		b.t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		b.t.Fatalf("upgrade: got %v and the error %v, want 101", res, err)
	}
	return conn, r
}

// The handlers that most tests have.
func login(v visit) error {
	v.session().Login(string(v.ctx.QueryArgs().Peek("user")))
	return nil
}

func logout(v visit) error {
	v.session().Destroy()
	return nil
}

func whoami(v visit) error {
	user, _ := v.session().User()
	v.ctx.SetBodyString(user)
	return nil
}

// count counts in the session, and answers how often it did.
func count(v visit) error {
	s := v.session()
	n, _ := sess.Get[int](s, "n")
	sess.Set(s, "n", n+1)
	v.ctx.SetBodyString(digits(n + 1))
	return nil
}

// withLogins adds the paths /login, /logout, /user and /count to a site.
func withLogins(s site) {
	s.get("/login", login)
	s.get("/logout", logout)
	s.get("/user", whoami)
	s.get("/count", count)
}
