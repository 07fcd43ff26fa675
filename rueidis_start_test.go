package sess_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// logbook is a log that can be read while it is written.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// TestRueidisNamesAMissingPermission takes the documented permissions away, each alone, on a server that does not know the
// scripts yet and on one that does.
func TestRueidisNamesAMissingPermission(t *testing.T) {
	server := redistest.Start(t)
	const password, ourAddress = "password", "127.0.0.1"
	for _, c := range []struct{ without, want string }{
		{"-set", "+set"}, {"-getex", "+getex"}, {"-pttl", "+pttl"}, {"-del", "+del"}, {"-pexpire", "+pexpire"},
		{"-zadd", "+zadd"}, {"-zrem", "+zrem"}, {"-zscore", "+zscore"}, {"-zincrby", "+zincrby"}, {"-zscan", "+zscan"}, {"-time", "+time"},
		{"-eval", "+eval"}, {"-evalsha", "+evalsha"}, {"-get", "+get"}, {"resetkeys ~app:*", "~koa:sess:*"},
	} {
		for _, flush := range []bool{true, false} {
			permit(t, server)
			server.Do(append([]string{"ACL", "SETUSER", "sess"}, strings.Fields(c.without)...)...)
			if flush {
				server.Do("SCRIPT", "FLUSH")
			}
			for name, err := range map[string]error{
				"of its own": wantNoStore(t, permitted(addresses(server.Addr))),
				"of the application's": func() error {
					client, err := rueidis.NewClient(permitted(addresses(server.Addr)))
					if err != nil {
						t.Fatal(err)
					}
					defer client.Close()
					s, err := sess.NewRueidisStoreFromClient(client)
					if err == nil {
						s.Close()
					}
					return err
				}(),
			} {
				if !errors.Is(err, sess.ErrRedisAuth) || !strings.Contains(err.Error(), "want the permission ") ||
					!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "the server replied ") {
					t.Errorf("ACL %s, client %s: got the error %v, want ErrRedisAuth, the server's words and %s", c.without, name, err, c.want)
				}
				if strings.Contains(fmt.Sprint(err), password+`"`) || strings.Contains(fmt.Sprint(err), ourAddress) {
					t.Errorf("ACL %s: the error %q tells more than the server's words", c.without, err)
				}
			}
		}
	}
	permit(t, server)
	server.Do("FLUSHALL") // what could not be removed
	openRueidis(t, permitted(addresses(server.Addr)))
	if got := server.Do("DBSIZE"); got != int64(0) {
		t.Errorf("keys left by self-tests: got %v, want 0", got)
	}
}

// TestRueidisNamesAMissingPermissionOfOneMaster has one user on two masters of a cluster, and less on the third.
func TestRueidisNamesAMissingPermissionOfOneMaster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, 0)
	for _, node := range cluster.Nodes {
		permit(t, node)
	}
	cluster.Nodes[2].Do("ACL", "SETUSER", "sess", "-del")
	err := wantNoStore(t, permitted(addresses(cluster.Addrs()...)))
	if !errors.Is(err, sess.ErrRedisAuth) || !strings.Contains(err.Error(), "+del") {
		t.Errorf("a permission that one master lacks: got the error %v, want ErrRedisAuth and +del", err)
	}
}

// TestRueidisSaysWhyThereAreNoReports has a user who may not ask for reports: the warning must not blame a proxy.
func TestRueidisSaysWhyThereAreNoReports(t *testing.T) {
	server := redistest.Start(t)
	for _, c := range []struct{ without, want string }{
		{"-client|tracking", "+client|tracking"}, {"-client|caching", "+client|caching"},
	} {
		permit(t, server)
		server.Do("ACL", "SETUSER", "sess", c.without)
		var log logbook
		s := openRueidis(t, permitted(addresses(server.Addr)), sess.RueidisConfig{Logger: log.logger()})
		if text := log.String(); !strings.Contains(text, c.want) || strings.Contains(text, "proxy") || strings.Count(text, "level=WARN") != 1 {
			t.Errorf("without %s: got the log %q, want one warning that names %s and no proxy", c.without, text, c.want)
		}
		wantRoundTrip(t, s, server, "unreported")
	}
}

