// Package otelsess gives the numbers of sess to OpenTelemetry.
//
//	import otelsess "github.com/fibersess/sess/otel"
//
//	hooks, err := otelsess.Hooks(provider)                              // durations of the store's calls
//	sessions, err := sess.NewManager(sess.Config{Store: store, Hooks: hooks})
//	registration, err := otelsess.Register(provider, sessions, store)   // everything else
//
// For Fiber v3 the manager is sessions.Manager, and stores and hooks are the same.
//
// [Register] costs a request nothing: the numbers are read when the provider collects them. [Hooks] costs each call of the store
// one observation of a histogram. The module needs the API of OpenTelemetry alone: the SDK and the exporter are the
// application's choice. The example examples/metrics exports to Prometheus; a dashboard for Grafana and rules for alerts
// stand in the folders grafana and prometheus, and docs/operations.md says what they mean.
//
// # Metrics
//
// Names and units follow OpenTelemetry's semantic conventions. A counter grows from the start of the process. An up-down counter
// can be added up over all processes.
//
// Each metric of a manager bears sess.name, see [sess.Manager.Name]:
//
//	sess.session.loads         counter          {session}    records found for a request
//	sess.session.writes        counter          {write}      records stored; sess.write is create, change, touch (only the end was moved)
//	sess.session.merges        counter          {write}      saves that met a change made meanwhile and kept both
//	sess.session.conflicts     counter          {write}      saves given up because the session kept changing
//	sess.session.drops         counter          {write}      changes that were not stored: the session had ended, or the response was decided
//	sess.session.renewals      counter          {session}    sessions that moved to a new id
//	sess.session.ends          counter          {session}    sess.reason is destroyed, displaced (MaxPerUser), expired (met after its end)
//	sess.session.rejections    counter          {rejection}  what requests presented and gave no session; sess.reason is signature, unknown, corrupt, _OTHER
//	sess.live.active           up-down counter  {session}    Lives that are open
//	sess.store.errors          counter          {error}      failed operations of the store, conflicts apart
//
// Each metric of a store bears sess.store.name, which is "redis" or "memory" or as [Named] says. Of a [sess.RueidisStore]:
//
//	sess.near_cache.reads          counter          {read}    sess.result is hit, miss (asked the server), joined (waited for the answer to another read)
//	sess.near_cache.stale          counter          {record}  records found and not served: ended, or from a connection without a lease
//	sess.near_cache.discards       counter          {record}  answers not kept because the record changed, or may have, while they were under way
//	sess.near_cache.invalidations  counter          {record}  changes that the server reported
//	sess.near_cache.flushes        counter          {flush}   times a connection was lost, or the server forgot what was read on it
//	sess.near_cache.evictions      counter          {record}  records removed to make room
//	sess.near_cache.entries        up-down counter  {record}  records held
//	sess.near_cache.size           up-down counter  By        their size
//	sess.near_cache.enabled        up-down counter  {cache}   1 if there is a near cache, else 0
//	sess.near_cache.reporting      up-down counter  {cache}   1 if the server reports changes to it, else 0
//	sess.redis.in_flight           up-down counter  {command} commands under way
//
// Of a [sess.MemoryStore]:
//
//	sess.memory.evictions  counter          {session}  sessions evicted before their end to make room
//	sess.memory.sessions   up-down counter  {session}  sessions held
//	sess.memory.limit      up-down counter  {session}  sessions it may hold at most
//
// Of [Hooks]:
//
//	sess.store.operation.duration  histogram  s  sess.store.operation is get, refresh, set, swap, end, destroy; error.type only if it failed
//
// An error.type is timeout, canceled, conflict, corrupt, closed, the code of an error that Redis replied (OOM, READONLY), or _OTHER.
// Ids, users and keys are never attributes.
//
// # Traces
//
// There are none. The hooks of sess are not told the request's context, so its span cannot be found, and OpenTelemetry is about to
// deprecate events on spans. A decorator of the store could find the span of the context that it is given, but it would have to
// pass on every ability of the store, and see no read that the near cache answers.
package otelsess
