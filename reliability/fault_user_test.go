package reliability

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// user does one thing at a time, mostly on one node, and knows what the answers must be. An increment that was answered
// 503 may have happened or not, now or later, so the counter is known as a range: see low and high.
type user struct {
	site    *site
	name    string
	home    int // the node that gets most of the requests
	browser *browser
	window  *browser // another window, with a connection of its own and whatever cookies it is given

	in    bool      // logged in
	doubt bool      // a logout or a renewal was answered 503: the session may have ended
	since time.Time // when the session's id was new

	base    int         // the counter before the acknowledged increments
	acked   []time.Time // increments that were answered 200
	unknown int         // increments that were answered 503
	floor   [2]int      // by node: what was written or read there; nobody may read less there
	based   bool        // base was read after the server went back in time

	graves []grave
	gone   int // sessions that the fault ended
	lost   int // acknowledged increments that the server lost
	back   int // ended sessions that the server brought back
}

// grave is a session that has ended, with the cookies it had.
type grave struct {
	browser *browser
	node    int // where it ended
	since   time.Time
}

// open makes all connections that the user will have.
func (u *user) open() {
	for node := range u.site.nodes {
		u.site.ask(u.browser, node, "/read")
		u.site.ask(u.window, node, "/read")
	}
}

// step is one request, or a few that belong together.
func (u *user) step() {
	node := u.home
	if rand.IntN(10) == 0 {
		node = 1 - node
	}
	if !u.in {
		u.login(node)
		return
	}
	if u.doubt && rand.IntN(4) == 0 {
		u.logout(node)
		return
	}
	switch n := rand.IntN(100); {
	case n < 2:
		u.renew(node)
	case n < 3:
		u.logout(node)
	case n < 10 && len(u.graves) > 0:
		u.haunt(u.graves[rand.IntN(len(u.graves))], node)
	case n < 55:
		u.hit(node)
	default:
		u.read(node)
	}
}

func (u *user) login(node int) {
	before := u.browser.id()
	a := u.site.ask(u.browser, node, "/login?user="+u.name)
	if a.status != http.StatusOK {
		return
	}
	if u.browser.id() == before { // what it presented ended meanwhile: the logout wins
		clear(u.browser.jar)
		return
	}
	u.in, u.doubt, u.since = true, false, time.Now()
	u.base, u.acked, u.unknown, u.floor, u.based = 0, nil, 0, [2]int{}, false
}

func (u *user) hit(node int) {
	start := time.Now()
	a := u.site.ask(u.browser, node, "/hit")
	switch a.status {
	case http.StatusOK: // It shows what was there before.
		u.shown(node, start, a)
		u.acked = append(u.acked, time.Now())
		u.floor[node] = max(u.floor[node], u.low())
	case http.StatusUnauthorized:
		u.refused(node)
	case http.StatusServiceUnavailable:
		u.unknown++
	}
}

func (u *user) read(node int) answer {
	start := time.Now()
	a := u.site.ask(u.browser, node, "/read")
	switch a.status {
	case http.StatusOK:
		u.shown(node, start, a)
	case http.StatusUnauthorized:
		u.refused(node)
	}
	return a
}

func (u *user) renew(node int) {
	old := u.browser.twin()
	start := time.Now()
	a := u.site.ask(u.browser, node, "/renew")
	switch {
	case a.status == http.StatusOK && u.browser.id() == old.id(): // it ended between the read and the write
		u.refused(node)
	case a.status == http.StatusOK:
		u.shown(node, start, a)
		u.bury(old, node)
		u.doubt, u.since = false, time.Now()
	case a.status == http.StatusUnauthorized:
		u.refused(node)
	case a.status == http.StatusServiceUnavailable:
		u.doubt = true
	}
}

