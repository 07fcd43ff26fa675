package sess

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/fibersess/sess/internal/engine"
	"github.com/fibersess/sess/internal/httpstatus"
	"github.com/fibersess/sess/internal/record"
	"github.com/gofiber/fiber/v2"
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
	// ErrCorrupt if what is kept is not a record; any other error says that the store could not tell. What is kept under an
	// id that was renewed is a tombstone, for some seconds: it is a record, and no session, see [Record.IsSession].
	Get(ctx context.Context, id ID) (*Record, error)

	// Set keeps r under id for ttl, which is positive, and replaces what is there.
	Set(ctx context.Context, id ID, r *Record, ttl time.Duration) error

	// Destroy removes what is kept under id, and nothing else: [Manager.End] follows renewals. It returns nil if there is
	// nothing.
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
	// End returns the record that is kept under id, and removes it if it is a session, as Record.IsSession says: whichever
	// session that is when the store does it. If nothing is kept the error is ErrNotFound. What is kept and is no record is
	// removed, and End returns nil and nil.
	End(ctx context.Context, id ID) (was *Record, err error)
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
	// or, where nobody reads or writes, never: r.Expires says when it does.
	//
	// The first call comes from the goroutine that calls Watch or from one of the store's, all others from the store's.
	// seen must return soon: it must not wait, ask the store, close it or panic. It may call stop. A call may still be
	// under way when stop returns, none begins later; stop may be called again.
	//
	// ctx bounds the call of Watch. If the store cannot tell until then, the error is returned, and stop is nil.
	Watch(ctx context.Context, id ID, seen func(r *Record, err error)) (stop func(), err error)
}

// UserIndex is a store that keeps, for each user, the ids of the user's sessions: the user's entries. What it keeps is
// apart from the records, which may lie on another server: no call reads or writes a record. Each call is one atomic
// step among all that name the same user.
//
// A user is any text of 1 to 256 bytes. A store that is a UserIndex is a [UserMarker] too.
//
// There may be an entry without a record, never for long a record without its entry: who makes a session writes the
// entry first. An entry is forgotten some time after the instant until which it is needed, and so is a user without
// entries and marks.
type UserIndex interface {
	// Enter adds the entry e, or moves it, and keeps it at least for the time keep, which is positive. It never shortens
	// what an earlier call has said. If grace is positive the record of a new entry is still being made, and Leave with
	// a grace leaves the entry alone for that time.
	Enter(ctx context.Context, user string, e UserEntry, keep, grace time.Duration) error

	// Entries returns the entries of a user, some hundreds at a time: those behind the page that gave cursor, the first
	// ones if it is empty. An entry that is there from the first page to the last is in one of them; it may be in two.
	Entries(ctx context.Context, user string, cursor string) (UserPage, error)

	// Leave removes entries. With a positive grace the caller knows no more than that these have no record, and an entry
	// stays that may be one of a session that is being made: one whose login is younger than grace, or that Enter
	// was given a grace for which has not passed.
	Leave(ctx context.Context, user string, entries []UserEntry, grace time.Duration) error
}

// UserMarker is a [UserIndex] that can bar logins which began too early.
type UserMarker interface {
	// Admit adds an entry for a login and returns its login time, by the store's clock in whole milliseconds; keep is as in
	// Enter. The zero ID adds no entry and only asks. If the user has a mark that is not a.Pass and was left after the
	// request began, or if that cannot be told, the error is [ErrLoginRefused] and there is no entry.
	Admit(ctx context.Context, user string, id ID, keep time.Duration, a LoginAttempt) (login time.Time, err error)

	// Mark leaves a mark that bars every login of the user whose request began before this call, for an hour at least. It
	// returns the mark, for Admit to let pass what the same request does next; zero if an earlier mark, other than
	// a.Pass, bars that request already.
	Mark(ctx context.Context, user string, a LoginAttempt) (UserMark, error)
}

// UserEntry names a session in its user's entries.
type UserEntry struct {
	ID    ID
	Login time.Time // when the user logged in, in whole milliseconds
}

// UserPage is a part of a user's entries.
type UserPage struct {
	Entries []UserEntry
	Cursor  string // of the next page; empty: this is the last one

	// Added changes whenever an entry is added: where it is the same in the first and the last page, none was added
	// between the two.
	Added uint64
}

// UserMark is a mark that UserMarker.Mark has left. The zero UserMark is none.
type UserMark int64

