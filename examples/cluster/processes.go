package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"time"
)

// announced is what a child prints in front of its address when it accepts connections. What else it prints is what is
// wrong, one line.
const announced = "listening on "

func announce(addr string) { fmt.Println(announced + addr) }

// children are the processes of this program that it started. They end when their stdin does: also when the program is
// killed and can end nothing.
type children struct {
	env  []string                // beside the program's own
	fail context.CancelCauseFunc // is told of one that ended
	all  sync.WaitGroup
}

// start starts this program again, with args, and returns the address it announces. The child ends with ctx.
func (c *children) start(ctx context.Context, args ...string) (addr string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), c.env...), os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	cmd.Cancel, cmd.WaitDelay = stdin.Close, 5*time.Second
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	name, said := strings.Join(args, " "), bufio.NewReader(stdout)
	line, _ := said.ReadString('\n')
	c.all.Go(func() {
		_, _ = io.Copy(os.Stderr, said)
		_ = cmd.Wait()
		c.fail(fmt.Errorf("%s ended; want it to run", name))
	})
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), announced)
	if !ok {
		return "", errors.New(name + ": " + addr)
	}
	return addr, nil
}

// runChild is the child's side. It runs f, which must end with its context.
func runChild(f func(ctx context.Context) error) {
	signal.Ignore(os.Interrupt) // a terminal sends it to all; the program ends them in order
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := f(ctx); err != nil && ctx.Err() == nil {
		fmt.Println(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

// serveRedis runs a Redis that keeps nothing on disk, until ctx ends. redis-server does not look at its stdin, so it
// has a process of this program around it that does.
func serveRedis(ctx context.Context) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(addr)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := exec.CommandContext(ctx, "redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w; want it installed, or REDIS_URL=redis://host:6379 set to a Redis 6.2 or later", err)
	}
	go func() {
		for range 100 {
			if conn, err := net.Dial("tcp", addr); err == nil {
				conn.Close()
				announce(addr)
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		stop(errors.New("got no connection within 5s; want one"))
	}()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("redis-server: %w", cmp.Or(context.Cause(ctx), err))
	}
	return nil
}

// freeAddr returns an address of this machine on which nobody listens.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
