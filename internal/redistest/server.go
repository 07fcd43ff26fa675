// Package redistest starts real redis-server processes for tests: one, a cluster, a Sentinel-managed pair. They listen
// on loopback only, keep nothing on disk, and die with the test binary, however that dies.
package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startTimeout bounds how long a server may take until it answers.
	startTimeout = 10 * time.Second

	// logTail is how much of a server's log a failed test shows, in bytes.
	logTail = 4 << 10

	// Ports are taken from below the range the kernel gives to outgoing connections, so that a server that is
	// restarted finds its port free.
	firstPort, lastPort = 20000, 31999
)

// Server is one redis-server process. Its methods are for the goroutine of the test.
type Server struct {
	Addr string // host:port

	t    testing.TB
	port int
	bus  int // port of the cluster bus, 0 if there is none
	dir  string
	args []string
	proc *process
	auth []string // what Do and Try say first; nil: nothing
}

// Start starts a server with the given arguments, such as "--maxmemory", "1mb", after the defaults, and stops it when
// the test ends. Where redis-server is not installed the test is skipped, or fails if the variable CI is set.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	requireRedis(t)
	for try := 0; ; try++ {
		s := newServer(t, args)
		err := s.start()
		if err == nil {
			t.Cleanup(s.stop)
			return s
		}
		os.RemoveAll(s.dir)
		if try == 4 {
			t.Fatalf("redistest: start redis-server: %v", err)
		}
	}
}

func requireRedis(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err == nil {
		return
	}
	const missing = "redistest: redis-server is not in PATH; install it (Debian: apt-get install redis-server)"
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

func newServer(t testing.TB, args []string) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "redistest-")
	if err != nil {
		t.Fatalf("redistest: make a directory: %v", err)
	}
	port := freePort(t)
	return &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), t: t, port: port, dir: dir, args: args}
}

// freePort returns a port nobody listens on. Another process may still be faster: Start then tries again.
func freePort(t testing.TB) int {
	t.Helper()
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatalf("redistest: got no free port between %d and %d", firstPort, lastPort)
	return 0
}

// start starts the process and waits until it answers.
func (s *Server) start() error {
	args := []string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--logfile", s.logfile(),
		"--save", "", "--appendonly", "no", "--enable-debug-command", "yes",
	}
	if s.bus != 0 {
		args = append(args, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(s.bus))
	}
	return s.run(append(args, s.args...))
}

// run starts redis-server with the given arguments and waits until it answers.
func (s *Server) run(args []string) error {
	proc, err := startProcess("redis-server", args...)
	if err != nil {
		return err
	}
	s.proc = proc
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(5 * time.Millisecond) {
		if answers(s.Addr) {
			return nil
		}
		select {
		case <-proc.done:
			return fmt.Errorf("the process ended: %s", s.log())
		default:
		}
		if time.Now().After(deadline) {
			proc.kill()
			return fmt.Errorf("no answer within %v: %s", startTimeout, s.log())
		}
	}
}

// answers reports whether the server at addr speaks: an error reply, such as one that asks for a password, is an answer.
func answers(addr string) bool {
	c, err := dial(addr)
	if err != nil {
		return false
	}
	defer c.close()
	var reply Error
	_, err = c.do("PING")
	return err == nil || errors.As(err, &reply) && reply.Code() != "LOADING"
}

// Pid returns the id of the process.
func (s *Server) Pid() int { return s.proc.cmd.Process.Pid }

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() { s.proc.kill() }

// Restart starts a killed server again, on the same port and with the same arguments.
func (s *Server) Restart() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatalf("redistest: restart redis-server: %v", err)
	}
}

// Pause stops the process where it stands: its connections stay open and nothing answers. Resume ends that.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets a paused process run again.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.proc.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("redistest: %v: %v", sig, err)
	}
}

// Password makes Do and Try say this password first.
func (s *Server) Password(password string) { s.auth = []string{"AUTH", password} }

// Do runs a command on a connection of its own and returns the reply: string, int64, []any or nil. An error reply
// fails the test.
func (s *Server) Do(args ...string) any {
	s.t.Helper()
	reply, err := s.Try(args...)
	if err != nil {
		s.t.Fatalf("redistest: %s: %v", args[0], err)
	}
	return reply
}

// Try is Do for commands that may fail: it returns the error, an [Error] if the server replied one.
func (s *Server) Try(args ...string) (any, error) {
	c, err := dial(s.Addr)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if s.auth != nil {
		if _, err := c.do(s.auth...); err != nil {
			return nil, err
		}
	}
	return c.do(args...)
}

func (s *Server) logfile() string { return filepath.Join(s.dir, "redis.log") }

// log returns the end of the server's log.
func (s *Server) log() string {
	b, _ := os.ReadFile(s.logfile())
	return string(b[max(0, len(b)-logTail):])
}

// stop ends the process. The log of a failed test stays.
func (s *Server) stop() {
	s.proc.kill()
	if s.t.Failed() {
		s.t.Logf("redistest: %s: log kept in %s; it ends with\n%s", s.Addr, s.dir, s.log())
		return
	}
	os.RemoveAll(s.dir)
}

// process is a child process that dies with this one.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	once sync.Once
}

// startProcess starts a child. The kernel sends the death signal when the thread that started the child ends, so one
// goroutine keeps that thread until the child is gone.
func startProcess(name string, args ...string) (*process, error) {
	var out bytes.Buffer
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.SysProcAttr = dieWithParent()
	p.cmd.Stdout, p.cmd.Stderr = &out, &out
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.cmd.Wait() // its error is the signal that kill sent
			close(p.done)
		}
	}()
	return p, <-started
}

// kill ends the process, also a paused one, and waits until it is gone.
func (p *process) kill() {
	p.once.Do(func() { p.cmd.Process.Kill() })
	<-p.done
}
