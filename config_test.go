package sess_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

func TestTheZeroConfigWorks(t *testing.T) {
	if err := (sess.Config{}).Validate(); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	app := fiber.New()
	app.Use(sess.New())
	app.Get("/", func(c *fiber.Ctx) error {
		n := 0
		sess.Update(sess.From(c), "n", func(old int, _ bool) int { n = old + 1; return n })
		return c.JSON(n)
	})
	b := newBrowser(t, app.Handler())
	for _, want := range []string{"1", "2", "3"} {
		if got := b.get("/").body; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Each entry has one mistake in it, and what its message must hold: the field, the value, the rule or the remedy.
func TestEveryMistakeInAConfigIsRefused(t *testing.T) {
	key := sess.Keys(testKey)
	for _, c := range []struct {
		config sess.Config
		want   []string
	}{
		{sess.Config{Store: newSpyStore()}, []string{"Keys", "none", "at least one"}},
		{sess.Config{Store: (*sess.MemoryStore)(nil)}, []string{"Store", "nil *sess.MemoryStore", "default"}},
		{sess.Config{Store: (*sess.RueidisStore)(nil), Keys: key}, []string{"Store", "nil *sess.RueidisStore", "default"}},
		{sess.Config{Keys: sess.Keys("0123456789abcde")}, []string{"Keys[0]", "15 bytes", "16", "DangerouslyShortKeys"}},
		{sess.Config{Keys: sess.Keys(testKey, "")}, []string{"Keys[1]", "empty"}},
		{sess.Config{Keys: []sess.Key{{}}}, []string{"Keys[0]", "empty"}},
		{sess.Config{Keys: sess.Keys(""), DangerouslyShortKeys: true}, []string{"Keys[0]", "empty"}},
		{sess.Config{Keys: sess.Keys(make([]byte, 32))}, []string{"Keys[0]", "NUL", "random bytes"}},
		{sess.Config{Keys: sess.Keys(testKey, otherTestKey, testKey)}, []string{"Keys[2]", "Keys[0]", "another secret"}},
		{sess.Config{Keys: []sess.Key{sess.SHA256Key(testKey), sess.Keys(testKey)[0]}}, []string{"Keys[1]", "Keys[0]", "another secret"}},
		{sess.Config{Koa: true, Keys: []sess.Key{sess.SHA1Key(testKey), sess.Keys(testKey)[0]}}, []string{"Keys[1]", "Keys[0]", "another secret"}},
		{sess.Config{TTL: -time.Second}, []string{"TTL", "-1s", "positive"}},
		{sess.Config{TTL: time.Microsecond}, []string{"TTL", "1µs", "millisecond"}},
		{sess.Config{TTL: 101 * 365 * 24 * time.Hour}, []string{"TTL", "884760h", "100 years"}},
		{sess.Config{Lifetime: -1}, []string{"Lifetime", "-1ns", "positive"}},
		{sess.Config{StoreTimeout: -1}, []string{"StoreTimeout", "-1ns", "positive"}},
		{sess.Config{TTL: time.Hour, TTLFunc: func(sess.Session) time.Duration { return 0 }}, []string{"TTLFunc", "1h0m0s", "one of the two"}},
		{sess.Config{Rolling: true, RollingThreshold: 1}, []string{"RollingThreshold", "1", "RollingAlways"}},
		{sess.Config{Rolling: true, RollingThreshold: -0.1}, []string{"RollingThreshold", "-0.1"}},
		{sess.Config{RollingThreshold: 0.5}, []string{"Rolling", "false", "true"}},
		{sess.Config{RollingAlways: true}, []string{"Rolling", "false", "true"}},
		{sess.Config{MaxRecordBytes: -1}, []string{"MaxRecordBytes", "-1", "default"}},
		{sess.Config{MaxRecordBytes: 16<<20 + 1}, []string{"MaxRecordBytes", "16777217", "16777216"}},
		{sess.Config{Keys: key, Cookie: sess.Cookie{DangerouslyUnsigned: true}}, []string{"DangerouslyUnsigned", "Keys", "one of the two"}},
		{sess.Config{Koa: true, Transport: sess.HeaderTransport("X-Session")}, []string{"Transport", "Koa", "one of the two"}},
		{sess.Config{Transport: sess.HeaderTransport("X Session")}, []string{"Transport", `"X Session"`, "letters"}},
		{sess.Config{Transport: sess.HeaderTransport("cookie")}, []string{"Transport", "nil"}},
		{sess.Config{Cookie: sess.Cookie{Expires: time.Now()}}, []string{"Cookie.Expires", "MaxAge or TTL"}},
		{sess.Config{Cookie: sess.Cookie{Name: "a;b"}}, []string{"Cookie.Name", `"a;b"`, "token"}},
		{sess.Config{Cookie: sess.Cookie{Path: "app"}}, []string{"Cookie.Path", `"app"`, `"/"`}},
		{sess.Config{Cookie: sess.Cookie{Domain: "a b"}}, []string{"Cookie.Domain", `"a b"`, "host name"}},
		{sess.Config{Cookie: sess.Cookie{MaxAge: -1}}, []string{"Cookie.MaxAge", "-1ns", "0"}},
		{sess.Config{Cookie: sess.Cookie{MaxAge: 401 * 24 * time.Hour}}, []string{"Cookie.MaxAge", "9624h0m0s", "400 days"}},
		{sess.Config{Cookie: sess.Cookie{Secure: 9}}, []string{"Cookie.Secure", "9", "SecureAuto"}},
		{sess.Config{Cookie: sess.Cookie{SameSite: 9}}, []string{"Cookie.SameSite", "9", "SameSiteLax"}},
		{sess.Config{Cookie: sess.Cookie{SameSite: sess.SameSiteNone}}, []string{"Cookie.Secure", "SecureAlways"}},
		{sess.Config{Cookie: sess.Cookie{Partitioned: true}}, []string{"Cookie.Secure", "SecureAlways"}},
		{sess.Config{Cookie: sess.Cookie{Name: "__Host-id", Secure: sess.SecureAlways, Domain: "a.b"}}, []string{"Cookie.Domain", "__Host-", "none"}},
	} {
		err := c.config.Validate()
		if err == nil {
			t.Errorf("%s: got no error, want one that holds %q", c.want[0], c.want)
			continue
		}
		if n := strings.Count(err.Error(), "sess: "); n != 1 {
			t.Errorf("%s: got %d mistakes in %q, want 1", c.want[0], n, err)
		}
		for _, want := range append(c.want, "sess: Config.", "; ") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want %q in it", c.want[0], err, want)
			}
		}
	}
}

