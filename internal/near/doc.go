// Package near keeps records of a server in the memory of this process. It knows no Redis: it is told what is sent on a
// connection, what comes back on it and what the server reports.
//
// # How a record gets in
//
// A [Flight] is one read of the server, for all who want that record. [Cache.Join] begins one where none is under way:
//
//	   this node        the connection                                  the server
//
//	1  Join
//	2  Sent           ── read ───────────────────────────────────────▶
//	3  Report         ◀──────────────── report of an earlier change ──
//	                                                                    reads, and will report the next change
//	4  Answered       ◀──────────────────────────── reply to the read ──
//	5  Land
//	6  Report         ◀────────────────────── report of a later change ──
//
// The connection carries replies and reports in the order in which the server made them. So a report that comes before the
// reply to the read (3) is of a change that the read has seen, and the flight goes on. A report that comes after the reply
// (6) is of a change that the read has not seen: it removes the entry, or, if the flight has not landed yet, poisons the
// flight. A poisoned flight is not found by Join any more, and its record is not kept; who waited for it before gets the
// record. The comment of [event] says what else poisons a flight and what removes an entry.
//
// [Cache.Begin] begins a flight whose read is part of a write of this node: the server stores, reads and replies in one
// step.
//
//	1  Begin
//	2  Carried        ── write and read ─────────────────────────────▶  stores and reads, and will report the next change
//	3  Land           ◀───────────────────────────────────── reply ──
//	4  Report         ◀────────────────────── report of a later change ──
//
// Nobody tells when this reply has come, so every report from 2 to 3 poisons the flight. So does [Cache.Strayed]: a server that
// redirects one command, since it is giving the key's slot away, leaves it to a server that does not note who reads.
//
// # This node's own writes
//
// The server does not report a change to the connection that made it, and forgets that the connection has read the key. So
// whoever writes calls [Cache.Invalidate] when the write has ended: when its reply has come, when it was given up, and,
// if it was given up, again when its reply comes or the connection is lost.
//
// # How long a record stays
//
// An entry is served as long as a [Lease] holds that belongs to the connection of its read, until its session ends, and for
// [TTL] at most. Where the server reports nothing, an entry is served until MaxStale after its read began.
//
// A server that is out of memory evicts keys while it carries out a command of this connection. To this connection it does not
// report that, and forgets that the connection has read the key. So whoever watches the connection asks before each
// heartbeat how many keys were evicted, and where that has changed, or is not told, ends the lease: everything is read again. The same
// goes for the readers of a key that a server forgets since it notes those of a bounded number of keys. That it does not count, so a
// server that notes nearly as many as it can is taken for one that tells nothing.
package near
