package reliability

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/fibersess/sess/sesstest"
	"github.com/gofiber/fiber/v2"
)

// mortal names the variable of the environment with the server's address that makes this program a node which dies.
const mortal = "SESS_MORTAL_NODE"

// accountRoutes are what a user does.
func accountRoutes(app *fiber.App) {
	for path, act := range map[string]func(s sess.Session){
		"/login":  func(s sess.Session) { s.Login("ann") },
		"/renew":  func(s sess.Session) { s.Regenerate() },
		"/logout": func(s sess.Session) { s.Destroy() },
		"/cart":   func(s sess.Session) { sess.Set(s, "cart", 1) },
	} {
		app.Get(path, func(c *fiber.Ctx) error { act(sess.From(c)); return nil })
	}
	app.Get("/who", func(c *fiber.Ctx) error {
		s := sess.From(c)
		_ = s.Refresh()
		user, _ := s.User()
		return c.SendString(user)
	})
}

// TestNodeThatDies is a node as a process of its own, for the test below. At "/stop" it is told before which call of its
// store it stops for ever, and it says when it has come there.
func TestNodeThatDies(t *testing.T) {
	redis := os.Getenv(mortal)
	if redis == "" {
		t.Skip("runs as a child of TestAProcessThatIsKilledLeavesNothingThatLivesUnlisted")
	}
	var gate *sesstest.Gate
	n := startNode(t, at(redis), sess.RueidisConfig{}, func(c *sess.Config) {
		gate = sesstest.NewGate(c.Store)
		c.Store, c.StoreTimeout = gate.Store(), 5*time.Second
	}, func(app *fiber.App) {
		accountRoutes(app)
		app.Get("/endall", func(c *fiber.Ctx) error {
			m, err := sess.NewManager(sess.Config{Store: gate.Store(), Keys: sess.Keys(siteKey)})
			if err == nil {
				_, err = m.User("ann").EndAll(c.UserContext())
			}
			return err
		})
		app.Get("/stop", func(c *fiber.Ctx) error {
			stop := gate.Before(sesstest.Op(c.Query("op")), c.QueryInt("n"))
			go func() {
				<-stop.Reached
				fmt.Println("reached")
			}()
			return nil
		})
	})
	fmt.Println("node " + n.url)
	io.Copy(io.Discard, os.Stdin)
}

// child is a node that is a process.
type child struct {
	*node
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func startChild(t *testing.T, redis string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestNodeThatDies$")
	cmd.Env = append(os.Environ(), mortal+"="+redis)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: cmd, lines: bufio.NewScanner(stdout)}
	t.Cleanup(func() { stdin.Close(); cmd.Process.Kill(); cmd.Wait() })
	c.node = &node{url: c.hear(t, "node ")}
	return c
}

// hear waits until the child says a line that begins with text, and returns the rest of it.
func (c *child) hear(t *testing.T, text string) string {
	t.Helper()
	for c.lines.Scan() {
		if rest, ok := strings.CutPrefix(c.lines.Text(), text); ok {
			return rest
		}
	}
	t.Fatalf("a node that is to die: got the end of its output, want %q", text)
	return ""
}

