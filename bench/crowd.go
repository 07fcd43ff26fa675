package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// A rush is what the users of one session met in a while.
type rush struct {
	Servers []turnout `json:"servers"` // in the order of the addresses
	InTime  int       `json:"inTime"`  // answered with success before the time was up; those under way then still end
	P50     float64   `json:"p50Micros"`
	P99     float64   `json:"p99Micros"`
}

// turnout is how the requests to one server ended.
type turnout struct {
	OK     int `json:"ok"`
	Failed int `json:"failed"` // answered with another status, or not at all
}

func (r rush) total() turnout {
	var sum turnout
	for _, t := range r.Servers {
		sum.OK, sum.Failed = sum.OK+t.OK, sum.Failed+t.Failed
	}
	return sum
}

// A user is one connection that sends the same request again and again.
type user struct {
	server  int // index of its address
	address string
	request []byte
	conn    net.Conn
	reader  *bufio.Reader
	answer  fasthttp.Response

	turnout turnout
	inTime  int
	micros  []float64
}

// crowdLoop runs in a process of its own, so that the load is no part of anything measured. Each line of commands is a
// number of milliseconds, for which the users send requests; they are shared out among the servers.
func crowdLoop(users int, cookie string, addresses []string, commands io.Reader, out io.Writer) error {
	crowd := make([]*user, users)
	for i := range crowd {
		server := i % len(addresses)
		crowd[i] = &user{
			server: server, address: addresses[server],
			request: []byte("GET " + count.path + " HTTP/1.1\r\nHost: localhost\r\nCookie: " + cookie + "\r\n\r\n"),
		}
	}
	said := json.NewEncoder(out)
	for lines := bufio.NewScanner(commands); lines.Scan(); {
		millis, err := strconv.Atoi(lines.Text())
		if err != nil {
			return fmt.Errorf("bench: crowd: command: %w", err)
		}
		until := time.Now().Add(time.Duration(millis) * time.Millisecond)
		var running sync.WaitGroup
		for _, u := range crowd {
			running.Go(func() { u.send(until) })
		}
		running.Wait()
		if err := said.Encode(gather(crowd, len(addresses))); err != nil {
			return err
		}
	}
	return nil
}

// send makes requests until the time is up.
func (u *user) send(until time.Time) {
	u.turnout, u.inTime, u.micros = turnout{}, 0, u.micros[:0]
	for {
		start := time.Now()
		if start.After(until) {
			return
		}
		if err := u.once(); err != nil {
			u.turnout.Failed++
			continue
		}
		end := time.Now()
		u.turnout.OK++
		if end.Before(until) {
			u.inTime++
		}
		u.micros = append(u.micros, micros(end.Sub(start)))
	}
}

// once makes one request. A connection that failed is opened anew by the next.
func (u *user) once() (err error) {
	if u.conn == nil {
		if u.conn, err = net.Dial("tcp", u.address); err != nil {
			u.conn = nil
			return err
		}
		u.reader = bufio.NewReader(u.conn)
	}
	if _, err = u.conn.Write(u.request); err == nil {
		err = u.answer.Read(u.reader)
	}
	if err != nil || u.answer.ConnectionClose() {
		u.conn.Close()
		u.conn = nil
	}
	if err == nil && u.answer.StatusCode() != fasthttp.StatusOK {
		return fmt.Errorf("bench: crowd: status %d", u.answer.StatusCode())
	}
	return err
}

// gather adds up what the users met.
func gather(crowd []*user, servers int) rush {
	r := rush{Servers: make([]turnout, servers)}
	var times []float64
	for _, u := range crowd {
		s := &r.Servers[u.server]
		s.OK, s.Failed = s.OK+u.turnout.OK, s.Failed+u.turnout.Failed
		r.InTime += u.inTime
		times = append(times, u.micros...)
	}
	r.P50, r.P99 = quantile(times, 0.5), quantile(times, 0.99)
	return r
}

