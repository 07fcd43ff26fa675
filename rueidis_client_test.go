package sess_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// wantNoStore opens a store that must not open, and returns why it did not.
func wantNoStore(t *testing.T, option rueidis.ClientOption, config ...sess.RueidisConfig) error {
	t.Helper()
	s, err := sess.NewRueidisStore(option, config...)
	if err == nil {
		s.Close()
		t.Fatal("NewRueidisStore: got a store, want an error")
	}
	if s != nil {
		t.Errorf("NewRueidisStore: got a store beside the error %v, want nil", err)
	}
	return err
}

func TestRueidisMistakesAreReportedTogether(t *testing.T) {
	option := rueidis.ClientOption{DisableAutoPipelining: true, PipelineMultiplex: 2, ReplicaOnly: true}
	err := wantNoStore(t, option, sess.RueidisConfig{
		Prefix: "a:", NoPrefix: true, NearCacheBytes: -1, MaxStale: time.Millisecond, MaxInFlight: -1,
	})
	for _, field := range []string{"RueidisConfig.NoPrefix", "RueidisConfig.NearCacheBytes", "RueidisConfig.MaxStale",
		"RueidisConfig.MaxInFlight", "ClientOption.InitAddress", "ClientOption.DisableAutoPipelining",
		"ClientOption.PipelineMultiplex", "ClientOption.ReplicaOnly"} {
		if !strings.Contains(err.Error(), field+": got ") {
			t.Errorf("mistakes: got no %s: got … in\n%v", field, err)
		}
	}
}

func TestRueidisRefusesWhatBreaksItsPromises(t *testing.T) {
	replicas := func(rueidis.Completed) bool { return true }
	for _, c := range []struct {
		field string
		set   func(o *rueidis.ClientOption, c *sess.RueidisConfig)
	}{
		{"SendToReplicas", func(o *rueidis.ClientOption, _ *sess.RueidisConfig) { o.SendToReplicas = replicas }},
		{"Standalone.ReplicaAddress", func(o *rueidis.ClientOption, _ *sess.RueidisConfig) {
			o.Standalone.ReplicaAddress = []string{"127.0.0.1:1"}
		}},
		{"NewCacheStoreFn", func(o *rueidis.ClientOption, _ *sess.RueidisConfig) {
			o.NewCacheStoreFn = func(rueidis.CacheStoreOption) rueidis.CacheStore { return nil }
		}},
		{"ClientTrackingOptions", func(o *rueidis.ClientOption, _ *sess.RueidisConfig) {
			o.ClientTrackingOptions = []string{"OPTIN", "NOLOOP"}
		}},
		{"AlwaysRESP2", func(o *rueidis.ClientOption, _ *sess.RueidisConfig) { o.AlwaysRESP2 = true }},
		{"DisableCache", func(o *rueidis.ClientOption, _ *sess.RueidisConfig) { o.DisableCache = true }},
		{"Dialer.KeepAlive", func(o *rueidis.ClientOption, _ *sess.RueidisConfig) { o.Dialer.KeepAlive = -1 }},
		{"ConnWriteTimeout", func(o *rueidis.ClientOption, _ *sess.RueidisConfig) { o.ConnWriteTimeout = -1 }},
		{"ConnLifetime", func(o *rueidis.ClientOption, _ *sess.RueidisConfig) { o.ConnLifetime = time.Hour }},
		{"RingScaleEachConn", func(o *rueidis.ClientOption, c *sess.RueidisConfig) { o.RingScaleEachConn = 8 }},
		{"RingScaleEachConn", func(o *rueidis.ClientOption, c *sess.RueidisConfig) { c.MaxInFlight = 513 }},
	} {
		option, config := addresses("127.0.0.1:1"), sess.RueidisConfig{}
		c.set(&option, &config)
		if err := wantNoStore(t, option, config); !strings.Contains(err.Error(), "sess: rueidis.ClientOption."+c.field+": got ") {
			t.Errorf("%s: got the error %v, want one that names it", c.field, err)
		}
	}
}

func TestRueidisWrongPasswordIsErrRedisAuth(t *testing.T) {
	const password = "correct-horse"
	server := redistest.Start(t, "--requirepass", password)
	for _, wrong := range []string{"", "battery-staple"} {
		option := addresses(server.Addr)
		option.Password = wrong
		err := wantNoStore(t, option)
		if !errors.Is(err, sess.ErrRedisAuth) {
			t.Errorf("password %q: got the error %v, want ErrRedisAuth", wrong, err)
		}
		if wrong != "" && strings.Contains(err.Error(), wrong) {
			t.Error("the error quotes the password")
		}
	}
	option := addresses(server.Addr)
	option.Password = password
	openRueidis(t, option)
}

func TestRueidisReplicaIsErrRedisReplica(t *testing.T) {
	pair := redistest.StartSentinel(t)
	for _, config := range []sess.RueidisConfig{{}, {NoNearCache: true}} {
		config.StartTimeout = 300 * time.Millisecond
		if err := wantNoStore(t, addresses(pair.Replica.Addr), config); !errors.Is(err, sess.ErrRedisReplica) {
			t.Errorf("a replica's address: got the error %v, want ErrRedisReplica", err)
		}
	}
}

