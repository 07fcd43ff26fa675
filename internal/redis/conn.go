package redis

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// conns are the connections that the client of a store has made. The client dials them through here, so that
//
//   - nothing reaches it that nobody asked for: it ends the process when a reply comes that is no command's;
//   - a connection can be given up whose server is no master any more: it knows of no reason to do so.
type conns struct {
	dial    func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error)
	noDelay bool

	mu   sync.Mutex
	open map[*conn]struct{}
}

// of makes option dial through c.
func (c *conns) of(option *rueidis.ClientOption) {
	c.open = make(map[*conn]struct{})
	c.noDelay = !option.DisableTCPNoDelay
	switch custom := option.DialFn; {
	case option.DialCtxFn != nil:
		c.dial = option.DialCtxFn
	case custom != nil:
		c.dial = func(_ context.Context, addr string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
			return custom(addr, d, t)
		}
	default:
		c.dial = c.connect
	}
	option.DialFn, option.DialCtxFn = nil, c.dialed
}

// dialed makes a connection for the client.
func (c *conns) dialed(ctx context.Context, addr string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
	made := time.Now()
	// The command that needs the connection may end before it: others wait for it too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(d.Timeout, dialTimeout))
	defer cancel()
	raw, err := c.dial(ctx, addr, d, t)
	if err != nil {
		return nil, &dialError{err}
	}
	if !c.noDelay {
		delay(raw)
	}
	n := &conn{Conn: raw, addr: addr, made: made, all: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[n] = struct{}{}
	return n, nil
}

// connect dials, and says which of the two steps failed: a server without TLS says nothing to a handshake.
func (c *conns) connect(ctx context.Context, addr string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
	raw, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if config == nil {
		return raw, nil
	}
	if config.ServerName == "" {
		host, _, _ := net.SplitHostPort(addr)
		config = config.Clone()
		config.ServerName = host
	}
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close()
		if isContext(err) || errors.As(err, new(tls.RecordHeaderError)) {
			return nil, fmt.Errorf("TLS handshake: %w; want a port that speaks TLS, or no TLSConfig", err)
		}
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return secure, nil
}

// delay lets small packets wait for one another, as ClientOption.DisableTCPNoDelay wants it.
func delay(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetNoDelay(false)
	}
}

// dialError says that no connection was made: whatever was to be sent on it was not sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// errDemoted is what a connection fails with that was given up.
var errDemoted = errors.New("the server has become a replica; its connection was given up")

// giveUp closes the connections to addr that were made before the given instant. What is under way on them fails.
func (c *conns) giveUp(addr string, before time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range c.open {
		if n.addr == addr && n.made.Before(before) {
			n.fault.CompareAndSwap(nil, &errDemoted)
			n.Conn.Close()
		}
	}
}

// conn is a connection to a server. Its client reads it from one goroutine and writes to it from one.
type conn struct {
	net.Conn
	addr string
	made time.Time
	all  *conns

	in, out wire
	wrote   atomic.Bool
	waiting atomic.Int64          // commands that were written and not yet answered
	fault   atomic.Pointer[error] // why no more is read; nil while all is well
}

// Write counts the commands in b before they are sent, so before they can be answered.
func (c *conn) Write(b []byte) (int, error) {
	if fault := c.fault.Load(); fault != nil {
		return 0, *fault
	}
	c.wrote.Store(true)
	for rest := b; len(rest) > 0; {
		if c.out.between() {
			c.waiting.Add(1)
		}
		n, err := c.out.follow(rest)
		if err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return c.Conn.Write(b)
}

// Read returns what the server has sent, up to the first message that answers no command. From there on it fails.
func (c *conn) Read(b []byte) (int, error) {
	if fault := c.fault.Load(); fault != nil {
		return 0, *fault
	}
	n, err := c.Conn.Read(b)
	good, fault := c.check(b[:n])
	if fault != nil {
		c.fault.CompareAndSwap(nil, &fault)
		c.Conn.Close()
		if good == 0 {
			return 0, fault
		}
		return good, nil
	}
	if err != nil {
		if fault := c.fault.Load(); fault != nil {
			err = *fault
		}
	}
	return n, err
}

// check returns how much of b may be read, and why not more.
func (c *conn) check(b []byte) (good int, fault error) {
	for good < len(b) {
		if c.in.between() {
			if !c.answers(b[good]) {
				return good, c.unasked(b[good:])
			}
		}
		n, err := c.in.follow(b[good:])
		if err != nil {
			return good, err
		}
		good += n
	}
	return good, nil
}

// answers reports whether a message of this kind may come now. Reports come unasked, and in RESP2, where they are arrays,
// what was subscribed to.
func (c *conn) answers(kind byte) bool {
	switch kind {
	case '>':
		return true
	case '*':
		if c.waiting.Load() > 0 {
			c.waiting.Add(-1)
		}
		return true
	default:
		return c.waiting.Add(-1) >= 0
	}
}

// unasked is the error for a message that answers nothing. Before anything was written it cannot quote anything: then it
// is the server's word on why it does not want this connection.
func (c *conn) unasked(message []byte) error {
	const most = 100
	if line, _, ok := bytes.Cut(message, []byte("\r\n")); ok && line[0] == '-' && len(line) <= most && !c.wrote.Load() {
		return fmt.Errorf("the server said %q before it was asked anything", line[1:])
	}
	return errors.New("the server sent a reply to no command")
}

// Close closes the connection.
func (c *conn) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}
