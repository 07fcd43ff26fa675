// Package reliability runs sess through what a site meets: several nodes on one Redis, and the faults of a network and
// of servers. It is a module of its own because of what it needs to check histories.
package reliability

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/gofiber/fiber/v2"
	"github.com/redis/rueidis"
)

// siteKey signs the cookies of all nodes.
const siteKey = "the key of all nodes, of 32 bytes"

// node is one process's part of a site: an app that listens on loopback, with a store of its own.
type node struct {
	url     string
	manager *sess.Manager
	store   *sess.RueidisStore
}

// startNode opens a store on what option names and lets an app with the given routes listen until the test ends. shape,
// if not nil, changes the Config before it is used.
func startNode(t testing.TB, option rueidis.ClientOption, config sess.RueidisConfig, shape func(*sess.Config), routes func(*fiber.App)) *node {
	t.Helper()
	store, err := sess.NewRueidisStore(option, config)
	if err != nil {
		t.Fatalf("NewRueidisStore: got the error %v, want none", err)
	}
	t.Cleanup(func() { store.Close() })
	c := sess.Config{Store: store, Keys: sess.Keys(siteKey)}
	if shape != nil {
		shape(&c)
	}
	m, err := sess.NewManager(c)
	if err != nil {
		t.Fatalf("NewManager: got the error %v, want none", err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(m.Handle)
	routes(app)
	return &node{url: serve(t, app), manager: m, store: store}
}

// serve lets app listen on loopback until the test ends.
func serve(t testing.TB, app *fiber.App) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		app.Listener(l)
	}()
	t.Cleanup(func() {
		app.Shutdown()
		<-served
	})
	return "http://" + l.Addr().String()
}

// browser has a jar of cookies that it shows to every node, as it does to a site behind a load balancer. It is for one
// goroutine at a time; twin makes another for the next one.
type browser struct {
	client *http.Client
	jar    map[string]string
}

// answer is a response, read to its end.
type answer struct {
	status int
	body   string
	took   time.Duration
	header http.Header
}

func newBrowser(t testing.TB) *browser {
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{client: &http.Client{Transport: transport}, jar: map[string]string{}}
}

// twin is another window of the same browser: it has the cookies of now, and keeps its own from here on.
func (b *browser) twin() *browser {
	jar := make(map[string]string, len(b.jar))
	for name, value := range b.jar {
		jar[name] = value
	}
	return &browser{client: b.client, jar: jar}
}

// another is another user's browser, without cookies, on the same connections: a test of thousands of users would run out
// of file descriptors else.
func (b *browser) another() *browser { return &browser{client: b.client, jar: map[string]string{}} }

// id is the session id in the jar, empty if there is none.
func (b *browser) id() string { return b.jar["koa.sid"] }

// get asks n for path. An error is one of the connection to the node, not one that the node answered.
func (b *browser) get(n *node, path string) (answer, error) {
	req, err := http.NewRequest(http.MethodGet, n.url+path, nil)
	if err != nil {
		return answer{}, err
	}
	for name, value := range b.jar {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	start := time.Now()
	res, err := b.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	for _, c := range res.Cookies() {
		if b.jar[c.Name] = c.Value; c.Value == "" {
			delete(b.jar, c.Name)
		}
	}
	return answer{res.StatusCode, string(body), time.Since(start), res.Header}, nil
}

// must is get for answers that have to be 200.
func (b *browser) must(t testing.TB, n *node, path string) answer {
	t.Helper()
	a, err := b.get(n, path)
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("%s: got (%d %s, %v), want 200", path, a.status, a.body, err)
	}
	return a
}

// at is the address of a server, as an option.
func at(addrs ...string) rueidis.ClientOption { return rueidis.ClientOption{InitAddress: addrs} }

// eventually waits until done, which looks at another process or at what it sent, says so.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	const patience = 20 * time.Second
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got no state in which %s within %v", what, patience)
		}
	}
}

// report prints one figure for docs/reliability.md.
func report(t testing.TB, format string, args ...any) {
	t.Helper()
	t.Logf("figure: %s", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
