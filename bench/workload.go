package main

import "strings"

// A workload is one kind of request, repeated.
type workload struct {
	id    string
	title string
	path  string

	// login is the path that makes the session whose cookie the requests carry. Empty: they carry cookie, or nothing.
	login  string
	cookie string

	// among puts the session's cookies among foreign ones, and reports whether it can. Nil: the session's stand alone.
	among func(own string) (header string, ok bool)

	// sessions is how many sessions take turns in process.
	sessions int

	// users is how many requests are under way at once, end to end.
	users int

	// shared says that all users have one session. Its servers get all CPUs: on one, a handler in memory is rarely
	// interrupted, and nothing races.
	shared bool

	// twin says that another workload does the same with more users: a brief run leaves w out.
	twin bool

	// processes is how many servers share a Redis and the users. 0 means one.
	processes int
}

// How many sessions take turns in process, and how many connections there are end to end, where nothing else is said.
const (
	hotSessions = 1000
	connections = 64
)

// few is how many sessions take turns where each is large: their number is not what is compared there.
const few = 100

// ownSessions is how many users W2 has. Each is one bombardier with one connection, since bombardier sends the same
// header on all of its own.
const ownSessions = 8

var (
	anonymous        = workload{id: "W4", title: "untouched, no cookie", path: "/anonymous", users: connections}
	anonymousForeign = workload{id: "W4f", title: "untouched, two foreign cookies", path: "/anonymous", cookie: foreignCookies}
	anonymousOwn     = workload{id: "W4o", title: "untouched, its own cookie", path: "/anonymous", login: "/login", sessions: hotSessions}
	read             = workload{id: "W1", title: "read two values", path: "/read", login: "/login", sessions: hotSessions, users: connections}
	readAround       = workload{id: "W1a", title: "read two values, foreign cookies before and behind", path: "/read", login: "/login", among: around, sessions: hotSessions}
	readBetween      = workload{id: "W1b", title: "read two values, foreign cookies before and between id and signature", path: "/read", login: "/login", among: between, sessions: hotSessions}
	readOf30000      = workload{id: "W1of30000", title: "read two values, 30,000 sessions", path: "/read", login: "/login", sessions: 30_000}
	count            = workload{id: "W2", title: "counter++ on one's own session", path: "/count", login: "/login", sessions: hotSessions, users: ownSessions}
	write            = workload{id: "W2w", title: "set one value", path: "/write", login: "/login", sessions: hotSessions}
	create           = workload{id: "W3", title: "create a session", path: "/create", users: connections}

	countShared      = workload{id: "W2s", title: "counter++ on one session shared by 64 users", path: "/count", login: "/login", users: connections, shared: true}
	countSharedBySix = workload{id: "W2s6", title: "counter++ on one session shared by 6 users", path: "/count", login: "/login", users: 6, shared: true, twin: true}
	countSharedTwo   = workload{id: "W2t", title: "counter++ on one session shared by 64 users of two processes", path: "/count", login: "/login", users: connections, shared: true, processes: 2}
	countSharedTwo6  = workload{id: "W2t6", title: "counter++ on one session shared by 6 users of two processes", path: "/count", login: "/login", users: 6, shared: true, twin: true, processes: 2}
)

// countSized are W2 by the size of the session, readKeyed and countKeyed W1 and W2 by the number of its keys: the one
// that is read or counted was set last.
var (
	countSized = []workload{
		{id: "W2at1kB", title: "counter++ in a session of 1 kB", path: "/count", login: "/login-1kB", sessions: few},
		{id: "W2at10kB", title: "counter++ in a session of 10 kB", path: "/count", login: "/login-10kB", sessions: few},
		{id: "W2at60kB", title: "counter++ in a session of 60 kB", path: "/count", login: "/login-60kB", sessions: few},
	}
	readKeyed = []workload{
		{id: "W1keys1", title: "read the only key", path: "/peek", login: "/login-keys-1", sessions: few},
		{id: "W1keys10", title: "read the last of 10 keys", path: "/peek", login: "/login-keys-10", sessions: few},
		{id: "W1keys100", title: "read the last of 100 keys", path: "/peek", login: "/login-keys-100", sessions: few},
		{id: "W1keys1000", title: "read the last of 1,000 keys", path: "/peek", login: "/login-keys-1000", sessions: few},
	}
	countKeyed = []workload{
		{id: "W2keys1", title: "counter++, the only key", path: "/count", login: "/login-keys-1", sessions: few},
		{id: "W2keys10", title: "counter++, the last of 10 keys", path: "/count", login: "/login-keys-10", sessions: few},
		{id: "W2keys100", title: "counter++, the last of 100 keys", path: "/count", login: "/login-keys-100", sessions: few},
		{id: "W2keys1000", title: "counter++, the last of 1,000 keys", path: "/count", login: "/login-keys-1000", sessions: few},
	}
)

// microWorkloads run in process, endToEndWorkloads over TCP: the one that fills the stores comes last.
func microWorkloads() []workload {
	all := []workload{anonymous, anonymousForeign, read, readAround, readBetween, readOf30000, count}
	all = append(all, countSized...)
	all = append(all, readKeyed...)
	all = append(all, countKeyed...)
	return append(all, create)
}

func endToEndWorkloads() []workload {
	return []workload{anonymous, read, count, countShared, countSharedBySix, countSharedTwo, countSharedTwo6, create}
}

// findWorkload returns the workload in process of that id.
func findWorkload(id string) (workload, bool) {
	for _, w := range append(microWorkloads(), anonymousOwn, write) {
		if w.id == id {
			return w, true
		}
	}
	return workload{}, false
}

// answer is what a right answer to w says. A session that is read for its count has not counted yet.
func (w workload) answer() string {
	switch w.path {
	case read.path:
		return readAnswer
	case "/peek":
		return "0"
	}
	return "ok"
}

// counts reports whether the requests of w add to the count of a session.
func (w workload) counts() bool { return w.path == count.path }

// servers is how many processes serve w.
func (w workload) servers() int { return max(1, w.processes) }

// header is the Cookie header of w for the owner of the cookies own, and whether w can be made of them.
func (w workload) header(own string) (string, bool) {
	if w.among == nil {
		return own, true
	}
	return w.among(own)
}

// foreignCookies are a stranger's: what an analytics script and a setting leave behind.
const (
	foreignFirst   = "_ga=GA1.1.1234567890.1700000000"
	foreignSecond  = "theme=dark"
	foreignCookies = foreignFirst + "; " + foreignSecond
)

// around is a header in which the session's cookies stand together, between two foreign ones.
func around(own string) (string, bool) { return foreignFirst + "; " + own + "; " + foreignSecond, true }

// between is a header in which a foreign cookie stands between the session's two, and one before them. A contestant
// with one cookie has none.
func between(own string) (string, bool) {
	id, signature, ok := strings.Cut(own, "; ")
	return foreignFirst + "; " + id + "; " + foreignSecond + "; " + signature, ok
}
