package sess_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

const tooMany = "-ERR max number of clients reached\r\n"

// TestRueidisAServerThatRefusesALateConnectionEndsNoProcess has the server refuse a connection whose command has been
// given up while it was dialed: nobody has asked the server anything, and its refusal answers nothing. The client library
// ends the process when it reads that.
func TestRueidisAServerThatRefusesALateConnectionEndsNoProcess(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	slow := make(chan time.Duration, 1)
	slow <- 0
	option := addresses(proxy.Addr)
	option.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
		c, err := d.DialContext(ctx, "tcp", addr)
		pause := <-slow
		time.Sleep(pause) // as long as a dial may take
		slow <- pause
		return c, err
	}
	for _, config := range []sess.RueidisConfig{{}, {NoNearCache: true}} {
		s := openRueidis(t, option, config)
		<-slow
		slow <- 60 * time.Millisecond
		proxy.Greet(tooMany)
		proxy.Reset()
		id := redisID(t, "refused")
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			if _, err := s.Refresh(ctx, id); err == nil || errors.Is(err, sess.ErrNotFound) {
				t.Errorf("Refresh without a connection: got the error %v, want one that says it could not tell", err)
			}
			cancel()
		}
		proxy.Greet("")
		<-slow
		slow <- 0
		eventually(t, "the store works again", func() bool {
			_, err := s.Refresh(t.Context(), id)
			return errors.Is(err, sess.ErrNotFound)
		})
	}
}

// TestRueidisSomethingUnaskedEndsNoProcess has a proxy speak by itself on connections that are in use and that are not.
func TestRueidisSomethingUnaskedEndsNoProcess(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	for _, config := range []sess.RueidisConfig{{}, {NoNearCache: true}} {
		s := openRueidis(t, addresses(proxy.Addr), config)
		id := redisID(t, "unasked")
		for _, text := range []string{tooMany, "+OK\r\n", "$3\r\nabc\r\n", ":1\r\n", "HTTP/1.1 408 Request Timeout\r\n\r\n", "\x15\x03\x03\x00\x02\x02\x28"} {
			proxy.Say(text)
			eventually(t, "the store works", func() bool {
				_, err := s.Refresh(t.Context(), id)
				return errors.Is(err, sess.ErrNotFound)
			})
		}
	}
}

// failover makes replica the master of master, as a Sentinel does that kills no connections.
func failover(t *testing.T, master, replica *redistest.Server) {
	t.Helper()
	replica.Do("REPLICAOF", "NO", "ONE")
	host, port, _ := strings.Cut(replica.Addr, ":")
	master.Do("REPLICAOF", host, port)
}

// masterAndReplica starts a master and a replica of it, and waits until the replica has the master's data.
func masterAndReplica(t *testing.T) (master, replica *redistest.Server) {
	t.Helper()
	master = redistest.Start(t, "--repl-diskless-sync-delay", "0")
	_, port, _ := strings.Cut(master.Addr, ":")
	replica = redistest.Start(t, "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1 "+port)
	eventually(t, "the replica has the master's data", func() bool {
		return replica.Info("replication")["master_link_status"] == "up"
	})
	return master, replica
}