const otherTestKey = "another key of these tests, also long enough"

// One secret may sign with both algorithms, so that SHA-1 can be phased out.
func TestOneSecretMayStandForBothAlgorithms(t *testing.T) {
	for name, config := range map[string]sess.Config{
		"named":      {Keys: []sess.Key{sess.SHA256Key(testKey), sess.SHA1Key(testKey)}},
		"beside Koa": {Koa: true, Keys: []sess.Key{sess.SHA256Key(testKey), sess.Keys(testKey)[0]}},
	} {
		if err := config.Validate(); err != nil {
			t.Errorf("%s: got %v, want no error", name, err)
		}
	}
}

// A secret that was read from a file has the line's end in it: another program that trims it signs differently. Random
// bytes may end so too, and are not warned of.
func TestAKeyWithASpaceAtItsEndIsWarnedOf(t *testing.T) {
	random := append(bytes.Repeat([]byte{0x80, 0x01, 'a'}, 10), '\n')
	for _, c := range []struct {
		keys []sess.Key
		want string // the places; "" for no warning
	}{
		{sess.Keys(testKey), ""},
		{sess.Keys(string(random)), ""},
		{sess.Keys(testKey + "\n"), "Keys[0]"},
		{sess.Keys(testKey, otherTestKey+"\r\n"), "Keys[1]"},
		{sess.Keys(" " + testKey), "Keys[0]"},
	} {
		for _, how := range []string{"Config.", "Set"} {
			var log bytes.Buffer
			config := sess.Config{Keys: sess.Keys(testKey), Logger: slog.New(slog.NewTextHandler(&log, nil))}
			if how == "Config." {
				config.Keys = c.keys
			}
			m, err := sess.NewManager(config)
			if err == nil && how == "Set" {
				err = m.SetKeys(c.keys...)
			}
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Count(log.String(), "level=WARN")
			if warned := strings.Contains(log.String(), how+c.want); c.want == "" && lines != 0 || c.want != "" && (lines != 1 || !warned) {
				t.Errorf("%s: got %q, want one warning that names %s%s, or none", how, log.String(), how, c.want)
			}
			if strings.Contains(log.String(), testKey) {
				t.Errorf("%s: got the key in the log, want its place alone", how)
			}
		}
	}
}

