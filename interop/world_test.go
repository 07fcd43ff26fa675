// Package interop drives the real Koa session middleware and a sess app on one Redis with one cookie jar.
package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/gofiber/fiber/v2"
	"github.com/redis/rueidis"
)

// world is a Redis with a Koa app and a sess app on it, and what differs from the defaults of both.
type world struct {
	t     *testing.T
	redis *redistest.Server
	koa   *koaApp
	sess  *sessApp
}

// setup says how the two apps of a world are configured. The zero setup is what a team has that changes as little as
// it can: the same two keys, a cookie of one day.
type setup struct {
	koaHash    string             // default: SHA-1, Koa's
	koaOptions map[string]any     // of koa-generic-session
	koaSess    bool               // run koa-sess 0.4.1 in its place
	config     func(*sess.Config) // changes the Config of the sess app
	koaIsGone  bool               // run sess as it is without Koa
	near       bool               // keep the near cache, which may be a millisecond behind Koa
}

// appKeys sign cookies in the tests. They have the length of keys one should have.
var appKeys = []string{"the new key, of 32 random bytes.", "the old key, of 32 random bytes."}

// newWorld starts what s says. It ends with the test.
func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	w := &world{t: t, redis: redistest.Start(t)}
	w.koa = startKoa(t, w.redis.Addr, s)
	w.sess = w.startSess(s)
	return w
}

// koaApp is a Node process that runs koa.js.
type koaApp struct{ url string }

func startKoa(t *testing.T, redisAddr string, s setup) *koaApp {
	t.Helper()
	requireNode(t)
	_, port, _ := net.SplitHostPort(redisAddr)
	redisPort, _ := strconv.Atoi(port)
	if s.koaOptions == nil {
		s.koaOptions = map[string]any{}
	}
	config, err := json.Marshal(map[string]any{
		"redis": redisPort, "keys": appKeys, "hash": s.koaHash, "koaSess": s.koaSess, "options": s.koaOptions,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "koa.js", string(config))
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start of koa.js: got the error %v, want nil", err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("start of koa.js: got the error %v, want a port", err)
	}
	return &koaApp{url: "http://127.0.0.1:" + strings.TrimSpace(line)}
}

