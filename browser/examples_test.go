package browser_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// built are the binaries of the examples, for all tests, in a folder that ends with them.
var built struct {
	sync.Mutex
	dir    string
	byName map[string]string
}

// build builds examples/name, once, and returns the binary and the repository's root.
func build(name string) (binary, root string, err error) {
	if root, err = filepath.Abs(".."); err != nil {
		return "", "", err
	}
	built.Lock()
	defer built.Unlock()
	if binary = built.byName[name]; binary != "" {
		return binary, root, nil
	}
	binary = filepath.Join(built.dir, name)
	cmd := exec.Command("go", "build", "-o", binary, "./examples/"+name)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	if built.byName == nil {
		built.byName = map[string]string{}
	}
	built.byName[name] = binary
	return binary, root, nil
}

// example builds and runs examples/name until the test ends, and returns its address.
func example(t *testing.T, name string, needs ...string) (base string) {
	t.Helper()
	for _, program := range needs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s: got none, want it installed", program)
			}
			t.Skipf("%s is not installed", program)
		}
	}
	binary, root, err := build(name)
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	cmd := exec.Command(binary, "-addr", addr)
	cmd.Dir = root
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	for deadline := time.Now().Add(2 * time.Minute); ; {
		if res, err := http.Get("http://" + addr + "/"); err == nil {
			res.Body.Close()
			return "http://" + addr
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("examples/%s ended: %v\n%s", name, err, out.String())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("examples/%s: got no answer within two minutes", name)
		}
	}
}

// picture saves what the window shows as out/name.png: wide, as on a telephone, and dark. On a telephone nothing may be
// wider than the screen.
func (w *window) picture(name string) {
	w.t.Helper()
	if err := os.MkdirAll("out", 0o755); err != nil {
		w.t.Fatal(err)
	}
	for _, look := range []struct {
		suffix string
		width  int64
		scheme string
	}{{"", 900, "light"}, {"-phone", 375, "light"}, {"-dark", 900, "dark"}} {
		w.run(chromedp.EmulateViewport(look.width, 700), func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}},
			})
			return chromedp.Void{}, err
		})
		if got := evaluate[int64](w, "document.documentElement.scrollWidth"); got > look.width {
			w.t.Errorf("%s%s: got a page %d px wide, want at most %d", name, look.suffix, got, look.width)
		}
		png, err := chromedp.Run(w.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			w.t.Fatalf("%s%s: got %v, want a picture", name, look.suffix, err)
		}
		if err := os.WriteFile(filepath.Join("out", name+look.suffix+".png"), png, 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	if got := evaluate[string](w, "getComputedStyle(document.body).marginTop"); got != "0px" {
		w.t.Errorf("%s: got a margin of %s, want the style sheet of all examples", name, got)
	}
	if !evaluate[bool](w, `document.querySelector("link[rel=icon]") !== null`) {
		w.t.Errorf("%s: got no icon, want one in the page, or the browser asks for /favicon.ico", name)
	}
}

// press clicks the button that bears text.
func (w *window) press(text string) {
	w.t.Helper()
	evaluate[bool](w, `(b => b ? (setTimeout(() => b.click()), true) : false)([...document.querySelectorAll("button")].find(b => b.textContent === "`+text+`"))`)
}

// see waits until the page holds text.
func (w *window) see(text string) {
	w.t.Helper()
	w.seeIn("body", func(got string) bool { return strings.Contains(got, text) }, text)
}

// seeCount waits until the counter shows n and nothing else: the page also holds digits of a date and of a hash.
func (w *window) seeCount(n string) {
	w.t.Helper()
	w.seeIn("output", func(got string) bool { return got == n }, n)
}

// seeIn waits until the text of the element that selector names is good.
func (w *window) seeIn(selector string, good func(text string) bool, want string) {
	w.t.Helper()
	for w.ctx.Err() == nil {
		got, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](`document.querySelector("`+selector+`")?.innerText ?? ""`))
		if err == nil && good(got) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Fatalf("the page never showed %q", want)
}

func TestTheCounterInABrowser(t *testing.T) {
	base := example(t, "counter")
	w := newWindow(t)
	w.open(base)
	w.see("You have no session")
	for _, count := range []string{"1", "2", "3"} {
		w.press("Count")
		w.seeCount(count)
	}
	before := w.cookies(base)["koa.sid"].Value
	w.press("Regenerate")
	for w.ctx.Err() == nil && w.cookies(base)["koa.sid"].Value == before {
		time.Sleep(20 * time.Millisecond)
	}
	w.seeCount("3")
	w.picture("counter")
	w.press("Remove")
	w.see("You have no session")
	if got := len(w.jar()); got != 0 {
		t.Errorf("removed: got %d cookies, want none", got)
	}
}

func TestTheClusterInABrowser(t *testing.T) {
	base := example(t, "cluster", "redis-server")
	w := newWindow(t)
	w.open(base)
	for _, step := range [][2]string{{"POST /login", "200 ann"}, {"GET /me", "200 ann"}, {"GET /admin", "200 ann"}, {"POST /logout", "200 logged out"}, {"GET /admin", "401"}} {
		w.press(step[0])
		w.see(step[1])
	}
	// cells counts the answers of a colour that are drawn in a row.
	cells := func(row, colour string) int {
		return evaluate[int](w, `document.querySelectorAll("[data-row='`+row+`'] .`+colour+`").length`)
	}
	colour := func(what string, row, colour string) {
		t.Helper()
		for before := cells(row, colour); cells(row, colour) <= before; time.Sleep(50 * time.Millisecond) {
			if w.ctx.Err() != nil {
				t.Fatalf("%s: the row %s never became %s", what, row, colour)
			}
		}
	}
	w.open(base) // to a strip without those steps
	w.press("POST /login")
	colour("logged in", "/me?node=b", "in")
	evaluate[bool](w, `(document.querySelector("#slow").click(), true)`)
	for _, row := range []string{"/me?node=a", "/admin?node=a", "/me?node=b", "/admin?node=b"} {
		colour("logged in", row, "in")
	}
	w.press("End ann's sessions, on node a")
	for _, row := range []string{"/me?node=a", "/admin?node=a", "/admin?node=b", "/me?node=b"} {
		colour("ended", row, "out")
	}
	for cells("/me?node=a", "out") < 12 && w.ctx.Err() == nil { // for the picture
		time.Sleep(50 * time.Millisecond)
	}
	w.picture("cluster")
}

func TestKoaAndFiberInABrowser(t *testing.T) {
	base := example(t, "koa", "redis-server", "node", "npm")
	w := newWindow(t)
	w.open(base)
	w.see("nobody")
	for _, app := range []string{"/koa", "/go"} {
		evaluate[bool](w, `(document.querySelector("section[data-app='`+app+`'] button[data-do='/count']").click(), true)`)
		w.see(`"count":` + map[string]string{"/koa": "1", "/go": "2"}[app])
	}
	evaluate[bool](w, `(document.querySelector("section[data-app='/koa'] button[data-do^='/login']").click(), true)`)
	w.see("ada")
	w.picture("koa")
}