func TestANilTransportIsRefused(t *testing.T) {
	config := sess.Config{Transport: (*pointerTransport)(nil)}
	if err := config.Validate(); err == nil || !strings.Contains(err.Error(), "sess: Config.Transport: a nil *sess_test.pointerTransport; want") {
		t.Errorf("got %v, want an error that names Config.Transport and its type", err)
	}
}

type pointerTransport struct{ sess.Transport }

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	wrong := sess.Config{
		TTL:            -1,
		StoreTimeout:   -1,
		MaxRecordBytes: -1,
		RollingAlways:  true,
		Keys:           sess.Keys("the short key", ""),
		Cookie:         sess.Cookie{Name: "a b", Path: "x", SameSite: sess.SameSiteNone},
	}
	fields := []string{"TTL", "StoreTimeout", "MaxRecordBytes", "Rolling", "Keys[0]", "Keys[1]", "Cookie.Name", "Cookie.Path", "Cookie.Secure"}
	check := func(err error) {
		t.Helper()
		if err == nil {
			t.Fatal("got no error, want one")
		}
		for _, field := range fields {
			if !strings.Contains(err.Error(), "sess: Config."+field+": ") {
				t.Errorf("got %q, want a line on %s", err, field)
			}
		}
		if n := strings.Count(err.Error(), "\n") + 1; n != len(fields) {
			t.Errorf("got %d lines, want %d", n, len(fields))
		}
		if strings.Contains(err.Error(), "the short key") {
			t.Error("got the key in the error, want its place and length only")
		}
	}
	check(wrong.Validate())
	m, err := sess.NewManager(wrong)
	if m != nil {
		t.Error("NewManager: got a Manager, want none")
	}
	check(err)
	defer func() {
		err, _ := recover().(error)
		check(err)
	}()
	sess.New(wrong)
}

func TestNewWantsAtMostOneConfig(t *testing.T) {
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "2 Configs; want one") {
			t.Errorf("got panic %q, want one that says how many", text)
		}
	}()
	sess.New(sess.Config{}, sess.Config{})
}

func TestShortKeysNeedTheFieldThatSaysSo(t *testing.T) {
	short := sess.Config{Keys: sess.Keys("keys"), DangerouslyShortKeys: true}
	if err := short.Validate(); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	for _, key := range [][]byte{[]byte("0123456789abcdef"), bytes.Repeat([]byte{0xff}, 32)} {
		if err := (sess.Config{Keys: sess.Keys(key)}).Validate(); err != nil {
			t.Errorf("a key of %d bytes: got %v, want no error", len(key), err)
		}
	}
}

func TestNextSkipsTheMiddleware(t *testing.T) {
	site := newSite(t, sess.Config{Next: func(ctx *fasthttp.RequestCtx) bool { return string(ctx.Path()) == "/health" }})
	b := site.browser(t)
	b.carry(inventedID)
	b.handle("GET", "/health", func(c *fiber.Ctx) error {
		if err := sess.From(c).Err(); !errors.Is(err, sess.ErrReleased) {
			t.Errorf("Err: got %v, want ErrReleased", err)
		}
		return nil
	}).forbidCookie(t, "skipped")
	site.store.wantCalls(t, "skipped", 0, 0)
	b.visit(func(s sess.Session) { sess.Set(s, "n", 1) }).wantCookies(t, "not skipped")
}

func TestGenerateIDMakesTheIDs(t *testing.T) {
	const id = "an-id-of-the-applications-making"
	b := newSite(t, sess.Config{GenerateID: func(*fasthttp.RequestCtx) (string, error) { return id, nil }}).browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
	if got := b.id(); got != id {
		t.Errorf("got id %q, want %q", got, id)
	}
}

func TestTheErrorHandlerDecidesWhatAFailureLooksLike(t *testing.T) {
	site := newSite(t, sess.Config{ErrorHandler: func(ctx *fasthttp.RequestCtx, err error) error {
		var e *sess.Error
		if !errors.As(err, &e) || e.Op != "save" || !errors.Is(err, errBroken) || !errors.Is(err, fiber.ErrServiceUnavailable) {
			t.Errorf("got error %#v, want a *sess.Error of the save with the store's and Fiber's in it", err)
		}
		ctx.SetStatusCode(fiber.StatusTeapot)
		return nil
	}})
	site.store.broken.Store(true)
	r := site.browser(t).handle("GET", "/", func(c *fiber.Ctx) error { sess.Set(sess.From(c), "n", 1); return nil })
	if r.status != fiber.StatusTeapot {
		t.Errorf("got status %d, want 418", r.status)
	}
}

