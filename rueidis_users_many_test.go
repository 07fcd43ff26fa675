package sess_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// give stores a session under a name, and enters it, unless it is nobody's.
func give(t testing.TB, s *sess.RueidisStore, name, user string, padding int) sess.ID {
	id, err := sess.ParseID("one-of-many-sessions-" + name)
	if err != nil {
		t.Error(err)
		return id
	}
	login := time.Now()
	whose := ""
	if user != "" {
		whose = fmt.Sprintf(`,"u":%q,"l":%d`, user, login.UnixMilli())
	}
	record, err := sess.ParseRecord(fmt.Sprintf(`{"$":{"c":%d,"e":%d%s},"pad":%q}`, login.UnixMilli(), login.Add(time.Hour).UnixMilli(),
		whose, strings.Repeat("x", padding)))
	for tries := 0; err == nil; tries++ { // A busy machine may need more than the time that a command has.
		if user != "" {
			err = s.Enter(t.Context(), user, sess.UserEntry{ID: id, Login: login}, 2*time.Hour, 0)
		}
		if err == nil {
			err = s.Set(t.Context(), id, record, time.Hour)
		}
		if !errors.Is(err, context.DeadlineExceeded) || tries == 5 {
			break
		}
		err = nil
	}
	if err != nil {
		t.Errorf("a session of many: got the error %v, want none", err)
	}
	return id
}

// heap is what is in use on the heap, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestTenThousandSessionsOfAUserAreListedAndEndedInPages(t *testing.T) {
	const sessions, size, bound = 10_000, 1000, 3 << 20 // A page holds about 512 of them; all are 10 MB.
	server := redistest.Start(t)
	store := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{NearCacheBytes: 1 << 20})
	st := newPortal(t, sess.Config{Store: store}, nil)
	inParallel(32, sessions, func(i int) { give(t, store, strconv.Itoa(i), "ann", size) })
	bob := st.loggedIn("bob")
	before, most, listed := heap(), int64(0), map[string]bool{}
	for info, err := range st.m.User("ann").Sessions(t.Context()) {
		if err != nil {
			t.Fatalf("Sessions: got the error %+v, want none", err)
		}
		if listed[info.Handle] = true; len(listed)%1000 == 0 {
			most = max(most, heap()-before)
		}
	}
	if len(listed) != sessions {
		t.Errorf("sessions listed: got %d, want %d", len(listed), sessions)
	}
	if most > bound {
		t.Errorf("heap while they are listed: got %d bytes more, want at most %d", most, bound)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if n, err := st.m.User("ann").EndAll(ctx); n != sessions || err != nil {
		t.Errorf("EndAll: got %d and the error %+v, want %d and none", n, err, sessions)
	}
	if got := server.Do("DBSIZE").(int64); got != 3 { // ann's mark, bob's session, bob's entry
		t.Errorf("keys after EndAll: got %d, want 3", got)
	}
	st.wantUser("another user", bob, "bob")
}

