// Package draft is a session as one request sees it: the record that the request began with, the changes it made, what
// is to become of both, how long the outcome lives, and the record to store. It is pure: it takes no lock, does no I/O,
// knows no HTTP, and is told what time it is.
package draft

// Facts are what the end of a request depends on. Each is true or false by the time it is asked for; none is looked up
// by Decide.
type Facts struct {
	Discarded bool // the handler wants nothing of this stored
	Fate      Fate // what the handler asked for
	Faulty    bool // a write failed: its value cannot be encoded, its key is reserved, it came too late
	Unknown   bool // an earlier save failed, and what the store made of it is not known
	Looked    bool // the presented ids were looked up, or none was presented
	Loaded    bool // and the store did not fail
	Stored    bool // the store holds the session, as far as this request knows
	Ended     bool // the session ended, or was renewed by another request, after it was presented
	Dirty     bool // anything but reading was asked for
	Forced    bool // ForceSave
	Holds     bool // what was written gives a new session a value
	Empty     bool // a new session is to be stored without a value, too (Config.AllowEmpty)
	Changed   bool // what was written makes another record of the stored one
	Last      bool // the request ends; false in Save
}

// Fate is what a handler asked for its session, beside changes.
type Fate uint8

const (
	Keep  Fate = iota
	Renew      // Regenerate: the session goes on under a new id
	Begin      // Login: a session begins under a new id
	End        // Destroy
)

// Verdict is what is to be done next.
type Verdict uint8

const (
	Nothing  Verdict = iota
	Finish           // end the session, then decide about what was written after that
	Refuse           // fail the request: a write failed
	Repeat           // fail the request again, as the earlier save did
	Load             // look the presented id up, then decide
	Drop             // forget the changes, and say that the session has ended
	Create           // store a new session
	Save             // store the changes
	Move             // store the session under a new id, then retire the old one
	LogIn            // begin a session under a new id, then retire the old one
	Touch            // move the end, if that is due
	verdicts         // how many there are
)

// Stores reports whether v stores a record that has the request's changes.
func (v Verdict) Stores() bool { return v == Create || v == Save || v == Move || v == LogIn }

// Decide says what is to be done. The order of the cases is the order of precedence.
func Decide(f Facts) Verdict {
	switch {
	case f.Discarded:
		return Nothing
	case f.Fate == End: // Before anything that may fail: a logout is not to be lost to what comes after it.
		return Finish
	case f.Faulty:
		return Refuse
	case f.Unknown:
		return Repeat
	case !f.Looked && !f.Dirty:
		return Nothing
	case !f.Loaded:
		return Load
	case f.Fate == Begin:
		return LogIn
	case f.Ended && f.Forced && !f.Stored:
		return Create
	case f.Ended && f.Dirty:
		return Drop
	case f.Ended:
		return Nothing
	case !f.Stored && (f.Forced || f.Holds || f.Empty):
		return Create
	case !f.Stored:
		return Nothing
	case f.Fate == Renew:
		return Move
	case f.Dirty && (f.Forced || f.Changed):
		return Save
	case f.Last:
		return Touch
	default:
		return Nothing
	}
}