// A crowd is one session, its users, and the servers that they go to.
type crowd struct {
	servers []*server
	redis   *redisServer
	links   []*link // between Redis and those of the servers that are far away
	cookie  string
	counted int // what the session's count was last
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

// startCrowd starts the servers of a build and logs the session in.
func startCrowd(b build, s crowdSubject, redis *redisServer) (started *crowd, err error) {
	c := &crowd{redis: redis}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	contestant, err := find(s.contestant)
	if err != nil {
		return nil, err
	}
	var addresses []string
	for i := range s.processes {
		address := redis.address
		if i >= s.processes-s.far {
			l, err := newLink(redis.address, farRoundTrip)
			if err != nil {
				return nil, err
			}
			c.links = append(c.links, l)
			address = l.address
		}
		one, err := startServerBy(exec.Command(b.binary, "serve", contestant.id, address), contestant, true)
		if err != nil {
			return nil, err
		}
		c.servers = append(c.servers, one)
		addresses = append(addresses, one.address)
	}
	if c.cookie, err = login(&wireDriver{address: addresses[0]}, "/login"); err != nil {
		return nil, err
	}
	return c, c.startUsers(s.users, addresses)
}

// startUsers starts the process that sends the requests, on the CPU that Redis has too.
func (c *crowd) startUsers(users int, addresses []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c.command = exec.Command(self, append([]string{"crowd", strconv.Itoa(users), c.cookie}, addresses...)...)
	c.command.Env = append(os.Environ(), "GOMAXPROCS=1")
	c.command.Stderr = os.Stderr
	stdout, err := c.command.StdoutPipe()
	if err != nil {
		return err
	}
	if c.in, err = c.command.StdinPipe(); err != nil {
		return err
	}
	c.out = json.NewDecoder(stdout)
	return startOn(loadCPU(), c.command)
}

// measure lets the users at it for so many milliseconds.
func (c *crowd) measure(millis int) (sample, error) {
	before, err := cpuTimes(c.servers, c.redis)
	if err != nil {
		return sample{}, err
	}
	if _, err := fmt.Fprintln(c.in, millis); err != nil {
		return sample{}, err
	}
	var r rush
	if err := c.out.Decode(&r); err != nil {
		return sample{}, err
	}
	after, err := cpuTimes(c.servers, c.redis)
	if err != nil {
		return sample{}, err
	}
	counted, err := settledCount(c.servers, c.cookie)
	if err != nil {
		return sample{}, err
	}
	added := counted - c.counted
	c.counted = counted

	all, last := r.total(), r.Servers[len(r.Servers)-1]
	requests := float64(max(1, all.OK+all.Failed))
	return sample{
		CPU:        micros(after.servers-before.servers) / requests,
		RedisCPU:   micros(after.redis-before.redis) / requests,
		PerSecond:  float64(r.InTime) / (float64(millis) / 1000),
		Lost:       100 * float64(max(0, all.OK-added)) / float64(max(1, all.OK)),
		Twice:      float64(max(0, added-all.OK-all.Failed)), // a request that failed may have been stored
		Failed:     100 * float64(all.Failed) / requests,
		LastFailed: 100 * float64(last.Failed) / float64(max(1, last.OK+last.Failed)),
		P50:        r.P50,
		P99:        r.P99,
	}, nil
}

// pace is how many milliseconds a measurement takes. It also opens all connections and warms the servers up.
func (c *crowd) pace(d time.Duration) (int, error) {
	millis := int(d / time.Millisecond)
	_, err := c.measure(max(1, millis/4))
	return millis, err
}

func (c *crowd) stop() {
	if c.command != nil && c.command.Process != nil {
		c.in.Close()
		c.command.Process.Kill()
		c.command.Wait()
	}
	for _, s := range c.servers {
		s.stop()
	}
	for _, l := range c.links {
		l.close()
	}
}