// wantRoundTrip stores a session, reads it back, and ends it.
func wantRoundTrip(t *testing.T, s *sess.RueidisStore, server *redistest.Server, name string) {
	t.Helper()
	id := redisID(t, name)
	first, second := version(t, 1), version(t, 2)
	if _, err := s.Swap(t.Context(), id, nil, first, time.Hour); err != nil {
		t.Fatalf("Swap to create: got the error %v, want none", err)
	}
	wantVersion(t, s, id, 1, "after it was created")
	if _, err := s.Swap(t.Context(), id, first, second, time.Hour); err != nil {
		t.Fatalf("Swap: got the error %v, want none", err)
	}
	wantVersion(t, s, id, 2, "after it was swapped")
	if r, err := s.Refresh(t.Context(), id); err != nil || versionOf(t, r) != 2 {
		t.Errorf("Refresh: got (%v, %v), want version 2", r, err)
	}
	if was, err := s.End(t.Context(), id); err != nil || versionOf(t, was) != 2 {
		t.Errorf("End: got (%v, %v), want version 2", was, err)
	}
	if _, err := s.Get(t.Context(), id); !errors.Is(err, sess.ErrNotFound) {
		t.Errorf("Get after End: got the error %v, want ErrNotFound", err)
	}
}

// TestRueidisSaysWhichCommandIsMissing has servers that were told to know commands under no name.
func TestRueidisSaysWhichCommandIsMissing(t *testing.T) {
	for _, command := range []string{"EVALSHA", "EVAL", "GETEX", "PEXPIRE", "DEL"} {
		server := redistest.Start(t, "--rename-command", command, "")
		begun := time.Now()
		err := wantNoStore(t, addresses(server.Addr))
		if !strings.Contains(err.Error(), "the server replied ") || !strings.Contains(strings.ToLower(err.Error()), "unknown") {
			t.Errorf("without %s: got the error %v, want one with the server's words", command, err)
		}
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("without %s: got the error after %v, want it at once: it does not pass", command, took)
		}
	}
}

// TestRueidisOpensOnAServerThatTakesNoWrites: sessions can be read at least, and on a full server ended.
func TestRueidisOpensOnAServerThatTakesNoWrites(t *testing.T) {
	id := redisID(t, "kept")
	for _, c := range []struct {
		code  string
		begin func(*redistest.Server)
		ends  bool
	}{
		{"OOM", func(s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", "1") }, true},
		{"NOREPLICAS", func(s *redistest.Server) { s.Do("CONFIG", "SET", "min-replicas-to-write", "1") }, false},
		{"MISCONF", func(s *redistest.Server) { cannotSave(t, s) }, false},
	} {
		t.Run(c.code, func(t *testing.T) {
			server := redistest.Start(t)
			put(server, id, version(t, 1))
			c.begin(server)
			var log logbook
			s := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{Logger: log.logger()})
			if text := log.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, c.code) {
				t.Errorf("log: got %q, want one warning with %s", text, c.code)
			}
			wantVersion(t, s, id, 1, "of a server that takes no writes")
			if _, err := s.End(t.Context(), id); (err == nil) != c.ends {
				t.Errorf("End: got the error %v, want one: %t", err, !c.ends)
			}
		})
	}
	server := redistest.Start(t, "--maxmemory", "1")
	permit(t, server)
	server.Do("ACL", "SETUSER", "sess", "-del")
	if err := wantNoStore(t, permitted(addresses(server.Addr))); !strings.Contains(err.Error(), "+del") {
		t.Errorf("a full server and a missing permission: got the error %v, want one that names +del", err)
	}
}

// TestRueidisWarnsOfAServerThatEvictsAnything: it may evict the index of a user's sessions, and with a near cache the
// sessions that are read most.
func TestRueidisWarnsOfAServerThatEvictsAnything(t *testing.T) {
	for policy, warned := range map[string]bool{"allkeys-lru": true, "allkeys-random": true, "volatile-ttl": false, "noeviction": false} {
		for _, limit := range []string{"100mb", "0"} {
			server := redistest.Start(t, "--maxmemory-policy", policy, "--maxmemory", limit)
			var log logbook
			openRueidis(t, addresses(server.Addr), sess.RueidisConfig{Logger: log.logger()})
			if got, want := strings.Contains(log.String(), policy), warned && limit != "0"; got != want {
				t.Errorf("policy %s, limit %s: got the log %q, want a warning: %t", policy, limit, log.String(), want)
			}
		}
	}
}

