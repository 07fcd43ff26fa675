package main

import (
	"time"
)

// A build is this program, made with one checkout of sess.
type build struct {
	name   string // stands in tables: a commit, or "now"
	binary string
}

// A subject is what two builds are compared at.
type subject interface {
	open(b build, redis *redisServer) (opened, error)
	contestantID() string
}

// opened is a subject at work.
type opened interface {
	// pace is how much of it takes so long: requests, or milliseconds.
	pace(d time.Duration) (int, error)
	measure(n int) (sample, error)
	stop()
}

// A sample is what one measurement says. Its fields are 0 where the subject has no such figure.
type sample struct {
	CPU        float64 `json:"cpuMicros"` // per request: in process what is above the bare framework, else of all servers
	RedisCPU   float64 `json:"redisCPUMicros"`
	Bytes      float64 `json:"bytes"` // allocated per request, above the bare framework's
	Objects    float64 `json:"objects"`
	Heap       float64 `json:"heap"` // bytes per session
	PerSecond  float64 `json:"perSecond"`
	P50        float64 `json:"p50Micros"`
	P99        float64 `json:"p99Micros"`
	Lost       float64 `json:"lostPercent"`       // of the updates that were answered with success
	Twice      float64 `json:"countedTwice"`      // updates
	Failed     float64 `json:"failedPercent"`     // of the requests
	LastFailed float64 `json:"lastFailedPercent"` // of those to the last of the servers
}

// crowdSubject is many users of one session, over TCP.
type crowdSubject struct {
	contestant string
	users      int
	processes  int
	far        int // so many of the processes, the last ones, are a farRoundTrip from Redis
}

// farRoundTrip is what a neighbouring zone of a cloud is away, and more than a Redis beside the server.
const farRoundTrip = 4 * time.Millisecond

func (s crowdSubject) contestantID() string { return s.contestant }

func (s crowdSubject) open(b build, redis *redisServer) (opened, error) {
	c, err := startCrowd(b, s, redis)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// requestSubject is one workload in process.
type requestSubject struct {
	contestant string
	workload   string
	sessions   int // 0: as many as the workload says
}

func (s requestSubject) contestantID() string { return s.contestant }

func (s requestSubject) open(b build, redis *redisServer) (opened, error) {
	c, err := find(s.contestant)
	if err != nil {
		return nil, err
	}
	w, ok := findWorkload(s.workload)
	if !ok {
		panic("bench: workload " + s.workload + ": unknown")
	}
	sessions := s.sessions
	if sessions == 0 {
		sessions = w.sessions
	}
	p, err := startProbe(b, c, w, sessions, redis.address)
	if err != nil {
		return nil, err
	}
	return &requests{probe: p, redis: redis}, nil
}

// requests is a requestSubject at work.
type requests struct {
	probe *probeProcess
	redis *redisServer
	turn  int
}

// pace tries a few requests, then as many as take a tenth of d.
func (r *requests) pace(d time.Duration) (int, error) {
	n := 1
	for _, aim := range []time.Duration{d / 10, d} {
		s, err := r.probe.ask("run", n)
		if err != nil {
			return 0, err
		}
		n = max(1, int(float64(aim)/s.Nanos))
	}
	return n, nil
}

// measure makes n requests with and n without sess, in turns the one or the other first.
func (r *requests) measure(n int) (sample, error) {
	var own, bare stint
	var redis time.Duration
	r.turn++
	for i := range 2 {
		var err error
		if (r.turn+i)%2 == 0 {
			if bare, err = r.probe.ask("bare", n); err != nil {
				return sample{}, err
			}
			continue
		}
		before, err := cpuTimes(nil, r.redis)
		if err != nil {
			return sample{}, err
		}
		if own, err = r.probe.ask("run", n); err != nil {
			return sample{}, err
		}
		after, err := cpuTimes(nil, r.redis)
		if err != nil {
			return sample{}, err
		}
		redis = after.redis - before.redis
	}
	return sample{
		CPU:       (own.CPUNanos - bare.CPUNanos) / 1000,
		RedisCPU:  micros(redis) / float64(n),
		Bytes:     own.Bytes - bare.Bytes,
		Objects:   own.Objects - bare.Objects,
		Heap:      r.probe.heap,
		PerSecond: 1e9 / own.Nanos,
	}, nil
}

func (r *requests) stop() { r.probe.stop() }
