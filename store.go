package sess

import (
	"context"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/record"
)

// Store keeps sessions. Three methods make a store that every feature but Take and the exactness of Update works on;
// a store that is a [Swapper] too has these as well, and loses no update between parallel requests.
//
// All methods are safe for concurrent use. They obey ctx: when it ends they return its error, wrapped or bare, soon.
// Text of an id or a record never stands in an error.
//
// The suite sesstest.TestStore holds a store to this contract.
type Store interface {
	// Get returns the record kept under id. The error is ErrNotFound if there is none or its TTL has passed,
	// ErrCorrupt if what is kept is not a record; any other error says that the store could not tell.
	Get(ctx context.Context, id ID) (*Record, error)

	// Set keeps r under id for ttl, which is positive, and replaces what is there.
	Set(ctx context.Context, id ID, r *Record, ttl time.Duration) error

	// Destroy removes what is kept under id. It returns nil if there is nothing.
	Destroy(ctx context.Context, id ID) error
}

// Swapper is a store that can compare and swap, in one atomic step among all its users.
type Swapper interface {
	// Swap replaces old by next if the store holds old, where equal means equal bytes, and keeps it for ttl.
	//
	//	old nil       create: only if nothing is kept under id
	//	next nil      destroy: ttl is ignored
	//	old == next   renew the TTL
	//
	// It returns next and nil when done. If something other than old is kept it returns that and nil: the caller
	// lost, and has what it needs to try again. If old is not nil and nothing is kept the error is ErrNotFound; if
	// what is kept is not a record it is ErrCorrupt. After any other error the swap may or may not have happened.
	Swap(ctx context.Context, id ID, old, next *Record, ttl time.Duration) (current *Record, err error)
}

// Ender is a store that can end a session in one step, so that no writer can keep a logout from happening.
type Ender interface {
	// End removes the session that is kept under id, whatever its record is, and returns nil and nil. What is no session,
	// the record that a renewal leaves behind, stays and is returned. If nothing is kept the error is ErrNotFound. What is
	// kept and is not a record is removed.
	End(ctx context.Context, id ID) (left *Record, err error)
}

// Peeker is a store that holds some records in the memory of this process.
type Peeker interface {
	// Peek returns the record of id if it is at hand and may be served at now. It does no I/O and does not allocate.
	Peek(id ID, now time.Time) (r *Record, ok bool)
}

// Refresher is a store that may answer Get from a cache and can also look past it.
type Refresher interface {
	// Refresh is Get, answered by the server and not by a cache.
	Refresh(ctx context.Context, id ID) (*Record, error)
}

// Watcher is a store that hears of changes made anywhere.
type Watcher interface {
	// Watch calls changed, from a goroutine of the store's, each time the record of id may have changed or ended,
	// also when the store lost sight of it for a moment, until stop is called. changed must not block,
	// panic or close the store. One call may stand for several changes.
	Watch(ctx context.Context, id ID, changed func()) (stop func(), err error)
}

// Local is a store without I/O: its methods return at once whatever the context, so callers need not make a deadline.
type Local interface {
	// Local does nothing; having it is the statement.
	Local()
}

// The errors a caller may want to branch on. Compare with errors.Is.
var (
	// ErrNotFound: the store holds nothing under this id, or it has expired.
	ErrNotFound = record.ErrNotFound

	// ErrCorrupt: what is kept under this id is not a record: not a JSON object, not valid, a member twice, too deep
	// or too large.
	ErrCorrupt = record.ErrCorrupt

	// ErrTooLarge: the record would be larger than Config.MaxRecordBytes; nothing was stored.
	ErrTooLarge = record.ErrTooLarge

	// ErrConflict: others changed the session again and again until StoreTimeout passed; nothing was stored.
	ErrConflict = errors.New("sess: conflict: the session kept changing until the deadline; nothing was stored")

	// ErrUnsupported: the store cannot do this atomically because it is not a Swapper.
	ErrUnsupported = errors.New("sess: unsupported: the store is not a Swapper; Take needs one")

	// ErrReserved: the keys "cookie" and "$" belong to the session layer.
	ErrReserved = errors.New(`sess: reserved key: "cookie" and "$" belong to the session layer; choose another`)

	// ErrReleased: the request this session handle came from is over, or no session middleware ran in it.
	ErrReleased = errors.New("sess: released: the request of this handle is over, or no session middleware runs here")

	// ErrCommitted: the middleware has already saved this session; call Save to store later changes.
	ErrCommitted = errors.New("sess: committed: the session was already saved; call Save to store this change")

	// ErrClosed: the store was closed.
	ErrClosed = record.ErrClosed
)