// TestRueidisOpensWhenWhatPassesHasPassed begins to open a store while the server cannot serve it, and mends that.
func TestRueidisOpensWhenWhatPassesHasPassed(t *testing.T) {
	const after = 300 * time.Millisecond
	for _, c := range []struct {
		name  string
		begin func(t *testing.T) (option rueidis.ClientOption, mend func())
	}{
		{"refused", func(t *testing.T) (rueidis.ClientOption, func()) {
			server := redistest.Start(t)
			server.Kill()
			return addresses(server.Addr), server.Restart
		}},
		{"loading", func(t *testing.T) (rueidis.ClientOption, func()) {
			proxy := redistest.NewProxy(t, redistest.Start(t).Addr)
			proxy.Answer("-LOADING Redis is loading the dataset in memory\r\n", "GETEX")
			return addresses(proxy.Addr), func() { proxy.Answer("", "GETEX") }
		}},
		{"no connection left", func(t *testing.T) (rueidis.ClientOption, func()) {
			proxy := redistest.NewProxy(t, redistest.Start(t).Addr)
			proxy.Greet(tooMany)
			return addresses(proxy.Addr), func() { proxy.Greet("") }
		}},
		{"busy with a script", func(t *testing.T) (rueidis.ClientOption, func()) {
			server := redistest.Start(t, "--busy-reply-threshold", "10")
			go server.Try("EVAL", "while true do end", "0")
			eventually(t, "the server is busy", func() bool {
				var reply redistest.Error
				_, err := server.Try("GET", "any")
				return errors.As(err, &reply) && reply.Code() == "BUSY"
			})
			return addresses(server.Addr), func() { server.Do("SCRIPT", "KILL") }
		}},
		{"a replica that is promoted", func(t *testing.T) (rueidis.ClientOption, func()) {
			server := redistest.Start(t, "--replicaof", "127.0.0.1 1")
			return addresses(server.Addr), func() { server.Do("REPLICAOF", "NO", "ONE") }
		}},
		{"a cluster that is not whole", func(t *testing.T) (rueidis.ClientOption, func()) {
			cluster := redistest.StartCluster(t, 3, 0)
			for _, n := range cluster.Nodes {
				n.Do("CLUSTER", "DELSLOTS", "0")
			}
			return addresses(cluster.Addrs()...), func() { cluster.Nodes[0].Do("CLUSTER", "ADDSLOTS", "0") }
		}},
		{"Sentinels that are not there yet", func(t *testing.T) (rueidis.ClientOption, func()) {
			pair := redistest.StartSentinel(t)
			proxy := redistest.NewProxy(t, pair.Addr)
			proxy.Refuse(true)
			option := sentinels(pair)
			option.InitAddress = []string{proxy.Addr}
			return option, func() { proxy.Refuse(false) }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			option, mend := c.begin(t)
			begun := time.Now()
			time.AfterFunc(after, mend)
			var log logbook
			s := openRueidis(t, option, sess.RueidisConfig{StartTimeout: 20 * time.Second, Logger: log.logger()})
			if text := log.String(); text != "" || !s.Stats().NearCache {
				t.Errorf("log: got %q and a near cache %t, want nothing and one", text, s.Stats().NearCache)
			}
			if took := time.Since(begun); took < after {
				t.Errorf("opened after %v, want it later than the mend after %v", took, after)
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("Ping: got the error %v, want none", err)
			}
		})
	}
}

// TestRueidisGivesUpAtOnceWhatWillNotPass: nobody should wait for an error that says what is wrong.
func TestRueidisGivesUpAtOnceWhatWillNotPass(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "right")
	master, replica := masterAndReplica(t)
	for _, c := range []struct {
		name   string
		option rueidis.ClientOption
		want   string
	}{
		{"no password", addresses(server.Addr), "NOAUTH"},
		{"master and replica as two addresses", addresses(master.Addr, replica.Addr), "got 2 addresses of servers that are no cluster"},
		{"a set that the Sentinels do not know", func() rueidis.ClientOption {
			pair := redistest.StartSentinel(t)
			o := sentinels(pair)
			o.Sentinel.MasterSet = "unknown"
			return o
		}(), "No such master"},
	} {
		begun := time.Now()
		err := wantNoStore(t, c.option, sess.RueidisConfig{StartTimeout: 20 * time.Second})
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s: got an error after %v, want it at once", c.name, took)
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got the error %q, want one with %q", c.name, err, c.want)
		}
	}
}

