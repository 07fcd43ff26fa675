package reliability

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/fibersess/sess"
	"github.com/gofiber/fiber/v2"
)

// hotRoutes act on the counter of one session, and say what became of that: the status is 410 if the session has ended.
var hotRoutes = routes{
	"up": func(c *fiber.Ctx, s sess.Session) error {
		if s.Exists() { // or a new session would be begun
			sess.Update(s, "n", func(n int, _ bool) int { return n + 1 })
		}
		return gone(c, s.Save())
	},
	"n": func(c *fiber.Ctx, s sess.Session) error {
		err := s.Refresh()
		if err == nil {
			n, _ := sess.Get[int](s, "n")
			c.WriteString(strconv.Itoa(n))
		}
		return gone(c, err)
	},
	"out": func(c *fiber.Ctx, s sess.Session) error {
		s.Destroy()
		return s.Save()
	},
}

func gone(c *fiber.Ctx, err error) error {
	if errors.Is(err, sess.ErrEnded) || err == nil && !sess.From(c).Exists() {
		return c.SendStatus(http.StatusGone)
	}
	return err
}

// hotOp is one request to a hot session.
type hotOp struct {
	path   string
	status int // 200, 410, or an error: nobody knows whether it was done
	n      int // that was read
}

// over is the state of a counter whose session has ended.
const over = -1

// counter is a hot session as a single server would keep it that takes one request after the other.
var counter = porcupine.Model{
	Init: func() any { return 0 },
	Step: func(state, input, _ any) (bool, any) {
		n, o := state.(int), input.(hotOp)
		switch {
		case o.status == http.StatusGone:
			return n == over, n
		case o.path == "/out":
			return true, over
		case o.path == "/n":
			return n == o.n, n
		case n == over:
			return o.status != http.StatusOK, n
		default:
			return true, n + 1
		}
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

// hotHistory is what happened to one hot session.
type hotHistory struct {
	began   time.Time
	mu      sync.Mutex
	ops     []porcupine.Operation
	unknown int
}

// add notes a request of client. What nobody knows may still happen at any time.
func (h *hotHistory) add(client int, o hotOp, call, ret time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	end := int64(ret)
	if o.status != http.StatusOK && o.status != http.StatusGone {
		if o.path == "/n" {
			return
		}
		h.unknown++
		end = math.MaxInt64
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: o, Call: int64(call), Return: end})
}

// full reports whether h is as long as a history can be checked: each request of unknown outcome doubles the search.
func (h *hotHistory) full(most int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops) >= most || h.unknown >= 8
}

// ask makes a request of client and notes it.
func (h *hotHistory) ask(t *testing.T, client int, b *browser, n *node, path string) {
	call := time.Since(h.began)
	a, err := b.twin().get(n, path)
	if err != nil {
		t.Errorf("%s: got the error %v, want an answer", path, err)
		return
	}
	o := hotOp{path: path, status: a.status}
	if path == "/n" && a.status == http.StatusOK {
		if o.n, err = strconv.Atoi(a.body); err != nil {
			t.Errorf("the count: got %q, want a number", a.body)
		}
	}
	h.add(client, o, call, time.Since(h.began))
}

