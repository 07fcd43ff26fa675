// Package streams tests what outlives a request: the WebSockets of github.com/gofiber/contrib/websocket and Fiber's body
// streams, each with the session of its request as a sess.Live.
package streams

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	client "github.com/fasthttp/websocket"
	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/redis/rueidis"
)

// patience is how long a test waits for what happens at once on a quiet machine.
const patience = 10 * time.Second

// onEveryStore runs f with two nodes on one store: two managers on one MemoryStore, and two RueidisStores on one Redis.
func onEveryStore(t *testing.T, f func(t *testing.T, here, there *node)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		store := sess.NewMemoryStore()
		f(t, newNode(t, store), newNode(t, store))
	})
	t.Run("Redis", func(t *testing.T) {
		server := redistest.Start(t)
		f(t, newNode(t, openRedis(t, server.Addr)), newNode(t, openRedis(t, server.Addr)))
	})
}

func openRedis(t *testing.T, addr string) sess.Store {
	t.Helper()
	store, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// node is a process of the site.
type node struct {
	manager *sess.Manager
	addr    string
}

func newNode(t *testing.T, store sess.Store) *node {
	t.Helper()
	return newNodeWith(t, store, func(app *fiber.App) {
		app.Get("/socket", detach, websocket.New(socket))
		app.Get("/stream", detach, stream)
	})
}

// newNodeWith is a node whose connections are those of connect.
func newNodeWith(t *testing.T, store sess.Store, connect func(app *fiber.App)) *node {
	t.Helper()
	m, err := sess.NewManager(sess.Config{Store: store, Keys: sess.Keys("a key of these tests, 32 bytes..")})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(m.Handle)
	app.Post("/login", func(c *fiber.Ctx) error {
		sess.From(c).Login(c.FormValue("user"))
		return nil
	})
	app.Post("/logout", func(c *fiber.Ctx) error {
		sess.From(c).Destroy()
		return nil
	})
	app.Post("/renew", func(c *fiber.Ctx) error {
		sess.From(c).Regenerate()
		return nil
	})
	app.Post("/save", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "saved", c.FormValue("text"))
		return nil
	})
	app.Get("/count", func(c *fiber.Ctx) error {
		n, _ := sess.Get[int](sess.From(c), "count")
		return c.SendString(fmt.Sprint(n))
	})
	app.Post("/endall", func(c *fiber.Ctx) error {
		_, err := m.User(c.FormValue("user")).EndAll(c.UserContext())
		return err
	})
	connect(app)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = app.Listener(ln) }()
	t.Cleanup(func() {
		m.Close() // which ends every stream
		_ = app.Shutdown()
	})
	return &node{m, ln.Addr().String()}
}

// detach takes the session out of the request. The connection's Locals close the Live with the connection.
func detach(c *fiber.Ctx) error {
	if _, ok := sess.From(c).User(); !ok {
		return fiber.ErrUnauthorized
	}
	live, err := sess.From(c).Detach(c.UserContext())
	if err != nil {
		return err
	}
	c.Locals("live", live)
	return c.Next()
}

// socket echoes, counts what it echoes in the session, and ends with the session. The connection serves another client as soon as the
// handler has returned: so it returns when the function that closes the socket has, if that has begun.
func socket(c *websocket.Conn) {
	live := c.Locals("live").(*sess.Live)
	closed := make(chan struct{})
	conn := c.NetConn().(interface{ UnsafeConn() net.Conn }).UnsafeConn()
	stop := context.AfterFunc(live.Context(), func() {
		defer close(closed)
		reason := websocket.FormatCloseMessage(websocket.ClosePolicyViolation, context.Cause(live.Context()).Error())
		_ = c.WriteControl(websocket.CloseMessage, reason, time.Now().Add(time.Second))
		conn.Close()
	})
	defer func() {
		if !stop() {
			<-closed
		}
	}()
	for {
		kind, message, err := c.ReadMessage()
		if err != nil {
			return
		}
		err = live.Do(context.Background(), func(s sess.Session) error {
			sess.Update(s, "count", func(n int, _ bool) int { return n + 1 })
			return nil
		})
		if err != nil || c.WriteMessage(kind, message) != nil {
			return
		}
	}
}

// stream says a line at once and then many, and ends with the session.
func stream(c *fiber.Ctx) error {
	live := c.Locals("live").(*sess.Live)
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			fmt.Fprintln(w, "here")
			if w.Flush() != nil {
				return
			}
			select {
			case <-live.Done():
				fmt.Fprintln(w, "ended:", context.Cause(live.Context()))
				_ = w.Flush()
				return
			case <-tick.C:
			}
		}
	})
	return nil
}

