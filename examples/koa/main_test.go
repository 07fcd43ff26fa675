package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The transcript of docs/from-koa.md is what a person sees.
func TestTheTranscriptIsWhatAPersonSees(t *testing.T) {
	for _, program := range []string{"node", "npm", "redis-server", "curl"} {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s: got none, want it installed", program)
		}
		t.Skipf("%s is not installed", program)
	}
	addr := start(t)
	dir := t.TempDir()
	for _, step := range transcript(t) {
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(step.command, "127.0.0.1:8080", addr))
		cmd.Dir = dir
		got, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: got the error %v, want nil", step.command, err)
		}
		if got, want := timeless(string(got)), timeless(step.output); got != want {
			t.Errorf("%s: got %s, want %s", step.command, got, want)
		}
	}
}

// start runs the example and returns its address.
func start(t *testing.T) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, addr, "") }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: got the error %v, want nil", err)
		}
	})
	for deadline := time.Now().Add(2 * time.Minute); ; { // it installs npm packages
		if resp, err := http.Get("http://" + addr); err == nil {
			resp.Body.Close()
			http.DefaultClient.CloseIdleConnections()
			return addr
		}
		select {
		case err := <-ended:
			ended <- nil
			t.Fatalf("run: got the error %v, want it to listen", err)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("run: got no answer for 2m, want one")
		}
	}
}

type step struct{ command, output string }

// transcript returns the commands of the document's console block and what follows each.
func transcript(t *testing.T) (steps []step) {
	t.Helper()
	text, err := os.ReadFile("../../docs/from-koa.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```console\n")
	block, _, _ = strings.Cut(block, "```")
	for _, part := range strings.Split(block, "$ ")[1:] {
		command, output, _ := strings.Cut(part, "\n")
		steps = append(steps, step{command, output})
	}
	if len(steps) == 0 {
		t.Fatal("docs/from-koa.md: got no console block, want one")
	}
	return steps
}

// timeless takes the instants out of a record, and the proof that goes with them.
func timeless(s string) string {
	return regexp.MustCompile(`"\$":\{"c":\d+,"u":"(\w+)","l":\d+,"m":"[\w-]{43}"\}`).ReplaceAllString(s, `"$$":{"u":"$1"}`)
}
