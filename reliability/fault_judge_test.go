package reliability

import (
	"fmt"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// request is what is kept of one.
type request struct {
	path   string
	node   int
	start  time.Time
	took   time.Duration
	status int
}

func (r request) end() time.Time { return r.start.Add(r.took) }

// answers keeps the failed and the slow requests, and how many there were.
type answers struct {
	wrongs atomic.Int64
	mu     sync.Mutex
	count  int
	noted  []request
}

// slow is from what on an answer is kept.
const slow = storeTimeout / 4

func (as *answers) add(r request) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.count++
	if r.status == http.StatusServiceUnavailable || r.took > slow {
		as.noted = append(as.noted, r)
	}
}

// lateness is by how much a timer beside the requests was late, and when: what the machine, not the store, adds to an answer.
type lateness struct {
	mu  sync.Mutex
	all []stall
}

// stall is one time that the timer was late.
type stall struct {
	end time.Time
	by  time.Duration
}

func (l *lateness) measure(done chan struct{}) {
	const tick = 2 * time.Millisecond
	for {
		start := time.Now()
		select {
		case <-done:
			return
		case <-time.After(tick):
			if by := time.Since(start) - tick; by > tick {
				l.mu.Lock()
				l.all = append(l.all, stall{time.Now(), by})
				l.mu.Unlock()
			}
		}
	}
}

// during returns by how much the timer was late while r was under way, in all and at most, and from then on for a moment, since the
// server and the user are late as well.
func (l *lateness) during(r request) (sum, most time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.all {
		if s.end.After(r.start) && s.end.Add(-s.by).Before(r.end().Add(slack)) {
			sum, most = sum+s.by, max(most, s.by)
		}
	}
	return sum, most
}

// max returns by how much the timer was late at most.
func (l *lateness) max() (most time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.all {
		most = max(most, s.by)
	}
	return most
}

// footing is what a process holds when nobody asks.
type footing struct {
	goroutines int
	heap       uint64 // live bytes
}

func stand() footing {
	runtime.GC()
	runtime.GC() // the first one empties the pools into their victims
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footing{runtime.NumGoroutine(), m.HeapAlloc}
}

// connects waits until both nodes have asked each server of a cluster: their clients connect to a replica, which takes more
// than a megabyte, when they first happen to ask it for the topology.
func (s *site) connects() {
	if s.cluster == nil {
		return
	}
	for _, server := range s.cluster.Nodes {
		eventually(s.t, "both nodes have asked "+server.Addr, func() bool {
			return strings.Count(server.Do("CLIENT", "LIST").(string), " resp=3") >= len(s.nodes)
		})
	}
}

// regains waits until the process stands as before. A client keeps a connection for 5 s that a redirection has made it replace.
func (s *site) regains(before footing) footing {
	const goroutines, heap = 8, 4 << 20
	for _, n := range s.nodes {
		eventually(s.t, "no command is in flight", func() bool { return n.store.Stats().InFlight == 0 })
	}
	now := stand()
	stands := func() bool { return now.goroutines <= before.goroutines+goroutines && now.heap <= before.heap+heap }
	for deadline := time.Now().Add(8 * time.Second); !stands() && time.Now().Before(deadline); now = stand() {
		time.Sleep(50 * time.Millisecond)
	}
	if now.goroutines > before.goroutines+goroutines {
		s.t.Errorf("goroutines after the fault: got %d, want at most %d more than the %d before", now.goroutines, goroutines, before.goroutines)
	}
	if now.heap > before.heap+heap {
		s.t.Errorf("live heap after the fault: got %d bytes, want at most %d more than the %d before", now.heap, heap, before.heap)
	}
	return now
}

