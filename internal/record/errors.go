package record

import (
	"context"
	"errors"
)

var (
	// ErrNotFound: the store holds nothing under this id, or it has expired.
	ErrNotFound = errors.New("sess: session not found")

	// ErrClosed: the store was closed.
	ErrClosed = errors.New("sess: store is closed")

	ErrEnded   = errors.New("sess: ended: the session ended or was renewed while this request had it; nothing was stored")
	ErrRenewed = errors.New("sess: renewed: the session goes on under another id; come again with the new cookie")
	ErrExpired = errors.New("sess: expired: the session's time is over")

	// ErrCorrupt: what is kept under this id is not a record: not a JSON object, not valid, a member twice, too deep
	// or too large.
	ErrCorrupt = errors.New("sess: record is corrupt")

	// ErrConflict: others changed the session again and again until the deadline; nothing was stored.
	ErrConflict = errors.New("sess: conflict: the session kept changing until the deadline; nothing was stored")

	// ErrLoginRefused: all sessions of the user were ended after the request of this login began, or the login is itself
	// among the oldest above Config.MaxPerUser; there is no session.
	ErrLoginRefused = errors.New("sess: login refused: the user's sessions were ended meanwhile; log in again")

	// ErrReserved: the key belongs to the session layer.
	ErrReserved = errors.New(`sess: reserved key: "cookie" and "$" belong to the session layer; choose another`)

	// ErrTooLarge: the record would be larger than Config.MaxRecordBytes; nothing was stored.
	ErrTooLarge = errors.New("sess: record too large: store less in the session, or raise Config.MaxRecordBytes")
)

// Conflicting returns err, of a swap that followed one which another's had been faster than. Where the deadline ended within
// it, the error is also ErrConflict.
func Conflicting(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &lateConflict{err}
	}
	return err
}

// lateConflict is an ErrConflict where the last try was under way when the deadline ended.
type lateConflict struct{ cause error }

func (e *lateConflict) Error() string {
	return "sess: conflict: the session kept changing until the deadline, and whether the last try was stored is not known: " + e.cause.Error()
}
func (e *lateConflict) Is(target error) bool { return target == ErrConflict }
func (e *lateConflict) Unwrap() error        { return e.cause }