// TestRueidisOldServerIsErrRedisVersion rewrites what a server says of its version.
func TestRueidisOldServerIsErrRedisVersion(t *testing.T) {
	server := redistest.Start(t)
	for _, c := range []struct {
		version string
		ok      bool
	}{{"6.1.9", false}, {"5.0.1", false}, {"6.2.0", true}, {"8.0.0", true}, {"x.0.15", false}} {
		option := addresses(server.Addr)
		option.DialCtxFn = rewriting(nil, func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("$6\r\n7.0.15\r\n"), fmt.Appendf(nil, "$%d\r\n%s\r\n", len(c.version), c.version))
		})
		if c.ok {
			openRueidis(t, option)
		} else if err := wantNoStore(t, option); !errors.Is(err, sess.ErrRedisVersion) {
			t.Errorf("version %s: got the error %v, want ErrRedisVersion", c.version, err)
		}
	}
}

// rewriting returns a dial function whose connections change what goes through them. nil changes nothing.
func rewriting(up, down func([]byte) []byte) func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
	return func(ctx context.Context, addr string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return &rewritten{Conn: c, up: up, down: down}, nil
	}
}

type rewritten struct {
	net.Conn
	up, down func([]byte) []byte
	rest     []byte
}

func (c *rewritten) Write(b []byte) (int, error) {
	if c.up == nil {
		return c.Conn.Write(b)
	}
	_, err := c.Conn.Write(c.up(b))
	return len(b), err
}

func (c *rewritten) Read(b []byte) (int, error) {
	if c.down == nil {
		return c.Conn.Read(b)
	}
	if len(c.rest) == 0 {
		n, err := c.Conn.Read(b)
		if err != nil {
			return n, err
		}
		c.rest = c.down(bytes.Clone(b[:n]))
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func TestRueidisStartIsBounded(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for name, addr := range map[string]string{"silent": silent.Addr().String(), "gone": gone.Addr().String()} {
		start := time.Now()
		err := wantNoStore(t, addresses(addr))
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("%s server: got an error after %v, want it within 5 s", name, took)
		}
		if !strings.HasPrefix(err.Error(), "sess: redis connect: ") {
			t.Errorf("%s server: got the error %q, want one that begins with sess: redis connect", name, err)
		}
	}
}

func TestRueidisRespectsHarmlessOptions(t *testing.T) {
	server := redistest.Start(t)
	option := addresses(server.Addr)
	option.SelectDB = 3
	option.ClientName = "sessions"
	option.ClientTrackingOptions = []string{"optin"}
	option.Dialer.Timeout = 3 * time.Second
	option.ReadBufferEachConn = 4 << 10
	s := openRueidis(t, option, sess.RueidisConfig{Prefix: "mine:"})
	id := redisID(t, "options")
	if err := s.Set(t.Context(), id, version(t, 1), time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := server.Info("keyspace")["db3"]; !strings.HasPrefix(got, "keys=1,") {
		t.Errorf("keys in database 3: got %q, want 1", got)
	}
	if list := server.Do("CLIENT", "LIST").(string); !strings.Contains(list, "name=sessions") {
		t.Errorf("client list: got no name=sessions in\n%s", list)
	}
}

func TestRueidisPrefixIsHonoured(t *testing.T) {
	server := redistest.Start(t)
	for prefix, config := range map[string]sess.RueidisConfig{
		"koa:sess:": {}, "other:": {Prefix: "other:"}, "": {NoPrefix: true},
	} {
		s := openRueidis(t, addresses(server.Addr), config)
		if err := s.Set(t.Context(), redisID(t, "prefixed"), version(t, 1), time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := server.Do("EXISTS", prefix+"prefixed"); got != int64(1) {
			t.Errorf("key under the prefix %q: got %v, want 1", prefix, got)
		}
	}
}

// TestRueidisCloseLeavesNothing counts goroutines, of ours and of the client's, and keys.
func TestRueidisCloseLeavesNothing(t *testing.T) {
	server := redistest.Start(t)
	before := runtime.NumGoroutine()
	for range 3 {
		s := openRueidis(t, addresses(server.Addr))
		if _, err := s.Watch(t.Context(), redisID(t, "closed"), func(*sess.Record, error) {}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close: got the error %v, want none", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close again: got the error %v, want none", err)
		}
		id := redisID(t, "closed")
		_, getErr := s.Get(t.Context(), id)
		_, refreshErr := s.Refresh(t.Context(), id)
		_, swapErr := s.Swap(t.Context(), id, nil, version(t, 1), time.Hour)
		_, watchErr := s.Watch(t.Context(), id, func(*sess.Record, error) {})
		for name, err := range map[string]error{
			"Get": getErr, "Refresh": refreshErr, "Swap": swapErr, "Watch": watchErr,
			"Set": s.Set(t.Context(), id, version(t, 1), time.Hour), "Destroy": s.Destroy(t.Context(), id),
		} {
			if !errors.Is(err, sess.ErrClosed) {
				t.Errorf("%s after Close: got the error %v, want ErrClosed", name, err)
			}
		}
	}
	eventually(t, "goroutines are back at what they were", func() bool { return runtime.NumGoroutine() <= before })
	eventually(t, "no connection is left", func() bool {
		return strings.Count(server.Do("CLIENT", "LIST").(string), "\n") == 1
	})
	if got := server.Do("DBSIZE"); got != int64(0) {
		t.Errorf("keys left by the self-test: got %v, want 0", got)
	}
}

func TestRueidisFromClientLeavesTheClientOpen(t *testing.T) {
	server := redistest.Start(t)
	client, err := rueidis.NewClient(addresses(server.Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s, err := sess.NewRueidisStoreFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := client.Do(t.Context(), client.B().Ping().Build()).Error(); err != nil {
		t.Errorf("the application's client after Close of the store: got the error %v, want none", err)
	}
}

var _ io.Closer = (*sess.RueidisStore)(nil)
