package main

import "time"

// A factorRow is a question of how fast sess is, asked of two builds in one run.
type factorRow struct {
	id       string
	title    string
	subjects []subject // of both builds
	rivals   []subject // of the newer build's program; compared with the first subject
	figures  []figure
	stint    time.Duration // how long one measurement takes
	rounds   int           // of the -rounds that are asked for, at most so many
	starts   int           // how often all processes are started anew, at most; 0: as often as for any row
}

// A figure is what a row asks for.
type figure struct {
	name string
	of   func(s []sample) float64 // s[i] is of subjects[i], all of one round
	bound
}

// A bound is what a figure must be. The zero value is none.
type bound struct {
	kind  boundKind
	today float64 // what ca8f596 was said to take, the middle of a range; 0: not known
	want  float64
	more  bool // more is better
}

type boundKind int

const (
	reportOnly boundKind = iota
	atMostKind
	atLeastKind
	notBehindKind // any of the row's rivals
)

func atMost(want, today float64) bound { return bound{kind: atMostKind, today: today, want: want} }
func atLeast(want, today float64) bound {
	return bound{kind: atLeastKind, today: today, want: want, more: true}
}
func notAbove() bound { return bound{kind: notBehindKind} }
func notBelow() bound { return bound{kind: notBehindKind, more: true} }

// noWorse allows what two runs of one program differ by.
func noWorse(today float64) bound { return atMost(today*1.05, today) }

// What figures are made of.
func cpuOf(s []sample) float64        { return s[0].CPU }
func redisOf(s []sample) float64      { return s[0].RedisCPU }
func bothOf(s []sample) float64       { return s[0].CPU + s[0].RedisCPU }
func bytesOf(s []sample) float64      { return s[0].Bytes }
func objectsOf(s []sample) float64    { return s[0].Objects }
func heapOf(s []sample) float64       { return s[0].Heap }
func perSecondOf(s []sample) float64  { return s[0].PerSecond }
func lostOf(s []sample) float64       { return s[0].Lost }
func twiceOf(s []sample) float64      { return s[0].Twice }
func failedOf(s []sample) float64     { return s[0].Failed }
func lastFailedOf(s []sample) float64 { return s[0].LastFailed }
func p99Of(s []sample) float64        { return s[0].P99 }
func ratioOf(s []sample) float64      { return s[0].CPU / s[1].CPU }
func nanosAboveOf(s []sample) float64 { return (s[0].CPU - s[1].CPU) * 1000 }

// truth is what every shared session must show.
func truth(figures ...figure) []figure {
	return append(figures,
		figure{"lost, %", lostOf, atMost(0, 0)},
		figure{"counted twice", twiceOf, atMost(0, 0)},
	)
}

func onMemory(workload string) subject {
	return requestSubject{contestant: "sess-memory", workload: workload}
}
func onRedis(workload string) subject {
	return requestSubject{contestant: "sess-redis", workload: workload}
}
func many(workload string, n int) subject {
	return requestSubject{contestant: "sess-memory", workload: workload, sessions: n}
}
func rivalsInRedis(workload string) []subject {
	return []subject{requestSubject{contestant: "fiber-redis", workload: workload}, requestSubject{contestant: "fasthttpsession-redis", workload: workload}}
}

// How long a measurement takes: in process; on a shared session; there, where requests may wait for StoreTimeout, which
// is 1 s.
const (
	requestStint = 40 * time.Millisecond
	crowdStint   = 500 * time.Millisecond
	slowStint    = 3 * time.Second
)

// factorRows are the rows, in the order of the table. sessions is how many the largest row has.
func factorRows(sessions int) []factorRow {
	return append(crowdRows(), requestRows(sessions)...)
}