// TestRueidisFollowsAnAddressThatMoves promotes a replica and moves the address to it; the connections to the old master
// stay. What was destroyed on the new master must be gone here within MaxStale, and writes must work again.
func TestRueidisFollowsAnAddressThatMoves(t *testing.T) {
	const maxStale = 200 * time.Millisecond
	for name, config := range map[string]sess.RueidisConfig{
		"near cache": {MaxStale: maxStale}, "no near cache": {MaxStale: maxStale, NoNearCache: true},
	} {
		t.Run(name, func(t *testing.T) {
			master, replica := masterAndReplica(t)
			proxy := redistest.NewProxy(t, master.Addr)
			s := openRueidis(t, addresses(proxy.Addr), config)
			id, other := redisID(t, "moved"), redisID(t, "other")
			for range 2 {
				put(master, id, version(t, 1))
				put(master, other, version(t, 1))
				wantVersion(t, s, id, 1, "before the failover")
				eventually(t, "the replica has the sessions", func() bool { return replica.Do("DBSIZE") == master.Do("DBSIZE") })
				failover(t, master, replica)
				proxy.Move(replica.Addr)
				moved := time.Now()
				replica.Do("DEL", "koa:sess:"+id.Value())
				if _, err := s.Refresh(t.Context(), id); err == nil {
					t.Error("Refresh after the failover: got the session from the old master, want an error")
				}
				for time.Since(moved) < maxStale { // also by reads of what no near cache holds
					s.Get(t.Context(), other)
					s.Get(t.Context(), id)
				}
				if r, err := s.Get(t.Context(), id); err == nil {
					t.Errorf("Get %v after the failover: got %v from the old master, want an error", time.Since(moved), r)
				}
				eventually(t, "the store has found the new master", func() bool {
					return s.Set(t.Context(), other, version(t, 2), time.Hour) == nil
				})
				t.Logf("writes worked again %v after the address had moved", time.Since(moved))
				if got := fmt.Sprint(replica.Do("GET", "koa:sess:"+other.Value())); !strings.Contains(got, `"v":2`) {
					t.Errorf("the new master holds %s, want what was set", got)
				}
				master, replica = replica, master
				eventually(t, "the old master has the new one's data", func() bool {
					return replica.Info("replication")["master_link_status"] == "up"
				})
			}
		})
	}
}