// TestManyLivesOnRedisHearOfTheirOwnEnd has as many Lives as a process with that many sockets. The sessions of a thousand
// users end at another node, then the connection is lost while one more ends, then it stays away.
func TestManyLivesOnRedisHearOfTheirOwnEnd(t *testing.T) {
	many, users, soon := 100_000, 1000, time.Second
	if testing.Short() || raceDetector {
		many, users, soon = 3_000, 100, 10*time.Second
	}
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	silence := 2 * time.Second
	store, other := openRueidis(t, addresses(proxy.Addr), sess.RueidisConfig{NearCacheBytes: 4 << 20}), openRueidis(t, addresses(server.Addr))
	here := newPortal(t, sess.Config{Store: store, LiveSilence: silence}, nil)
	t.Cleanup(func() { here.m.Close() })
	there := newPortal(t, sess.Config{Store: other}, nil)
	ids, lives := make([]sess.ID, many), make([]*sess.Live, many)
	user := func(i int) string {
		if i > users {
			return ""
		}
		return "user" + strconv.Itoa(i)
	}
	inParallel(64, many, func(i int) { ids[i] = give(t, other, strconv.Itoa(i), user(i), 0) })

	goroutines, before := runtime.NumGoroutine(), heap()
	inParallel(64, many, func(i int) {
		var err error
		if lives[i], err = here.m.Open(t.Context(), ids[i]); err != nil {
			t.Errorf("Open: got the error %v, want none", err)
		}
	})
	if t.Failed() {
		return
	}
	if got := (heap() - before) / int64(many); got > 1000 && many == 100_000 { // What does not grow with them is lost among so many.
		t.Errorf("heap of each of %d Lives: got %d bytes, want at most 1000", many, got)
	} else {
		t.Logf("figure: %d bytes of heap for each of %d Lives", got, many)
	}
	if got := runtime.NumGoroutine() - goroutines; got > 100 {
		t.Errorf("goroutines of %d Lives: got %d more, want none for each", many, got)
	}

	inParallel(16, users, func(i int) {
		if n, err := there.m.User(user(i)).EndAll(t.Context()); n != 1 || err != nil {
			t.Errorf("EndAll: got %d and the error %v, want 1 and none", n, err)
		}
	})
	done := time.Now()
	for i := range users {
		here.wantEnd("EndAll at another node", lives[i], sess.ErrEnded)
	}
	if took := time.Since(done); took > soon {
		t.Errorf("time until %d Lives have ended: got %v, want at most %v", users, took, soon)
	}
	wantOthers := func(what string, from int) {
		t.Helper()
		for _, live := range lives[from:] {
			if live.Context().Err() != nil {
				t.Fatalf("a Live of another session after %s: got ended, %v, want that it goes on", what, context.Cause(live.Context()))
			}
		}
	}
	wantOthers("EndAll of others", users)

	proxy.Hold(redistest.Down)
	if _, err := there.m.User(user(users)).EndAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy.Reset()
	proxy.Release(redistest.Down)
	select {
	case <-lives[users].Done():
	case <-time.After(20 * time.Second):
		t.Fatal("a Live whose session ended while the connection was lost: got no end within 20 s, want one")
	}
	if got := context.Cause(lives[users].Context()); !errors.Is(got, sess.ErrEnded) {
		t.Errorf("a Live whose session ended while the connection was lost: got the cause %v, want ErrEnded", got)
	}
	wantOthers("a lost connection", users+1)

	proxy.Refuse(true)
	proxy.Reset()
	for _, live := range lives[users+1:] {
		select {
		case <-live.Done():
		case <-time.After(30 * time.Second):
			t.Fatal("a Live whose store is away for longer than LiveSilence: got no end within 30 s, want one")
		}
		for _, other := range []error{sess.ErrEnded, sess.ErrExpired, sess.ErrRenewed, context.Canceled, nil} {
			if got := context.Cause(live.Context()); errors.Is(got, other) {
				t.Fatalf("a Live whose store is away: got the cause %v, want the store's error", got)
			}
		}
	}
}

// TestBytesOfAUserOnRedis measures what docs/operations.md says of users with one session each.
func TestBytesOfAUserOnRedis(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("SESS_MEASURE_USERS"))
	if err != nil {
		t.Skip("a measurement: set SESS_MEASURE_USERS to the number of users, such as 1000000")
	}
	server := redistest.Start(t)
	store := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{NoNearCache: true})
	used := func() int64 {
		bytes, _ := strconv.ParseInt(server.Info("memory")["used_memory"], 10, 64)
		return bytes
	}
	var failed atomic.Int64
	before := used()
	inParallel(128, n, func(i int) {
		id, _ := sess.ParseID(fmt.Sprintf("0123456789012345678901234%07d", i))
		if _, err := store.Admit(t.Context(), "user"+strconv.Itoa(i), id, 48*time.Hour, sess.LoginAttempt{Began: time.Now()}); err != nil {
			failed.Add(1)
		}
	})
	if failed.Load() > 0 {
		t.Fatalf("Admit: got %d errors, want none", failed.Load())
	}
	t.Logf("figure: %d bytes for the index of each of %d users with one session", (used()-before)/int64(n), n)
}

// BenchmarkAChangeAmongWatches is what one change costs, from its write until its watcher is told, where there are few
// watches and where there are many: the same.
func BenchmarkAChangeAmongWatches(b *testing.B) {
	sizes := []int{100, 100_000}
	if testing.Short() {
		sizes[1] = 5_000
	}
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			server := redistest.Start(b)
			store, other := openRueidis(b, addresses(server.Addr)), openRueidis(b, addresses(server.Addr))
			told := make(chan struct{}, 1)
			var watched sess.ID
			inParallel(64, n, func(i int) {
				id, err := sess.ParseID("watched-among-many-" + strconv.Itoa(i))
				seen := func(*sess.Record, error) {}
				if i == n/2 {
					watched = id
					seen = func(*sess.Record, error) { told <- struct{}{} }
				}
				if err == nil {
					_, err = store.Watch(b.Context(), id, seen)
				}
				if err != nil {
					b.Error(err)
				}
			})
			<-told
			record, err := sess.ParseRecord(`{"n":1}`)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := other.Set(b.Context(), watched, record, time.Hour); err != nil {
					b.Fatal(err)
				}
				<-told
			}
		})
	}
}
