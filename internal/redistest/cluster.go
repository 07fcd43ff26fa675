package redistest

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// slots is the number of hash slots a cluster divides its keys into.
const slots = 16384

// formTimeout bounds how long the servers may take to agree that they are a cluster, or a master and its replica.
const formTimeout = 30 * time.Second

// Cluster is a Redis Cluster. Masters come first in Nodes; Replica i of master m is Nodes[len(Masters) + m*replicas+i].
type Cluster struct {
	Nodes   []*Server
	Masters []*Server
}

// StartCluster starts a cluster of masters, which share the slots evenly, with so many replicas each, and waits until
// every node finds it whole.
func StartCluster(t testing.TB, masters, replicas int) *Cluster {
	t.Helper()
	requireRedis(t)
	c := &Cluster{}
	for i := range masters * (1 + replicas) {
		node := startNode(t)
		node.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		c.Nodes = append(c.Nodes, node)
	}
	c.Masters = c.Nodes[:masters]
	for i, m := range c.Masters {
		m.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(slots*i/masters), strconv.Itoa(slots*(i+1)/masters-1))
	}
	for _, node := range c.Nodes[1:] {
		c.Nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(node.port), strconv.Itoa(node.bus))
	}
	await(t, "every node knows every other", func() bool { return c.all("cluster_known_nodes", len(c.Nodes)) })
	for i, r := range c.Nodes[masters:] {
		r.Do("CLUSTER", "REPLICATE", c.Masters[i/replicas].Do("CLUSTER", "MYID").(string))
	}
	await(t, "the cluster is whole", c.whole)
	return c
}

// startNode is Start for a node that speaks to others on a second port.
func startNode(t testing.TB) *Server {
	t.Helper()
	for try := 0; ; try++ {
		s := newServer(t, []string{"--cluster-node-timeout", "1000", "--cluster-config-file", "nodes.conf",
			"--repl-diskless-sync-delay", "0"})
		s.bus = freePort(t)
		err := s.start()
		if err == nil {
			t.Cleanup(s.stop)
			return s
		}
		os.RemoveAll(s.dir)
		if try == 4 {
			t.Fatalf("redistest: start a node: %v", err)
		}
	}
}

// Addrs returns the addresses of all nodes, the masters' first.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, n := range c.Nodes {
		addrs = append(addrs, n.Addr)
	}
	return addrs
}

// Owner returns the master that a key belongs to.
func (c *Cluster) Owner(key string) *Server {
	slot := c.Masters[0].Do("CLUSTER", "KEYSLOT", key).(int64)
	for _, s := range c.Masters[0].Do("CLUSTER", "SLOTS").([]any) {
		r := s.([]any)
		if slot < r[0].(int64) || slot > r[1].(int64) {
			continue
		}
		port := r[2].([]any)[1].(int64)
		for _, n := range c.Nodes {
			if int64(n.port) == port {
				return n
			}
		}
	}
	c.Masters[0].t.Fatalf("redistest: no node owns slot %d", slot)
	return nil
}

// whole reports whether each node says that the cluster is complete and each replica has its master's data.
func (c *Cluster) whole() bool {
	for _, n := range c.Nodes {
		if info := n.Info("replication"); info["role"] == "slave" && info["master_link_status"] != "up" {
			return false
		}
		if state, err := n.Try("CLUSTER", "INFO"); err != nil || !strings.Contains(state.(string), "cluster_state:ok") {
			return false
		}
		if strings.Count(n.Do("CLUSTER", "NODES").(string), "slave") != len(c.Nodes)-len(c.Masters) {
			return false
		}
	}
	return true
}

// all reports whether each node gives the value for the field of CLUSTER INFO.
func (c *Cluster) all(field string, value int) bool {
	want := fmt.Sprintf("%s:%d\r\n", field, value)
	for _, n := range c.Nodes {
		if info, err := n.Try("CLUSTER", "INFO"); err != nil || !strings.Contains(info.(string), want) {
			return false
		}
	}
	return true
}

// Info returns a section of INFO. A server that becomes master closes the connections of its clients, so a connection
// that breaks is followed by another one.
func (s *Server) Info(section string) map[string]string {
	s.t.Helper()
	reply, err := s.Try("INFO", section)
	for range 4 {
		if err == nil || errors.As(err, new(Error)) {
			break
		}
		reply, err = s.Try("INFO", section)
	}
	if err != nil {
		s.t.Fatalf("redistest: INFO: %v", err)
	}
	fields := make(map[string]string)
	for line := range strings.Lines(reply.(string)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// await waits until done, which asks other processes, says so.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(formTimeout); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("redistest: got no state in which %s within %v", what, formTimeout)
		}
	}
}
