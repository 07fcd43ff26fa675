package sess

import (
	"context"
	"fmt"
	"io"

	"github.com/fibersess/sess/internal/engine"
	"github.com/fibersess/sess/internal/ident"
)

// Live is a session outside of a request: a socket, a stream, a job. It ends when the session ends, wherever that happens:
// by a logout, by the end of its time, or when it is renewed or another login begins with it, since who held the old id
// must come again with the new cookie. On another node it ends within RueidisConfig.MaxStale. Other requests that save the
// session or move its end do not end it.
//
// It costs no goroutine. Close it when it is not needed any more: it is an io.Closer, which Fiber's Locals close with the
// connection. A Live is safe for concurrent use; the zero Live is not usable.
type Live engine.Live

func (l *Live) inner() *engine.Live { return (*engine.Live)(l) }

var _ io.Closer = (*Live)(nil)

// Detach returns the session as a Live, for what goes on when the request is over. What is not saved yet is saved first, a
// new session too. The error is ErrEnded if the session has ended or was renewed, else the save's or the store's.
func (s Session) Detach(ctx context.Context) (*Live, error) {
	l, err := s.handle().Detach(ctx)
	return (*Live)(l), outer(err)
}

// Open returns the session of an id as a Live. The error is ErrEnded if there is none, ErrRenewed if it was renewed, else
// the store's.
func (m *Manager) Open(ctx context.Context, id ID) (*Live, error) {
	l, err := m.engine.Open(ctx, ident.ID(id))
	return (*Live)(l), outer(err)
}

// Done is closed when the session has ended for this Live, and by Close.
func (l *Live) Done() <-chan struct{} { return l.inner().Context().Done() }

// Context ends when Done is closed. Its context.Cause says why: ErrEnded, ErrRenewed, ErrExpired; the store's error, if the
// store could not tell for Config.LiveSilence; ErrClosed after Manager.Close; context.Canceled after Close.
func (l *Live) Context() context.Context { return l.inner().Context() }

// Close lets go of the session, which goes on. A second call does nothing.
func (l *Live) Close() error {
	l.inner().Close()
	return nil
}

// Do runs f on the session as it is stored now, and saves what f has written, together with what others saved meanwhile. If
// f returns an error nothing is saved, and the error is f's. It sends no cookie and does not move the session's end. f may
// Destroy; it may not use Login, Regenerate, Remember or SetCookie, since no cookie can tell of them. Config.Valid and
// BeforeSave are not called. The error is ErrEnded if the session has ended or was renewed.
func (l *Live) Do(ctx context.Context, f func(s Session) error) error {
	return outer(l.inner().Do(ctx, func(h engine.Handle) error { return f(Session(h)) }))
}

// Format prints nothing of the session, for every verb.
func (l *Live) Format(f fmt.State, _ rune) { io.WriteString(f, "sess.Live") }

// Close ends every [Live] of m, with the cause ErrClosed, and what watches for them. Requests are served on, and the store
// stays open. A second call does nothing.
func (m *Manager) Close() error {
	m.engine.Close()
	return nil
}
