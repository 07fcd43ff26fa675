package otelsess

import (
	"github.com/fibersess/sess"
	"go.opentelemetry.io/otel/attribute"
)

// metricOf describes a metric.
type metricOf struct {
	name, unit, text string
	grows            bool // a counter; else an up-down counter
}

// series is one number of S, and the metric that it belongs to; those of one metric differ in attribute. What grows must never
// fall: a difference of two counts will do only where S promises that one is a part of the other.
type series[S any] struct {
	metric    metricOf
	attribute attribute.KeyValue
	value     func(*S) int64
}

func counter(name, unit, text string) metricOf { return metricOf{name, unit, text, true} }
func level(name, unit, text string) metricOf   { return metricOf{name, unit, text, false} }

func managerSeries() []series[sess.Stats] {
	writes := counter("sess.session.writes", "{write}", "Records stored.")
	ends := counter("sess.session.ends", "{session}", "Sessions that ended.")
	rejections := counter("sess.session.rejections", "{rejection}", "What requests presented and gave no session.")
	wrote := func(how string) attribute.KeyValue { return attribute.String("sess.write", how) }
	because := func(why string) attribute.KeyValue { return attribute.String("sess.reason", why) }
	none := attribute.KeyValue{}
	return []series[sess.Stats]{
		{counter("sess.session.loads", "{session}", "Records found for a request."), none, func(s *sess.Stats) int64 { return int64(s.Loaded) }},
		{writes, wrote("create"), func(s *sess.Stats) int64 { return int64(s.Created) }},
		{writes, wrote("change"), func(s *sess.Stats) int64 { return int64(s.Saved) }},
		{writes, wrote("touch"), func(s *sess.Stats) int64 { return int64(s.Touched) }},
		{counter("sess.session.merges", "{write}", "Saves that met a change made meanwhile and kept both."), none, func(s *sess.Stats) int64 { return int64(s.Merged) }},
		{counter("sess.session.conflicts", "{write}", "Saves given up because the session kept changing."), none, func(s *sess.Stats) int64 { return int64(s.Conflicts) }},
		{counter("sess.session.drops", "{write}", "Changes that were not stored."), none, func(s *sess.Stats) int64 { return int64(s.Dropped) }},
		{counter("sess.session.renewals", "{session}", "Sessions that moved to a new id."), none, func(s *sess.Stats) int64 { return int64(s.Regenerated) }},
		{ends, because("destroyed"), func(s *sess.Stats) int64 { return int64(s.Destroyed - s.Displaced) }},
		{ends, because("displaced"), func(s *sess.Stats) int64 { return int64(s.Displaced) }},
		{ends, because("expired"), func(s *sess.Stats) int64 { return int64(s.Expired) }},
		{rejections, because("signature"), func(s *sess.Stats) int64 { return int64(s.BadSignatures) }},
		{rejections, because("unknown"), func(s *sess.Stats) int64 { return int64(s.Unknown) }},
		{rejections, because("corrupt"), func(s *sess.Stats) int64 { return int64(s.Corrupt) }},
		{rejections, because(other), func(s *sess.Stats) int64 { return int64(s.Rejected - s.BadSignatures - s.Unknown - s.Corrupt) }},
		{level("sess.live.active", "{session}", "Lives that are open."), none, func(s *sess.Stats) int64 { return int64(s.Lives) }},
		{counter("sess.store.errors", "{error}", "Failed operations of the store, conflicts apart."), none, func(s *sess.Stats) int64 { return int64(s.StoreErrors - s.Conflicts) }},
	}
}

// other is the conventional value for what has no name of its own.
const other = "_OTHER"

func redisSeries() []series[sess.RueidisStats] {
	reads := counter("sess.near_cache.reads", "{read}", "Reads of sessions.")
	found := func(how string) attribute.KeyValue { return attribute.String("sess.result", how) }
	none := attribute.KeyValue{}
	return []series[sess.RueidisStats]{
		{reads, found("hit"), func(s *sess.RueidisStats) int64 { return int64(s.Hits) }},
		{reads, found("miss"), func(s *sess.RueidisStats) int64 { return int64(s.Misses) }},
		{reads, found("joined"), func(s *sess.RueidisStats) int64 { return int64(s.Joined) }},
		{counter("sess.near_cache.stale", "{record}", "Records found in the near cache and not served."), none, func(s *sess.RueidisStats) int64 { return int64(s.Stale) }},
		{counter("sess.near_cache.discards", "{record}", "Answers not kept because the record may have changed while they were under way."), none, func(s *sess.RueidisStats) int64 { return int64(s.Poisoned) }},
		{counter("sess.near_cache.invalidations", "{record}", "Changes that the server reported."), none, func(s *sess.RueidisStats) int64 { return int64(s.Invalidations) }},
		{counter("sess.near_cache.flushes", "{flush}", "Times a connection was lost or the server forgot what was read on it."), none, func(s *sess.RueidisStats) int64 { return int64(s.Flushes) }},
		{counter("sess.near_cache.evictions", "{record}", "Records removed from the near cache to make room."), none, func(s *sess.RueidisStats) int64 { return int64(s.Evicted) }},
		{level("sess.near_cache.entries", "{record}", "Records in the near cache."), none, func(s *sess.RueidisStats) int64 { return int64(s.Entries) }},
		{level("sess.near_cache.size", "By", "Size of the records in the near cache."), none, func(s *sess.RueidisStats) int64 { return s.Bytes }},
		{level("sess.near_cache.enabled", "{cache}", "1 if there is a near cache, else 0."), none, func(s *sess.RueidisStats) int64 { return one(s.NearCache) }},
		{level("sess.near_cache.reporting", "{cache}", "1 if the server reports changes to the near cache, else 0."), none, func(s *sess.RueidisStats) int64 { return one(s.Reports) }},
		{level("sess.redis.in_flight", "{command}", "Commands under way."), none, func(s *sess.RueidisStats) int64 { return int64(s.InFlight) }},
	}
}

func one(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

func memorySeries() []series[sess.MemoryStats] {
	none := attribute.KeyValue{}
	return []series[sess.MemoryStats]{
		{counter("sess.memory.evictions", "{session}", "Sessions evicted before their end to make room."), none, func(s *sess.MemoryStats) int64 { return int64(s.Evicted) }},
		{level("sess.memory.sessions", "{session}", "Sessions in the memory store."), none, func(s *sess.MemoryStats) int64 { return int64(s.Sessions) }},
		{level("sess.memory.limit", "{session}", "Sessions that the memory store may hold at most."), none, func(s *sess.MemoryStats) int64 { return int64(s.MaxSessions) }},
	}
}
