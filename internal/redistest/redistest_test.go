package redistest_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/redistest"
)

func TestServerAnswersAndForgetsWhenKilled(t *testing.T) {
	s := redistest.Start(t)
	s.Do("SET", "a", "1")
	if got := s.Do("GET", "a"); got != "1" {
		t.Errorf("GET after SET: got %v, want 1", got)
	}
	before := s.Pid()
	s.Kill()
	if _, err := s.Try("PING"); err == nil {
		t.Error("PING of a killed server: got no error, want one")
	}
	s.Restart()
	if s.Pid() == before {
		t.Errorf("process id after Restart: got %d again, want another", before)
	}
	if got := s.Do("GET", "a"); got != nil {
		t.Errorf("GET after Restart: got %v, want nil: nothing is kept on disk", got)
	}
}

func TestErrorReplyIsAnError(t *testing.T) {
	s := redistest.Start(t, "--maxmemory", "1mb")
	if got := s.Info("memory")["maxmemory"]; got != "1048576" {
		t.Errorf("maxmemory: got %s, want the 1048576 of the argument", got)
	}
	_, err := s.Try("NOSUCHCOMMAND")
	var reply redistest.Error
	if !errors.As(err, &reply) || reply.Code() != "ERR" {
		t.Errorf("a command that does not exist: got the error %v, want one with the code ERR", err)
	}
}

func TestPausedServerAnswersAfterResume(t *testing.T) {
	s := redistest.Start(t)
	s.Pause()
	c, err := net.Dial("tcp", s.Addr) // the kernel accepts
	if err != nil {
		t.Fatalf("dial a paused server: %v", err)
	}
	defer c.Close()
	c.Write([]byte("PING\r\n"))
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if line, err := bufio.NewReader(c).ReadString('\n'); err == nil {
		t.Errorf("PING of a paused server: got %q, want no answer", line)
	}
	s.Resume()
	if got := s.Do("PING"); got != "PONG" {
		t.Errorf("PING after Resume: got %v, want PONG", got)
	}
}

// TestServerDiesWithTheTestBinary runs this test again in a child, kills that, and looks for the server it started.
func TestServerDiesWithTheTestBinary(t *testing.T) {
	const child = "REDISTEST_CHILD"
	if os.Getenv(child) != "" {
		s := redistest.Start(t)
		os.Stdout.WriteString("pid " + strconv.Itoa(s.Pid()) + "\n")
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithTheTestBinary$")
	cmd.Env = append(os.Environ(), child+"=1", "TMPDIR="+t.TempDir()) // it cannot clean up
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	cmd.Process.Kill()
	cmd.Wait()
	if len(line) < 5 || line[:4] != "pid " {
		t.Skipf("the child started no server: it said %q", line)
	}
	pid, err := strconv.Atoi(line[4 : len(line)-1])
	if err != nil {
		t.Fatalf("the child said %q, want the id of a process", line)
	}
	for deadline := time.Now().Add(5 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the server of a killed test binary still runs, want it dead within 5 s")
		}
	}
}

func TestClusterOwnsEverySlotAndReplicates(t *testing.T) {
	c := redistest.StartCluster(t, 3, 1)
	if got := len(c.Nodes); got != 6 {
		t.Fatalf("nodes: got %d, want 6", got)
	}
	owners := make(map[string]int)
	for i := range 60 {
		key := "key" + strconv.Itoa(i)
		owner := c.Owner(key)
		owners[owner.Addr]++
		owner.Do("SET", key, "1")
	}
	if len(owners) != 3 {
		t.Errorf("masters that own one of 60 keys: got %d, want 3", len(owners))
	}
	if got := c.Nodes[3].Info("replication")["role"]; got != "slave" {
		t.Errorf("role of the fourth node: got %s, want slave", got)
	}
}

func TestSentinelPromotesTheReplica(t *testing.T) {
	s := redistest.StartSentinel(t)
	s.Master.Kill()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if s.Replica.Info("replication")["role"] == "master" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("20 s after its master was killed the replica is none, want it promoted")
		}
	}
}

// echo starts a server that sends back what it gets.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// says sends one byte through c and returns the byte that comes back within a tenth of a second.
func says(t *testing.T, c net.Conn, b byte) (byte, error) {
	t.Helper()
	if _, err := c.Write([]byte{b}); err != nil {
		return 0, err
	}
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	var got [1]byte
	_, err := io.ReadFull(c, got[:])
	return got[0], err
}

func connect(t *testing.T, p *redistest.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatalf("connect to the proxy: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestProxyForwards(t *testing.T) {
	p := redistest.NewProxy(t, echo(t))
	if got, err := says(t, connect(t, p), 'a'); got != 'a' || err != nil {
		t.Errorf("one byte through the proxy: got (%q, %v), want 'a'", got, err)
	}
	if up, down := p.Passed(redistest.Up), p.Passed(redistest.Down); up != 1 || down != 1 {
		t.Errorf("bytes passed: got %d up and %d down, want 1 and 1", up, down)
	}
}

func TestProxyDelays(t *testing.T) {
	p := redistest.NewProxy(t, echo(t))
	p.Latency(redistest.Down, 30*time.Millisecond)
	start := time.Now()
	if got, err := says(t, connect(t, p), 'a'); got != 'a' || err != nil {
		t.Errorf("one byte through a slow proxy: got (%q, %v), want 'a'", got, err)
	}
	if took := time.Since(start); took < 30*time.Millisecond {
		t.Errorf("one byte through a slow proxy: got it after %v, want 30ms or more", took)
	}
}

func TestProxyHoldsAndDeliversLater(t *testing.T) {
	for _, way := range []redistest.Direction{redistest.Up, redistest.Down} {
		p := redistest.NewProxy(t, echo(t))
		c := connect(t, p)
		says(t, c, 'a')
		p.Hold(way)
		if got, err := says(t, c, 'b'); err == nil {
			t.Errorf("direction %d held: got %q, want nothing", way, got)
		}
		p.Release(way)
		if got, err := says(t, c, 'c'); got != 'b' || err != nil {
			t.Errorf("direction %d released: got (%q, %v), want the 'b' that was held", way, got, err)
		}
	}
}

func TestProxySwallows(t *testing.T) {
	p := redistest.NewProxy(t, echo(t))
	c := connect(t, p)
	says(t, c, 'a')
	p.Swallow(redistest.Down, true)
	if got, err := says(t, c, 'b'); err == nil {
		t.Errorf("swallowing: got %q, want nothing", got)
	}
	p.Swallow(redistest.Down, false)
	if got, err := says(t, c, 'c'); got != 'c' || err != nil {
		t.Errorf("after swallowing: got (%q, %v), want 'c', since 'b' is lost", got, err)
	}
}

func TestProxyResetsAndRefuses(t *testing.T) {
	p := redistest.NewProxy(t, echo(t))
	c := connect(t, p)
	says(t, c, 'a')
	p.Reset()
	if _, err := says(t, c, 'b'); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("after Reset: got the error %v, want connection reset", err)
	}
	p.Refuse(true)
	if c, err := net.Dial("tcp", p.Addr); err == nil { // the reset may come before or after connect returns
		defer c.Close()
		if got, err := says(t, c, 'c'); err == nil {
			t.Errorf("refusing: got %q, want an error", got)
		}
	}
	p.Refuse(false)
	if got, err := says(t, connect(t, p), 'd'); got != 'd' || err != nil {
		t.Errorf("after refusing: got (%q, %v), want 'd'", got, err)
	}
}
