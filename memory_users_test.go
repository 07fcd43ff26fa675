package sess_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersess/sess"
)

// admitted enters a login of user for the id n, which must be let in.
func (f *memoryFixture) admitted(user string, n int, keep time.Duration) sess.UserEntry {
	f.Helper()
	login, err := f.store.Admit(context.Background(), user, f.id(n), keep, sess.LoginAttempt{Began: time.Now()})
	if err != nil {
		f.Fatal(err)
	}
	return sess.UserEntry{ID: f.id(n), Login: login}
}

// entriesOf returns how many entries a user has.
func (f *memoryFixture) entriesOf(user string) (n int) {
	f.Helper()
	for cursor, first := "", true; first || cursor != ""; first = false {
		page, err := f.store.Entries(context.Background(), user, cursor)
		if err != nil {
			f.Fatal(err)
		}
		n += len(page.Entries)
		cursor = page.Cursor
	}
	return n
}

// TestMemoryStoreForgetsUsersWithoutEntriesAndMarks lets other users' logins come, which clean up.
func TestMemoryStoreForgetsUsersWithoutEntriesAndMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newMemoryFixture(t, 1000)
		before := liveObjects()
		const users = 5000
		for n := range users {
			f.admitted("user "+strconv.Itoa(n), n, time.Hour)
			if _, err := f.store.Mark(context.Background(), "marked "+strconv.Itoa(n), sess.LoginAttempt{Began: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Hour)
		for n := range 2 * users {
			e := f.admitted("late", n, time.Hour)
			if err := f.store.Leave(context.Background(), "late", []sess.UserEntry{e}, 0); err != nil {
				t.Fatal(err)
			}
			f.admitted("late "+strconv.Itoa(n%200), n%200, time.Minute)
		}
		if got := liveObjects() - before; got > users {
			t.Errorf("objects of %d users whose entries and marks have run out: got %d, want almost none", 2*users, got)
		}
	})
}

// TestMemoryStoreEntriesGoWithEvictionAndExpiry logs in with a store that has room for a few.
func TestMemoryStoreEntriesGoWithEvictionAndExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sess.NewMemoryStore(sess.MemoryConfig{MaxSessions: 8})
		st := newPortal(t, sess.Config{Store: store, TTL: time.Hour, MaxPerUser: -1}, nil)
		for range 20 {
			st.loggedIn("ann")
		}
		entries := func() int {
			page, err := store.Entries(context.Background(), "ann", "")
			if err != nil {
				t.Fatal(err)
			}
			return len(page.Entries)
		}
		if got := entries(); got != 8 {
			t.Errorf("entries of 20 logins with room for 8: got %d, want 8", got)
		}
		time.Sleep(2 * time.Hour)
		for range 40 {
			st.loggedIn("bob") // Its writes clean up.
		}
		if got := entries(); got != 0 {
			t.Errorf("entries of sessions that have expired: got %d, want 0", got)
		}
	})
}

func liveObjects() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.Mallocs - m.Frees)
}

// TestMemoryStoreUserCostsTwoObjects bounds what a user with one session costs beside the session; operations.md says how
// many bytes these are.
func TestMemoryStoreUserCostsTwoObjects(t *testing.T) {
	f := newMemoryFixture(t, 1000)
	const users = 20_000
	names := make([]string, users)
	for n := range names {
		names[n] = "user " + strconv.Itoa(n)
	}
	before := liveObjects()
	for n, name := range names {
		f.admitted(name, n, time.Hour)
	}
	if got := float64(liveObjects()-before) / users; got > 2.2 {
		t.Errorf("objects per user: got %.2f, want 2 and a part of a table", got)
	}
}

func TestMemoryStoreEndsTenThousandSessionsOfAUserInPages(t *testing.T) {
	f := newMemoryFixture(t, 20_000)
	const sessions = 10_000
	for n := range sessions {
		f.admitted("ann", n, time.Hour)
	}
	if got := f.entriesOf("ann"); got != sessions {
		t.Fatalf("entries: got %d, want %d", got, sessions)
	}
	left := sessions
	for left > 0 {
		page, err := f.store.Entries(context.Background(), "ann", "")
		if err == nil {
			err = f.store.Leave(context.Background(), "ann", page.Entries, 0)
		}
		if err != nil || len(page.Entries) == 0 || len(page.Entries) > 1000 {
			t.Fatalf("a page: got %d entries and the error %v, want some hundreds and none", len(page.Entries), err)
		}
		left -= len(page.Entries)
	}
}

// BenchmarkMemoryStoreUsers reports what a million users with one session each cost beside the sessions.
func BenchmarkMemoryStoreUsers(b *testing.B) {
	const users = 1_000_000
	for range b.N {
		s := sess.NewMemoryStore()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for n := range users {
			id, err := sess.ParseID(fmt.Sprintf("session-of-32-characters-%07d", n))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.Admit(context.Background(), "user-"+strconv.Itoa(n), id, time.Hour, sess.LoginAttempt{Began: time.Now()}); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/users, "B/user")
		runtime.KeepAlive(s)
	}
}
