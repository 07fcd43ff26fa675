package sess_test

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/encryptcookie"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/fibersess/sess"
)

// Sessions behave the same however Fiber is configured, whatever encrypts the cookies, and without Fiber.
func TestSessionsBehaveTheSameInEverySetting(t *testing.T) {
	inFiber := func(config fiber.Config, around ...fiber.Handler) func(*testing.T, *desk, *sess.Manager) func(net.Listener) error {
		return func(t *testing.T, d *desk, m *sess.Manager) func(net.Listener) error {
			config.DisableStartupMessage = true
			app := fiber.New(config)
			for _, h := range around {
				app.Use(h)
			}
			app.Use(m.Handle)
			app.All("/", func(c *fiber.Ctx) error {
				if do := d.take(c.Get(deskHeader)); do != nil {
					do(sess.From(c))
				}
				return nil
			})
			return app.Listener
		}
	}
	plain := func(t *testing.T, d *desk, m *sess.Manager) func(net.Listener) error {
		return (&fasthttp.Server{Handler: m.Wrap(func(ctx *fasthttp.RequestCtx) {
			if do := d.take(string(ctx.Request.Header.Peek(deskHeader))); do != nil {
				do(sess.FromRequest(ctx))
			}
		})}).Serve
	}
	for _, v := range []struct {
		name   string
		config sess.Config
		start  func(*testing.T, *desk, *sess.Manager) func(net.Listener) error
		header bool // the token travels in a header
		lower  bool // header names are sent in lower case
	}{
		{name: "Fiber", start: inFiber(fiber.Config{})},
		{name: "Fiber, lower case", start: inFiber(fiber.Config{}), lower: true},
		{name: "deferred", config: sess.Config{Defer: true}, start: inFiber(fiber.Config{})},
		{name: "Immutable", start: inFiber(fiber.Config{Immutable: true})},
		{name: "DisableHeaderNormalizing", start: inFiber(fiber.Config{DisableHeaderNormalizing: true})},
		{name: "DisableHeaderNormalizing, lower case", start: inFiber(fiber.Config{DisableHeaderNormalizing: true}), lower: true},
		{name: "StreamRequestBody", start: inFiber(fiber.Config{StreamRequestBody: true, DisablePreParseMultipartForm: true})},
		{name: "ReduceMemoryUsage", start: inFiber(fiber.Config{ReduceMemoryUsage: true})},
		{name: "encryptcookie around us", start: inFiber(fiber.Config{}, encryptcookie.New(encryptcookie.Config{Key: encryptcookie.GenerateKey()}))},
		{name: "unsigned", config: sess.Config{Cookie: sess.Cookie{DangerouslyUnsigned: true}}, start: inFiber(fiber.Config{})},
		{name: "a header", config: sess.Config{Transport: sess.HeaderTransport("X-Session")}, start: inFiber(fiber.Config{}), header: true},
		{name: "fasthttp", start: plain},
		{name: "fasthttp, a header", config: sess.Config{Transport: sess.HeaderTransport("X-Session")}, start: plain, header: true},
	} {
		t.Run(v.name, func(t *testing.T) {
			store := &witness{MemoryStore: sess.NewMemoryStore()}
			v.config.Store = store
			if !v.config.Cookie.DangerouslyUnsigned {
				v.config.Keys = sess.Keys(testKey)
			}
			m, err := sess.NewManager(v.config)
			if err != nil {
				t.Fatal(err)
			}
			d := &desk{header: v.header, lower: v.lower}
			d.listen(t, v.start(t, d, m))
			behave(t, store, func() *browser { return d.browser(t) })
		})
	}
}

