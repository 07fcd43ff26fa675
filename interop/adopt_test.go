package interop_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"
	fastsession "github.com/fasthttp/session/v2"
	fastredis "github.com/fasthttp/session/v2/providers/redis"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/session"
	"github.com/gofiber/storage/redis/v3"
	redigo "github.com/gomodule/redigo/redis"
	"github.com/redis/rueidis"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/fibersess/sess/sesstest"
)

// adoption is what docs/from-others.md shows for one library: in its session are the values user, ann, and n, 7.
type adoption struct {
	name  string
	begin func(t *testing.T, addr string) []*http.Cookie // a real session of the real library
	take  func(ctx context.Context, client rueidis.Client, h *fasthttp.RequestHeader) (values map[string]any, ok bool)
}

var adoptions = []adoption{
	{"Fiber v2", beginFiber, takeFiber},
	{"scs", beginSCS, takeSCS},
	{"fasthttp/session", beginFasthttpSession, takeFasthttpSession},
	{"express-session", beginNode("express-session"), takeExpress},
	{"koa-session", beginNode("koa-session"), takeKoaSession},
}

// oldSecret is the one of the applications in others.js.
const oldSecret = "the old application's secret"

// getdel reads and deletes a key in one step, which one of several requests wins.
func getdel(ctx context.Context, client rueidis.Client, key string) ([]byte, bool) {
	stored, err := client.Do(ctx, client.B().Getdel().Key(key).Build()).ToString()
	return []byte(stored), err == nil
}

func takeFiber(ctx context.Context, client rueidis.Client, h *fasthttp.RequestHeader) (values map[string]any, ok bool) {
	stored, ok := getdel(ctx, client, string(h.Cookie("session_id")))
	return values, ok && gob.NewDecoder(bytes.NewReader(stored)).Decode(&values) == nil
}

func takeSCS(ctx context.Context, client rueidis.Client, h *fasthttp.RequestHeader) (map[string]any, bool) {
	stored, ok := getdel(ctx, client, "scs:session:"+string(h.Cookie("session")))
	if !ok {
		return nil, false
	}
	ends, values, err := scs.GobCodec{}.Decode(stored)
	return values, err == nil && time.Now().Before(ends)
}

func takeFasthttpSession(ctx context.Context, client rueidis.Client, h *fasthttp.RequestHeader) (map[string]any, bool) {
	stored, ok := getdel(ctx, client, "session:"+string(h.Cookie("sessionid")))
	var d fastsession.Dict
	return d.KV, ok && fastsession.Base64Decode(&d, stored) == nil
}

// takeExpress checks the signature first: connect-redis keeps the id in clear.
func takeExpress(ctx context.Context, client rueidis.Client, h *fasthttp.RequestHeader) (values map[string]any, ok bool) {
	cookie, err := url.QueryUnescape(string(h.Cookie("connect.sid")))
	id, sig, cut := strings.Cut(strings.TrimPrefix(cookie, "s:"), ".")
	mac := hmac.New(sha256.New, []byte(oldSecret))
	mac.Write([]byte(id))
	if err != nil || !cut || !hmac.Equal([]byte(sig), []byte(base64.RawStdEncoding.EncodeToString(mac.Sum(nil)))) {
		return nil, false
	}
	stored, ok := getdel(ctx, client, "sess:"+id)
	if !ok || json.Unmarshal(stored, &values) != nil {
		return nil, false
	}
	delete(values, "cookie")
	return values, true
}

// takeKoaSession reads a session that is the cookie itself. Nothing can be taken away then, so a key in Redis remembers
// that it was adopted, for as long as the cookie would have been good.
func takeKoaSession(ctx context.Context, client rueidis.Client, h *fasthttp.RequestHeader) (values map[string]any, ok bool) {
	cookie := string(h.Cookie("koa.sess"))
	mac := hmac.New(sha1.New, []byte(oldSecret))
	mac.Write([]byte("koa.sess=" + cookie))
	if !hmac.Equal(h.Cookie("koa.sess.sig"), []byte(base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))) {
		return nil, false
	}
	text, err := base64.StdEncoding.DecodeString(cookie)
	if err != nil || json.Unmarshal(text, &values) != nil {
		return nil, false
	}
	ends, _ := values["_expire"].(float64)
	left := time.Until(time.UnixMilli(int64(ends)))
	if left < time.Millisecond {
		return nil, false
	}
	key := fmt.Sprintf("adopted:%x", sha256.Sum256([]byte(cookie)))
	if client.Do(ctx, client.B().Set().Key(key).Value("1").Nx().Px(left).Build()).Error() != nil {
		return nil, false // nil: another request was first
	}
	delete(values, "_expire")
	delete(values, "_maxAge")
	return values, true
}

// beginNode has others.js begin a session.
func beginNode(library string) func(*testing.T, string) []*http.Cookie {
	return func(t *testing.T, addr string) (cookies []*http.Cookie) {
		t.Helper()
		if _, err := os.Stat("node_modules/" + library); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal("the npm packages are not installed: run npm ci in interop")
			}
			t.Skip("the npm packages are not installed: run npm ci in interop")
		}
		_, port, _ := strings.Cut(addr, ":")
		cmd := exec.Command("node", "others.js", library, port)
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		var lines []string
		if err == nil {
			err = json.Unmarshal(out, &lines)
		}
		if err != nil {
			t.Fatalf("%s: got %v, want a session", library, err)
		}
		for _, line := range lines {
			c, err := http.ParseSetCookie(line)
			if err != nil {
				t.Fatal(err)
			}
			cookies = append(cookies, c)
		}
		return cookies
	}
}

