package redis

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/redis/rueidis"
)

// A user's entries are one sorted set, under the prefix, the word "user", a blank, which no id holds, and a hash of
// the user. Its members:
//
//	<login> <id>   an entry. The login is 13 digits of Unix milliseconds. The score is the instant until which the entry is
//	               surely needed, or until which its record may be being made, in Unix milliseconds
//	added          counts the entries that were added
//	mark           the last mark, in Unix microseconds
//
// The instants are the server's. The key has a TTL that reaches to the latest score it ever had, and an hour beyond a
// mark. Every script names this key alone, so that a cluster can serve it; a replica refuses every one.

// usersPrelude is what the scripts share. Numbers are doubles, which hold microseconds exactly until the year 2255.
const usersPrelude = `
local key, time = KEYS[1], redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)
local function number(member) return tonumber(redis.call('ZSCORE', key, member) or '0') end
local function live(ms) if redis.call('PTTL', key) < tonumber(ms) then redis.call('PEXPIRE', key, ms) end end
local function enter(member, score)
	local new = redis.call('ZADD', key, 'GT', score, member)
	if new == 1 then redis.call('ZINCRBY', key, 1, 'added') end
end
`

// enterScript adds or moves the entry ARGV[1] to the score ARGV[2] from now, and lets the key live for ARGV[3].
const enterScript = usersPrelude + `
enter(ARGV[1], string.format('%.0f', now + ARGV[2]))
live(ARGV[3])
return 1`

// admitScript adds the entry of the id ARGV[1], kept for ARGV[2], unless that is empty, if no mark but ARGV[4] was left
// in the last ARGV[3] microseconds. It returns whether it did, the mark, and the server's time in microseconds. The mark
// must be looked at again: the time on the way does not count in ARGV[3].
const admitScript = usersPrelude + `
local mark = number('mark')
if mark ~= 0 and mark ~= tonumber(ARGV[4]) and mark >= micros - ARGV[3] then return {0, mark, micros} end
if ARGV[1] ~= '' then
	enter(string.format('%013.0f ', now) .. ARGV[1], string.format('%.0f', now + ARGV[2]))
	live(ARGV[2])
end
return {1, mark, micros}`

// markScript leaves a mark, for ARGV[1]. It returns the mark, the one before and the server's time in microseconds.
const markScript = usersPrelude + `
local before = number('mark')
local mark = math.max(micros, before + 1)
redis.call('ZADD', key, string.format('%.0f', mark), 'mark')
live(ARGV[1])
return {mark, before, micros}`

// entriesScript returns some members, from the cursor ARGV[1] on and about ARGV[2] of them, with the next cursor and the
// count of entries that were added. The removal of nothing is there to be refused by a replica, which may lag behind.
const entriesScript = `
redis.call('ZREM', KEYS[1], '')
local page = redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
return {page[1], redis.call('ZSCORE', KEYS[1], 'added') or '0', page[2]}`

// leaveScript removes the entries from ARGV[2] on. If ARGV[1] is not 0, only those under which no session can be being
// made: whose score has passed, or whose login, and whatever Enter was told, is further away than ARGV[1].
const leaveScript = usersPrelude + `
local grace = tonumber(ARGV[1])
for i = 2, #ARGV do
	local score = grace > 0 and redis.call('ZSCORE', key, ARGV[i])
	local young = score and tonumber(score) > now and
		(tonumber(score) <= now + grace or tonumber(string.sub(ARGV[i], 1, 13)) > now - grace)
	if not young then redis.call('ZREM', key, ARGV[i]) end
end
return 1`

const (
	// userPage is about how many entries a page holds; a set of up to 128 entries, unless the server is told otherwise,
	// comes whole.
	userPage = 512

	// markLife is how long a mark bars older logins.
	markLife = time.Hour

	loginDigits = 13
)

// userScripts are the scripts of the index.
type userScripts struct{ enter, admit, mark, entries, leave script }

func newUserScripts() userScripts {
	return userScripts{
		enter:   newScript(enterScript),
		admit:   newScript(admitScript),
		mark:    newScript(markScript),
		entries: newScript(entriesScript),
		leave:   newScript(leaveScript),
	}
}

// runUsers runs a script on the index of a user. args makes the arguments, anew for each try.
func (s *Store) runUsers(ctx context.Context, user string, script *script, args func() []string) (rueidis.RedisResult, error) {
	t := s.aboutUser(user, args())
	return run(ctx, s, t, func(ctx context.Context) (reply rueidis.RedisResult, err error) {
		err = s.retryUnsent(ctx, func() error {
			reply = script.exec(ctx, s.client, t.key, args()...)
			return reply.Error()
		})
		return reply, err
	})
}

// aboutUser is the task of a script on the index of a user. No error may quote the ids in args.
func (s *Store) aboutUser(user string, args []string) task {
	t := task{op: "users", key: s.userKey(user), hide: []string{user}}
	for _, a := range args {
		_, id, ok := strings.Cut(a, " ") // in the text of an entry
		if !ok {
			id = a
		}
		t.hide = append(t.hide, id)
	}
	return t
}

func (s *Store) userKey(user string) string {
	sum := sha256.Sum256([]byte(user))
	return s.Prefix + "user " + base64.RawURLEncoding.EncodeToString(sum[:])
}

