package interop

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/fibersess/sess"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// koaNames are names of cookies that npm's cookies takes, as an application in either language writes them.
var koaNames = []string{
	"koa.sid", "koss:test_sid", "app:sid", "sess[id]", "a/b", "a,b", "a b", "a\tb", `a"b`, `a\b`, "a%3bb", "{a}", "(a)", "a@b?c", "s\u00e9ss", "\u00ff\u0080",
}

func TestCookiesOfEveryNameThatKoaTakesAreReadByBoth(t *testing.T) {
	requireNode(t)
	type request struct {
		Name   string `json:"name"`
		Cookie string `json:"cookie"`
	}
	type answer struct {
		Value string   `json:"value"`
		Sent  []string `json:"sent"`
	}
	var requests []request
	var visitors []*rawVisitor
	for _, name := range koaNames {
		v := newRawVisitor(t, name)
		v.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
		requests = append(requests, request{name, latin1(v.cookie)})
		visitors = append(visitors, v)
	}
	input, err := json.Marshal(map[string]any{"keys": appKeys, "requests": requests})
	if err != nil {
		t.Fatal(err)
	}
	node := exec.Command("node", "names.js")
	node.Stdin, node.Stderr = bytes.NewReader(input), t.Output()
	output, err := node.Output()
	if err != nil {
		t.Fatalf("names.js: got the error %v, want nil", err)
	}
	var answers []answer
	if err := json.Unmarshal(output, &answers); err != nil {
		t.Fatalf("names.js: got the error %v, want its answers", err)
	}
	for i, v := range visitors {
		if answers[i].Value != v.id {
			t.Errorf("%q: got no id in Koa, or another, want the one that sess sent", v.name)
		}
		var pairs []string
		for _, line := range answers[i].Sent {
			pair, _, _ := strings.Cut(line, ";")
			pairs = append(pairs, string(bytesOf(pair)))
		}
		v.cookie = []byte(strings.Join(pairs, "; "))
		found := 0
		v.visit(func(s sess.Session) { found, _ = sess.Get[int](s, "n") })
		if found != 1 {
			t.Errorf("%q: got no session of the cookie that Koa sent, want it found", v.name)
		}
	}
}

// rawVisitor is a client of a sess app in this process that sends and receives cookies as bytes: net/http's changes names
// that are no tokens.
type rawVisitor struct {
	name   string
	serve  fasthttp.RequestHandler
	do     func(sess.Session)
	cookie []byte // the Cookie header
	id     string
}

func newRawVisitor(t *testing.T, name string) *rawVisitor {
	t.Helper()
	m, err := sess.NewManager(sess.Config{Koa: true, Store: sess.NewMemoryStore(), Keys: sess.Keys(appKeys...), Cookie: sess.Cookie{Name: name}})
	if err != nil {
		t.Fatalf("%q: got the error %v, want nil", name, err)
	}
	v := &rawVisitor{name: name}
	app := fiber.New()
	app.Use(m.Handle)
	app.Get("/", func(c *fiber.Ctx) error {
		v.do(sess.From(c))
		return nil
	})
	v.serve = app.Handler()
	return v
}

func (v *rawVisitor) visit(do func(sess.Session)) {
	v.do = do
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	ctx.Request.Header.SetCanonical([]byte("Cookie"), v.cookie)
	v.serve(&ctx)
	var pairs [][]byte
	for _, line := range ctx.Response.Header.Cookies() {
		pair, _, _ := bytes.Cut(line, []byte(";"))
		pairs = append(pairs, bytes.Clone(pair))
	}
	if len(pairs) > 0 {
		v.cookie = bytes.Join(pairs, []byte("; "))
		v.id = string(pairs[0][bytes.IndexByte(pairs[0], '=')+1:])
	}
	ctx.ResetUserValues()
}

// latin1 returns a text with one character for each byte.
func latin1(b []byte) string {
	text := make([]rune, len(b))
	for i, c := range b {
		text[i] = rune(c)
	}
	return string(text)
}

// bytesOf is the reverse of latin1.
func bytesOf(text string) (b []byte) {
	for _, c := range text {
		b = append(b, byte(c))
	}
	return b
}