// logout ends the session, half of the time while another window of the same browser is writing to it.
func (u *user) logout(node int) {
	old := u.browser.twin()
	var other sync.WaitGroup
	if rand.IntN(2) == 0 {
		u.unknown++
		u.window.jar = old.twin().jar
		other.Go(func() {
			a := u.site.ask(u.window, node, "/hit")
			if a.status == http.StatusOK && !strings.HasPrefix(a.body, u.name+" ") {
				u.site.wrong("node %d: got a page that is not of the user who asked, want his own", node)
			}
		})
	}
	a := u.site.ask(u.browser, node, "/logout")
	other.Wait()
	switch a.status {
	case http.StatusOK:
		u.bury(old, node)
		u.in = false
	case http.StatusServiceUnavailable:
		u.doubt = true
	}
}

// bury notes that b's session has ended, as node said.
func (u *user) bury(b *browser, node int) {
	u.graves = append(u.graves, grave{b, node, time.Now()})
}

// refused is told that the session has ended.
func (u *user) refused(node int) {
	s := u.site
	switch {
	case u.doubt:
	case s.mayLose(u.since):
		u.gone++
	default:
		s.wrong("node %d: got no session, want the one that nobody ended", node)
	}
	u.bury(u.browser.twin(), node)
	u.in = false
}

// haunt asks with the cookies of a session that has ended. Another node than the one that said so may still serve it
// for as long as MaxStale.
func (u *user) haunt(g grave, node int) {
	if node != g.node && time.Since(g.since) < maxStale+slack {
		node = g.node
	}
	path := "/read"
	if rand.IntN(4) == 0 {
		path = "/hit"
	}
	switch a := u.site.ask(g.browser.twin(), node, path); {
	case a.status != http.StatusOK:
	case u.site.fault.loss == writes && u.site.mayLose(g.since):
		u.back++
	default:
		u.site.wrong("node %d: got a session %v after it ended on node %d, want none for ever", node, time.Since(g.since), g.node)
	}
}

// low is the least the counter can be.
func (u *user) low() int {
	if !u.site.wentBack() || u.based {
		return u.base + len(u.acked)
	}
	n := u.base
	for _, at := range u.acked {
		if !u.site.kept.passed(at) {
			n++
		}
	}
	return n
}

// high is the most the counter can be.
func (u *user) high() int { return u.base + len(u.acked) + u.unknown }

// shown checks a page against what is known, and learns from it.
func (u *user) shown(node int, asked time.Time, a answer) {
	s := u.site
	name, rest, _ := strings.Cut(a.body, " ")
	count, text, _ := strings.Cut(rest, " ")
	hits, err := strconv.Atoi(count)
	if name != u.name || text != textOf(u.name) || err != nil {
		s.wrong("node %d: got a page that is not of the user who asked, want his own", node)
		return
	}
	low := u.floor[node]
	if s.wentBack() && !u.based {
		low = 0 // What was read may be lost, and the other node may know less by as much as MaxStale.
		if node == u.home && !s.kept.passed(u.since) {
			low = u.low()
		}
	}
	if hits < low || hits > u.high() {
		s.wrong("node %d: got the counter %d, want %d to %d", node, hits, low, u.high())
	}
	u.floor[node] = max(u.floor[node], hits)
	if s.wentBack() && !u.based && node == u.home && s.ended.passed(asked) {
		u.lost += max(0, u.high()-u.unknown-hits)
		u.base, u.based, u.floor = hits-len(u.acked), true, [2]int{}
		u.floor[node] = hits
	}
}

// settle checks, when the load is over and MaxStale has passed, that all is as the answers have said, on both nodes.
func (u *user) settle() {
	s := u.site
	for _, g := range u.graves {
		u.haunt(g, 0)
		u.haunt(g, 1)
	}
	if !u.in {
		u.login(u.home)
	}
	u.read(u.home)
	if !u.in {
		u.login(u.home)
	}
	here := u.read(u.home)
	if there := u.read(1 - u.home); there.status != here.status || there.body != here.body {
		s.wrong("got another page from the other node %v after the last change, want the same", maxStale)
	}
	u.hit(u.home)
	again := u.read(u.home)
	var before, after int
	fmt.Sscanf(here.body, u.name+" %d", &before)
	if fmt.Sscanf(again.body, u.name+" %d", &after); after != before+1 {
		s.wrong("counter after one more increment: got %d, want %d", after, before+1)
	}
}
