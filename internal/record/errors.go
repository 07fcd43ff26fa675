package record

import "errors"

var (
	// ErrNotFound: the store holds nothing under this id, or it has expired.
	ErrNotFound = errors.New("sess: session not found")

	// ErrClosed: the store was closed.
	ErrClosed = errors.New("sess: store is closed")

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
