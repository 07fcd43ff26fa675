package redistest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// replyTimeout bounds one command of the tests' own connection.
const replyTimeout = 10 * time.Second

// Error is an error reply of a server.
type Error string

func (e Error) Error() string { return "redis: " + string(e) }

// Code returns the first word of the reply, such as MOVED.
func (e Error) Code() string {
	code, _, _ := strings.Cut(string(e), " ")
	return code
}

// client is a RESP2 connection that does one command at a time. Tests use it to look at a server, and to change it,
// without the client under test.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

func dial(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, r: bufio.NewReader(conn)}, nil
}

func (c *client) close() { c.conn.Close() }

func (c *client) do(args ...string) (any, error) {
	c.conn.SetDeadline(time.Now().Add(replyTimeout))
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := c.conn.Write(b); err != nil {
		return nil, err
	}
	return c.reply()
}

// reply reads one reply:
//
//	reply = ( "+" text | "-" text | ":" number | "$" length CRLF bytes | "*" count CRLF *reply ) CRLF
//
// where a length or a count of -1 stands for nil.
func (c *client) reply() (any, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return nil, fmt.Errorf("redistest: empty reply")
	}
	switch kind, rest := line[0], line[1:]; kind {
	case '+':
		return rest, nil
	case '-':
		return nil, Error(rest)
	case ':':
		return strconv.ParseInt(rest, 10, 64)
	case '$':
		return c.bulk(rest)
	case '*':
		return c.array(rest)
	default:
		return nil, fmt.Errorf("redistest: reply of kind %q; want RESP2", kind)
	}
}

func (c *client) bulk(length string) (any, error) {
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 {
		return nil, err
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return nil, err
	}
	return string(b[:n]), nil
}

func (c *client) array(count string) (any, error) {
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return nil, err
	}
	all := make([]any, n)
	for i := range all {
		if all[i], err = c.reply(); err != nil {
			return nil, err
		}
	}
	return all, nil
}
