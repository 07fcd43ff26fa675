package reliability

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/redistest"
)

// again does something again and again for as long as a fault lasts.
func (s *site) again(every time.Duration, do func()) {
	for end := time.Now().Add(faultTime(s.t)); time.Now().Before(end); time.Sleep(every) {
		do()
	}
}

func (s *site) restart() {
	s.server.Kill()
	s.lasts()
	s.server.Restart()
}

func (s *site) pause(mode string) {
	s.server.Do("CLIENT", "PAUSE", strconv.FormatInt(faultTime(s.t).Milliseconds(), 10), mode)
	s.lasts()
	s.server.Do("DEL", "nothing") // Answered when the pause is over.
}

func TestFaultsOfAServerCostNoData(t *testing.T) {
	runAll(t, []fault{
		{name: "killed and restarted, appendfsync always", place: direct("--appendonly", "yes", "--appendfsync", "always"),
			fails: true, inflict: (*site).restart},
		{name: "CLIENT PAUSE WRITE", place: direct(), fails: true, slowly: true, inflict: func(s *site) { s.pause("WRITE") }},
		{name: "CLIENT PAUSE ALL", place: direct(), fails: true, inflict: func(s *site) { s.pause("ALL") }},
		{name: "CLIENT KILL of all, every 50 ms", place: direct(), fails: true, inflict: func(s *site) {
			s.again(50*time.Millisecond, func() { s.server.Do("CLIENT", "KILL", "TYPE", "normal") })
		}},
		{name: "SCRIPT FLUSH every 10 ms", place: direct(), inflict: func(s *site) {
			s.again(10*time.Millisecond, func() { s.server.Do("SCRIPT", "FLUSH") })
		}},
		{name: "out of memory", place: direct(), fails: true,
			spares: func(r request) bool { return r.path == "/read" || r.path == "/logout" },
			inflict: func(s *site) {
				s.server.Do("CONFIG", "SET", "maxmemory", "1")
				s.lasts()
				s.server.Do("CONFIG", "SET", "maxmemory", "0")
			}},
		{name: "READONLY", place: direct(), fails: true, inflict: func(s *site) { // a replica is not read either
			s.server.Do("REPLICAOF", "127.0.0.1", "1") // of nobody: it keeps what it has
			s.lasts()
			s.server.Do("REPLICAOF", "NO", "ONE")
		}},
		{name: "process stopped", place: direct(), fails: true, inflict: func(s *site) {
			s.server.Pause()
			s.lasts()
			s.server.Resume()
			s.server.Do("PING")
		}},
	})
}

func TestSessionsThatTheServerLostStayLost(t *testing.T) {
	evict := func(policy string) fault {
		return fault{name: "evicted, " + policy, place: direct("--maxmemory-policy", policy), loss: sessions,
			inflict: func(s *site) { s.again(50*time.Millisecond, s.squeeze) },
			proves: func(s *site) string {
				evicted := s.server.Info("stats")["evicted_keys"]
				if evicted == "0" {
					s.t.Error("keys evicted: got 0, want some: this test has shown nothing")
				}
				return evicted + " keys evicted"
			}}
	}
	runAll(t, []fault{
		{name: "killed and restarted, empty", place: direct(), loss: sessions, fails: true, inflict: (*site).restart},
		{name: "FLUSHALL every 300 ms", place: direct(), loss: sessions, inflict: func(s *site) {
			s.again(300*time.Millisecond, func() { s.server.Do("FLUSHALL") })
		}},
		evict("volatile-ttl"),
		evict("allkeys-lru"),
	})
}

// squeeze fills the server with what lives longer than a session, leaves room for half of it, and takes the limit away
// when it has evicted the rest. What else the server needs memory for grows with the load.
func (s *site) squeeze() {
	const fillers, bytes = 200, 4 << 10
	for i := range fillers {
		s.server.Do("SET", "filler:"+strconv.Itoa(i), strings.Repeat(".", bytes), "EX", "1000000")
	}
	used, _ := strconv.Atoi(s.server.Info("memory")["used_memory"])
	s.server.Do("CONFIG", "SET", "maxmemory", strconv.Itoa(used-fillers*bytes/2))
	time.Sleep(20 * time.Millisecond)
	s.server.Do("CONFIG", "SET", "maxmemory", "0")
}