func beginFiber(t *testing.T, addr string) []*http.Cookie {
	host, port, _ := strings.Cut(addr, ":")
	number := 0
	fmt.Sscan(port, &number)
	storage := redis.New(redis.Config{Host: host, Port: number})
	t.Cleanup(func() { storage.Close() })
	store := session.New(session.Config{Storage: storage})
	app := fiber.New()
	app.Get("/", func(c *fiber.Ctx) error {
		s, err := store.Get(c)
		if err != nil {
			return err
		}
		s.Set("user", "ann")
		s.Set("n", 7)
		return s.Save()
	})
	res, err := app.Test(httptest.NewRequest("GET", "/", nil), -1)
	if err != nil {
		t.Fatal(err)
	}
	return res.Cookies()
}

func beginSCS(t *testing.T, addr string) []*http.Cookie {
	pool := &redigo.Pool{Dial: func() (redigo.Conn, error) { return redigo.Dial("tcp", addr) }}
	t.Cleanup(func() { pool.Close() })
	manager := scs.New()
	manager.Store = redisstore.New(pool)
	w := httptest.NewRecorder()
	manager.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		manager.Put(r.Context(), "user", "ann")
		manager.Put(r.Context(), "n", 7)
	})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return w.Result().Cookies()
}

func beginFasthttpSession(t *testing.T, addr string) (cookies []*http.Cookie) {
	provider, err := fastredis.New(fastredis.Config{KeyPrefix: "session", Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	sessions := fastsession.New(fastsession.NewDefaultConfig())
	if err := sessions.SetProvider(provider); err != nil {
		t.Fatal(err)
	}
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	store, err := sessions.Get(&ctx)
	if err != nil {
		t.Fatal(err)
	}
	store.Set("user", "ann")
	store.Set("n", 7)
	if err := sessions.Save(&ctx, store); err != nil {
		t.Fatal(err)
	}
	for _, line := range ctx.Response.Header.Cookies() {
		c, err := http.ParseSetCookie(string(line))
		if err != nil {
			t.Fatal(err)
		}
		cookies = append(cookies, c)
	}
	return cookies
}

// adopt is Config.Adopt.
func (a adoption) adopt(client rueidis.Client) func(*fasthttp.RequestCtx) (string, map[string]any, bool) {
	return func(ctx *fasthttp.RequestCtx) (string, map[string]any, bool) {
		bounded, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		values, ok := a.take(bounded, client, &ctx.Request.Header)
		if !ok {
			return "", nil, false
		}
		user, _ := values["user"].(string)
		delete(values, "user")
		return user, values, true
	}
}

// newSite is an application on sess that adopts, on a Redis of its own.
func (a adoption) newSite(t *testing.T, server *redistest.Server) *fiber.App {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr}, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	store, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{server.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	app := fiber.New()
	app.Use(sess.New(sess.Config{Store: store, Keys: sess.Keys("a key of these tests, 32 bytes.."), Adopt: a.adopt(client)}))
	app.Get("/", func(c *fiber.Ctx) error {
		s := sess.From(c)
		user, _ := s.User()
		n, _ := sess.Get[int](s, "n")
		return c.SendString(fmt.Sprint(user, n))
	})
	app.Get("/out", func(c *fiber.Ctx) error {
		sess.From(c).Destroy()
		return nil
	})
	return app
}

// visitor is a browser with the library's cookie.
func visitor(app *fiber.App, cookies []*http.Cookie) func(t *testing.T, path string) string {
	client := sesstest.NewClient(app)
	for _, c := range cookies {
		client.Jar.SetCookies(&url.URL{Path: "/"}, []*http.Cookie{{Name: c.Name, Value: c.Value}})
	}
	return func(t *testing.T, path string) string {
		t.Helper()
		res, err := client.Get(path)
		if err != nil {
			t.Errorf("GET %s: got %v, want no error", path, err)
			return ""
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Errorf("GET %s: got %v, want a body", path, err)
		}
		return string(body)
	}
}

func TestSessionsOfOtherLibrariesGoOn(t *testing.T) {
	for _, a := range adoptions {
		t.Run(a.name, func(t *testing.T) {
			server := redistest.Start(t)
			c := a.begin(t, server.Addr)
			get := visitor(a.newSite(t, server), c)
			for _, what := range []string{"the request that adopts", "the next one"} {
				if got := get(t, "/"); got != "ann7" {
					t.Errorf("%s: got %q, want ann7", what, got)
				}
			}
			get(t, "/out")
			if got := get(t, "/"); got != "0" {
				t.Errorf("after the logout: got %q, want nobody", got)
			}
		})
	}
}

func TestParallelRequestsAdoptASessionOfAnotherLibraryOnce(t *testing.T) {
	for _, a := range adoptions {
		t.Run(a.name, func(t *testing.T) {
			server := redistest.Start(t)
			c := a.begin(t, server.Addr)
			app := a.newSite(t, server)
			var all sync.WaitGroup
			var mu sync.Mutex
			adopted := 0
			for range 8 {
				get := visitor(app, c)
				all.Go(func() {
					got := get(t, "/")
					mu.Lock()
					defer mu.Unlock()
					if got == "ann7" {
						adopted++
					}
				})
			}
			all.Wait()
			if adopted != 1 {
				t.Errorf("got %d requests of 8 that adopted, want 1", adopted)
			}
		})
	}
}
