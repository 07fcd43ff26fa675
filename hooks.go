package sess

// Hooks are functions that hear what happens to sessions, for logs, metrics and alarms. A nil function costs nothing.
//
// They run on the request's goroutine, in the middle of it (Dropped for a handle whose request is over: on the goroutine
// that uses it): they must be quick, safe for concurrent use, and must not use the session they hear of.
type Hooks struct {
	Created     func(Event) // A new record was stored.
	Saved       func(Event) // A record was changed or, when rolling, renewed.
	Merged      func(Event) // A save met a change made meanwhile and kept both. Followed by Saved.
	Dropped     func(Event) // A change was not stored; Event.Reason says why. The response stays as it was.
	Destroyed   func(Event) // A record was removed by Destroy.
	Regenerated func(Event) // A session moved from the id Event.Old to Event.ID.
	Rejected    func(Event) // What the request presented gave no session; Event.Reason says why.
	Expired     func(Event) // A record's own end had passed, though the store still held it.
	StoreError  func(Event) // The store failed; Event.Err says how. The client hears only 503.
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

// emit calls hook, if there is one.
func emit(hook func(Event), e Event) {
	if hook != nil {
		hook(e)
	}
}
