package main

// A workload is one kind of request, repeated.
type workload struct {
	id    string
	title string
	path  string
	// owned says that the requests carry the cookie of a logged-in session.
	owned bool
	// parallel says that the server gets all CPUs: on one, a handler in memory is rarely interrupted, and nothing races.
	parallel bool
	// cookie is what a request carries if it is not owned.
	cookie string
}

// The workloads, in the order in which they run: the one that fills the stores comes last.
var (
	anonymous        = workload{id: "W4", title: "untouched, no cookie", path: "/anonymous"}
	anonymousForeign = workload{id: "W4f", title: "untouched, two foreign cookies", path: "/anonymous", cookie: foreignCookies}
	read             = workload{id: "W1", title: "read two values", path: "/read", owned: true}
	count            = workload{id: "W2", title: "counter++ on one's own session", path: "/count", owned: true}
	countShared      = workload{id: "W2s", title: "counter++ on one shared session", path: "/count", owned: true, parallel: true}
	create           = workload{id: "W3", title: "create a session", path: "/create"}
)

// answer is what a right answer to w says.
func (w workload) answer() string {
	if w.path == read.path {
		return readAnswer
	}
	return "ok"
}

// microWorkloads run in process, endToEndWorkloads over TCP.
func microWorkloads() []workload {
	return []workload{anonymous, anonymousForeign, read, count, create}
}

func endToEndWorkloads() []workload {
	return []workload{anonymous, read, count, countShared, create}
}