// TestAProcessThatIsKilledLeavesNothingThatLivesUnlisted kills a node, by its process id, before each call of the store that
// a login, a renewal, a logout and an EndAll make. The node that is left then finds that every session which lives is
// listed, that EndAll ends them all, and that no entry stays without its record.
func TestAProcessThatIsKilledLeavesNothingThatLivesUnlisted(t *testing.T) {
	redis := redistest.Start(t)
	left := startNode(t, at(redis.Addr), sess.RueidisConfig{}, nil, accountRoutes)
	for _, death := range []struct {
		path, first string // what the request does, and how its session began
		op          sesstest.Op
		calls       []int
	}{
		{"/login", "/cart", sesstest.Swap, []int{1, 2, 3}}, // entry | record | tombstone | full life
		{"/login", "/cart", sesstest.Entries, []int{1}},
		{"/renew", "/login", sesstest.Swap, []int{1, 2, 3}},
		{"/renew", "/login", sesstest.Leave, []int{1}},
		{"/logout", "/login", sesstest.Leave, []int{1}}, // record | entry
		{"/endall", "/login", sesstest.Entries, []int{1}},
		{"/endall", "/login", sesstest.Leave, []int{1}},
	} {
		for _, n := range death.calls {
			t.Run(fmt.Sprintf("%s before %s %d", death.path[1:], death.op, n), func(t *testing.T) {
				redis.Do("FLUSHALL")
				b := newBrowser(t)
				b.must(t, left, death.first)
				dying := startChild(t, redis.Addr)
				b.must(t, dying.node, fmt.Sprintf("/stop?op=%s&n=%d", death.op, n))
				go func() {
					if a, err := b.twin().get(dying.node, death.path); err == nil {
						t.Errorf("%s at a node that is killed: got the answer %d, want none", death.path, a.status)
					}
				}()
				dying.hear(t, "reached")
				if err := dying.cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				dying.cmd.Wait()
				wantHealed(t, redis, left)
			})
		}
	}
}

// wantHealed checks what a dead process has left. What is provisional ends within seconds; the test does not wait for
// that, nor for the minute in which an entry may lack its record.
func wantHealed(t *testing.T, redis *redistest.Server, left *node) {
	t.Helper()
	const short = 11 * time.Second
	for _, key := range sessionKeys(redis) {
		if redis.Do("PTTL", key).(int64) < short.Milliseconds() {
			redis.Do("DEL", key)
		}
	}
	entries := redis.Do("ZRANGE", userKey("ann"), "0", "-1", "WITHSCORES").([]any)
	for i := 0; i+1 < len(entries); i += 2 {
		if login, id, ok := strings.Cut(entries[i].(string), " "); ok { // As if it were a minute older.
			ms, _ := strconv.Atoi(login)
			redis.Do("ZREM", userKey("ann"), entries[i].(string))
			redis.Do("ZADD", userKey("ann"), fmt.Sprint(time.Now().Add(time.Hour).UnixMilli()), fmt.Sprintf("%013d %s", ms-61_000, id))
		}
	}
	listed := 0
	for _, err := range left.manager.User("ann").Sessions(t.Context()) {
		if err != nil {
			t.Fatalf("Sessions: got the error %+v, want none", err)
		}
		listed++
	}
	living := 0
	for _, key := range sessionKeys(redis) {
		var r struct {
			Header struct {
				User string `json:"u"`
			} `json:"$"`
		}
		if err := json.Unmarshal([]byte(redis.Do("GET", key).(string)), &r); err != nil {
			t.Fatal(err)
		}
		if r.Header.User == "ann" {
			living++
		}
	}
	if listed != living {
		t.Errorf("sessions of ann that are listed: got %d, want all %d that live", listed, living)
	}
	if got := count(redis, userKey("ann")); got != living {
		t.Errorf("entries after a listing: got %d, want one for each of %d sessions", got, living)
	}
	if n, err := left.manager.User("ann").EndAll(t.Context()); err != nil || n != living {
		t.Errorf("EndAll: got (%d, %v), want %d and no error", n, err, living)
	}
	if got := count(redis, userKey("ann")); got != 0 {
		t.Errorf("entries after EndAll: got %d, want none", got)
	}
}

// sessionKeys are the keys of records.
func sessionKeys(redis *redistest.Server) (keys []string) {
	for _, key := range redis.Do("KEYS", "koa:sess:*").([]any) {
		if key := key.(string); !strings.Contains(key, " ") {
			keys = append(keys, key)
		}
	}
	return keys
}

// count returns the number of entries in an index.
func count(redis *redistest.Server, index string) (n int) {
	for _, member := range redis.Do("ZRANGE", index, "0", "-1").([]any) {
		if strings.Contains(member.(string), " ") {
			n++
		}
	}
	return n
}