// judge checks when requests failed and how long they took, and reports. A machine that stood still for half of a
// StoreTimeout at once while a request was under way is no proof against the store.
func (s *site) judge(before, after footing) {
	began, ended, late := s.began.time(), s.ended.time(), s.late.max()
	var failed int
	var slowest, slowestUnder, lastError time.Duration
	lastError = math.MinInt64
	for _, r := range s.answers.noted {
		slowest = max(slowest, r.took)
		stood, longest := s.late.during(r)
		if limit := 2*storeTimeout + slack + stood; r.took > limit {
			s.wrong("slowest answer: got %v, want at most %v (2 × %v + %v, and %v by which timers were late meanwhile)", r.took, limit, storeTimeout, slack, stood)
		}
		if !r.start.Before(began) && !r.end().After(ended) {
			slowestUnder = max(slowestUnder, r.took)
			if limit := storeTimeout + slack + stood; r.took > limit && !s.fault.slowly {
				s.wrong("slowest answer to a request that began under the fault: got %v, want at most %v (%v + %v, and %v by which timers were late meanwhile)",
					r.took, limit, storeTimeout, slack, stood)
			}
		}
		if r.status != http.StatusServiceUnavailable {
			continue
		}
		failed++
		path, _, _ := strings.Cut(r.path, "?")
		lastError = max(lastError, r.end().Sub(ended))
		switch {
		case r.end().Before(began):
			s.wrong("%s: got 503 before the fault, want none", path)
		case r.end().After(ended.Add(recovery+s.fault.look+late)) && longest < storeTimeout/2:
			s.wrong("%s: got 503 %v after the end of the fault, want none after %v", path, r.end().Sub(ended), recovery+s.fault.look)
		case !s.fault.mayFail(r):
			s.wrong("%s on node %d: got 503, want that it works under this fault", path, r.node)
		}
	}
	if failed == 0 && s.fault.fails {
		s.t.Error("got no 503 at all: this test has shown nothing")
	}
	last := "none"
	if failed > 0 {
		last = lastError.Round(time.Millisecond).String()
	}
	report(s.t, "%d requests, %d answered 503, the last one %s after the end of the fault of %v; slowest %v, under the fault %v, timers late by %v; "+
		"goroutines %d → %d, live heap %+d KiB%s", s.answers.count, failed, last, ended.Sub(began).Round(time.Millisecond),
		short(slowest), short(slowestUnder), late.Round(time.Millisecond), before.goroutines, after.goroutines,
		(int64(after.heap)-int64(before.heap))/1024, s.costs())
}

// short says that nothing was slow enough to be kept.
func short(d time.Duration) string {
	if d == 0 {
		return fmt.Sprintf("below %v", slow)
	}
	return d.Round(time.Millisecond).String()
}

// losses are what the fault took from users: sessions, acknowledged increments, and ends of sessions.
func (s *site) losses() (gone, lost, back int) {
	for _, u := range s.users {
		gone, lost, back = gone+u.gone, lost+u.lost, back+u.back
	}
	return gone, lost, back
}

// costs says the same.
func (s *site) costs() (text string) {
	gone, lost, back := s.losses()
	for _, c := range []struct {
		n    int
		what string
	}{{gone, "sessions gone"}, {lost, "acknowledged increments lost (of sessions that stayed)"}, {back, "answers of ended sessions that were back"}} {
		if c.n > 0 {
			text += fmt.Sprintf("; %d %s", c.n, c.what)
		}
	}
	return text
}

// keepsSecrets checks the texts of the store's errors.
func (s *site) keepsSecrets() {
	var texts []string
	for text := range s.texts.Range {
		texts = append(texts, text.(string))
		for _, u := range s.users {
			ids := []string{u.name, u.browser.id()}
			for _, g := range u.graves {
				ids = append(ids, g.browser.id())
			}
			if slices.ContainsFunc(ids, func(id string) bool { return id != "" && strings.Contains(text.(string), id) }) {
				s.wrong("got an error whose text quotes an id or a record, want none")
			}
		}
	}
	if len(texts) > 0 {
		slices.Sort(texts)
		s.t.Logf("errors of the store: %q", texts)
	}
}
