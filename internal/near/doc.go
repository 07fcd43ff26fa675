// Package near keeps records of a server in the memory of this process. It knows no Redis: it is told what is sent on a
// connection, what comes back on it and what the server reports.
//
// # How a record gets in
//
// A [Flight] is one read of the server, for all who want that record. [Cache.Join] begins one where none is under way.
// [Cache.Begin] begins one that reads a record behind a write of this node, in the same round trip:
//
//	   this node        the connection                                  the server
//
//	1  Begin
//	2  Sent           ── write ──────────────────────────────────────▶  stores
//	                  ── read ───────────────────────────────────────▶  reads, and will report the next change
//	                  ◀─────────────────────────── reply to the write ──
//	3  Report         ◀────────────────────── report of that write ──   if this node had read the record before
//	4  Answered       ◀──────────────────────────── reply to the read ──
//	5  Land
//	6  Report         ◀───────────────────── report of a later write ──
//
// The connection carries replies and reports in the order in which the server made them. So a report that comes before the
// reply to the read (3) is of a change that the read has seen, and the flight goes on. A report that comes behind the reply
// (6) is of a change that the read has not seen: it removes the entry, or, if the flight has not landed yet, poisons the
// flight.
//
// A poisoned flight is not found by Join any more, and its record is not kept; who waited for it before gets the record.
// The comment of [event] says what else poisons a flight and what removes an entry.
//
// # How long a record stays
//
// An entry is served as long as a [Lease] holds that belongs to the connection of its read, until its session ends, and for
// [TTL] at most. Where the server reports nothing, an entry is served until MaxStale after its read began.
package near