// TestRueidisStartTimeoutIsObeyed has a server that never gets well.
func TestRueidisStartTimeoutIsObeyed(t *testing.T) {
	gone := redistest.Start(t)
	gone.Kill()
	hung := redistest.Start(t)
	hung.Pause()
	defer hung.Resume()
	for name, addr := range map[string]string{"gone": gone.Addr, "hung": hung.Addr} {
		begun := time.Now()
		err := wantNoStore(t, addresses(addr), sess.RueidisConfig{StartTimeout: 500 * time.Millisecond})
		if took := time.Since(begun); took < 500*time.Millisecond || took > 3*time.Second {
			t.Errorf("%s: got an error after %v, want it after 500ms", name, took)
		}
		if !strings.HasPrefix(err.Error(), "sess: redis connect: ") || !strings.Contains(err.Error(), "tried again for ") {
			t.Errorf("%s: got the error %q, want one of connect that says that it was tried again", name, err)
		}
	}
	if err := wantNoStore(t, addresses(gone.Addr), sess.RueidisConfig{StartTimeout: -1}); !strings.Contains(err.Error(), "RueidisConfig.StartTimeout: got -1ns") {
		t.Errorf("StartTimeout -1: got the error %v, want one that names it", err)
	}
}

// TestRueidisLazyOpensWithoutAServer starts the application first, then the server.
func TestRueidisLazyOpensWithoutAServer(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	var log logbook
	begun := time.Now()
	s := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{Lazy: true, Logger: log.logger()})
	if took := time.Since(begun); took > time.Second {
		t.Errorf("NewRueidisStore: took %v, want it at once", took)
	}
	id := redisID(t, "lazy")
	eventually(t, "the first try has failed", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		_, err := s.Get(ctx, id)
		if err == nil || errors.Is(err, sess.ErrNotFound) {
			t.Fatalf("Get without a server: got the error %v, want one that says it could not tell", err)
		}
		if !strings.Contains(err.Error(), "not connected yet") || !strings.Contains(err.Error(), "refused") {
			t.Errorf("Get without a server: got the error %q, want the reason", err)
		}
		return time.Since(begun) < time.Second
	})
	for name, err := range everyCall(t.Context(), s, id, version(t, 1), version(t, 2)) {
		if err == nil || errors.Is(err, sess.ErrNotFound) {
			t.Errorf("%s without a server: got the error %v, want one that says it could not tell", name, err)
		}
	}
	app := s.Storage("app:")
	_, getErr := app.Get("key")
	_, watchErr := s.Watch(t.Context(), id, func(*sess.Record, error) {})
	for name, err := range map[string]error{
		"Ping": s.Ping(t.Context()), "Watch": watchErr, "Storage.Get": getErr, "Storage.Set": app.Set("key", []byte("v"), time.Hour),
		"Storage.Delete": app.Delete("key"), "Storage.Reset": app.Reset(),
	} {
		if err == nil {
			t.Errorf("%s without a server: got no error, want one", name)
		}
	}
	if _, ok := s.Peek(id, time.Now()); ok || s.Stats().InFlight != 0 {
		t.Errorf("Peek and Stats without a server: got %t and %d in flight, want none", ok, s.Stats().InFlight)
	}
	server.Restart()
	eventually(t, "the store is connected", func() bool { return s.Ping(t.Context()) == nil })
	wantRoundTrip(t, s, server, "lazy")
	cached := redisID(t, "cached")
	put(server, cached, version(t, 1))
	cache(t, s, cached)
}

