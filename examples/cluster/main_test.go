package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/redistest"
)

// promises are the lines of the transcript and what each of them shows.
var promises = []struct{ line, promise string }{
	{"POST /login   node a  200 ann            new id, new session", "a login on one node"},
	{"GET  /me      node b  200 ann            the other node has it, and keeps it in memory", "is one on the other"},
	{"POST /logout  node a  200 logged out", "a logout on the first"},
	{"GET  /admin   node b  401 not logged in  with the old cookie: out at once, by sess.Strict", "is one on the second, at once where the route is strict"},
	{"POST /login   node a  200 ann", "a session can begin again"},
	{"GET  /me      node b  200 ann", "and be read on the other node"},
	{"GET  /admin   node a  200 ann            the same handler behind sess.Strict", "a strict route lets a live session in"},
	{"POST /logout  node b  200 logged out     the other way round", "a logout on the second"},
	{"GET  /me      node a  401 not logged in  with the old cookie: out within MaxStale, 1s", "is one on the first, within MaxStale on every route"},
}

func TestTheTranscriptKeepsItsPromises(t *testing.T) {
	server := redistest.Start(t) // skips where there is no redis-server
	for name, url := range map[string]string{"Redis of its own": "", "REDIS_URL": "redis://" + server.Addr} {
		t.Run(name, func(t *testing.T) {
			p := start(t, []string{"REDIS_URL=" + url}, "-once", "-addr", "127.0.0.1:0")
			stdout, err := io.ReadAll(p.stdout)
			if err != nil {
				t.Fatal(err)
			}
			p.wantEnd(t, 0, "")
			got := strings.Split(strings.TrimSuffix(string(stdout), "\n"), "\n")
			if len(got) != len(promises) {
				t.Fatalf("got %d lines, want %d, in\n%s", len(got), len(promises), stdout)
			}
			for i, want := range promises {
				if got[i] != want.line {
					t.Errorf("%s: got %q, want %q", want.promise, got[i], want.line)
				}
			}
		})
	}
	if got := server.Info("commandstats")["cmdstat_get"]; got == "" {
		t.Error("the Redis of REDIS_URL: got no GET, want the sessions there, and the server still running")
	}
	for _, key := range server.Do("KEYS", "*").([]any) {
		if !strings.HasPrefix(key.(string), "koa:sess:user ") || server.Do("PTTL", key.(string)).(int64) <= 0 {
			t.Errorf("the Redis of REDIS_URL: got %q left after the logouts, want the user's index alone, and that not for ever", key)
		}
	}
}

func TestOperationsShowsTheTranscript(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	want := "    $ go run ./examples/cluster -once\n"
	for _, p := range promises {
		want += "    " + p.line + "\n"
	}
	if !bytes.Contains(page, []byte(want)) {
		t.Errorf("docs/operations.md: got no block of the transcript, want\n%s", want)
	}
}

