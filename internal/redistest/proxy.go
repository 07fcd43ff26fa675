package redistest

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Direction is a way through a [Proxy].
type Direction int

// The two ways.
const (
	Up   Direction = iota // from the client to the server
	Down                  // from the server to the client
)

// Proxy forwards TCP connections to a server and spoils them on order. Its methods are safe for concurrent use; what
// they set holds for the connections there are and for those to come.
type Proxy struct {
	Addr string // host:port to connect to

	l       net.Listener
	refuse  atomic.Bool
	latency [2]atomic.Int64 // nanoseconds, by Direction
	swallow [2]atomic.Bool
	passed  [2]atomic.Int64 // bytes
	gates   [2]*gate
	done    sync.WaitGroup

	mu       sync.Mutex
	target   string
	greeting string
	answers  []answer
	clients  map[*net.TCPConn]*sync.Mutex // whose lock is held by who writes to it; nil once closed
	servers  map[*net.TCPConn]struct{}
}

// NewProxy starts a proxy in front of the server at target and stops it when the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("redistest: listen: %v", err)
	}
	p := &Proxy{
		Addr:   l.Addr().String(),
		target: target,
		l:      l,
		gates:  [2]*gate{newGate(), newGate()},

		clients: make(map[*net.TCPConn]*sync.Mutex),
		servers: make(map[*net.TCPConn]struct{}),
	}
	p.done.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Latency delays everything that goes one way by d.
func (p *Proxy) Latency(way Direction, d time.Duration) { p.latency[way].Store(int64(d)) }

// Hold stops forwarding one way, as a network does that loses packets: what is sent waits, and arrives after Release.
func (p *Proxy) Hold(way Direction) { p.gates[way].shut() }

// Release ends Hold.
func (p *Proxy) Release(way Direction) { p.gates[way].open() }

// Swallow throws away what goes one way, for as long as on: the connection stays open, and what was sent is lost.
func (p *Proxy) Swallow(way Direction, on bool) { p.swallow[way].Store(on) }

// Refuse makes the proxy reset new connections, for as long as on.
func (p *Proxy) Refuse(on bool) { p.refuse.Store(on) }

// Move makes the server at target the one that new connections reach. Those there are stay where they are, as when a
// name or a virtual address moves.
func (p *Proxy) Move(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Greet makes the proxy say text on every new connection and then close it, as a server does that has too many; "" ends
// that.
func (p *Proxy) Greet(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.greeting = text
}

// Say sends text to every client, which has not asked for it.
func (p *Proxy) Say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c, writing := range p.clients {
		writing.Lock()
		c.Write([]byte(text))
		writing.Unlock()
	}
}

// Passed returns how many bytes were forwarded one way.
func (p *Proxy) Passed(way Direction) int64 { return p.passed[way].Load() }

// Reset resets all connections: both ends see "connection reset by peer".
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resetAll()
}

// resetAll wants p.mu.
func (p *Proxy) resetAll() {
	for c := range p.clients {
		reset(c)
	}
	for c := range p.servers {
		reset(c)
	}
}

// reset closes c with RST instead of FIN.
func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

func (p *Proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		p.done.Go(func() { p.serve(c.(*net.TCPConn)) })
	}
}

// serve forwards one connection until either end is gone.
func (p *Proxy) serve(from *net.TCPConn) {
	defer from.Close()
	if p.refuse.Load() {
		reset(from)
		return
	}
	p.mu.Lock()
	target, greeting, edits := p.target, p.greeting, &script{answers: p.answers}
	p.mu.Unlock()
	if greeting != "" {
		from.Write([]byte(greeting))
		return
	}
	c, err := net.DialTimeout("tcp", target, time.Second)
	if err != nil {
		reset(from)
		return
	}
	to := c.(*net.TCPConn)
	defer to.Close()
	writing, ok := p.add(from, to)
	if !ok {
		return
	}
	defer p.remove(from, to)

	var copies sync.WaitGroup
	copies.Go(func() { p.forward(Up, to, from, edits, new(sync.Mutex)) })
	copies.Go(func() { p.forward(Down, from, to, edits, writing) })
	copies.Wait()
}

// forward copies until src ends and then ends both.
func (p *Proxy) forward(way Direction, dst, src *net.TCPConn, edits *script, writing *sync.Mutex) {
	defer dst.Close()
	defer src.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if d := p.latency[way].Load(); d > 0 {
			time.Sleep(time.Duration(d))
		}
		p.gates[way].pass()
		if n > 0 && !p.swallow[way].Load() {
			p.passed[way].Add(int64(n)) // First: whoever gets the bytes finds them counted.
			writing.Lock()
			_, err := dst.Write(edits.filter(way, buf[:n]))
			writing.Unlock()
			if err != nil {
				p.passed[way].Add(int64(-n))
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				reset(dst)
			}
			return
		}
	}
}

// add returns the lock of who writes to the client. It reports false when the proxy was closed meanwhile.
func (p *Proxy) add(client, server *net.TCPConn) (writing *sync.Mutex, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clients == nil {
		return nil, false
	}
	writing = new(sync.Mutex)
	p.clients[client] = writing
	p.servers[server] = struct{}{}
	return writing, true
}

func (p *Proxy) remove(client, server *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.clients, client)
	delete(p.servers, server)
}

func (p *Proxy) close() {
	p.l.Close()
	p.mu.Lock()
	p.resetAll()
	p.clients = nil
	p.mu.Unlock()
	p.Release(Up)
	p.Release(Down)
	p.done.Wait()
}

// gate lets all pass or nobody.
type gate struct {
	mu      sync.Mutex
	changed *sync.Cond
	closed  bool
}

func newGate() *gate {
	g := &gate{}
	g.changed = sync.NewCond(&g.mu)
	return g
}

func (g *gate) shut() { g.set(true) }
func (g *gate) open() { g.set(false) }

func (g *gate) set(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = closed
	g.changed.Broadcast()
}

// pass waits until the gate is open.
func (g *gate) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.closed {
		g.changed.Wait()
	}
}
