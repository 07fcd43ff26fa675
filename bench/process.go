package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A server is a contestant in a process of its own, listening on loopback.
type server struct {
	contestant
	address string // host:port
	command *exec.Cmd
	stdin   io.Closer // the process ends when this closes, so also if we die
}

// startServer starts c and returns when it listens and does its work. It has one CPU and one thread of Go or JavaScript,
// or, with allCPUs, all that the machine has.
func startServer(c contestant, redis string, allCPUs bool) (*server, error) {
	command, err := contestantCommand(c, "serve", redis)
	if err != nil {
		return nil, err
	}
	return startServerBy(command, c, allCPUs)
}

// startServerBy is startServer by the command that runs c.
func startServerBy(command *exec.Cmd, c contestant, allCPUs bool) (*server, error) {
	cpu, threads := serverCPU, 1
	if allCPUs {
		cpu, threads = anyCPU, runtime.NumCPU()
	}
	command.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", threads), "NODE_ENV=production")
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	command.Stderr = os.Stderr
	if err := startOn(cpu, command); err != nil {
		return nil, fmt.Errorf("bench: %s: %w", c.id, err)
	}
	s := &server{contestant: c, command: command, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), listening)
	if err != nil || !ok {
		s.stop()
		return nil, fmt.Errorf("bench: %s: said %q, %v; want %q and an address", c.id, line, err, listening)
	}
	s.address = address
	if err := verify(c, &wireDriver{address: address}); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// listening begins the one line a server prints; its address follows.
const listening = "listening on "

// contestantCommand is the command that runs c in a process of its own.
func contestantCommand(c contestant, mode string, args ...string) (*exec.Cmd, error) {
	if !c.node {
		self, err := os.Executable()
		return exec.Command(self, append([]string{mode, c.id}, args...)...), err
	}
	script := filepath.Join("node", "server.js")
	if _, err := os.Stat(filepath.Join("node", "node_modules")); err != nil {
		return nil, errors.New("bench: node/node_modules: missing; run make node/node_modules in bench/, or choose -contestants without Node")
	}
	return exec.Command("node", append([]string{"--expose-gc", "--max-old-space-size=8192", script, mode, c.id}, args...)...), nil
}

func (s *server) stop() {
	s.stdin.Close()
	s.command.Process.Kill()
	s.command.Wait()
}

// The server under test has the first CPU to itself as far as the machine allows; Redis and bombardier have the last.
const (
	serverCPU = 0
	anyCPU    = -1
)

// loadCPU is where Redis and bombardier run.
func loadCPU() int {
	if n := runtime.NumCPU(); n > 1 {
		return n - 1
	}
	return anyCPU
}

// startOn starts command on one CPU, or on anyCPU. A child inherits the CPUs of the thread that forks it.
func startOn(cpu int, command *exec.Cmd) error {
	if cpu == anyCPU {
		return command.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	only.Set(cpu)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &before)
	return command.Start()
}

// cpuTime returns the CPU time a process has used, of all its threads, also those that ended.
func cpuTime(pid int) (time.Duration, error) {
	// The clock of a process, in Linux's encoding: the inverted pid above three bits, of which 2 means scheduler time.
	clock := int32(^pid<<3 | 2)
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("bench: cpu clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
