package memory

import (
	"context"
	"crypto/sha256"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// users is the index of a store: which sessions a user has. It knows nothing of the records, but is told when one goes.
type users struct {
	begin  time.Time // marks are counted from it, on the monotonic clock
	shards [userShards]userShard
}

const (
	userShards = 32

	// userPage is how many entries a page holds at most.
	userPage = 512

	// markLife is how long a mark bars older logins: no request lasts longer.
	markLife = time.Hour

	// userSample is how many users a write looks at, and tidyEntries how many entries of each, to forget those that need
	// not be kept.
	userSample  = 4
	tidyEntries = 64
)

// userShard holds the users whose hash begins with its number. The lock guards all fields.
type userShard struct {
	mu    sync.Mutex
	users map[userKey]*user
	added uint64   // counts the entries that were added
	_     [40]byte // shards fill 64 bytes: neighbours do not share a cache line
}

// userKey is the start of the SHA-256 of a user's name: shorter than most names, and free of pointers.
type userKey [16]byte

// user is what is known of one user.
type user struct {
	mark    int64  // nanoseconds since begin; 0: none
	added   uint64 // the shard's count when an entry was added last: it never comes back to what it was
	entries []userEntry
}

// userEntry is one session. Those of a user are in the order of login, then of id.
type userEntry struct {
	record.UserEntry
	until int64 // Unix milliseconds
	young int64 // Unix milliseconds: until then a session may be being made; 0: as the login says
}

func compareEntries(a, b *record.UserEntry) int {
	if a.Login != b.Login {
		if a.Login < b.Login {
			return -1
		}
		return 1
	}
	return slices.Compare(a.ID.Whole()[:], b.ID.Whole()[:])
}

func (u *user) find(e *record.UserEntry) (int, bool) {
	return slices.BinarySearchFunc(u.entries, e, func(have userEntry, e *record.UserEntry) int {
		return compareEntries(&have.UserEntry, e)
	})
}

// put adds e to the entries of the user of key, or moves it.
func (sh *userShard) put(key userKey, e userEntry) {
	u := sh.user(key)
	i, ok := u.find(&e.UserEntry)
	if ok {
		have := &u.entries[i]
		have.until = max(have.until, e.until)
		if e.young == 0 {
			have.young = 0
		}
		return
	}
	u.entries = slices.Insert(u.entries, i, e)
	sh.added++
	u.added = sh.added
}

// remove takes away the entry at place i, and moves the shorter part of the others: the oldest mostly go first.
func (u *user) remove(i int) {
	if last := len(u.entries) - 1; i > last/2 {
		u.entries = slices.Delete(u.entries, i, i+1)
		return
	}
	copy(u.entries[1:i+1], u.entries[:i])
	u.entries[0] = userEntry{}
	u.entries = u.entries[1:]
}

// Enter is the root's UserIndex.Enter.
func (s *Store) Enter(ctx context.Context, name string, e record.UserEntry, keep, grace time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := time.Now()
	entry := userEntry{UserEntry: e, until: now.Add(keep).UnixMilli()}
	if grace > 0 {
		entry.young = now.Add(grace).UnixMilli()
	}
	sh, key := s.users.locate(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.put(key, entry)
	s.users.tidy(sh, now)
	return nil
}

// Admit is the root's UserMarker.Admit.
func (s *Store) Admit(ctx context.Context, name string, id ident.ID, keep time.Duration, a record.LoginAttempt) (login int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	now := time.Now()
	sh, key := s.users.locate(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if u := sh.users[key]; u != nil && u.mark != 0 && u.mark != a.Pass && u.mark >= int64(a.Began.Sub(s.users.begin)) {
		return 0, record.ErrLoginRefused
	}
	if id.IsZero() {
		return now.UnixMilli(), nil
	}
	e := record.UserEntry{ID: id, Login: now.UnixMilli()}
	sh.put(key, userEntry{UserEntry: e, until: now.Add(keep).UnixMilli()})
	s.users.tidy(sh, now)
	return e.Login, nil
}

// Mark is the root's UserMarker.Mark.
func (s *Store) Mark(ctx context.Context, name string, a record.LoginAttempt) (pass int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	sh, key := s.users.locate(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	u := sh.user(key)
	before := u.mark
	u.mark = max(int64(time.Since(s.users.begin)), before+1)
	if before != 0 && before != a.Pass && before >= int64(a.Began.Sub(s.users.begin)) {
		return 0, nil
	}
	return u.mark, nil
}

// Entries is the root's UserIndex.Entries. A cursor is a login time, a blank and an id: those of the last entry of the
// page before.
func (s *Store) Entries(ctx context.Context, name string, cursor string) (record.UserPage, error) {
	if err := ctx.Err(); err != nil {
		return record.UserPage{}, err
	}
	sh, key := s.users.locate(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	u := sh.users[key]
	if u == nil {
		return record.UserPage{}, nil
	}
	from := 0
	if last, ok := parseCursor(cursor); ok {
		i, found := u.find(&last)
		if from = i; found {
			from++
		}
	}
	page := record.UserPage{Added: u.added}
	for _, e := range u.entries[from:min(len(u.entries), from+userPage)] {
		page.Entries = append(page.Entries, e.UserEntry)
	}
	if end := from + len(page.Entries); end < len(u.entries) {
		last := &u.entries[end-1]
		page.Cursor = strconv.FormatInt(last.Login, 10) + " " + last.ID.Value()
	}
	return page, nil
}

func parseCursor(cursor string) (last record.UserEntry, ok bool) {
	for i := range len(cursor) {
		if cursor[i] != ' ' {
			continue
		}
		login, err := strconv.ParseInt(cursor[:i], 10, 64)
		id, ok := ident.MakeID(cursor[i+1:])
		return record.UserEntry{ID: id, Login: login}, ok && err == nil
	}
	return last, false
}

// Leave is the root's UserIndex.Leave.
func (s *Store) Leave(ctx context.Context, name string, entries []record.UserEntry, grace time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.leave(name, entries, grace)
	return nil
}

func (s *Store) leave(name string, entries []record.UserEntry, grace time.Duration) {
	now := time.Now()
	sh, key := s.users.locate(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	u := sh.users[key]
	if u == nil {
		return
	}
	for k := range entries {
		i, ok := u.find(&entries[k])
		if ok && (grace <= 0 || u.entries[i].old(now, grace)) {
			u.remove(i)
		}
	}
	if s.users.idle(u, now) {
		delete(sh.users, key)
	}
}

// old reports whether no session can be being made under the entry.
func (e *userEntry) old(now time.Time, grace time.Duration) bool {
	if e.young != 0 {
		return e.young <= now.UnixMilli()
	}
	return e.until <= now.UnixMilli() || e.Login <= now.Add(-grace).UnixMilli()
}

// locate returns the shard and the key of a user.
func (us *users) locate(name string) (*userShard, userKey) {
	sum := sha256.Sum256([]byte(name))
	return &us.shards[sum[0]%userShards], userKey(sum[1:17])
}

// user returns the user of key, a new one if there is none.
func (sh *userShard) user(key userKey) *user {
	u := sh.users[key]
	if u == nil {
		if sh.users == nil {
			sh.users = map[userKey]*user{}
		}
		u = &user{}
		sh.users[key] = u
	}
	return u
}

// tidy looks at a few users, and takes away what need not be kept: entries that have outlived their time, and users of
// whom nothing is left.
func (us *users) tidy(sh *userShard, now time.Time) {
	looked := 0
	for key, u := range sh.users {
		for i := min(len(u.entries), tidyEntries) - 1; i >= 0; i-- {
			if u.entries[i].until <= now.UnixMilli() {
				u.remove(i)
			}
		}
		if us.idle(u, now) {
			delete(sh.users, key)
		}
		if looked++; looked == userSample {
			return
		}
	}
}

// idle reports whether nothing of u is worth keeping.
func (us *users) idle(u *user, now time.Time) bool {
	return len(u.entries) == 0 && (u.mark == 0 || now.Sub(us.begin)-time.Duration(u.mark) > markLife)
}