// TestRueidisLazyTellsOfWhatWillNotPass: a wrong password is told once, and when it is mended the store works.
func TestRueidisLazyTellsOfWhatWillNotPass(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "right")
	var log logbook
	option := addresses(server.Addr)
	option.Password = "mended-later"
	s := openRueidis(t, option, sess.RueidisConfig{Lazy: true, Logger: log.logger()})
	eventually(t, "the log has heard of it", func() bool { return strings.Contains(log.String(), "level=ERROR") })
	if err := s.Ping(t.Context()); !errors.Is(err, sess.ErrRedisAuth) {
		t.Errorf("Ping with a wrong password: got the error %v, want ErrRedisAuth", err)
	}
	server.Password("right")
	server.Do("CONFIG", "SET", "requirepass", "mended-later")
	eventually(t, "the store is connected", func() bool { return s.Ping(t.Context()) == nil })
	text := log.String()
	if strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "WRONGPASS") || strings.Contains(text, "mended-later") {
		t.Errorf("log: got %q, want one error with WRONGPASS and without the password", text)
	}
	if !strings.Contains(text, "connected") {
		t.Errorf("log: got %q, want it to say that the store is connected", text)
	}
}

// TestRueidisLazyCanBeClosed closes stores that are not connected, and leaves nothing behind.
func TestRueidisLazyCanBeClosed(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone := redistest.Start(t)
	gone.Kill()
	before := runtime.NumGoroutine()
	for _, addr := range []string{silent.Addr().String(), gone.Addr} {
		s, err := sess.NewRueidisStore(addresses(addr), sess.RueidisConfig{Lazy: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close: got the error %v, want none", err)
		}
		if _, err := s.Get(t.Context(), redisID(t, "closed")); !errors.Is(err, sess.ErrClosed) {
			t.Errorf("Get after Close: got the error %v, want ErrClosed", err)
		}
	}
	eventually(t, "goroutines are back at what they were", func() bool { return runtime.NumGoroutine() <= before })
}

// TestRueidisWorksWithoutHello has proxies that do not know HELLO, or not RESP3: that costs the reports and no more.
func TestRueidisWorksWithoutHello(t *testing.T) {
	server := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 1")
	for name, refusal := range map[string]string{
		"unknown":        "-ERR unknown command 'HELLO', with args beginning with: '3' \r\n",
		"of old servers": "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n",
		"no RESP3":       "-NOPROTO unsupported protocol version\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			proxy := redistest.NewProxy(t, server.Addr)
			if name == "no RESP3" {
				proxy.Answer(refusal, "HELLO", "3")
			} else {
				proxy.Answer(refusal, "HELLO")
			}
			var log logbook
			s := openRueidis(t, addresses(proxy.Addr), sess.RueidisConfig{Logger: log.logger()})
			if text := log.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, "RESP3") {
				t.Errorf("log: got %q, want one warning that names RESP3", text)
			}
			wantRoundTrip(t, s, server, "old-"+strings.ReplaceAll(name, " ", "-"))

			option := addresses(proxy.Addr)
			option.AlwaysRESP2, option.DisableCache = true, true
			client, err := rueidis.NewClient(option)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			applications, err := sess.NewRueidisStoreFromClient(client)
			if err != nil {
				t.Fatalf("NewRueidisStoreFromClient without HELLO: got the error %v, want none", err)
			}
			defer applications.Close()
			wantRoundTrip(t, applications, server, "olds-"+strings.ReplaceAll(name, " ", "-"))

			proxy.Move(replica.Addr)
			if err := wantNoStore(t, addresses(proxy.Addr), sess.RueidisConfig{StartTimeout: 2 * time.Second}); !errors.Is(err, sess.ErrRedisReplica) {
				t.Errorf("a replica without HELLO: got the error %v, want ErrRedisReplica", err)
			}
		})
	}
}

// TestRueidisFromClientSwitchesNothing gives a store the connection of an application that speaks RESP2 on it: its replies
// must keep their kinds.
func TestRueidisFromClientSwitchesNothing(t *testing.T) {
	server := redistest.Start(t)
	server.Do("HSET", "hash", "field", "value")
	option := addresses(server.Addr)
	option.AlwaysRESP2, option.DisableCache = true, true
	client, err := rueidis.NewClient(option)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s, err := sess.NewRueidisStoreFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wantRoundTrip(t, s, server, "resp2")
	m, err := client.Do(t.Context(), client.B().Hgetall().Key("hash").Build()).ToMessage()
	if err != nil || !m.IsArray() {
		t.Errorf("HGETALL on the application's connection: got a map %t, the error %v, want an array as in RESP2", m.IsMap(), err)
	}
}
