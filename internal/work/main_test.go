package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fibersess/sess/internal/redistest"
)

// build builds the program with the counters of the packages of the stores.
func build(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "work")
	const stores = "github.com/fibersess/sess/internal/memory,github.com/fibersess/sess/internal/near,github.com/fibersess/sess/internal/redis,github.com/fibersess/sess/internal/work"
	out, err := exec.Command("go", "build", "-cover", "-covermode=atomic", "-coverpkg="+stores, "-o", program, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// executed returns how many blocks of statements of the stores are executed for one change, from its write until its
// watcher has been told, where n sessions are watched.
func executed(t *testing.T, program string, n int, redis string) (least int) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(program, "-watched", strconv.Itoa(n), "-redis", redis, "-dir", dir)
	cmd.Env = append(os.Environ(), "GOCOVERDIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the program: %v\n%s", err, out)
	}
	for i := range changes {
		counters := filepath.Join(dir, strconv.Itoa(i))
		profile := filepath.Join(counters, "profile")
		if out, err := exec.Command("go", "tool", "covdata", "textfmt", "-i="+counters, "-o="+profile).CombinedOutput(); err != nil {
			t.Fatalf("go tool covdata: %v\n%s", err, out)
		}
		text, err := os.ReadFile(profile)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) == 3 { // the place, its statements, how often
				count, err := strconv.Atoi(fields[2])
				if err != nil {
					t.Fatal(err)
				}
				sum += count
			}
		}
		if i == 0 || sum < least {
			least = sum
		}
	}
	return least
}

// What may differ is how soon a place in a table is found. A look at each registration would be 100,000 blocks.
func TestOneChangeIsTheSameWorkAmongAHundredAndAmongAHundredThousandRegistrations(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	program := build(t)
	for _, store := range []string{"memory", "Redis"} {
		t.Run(store, func(t *testing.T) {
			addr := func() string {
				if store == "memory" {
					return ""
				}
				return redistest.Start(t).Addr
			}
			few, many := executed(t, program, 100, addr()), executed(t, program, 100_000, addr())
			if few < 10 || many > few*3/2 {
				t.Errorf("blocks of statements executed for one change: got %d among 100,000 registrations and %d among 100, want at most half as many again, and some", many, few)
			}
			t.Logf("figure: one change among 100 registrations is %d blocks of statements, among 100,000 it is %d", few, many)
		})
	}
}
