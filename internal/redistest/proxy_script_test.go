package redistest_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/redistest"
)

// asks sends text through c, in parts of the given size, and returns what comes back until it has n bytes.
func asks(t *testing.T, c net.Conn, text string, size, n int) string {
	t.Helper()
	for at := 0; at < len(text); at += size {
		if _, err := io.WriteString(c, text[at:min(at+size, len(text))]); err != nil {
			t.Fatalf("write: %v", err)
		}
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	got := make([]byte, n)
	n, err := io.ReadFull(c, got)
	if err != nil {
		t.Errorf("read: got the error %v after %q", err, got[:n])
	}
	return string(got[:n])
}

func TestProxyAnswersInTheServersPlace(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server.Addr)
	const refusal = "-ERR unknown command 'HELLO', with args beginning with: '3' \r\n"
	p.Answer(refusal, "HELLO")
	p.Answer("+SWALLOWED\r\n", "CLIENT", "TRACKING")
	const commands = "*1\r\n$4\r\nPING\r\n*2\r\n$5\r\nhello\r\n$1\r\n3\r\n*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n" +
		"*2\r\n$6\r\nCLIENT\r\n$7\r\nGETNAME\r\n*2\r\n$4\r\nECHO\r\n$5\r\n*1\r\n$\r\n"
	const want = "+PONG\r\n" + refusal + "+SWALLOWED\r\n$-1\r\n$5\r\n*1\r\n$\r\n"
	for _, size := range []int{1, 7, len(commands)} {
		if got := asks(t, connect(t, p), commands, size, len(want)); got != want {
			t.Errorf("commands in parts of %d bytes: got %q, want %q", size, got, want)
		}
	}
	p.Answer("", "HELLO")
	if got := asks(t, connect(t, p), "*1\r\n$5\r\nHELLO\r\n", 100, 1); got != "*" {
		t.Errorf("HELLO after that: got a reply that begins with %q, want the server's", got)
	}
}

func TestProxySpeaksUnasked(t *testing.T) {
	p := redistest.NewProxy(t, echo(t))
	c := connect(t, p)
	says(t, c, 'a')
	p.Say("b")
	if got, err := says(t, c, 'c'); got != 'b' || err != nil {
		t.Errorf("after Say: got (%q, %v), want 'b'", got, err)
	}
	p.Greet("too many")
	if got, err := io.ReadAll(connect(t, p)); string(got) != "too many" || err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("a greeted connection: got (%q, %v), want the greeting and the end", got, err)
	}
}

func TestProxyMovesNewConnectionsAlone(t *testing.T) {
	first, second := redistest.Start(t), redistest.Start(t)
	first.Do("SET", "name", "first")
	second.Do("SET", "name", "second")
	p := redistest.NewProxy(t, first.Addr)
	const get, length = "*2\r\n$3\r\nGET\r\n$4\r\nname\r\n", len("$5\r\nfirst\r\n")
	old := connect(t, p)
	asks(t, old, get, 100, length)
	p.Move(second.Addr)
	if got := asks(t, old, get, 100, length); !strings.Contains(got, "first") {
		t.Errorf("a connection from before Move: got %q, want the first server", got)
	}
	if got := asks(t, connect(t, p), get, 100, length+1); !strings.Contains(got, "second") {
		t.Errorf("a connection from after Move: got %q, want the second server", got)
	}
}
