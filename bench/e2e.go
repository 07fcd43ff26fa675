package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"log"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"
)

// An endToEnd is one contestant under one workload over TCP, driven by bombardier.
type endToEnd struct {
	Contestant string  `json:"contestant"`
	Workload   string  `json:"workload"`
	Round      int     `json:"round"`
	Requests   int     `json:"requests"`
	Failed     int     `json:"failed"` // answers other than 2xx, and none
	PerSecond  float64 `json:"perSecond"`
	P50        float64 `json:"p50Micros"`
	P99        float64 `json:"p99Micros"`
	ServerCPU  float64 `json:"serverCPUMicrosPerRequest"` // which is CPU seconds per million requests
	RedisCPU   float64 `json:"redisCPUMicrosPerRequest"`
	// BareCPU is the ServerCPU of the bare framework under the same workload, measured right before: what the machine's
	// speed does in between falls on both. 0 for a bare framework, and under W2s.
	BareCPU float64 `json:"bareCPUMicrosPerRequest,omitempty"`
	// Updates is how many counting requests were answered 2xx since the login, LostUpdates how many of them no count
	// shows. Both are 0 for a workload that does not count.
	Updates     int `json:"updates,omitempty"`
	LostUpdates int `json:"lostUpdates,omitempty"`
}

// runEndToEnd measures every contestant under every workload, in rounds: in each, all servers run and the workloads go
// round them in turn, so that what the machine does meanwhile falls on all alike.
func runEndToEnd(cs []contestant, o options, redis *redisServer) ([]endToEnd, error) {
	var all []endToEnd
	for round := range o.rounds {
		results, err := endToEndRound(cs, o, redis, round)
		if err != nil {
			return nil, err
		}
		all = append(all, results...)
	}
	return all, nil
}

func endToEndRound(cs []contestant, o options, redis *redisServer, round int) ([]endToEnd, error) {
	if err := redis.empty(); err != nil {
		return nil, err
	}
	var servers []*server
	defer func() {
		for _, s := range servers {
			s.stop()
		}
	}()
	for _, c := range cs {
		s, err := startServer(c, redis.address, false)
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	var results []endToEnd
	for _, w := range endToEndWorkloads() {
		if o.brief && w.twin {
			continue
		}
		log.Printf("end to end, round %d of %d: %s %s", round+1, o.rounds, w.id, w.title)
		for i := range servers {
			s := servers[(i+round)%len(servers)]
			// Bare frameworks answer all workloads alike: one stands for those of many connections, one for W2's few.
			if s.isBare() && w.id != read.id && w.id != count.id {
				continue
			}
			if w.servers() > 1 && !s.redis {
				continue
			}
			bare, err := bareBefore(s, servers, w, o, redis)
			if err != nil {
				return nil, fmt.Errorf("bench: %s before %s: %w", w.id, s.id, err)
			}
			r, err := measureOn(s, w, o, redis)
			if err != nil {
				return nil, fmt.Errorf("bench: %s %s: %w", s.id, w.id, err)
			}
			r.Round, r.BareCPU = round, bare.ServerCPU
			results = append(results, r)
		}
	}
	return results, nil
}

// bareBefore measures the bare framework of s, for comparison; nothing if s is one itself, or if w has no such figure.
func bareBefore(s *server, servers []*server, w workload, o options, redis *redisServer) (endToEnd, error) {
	i := slices.IndexFunc(servers, func(other *server) bool { return other.id == s.bare })
	if s.isBare() || w.shared || i < 0 || o.brief && w.id != read.id {
		return endToEnd{}, nil
	}
	o.warmup = 0
	return measure(servers[i:i+1], w, o, redis)
}

// measureOn is measure on s, or on servers of their own if w needs more than the one CPU of s.
func measureOn(s *server, w workload, o options, redis *redisServer) (endToEnd, error) {
	if !w.shared {
		return measure([]*server{s}, w, o, redis)
	}
	var own []*server
	defer func() {
		for _, s := range own {
			s.stop()
		}
	}()
	for range w.servers() {
		s, err := startServer(s.contestant, redis.address, true)
		if err != nil {
			return endToEnd{}, err
		}
		own = append(own, s)
	}
	return measure(own, w, o, redis)
}

// A target is what one bombardier aims at.
type target struct {
	server      *server
	cookie      string
	connections int
}

// targets logs the users of w in and shares them out among the servers. A bombardier sends one cookie, to one server.
func targets(servers []*server, w workload) ([]target, error) {
	all := []target{{servers[0], w.cookie, w.users}}
	switch {
	case w.shared:
		all = nil
		for _, s := range servers {
			all = append(all, target{s, "", w.users / len(servers)})
		}
	case w.counts():
		all = nil
		for range w.users {
			all = append(all, target{servers[0], "", 1})
		}
	}
	for i := range all {
		if w.login == "" {
			continue
		}
		if w.shared && i > 0 {
			all[i].cookie = all[0].cookie
			continue
		}
		cookie, err := login(&wireDriver{address: all[i].server.address}, w.login)
		if err != nil {
			return nil, err
		}
		all[i].cookie = cookie
	}
	return all, nil
}

// measure drives servers of one contestant with w, once to warm them up and once to count.
func measure(servers []*server, w workload, o options, redis *redisServer) (endToEnd, error) {
	aims, err := targets(servers, w)
	if err != nil {
		return endToEnd{}, err
	}
	var warm []shot
	if o.warmup > 0 {
		if warm, err = bombard(aims, w, "--requests", strconv.Itoa(o.warmup/len(aims))); err != nil {
			return endToEnd{}, err
		}
	}
	before, err := cpuTimes(servers, redis)
	if err != nil {
		return endToEnd{}, err
	}
	shots, err := bombard(aims, w, o.aim(len(aims))...)
	if err != nil {
		return endToEnd{}, err
	}
	after, err := cpuTimes(servers, redis)
	if err != nil {
		return endToEnd{}, err
	}

	r := summarize(shots)
	r.Contestant, r.Workload = servers[0].id, w.id
	r.ServerCPU = micros(after.servers-before.servers) / float64(r.Requests)
	if servers[0].redis {
		r.RedisCPU = micros(after.redis-before.redis) / float64(r.Requests)
	}
	if w.counts() && !servers[0].isBare() {
		r.Updates = answered(warm) + answered(shots)
		r.LostUpdates, err = lostUpdates(servers, aims, r.Updates)
	}
	return r, err
}

// cpuUse is the CPU time that servers and their Redis have used.
type cpuUse struct{ servers, redis time.Duration }

func cpuTimes(servers []*server, redis *redisServer) (cpuUse, error) {
	var use cpuUse
	for _, s := range servers {
		t, err := cpuTime(s.command.Process.Pid)
		if err != nil {
			return use, err
		}
		use.servers += t
	}
	t, err := cpuTime(redis.command.Process.Pid)
	use.redis = t
	return use, err
}

// micros returns d in microseconds.
func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// lostUpdates is how many of the answered requests no session's count shows.
func lostUpdates(servers []*server, aims []target, answered int) (int, error) {
	counted, seen := 0, map[string]bool{}
	for _, aim := range aims {
		if seen[aim.cookie] {
			continue
		}
		seen[aim.cookie] = true
		n, err := settledCount(servers, aim.cookie)
		if err != nil {
			return 0, err
		}
		counted += n
	}
	return answered - counted, nil
}

// settledCount is the count of the session with that cookie as soon as all servers agree on it: one that caches
// another's session may be a moment behind.
func settledCount(servers []*server, cookie string) (int, error) {
	const patience = 5 * time.Second
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		counts := make([]int, len(servers))
		for i, s := range servers {
			status, body := (&wireDriver{address: s.address}).get("/peek", cookie)
			n, err := strconv.Atoi(string(body))
			if status != 200 || err != nil {
				return 0, fmt.Errorf("/peek: got %d %q, want 200 and a number", status, body)
			}
			counts[i] = n
		}
		if slices.Min(counts) == slices.Max(counts) {
			return counts[0], nil
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("/peek: the servers said %v for %v; want one count", counts, patience)
		}
	}
}

