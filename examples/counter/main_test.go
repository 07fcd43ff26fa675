package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
)

// visitor keeps the cookies that the app sets.
type visitor struct {
	t   *testing.T
	app *fiber.App
	jar map[string]string
}

func (v *visitor) do(method, path string) (status int, body string) {
	v.t.Helper()
	req := httptest.NewRequest(method, path, nil)
	for name, value := range v.jar {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := v.app.Test(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, c := range resp.Cookies() {
		v.jar[c.Name] = c.Value
		if c.Value == "" {
			delete(v.jar, c.Name)
		}
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestTheCounterCountsForgetsAndRenews(t *testing.T) {
	v := &visitor{t, newApp(), map[string]string{}}
	want := func(path, want string) {
		t.Helper()
		if status, body := v.do("GET", path); status != 200 || body != want+"\n" {
			t.Errorf("%s: got %d %q, want 200 %q", path, status, body, want+"\n")
		}
	}
	want("/get", "1")
	want("/get", "2")
	id := v.jar["koa.sid"]
	want("/regenerate", "2")
	if got := v.jar["koa.sid"]; got == id || got == "" {
		t.Error("/regenerate: got the old id or none, want a new one")
	}
	want("/get", "3")
	want("/remove", "0")
	if len(v.jar) != 0 {
		t.Errorf("/remove: got %d cookies left, want none", len(v.jar))
	}
	want("/get", "1")
}

func TestThePageShowsTheSessionAndItsButtonsWork(t *testing.T) {
	v := &visitor{t, newApp(), map[string]string{}}
	if _, body := v.do("GET", "/"); !strings.Contains(body, "You have no session") || len(v.jar) != 0 {
		t.Errorf("first visit: got %d cookies and %s, want none and the page that says so", len(v.jar), body)
	}
	for range 2 {
		if status, _ := v.do("POST", "/get"); status != http.StatusSeeOther {
			t.Errorf("POST /get: got status %d, want 303", status)
		}
	}
	_, body := v.do("GET", "/")
	if !strings.Contains(body, `<output class="number" aria-label="count">2</output>`) || !regexp.MustCompile(`<code>[\w-]{8}</code>`).MatchString(body) {
		t.Errorf("got %s, want the count 2 and a hash of 8 characters", body)
	}
	if strings.Contains(body, v.jar["koa.sid"]) {
		t.Error("got the id in the page, want its hash only")
	}
	v.do("POST", "/regenerate")
	if _, body := v.do("GET", "/"); !strings.Contains(body, ">2</output>") {
		t.Errorf("after /regenerate: got %s, want the count 2", body)
	}
	v.do("POST", "/remove")
	if _, body := v.do("GET", "/"); !strings.Contains(body, "You have no session") {
		t.Errorf("after /remove: got %s, want the page of no session", body)
	}
}

// A program that keeps its sessions in memory does not carry a Redis client. What stays of the package, since sess imports
// it, are its initialisers and the tables they fill: a few kilobytes.
func TestTheCounterLinksNoRedisClient(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "counter")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	symbols, err := exec.Command("go", "tool", "nm", binary).CombinedOutput()
	if err != nil {
		t.Fatalf("go tool nm: %v\n%s", err, symbols)
	}
	if !strings.Contains(string(symbols), "github.com/fibersess/sess.(*Manager).Handle") {
		t.Fatal("got no symbol of sess, want the binary's symbols")
	}
	for line := range strings.Lines(string(symbols)) {
		for _, client := range []string{"rueidis.NewClient", "rueidis.(*pipe)", "rueidis.(*mux)", "sess.(*RueidisStore)"} {
			if strings.Contains(line, client) {
				t.Fatalf("got symbol %s, want none of the Redis client", strings.TrimSpace(line))
			}
		}
	}
}