// TestRueidisReplicaIsNotRead demotes a server under its store. Nothing that it says is believed, unless a near cache may
// still serve it.
func TestRueidisReplicaIsNotRead(t *testing.T) {
	const maxStale = 200 * time.Millisecond
	server := redistest.Start(t)
	id := redisID(t, "replica")
	client, err := rueidis.NewClient(addresses(server.Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	applications, err := sess.NewRueidisStoreFromClient(client, sess.RueidisConfig{MaxStale: maxStale})
	if err != nil {
		t.Fatal(err)
	}
	defer applications.Close()
	for name, s := range map[string]*sess.RueidisStore{
		"near cache":                    openRueidis(t, addresses(server.Addr), sess.RueidisConfig{MaxStale: maxStale}),
		"no near cache":                 openRueidis(t, addresses(server.Addr), sess.RueidisConfig{MaxStale: maxStale, NoNearCache: true}),
		"Koa":                           openRueidis(t, addresses(server.Addr), sess.RueidisConfig{MaxStale: maxStale, Koa: true}),
		"a client of the application's": applications,
	} {
		t.Run(name, func(t *testing.T) {
			put(server, id, version(t, 1))
			wantVersion(t, s, id, 1, "of a master")
			server.Do("REPLICAOF", "127.0.0.1", "1")
			defer server.Do("REPLICAOF", "NO", "ONE")
			demoted := time.Now()
			for time.Since(demoted) < 3*maxStale {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				asked := time.Now()
				if _, err := s.Refresh(ctx, id); err == nil || errors.Is(err, sess.ErrNotFound) {
					t.Fatalf("Refresh of a replica: got the error %v, want one that says it could not tell", err)
				}
				if _, err := s.Get(ctx, id); asked.Sub(demoted) > maxStale && (err == nil || errors.Is(err, sess.ErrNotFound)) {
					t.Fatalf("Get %v after the server was demoted: got the error %v, want one that says it could not tell", asked.Sub(demoted), err)
				}
				if err := s.Ping(ctx); err == nil {
					t.Fatal("Ping of a replica: got no error, want one")
				}
				cancel()
			}
			server.Do("REPLICAOF", "NO", "ONE")
			eventually(t, "the promoted server is read", func() bool {
				_, err := s.Get(t.Context(), id)
				return err == nil && s.Ping(t.Context()) == nil
			})
		})
	}
}

// TestRueidisReadsWhatTheServerDoesNotLetBeWritten has a master that refuses every write: because it lacks replicas, and
// because it cannot save. Its sessions are read all the same.
func TestRueidisReadsWhatTheServerDoesNotLetBeWritten(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	uncached := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{NoNearCache: true})
	id := redisID(t, "unwritable")
	put(server, id, version(t, 1))
	for _, c := range []struct {
		code       string
		begin, end func()
	}{
		{"NOREPLICAS", func() { server.Do("CONFIG", "SET", "min-replicas-to-write", "1") },
			func() { server.Do("CONFIG", "SET", "min-replicas-to-write", "0") }},
		{"MISCONF", func() { cannotSave(t, server) }, func() { server.Do("CONFIG", "SET", "save", "") }},
	} {
		t.Run(c.code, func(t *testing.T) {
			c.begin()
			defer c.end()
			for _, s := range []*sess.RueidisStore{s, uncached} {
				var reply *sess.RedisError
				if err := s.Set(t.Context(), id, version(t, 2), time.Hour); !errors.As(err, &reply) || reply.Code != c.code {
					t.Errorf("Set: got the error %v, want a RedisError with the code %s", err, c.code)
				}
				wantVersion(t, s, id, 1, "of a server that refuses writes")
				r, err := s.Refresh(t.Context(), id)
				if err != nil || versionOf(t, r) != 1 {
					t.Errorf("Refresh of a server that refuses writes: got (%v, %v), want version 1", r, err)
				}
				if err := s.Ping(t.Context()); err != nil {
					t.Errorf("Ping of a server that refuses writes: got the error %v, want none", err)
				}
			}
			server.Do("REPLICAOF", "127.0.0.1", "1")
			defer server.Do("REPLICAOF", "NO", "ONE")
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if r, err := uncached.Refresh(ctx, id); err == nil {
				t.Errorf("Refresh of a replica that refuses writes: got %v, want an error", r)
			}
		})
	}
}

// cannotSave makes a server one that has failed to save.
func cannotSave(t *testing.T, server *redistest.Server) {
	t.Helper()
	dir := server.Do("CONFIG", "GET", "dir").([]any)[1].(string)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	server.Do("CONFIG", "SET", "save", "3600 1000000")
	server.Do("BGSAVE")
	eventually(t, "the server has failed to save", func() bool {
		return server.Info("persistence")["rdb_last_bgsave_status"] == "err"
	})
}

// TestRueidisAHungMasterCostsNoOthersUsers stops one of three masters and lets many users ask. Those whose sessions the
// others keep must all be answered.
func TestRueidisAHungMasterCostsNoOthersUsers(t *testing.T) {
	const users, rounds, inFlight = 600, 8, 64
	cluster := redistest.StartCluster(t, 3, 0)
	for _, n := range cluster.Nodes {
		n.Do("CONFIG", "SET", "cluster-node-timeout", "60000") // the others do not miss it
	}
	s := openRueidis(t, addresses(cluster.Addrs()...), sess.RueidisConfig{MaxInFlight: inFlight})
	hung := cluster.Masters[1]
	type user struct {
		id      sess.ID
		another bool // master's
	}
	all := make([]user, users)
	for i := range all {
		all[i].id = redisID(t, fmt.Sprintf("user-%d", i))
		all[i].another = cluster.Owner("koa:sess:"+all[i].id.Value()) != hung
		if err := s.Set(t.Context(), all[i].id, version(t, i), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	hung.Pause()
	defer hung.Resume()
	// The users of the hung master wait, with all that one master may have under way, until the others are through: their
	// deadline comes long after the others' one.
	until, through := context.WithTimeout(t.Context(), time.Minute)
	defer through()
	var held, served sync.WaitGroup
	var failed atomic.Int64
	for i, u := range all {
		if u.another {
			served.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				for range rounds {
					_, readErr := s.Refresh(ctx, u.id)
					writeErr := s.Set(ctx, u.id, version(t, i), time.Hour)
					if readErr != nil || writeErr != nil {
						failed.Add(1)
					}
				}
			})
			continue
		}
		held.Go(func() {
			for until.Err() == nil {
				s.Refresh(until, u.id)
			}
		})
	}
	served.Wait()
	through()
	held.Wait()
	if failed.Load() > 0 {
		t.Errorf("rounds of other masters' users that failed: got %d, want 0", failed.Load())
	}
}

// TestRueidisOpensBesideAHungMaster: the users of the others need not wait for it.
func TestRueidisOpensBesideAHungMaster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, 0)
	for _, n := range cluster.Nodes {
		n.Do("CONFIG", "SET", "cluster-node-timeout", "60000")
	}
	cluster.Masters[2].Pause()
	defer cluster.Masters[2].Resume()
	s := openRueidis(t, addresses(cluster.Addrs()...), sess.RueidisConfig{StartTimeout: 20 * time.Second})
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping while two of three masters are there: got the error %v, want none", err)
	}
}

