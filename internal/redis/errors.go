package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fibersess/sess/internal/record"
	"github.com/redis/rueidis"
)

// The reasons for which a store cannot be opened, as the root says them.
var (
	ErrVersion = errors.New("sess: redis version: got less than 6.2; want 6.2 or later")
	ErrReplica = errors.New("sess: redis role: got a replica; want the master's address, or Sentinels or a cluster that know it")
	ErrAuth    = errors.New("sess: redis auth: got a refusal; want a user and password that may do what docs/operations.md lists")
)

var (
	errReply         = errors.New("a reply of another kind than the command has")
	errNothingToSwap = errors.New("sess: redis swap: got neither an old nor a next record; want at least one")
)

func errTTL(op string, ttl time.Duration) error {
	return fmt.Errorf("sess: redis %s: ttl: got %v; want more than 0", op, ttl)
}

// Error is an error that a server replied. The root's RedisError says what its fields mean.
type Error struct {
	Op   string // what was done: get, set, swap, end, destroy, connect
	Code string // the first word of the reply: OOM, READONLY, NOPERM
	Text string // the reply; empty where it may quote an id or a value
	as   func(e *Error, target any) bool
}

func (e *Error) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("sess: redis %s: the server replied %s", e.Op, e.Code)
	}
	return fmt.Sprintf("sess: redis %s: the server replied %q", e.Op, e.Text)
}

// As makes e the error of the root's type, for errors.As.
func (e *Error) As(target any) bool { return e.as != nil && e.as(e, target) }

// failure returns what a caller is told of err.
func (s *Store) failure(t task, err error) error {
	if err == nil || err == record.ErrNotFound {
		return err
	}
	var told *Error
	var early *notConnected
	switch {
	case errors.As(err, &early):
	case errors.As(err, &told):
		return err
	case errors.Is(err, rueidis.ErrClosing):
		err = record.ErrClosed
	}
	code, text, ok := replied(err)
	switch {
	case !ok || early != nil:
		return fmt.Errorf("sess: redis %s: %w", t.op, err)
	case code == "WRONGTYPE":
		return fmt.Errorf("sess: redis %s: %w: the key holds no string", t.op, record.ErrCorrupt)
	default:
		return &Error{Op: t.op, Code: code, Text: sentence(text, t.secrets(s.Prefix)), as: s.As}
	}
}

// errorCode returns the code of an error that a server replied.
func errorCode(err error) (string, bool) {
	code, _, ok := replied(err)
	return code, ok
}

// replied returns the code and the text of an error that a server replied. Servers before 7.0 put what a script met into
// a text of theirs: "ERR Error running script (call to f_…): @user_script:2: @user_script: 2: -OOM command not allowed …".
func replied(err error) (code, text string, ok bool) {
	var reply *rueidis.RedisError
	if !errors.As(err, &reply) || reply.IsNil() {
		return "", "", false
	}
	code, text = coded(reply.Error())
	return code, text, true
}

// coded returns the code and the text of a reply, of which rueidis takes "ERR " away.
func coded(text string) (code, whole string) {
	text = strings.TrimPrefix(text, "ERR ")
	if strings.HasPrefix(text, "Error running script") {
		if _, cause, ok := strings.Cut(text, ": -"); ok {
			text = strings.TrimPrefix(cause, "ERR ")
		}
	}
	code, _, _ = strings.Cut(text, " ")
	if code == "" || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "ERR", "ERR " + text
	}
	return code, text
}

// maxSentence is the longest text of a server that is told, in bytes.
const maxSentence = 400

// sentence returns what of a server's text may be told: nothing if it quotes a secret, or looks as if it quoted a value.
// To the reply to a command that it does not know a server adds the first arguments, and to that of a script where it
// was.
func sentence(text string, secrets []string) string {
	text, _, _ = strings.Cut(text, ", with args beginning with")
	text, _, _ = strings.Cut(text, " script: ")
	if len(text) > maxSentence || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '{' || r == '"' }) {
		return ""
	}
	for _, s := range secrets {
		if s != "" && strings.Contains(text, s) {
			return ""
		}
	}
	return text
}

// permission returns the permission that a server's text says is missing, as ACL SETUSER wants it, empty if it names none:
//
//	NOPERM this user has no permissions to run the 'client|tracking' command
func permission(text string) string {
	_, rest, ok := strings.Cut(text, " run the '")
	if !ok {
		return ""
	}
	command, _, ok := strings.Cut(rest, "'")
	if !ok {
		return ""
	}
	return "+" + command
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// refusal is why a store cannot be opened that will not pass by itself.
type refusal struct{ err error }

func (e *refusal) Error() string { return e.err.Error() }
func (e *refusal) Unwrap() error { return e.err }

func refused(format string, args ...any) error { return &refusal{fmt.Errorf(format, args...)} }

// unseen reports whether err says that the store cannot tell what the server keeps.
func unseen(err error) bool {
	return err != nil && !errors.Is(err, record.ErrNotFound) && !errors.Is(err, record.ErrCorrupt)
}

// unanswered reports whether err says that no server has answered.
func unanswered(err error) bool {
	var told *Error
	return unseen(err) && !errors.As(err, &told) && !errors.Is(err, record.ErrClosed)
}
