package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"
)

// A stint is what a probe says of some requests that it just made, one after the other.
type stint struct {
	Requests int     `json:"requests"`
	Nanos    float64 `json:"nanos"`    // per request, as are all that follow
	CPUNanos float64 `json:"cpuNanos"` // of the probe's process, the collector's share included
	Bytes    float64 `json:"bytes"`
	Objects  float64 `json:"objects"`
	Wrong    int     `json:"wrong"` // answers that were not the right one
}

// filled is the first thing that a probe says: what its sessions take.
type filled struct {
	HeapPerSession float64 `json:"heapPerSession"` // bytes, live
}

// probeLoop runs in a process of its own. It opens a contestant and its bare framework, makes the sessions of w, and
// then runs as many requests as each line of commands asks for: "run 2000" on the contestant, "bare 2000" on the
// framework.
func probeLoop(c contestant, w workload, sessions int, redis string, commands io.Reader, out io.Writer) error {
	bare, err := find(c.bare)
	if err != nil {
		return err
	}
	own, err := openProbe(c, w, redis)
	if err != nil {
		return err
	}
	frame, err := openProbe(bare, w, "")
	if err != nil {
		return err
	}
	said := json.NewEncoder(out)
	heap, err := own.fill(sessions)
	if err != nil {
		return err
	}
	frame.cookies = own.cookies // as long, and as far apart in memory
	if err := said.Encode(filled{HeapPerSession: heap}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(commands); lines.Scan(); {
		var what string
		var n int
		if _, err := fmt.Sscan(lines.Text(), &what, &n); err != nil {
			return fmt.Errorf("bench: probe: command %q: %w", lines.Text(), err)
		}
		p := own
		if what == "bare" {
			p = frame
		}
		if err := said.Encode(p.run(n)); err != nil {
			return err
		}
	}
	return nil
}

// A probe sends one contestant the requests of one workload.
type probe struct {
	driver  driver
	w       workload
	answer  string
	cookies []string
	next    int
}

func openProbe(c contestant, w workload, redis string) (*probe, error) {
	a, err := c.open(redis)
	if err != nil {
		return nil, err
	}
	return &probe{driver: a.driver(), w: w, answer: w.answer(), cookies: []string{w.cookie}}, nil
}

// fill makes the sessions, keeps the cookies of as many as a jar is meant for, in random order, visits each of these
// once, and returns the bytes of live heap for each session.
func (p *probe) fill(sessions int) (heap float64, err error) {
	if p.w.login == "" {
		p.run(1000)
		return 0, nil
	}
	every := max(1, sessions/sampled)
	jar := newCookieJar(sessions/every + 1)
	before := measureMemory()
	for i := range sessions {
		own, err := login(p.driver, p.w.login)
		if err != nil {
			return 0, err
		}
		header, ok := p.w.header(own)
		if !ok {
			return 0, fmt.Errorf("bench: %s: this contestant has one cookie, want two", p.w.id)
		}
		if i%every == 0 {
			jar.add(header)
		}
	}
	heap = float64(measureMemory().heap-before.heap) / float64(sessions)
	p.cookies = jar.shuffled()
	p.run(len(p.cookies))
	return heap, nil
}

// run makes n requests, going round the cookies.
func (p *probe) run(n int) stint {
	s := stint{Requests: n}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, start := ownCPU(), time.Now()
	for range n {
		status, body := p.driver.get(p.w.path, p.cookies[p.next])
		if status != 200 || string(body) != p.answer {
			s.Wrong++
		}
		if p.next++; p.next == len(p.cookies) {
			p.next = 0
		}
	}
	s.Nanos, s.CPUNanos = float64(time.Since(start))/float64(n), cpuPer(n, cpu)
	runtime.ReadMemStats(&after)
	s.Bytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(n)
	s.Objects = float64(after.Mallocs-before.Mallocs) / float64(n)
	return s
}

// A probeProcess is a probe in another process.
type probeProcess struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
	heap    float64 // bytes a session
}

// startProbe starts the probe of a build.
func startProbe(b build, c contestant, w workload, sessions int, redis string) (*probeProcess, error) {
	p := &probeProcess{command: exec.Command(b.binary, "probe", c.id, w.id, strconv.Itoa(sessions), redis)}
	p.command.Stderr = os.Stderr
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.in, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(stdout)
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	var f filled
	if err := p.out.Decode(&f); err != nil {
		p.stop()
		return nil, fmt.Errorf("bench: probe of %s: %s, %s: %w", b.name, c.id, w.id, err)
	}
	p.heap = f.HeapPerSession
	return p, nil
}

// ask has the probe make n requests, on the contestant ("run") or its framework ("bare").
func (p *probeProcess) ask(what string, n int) (stint, error) {
	var s stint
	if _, err := fmt.Fprintln(p.in, what, n); err != nil {
		return s, err
	}
	if err := p.out.Decode(&s); err != nil {
		return s, err
	}
	if s.Wrong > 0 {
		return s, fmt.Errorf("bench: probe: got %d of %d answers wrong, want none", s.Wrong, n)
	}
	return s, nil
}

func (p *probeProcess) stop() {
	p.in.Close()
	p.command.Process.Kill()
	p.command.Wait()
}
