package sess_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// TestRueidisWorksWhereDangerousCommandsAreRenamed takes away what administrators take away.
func TestRueidisWorksWhereDangerousCommandsAreRenamed(t *testing.T) {
	var args []string
	for _, command := range []string{"KEYS", "FLUSHALL", "FLUSHDB", "DEBUG", "SHUTDOWN", "MONITOR", "SCRIPT", "MULTI", "EXEC", "SCAN", "SAVE", "BGSAVE"} {
		args = append(args, "--rename-command", command, "")
	}
	server := redistest.Start(t, append(args, "--rename-command", "CONFIG", "hidden-config")...)
	useAll(t, addresses(server.Addr))
}

// TestRueidisWorksWithAnACLFile has the documented user come from a file, and the default user switched off in it.
func TestRueidisWorksWithAnACLFile(t *testing.T) {
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for line := range strings.Lines(string(page)) {
		if rule, ok := strings.CutPrefix(line, "    ACL SETUSER sess "); ok {
			rules = append(rules, strings.TrimSpace(rule))
		}
	}
	file := filepath.Join(t.TempDir(), "users.acl")
	text := "user default on nopass -@all +ping\nuser sess " + strings.Join(rules, " ") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	server := redistest.Start(t, "--aclfile", file)
	useAll(t, permitted(addresses(server.Addr)))
	if err := wantNoStore(t, addresses(server.Addr)); !errors.Is(err, sess.ErrRedisAuth) {
		t.Errorf("the default user, who may do nothing: got the error %v, want ErrRedisAuth", err)
	}
}

// TestRueidisWorksInADatabaseOfItsOwn has two stores in two databases of one server: neither sees the other's sessions, nor
// hears of their changes as of its own.
func TestRueidisWorksInADatabaseOfItsOwn(t *testing.T) {
	server := redistest.Start(t)
	permit(t, server)
	server.Do("ACL", "SETUSER", "sess", "+select")
	stores := make([]*sess.RueidisStore, 2)
	id := redisID(t, "both")
	for i := range stores {
		option := permitted(addresses(server.Addr))
		option.SelectDB = 5 + i
		useAll(t, option)
		stores[i] = openRueidis(t, option)
	}
	for round := range 5 {
		for i, s := range stores {
			if err := s.Set(t.Context(), id, version(t, 10*round+i), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		for i, s := range stores {
			cache(t, s, id)
			wantVersion(t, s, id, 10*round+i, "in a database of its own")
		}
	}
	if _, err := stores[0].End(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	wantVersion(t, stores[1], id, 41, "after the other database's session was ended")
}

func TestRueidisWorksOnAUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "redis.sock")
	server := redistest.Start(t, "--unixsocket", socket, "--unixsocketperm", "700")
	option := addresses(socket)
	option.DialCtxFn = func(ctx context.Context, path string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
		return d.DialContext(ctx, "unix", path)
	}
	useAll(t, option)
	s := openRueidis(t, option)
	id := redisID(t, "socket")
	put(server, id, version(t, 1))
	cache(t, s, id)
	server.Do("CLIENT", "KILL", "TYPE", "normal")
	put(server, id, version(t, 2))
	eventually(t, "the store works after its connection was killed", func() bool {
		r, err := s.Get(t.Context(), id)
		return err == nil && versionOf(t, r) == 2
	})
}

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir(), pool: x509.NewCertPool()}
	a.sign("ca", true)
	a.pool.AddCert(a.cert)
	return a
}