// TestHistoriesOfHotSessionsHaveAnOrder lets clients at two nodes count in one session, so that their commits go in groups,
// and log it out in the midst of that, while connections break and the server stumbles. Whatever they were told, one server
// that takes one request after the other could have told it. SESS_HISTORY_SECONDS is for how long.
func TestHistoriesOfHotSessionsHaveAnOrder(t *testing.T) {
	const clients, counted, most = 8, 120, 150
	site := newFaultySite(t)
	nodes := startFaulty(t, site, hotRoutes)
	length := time.Duration(number(t, "SESS_HISTORY_SECONDS", 5)) * time.Second
	var stop atomic.Bool
	faults := make(chan struct{})
	go func() {
		defer close(faults)
		site.stumbleFor(length)
		stop.Store(true)
	}()
	var histories, ops, unknown, ended int
	for !stop.Load() {
		ann := newBrowser(t)
		if a, err := ann.get(nodes[0], "/login"); err != nil || a.status != http.StatusOK {
			continue // The fault of this moment.
		}
		h := &hotHistory{began: time.Now()}
		hot(h, clients, func(client int) bool {
			path := "/up"
			if client%4 == 3 {
				path = "/n"
			}
			h.ask(t, client, ann, nodes[client%2], path)
			return !h.full(counted) && !stop.Load()
		})
		hot(h, clients, func(client int) bool {
			path := "/up"
			if client == 0 {
				path = "/out"
			}
			h.ask(t, client, ann, nodes[client%2], path)
			return client != 0 && !h.full(most) && !stop.Load()
		})
		h.ask(t, 0, ann, nodes[1], "/n")
		if got := porcupine.CheckOperationsTimeout(counter, h.ops, 20*time.Second); got != porcupine.Ok {
			t.Errorf("a history of %d requests, %d of unknown outcome: got the verdict %v, want an order of them", len(h.ops), h.unknown, got)
			for _, o := range h.ops {
				t.Logf("client %d, %d to %d: %+v", o.ClientId, o.Call, o.Return, o.Input)
			}
			break
		}
		histories, ops, unknown = histories+1, ops+len(h.ops), unknown+h.unknown
		for _, o := range h.ops {
			if o.Input.(hotOp).status == http.StatusGone {
				ended++
			}
		}
	}
	<-faults
	grouped := nodes[0].manager.Stats().Merged + nodes[1].manager.Stats().Merged
	report(t, "%v, %d faults: %d histories of hot sessions, %d requests, %d of unknown outcome, %d that met the end; saves on top of another's %d",
		length, site.faults, histories, ops, unknown, ended, grouped)
	if histories < 2 || unknown == 0 || ended == 0 || grouped == 0 {
		t.Error("got too little of that: this test has shown little")
	}
}

// hot lets the clients act at once, each until act says that it is enough.
func hot(h *hotHistory, clients int, act func(client int) bool) {
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for act(i) {
			}
		})
	}
	all.Wait()
}

// TestTheCheckOfHotHistoriesFindsWhatMustNotBe states histories that no server could have.
func TestTheCheckOfHotHistoriesFindsWhatMustNotBe(t *testing.T) {
	const ok, ended, failed = http.StatusOK, http.StatusGone, http.StatusServiceUnavailable
	for name, c := range map[string]struct {
		ops  []hotOp
		want porcupine.CheckResult
	}{
		"one after the other":        {[]hotOp{{"/up", ok, 0}, {"/n", ok, 1}, {"/out", ok, 0}, {"/up", ended, 0}, {"/n", ended, 0}}, porcupine.Ok},
		"unknown and done":           {[]hotOp{{"/up", failed, 0}, {"/n", ok, 1}}, porcupine.Ok},
		"unknown and not done":       {[]hotOp{{"/up", failed, 0}, {"/n", ok, 0}}, porcupine.Ok},
		"unknown and done later":     {[]hotOp{{"/up", failed, 0}, {"/n", ok, 0}, {"/n", ok, 1}}, porcupine.Ok},
		"lost":                       {[]hotOp{{"/up", ok, 0}, {"/n", ok, 0}}, porcupine.Illegal},
		"counted twice":              {[]hotOp{{"/up", ok, 0}, {"/n", ok, 2}}, porcupine.Illegal},
		"unknown, and counted twice": {[]hotOp{{"/up", failed, 0}, {"/n", ok, 2}}, porcupine.Illegal},
		"undone":                     {[]hotOp{{"/up", ok, 0}, {"/n", ok, 1}, {"/n", ok, 0}}, porcupine.Illegal},
		"back behind a logout":       {[]hotOp{{"/out", ok, 0}, {"/n", ok, 0}}, porcupine.Illegal},
		"counted behind a logout":    {[]hotOp{{"/out", ok, 0}, {"/up", ok, 0}}, porcupine.Illegal},
		"ended without a logout":     {[]hotOp{{"/up", ok, 0}, {"/n", ended, 0}}, porcupine.Illegal},
	} {
		h := &hotHistory{}
		for i, o := range c.ops {
			h.add(0, o, time.Duration(2*i), time.Duration(2*i+1))
		}
		if got := porcupine.CheckOperationsTimeout(counter, h.ops, time.Minute); got != c.want {
			t.Errorf("%s: got the verdict %v, want %v", name, got, c.want)
		}
	}
}