// browser is one: to it all nodes are one host, so they get the same cookie.
type browser struct {
	t *testing.T
	*http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, &http.Client{Jar: jar, Transport: transport}}
}

func loggedIn(t *testing.T, at *node, user string) *browser {
	t.Helper()
	b := newBrowser(t)
	b.post(at, "/login", "user", user)
	return b
}

// post sends a form of one field.
func (b *browser) post(at *node, path string, field ...string) {
	b.t.Helper()
	form := url.Values{}
	if len(field) == 2 {
		form.Set(field[0], field[1])
	}
	res, err := b.PostForm("http://"+at.addr+path, form)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		b.t.Fatalf("POST %s: got the status %d, want 200", path, res.StatusCode)
	}
}

func (b *browser) text(at *node, path string) string {
	b.t.Helper()
	res, err := b.Get("http://" + at.addr + path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// connection is what a browser has open at a node.
type connection interface {
	open(what string)                 // fails the test unless the connection still works
	ended(what string, why ...string) // fails the test unless it ends, for one of these reasons
	leave()                           // ends it from the browser's side
}

// kinds opens each kind of connection.
var kinds = map[string]func(b *browser, at *node) connection{
	"WebSocket":   func(b *browser, at *node) connection { return b.socket(at) },
	"body stream": func(b *browser, at *node) connection { return b.stream(at) },
}

type openSocket struct {
	t    *testing.T
	conn *client.Conn
}

func (b *browser) socket(at *node) *openSocket {
	b.t.Helper()
	dialer := client.Dialer{Jar: b.Jar, HandshakeTimeout: patience}
	conn, _, err := dialer.Dial("ws://"+at.addr+"/socket", nil)
	if err != nil {
		b.t.Fatalf("the socket: got the error %v, want none", err)
	}
	b.t.Cleanup(func() { conn.Close() })
	return &openSocket{b.t, conn}
}

func (s *openSocket) open(what string) {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	if err := s.conn.WriteMessage(client.TextMessage, []byte("hello")); err != nil {
		s.t.Fatalf("%s: got the error %v, want that the socket is open", what, err)
	}
	if _, got, err := s.conn.ReadMessage(); err != nil || string(got) != "hello" {
		s.t.Fatalf("%s: got %q and the error %v, want that the socket is open", what, got, err)
	}
}

func (s *openSocket) ended(what string, why ...string) {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	_, _, err := s.conn.ReadMessage()
	for _, want := range why {
		if client.IsCloseError(err, client.ClosePolicyViolation) && strings.Contains(err.Error(), want) {
			return
		}
	}
	s.t.Errorf("%s: got %v, want that the server closes the socket, with %q", what, err, why)
}

func (s *openSocket) leave() { s.conn.Close() }

type openStream struct {
	t    *testing.T
	body io.ReadCloser
	read *bufio.Reader
}

func (b *browser) stream(at *node) *openStream {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
	b.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+at.addr+"/stream", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	res, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { res.Body.Close() })
	s := &openStream{t: b.t, body: res.Body, read: bufio.NewReader(res.Body)}
	s.open("the new stream")
	return s
}

// open reads past what may have been sent already: the server pauses between two lines.
func (s *openStream) open(what string) {
	s.t.Helper()
	for begin := time.Now(); time.Since(begin) < 100*time.Millisecond; {
		if line, err := s.read.ReadString('\n'); err != nil || line != "here\n" {
			s.t.Fatalf("%s: got %q and the error %v, want that the stream goes on", what, line, err)
		}
	}
}

func (s *openStream) ended(what string, why ...string) {
	s.t.Helper()
	last := ""
	for begin := time.Now(); time.Since(begin) < patience; {
		line, err := s.read.ReadString('\n')
		if err == nil {
			last = line
			continue
		}
		for _, want := range why {
			if err == io.EOF && strings.HasPrefix(last, "ended: ") && strings.Contains(last, want) {
				return
			}
		}
		s.t.Errorf("%s: got %q and then %v, want that the stream ends, with %q", what, last, err, why)
		return
	}
	s.t.Errorf("%s: the stream goes on, want that it ends", what)
}

func (s *openStream) leave() { s.body.Close() }

// wantLives waits until the node has n Lives open.
func (n *node) wantLives(t *testing.T, what string, want int) {
	t.Helper()
	for deadline := time.Now().Add(patience); n.manager.Stats().Lives != want; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: got %d Lives, want %d", what, n.manager.Stats().Lives, want)
		}
	}
}
