package main

import (
	"bufio"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/redistest"
)

// quick are options under which a password costs nothing.
func quick() options {
	o := defaults()
	o.iterations = 1
	o.guesses = 1000
	return o
}

// onEveryStore runs test on a site whose sessions and accounts are in memory, and on one with both in a real Redis.
func onEveryStore(t *testing.T, test func(t *testing.T, o options)) {
	t.Run("memory", func(t *testing.T) { test(t, quick()) })
	t.Run("redis", func(t *testing.T) {
		o := quick()
		done, err := o.useRedis("redis://" + redistest.Start(t).Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(done)
		test(t, o)
	})
}

// serve runs a site until the test ends, and returns its address.
func serve(t *testing.T, o options) (s *site, base string) {
	t.Helper()
	s, err := newSite(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.app.Listener(l)
	}()
	t.Cleanup(func() {
		s.sessions.Close()
		_ = s.app.ShutdownWithTimeout(time.Second)
		<-served
	})
	return s, "http://" + l.Addr().String()
}

// browser keeps cookies, follows redirects, and fills the token of the page it has seen last into the forms it sends.
type browser struct {
	t      *testing.T
	base   string
	agent  string
	client *http.Client

	path   string // of the page that it shows
	status int
	body   string
	header http.Header
}

const (
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
	iphone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)

func newBrowser(t *testing.T, base, agent string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t: t, base: base, agent: agent, client: &http.Client{Jar: jar, Transport: transport}}
}

// member is a browser in which a new account is logged in.
func member(t *testing.T, base, agent, name string) *browser {
	t.Helper()
	b := newBrowser(t, base, agent)
	b.get("/register")
	b.post("/register", "name", name, "password", secret)
	b.wantPage("a new account", "/", 200, "Hello "+name)
	return b
}

const secret = "correct horse"

func (b *browser) get(path string) {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodGet, b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(req)
}

// post sends a form: names and values in turn, and the token of the page unless the form has one.
func (b *browser) post(path string, fields ...string) {
	b.t.Helper()
	b.do(b.form(path, fields...))
}

func (b *browser) form(path string, fields ...string) *http.Request {
	b.t.Helper()
	form := url.Values{"csrf": {first(csrfField, b.body)}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	req, err := http.NewRequest(http.MethodPost, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.base)
	return req
}

func (b *browser) do(req *http.Request) {
	b.t.Helper()
	req.Header.Set("User-Agent", b.agent)
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.path, b.status, b.body, b.header = res.Request.URL.RequestURI(), res.StatusCode, string(text), res.Header
}

// logIn logs in with the password of every account here.
func (b *browser) logIn(name string, fields ...string) {
	b.t.Helper()
	b.get("/login")
	b.post("/login", append([]string{"name", name, "password", secret}, fields...)...)
}

var (
	csrfField = regexp.MustCompile(`name="csrf" value="([^"]*)"`)
	handles   = regexp.MustCompile(`name="session" value="([^"]*)"`)
	markup    = regexp.MustCompile(`<[^>]*>`)
)

func first(pattern *regexp.Regexp, text string) string {
	if m := pattern.FindStringSubmatch(text); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

// text is what the page says.
func (b *browser) text() string {
	return strings.Join(strings.Fields(html.UnescapeString(markup.ReplaceAllString(b.body, " "))), " ")
}

// wantPage checks which page is shown, and that it says each of texts.
func (b *browser) wantPage(what, path string, status int, texts ...string) {
	b.t.Helper()
	if b.path != path || b.status != status {
		b.t.Errorf("%s: got %d at %s, want %d at %s", what, b.status, b.path, status, path)
	}
	for _, text := range texts {
		if !strings.Contains(b.text(), text) {
			b.t.Errorf("%s: got a page that says %q, want %q", what, b.text(), text)
		}
	}
}

// cookies returns the names of the cookies that the browser keeps.
func (b *browser) cookies() (names []string) {
	b.t.Helper()
	u, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(u) {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

// wantUser looks at the first page, and checks who is logged in; "" is nobody.
func (b *browser) wantUser(what, name string) {
	b.t.Helper()
	b.get("/")
	if got := first(regexp.MustCompile(`<h1>Hello ([^<]*)</h1>`), b.body); got != name {
		b.t.Errorf("%s: got %q logged in, want %q", what, got, name)
	}
}

// listed returns the handles on the page of sessions, this one first.
func (b *browser) listed() (found []string) {
	b.t.Helper()
	b.get("/sessions")
	for _, m := range handles.FindAllStringSubmatch(b.body, -1) {
		found = append(found, m[1])
	}
	return found
}

// stream is the event stream of a page.
type stream struct {
	t     *testing.T
	lines chan string
}

func (b *browser) listen() *stream {
	b.t.Helper()
	res, err := b.client.Get(b.base + "/events")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { res.Body.Close() })
	if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || got != "text/event-stream" {
		b.t.Fatalf("the stream: got %d and the type %q, want 200 and text/event-stream", res.StatusCode, got)
	}
	s := &stream{b.t, make(chan string, 16)}
	go func() {
		defer close(s.lines)
		name := ""
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if event, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = event
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				s.lines <- strings.TrimSpace(name + " " + data)
			}
		}
	}()
	return s
}

// want checks the next events of the stream; "over" is its end.
func (s *stream) want(what string, events ...string) {
	s.t.Helper()
	for _, want := range events {
		select {
		case got, more := <-s.lines:
			if !more {
				got = "over"
			}
			if got != want {
				s.t.Errorf("%s: got the event %q, want %q", what, got, want)
			}
		case <-time.After(10 * time.Second):
			s.t.Fatalf("%s: got no event within 10 s, want %q", what, want)
		}
	}
}

// wantSilence checks that nothing was told, once an event has come to another stream.
func (s *stream) wantSilence(what string) {
	s.t.Helper()
	select {
	case got := <-s.lines:
		s.t.Errorf("%s: got the event %q, want none", what, got)
	case <-time.After(20 * time.Millisecond):
	}
}