// LoginAttempt is what a login, or a call that leaves a mark, says of its request.
type LoginAttempt struct {
	Began time.Time // with its reading of the monotonic clock, as time.Now returns it
	Pass  UserMark  // the mark that this request has left itself
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

	// ErrConflict: others changed the session again and again until StoreTimeout passed. Nothing was stored, unless the
	// error is context.DeadlineExceeded too: then whether the last try was stored is not known.
	ErrConflict = record.ErrConflict

	// ErrUnsupported: the store lacks what this takes: Take needs a Swapper, Manager.User a Swapper that is a UserIndex and
	// a UserMarker.
	ErrUnsupported = engine.ErrUnsupported

	// ErrLoginRefused: all sessions of the user were ended after the request of this login began, or the login is itself
	// among the oldest above Config.MaxPerUser; there is no session.
	ErrLoginRefused = record.ErrLoginRefused

	// ErrLoginRequired: nobody is logged in, where [RequireLogin] or [Session.CheckLogin] wants a user. Fiber answers it with 401.
	ErrLoginRequired = engine.ErrLoginRequired

	// ErrLoginTooOld: the login is older than [RequireLogin] or [Session.CheckLogin] admits: ask for the password, and call
	// [Session.Login] again. Fiber answers it with 403.
	ErrLoginTooOld = engine.ErrLoginTooOld

	// ErrReserved: the keys "cookie" and "$" belong to the session layer.
	ErrReserved = record.ErrReserved

	// ErrEnded: the session ended, or another request renewed it, after this request had read it. Nothing was stored.
	// Returned from a Fiber handler it is answered with 401.
	ErrEnded = record.ErrEnded

	// ErrRenewed: a Live has ended because its session was renewed, or because another login began with it.
	ErrRenewed = record.ErrRenewed

	// ErrExpired: a Live has ended because the time of its session was over.
	ErrExpired = record.ErrExpired

	// ErrReleased: the request this session handle came from is over, or no session middleware ran in it.
	ErrReleased = engine.ErrReleased

	// ErrCommitted: the response was decided before this write. Save stores changes of a session that exists; a new session
	// cannot begin, since its cookie can no longer be sent.
	ErrCommitted = engine.ErrCommitted

	// ErrClosed: the store was closed.
	ErrClosed = record.ErrClosed
)

// Error is how the session layer fails a request. Its text is that of the HTTP status alone, since Fiber's default
// ErrorHandler sends it to the client: 503 if the store failed, 401 if the session has ended, a login was refused or is wanted, 403 if
// it is too old, else 500. The cause is for errors.Is and errors.As, for log/slog and for the verb %+v.
type Error struct {
	Op  string // "load", "save", "destroy", "regenerate", "login", "take", "refresh", "remember", "cookie", "users", "use"
	Err error  // what went wrong
}

func (e *Error) Error() string { return http.StatusText(e.Status()) }

// As gives errors.As the fiber.Error of the status, that of Fiber v2 and that of Fiber v3.
func (e *Error) As(target any) bool { return httpstatus.As(target, e.Status()) }

// Unwrap gives the cause, and the fiber.Error of Fiber v2 that has the status.
func (e *Error) Unwrap() []error {
	for _, known := range [...]*fiber.Error{fiber.ErrServiceUnavailable, fiber.ErrUnauthorized, fiber.ErrForbidden} {
		if known.Code == e.Status() {
			return []error{known, e.Err}
		}
	}
	return []error{fiber.ErrInternalServerError, e.Err}
}

// Format prints the status, and for %+v what went wrong.
func (e *Error) Format(f fmt.State, verb rune) {
	switch {
	case verb == 'v' && (f.Flag('+') || f.Flag('#')):
		fmt.Fprintf(f, "%s: %s: %v", e.Error(), e.Op, e.Err)
	case verb == 'q':
		fmt.Fprintf(f, "%q", e.Error())
	default:
		io.WriteString(f, e.Error())
	}
}

// LogValue is what went wrong, for log/slog.
func (e *Error) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", e)) }

// Status returns the HTTP status. It tells the store's failures, which pass, from the program's, which do not, and from an end
// that is nobody's fault.
func (e *Error) Status() int { return (*engine.Failure)(e).Status() }

// outer makes an error of the engine what the application sees.
func outer(err error) error {
	if e, ok := err.(*engine.Failure); ok {
		return (*Error)(e)
	}
	return err
}

// answerable is outer, and for an ErrEnded or the like that has no status of its own, with the one that Fiber is to answer.
func answerable(err error) error {
	err = outer(err)
	if _, says := errors.AsType[*fiber.Error](err); !says && engine.Refusal(err) != 0 {
		return &Error{Op: "save", Err: err}
	}
	return err
}

// statusOf returns the HTTP status for what an ErrorHandler returned.
func statusOf(err error) int {
	if fe, ok := errors.AsType[*fiber.Error](err); ok {
		return fe.Code
	}
	return http.StatusInternalServerError
}
