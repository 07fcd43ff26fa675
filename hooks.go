package sess

import (
	"iter"
	"time"

	"github.com/fibersess/sess/internal/engine"
	"github.com/fibersess/sess/internal/tally"
)

// Hooks are functions that hear what happens to sessions, for logs, metrics and alarms. A nil function costs nothing.
//
// They run on the request's goroutine, in the middle of it (Dropped for a handle whose request is over: on the goroutine
// that uses it): they must be quick, safe for concurrent use, and must not use the session they hear of.
type Hooks struct {
	Created     func(Event) // A new record was stored.
	Saved       func(Event) // A record was changed or, when rolling, renewed.
	Merged      func(Event) // A save met a change made meanwhile and kept both. Followed by Saved.
	Dropped     func(Event) // A change was not stored; Event.Reason says why. The response stays as it was.
	Destroyed   func(Event) // A session was ended, by Destroy, by Manager.End, or by End, EndAll or EndOthers of a User.
	Regenerated func(Event) // A session moved from the id Event.Old to Event.ID.
	Displaced   func(Event) // A session was ended because its user has more than Config.MaxPerUser.
	Rejected    func(Event) // What the request presented gave no session; Event.Reason says why.
	Expired     func(Event) // A record's own end had passed, though the store still held it.
	StoreError  func(Event) // The store failed; Event.Err says how. The client hears only 503.

	// Store hears of every call of the store: "get", "refresh", "set", "swap", "end", "destroy", and of its index of users:
	// "enter", "entries", "leave", "admit", "mark"; how long it took, and its error, where a miss and a refused login are none.
	// Reads that the store's memory answers are no calls.
	Store func(op string, took time.Duration, err error)
}

// Event is what a hook is told. Its ID prints as a hash, see [ID]. Fields that do not apply are zero.
type Event struct {
	ID     ID
	Old    ID
	Reason Reason
	Err    error
}

// Reason says why a session was rejected or a change dropped.
type Reason string

// The reasons of Rejected and Dropped.
const (
	ReasonSignature Reason = "signature" // No presented signature fits the id. The ID is zero.
	ReasonUnknown   Reason = "unknown"   // The store holds nothing under the id.
	ReasonInvalid   Reason = "invalid"   // Config.Valid said no.
	ReasonCorrupt   Reason = "corrupt"   // What the store holds is not a record.
	ReasonRenewed   Reason = "renewed"   // The session moved to a new id meanwhile.
	ReasonGone      Reason = "gone"      // The session was destroyed or expired meanwhile.
	ReasonCommitted Reason = "committed" // Written after the response was decided, and never saved.
	ReasonReleased  Reason = "released"  // Written through a handle whose request is over. The ID is zero.
	ReasonOrphaned  Reason = "orphaned"  // The request ended, by a timeout for one, while its handler still ran.
)

// inner are h in the words of the engine.
func (h Hooks) inner() engine.Hooks {
	of := func(hook func(Event)) func(engine.Event) {
		if hook == nil {
			return nil
		}
		return func(e engine.Event) { hook(Event{ID(e.ID), ID(e.Old), Reason(e.Reason), e.Err}) }
	}
	return engine.Hooks{
		Created: of(h.Created), Saved: of(h.Saved), Merged: of(h.Merged), Dropped: of(h.Dropped), Destroyed: of(h.Destroyed),
		Regenerated: of(h.Regenerated), Displaced: of(h.Displaced), Rejected: of(h.Rejected), Expired: of(h.Expired),
		StoreError: of(h.StoreError), Store: h.Store,
	}
}

// Stats are a manager's counts since it was made; all but Lives only grow.
type Stats struct {
	Loaded        uint64 // Records found for a request.
	Created       uint64 // Records stored under a new id, renewals included.
	Saved         uint64 // Records changed.
	Touched       uint64 // Records whose end was moved and nothing else.
	Merged        uint64 // Saves that met a change made meanwhile and kept both.
	Dropped       uint64 // Changes that were not stored, see Hooks.Dropped.
	Destroyed     uint64 // Sessions ended by Destroy, Manager.End and the methods of User, displaced ones included.
	Displaced     uint64 // Sessions ended because their user has more than Config.MaxPerUser.
	Regenerated   uint64 // Sessions that moved to a new id.
	Rejected      uint64 // What requests presented and gave no session, for any reason: the next three, and others.
	BadSignatures uint64 // Rejected for want of a good signature.
	Unknown       uint64 // Rejected because the store holds nothing under the id.
	Corrupt       uint64 // Rejected because what the store holds is not a record.
	Expired       uint64 // Records met after their own end.
	StoreErrors   uint64 // Failed store operations, conflicts included.
	Conflicts     uint64 // Saves given up because the session kept changing until the deadline.
	Lives         int    // Lives that are open.
}

// All yields the name of each field and its number.
func (s Stats) All() iter.Seq2[string, int64] { return tally.Each(s) }

// Stats returns the counts of this moment. It may be called at any time. It costs some hundred loads and a lock for Lives.
func (m *Manager) Stats() Stats { return Stats(m.engine.Stats()) }
