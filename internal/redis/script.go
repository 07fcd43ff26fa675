package redis

import (
	"context"
	"crypto/sha1"
	"encoding/hex"

	"github.com/redis/rueidis"
)

// swapScript compares what is there with ARGV[1] and, if they are equal, deletes it, or gives it the TTL ARGV[2] in
// milliseconds, or replaces it by ARGV[3] with that TTL. It returns 1 when that is done, nil if nothing is there, and
// else what is there, with its TTL in milliseconds.
//
// GETEX without options reads as GET does but counts as a write. So a replica refuses it, where GET would say what is
// old, or that nothing is there. It comes after the comparison because a script that has written may go on when the
// server is out of memory: SET must be the first write, to be refused then. DEL and PEXPIRE are not refused.
const swapScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then
	if #ARGV == 1 then redis.call('DEL', KEYS[1])
	elseif #ARGV == 2 then redis.call('PEXPIRE', KEYS[1], ARGV[2])
	else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2]) end
	return 1
end
local other = redis.call('GETEX', KEYS[1])
return other and {other, redis.call('PTTL', KEYS[1])}`

// endScript deletes the session that is there, whichever it is. A tombstone or a grave stays, and JSON that the server cannot
// read. It returns nil if nothing is there, else what was there, its TTL in milliseconds, and 1 if it was deleted.
//
// What is no session says so in the member "$" by "to" or "g". Nearly every session is known as one without being decoded:
// where neither name stands in the text it is no member's, unless by an escape.
const endScript = `
local there = redis.call('GETEX', KEYS[1])
if not there then return nil end
local ttl = redis.call('PTTL', KEYS[1])
if string.find(there, '"to"', 1, true) or string.find(there, '"g"', 1, true) or string.find(there, '\\', 1, true) then
	local ok, record = pcall(cjson.decode, there)
	local header = ok and type(record) == 'table' and record['$']
	if not ok or type(header) == 'table' and (header.to ~= nil or header.g ~= nil) then
		return {there, ttl, 0}
	end
end
redis.call('DEL', KEYS[1])
return {there, ttl, 1}`

// script is a Lua script that a server knows by its hash.
type script struct {
	text, sum string
	lua       *rueidis.Lua
}

func newScript(text string) script {
	sum := sha1.Sum([]byte(text))
	return script{text: text, sum: hex.EncodeToString(sum[:]), lua: rueidis.NewLuaScript(text)}
}

// exec runs the script on a key, and sends its text where the server has forgotten it.
func (s *script) exec(ctx context.Context, client rueidis.Client, key string, args ...string) rueidis.RedisResult {
	return s.lua.Exec(ctx, client, []string{key}, args)
}

// evalsha is the command that runs the script by its hash.
func (s *script) evalsha(b rueidis.Builder, key string, args ...string) rueidis.Completed {
	return b.Evalsha().Sha1(s.sum).Numkeys(1).Key(key).Arg(args...).Build()
}

// eval is the command that runs the script and makes the server know it.
func (s *script) eval(b rueidis.Builder, key string, args ...string) rueidis.Completed {
	return b.Eval().Script(s.text).Numkeys(1).Key(key).Arg(args...).Build()
}
