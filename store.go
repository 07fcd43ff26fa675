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
//
// One registration costs a few hundred bytes and no goroutine, and what a change costs does not grow with the number of
// registrations: 100,000 of them are normal.
type Watcher interface {
	// Watch tells seen what is kept under id, in the words of Get: once before Watch returns, and then each time the
	// store learns that it may have changed, until stop is called.
	//
	//	seen(r, nil)            the store keeps r
	//	seen(nil, ErrNotFound)  the store keeps nothing: the session was destroyed, or its TTL has passed
	//	seen(nil, ErrCorrupt)   what the store keeps is not a record
	//	seen(nil, ErrClosed)    the store was closed; nothing follows
	//	seen(nil, err)          the store cannot tell, for as long as seen is not called again
	//
	// No change is missed, but one call may stand for several changes, and a call may tell what was told before. When the
	// store can tell again it calls seen, whether something changed meanwhile or not. The calls of one Watch come one
	// after another, and none tells what is older than the call before it told. That a TTL has passed may be told late
	// or, where nobody writes, never: r.Expires says when it does.
	//
	// The first call comes from the goroutine that calls Watch or from one of the store's, all others from the store's.
	// seen must return soon: it must not wait, ask the store, close it or panic. It may call stop. A call may still be
	// under way when stop returns, none begins later; stop may be called again.
	//
	// ctx bounds the call of Watch. If the store cannot tell until then, the error is returned, and stop is nil.
	Watch(ctx context.Context, id ID, seen func(r *Record, err error)) (stop func(), err error)
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