// behave holds a setting to what everybody relies on.
func behave(t *testing.T, store *witness, open func() *browser) {
	b := open()
	r := b.get("/")
	r.forbidCookie(t, "untouched")
	if len(r.header["X-Session"]) != 0 || store.Len() != 0 {
		t.Errorf("untouched: got a token %v, %d records; want none", len(r.header["X-Session"]) != 0, store.Len())
	}
	for want := 1; want <= 3; want++ {
		got := 0
		b.visit(func(s sess.Session) {
			sess.Update(s, "n", func(n int, _ bool) int { got = n + 1; return got })
		})
		if got != want {
			t.Fatalf("counting: got %d, want %d", got, want)
		}
	}
	b.prepare = func(r *fasthttp.Request) {
		r.Header.SetMethod(http.MethodPost)
		r.SetBody(bytes.Repeat([]byte("body "), 10_000))
	}
	b.visit(func(s sess.Session) { sess.Set(s, "text", "ünï\"\\\n") })
	b.prepare = nil
	wantValue(b, "text", "ünï\"\\\n")

	store.calls()
	r = b.visit(func(s sess.Session) { sess.Get[int](s, "n") })
	r.forbidCookie(t, "read only")
	store.wantCalls(t, "read only", 1, 0)
	if vary := strings.Join(r.header["Vary"], ","); vary != "Cookie" && vary != "X-Session" {
		t.Errorf("read only: got Vary %q, want what carries the session", vary)
	}

	var before sess.ID
	b.visit(func(s sess.Session) { before = s.ID(); s.Regenerate() })
	b.visit(func(s sess.Session) {
		if s.ID() == before || !s.Exists() {
			t.Errorf("renewed: got the old id %v, Exists %v; want a new id of a session that exists", s.ID() == before, s.Exists())
		}
	})
	wantValue(b, "n", 3)

	other := open()
	wantNone(other, "n")
	other.prepare = func(r *fasthttp.Request) {
		r.Header.Set("Cookie", "koa.sid="+inventedID+"; koa.sid.sig="+strings.Repeat("A", 43))
		r.Header.Set("X-Session", inventedID+"."+strings.Repeat("A", 43))
	}
	wantNone(other, "n")
	other.visit(func(s sess.Session) {
		if sess.Set(s, "n", 9); s.ID().Value() == inventedID {
			t.Error("an invented id: got it adopted, want another")
		}
	})
	wantValue(b, "n", 3)

	b.visit(func(s sess.Session) { s.Destroy() })
	wantNone(b, "n")
	if len(b.cookies) != 0 {
		t.Errorf("destroyed: got %d cookies left, want none", len(b.cookies))
	}
}

// desk is where a client leaves what the handler of a request is to do: the request carries the number.
type desk struct {
	mu       sync.Mutex
	work     []func(sess.Session)
	listener *fasthttputil.InmemoryListener
	header   bool
	lower    bool
}

const deskHeader = "X-Do"

// leave returns the number of do.
func (d *desk) leave(do func(sess.Session)) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.work = append(d.work, do)
	return strconv.Itoa(len(d.work) - 1)
}

// take returns what was left under number, nil if nothing was.
func (d *desk) take(number string) func(sess.Session) {
	n, err := strconv.Atoi(number)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil || n >= len(d.work) {
		return nil
	}
	return d.work[n]
}

// listen serves requests through memory until the test ends.
func (d *desk) listen(t *testing.T, serve func(net.Listener) error) {
	d.listener = fasthttputil.NewInmemoryListener()
	served := make(chan error, 1)
	go func() { served <- serve(d.listener) }()
	t.Cleanup(func() {
		d.listener.Close()
		<-served
	})
}

// browser returns a browser whose requests all go over one connection to the server.
func (d *desk) browser(t *testing.T) *browser {
	t.Helper()
	conn, err := d.listener.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(conn)
	token := ""
	return newBrowser(t, func(ctx *fasthttp.RequestCtx) {
		if do, ok := ctx.UserValue(visited{}).(func(sess.Session)); ok {
			ctx.Request.Header.Set(deskHeader, d.leave(do))
		}
		if token != "" {
			ctx.Request.Header.Set("X-Session", token)
		}
		var wire bytes.Buffer
		w := bufio.NewWriter(&wire)
		ctx.Request.Write(w)
		w.Flush()
		text := wire.Bytes()
		if d.lower {
			text = bytes.Replace(text, []byte("\r\nCookie: "), []byte("\r\ncookie: "), 1)
		}
		if _, err := conn.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := ctx.Response.Read(in); err != nil {
			t.Fatal(err)
		}
		if line := ctx.Response.Header.PeekAll("X-Session"); d.header && len(line) > 0 {
			token = string(line[0])
		}
	})
}