// path is the file of a certificate or a key.
func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// sign writes a certificate and its key, both as PEM, and returns them. The first one signs itself.
func (a *authority) sign(name string, ca bool) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: ca, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})
	for file, text := range map[string][]byte{name + ".crt": public, name + ".key": private} {
		if err := os.WriteFile(a.path(file), text, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	if a.cert == nil {
		a.key = key
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			a.t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(public, private)
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// secured starts a server that also speaks TLS, and returns the address of that.
func (a *authority) secured(args ...string) (server *redistest.Server, addr string) {
	a.t.Helper()
	a.sign("server", false)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		a.t.Fatal(err)
	}
	addr = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	server = redistest.Start(a.t, append(args, "--tls-port", port, "--tls-cert-file", a.path("server.crt"), "--tls-key-file", a.path("server.key"),
		"--tls-ca-cert-file", a.path("ca.crt"))...)
	return server, addr
}

func TestRueidisWorksWithClientCertificates(t *testing.T) {
	ca := newAuthority(t)
	client := ca.sign("client", false)
	server, addr := ca.secured("--tls-auth-clients", "yes")
	option := addresses(addr)
	option.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ca.pool, Certificates: []tls.Certificate{client}}
	useAll(t, option)
	s := openRueidis(t, option)
	id := redisID(t, "tls")
	put(server, id, version(t, 1))
	cache(t, s, id)
	server.Do("CLIENT", "KILL", "TYPE", "normal")
	put(server, id, version(t, 2))
	eventually(t, "the store works after its connection was killed", func() bool {
		r, err := s.Get(t.Context(), id)
		return err == nil && versionOf(t, r) == 2
	})
}

// TestRueidisSaysWhatIsWrongWithTLS has every mistake that two ends can make with TLS.
func TestRueidisSaysWhatIsWrongWithTLS(t *testing.T) {
	ca := newAuthority(t)
	stranger := newAuthority(t)
	client := ca.sign("client", false)
	plain, addr := ca.secured("--tls-auth-clients", "yes")
	secure := func(c *tls.Config) *tls.Config { c.MinVersion = tls.VersionTLS12; return c }
	for _, c := range []struct {
		name   string
		addr   string
		config *tls.Config
		want   string
		atOnce bool
	}{
		{"TLS to a plain port", plain.Addr, secure(&tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{client}}), "want a port that speaks TLS, or no TLSConfig", false},
		{"no TLS to a TLS port", addr, nil, "want a TLSConfig", false},
		{"a stranger's certificate", addr, secure(&tls.Config{RootCAs: stranger.pool, Certificates: []tls.Certificate{client}}), "certificate signed by unknown authority", true},
		{"another name", addr, secure(&tls.Config{RootCAs: ca.pool, ServerName: "redis.internal", Certificates: []tls.Certificate{client}}), "redis.internal", true},
		{"no client certificate", addr, secure(&tls.Config{RootCAs: ca.pool}), "ertificate", false},
	} {
		option := addresses(c.addr)
		option.TLSConfig = c.config
		begun := time.Now()
		err := wantNoStore(t, option, sess.RueidisConfig{StartTimeout: 1500 * time.Millisecond})
		if !strings.HasPrefix(err.Error(), "sess: redis connect: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got the error %q, want one of connect with %q", c.name, err, c.want)
		}
		if took := time.Since(begun); c.atOnce && took > 2*time.Second {
			t.Errorf("%s: got an error after %v, want it at once", c.name, took)
		}
	}
}

// TestRueidisFollowsCredentialsThatChange lets the password change again and again while the store works: the connection
// there is stays, and new ones say the new password.
func TestRueidisFollowsCredentialsThatChange(t *testing.T) {
	server := redistest.Start(t)
	permit(t, server)
	var generation atomic.Int64
	password := func() string { return fmt.Sprintf("generation-%d", generation.Load()) }
	server.Do("ACL", "SETUSER", "sess", "resetpass", ">"+password())
	option := addresses(server.Addr)
	option.AuthCredentialsFn = func(rueidis.AuthCredentialsContext) (rueidis.AuthCredentials, error) {
		return rueidis.AuthCredentials{Username: "sess", Password: password(), RefreshAfter: time.Now().Add(50 * time.Millisecond)}, nil
	}
	useAll(t, option)
	s := openRueidis(t, option)
	id := redisID(t, "rotated")
	for v := range 5 {
		server.Do("ACL", "SETUSER", "sess", ">generation-"+fmt.Sprint(v+1))
		generation.Add(1)
		server.Do("ACL", "SETUSER", "sess", "<generation-"+fmt.Sprint(v))
		if v%2 == 1 {
			server.Do("CLIENT", "KILL", "TYPE", "normal")
		}
		eventually(t, "the store works with the new password", func() bool {
			return s.Set(t.Context(), id, version(t, v), time.Hour) == nil
		})
		cache(t, s, id)
		wantVersion(t, s, id, v, "after the password had changed")
	}
	option.AuthCredentialsFn = func(rueidis.AuthCredentialsContext) (rueidis.AuthCredentials, error) {
		return rueidis.AuthCredentials{Username: "sess", Password: "an-old-one"}, nil
	}
	if err := wantNoStore(t, option); !errors.Is(err, sess.ErrRedisAuth) || strings.Contains(err.Error(), "an-old-one") {
		t.Errorf("an old password: got the error %v, want ErrRedisAuth without it", err)
	}
}