// TestAServerThatGoesBackLosesNoMoreThanItsLastMoments: what was acknowledged before the instant that site.kept names
// is there afterwards, and after the fault nobody reads less than he wrote.
func TestAServerThatGoesBackLosesNoMoreThanItsLastMoments(t *testing.T) {
	const lag = 300 * time.Millisecond
	failover := func(s *site) {
		s.pair.Master.Kill()
		_, port, _ := net.SplitHostPort(s.pair.Replica.Addr)
		eventually(s.t, "the Sentinel names the replica as the master", func() bool {
			named := s.pair.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", redistest.MasterName)
			return isMaster(s.pair.Replica) && named.([]any)[1] == port
		})
	}
	runAll(t, []fault{
		{name: "killed and restarted, appendfsync everysec", place: direct("--appendonly", "yes", "--appendfsync", "everysec"),
			loss: writes, fails: true, inflict: (*site).restart,
			prepare: func(s *site) {
				s.kept.now()
				time.Sleep(2 * time.Second) // While the disk is busy the server keeps what it acknowledged for so long.
			}},
		{name: "Sentinel failover", place: supervised, loss: writes, fails: true,
			prepare: func(s *site) { s.replicated(s.pair.Master) }, inflict: failover},
		{name: "Sentinel failover to a replica that was behind", place: supervised, loss: writes, fails: true,
			prepare: func(s *site) {
				s.replicated(s.pair.Master)
				s.pair.Master.Do("ACL", "SETUSER", "default", "-psync", "-sync")
				s.pair.Master.Do("CLIENT", "KILL", "TYPE", "replica")
				time.Sleep(lag)
			},
			inflict: failover,
			proves: func(s *site) string {
				gone, lost, back := s.losses()
				if gone == 0 || lost == 0 || back == 0 {
					s.t.Errorf("got %d sessions gone, %d increments lost, %d ended sessions back, want some of each: this test has shown nothing", gone, lost, back)
				}
				return fmt.Sprintf("the replica was cut off %v before the master died", lag)
			}},
		// rueidis asks for the new master at a random moment within the second after a command has failed. Until the answer
		// is there, commands fail.
		{name: "cluster failover", place: clustered, loss: writes, fails: true, look: slack,
			prepare: func(s *site) { s.replicated(s.cluster.Masters[0]) },
			inflict: func(s *site) {
				s.cluster.Masters[0].Kill()
				eventually(s.t, "the replica is the master and the cluster whole", func() bool {
					for _, n := range s.cluster.Nodes[1:] {
						if state, err := n.Try("CLUSTER", "INFO"); err != nil || !strings.Contains(state.(string), "cluster_state:ok") {
							return false
						}
					}
					return isMaster(s.cluster.Nodes[len(s.cluster.Masters)])
				})
			}},
	})
}

// isMaster reports whether s says so. A server that is promoted may end the connection it is asked on.
func isMaster(s *redistest.Server) bool {
	role, err := s.Try("ROLE")
	return err == nil && role.([]any)[0] == "master"
}

// replicated waits until the replica has all that the master has acknowledged when it is called.
func (s *site) replicated(master *redistest.Server) {
	s.kept.now()
	want, _ := strconv.Atoi(master.Info("replication")["master_repl_offset"])
	eventually(s.t, "the replica has what the master had", func() bool {
		_, text, _ := strings.Cut(master.Info("replication")["slave0"], "offset=")
		text, _, _ = strings.Cut(text, ",")
		got, err := strconv.Atoi(text)
		return err == nil && got >= want
	})
}

func TestSlotsThatMoveAreNotNoticed(t *testing.T) {
	moved := 0
	runAll(t, []fault{{name: "slots moved with their sessions", place: clustered,
		inflict: func(s *site) {
			from, to := s.cluster.Masters[0], s.cluster.Masters[1]
			for end := time.Now().Add(2 * faultTime(s.t)); time.Now().Before(end); from, to = to, from {
				slots := make(map[int64]bool)
				for _, key := range from.Do("KEYS", "koa:sess:*").([]any) {
					slots[from.Do("CLUSTER", "KEYSLOT", key.(string)).(int64)] = true
				}
				for slot := range slots {
					s.move(slot, from, to)
					moved++
				}
			}
		},
		proves: func(s *site) string {
			if moved == 0 {
				s.t.Error("slots moved: got 0, want some: this test has shown nothing")
			}
			return fmt.Sprintf("%d slots moved", moved)
		}}})
}

// move moves one slot as redis-cli does.
func (s *site) move(slot int64, from, to *redistest.Server) {
	number := strconv.FormatInt(slot, 10)
	target, source := to.Do("CLUSTER", "MYID").(string), from.Do("CLUSTER", "MYID").(string)
	to.Do("CLUSTER", "SETSLOT", number, "IMPORTING", source)
	from.Do("CLUSTER", "SETSLOT", number, "MIGRATING", target)
	time.Sleep(10 * time.Millisecond) // Users meet a slot that is on its way.
	host, port, _ := net.SplitHostPort(to.Addr)
	for {
		keys := from.Do("CLUSTER", "GETKEYSINSLOT", number, "10").([]any)
		if len(keys) == 0 {
			break
		}
		for _, key := range keys {
			from.Do("MIGRATE", host, port, key.(string), "0", "5000")
		}
	}
	time.Sleep(10 * time.Millisecond)
	to.Do("CLUSTER", "SETSLOT", number, "NODE", target)
	from.Do("CLUSTER", "SETSLOT", number, "NODE", target)
}
