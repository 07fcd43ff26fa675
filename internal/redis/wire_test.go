package redis

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// replies are messages of every kind, each with how often it answers a command.
var replies = []struct {
	text    string
	answers int
}{
	{"+OK\r\n", 1},
	{"+\r\n", 1},
	{"-ERR no\r\n", 1},
	{":42\r\n", 1},
	{":-1\r\n", 1},
	{"$5\r\nhello\r\n", 1},
	{"$7\r\n+OK\r\n*3\r\n", 1},
	{"$0\r\n\r\n", 1},
	{"$-1\r\n", 1},
	{"*-1\r\n", 1},
	{"_\r\n", 1},
	{"#t\r\n", 1},
	{",3.14\r\n", 1},
	{"(12345678901234567890\r\n", 1},
	{"!9\r\nERR quiet\r\n", 1},
	{"=7\r\ntxt:abc\r\n", 1},
	{"*0\r\n", 1},
	{"*2\r\n:1\r\n$1\r\na\r\n", 1},
	{"*2\r\n*2\r\n:1\r\n*-1\r\n*1\r\n$3\r\n:::\r\n", 1},
	{"%2\r\n+a\r\n*1\r\n:1\r\n$1\r\nb\r\n_\r\n", 1},
	{"~1\r\n+a\r\n", 1},
	{">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nkey\r\n", 0},
	{"|1\r\n+ttl\r\n:3\r\n:7\r\n", 1},
}

// TestWireFindsEveryMessage cuts the same stream into parts of every size.
func TestWireFindsEveryMessage(t *testing.T) {
	var stream string
	var begins []int
	for _, r := range replies {
		begins = append(begins, len(stream))
		stream += r.text
	}
	for size := 1; size <= len(stream); size++ {
		var w wire
		var got []int
		for at := 0; at < len(stream); {
			part := stream[at:min(at+size, len(stream))]
			for len(part) > 0 {
				if w.between() {
					got = append(got, at)
				}
				n, err := w.follow([]byte(part))
				if err != nil {
					t.Fatalf("parts of %d bytes: got the error %v at byte %d, want none", size, err, at)
				}
				at += n
				part = part[n:]
			}
		}
		if !w.between() {
			t.Errorf("parts of %d bytes: got an open message at the end, want none", size)
		}
		if len(got) != len(begins) {
			t.Fatalf("parts of %d bytes: got %d messages, want %d", size, len(got), len(begins))
		}
		for i := range got {
			if got[i] != begins[i] {
				t.Fatalf("parts of %d bytes: got message %d at byte %d, want it at %d", size, i, got[i], begins[i])
			}
		}
	}
}

func TestWireRefusesWhatIsNoRESP(t *testing.T) {
	for _, text := range []string{"HTTP/1.1 408 \r\n", "\x15\x03\x03\x00\x02", "\r\n", "$abc\r\n", "$1-\r\n", "$-2\r\n", "*--1\r\n",
		"$99999999999999999999\r\n", "$?\r\n", "*4294967296\r\n"} {
		var w wire
		b := []byte(text)
		for len(b) > 0 {
			n, err := w.follow(b)
			if err != nil {
				break
			}
			b = b[n:]
		}
		if len(b) == 0 {
			t.Errorf("%q: got no error, want one", text)
		}
	}
}

