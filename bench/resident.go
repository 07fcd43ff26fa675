package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A resident is what many sessions in one process's memory cost. The figures that a contestant cannot have are 0.
type resident struct {
	Contestant        string  `json:"contestant"`
	Sessions          int     `json:"sessions"`
	HeapPerSession    float64 `json:"heapPerSession"` // bytes, live
	RSSPerSession     float64 `json:"rssPerSession"`  // bytes
	ObjectsPerSession float64 `json:"objectsPerSession"`
	GCMillis          float64 `json:"gcMillis"`      // CPU time of a full collection
	ReadNanos         float64 `json:"readNanos"`     // CPU time of a request that reads two values of a session picked at random
	BareReadNanos     float64 `json:"bareReadNanos"` // of the same request to the bare framework
}

// runResident measures each contestant that keeps its sessions in memory, in a process of its own.
func runResident(cs []contestant, sessions int) ([]resident, error) {
	bare := map[string]float64{}
	var results []resident
	for _, c := range cs {
		if !c.inMemory() && (!c.isBare() || c.node) {
			continue
		}
		log.Printf("%d resident sessions: %s", sessions, c.id)
		r, err := residentProcess(c, sessions)
		if err != nil {
			return nil, fmt.Errorf("bench: resident %s: %w", c.id, err)
		}
		if c.isBare() {
			bare[c.id] = r.ReadNanos
			continue
		}
		r.BareReadNanos = bare[c.bare]
		results = append(results, r)
	}
	return results, nil
}

func residentProcess(c contestant, sessions int) (resident, error) {
	command, err := contestantCommand(c, "resident", strconv.Itoa(sessions))
	if err != nil {
		return resident{}, err
	}
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, os.Stderr
	if err := command.Run(); err != nil {
		return resident{}, err
	}
	var r resident
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return resident{}, fmt.Errorf("%w in %q", err, out.Bytes())
	}
	r.Contestant, r.Sessions = c.id, sessions
	return r, nil
}

// sampled is how many sessions' cookies are kept, spread evenly: enough that their reads find nothing in the CPU's
// caches.
const sampled = 200_000

// measureResident fills c through its own login handler, in this process, and measures.
func measureResident(c contestant, sessions int) (resident, error) {
	a, err := c.open("")
	if err != nil {
		return resident{}, err
	}
	d := a.driver()
	if err := verify(c, d); err != nil {
		return resident{}, err
	}
	if c.isBare() {
		sessions = min(sessions, sampled)
	}
	every := max(1, sessions/sampled)
	cookies := newCookieJar(sessions/every + 1)

	before := measureMemory()
	for i := range sessions {
		cookie, err := login(d, "/login")
		if err != nil {
			return resident{}, err
		}
		if i%every == 0 {
			cookies.add(cookie)
		}
	}
	after := measureMemory()

	n := float64(sessions)
	r := resident{
		HeapPerSession:    float64(after.heap-before.heap) / n,
		RSSPerSession:     float64(after.rss-before.rss) / n,
		ObjectsPerSession: float64(after.objects-before.objects) / n,
		GCMillis:          fullGC(),
	}
	r.ReadNanos, err = readAtRandom(d, cookies)
	runtime.KeepAlive(a)
	return r, err
}

// A cookieJar keeps many Cookie headers in one block that has no pointers and is resident before it is filled, so that
// it disappears from the difference of two measurements.
type cookieJar struct {
	text []byte
	ends []int
}

// cookieRoom is how many bytes the jar has for each cookie; gorilla's are the longest, about 250, without foreign ones.
const cookieRoom = 320

func newCookieJar(n int) *cookieJar {
	j := &cookieJar{text: make([]byte, n*cookieRoom), ends: make([]int, n)}
	for i := range j.text {
		j.text[i] = 1
	}
	for i := range j.ends {
		j.ends[i] = 1
	}
	j.text, j.ends = j.text[:0], j.ends[:0]
	return j
}

func (j *cookieJar) add(cookie string) {
	if len(j.text)+len(cookie) > cap(j.text) {
		panic("bench: cookie jar: full; want a larger cookieRoom")
	}
	j.text = append(j.text, cookie...)
	j.ends = append(j.ends, len(j.text))
}

// shuffled returns the cookies in random order.
func (j *cookieJar) shuffled() []string {
	all, cookies, start := string(j.text), make([]string, len(j.ends)), 0
	for i, end := range j.ends {
		cookies[i], start = all[start:end], end
	}
	rand.Shuffle(len(cookies), func(a, b int) { cookies[a], cookies[b] = cookies[b], cookies[a] })
	return cookies
}

// usage is what this process holds after a full collection.
type usage struct {
	heap, rss, objects int64
}

func measureMemory() usage {
	// Twice: what the first collection's finalizers and pools let go, the second frees.
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{heap: int64(m.HeapAlloc), rss: rss(), objects: int64(m.HeapObjects)}
}

// rss is the resident set of this process in bytes.
func rss() int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(fmt.Sprintf("bench: own memory: %v", err))
	}
	var size, resident int64
	fmt.Sscan(string(statm), &size, &resident)
	return resident * int64(os.Getpagesize())
}

// fullGC returns the CPU milliseconds of a full collection, the median of three.
func fullGC() float64 {
	var millis []float64
	for range 3 {
		start := ownCPU()
		runtime.GC()
		millis = append(millis, micros(ownCPU()-start)/1000)
	}
	return median(millis)
}

// ownCPU is the CPU time this process has used.
func ownCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(fmt.Sprintf("bench: own CPU clock: %v", err))
	}
	return time.Duration(t.Nano())
}

// readAtRandom returns the CPU nanoseconds of one /read among all sessions. Every answer is checked: a store that dropped
// sessions to stay small must not pass for a fast one.
func readAtRandom(d driver, j *cookieJar) (float64, error) {
	cookies := j.shuffled()
	for _, cookie := range cookies[:min(len(cookies), 1000)] {
		if err := expect(d, "/read", cookie, readAnswer); err != nil {
			return 0, err
		}
	}
	start := ownCPU()
	for _, cookie := range cookies {
		if status, body := d.get("/read", cookie); status != 200 || string(body) != readAnswer {
			return 0, fmt.Errorf("/read: got %d %q, want 200 %q", status, body, readAnswer)
		}
	}
	return cpuPer(len(cookies), start), nil
}
