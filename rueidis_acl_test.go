package sess_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// permit gives a server the user that docs/operations.md describes, by the lines there that begin so.
func permit(t *testing.T, server *redistest.Server) {
	t.Helper()
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(page)) {
		if command, ok := strings.CutPrefix(line, "    ACL SETUSER sess "); ok {
			server.Do(append([]string{"ACL", "SETUSER", "sess"}, strings.Fields(command)...)...)
			lines++
		}
	}
	if lines != 2 {
		t.Fatalf("docs/operations.md: got %d ACL lines, want one for sessions and one for the Storage", lines)
	}
}

func permitted(option rueidis.ClientOption) rueidis.ClientOption {
	option.Username, option.Password = "sess", "password"
	return option
}

func TestRueidisNeedsNoMoreThanTheDocumentedPermissions(t *testing.T) {
	server := redistest.Start(t)
	permit(t, server)
	useAll(t, permitted(addresses(server.Addr)))
}

func TestRueidisNeedsNoMoreThanTheDocumentedPermissionsOfACluster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, 0)
	for _, node := range cluster.Nodes {
		permit(t, node)
	}
	useAll(t, permitted(addresses(cluster.Addrs()...)))
}

// TestRueidisSentinelsHaveCredentialsOfTheirOwn gives another user to the Sentinel than to the servers.
func TestRueidisSentinelsHaveCredentialsOfTheirOwn(t *testing.T) {
	pair := redistest.StartSentinel(t)
	permit(t, pair.Master)
	pair.Do("ACL", "SETUSER", "finder", "on", ">another", "allchannels", "+@all")
	pair.Do("ACL", "SETUSER", "default", "off")
	option := permitted(sentinels(pair))
	option.Sentinel.Username, option.Sentinel.Password = "finder", "another"
	useAll(t, option)
}

// useAll calls all that a store does, on records that are there and that are not.
func useAll(t *testing.T, option rueidis.ClientOption) {
	t.Helper()
	for _, config := range []sess.RueidisConfig{{}, {Koa: true}, {NoNearCache: true}, {NoNearCache: true, Koa: true}} {
		s := openRueidis(t, option, config)
		if got := s.Stats().NearCache; got == config.NoNearCache {
			t.Errorf("near cache: got %t, want %t", got, !config.NoNearCache)
		}
		app := s.Storage("app:")
		id, none, first, second := redisID(t, "permitted"), redisID(t, "none"), version(t, 1), version(t, 2)
		for _, step := range []struct {
			name string
			do   func() error
		}{
			{"users", func() error {
				a := sess.LoginAttempt{Began: time.Now()}
				login, err := s.Admit(t.Context(), "ann", id, time.Hour, a)
				e := sess.UserEntry{ID: id, Login: login}
				_, entries := s.Entries(t.Context(), "ann", "")
				enter, leave := s.Enter(t.Context(), "ann", e, time.Hour, time.Minute), s.Leave(t.Context(), "ann", []sess.UserEntry{e}, time.Minute)
				_, mark := s.Mark(t.Context(), "bob", a)
				return errors.Join(err, entries, enter, leave, mark, s.Leave(t.Context(), "ann", []sess.UserEntry{e}, 0))
			}},
			{"Swap", func() error {
				for _, swap := range [][2]*sess.Record{{nil, first}, {first, second}, {second, second}, {first, second}, {second, nil}} {
					if _, err := s.Swap(t.Context(), id, swap[0], swap[1], time.Hour); err != nil {
						return err
					}
				}
				return nil
			}},
			{"Set", func() error { return s.Set(t.Context(), id, first, time.Hour) }},
			{"Get", func() error { _, err := s.Get(t.Context(), id); return err }},
			{"Get of none", func() error { _, err := s.Get(t.Context(), none); return err }},
			{"Refresh", func() error { _, err := s.Refresh(t.Context(), id); return err }},
			{"Refresh of none", func() error { _, err := s.Refresh(t.Context(), none); return err }},
			{"Destroy", func() error { return s.Destroy(t.Context(), id) }},
			{"Storage.Set", func() error { return app.Set("key", []byte("value"), time.Hour) }},
			{"Storage.Get", func() error { _, err := app.Get("key"); return err }},
			{"Storage.Delete", func() error { return app.Delete("key") }},
		} {
			err := step.do()
			if missing := strings.HasSuffix(step.name, "of none"); err != nil && !(missing && errors.Is(err, sess.ErrNotFound)) {
				t.Errorf("%s with the documented permissions and %+v: got the error %v, want none", step.name, config, err)
			}
		}
	}
}