// FuzzWire holds wire to what it promises of any bytes: it goes on or fails, and how they are cut does not matter.
func FuzzWire(f *testing.F) {
	for _, r := range replies {
		f.Add([]byte(r.text), uint8(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		run := func(size int) (begins []int, broken bool) {
			var w wire
			for at := 0; at < len(b); {
				for part := b[at:min(at+size, len(b))]; len(part) > 0; {
					if w.between() {
						begins = append(begins, at)
					}
					n, err := w.follow(part)
					if err != nil {
						return begins, true
					}
					if n <= 0 || n > len(part) || w.open < 0 || w.skip < 0 {
						t.Fatalf("follow: got %d of %d bytes, %d open, %d to skip", n, len(part), w.open, w.skip)
					}
					at += n
					part = part[n:]
				}
			}
			return begins, false
		}
		whole, brokenWhole := run(len(b) + 1)
		parts, brokenParts := run(max(1, int(size)))
		if len(whole) != len(parts) || brokenWhole != brokenParts {
			t.Errorf("cut into %d bytes: got %d messages and broken %t, want %d and %t as in one piece",
				size, len(parts), brokenParts, len(whole), brokenWhole)
		}
	})
}

// pipe returns a conn and the server's end of it.
func pipe(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	client, server := net.Pipe()
	all := &conns{open: make(map[*conn]struct{})}
	c := &conn{Conn: client, addr: "a:1", made: time.Now(), all: all}
	all.open[c] = struct{}{}
	t.Cleanup(func() { c.Close(); server.Close() })
	return c, server
}

// ask writes n commands, for which the server's end must be read.
func ask(t *testing.T, c *conn, server net.Conn, n int) {
	t.Helper()
	const command = "*2\r\n$3\r\nGET\r\n$4\r\n*1\r\n\r\n"
	go io.CopyN(io.Discard, server, int64(n*len(command)))
	if _, err := c.Write([]byte(strings.Repeat(command, n))); err != nil {
		t.Fatalf("write: got the error %v, want none", err)
	}
}

// TestConnDeliversAnswersAndNothingElse has a server answer two commands, with reports in between, and once more.
func TestConnDeliversAnswersAndNothingElse(t *testing.T) {
	const report = ">2\r\n$10\r\ninvalidate\r\n_\r\n"
	for _, r := range replies {
		if r.answers == 0 || r.text[0] == '*' { // an array may be what was subscribed to
			continue
		}
		c, server := pipe(t)
		ask(t, c, server, 2)
		want := report + r.text + report + r.text + report
		go func() {
			io.WriteString(server, want+r.text)
		}()
		got, err := io.ReadAll(c)
		if string(got) != want {
			t.Errorf("%q: read %q, want %q", r.text, got, want)
		}
		if err == nil {
			t.Errorf("%q once more than it was asked for: got no error, want one", r.text)
		}
	}
}

// TestConnSaysWhyAServerDoesNotWantIt: before anything was written the server can quote nothing.
func TestConnSaysWhyAServerDoesNotWantIt(t *testing.T) {
	const reason = "ERR max number of clients reached"
	for _, asked := range []int{0, 1} {
		c, server := pipe(t)
		if asked > 0 {
			ask(t, c, server, asked)
		}
		go io.WriteString(server, strings.Repeat("+OK\r\n", asked)+"-"+reason+"\r\n")
		_, err := io.ReadAll(c)
		if err == nil || strings.Contains(err.Error(), reason) != (asked == 0) {
			t.Errorf("a refusal behind %d commands: got the error %v, want one that tells the reason only before any", asked, err)
		}
	}
}

func TestConnIsGivenUpIfItWasThereBefore(t *testing.T) {
	c, _ := pipe(t)
	c.all.giveUp("b:2", time.Now())
	c.all.giveUp(c.addr, c.made)
	if c.fault.Load() != nil {
		t.Fatal("got a connection given up that is another server's, or newer, want it kept")
	}
	c.all.giveUp(c.addr, c.made.Add(1))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, errDemoted) {
		t.Errorf("read of a connection that was given up: got the error %v, want errDemoted", err)
	}
}

func BenchmarkConnRead(b *testing.B) {
	client, server := net.Pipe()
	defer server.Close()
	all := &conns{open: make(map[*conn]struct{})}
	c := &conn{Conn: client, all: all}
	defer c.Close()
	text := []byte("+OK\r\n:1\r\n+OK\r\n$330\r\n" + strings.Repeat("x", 330) + "\r\n")
	c.waiting.Store(1 << 60)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := c.check(text); err != nil {
			b.Fatal(err)
		}
	}
}