// TestAnErrorHandlersErrEndedIsAnsweredWithItsStatus: bare, as one that a handler returns.
func TestAnErrorHandlersErrEndedIsAnsweredWithItsStatus(t *testing.T) {
	site := newSite(t, sess.Config{ErrorHandler: func(*fasthttp.RequestCtx, error) error { return sess.ErrEnded }})
	site.store.broken.Store(true)
	r := site.browser(t).handle("GET", "/", func(c *fiber.Ctx) error { sess.Set(sess.From(c), "n", 1); return nil })
	if r.status != fiber.StatusUnauthorized {
		t.Errorf("got status %d, want 401", r.status)
	}
}

// TestAnErrorHandlersOwnStatusIsAnswered: what it joins to that is for the log, ErrEnded and the like too.
func TestAnErrorHandlersOwnStatusIsAnswered(t *testing.T) {
	for _, cause := range []error{sess.ErrEnded, sess.ErrLoginTooOld} {
		own := errors.Join(fiber.ErrTeapot, cause)
		site := newSite(t, sess.Config{ErrorHandler: func(*fasthttp.RequestCtx, error) error { return own }})
		site.store.broken.Store(true)
		r := site.browser(t).handle("GET", "/", func(c *fiber.Ctx) error { sess.Set(sess.From(c), "n", 1); return nil })
		if r.status != fiber.StatusTeapot {
			t.Errorf("teapot and %v: got status %d, want 418", cause, r.status)
		}
	}
}

func TestRule17TheMemoryStoreRefusesToBeOneOfSeveral(t *testing.T) {
	t.Setenv("FIBER_PREFORK_CHILD", "1")
	for name, config := range map[string]sess.Config{
		"by default": {},
		"chosen":     {Store: sess.NewMemoryStore(), Keys: sess.Keys(testKey)},
		"decorated":  {Store: wrapping{sess.NewMemoryStore()}, Keys: sess.Keys(testKey)},
	} {
		if _, err := sess.NewManager(config); err == nil || !strings.Contains(err.Error(), "Prefork") {
			t.Errorf("%s: got error %v, want one that names Prefork", name, err)
		}
	}
	shared := struct{ sess.Store }{sess.NewMemoryStore()}
	if _, err := sess.NewManager(sess.Config{Store: shared, Keys: sess.Keys(testKey)}); err != nil {
		t.Errorf("a shared store: got %v, want no error", err)
	}
}

func TestRule17APreforkChildOfItsOwnFailsAtStartUp(t *testing.T) {
	if os.Getenv("SESS_TEST_CHILD") != "" {
		sess.New() // Must end the process.
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "SESS_TEST_CHILD=1", "FIBER_PREFORK_CHILD=1")
	out, err := child.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("panic: sess: Config.Store")) {
		t.Errorf("got error %v and\n%s\nwant a panic that names Config.Store", err, out)
	}
}

func TestRule17TheMemoryStoreWarnsOnceInProduction(t *testing.T) {
	for _, c := range []struct {
		variable, value string
		config          sess.Config
		want            int
	}{
		{"GO_ENV", "production", sess.Config{}, 1},
		{"APP_ENV", "production", sess.Config{}, 1},
		{"FIBER_ENV", "production", sess.Config{}, 1},
		{"GO_ENV", "test", sess.Config{}, 0},
		{"GO_ENV", "production", sess.Config{Store: sess.NewMemoryStore(), Keys: sess.Keys(testKey)}, 0},
	} {
		t.Run(c.variable+"="+c.value, func(t *testing.T) {
			var log bytes.Buffer
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
			defer slog.SetDefault(before)
			t.Setenv(c.variable, c.value)
			app := fiber.New()
			app.Use(sess.New(c.config))
			b := newBrowser(t, app.Handler())
			b.get("/")
			b.get("/")
			if got := strings.Count(log.String(), "level=WARN"); got != c.want {
				t.Errorf("got %d warnings, want %d: %s", got, c.want, log.String())
			}
		})
	}
}

func TestATransportsTokenMayHoldAnIDWithDots(t *testing.T) {
	site := newSite(t, sess.Config{
		Transport:  sess.HeaderTransport("X-Session"),
		GenerateID: func(*fasthttp.RequestCtx) (string, error) { return "an.id.with.dots.in.it", nil },
	})
	b := site.browser(t)
	token := b.visit(setN).header.Get("X-Session")
	b.prepare = func(r *fasthttp.Request) { r.Header.Set("X-Session", token) }
	wantValue(b, "n", 1)
}
