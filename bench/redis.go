package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// redisPool is how many connections each contestant's pool may hold: one for each of bombardier's.
const redisPool = 64

// A redisServer is a redis-server of our own, without persistence, on a free loopback port.
type redisServer struct {
	address string // host:port
	command *exec.Cmd
	dir     string
}

// startRedis starts the redis-server found in PATH and returns when it answers.
func startRedis(onCPU int) (*redisServer, error) {
	dir, err := os.MkdirTemp("", "sess-bench-redis-")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &redisServer{address: "127.0.0.1:" + port, dir: dir}
	s.command = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir)
	if err := startOn(onCPU, s.command); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("bench: redis-server: %w; want it in PATH", err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err = s.ask("PING"); err == nil {
			return s, nil
		}
		if time.Now().After(deadline) {
			s.stop()
			return nil, fmt.Errorf("bench: redis-server: no answer within 5 s: %w", err)
		}
	}
}

// freePort returns a TCP port that was free a moment ago.
func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, err
}

// stop ends the server and removes its directory.
func (s *redisServer) stop() {
	s.command.Process.Kill()
	s.command.Wait()
	os.RemoveAll(s.dir)
}

// empty removes all sessions.
func (s *redisServer) empty() error {
	_, err := s.ask("FLUSHALL")
	return err
}

// version returns redis_version of INFO.
func (s *redisServer) version() (string, error) {
	info, err := s.ask("INFO server")
	if err != nil {
		return "", err
	}
	_, version, _ := strings.Cut(info, "redis_version:")
	version, _, _ = strings.Cut(version, "\r\n")
	return version, nil
}

// ask sends one inline command and returns the answer: a status line, or a bulk string.
func (s *redisServer) ask(command string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.address, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	switch line[0] {
	case '+':
		return line[1:], nil
	case '$':
		var n int
		if _, err := fmt.Sscanf(line, "$%d", &n); err != nil {
			return "", err
		}
		bulk := make([]byte, n)
		_, err := io.ReadFull(r, bulk)
		return string(bulk), err
	}
	return "", fmt.Errorf("bench: redis: %s", line)
}