// TestRueidisSessionsEndByTheServersClock stores what nodes write whose clocks are an hour off: the record says so, and the
// server's TTL says otherwise.
func TestRueidisSessionsEndByTheServersClock(t *testing.T) {
	const ttl = 30 * time.Minute
	server := redistest.Start(t)
	for name, config := range map[string]sess.RueidisConfig{"near cache": {}, "no near cache": {NoNearCache: true}, "Koa": {Koa: true}} {
		s := openRueidis(t, addresses(server.Addr), config)
		for _, off := range []time.Duration{-time.Hour, 0, time.Hour} {
			id := redisID(t, fmt.Sprintf("%s%d", strings.ReplaceAll(name, " ", "-"), off))
			r, err := sess.ParseRecord(fmt.Sprintf(`{"v":1,"$":{"e":%d}}`, time.Now().Add(off+ttl).UnixMilli()))
			if err != nil {
				t.Fatal(err)
			}
			check := func(what string, r *sess.Record, err error) {
				t.Helper()
				if err != nil {
					t.Fatalf("%s, clock %v off: got the error %v, want none", what, off, err)
				}
				if left := time.Until(r.Expires()); left > ttl || left < ttl-time.Minute {
					t.Errorf("%s, clock %v off: got a record that ends in %v, want the server's TTL of %v", what, off, left, ttl)
				}
			}
			server.Do("SET", "koa:sess:"+id.Value(), r.JSON(), "PX", fmt.Sprint(ttl.Milliseconds()))
			got, err := s.Get(t.Context(), id)
			check("Get", got, err)
			got, err = s.Refresh(t.Context(), id)
			check("Refresh", got, err)
			got, err = s.Swap(t.Context(), id, version(t, 7), version(t, 8), ttl)
			check("Swap that lost", got, err)
			got, err = s.Swap(t.Context(), id, nil, version(t, 8), ttl)
			check("Swap that finds something to create over", got, err)
			if !config.NoNearCache {
				cache(t, s, id)
				got, _ := s.Peek(id, time.Now())
				check("Peek", got, nil)
			}
		}
	}
}

// TestRueidisNearCacheServesNoLongerThanTheServerKeeps has records in the near cache that say they live for hours.
func TestRueidisNearCacheServesNoLongerThanTheServerKeeps(t *testing.T) {
	const ttl = 150 * time.Millisecond
	server := redistest.Start(t)
	server.Do("CONFIG", "SET", "active-expire-effort", "1")
	s := openRueidis(t, addresses(server.Addr))
	for name, store := range map[string]func(id sess.ID){
		"read": func(id sess.ID) {
			server.Do("SET", "koa:sess:"+id.Value(), version(t, 1).JSON(), "PX", fmt.Sprint(ttl.Milliseconds()))
		},
		"swapped": func(id sess.ID) {
			put(server, id, version(t, 0))
			r, err := s.Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Swap(t.Context(), id, r, version(t, 1), ttl); err != nil {
				t.Fatal(err)
			}
		},
	} {
		id := redisID(t, name)
		store(id)
		stored := time.Now()
		served := time.Duration(0)
		for time.Since(stored) < 3*ttl {
			now := time.Now()
			if _, err := s.Get(t.Context(), id); err == nil {
				served = now.Sub(stored)
			}
		}
		if served > ttl+time.Millisecond { // The server keeps whole milliseconds.
			t.Errorf("a session that was %s was served for %v, want at most the server's TTL of %v", name, served, ttl)
		}
	}
}
