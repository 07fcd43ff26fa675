package sess_test

import (
	"bufio"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// monitor hears every command that a server gets.
type monitor struct {
	t      *testing.T
	server *redistest.Server
	lines  *bufio.Scanner
}

func newMonitor(t *testing.T, server *redistest.Server) *monitor {
	t.Helper()
	c, err := net.Dial("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	m := &monitor{t, server, bufio.NewScanner(c)}
	if !m.lines.Scan() || m.lines.Text() != "+OK" {
		t.Fatalf("MONITOR: got %q, want +OK", m.lines.Text())
	}
	return m
}

// commands returns the commands since the last call that name a session or a user, one of a user with "index" behind it. A
// command that a script runs is not one of its own.
func (m *monitor) commands() (all []string) {
	m.t.Helper()
	m.server.Do("ECHO", "until here")
	for m.lines.Scan() {
		line := m.lines.Text()
		if strings.HasSuffix(line, `"ECHO" "until here"`) {
			return all
		}
		_, command, _ := strings.Cut(line, "] ")
		name, arguments, _ := strings.Cut(command, " ")
		if strings.Contains(line, " lua]") || !strings.Contains(arguments, `"koa:sess:`) {
			continue
		}
		if name = strings.ToUpper(strings.Trim(name, `"`)); strings.Contains(arguments, `"koa:sess:user `) {
			name += " index"
		}
		all = append(all, name)
	}
	m.t.Fatalf("MONITOR: got the end of the connection, %v; want commands", m.lines.Err())
	return nil
}

// TestRueidisCommandsOfRequestsAreCounted says what each kind of request costs at the server. Nobody reads the index but
// who lists or logs in.
func TestRueidisCommandsOfRequestsAreCounted(t *testing.T) {
	server := redistest.Start(t)
	meddle := func(*fiber.Ctx) {}
	st := newPortal(t, sess.Config{Store: openRueidis(t, addresses(server.Addr), sess.RueidisConfig{NoNearCache: true})}, routes{
		"meddled": func(c *fiber.Ctx, s sess.Session) error { s.Has("n"); meddle(c); sess.Set(s, "n", 1); return nil },
		"renew":   func(_ *fiber.Ctx, s sess.Session) error { s.Regenerate(); return nil },
	})
	commands := newMonitor(t, server)
	c := st.browser()
	meddle = func(*fiber.Ctx) { c.twin().get("/set?key=other"); commands.commands() }
	const index = "EVALSHA index"
	for _, step := range []struct {
		what, path string
		want       []string
	}{
		{"a request without a session", "/who", nil},
		{"the first save", "/set?key=a", []string{"SET"}},
		{"a read, whose two commands travel together", "/who", []string{"GETEX", "PTTL"}},
		{"a save", "/set?key=b", []string{"GETEX", "PTTL", "EVALSHA"}},
		{
			"a renewal of nobody's session: read, new record, tombstone, full life", "/renew",
			[]string{"GETEX", "PTTL", "SET", "EVALSHA", "EVALSHA"},
		},
		{
			"a login with a session: read twice, entry, new record, tombstone, full life, limit", "/in",
			[]string{"GETEX", "PTTL", "GETEX", "PTTL", index, "SET", "EVALSHA", "EVALSHA", index},
		},
		{"a save of a user's session", "/set?key=c", []string{"GETEX", "PTTL", "EVALSHA"}},
		{"a save that meets another's: the swap that loses brings the record", "/meddled", []string{"EVALSHA", "EVALSHA"}},
		{
			"a renewal of a user's session: read, entry, new record, tombstone, full life, old entry", "/renew",
			[]string{"GETEX", "PTTL", index, "SET", "EVALSHA", "EVALSHA", index},
		},
		{"a logout of a user: read, end, entry", "/out", []string{"GETEX", "PTTL", "EVALSHA", index}},
		{"a login without a session: entry, record, limit", "/in", []string{index, "SET", index}},
		{"a logout of a user", "/out", []string{"GETEX", "PTTL", "EVALSHA", index}},
		{"a save that begins a session", "/set?key=d", []string{"SET"}},
		{"a logout of nobody's session", "/out", []string{"GETEX", "PTTL", "EVALSHA"}},
	} {
		commands.commands()
		st.wantReply(step.what, response{status: c.get(step.path).status}, 200, "")
		if got := commands.commands(); !slices.Equal(got, step.want) {
			t.Errorf("commands of %s: got %q, want %q", step.what, got, step.want)
		}
	}
}

// TestRueidisSavesMoveTheEntryAtMostOnceInATTL saves a session again and again, each time with a later end, for a few TTLs.
// Then the index is lost: at most a TTL later a save has written the entry anew.
func TestRueidisSavesMoveTheEntryAtMostOnceInATTL(t *testing.T) {
	const ttl = 1500 * time.Millisecond
	server := redistest.Start(t)
	st := newPortal(t, sess.Config{TTL: ttl, Store: openRueidis(t, addresses(server.Addr))}, routes{
		"count": func(_ *fiber.Ctx, s sess.Session) error {
			sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
			return nil
		},
	})
	c := st.loggedIn("ann")
	commands := newMonitor(t, server)
	saves, moves := 0, 0
	save := func() {
		t.Helper()
		st.wantReply("a save", c.get("/count"), 200, "")
		saves++
		for _, command := range commands.commands() {
			if command == "EVALSHA index" {
				moves++
			}
		}
	}
	began := time.Now()
	for time.Since(began) < 5*ttl/2 {
		save()
		time.Sleep(20 * time.Millisecond)
	}
	if most := int(time.Since(began)/ttl) + 1; moves > most || moves < 2 || saves < 20 {
		t.Errorf("moves of the entry in %v, TTL %v: got %d in %d saves, want 2 to %d", time.Since(began), ttl, moves, saves, most)
	}
	st.wantUser("a session beyond its first TTL", c, "ann")
	st.wantSessions("beyond the first TTL", "ann", 1)

	server.Do("DEL", userKey("ann"))
	st.wantSessions("whose index is lost", "ann", 0)
	st.wantUser("a session whose index is lost", c, "ann")
	lost := time.Now()
	for len(st.sessions("ann")) == 0 && time.Since(lost) < 4*ttl {
		save()
		time.Sleep(20 * time.Millisecond)
	}
	if took := time.Since(lost); took > ttl+ttl/3 {
		t.Errorf("time until a lost index is there again: got %v, want at most a TTL, %v", took, ttl)
	}
	if _, err := st.m.User("ann").EndAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.wantUser("a session whose index was lost, after EndAll", c, "")
}
