package reliability

import (
	"net"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/redistest"
)

const tooManyClients = "-ERR max number of clients reached\r\n"

// answering is a site whose proxies answer some commands in the server's place.
func answering(reply string, command ...string) func(testing.TB) *site {
	return func(t testing.TB) *site {
		server := redistest.Start(t)
		var proxies [2]*redistest.Proxy
		for i := range proxies {
			proxies[i] = redistest.NewProxy(t, server.Addr)
			proxies[i].Answer(reply, command...)
		}
		s := newSite(t, at(proxies[0].Addr), at(proxies[1].Addr))
		s.server, s.proxies = server, proxies
		return s
	}
}

// movable is a site whose nodes reach a master through proxies; the replica of it waits to be promoted.
func movable(replica **redistest.Server) func(testing.TB) *site {
	return func(t testing.TB) *site {
		master := redistest.Start(t, "--repl-diskless-sync-delay", "0")
		_, port, _ := net.SplitHostPort(master.Addr)
		*replica = redistest.Start(t, "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1 "+port)
		eventually(t, "the replica has the master's data", func() bool {
			return (*replica).Info("replication")["master_link_status"] == "up"
		})
		proxies := [2]*redistest.Proxy{redistest.NewProxy(t, master.Addr), redistest.NewProxy(t, master.Addr)}
		s := newSite(t, at(proxies[0].Addr), at(proxies[1].Addr))
		s.server, s.proxies = master, proxies
		return s
	}
}

func TestServersAndProxiesOfOtherKindsCostNoData(t *testing.T) {
	resets := func(s *site) {
		s.again(50*time.Millisecond, func() { s.wires((*redistest.Proxy).Reset) })
	}
	runAll(t, []fault{
		{name: "no connection left", place: proxied, fails: true, inflict: func(s *site) {
			s.wires(func(p *redistest.Proxy) { p.Greet(tooManyClients); p.Reset() })
			s.lasts()
			s.wires(func(p *redistest.Proxy) { p.Greet("") })
		}},
		{name: "no HELLO, connections reset every 50 ms", place: answering("-ERR unknown command 'HELLO', with args beginning with: '3' \r\n", "HELLO"),
			fails: true, inflict: resets},
		{name: "tracking swallowed, connections reset every 50 ms", place: answering("+OK\r\n", "CLIENT", "TRACKING"),
			fails: true, inflict: resets},
	})
}

func TestAnAddressThatMovesIsFollowed(t *testing.T) {
	var replica *redistest.Server
	// A node that finds out in time that its server has become a replica fails no request: what shows the fault is where the
	// commands go.
	runAll(t, []fault{{name: "the address moves to the promoted replica", place: movable(&replica), loss: writes, mild: true,
		prepare: func(s *site) { s.replicated(s.server) },
		inflict: func(s *site) {
			host, port, _ := net.SplitHostPort(replica.Addr)
			replica.Do("REPLICAOF", "NO", "ONE")
			s.server.Do("REPLICAOF", host, port)
			s.wires(func(p *redistest.Proxy) { p.Move(replica.Addr) })
			replica.Do("CONFIG", "RESETSTAT")
			s.lasts()
			if replica.Info("commandstats")["cmdstat_evalsha"] == "" || s.server.Info("replication")["role"] != "slave" {
				s.t.Error("the promoted replica got no write of the nodes': this test has shown nothing")
			}
		}}})
}
