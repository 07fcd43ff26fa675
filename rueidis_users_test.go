package sess_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// userKey is the key of a user's entries under the default prefix.
func userKey(user string) string {
	sum := sha256.Sum256([]byte(user))
	return "koa:sess:user " + base64.RawURLEncoding.EncodeToString(sum[:])
}

// wantTTL checks the TTL of a key, to within a few seconds.
func wantTTL(t *testing.T, server *redistest.Server, key string, want time.Duration, when string) {
	t.Helper()
	got := time.Duration(server.Do("PTTL", key).(int64)) * time.Millisecond
	if got > want+time.Second || got < want-10*time.Second {
		t.Errorf("TTL %s: got %v, want %v", when, got, want)
	}
}

func TestRueidisEntriesAreASortedSetUnderAHashOfTheUser(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	id, key := redisID(t, "entered"), userKey("ann")
	login, err := s.Admit(t.Context(), "ann", id, time.Hour, sess.LoginAttempt{Began: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	member := fmt.Sprintf("%013d entered", login.UnixMilli())
	score, _ := strconv.ParseFloat(fmt.Sprint(server.Do("ZSCORE", key, member)), 64)
	if until := time.UnixMilli(int64(score)); until.Sub(login) != time.Hour {
		t.Errorf("score of the entry: got %v after the login, want an hour", until.Sub(login))
	}
	if got := server.Do("DBSIZE"); got != int64(1) {
		t.Errorf("keys: got %v, want 1", got)
	}
	wantTTL(t, server, key, time.Hour, "after Admit")
	if _, err := s.Mark(t.Context(), "ann", sess.LoginAttempt{Began: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := s.Leave(t.Context(), "ann", []sess.UserEntry{{ID: id, Login: login}}, 0); err != nil {
		t.Fatal(err)
	}
	if got := server.Do("ZSCORE", key, member); got != nil {
		t.Errorf("score of an entry that has left: got %v, want none", got)
	}
	for what, keep := range map[string]time.Duration{"longer": 3 * time.Hour, "shorter": time.Minute} {
		if err := s.Enter(t.Context(), what, sess.UserEntry{ID: id, Login: login}, 2*time.Hour, 0); err != nil {
			t.Fatal(err)
		}
		if err := s.Enter(t.Context(), what, sess.UserEntry{ID: redisID(t, "other"), Login: login}, keep, time.Minute); err != nil {
			t.Fatal(err)
		}
		wantTTL(t, server, userKey(what), max(keep, 2*time.Hour), "after an entry that is kept "+what)
	}
}

func TestRueidisMarkLivesForAnHour(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	if _, err := s.Mark(t.Context(), "ann", sess.LoginAttempt{Began: time.Now()}); err != nil {
		t.Fatal(err)
	}
	wantTTL(t, server, userKey("ann"), time.Hour, "of a user who has but a mark")
}

func TestRueidisUsersWorkOnAServerThatHasForgottenTheScripts(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	for range 2 {
		server.Do("SCRIPT", "FLUSH")
		login, err := s.Admit(t.Context(), "ann", redisID(t, "forgotten"), time.Hour, sess.LoginAttempt{Began: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		server.Do("SCRIPT", "FLUSH")
		if page, err := s.Entries(t.Context(), "ann", ""); err != nil || len(page.Entries) != 1 {
			t.Errorf("Entries: got %d and the error %v, want 1 and none", len(page.Entries), err)
		}
		server.Do("SCRIPT", "FLUSH")
		if err := s.Leave(t.Context(), "ann", []sess.UserEntry{{ID: redisID(t, "forgotten"), Login: login}}, 0); err != nil {
			t.Errorf("Leave: got the error %v, want none", err)
		}
	}
}

func TestRueidisReplicaListsNobody(t *testing.T) {
	pair := redistest.StartSentinel(t)
	s := openRueidis(t, addresses(pair.Master.Addr), sess.RueidisConfig{NoNearCache: true})
	if _, err := s.Admit(t.Context(), "ann", redisID(t, "replica"), time.Hour, sess.LoginAttempt{Began: time.Now()}); err != nil {
		t.Fatal(err)
	}
	pair.Master.Do("REPLICAOF", "127.0.0.1", pair.Replica.Addr[len("127.0.0.1:"):])
	var replied *sess.RedisError
	_, err := s.Entries(t.Context(), "ann", "")
	for tries := 0; errors.Is(err, context.DeadlineExceeded) && tries < 10; tries++ { // It ended within a try.
		_, err = s.Entries(t.Context(), "ann", "")
	}
	if !errors.As(err, &replied) || replied.Code != "READONLY" || replied.Op != "users" {
		t.Errorf("Entries of a master that has become a replica: got the error %v, want READONLY", err)
	}
}

// TestRueidisLoginThatIsOnItsWayWhileAMarkIsLeftIsRefused holds a login back between this node and the server. The server
// sees it after the mark, and cannot know that it began before.
func TestRueidisLoginThatIsOnItsWayWhileAMarkIsLeftIsRefused(t *testing.T) {
	server := redistest.Start(t)
	var once sync.Once
	reached, release := make(chan struct{}), make(chan struct{})
	option := addresses(server.Addr)
	option.DialCtxFn = rewriting(func(b []byte) []byte {
		if bytes.Contains(b, []byte("on-its-way")) {
			once.Do(func() {
				close(reached)
				<-release
			})
		}
		return b
	}, nil)
	slow, fast := openRueidis(t, option, sess.RueidisConfig{NoNearCache: true}), openRueidis(t, addresses(server.Addr))
	ended := make(chan error)
	go func() {
		_, err := slow.Admit(t.Context(), "ann", redisID(t, "on-its-way"), time.Hour, sess.LoginAttempt{Began: time.Now()})
		ended <- err
	}()
	<-reached
	if _, err := fast.Mark(t.Context(), "ann", sess.LoginAttempt{Began: time.Now()}); err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := <-ended; !errors.Is(err, sess.ErrLoginRefused) {
		t.Errorf("Admit: got the error %v, want ErrLoginRefused", err)
	}
	if page, err := fast.Entries(t.Context(), "ann", ""); err != nil || len(page.Entries) != 0 {
		t.Errorf("entries: got %d and the error %v, want none", len(page.Entries), err)
	}
}

func TestRueidisEntriesOfManySessionsComeInPages(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	const sessions = 10_000
	ids := make([]sess.ID, sessions)
	for i := range ids {
		ids[i] = redisID(t, "many-"+strconv.Itoa(i))
	}
	inParallel(16, sessions, func(i int) {
		if err := s.Enter(t.Context(), "ann", sess.UserEntry{ID: ids[i], Login: time.UnixMilli(int64(i))}, time.Hour, 0); err != nil {
			t.Errorf("Enter: got the error %v, want none", err)
		}
	})
	left, largest := sessions, 0
	for cursor, first := "", true; first || cursor != ""; first = false {
		page, err := s.Entries(t.Context(), "ann", cursor)
		if err == nil {
			err = s.Leave(t.Context(), "ann", page.Entries, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		cursor = page.Cursor
		left -= len(page.Entries)
		largest = max(largest, len(page.Entries))
	}
	if left != 0 || largest > 1500 {
		t.Errorf("ending in pages: got %d left, %d in the largest page, want none left and some hundreds", left, largest)
	}
}

// inParallel calls f for each of n, some at a time.
func inParallel(atOnce, n int, f func(i int)) {
	var wg sync.WaitGroup
	for g := range atOnce {
		wg.Go(func() {
			for i := g; i < n; i += atOnce {
				f(i)
			}
		})
	}
	wg.Wait()
}
