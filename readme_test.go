package sess_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess"
)

// goBlocks returns the Go code of a page, without the marks around it.
func goBlocks(t *testing.T, page string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(text), "```") {
		if code, ok := strings.CutPrefix(part, "go\n"); ok && i%2 == 1 {
			blocks = append(blocks, code)
		}
	}
	return blocks
}

// built compiles a program of one file in this module and returns its path.
func built(t *testing.T, program string) string {
	t.Helper()
	source, binary := filepath.Join(t.TempDir(), "main.go"), filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("got %v and\n%s\nwant a program that compiles:\n%s", err, out, program)
	}
	return binary
}

// person speaks to a program over http and sends Secure cookies nonetheless, as browsers do to localhost.
type person struct {
	t       *testing.T
	base    string
	cookies map[string]string
}

func (p *person) send(method, path, site string, form url.Values) (status int, body, to string) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", site)
	for name, value := range p.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range res.Cookies() {
		if p.cookies[c.Name] = c.Value; c.MaxAge < 0 || c.Value == "" {
			delete(p.cookies, c.Name)
		}
	}
	return res.StatusCode, string(text), res.Header.Get("Location")
}

func (p *person) want(what, method, path, site string, form url.Values, status int, body, to string) {
	p.t.Helper()
	if gotStatus, gotBody, gotTo := p.send(method, path, site, form); gotStatus != status || !strings.Contains(gotBody, body) || gotTo != to {
		p.t.Errorf("%s: got %d %q to %q, want %d with %q to %q", what, gotStatus, gotBody, gotTo, status, body, to)
	}
}

// A person who copies the login of README has a login.
func TestTheLoginOfTheREADMERuns(t *testing.T) {
	program := ""
	for _, code := range goBlocks(t, "README.md") {
		if strings.HasPrefix(code, "package main") && strings.Contains(code, "sess.Hardened") {
			program = code
		}
	}
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := port.Addr().String()
	if strings.Count(program, `":3000"`) != 1 {
		t.Fatalf("README.md: got no login as a program that listens on :3000:\n%s", program)
	}
	binary := built(t, strings.Replace(program, `":3000"`, `"`+address+`"`, 1))
	_ = port.Close()
	running := exec.Command(binary)
	running.Env = append(os.Environ(), "SESSION_KEY="+testKey)
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = running.Process.Kill()
		_ = running.Wait()
	}()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("got %v for ten seconds, want the program to listen", err)
		}
	}

	p := &person{t, "http://" + address, map[string]string{}}
	const own = "same-origin"
	p.want("nobody", "GET", "/", own, nil, 303, "", "/login")
	p.want("nobody changes", "POST", "/email", own, nil, 401, "Unauthorized", "")
	p.want("the form", "GET", "/login", own, nil, 200, "<form", "")
	p.want("a typing error", "POST", "/login", own, url.Values{"user": {"ann"}, "password": {"sesame"}}, 303, "", "/login")
	p.want("the message", "GET", "/login", own, nil, 200, "Wrong name or password.", "")
	if _, again, _ := p.send("GET", "/login", own, nil); strings.Contains(again, "Wrong") {
		t.Errorf("the message again: got %q, want it once", again)
	}
	right := url.Values{"user": {"ann"}, "password": {"open sesame"}}
	p.want("another site's form", "POST", "/login", "cross-site", right, 403, "another site", "")
	p.want("the login", "POST", "/login", own, right, 303, "", "/")
	p.want("ann", "GET", "/", own, nil, 200, "Hello ann", "")
	p.want("ann changes", "POST", "/email", own, nil, 200, "changed", "")
	p.want("the logout", "POST", "/logout", own, nil, 303, "", "/login")
	p.want("nobody again", "GET", "/", own, nil, 303, "", "/login")
}

// The further pages' code is compiled in the words that it stands in.
func TestTheCodeOfTheConfigurationAndSecurityPagesCompiles(t *testing.T) {
	body := ""
	for _, page := range []string{"docs/configuration.md", "docs/security.md"} {
		blocks := goBlocks(t, page)
		if len(blocks) == 0 {
			t.Fatalf("%s: got no code, want some", page)
		}
		for _, code := range blocks {
			body += "\t{\n" + code + "\t}\n"
		}
	}
	built(t, `package main

import (
	"os"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/csrf"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

func check(user, password string) bool { return true }

func main() {
	app, store := fiber.New(), sess.NewMemoryStore()
`+body+`
}
`)
}

func TestTheConfigurationPageHasEveryField(t *testing.T) {
	page, err := os.ReadFile("docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []reflect.Type{reflect.TypeFor[sess.Config](), reflect.TypeFor[sess.Cookie]()} {
		for i := range of.NumField() {
			name := of.Field(i).Name
			if name != "Cookie" && !regexp.MustCompile("(?m)^\\|[^|]*`(Cookie\\.)?"+name+"`[^|]*\\|").Match(page) {
				t.Errorf("%s.%s: got no row, want one", of.Name(), name)
			}
		}
	}
}