// crowdRows are the shared sessions.
func crowdRows() []factorRow {
	crowd := func(users, processes, far int) []subject {
		return []subject{crowdSubject{"sess-redis", users, processes, far}}
	}
	return []factorRow{
		{
			id: "shared-64", title: "64 users of one session, Redis, counter++", stint: crowdStint, rounds: 10, starts: 2,
			subjects: crowd(64, 1, 0),
			rivals:   []subject{crowdSubject{"fasthttpsession-redis", 64, 1, 0}},
			figures: truth(
				figure{"req/s", perSecondOf, atLeast(30_000, 4_850)},
				figure{"req/s, against rivals", perSecondOf, notBelow()},
				figure{"server CPU, µs", cpuOf, atMost(25, 119)},
				figure{"Redis CPU, µs", redisOf, atMost(4, 46)},
				figure{"p99, µs", p99Of, bound{}},
				figure{"failed, %", failedOf, atMost(0, 0)},
			),
		},
		{
			id: "shared-6", title: "6 users of one session, Redis, counter++", stint: crowdStint, rounds: 10, starts: 2,
			subjects: crowd(6, 1, 0),
			figures: truth(
				figure{"req/s", perSecondOf, bound{}},
				figure{"server CPU, µs", cpuOf, atMost(60, 135)},
				figure{"Redis CPU, µs", redisOf, atMost(20, 55)},
				figure{"failed, %", failedOf, atMost(0, 0)},
			),
		},
		{
			id: "shared-two", title: "64 users of one session, two processes", stint: slowStint, rounds: 3, starts: 1,
			subjects: crowd(64, 2, 0),
			figures:  truth(figure{"acknowledged/s", perSecondOf, atLeast(5*1_807, 1_807)}, figure{"failed, %", failedOf, bound{}}),
		},
		{
			id: "shared-ten", title: "64 users of one session, ten processes", stint: slowStint, rounds: 3, starts: 1,
			subjects: crowd(64, 10, 0),
			figures:  truth(figure{"acknowledged/s", perSecondOf, atLeast(5*645, 645)}, figure{"failed, %", failedOf, bound{}}),
		},
		{
			id: "shared-far", title: "the same, two processes, both 4 ms from Redis", stint: slowStint, rounds: 3, starts: 1,
			subjects: crowd(64, 2, 2),
			figures: truth(
				figure{"acknowledged/s", perSecondOf, bound{}},
				figure{"failed, %", failedOf, atMost(1, 6.5)},
			),
		},
		{
			id: "shared-near-far", title: "the same, one near Redis and one 4 ms from it", stint: slowStint, rounds: 3, starts: 1,
			subjects: crowd(64, 2, 1),
			figures: truth(
				figure{"acknowledged/s", perSecondOf, bound{}},
				figure{"failed, %", failedOf, bound{}},
				figure{"failed of those far away, %", lastFailedOf, bound{}},
			),
		},
	}
}

// requestRows are the rows in process.
func requestRows(sessions int) []factorRow {
	// grows is a write whose record grows: size is that of the record in bytes.
	grows := func(id, title, workload string, want, today, size float64) factorRow {
		return factorRow{
			id: id, title: title, subjects: []subject{onMemory(workload)},
			figures: []figure{
				{"CPU over bare, µs", cpuOf, atMost(want, today)},
				{"garbage, B", bytesOf, atMost(1.3*size, 0)},
				{"objects", objectsOf, atMost(2.05, 0)}, // the collector's own are among them
			},
		}
	}
	simple := func(id, title string, s subject, b bound) factorRow {
		return factorRow{id: id, title: title, subjects: []subject{s}, figures: []figure{{"CPU over bare, µs", cpuOf, b}}}
	}
	rows := []factorRow{
		grows("write-10kB", "counter++ in a session of 10 kB", "W2at10kB", 5, 11.8, 10_000),
		grows("write-60kB", "counter++ in a session of 60 kB", "W2at60kB", 13, 23.5, 60_000),
		grows("write-100keys", "counter++ in a session of 100 keys", "W2keys100", 4.6, 7, 11+99*25),
		{
			id: "read-30000", title: "read two values, 30,000 sessions",
			subjects: []subject{onMemory("W1of30000"), onMemory("W1")},
			figures: []figure{
				{"CPU over bare, µs", cpuOf, bound{}},
				{"times the figure at 1,000", ratioOf, atMost(1.4, 2.2/0.95)},
			},
		},
		{
			id: "read-many", title: "read two values, " + thousands(int64(sessions)) + " sessions at random", starts: 1,
			subjects: []subject{many("W1", sessions)},
			figures: []figure{
				{"CPU over bare, µs", cpuOf, atMost(2.1, 2.9)},
				{"live heap a session, B", heapOf, atMost(700, 0)},
			},
		},
		{
			id: "read-between", title: "a foreign cookie between id and signature",
			subjects: []subject{onMemory("W1b"), onMemory("W1")},
			figures:  []figure{{"CPU above the read without, ns", nanosAboveOf, atMost(60, 170)}},
		},
		simple("read-1000keys", "read the last of 1,000 keys", onMemory("W1keys1000"), atMost(1.5, 9.7)),
		simple("write", "counter++, 330 B, memory", onMemory("W2"), atMost(1.8, 2.15)),
	}
	for _, r := range []struct{ id, title, workload string }{
		{"create-redis", "create, Redis, in process", "W3"},
		{"write-redis", "counter++, Redis, in process, one user", "W2"},
	} {
		rows = append(rows, factorRow{
			id: r.id, title: r.title, subjects: []subject{onRedis(r.workload)}, rivals: rivalsInRedis(r.workload),
			figures: []figure{{"CPU over bare, µs", cpuOf, notAbove()}, {"with Redis' CPU, µs", bothOf, notAbove()}},
		})
	}
	return append(rows,
		simple("untouched", "untouched, no cookie", onMemory("W4"), noWorse(0.102)),
		simple("read", "read two values", onMemory("W1"), noWorse(0.62)),
		simple("create", "create a session, memory", onMemory("W3"), noWorse(2.2)),
	)
}
