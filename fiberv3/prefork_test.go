package sess_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	fiber2 "github.com/gofiber/fiber/v2"
	fiber3 "github.com/gofiber/fiber/v3"
	"github.com/redis/rueidis"

	core "github.com/fibersess/sess"
	sess "github.com/fibersess/sess/fiberv3"
	"github.com/fibersess/sess/internal/redistest"
)

// The environment of a process that servePrefork is for.
const (
	preforkVersion = "SESS_TEST_PREFORK"       // of Fiber: 2 or 3
	preforkAddress = "SESS_TEST_PREFORK_ADDR"  // where to listen
	preforkRedis   = "SESS_TEST_PREFORK_REDIS" // the address of the server
)

// servePrefork is the program of the parent and of its children: /count counts in the session and says who did, /memory says
// what a manager of a memory store is refused with.
func servePrefork() {
	config := sess.Config{Keys: sess.Keys(aKey)}
	if fiber3.IsChild() {
		store, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{os.Getenv(preforkRedis)}})
		if err != nil {
			panic(err)
		}
		config.Store = store
	} else {
		config.Store = sess.NewMemoryStore() // The parent serves nobody.
	}
	m, err := sess.NewManager(config)
	if err != nil {
		panic(err)
	}
	counted := func(s sess.Session) string {
		n := 0
		sess.Update(s, "n", func(old int, _ bool) int { n = old + 1; return n })
		return fmt.Sprint(os.Getpid(), " ", n)
	}
	refused := func() string {
		_, err := sess.NewManager(sess.Config{})
		return fmt.Sprint(err)
	}
	if os.Getenv(preforkVersion) == "2" {
		app := fiber2.New(fiber2.Config{Prefork: true, DisableStartupMessage: true})
		app.Use(m.Manager.Handle)
		app.Get("/count", func(c *fiber2.Ctx) error { return c.SendString(counted(core.From(c))) })
		app.Get("/memory", func(c *fiber2.Ctx) error { return c.SendString(refused()) })
		err = app.Listen(os.Getenv(preforkAddress))
	} else {
		app := fiber3.New()
		app.Use(m.Handle)
		app.Get("/count", func(c fiber3.Ctx) error { return c.SendString(counted(sess.From(c))) })
		app.Get("/memory", func(c fiber3.Ctx) error { return c.SendString(refused()) })
		err = app.Listen(os.Getenv(preforkAddress), fiber3.ListenConfig{EnablePrefork: true, DisableStartupMessage: true})
	}
	if err != nil {
		panic(err)
	}
}

func TestPreforkedChildrenShareTheSessionOnRedisAndRefuseAMemoryStore(t *testing.T) {
	redis := redistest.Start(t)
	for _, version := range []string{"2", "3"} {
		t.Run("Fiber v"+version, func(t *testing.T) {
			b := newBrowser(t, "http://"+startPrefork(t, version, redis.Addr))
			b.http.Transport = &http.Transport{DisableKeepAlives: true} // The kernel chooses a child for each connection.
			children := map[string]bool{}
			for n := 1; len(children) < 2; n++ {
				if n > 500 {
					t.Fatalf("children that answered %d requests: got %d, want 2", n, len(children))
				}
				pid, counted, _ := strings.Cut(b.get("/count").body, " ")
				children[pid] = true
				if counted != digits(n) {
					t.Fatalf("request %d: got the count %q, want %d", n, counted, n)
				}
			}
			if got := b.get("/memory").body; !strings.Contains(got, "Config.Store") {
				t.Errorf("a memory store in a child: got %q, want an error that names Config.Store", got)
			}
		})
	}
}

// startPrefork starts a parent with two children, which all end with the test, and returns their address.
func startPrefork(t *testing.T, version, redis string) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = ln.Addr().String()
	ln.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), preforkVersion+"="+version, preforkAddress+"="+address, preforkRedis+"="+redis, "GOMAXPROCS=2")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp4", address); err == nil {
			conn.Close()
			return address
		}
		if time.Since(start) > 20*time.Second {
			t.Fatal("a preforked program: got no listener in 20s")
		}
	}
}
