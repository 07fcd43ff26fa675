package engine

import (
	"errors"
	"net/http"

	"github.com/fibersess/sess/internal/record"
)

// The errors that this package returns beside those of internal/record. The root says what each means.
var (
	ErrUnsupported   = errors.New("sess: unsupported: the store cannot do this: Take needs a Swapper, Manager.User a UserIndex beside it")
	ErrLoginRequired = errors.New("sess: login required: nobody is logged in")
	ErrLoginTooOld   = errors.New("sess: login too old: the user is to be asked for the password again")
	ErrReleased      = errors.New("sess: released: the request of this handle is over, or no session middleware runs here")
	ErrCommitted     = errors.New("sess: committed: written after the response was decided; a stored session takes it by Save, a new one cannot begin")
)

// Failure is the root's Error, which has the same fields: each converts to the other.
type Failure struct {
	Op  string
	Err error
}

// Error is the text of the HTTP status: nothing else may reach a client.
func (e *Failure) Error() string { return http.StatusText(e.Status()) }

// Unwrap returns what went wrong.
func (e *Failure) Unwrap() error { return e.Err }

// Status returns the HTTP status: 503 if the store failed, 401 or 403 if nobody is at fault, else 500.
func (e *Failure) Status() int {
	if status := Refusal(e.Err); status != 0 {
		return status
	}
	if _, own := errors.AsType[*ownError](e.Err); own {
		return http.StatusInternalServerError
	}
	for _, own := range [...]error{record.ErrTooLarge, record.ErrReserved, ErrCommitted, ErrUnsupported, ErrReleased} {
		if errors.Is(e.Err, own) {
			return http.StatusInternalServerError
		}
	}
	return http.StatusServiceUnavailable
}

// Refusal returns the status for err if that is nobody's fault, else 0.
func Refusal(err error) int {
	switch {
	case errors.Is(err, record.ErrEnded), errors.Is(err, record.ErrLoginRefused), errors.Is(err, ErrLoginRequired):
		return http.StatusUnauthorized
	case errors.Is(err, ErrLoginTooOld):
		return http.StatusForbidden
	}
	return 0
}

// ofStore reports whether the store failed, and not the application.
func (e *Failure) ofStore() bool { return e.Status() == http.StatusServiceUnavailable }

// wrap makes err what a Handle returns.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Failure); ok {
		return e
	}
	return &Failure{Op: op, Err: err}
}

// ownError marks a failure of the application's own making.
type ownError struct{ error }

func (e *ownError) Unwrap() error { return e.error }