// A shot is what one bombardier process reports.
type shot struct {
	Result struct {
		Seconds float64 `json:"timeTakenSeconds"`
		OK      int     `json:"req2xx"`
		Req1xx  int     `json:"req1xx"`
		Req3xx  int     `json:"req3xx"`
		Req4xx  int     `json:"req4xx"`
		Req5xx  int     `json:"req5xx"`
		Others  int     `json:"others"`
		Latency struct {
			Percentiles map[string]float64 `json:"percentiles"` // microseconds
		} `json:"latency"`
	} `json:"result"`
}

// bombard runs one bombardier for each target, all at once, until the aim is reached.
func bombard(aims []target, w workload, aim ...string) ([]shot, error) {
	shots, errs := make([]shot, len(aims)), make([]error, len(aims))
	var running sync.WaitGroup
	for i, at := range aims {
		arguments := []string{
			"--connections", strconv.Itoa(at.connections), "--timeout", "5s",
			"--latencies", "--print", "result", "--format", "json",
		}
		arguments = append(arguments, aim...)
		if at.cookie != "" {
			arguments = append(arguments, "--header", "Cookie: "+at.cookie)
		}
		command := exec.Command(bombardier, append(arguments, "http://"+at.server.address+w.path)...)
		var out, complaint bytes.Buffer
		command.Stdout, command.Stderr = &out, &complaint
		running.Go(func() {
			if errs[i] = startOn(loadCPU(), command); errs[i] != nil {
				return
			}
			if err := command.Wait(); err != nil {
				errs[i] = fmt.Errorf("%w: %s", err, complaint.Bytes())
				return
			}
			errs[i] = json.Unmarshal(out.Bytes(), &shots[i])
		})
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("bombardier: %w; make out/bombardier builds it", err)
		}
	}
	return shots, nil
}

// bombardier is where the Makefile builds it.
const bombardier = "out/bombardier"

// summarize adds up what bombardiers that ran side by side report: the middle one's median, the worst one's p99.
func summarize(shots []shot) endToEnd {
	var r endToEnd
	var medians []float64
	for _, s := range shots {
		other := s.Result.Req1xx + s.Result.Req3xx + s.Result.Req4xx + s.Result.Req5xx + s.Result.Others
		r.Requests += s.Result.OK + other
		r.Failed += other
		r.PerSecond += float64(s.Result.OK) / s.Result.Seconds
		medians = append(medians, s.Result.Latency.Percentiles["50"])
		r.P99 = max(r.P99, s.Result.Latency.Percentiles["99"])
	}
	r.P50 = median(medians)
	return r
}

func answered(shots []shot) int {
	n := 0
	for _, s := range shots {
		n += s.Result.OK
	}
	return n
}

// median returns the middle value, the lower of two; 0 of none.
func median[T cmp.Ordered](values []T) T {
	if len(values) == 0 {
		var zero T
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

// aim is how bombardier is told when to stop: after a time, or, in a brief run, after a number of requests shared among
// the bombardiers, since it takes no less than a second.
func (o options) aim(bombardiers int) []string {
	if o.duration > 0 {
		return []string{"--duration", o.duration.String()}
	}
	return []string{"--requests", strconv.Itoa(quickRequests / bombardiers)}
}

// quickRequests is enough for one request on each connection.
const quickRequests = 512
