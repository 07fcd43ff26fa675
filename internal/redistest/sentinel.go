package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// MasterName is what the Sentinel of these tests calls the pair it watches.
const MasterName = "sess"

// Sentinel is a Redis Sentinel and the pair it watches. Master and Replica are named by how they started: a failover
// swaps their roles.
type Sentinel struct {
	*Server
	Master, Replica *Server
}

// StartSentinel starts a master, its replica, and one Sentinel that promotes the replica half a second after the
// master stopped answering.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	master := Start(t, "--repl-diskless-sync-delay", "0")
	replica := Start(t, "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1 "+strconv.Itoa(master.port))
	await(t, "the replica has the master's data", func() bool {
		return replica.Info("replication")["master_link_status"] == "up"
	})
	for try := 0; ; try++ {
		s := newServer(t, nil)
		err := s.run([]string{s.writeConfig(master.port), "--sentinel"})
		if err == nil {
			t.Cleanup(s.stop)
			awaitReplica(t, s)
			return &Sentinel{Server: s, Master: master, Replica: replica}
		}
		os.RemoveAll(s.dir)
		if try == 4 {
			t.Fatalf("redistest: start a sentinel: %v", err)
		}
	}
}

// awaitReplica waits until the sentinel knows of the replica: before that it cannot promote one.
func awaitReplica(t testing.TB, s *Server) {
	t.Helper()
	await(t, "the sentinel knows the replica", func() bool {
		replicas, err := s.Try("SENTINEL", "REPLICAS", MasterName)
		if err != nil {
			return false
		}
		all, _ := replicas.([]any)
		return len(all) == 1
	})
}

// writeConfig writes the file a sentinel needs, since it keeps its state there, and returns its name.
func (s *Server) writeConfig(masterPort int) string {
	s.t.Helper()
	name := filepath.Join(s.dir, "sentinel.conf")
	config := fmt.Sprintf(`port %d
bind 127.0.0.1
dir %q
logfile %q
sentinel monitor %s 127.0.0.1 %d 1
sentinel down-after-milliseconds %s 500
sentinel failover-timeout %s 2000
`, s.port, s.dir, s.logfile(), MasterName, masterPort, MasterName, MasterName)
	if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
		s.t.Fatalf("redistest: write a sentinel's configuration: %v", err)
	}
	return name
}
