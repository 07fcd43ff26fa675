package main

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// koaFiles are written to a folder of the user's cache, so that the program runs from anywhere.
//
//go:embed koa.js package.json package-lock.json .npmrc
var koaFiles embed.FS

// processes are the programs that the example started.
type processes struct{ stops []func() }

// stop ends them, the last one first.
func (p *processes) stop() {
	for i := len(p.stops) - 1; i >= 0; i-- {
		p.stops[i]()
	}
}

// startRedis starts a Redis that keeps nothing, and returns its address.
func (p *processes) startRedis() (addr string, err error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr = free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("redis-server: %w; want it installed, or -redis with the address of a Redis", err)
	}
	p.stops = append(p.stops, func() { cmd.Process.Kill(); cmd.Wait() })
	for range 100 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "", errors.New("redis-server: got no connection within 5s; want one")
}

// startKoa installs the npm packages where they are missing, starts the Koa app and returns its address.
func (p *processes) startKoa(redis string, keys []string) (addr string, err error) {
	dir, err := installKoa()
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(redis)
	if err != nil {
		return "", fmt.Errorf("-redis: %w; want host:port", err)
	}
	cmd := exec.Command("node", "koa.js")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), "SESSION_KEYS="+strings.Join(keys, " "), "REDIS_HOST="+host, "REDIS_PORT="+port)
	stdin, err := cmd.StdinPipe() // Node ends when it is closed, also by the end of this program
	if err != nil {
		return "", err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("node: %w; want Node 18 or later installed", err)
	}
	p.stops = append(p.stops, func() { stdin.Close(); cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("node: %w; want it to print its port", err)
	}
	go func() { _, _ = io.Copy(os.Stderr, stdout) }()
	return "127.0.0.1:" + strings.TrimSpace(line), nil
}

// installKoa returns a folder with the Koa app and its packages. Its name holds a hash of the files, so that another
// version of them gets another folder.
func installKoa() (dir string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	hash := sha256.New()
	files := map[string][]byte{}
	for _, name := range []string{".npmrc", "koa.js", "package-lock.json", "package.json"} {
		if files[name], err = koaFiles.ReadFile(name); err != nil {
			return "", err
		}
		hash.Write(files[name])
	}
	dir = filepath.Join(cache, "sess-example-koa", hex.EncodeToString(hash.Sum(nil))[:16])
	installed := filepath.Join(dir, "node_modules", ".package-lock.json") // npm writes it last
	if _, err := os.Stat(installed); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return "", err
		}
	}
	fmt.Println("installing the npm packages of the Koa app …")
	cmd := exec.Command("npm", "ci", "--silent")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("npm ci: %w; want Node with npm, and a registry it can reach", err)
	}
	return dir, nil
}
