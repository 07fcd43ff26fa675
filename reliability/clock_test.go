package reliability

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/redistest"
)

// shiftVariable names the variable of the environment that says by how many seconds a node's clock is off.
const shiftVariable = "SESS_CLOCK_SHIFT"

// buildClockNode builds the node's program with a package time whose Now is off. The monotonic part of what Now returns is
// as ever: a clock that is wrong runs no faster.
func buildClockNode(t *testing.T) (program string) {
	t.Helper()
	dir := t.TempDir()
	root := goEnv(t, "GOROOT")
	original := filepath.Join(root, "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	const before = "	sec, nsec, mono := runtimeNow()\n	if mono == 0 {\n"
	if strings.Count(string(source), "func Now() Time {\n"+before) != 1 {
		t.Fatalf("package time of %s: got another Now than this test knows; want it adapted", goEnv(t, "GOVERSION"))
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	changed := write("time.go", strings.Replace(string(source), "func Now() Time {\n"+before,
		"func Now() Time {\n	sec, nsec, mono := runtimeNow()\n	sec += clockShift\n	if mono == 0 {\n", 1))
	shift := write("shift.go", `package time

import "syscall"

var clockShift = func() (seconds int64) {
	text, _ := syscall.Getenv("`+shiftVariable+`")
	sign := int64(1)
	for i, c := range []byte(text) {
		if i == 0 && c == '-' {
			sign = -1
			continue
		}
		seconds = 10*seconds + int64(c-'0')
	}
	return sign * seconds
}()
`)
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		original: changed, filepath.Join(root, "src", "time", "shift.go"): shift,
	}})
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "clocknode")
	build := exec.Command("go", "build", "-p", "1", "-overlay", write("overlay.json", string(overlay)), "-o", program, "./clocknode")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build of a node with another clock: %v\n%s", err, out)
	}
	return program
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatalf("go env %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// startClockNode starts a node whose clock is off by shift.
func startClockNode(t *testing.T, program string, shift time.Duration, args ...string) *node {
	t.Helper()
	cmd := exec.Command(program, append(args, "-key", siteKey)...)
	cmd.Env = append(os.Environ(), shiftVariable+"="+strconv.Itoa(int(shift.Seconds())))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("a node with its clock %v off: got no address: %v", shift, err)
	}
	n := &node{url: "http://" + strings.TrimSpace(addr)}
	ms, _ := strconv.ParseInt(newBrowser(t).must(t, n, "/clock").body, 10, 64)
	if off := time.UnixMilli(ms).Sub(time.Now()); off < shift-10*time.Second || off > shift+10*time.Second {
		t.Fatalf("the clock of a node: got %v off, want %v", off, shift)
	}
	return n
}

// TestClocksThatDisagreeEndNoSession has three nodes whose clocks are twenty minutes apart, and sessions of five minutes.
// Whoever wrote last, all serve them; whoever ends one, all refuse it.
func TestClocksThatDisagreeEndNoSession(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the standard library")
	}
	program := buildClockNode(t)
	server := redistest.Start(t)
	shifts := []time.Duration{-10 * time.Minute, 0, 10 * time.Minute}
	for _, near := range []bool{true, false} {
		var nodes []*node
		for _, shift := range shifts {
			nodes = append(nodes, startClockNode(t, program, shift, "-redis", server.Addr, "-ttl", "5m", "-near="+strconv.FormatBool(near)))
		}
		requests := 0
		wantAll := func(b *browser, status int, what string) {
			t.Helper()
			for i, n := range nodes {
				requests++
				a, err := b.twin().get(n, "/read")
				if err != nil || a.status != status {
					t.Errorf("near cache %t, node %v off, %s: got (%d, %v), want %d", near, shifts[i], what, a.status, err, status)
				}
			}
		}
		for i, writer := range nodes {
			for j, other := range nodes {
				b := newBrowser(t)
				what := fmt.Sprintf("a session that a node %v off has made", shifts[i])
				b.must(t, writer, "/login?user=ann")
				wantAll(b, http.StatusOK, what)
				wantAll(b, http.StatusOK, what+", from memory")
				b.must(t, other, "/hit")
				what += fmt.Sprintf(" and one %v off has changed", shifts[j])
				time.Sleep(10 * time.Millisecond) // the way of a report
				wantAll(b, http.StatusOK, what)
				b.must(t, other, "/renew")
				wantAll(b, http.StatusOK, what+" and renewed")
				ended := b.twin()
				b.must(t, writer, "/logout")
				time.Sleep(maxStale + slack)
				wantAll(ended, http.StatusUnauthorized, what+" and another has ended")
			}
		}
		report(t, "near cache %t: %d reads at nodes whose clocks are -10, 0 and +10 minutes off, TTL 5 minutes: all as if the clocks agreed", near, requests)
	}
}

// TestSessionsEndByTheServersClockOnEveryNode has sessions of two seconds: no node keeps one longer, whatever its clock says.
func TestSessionsEndByTheServersClockOnEveryNode(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the standard library")
	}
	const ttl = 2 * time.Second
	program := buildClockNode(t)
	server := redistest.Start(t)
	shifts := []time.Duration{-10 * time.Minute, 0, 10 * time.Minute}
	var nodes []*node
	for _, shift := range shifts {
		nodes = append(nodes, startClockNode(t, program, shift, "-redis", server.Addr, "-ttl", ttl.String()))
	}
	for i, writer := range nodes {
		t.Run(shifts[i].String(), func(t *testing.T) {
			t.Parallel()
			b := newBrowser(t)
			b.must(t, writer, "/login?user=ann")
			stored := time.Now()
			served := make([]time.Duration, len(nodes))
			for time.Since(stored) < ttl+time.Second {
				for j, n := range nodes {
					asked := time.Since(stored)
					if a, err := b.get(n, "/read"); err == nil && a.status == http.StatusOK {
						served[j] = asked
					}
				}
			}
			for j, last := range served {
				if last > ttl || last < ttl*3/4 {
					t.Errorf("written at a node %v off, read at one %v off: last served after %v, want %v", shifts[i], shifts[j], last, ttl)
				}
			}
			report(t, "written at a node %v off: last served after %v", shifts[i], served)
		})
	}
}