// member is the text of an entry.
func member(e *record.UserEntry) string {
	b := make([]byte, 0, loginDigits+1+ident.MaxIDLen)
	digits := strconv.FormatInt(max(e.Login, 0), 10)
	for range loginDigits - len(digits) {
		b = append(b, '0')
	}
	return string(e.ID.AppendTo(append(append(b, digits...), ' ')))
}

// parseMember reads an entry; what is none is one of the other members.
func parseMember(s string) (e record.UserEntry, ok bool) {
	digits, id, ok := strings.Cut(s, " ")
	if !ok {
		return e, false
	}
	var err error
	e.Login, err = strconv.ParseInt(digits, 10, 64)
	return e, err == nil && ident.SetID(&e.ID, id)
}

// Enter is the root's UserIndex.Enter.
func (s *Store) Enter(ctx context.Context, user string, e record.UserEntry, keep, grace time.Duration) error {
	until := keep
	if grace > 0 {
		until = grace
	}
	args := []string{member(&e), decimal(millis(until)), decimal(millis(keep))}
	_, err := s.runUsers(ctx, user, &s.users.enter, func() []string { return args })
	return err
}

// Admit is the root's UserMarker.Admit. The script takes the request for younger than it is, by the time that it takes on
// its way to the server; what the reply says settles the doubt, against the request.
func (s *Store) Admit(ctx context.Context, user string, id ident.ID, keep time.Duration, a record.LoginAttempt) (login int64, err error) {
	reply, err := s.runUsers(ctx, user, &s.users.admit, func() []string {
		return []string{id.Value(), decimal(millis(keep)), decimal(micros(time.Since(a.Began))), decimal(a.Pass)}
	})
	if err != nil {
		return 0, err
	}
	v, err := three(reply)
	if err != nil {
		return 0, s.failure(task{op: "users"}, err)
	}
	admitted, mark, now := v[0] == 1, v[1], v[2]
	login = now / 1000
	if admitted && (mark == 0 || mark == a.Pass || !barred(mark, now, a.Began)) {
		return login, nil
	}
	if admitted && !id.IsZero() {
		if err := s.Leave(ctx, user, []record.UserEntry{{ID: id, Login: login}}, 0); err != nil {
			return 0, err
		}
	}
	return 0, record.ErrLoginRefused
}

// Mark is the root's UserMarker.Mark.
func (s *Store) Mark(ctx context.Context, user string, a record.LoginAttempt) (pass int64, err error) {
	args := []string{decimal(markLife.Milliseconds())}
	reply, err := s.runUsers(ctx, user, &s.users.mark, func() []string { return args })
	if err != nil {
		return 0, err
	}
	v, err := three(reply)
	if err != nil {
		return 0, s.failure(task{op: "users"}, err)
	}
	mark, before, now := v[0], v[1], v[2]
	if before != 0 && before != a.Pass && barred(before, now, a.Began) {
		return 0, nil
	}
	return mark, nil
}

// barred reports whether a request may have begun before mark. The server said now, in microseconds, at some time
// before the present: the request had its present age then, or less.
func barred(mark, now int64, began time.Time) bool { return mark >= now-micros(time.Since(began)) }

// Entries is the root's UserIndex.Entries.
func (s *Store) Entries(ctx context.Context, user, cursor string) (page record.UserPage, err error) {
	if cursor == "" {
		cursor = "0"
	}
	args := []string{cursor, strconv.Itoa(userPage)}
	reply, err := s.runUsers(ctx, user, &s.users.entries, func() []string { return args })
	if err != nil {
		return page, err
	}
	parts, err := reply.ToArray()
	if err != nil || len(parts) != 3 {
		return page, s.failure(task{op: "users"}, errors.Join(errReply, err))
	}
	next, _ := parts[0].ToString()
	added, _ := parts[1].ToString()
	members, err := parts[2].AsStrSlice()
	if err != nil {
		return page, s.failure(task{op: "users"}, err)
	}
	for i := 0; i+1 < len(members); i += 2 { // behind each member is its score
		if e, ok := parseMember(members[i]); ok {
			page.Entries = append(page.Entries, e)
		}
	}
	slices.SortFunc(page.Entries, func(a, b record.UserEntry) int { return strings.Compare(member(&a), member(&b)) })
	if page.Added, err = strconv.ParseUint(added, 10, 64); err != nil {
		return page, s.failure(task{op: "users"}, errReply)
	}
	if next != "0" {
		page.Cursor = next
	}
	return page, nil
}

// Leave is the root's UserIndex.Leave.
func (s *Store) Leave(ctx context.Context, user string, entries []record.UserEntry, grace time.Duration) error {
	for part := range slices.Chunk(entries, userPage) {
		args := []string{decimal(max(0, grace.Milliseconds()))}
		for i := range part {
			args = append(args, member(&part[i]))
		}
		if _, err := s.runUsers(ctx, user, &s.users.leave, func() []string { return args }); err != nil {
			return err
		}
	}
	return nil
}

// three returns the numbers of a reply that has three.
func three(reply rueidis.RedisResult) (v [3]int64, err error) {
	all, err := reply.AsIntSlice()
	if err != nil {
		return v, err
	}
	if len(all) != len(v) {
		return v, errReply
	}
	return [3]int64(all), nil
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// micros returns d in microseconds, rounded up.
func micros(d time.Duration) int64 { return int64((d + time.Microsecond - 1) / time.Microsecond) }