// requireNode skips the test where Node or the npm packages are missing, and fails it if the variable CI is set.
func requireNode(t *testing.T) {
	t.Helper()
	missing := ""
	if _, err := exec.LookPath("node"); err != nil {
		missing = "node is not installed"
	} else if _, err := os.Stat("node_modules/koa-generic-session"); err != nil {
		missing = "the npm packages are not installed: run npm ci in interop"
	}
	if missing == "" {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

// sessApp is a Fiber app with a sess middleware. What its handler does a test gives with each request.
type sessApp struct {
	url      string
	store    *sess.RueidisStore
	manager  *sess.Manager
	mu       sync.Mutex
	handlers map[string]func(sess.Session) any
	dropped  []sess.Reason // why changes were not stored
}

func (w *world) startSess(s setup) *sessApp {
	w.t.Helper()
	store, err := sess.NewRueidisStore(
		rueidis.ClientOption{InitAddress: []string{w.redis.Addr}},
		sess.RueidisConfig{Koa: !s.koaIsGone, NoNearCache: !s.near},
	)
	if err != nil {
		w.t.Fatalf("NewRueidisStore: got the error %v, want nil", err)
	}
	w.t.Cleanup(func() { store.Close() })
	a := &sessApp{store: store, handlers: map[string]func(sess.Session) any{}}
	config := sess.Config{
		Store:  store,
		Keys:   sess.Keys(appKeys...),
		Cookie: sess.Cookie{MaxAge: 24 * time.Hour},
		Koa:    !s.koaIsGone,
		Hooks: sess.Hooks{Dropped: func(e sess.Event) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.dropped = append(a.dropped, e.Reason)
		}},
	}
	if s.config != nil {
		s.config(&config)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	manager, err := sess.NewManager(config)
	if err != nil {
		w.t.Fatalf("NewManager: got the error %v, want nil", err)
	}
	a.manager = manager
	app.Use(manager.Handle)
	app.Post("/*", func(c *fiber.Ctx) error {
		a.mu.Lock()
		h := a.handlers[c.Get("X-Handler")]
		a.mu.Unlock()
		return c.JSON(h(sess.From(c)))
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	go app.Listener(listener)
	w.t.Cleanup(func() { app.Shutdown() })
	a.url = "http://" + listener.Addr().String()
	return a
}

// visitor is a person with a browser.
type visitor struct {
	w      *world
	client http.Client
	asked  time.Time // when the latest request began
}

func (w *world) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	v := &visitor{w: w, client: http.Client{Jar: jar, Timeout: 10 * time.Second, Transport: &http.Transport{}}}
	w.t.Cleanup(v.client.CloseIdleConnections) // or Shutdown waits for them
	return v
}

// answer is what a request came back with.
type answer struct {
	status     int
	body       string
	setCookies []string
}

// koa runs js in the Koa app, with ctx and what koa.js offers, and returns what js returned, as JSON.
func (v *visitor) koa(js string) answer {
	v.w.t.Helper()
	return v.post(v.w.koa.url, "", js)
}

// sess runs f in the sess app and returns what f returned, as JSON.
func (v *visitor) sess(f func(s sess.Session) any) answer {
	v.w.t.Helper()
	a := v.w.sess
	a.mu.Lock()
	name := strconv.Itoa(len(a.handlers))
	a.handlers[name] = f
	a.mu.Unlock()
	return v.post(a.url, name, "")
}

func (v *visitor) post(to, handler, body string) answer {
	v.w.t.Helper()
	v.asked = time.Now()
	a, err := v.try(to, handler, body)
	if err != nil {
		v.w.t.Fatalf("POST: got the error %v, want an answer", err)
	}
	if a.status != http.StatusOK {
		v.w.t.Fatalf("POST: got the status %d (%s), want 200", a.status, a.body)
	}
	return a
}

func (v *visitor) try(to, handler, body string) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, to+"/", strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("X-Handler", handler)
	resp, err := v.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(bytes.TrimSpace(b)), resp.Header.Values("Set-Cookie")}, err
}

// cookie returns the visitor's cookie called name, "" if there is none.
func (v *visitor) cookie(name string) string {
	for _, c := range v.client.Jar.Cookies(v.host()) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// setCookie puts a cookie into the visitor's browser.
func (v *visitor) setCookie(name, value string) {
	v.client.Jar.SetCookies(v.host(), []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// twin returns another browser with the same session cookies.
func (v *visitor) twin() *visitor {
	other := v.w.visitor()
	for _, name := range []string{"koa.sid", "koa.sid.sig"} {
		other.setCookie(name, v.cookie(name))
	}
	return other
}

func (v *visitor) host() *url.URL { return &url.URL{Scheme: "http", Host: "127.0.0.1", Path: "/"} }

// key is where the visitor's session is in Redis.
func (v *visitor) key() string { return "koa:sess:" + v.cookie("koa.sid") }

// record returns the visitor's session as it is in Redis, "" if there is none.
func (v *visitor) record() string {
	s, _ := v.w.redis.Do("GET", v.key()).(string)
	return s
}

// wantTTL checks what TTL the visitor's latest request gave to the session, in whole seconds; forever stands for none.
// The time since that request began is taken into account, so a slow machine does not matter.
func (v *visitor) wantTTL(what string, want int) {
	v.w.t.Helper()
	left := v.w.redis.Do("PTTL", v.key()).(int64) // milliseconds
	passed := time.Since(v.asked).Milliseconds() + 1
	if want == forever && left == forever {
		return
	}
	if ms := int64(want) * 1000; left > ms || left+passed < ms {
		v.w.t.Errorf("%s: got %d to %d ms, want %d s", what, left, left+passed, want)
	}
}

// forever is the TTL of a key that has none, as Redis tells it.
const forever = -1

// member returns a member of the JSON object text, as compact JSON; "" if there is none.
func member(t *testing.T, text, name string) string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("JSON: got %q, want an object", text)
	}
	return string(m[name])
}

func wantEqual[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