func TestAPersonCanGoOnFromTheTranscript(t *testing.T) {
	redistest.Start(t) // skips where there is no redis-server
	p := start(t, nil, "-addr", "127.0.0.1:0")
	site := p.listens(t)
	nodes := map[string]bool{}
	for _, path := range []string{"/", "/me", "/me"} {
		resp, err := http.Get(site + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if path == "/" {
			if !strings.Contains(string(body), "POST /login") {
				t.Errorf("the page: got %s, want buttons", body)
			}
			continue
		}
		nodes[resp.Header.Get("X-Node")] = true
	}
	if !nodes["a"] || !nodes["b"] {
		t.Errorf("two requests: got the nodes %v, want a and b", nodes)
	}
	http.DefaultClient.CloseIdleConnections()
	p.cmd.Process.Signal(os.Interrupt)
	p.wantEnd(t, 0, "")
}

// What the page draws: behind a slow link node b goes on from memory for a moment, and never by sess.Strict.
func TestBehindASlowLinkANodeIsLateFromMemoryAlone(t *testing.T) {
	redistest.Start(t) // skips where there is no redis-server
	p := start(t, nil, "-addr", "127.0.0.1:0")
	site := p.listens(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	ann := &http.Client{Jar: jar}
	ask := func(method, path string) int {
		t.Helper()
		req, err := http.NewRequest(method, site+path, strings.NewReader("user=ann"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := ann.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	want := func(what, method, path string, want int) {
		t.Helper()
		if got := ask(method, path); got != want {
			t.Errorf("%s: got %d, want %d", what, got, want)
		}
	}
	late := 0
	for try := 0; try < 10 && late == 0; try++ { // a busy machine may be slower than the link
		want("fast", "POST", "/slow?on=false", 200)
		want("a login", "POST", "/login?node=a", 200)
		want("node b, into its memory", "GET", "/me?node=b", 200)
		want("slow", "POST", "/slow?on=true", 200)
		want("the end of ann's sessions", "POST", "/end?node=a", 200)
		ended := time.Now()
		if ask("GET", "/me?node=b") == 200 {
			late++
		}
		want("node a, from memory", "GET", "/me?node=a", 401)
		want("node b, by sess.Strict", "GET", "/admin?node=b", 401)
		time.Sleep(time.Until(ended.Add(maxStale)))
		want("node b, from memory, MaxStale later", "GET", "/me?node=b", 401)
	}
	if late == 0 {
		t.Error("node b, from memory, at once: got 401 in 10 tries, want that the slow link shows")
	}
	http.DefaultClient.CloseIdleConnections()
	p.cmd.Process.Signal(os.Interrupt)
	p.wantEnd(t, 0, "")
}

func TestNothingIsLeftRunning(t *testing.T) {
	redistest.Start(t) // skips where there is no redis-server
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 0, syscall.SIGTERM: 0, syscall.SIGKILL: -1} {
		t.Run(sig.String(), func(t *testing.T) {
			p := start(t, nil, "-addr", "127.0.0.1:0")
			p.listens(t)
			p.cmd.Process.Signal(sig)
			p.wantEnd(t, code, "")
		})
	}
}

func TestMistakesAreToldInOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	nobody, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  []string
		addr string
		want []string
	}{
		"no URL":           {env: []string{"REDIS_URL=localhost:6379"}, want: []string{"REDIS_URL", "redis://"}},
		"a broken URL":     {env: []string{"REDIS_URL=redis://u:secret@[x"}, want: []string{"REDIS_URL", "redis://"}},
		"no Redis there":   {env: []string{"REDIS_URL=redis://" + nobody}, want: []string{"node a", "redis connect", "refused"}},
		"no redis-server":  {env: []string{"PATH=" + t.TempDir()}, want: []string{`"redis-server"`, "installed", "REDIS_URL"}},
		"the port is used": {addr: taken.Addr().String(), want: []string{taken.Addr().String(), "in use", "-addr"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.addr == "" {
				c.addr = "127.0.0.1:0"
			}
			start(t, c.env, "-once", "-addr", c.addr).wantEnd(t, 1, c.want...)
		})
	}
}

func TestAShortKeyIsToldInOneLine(t *testing.T) {
	env := []string{"SESSION_KEY=secret", "REDIS_URL=redis://" + redistest.Start(t).Addr}
	start(t, env, "-once", "-addr", "127.0.0.1:0").wantEnd(t, 1, "node a", "Config.Keys[0]", "16")
}

// program is a run of the example.
type program struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr bytes.Buffer
}

// binaries is a directory for the built example, of this test run.
var binaries string

// build builds the example once, for all tests.
var build = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(binaries, "cluster")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
})

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "cluster-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(binaries)
	os.Exit(code)
}

// start runs the example with env beside a clean environment.
func start(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	p := &program{cmd: exec.CommandContext(ctx, binary, args...)}
	p.cmd.Env = append(append(os.Environ(), "REDIS_URL=", "SESSION_KEY="), env...)
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = 10 * time.Second
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(stdout)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// listens returns the address of the site, once it has been printed.
func (p *program) listens(t *testing.T) string {
	t.Helper()
	for {
		line, err := p.stdout.ReadString('\n')
		if err != nil {
			t.Fatalf("got the error %v and %q, want the line that says where it listens", err, p.stderr.String())
		}
		if _, site, ok := strings.Cut(line, "click at "); ok {
			site, _, _ = strings.Cut(site, "/ ")
			return site
		}
	}
}

// wantEnd waits for the end of the program and of all that it started: they have its stderr, and Wait waits until nobody
// has it any more. On stderr must stand nothing, or one line with each of want and no secret.
func (p *program) wantEnd(t *testing.T, code int, want ...string) {
	t.Helper()
	if err := p.cmd.Wait(); errors.Is(err, exec.ErrWaitDelay) {
		t.Errorf("got a process left running %v after the end, want none", p.cmd.WaitDelay)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code: got %d, want %d", got, code)
	}
	lines := strings.Count(p.stderr.String(), "\n")
	if wantLines := min(1, len(strings.Join(want, ""))); lines != wantLines {
		t.Errorf("stderr: got %d lines, want %d, in %q", lines, wantLines, p.stderr.String())
	}
	for _, text := range want {
		if !strings.Contains(p.stderr.String(), text) {
			t.Errorf("stderr: got %q, want %q in it", p.stderr.String(), text)
		}
	}
	if strings.Contains(p.stderr.String(), "secret") {
		t.Errorf("stderr: got %q, want no secret in it", p.stderr.String())
	}
}
