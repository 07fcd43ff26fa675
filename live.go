package sess

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fibersess/sess/internal/guard"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/live"
	"github.com/fibersess/sess/internal/record"
	"github.com/valyala/fasthttp"
)

// Live is a session outside of a request: a socket, a stream, a job. It ends when the session ends, wherever that happens:
// by a logout, by the end of its time, or when it is renewed or another login begins with it, since who held the old id
// must come again with the new cookie. On another node it ends within RueidisConfig.MaxStale. Other requests that save the
// session or move its end do not end it.
//
// It costs no goroutine. Close it when it is not needed any more: it is an io.Closer, which Fiber's Locals close with the
// connection. A Live is safe for concurrent use; the zero Live is not usable.
type Live struct {
	m    *Manager
	id   ident.ID
	life live.Life
}

var _ io.Closer = (*Live)(nil)

// Detach returns the session as a Live, for what goes on when the request is over. What is not saved yet is saved first, a
// new session too. The error is ErrEnded if the session has ended or was renewed, else the save's or the store's.
func (s Session) Detach(ctx context.Context) (*Live, error) {
	r := s.look()
	if r == nil {
		return nil, s.released("detach")
	}
	pending := r.dirty() || r.draft.Base() == nil
	if r.draft.Base() == nil {
		r.forced = true
	}
	r.guard.Unlock()
	if pending {
		if err := s.Save(); err != nil {
			return nil, err
		}
	}
	if !s.Exists() {
		return nil, &Error{Op: "detach", Err: ErrEnded}
	}
	return s.t.r.m.Open(ctx, s.ID())
}

// Open returns the session of an id as a Live. The error is ErrEnded if there is none, ErrRenewed if it was renewed, else
// the store's.
func (m *Manager) Open(ctx context.Context, id ID) (*Live, error) {
	if m.lives.Closed() {
		return nil, &Error{Op: "open", Err: ErrClosed}
	}
	l := &Live{m: m, id: ident.ID(id)}
	l.life.Begin(&m.lives, m.config.LiveSilence)
	ctx, cancel := context.WithTimeout(ctx, m.config.StoreTimeout)
	defer cancel()
	if m.shelf.revoked != nil { // The watch does not look for revocations: what came back is removed before.
		_, _ = m.shelf.read(ctx, &l.id, true)
	}
	stop, err := m.watcher().Watch(ctx, id, func(r *Record, err error) { l.life.Hear(r.inner(), err) })
	if err == nil {
		err = l.life.Watched(stop)
	} else {
		l.life.End(err)
	}
	if err != nil {
		return nil, &Error{Op: "open", Err: err}
	}
	return l, nil
}

// Done is closed when the session has ended for this Live, and by Close.
func (l *Live) Done() <-chan struct{} { return l.life.Context().Done() }

// Context ends when Done is closed. Its context.Cause says why: ErrEnded, ErrRenewed, ErrExpired; the store's error, if the
// store could not tell for Config.LiveSilence; ErrClosed behind Manager.Close; context.Canceled behind Close.
func (l *Live) Context() context.Context { return l.life.Context() }

// Close lets go of the session, which goes on. A second call does nothing.
func (l *Live) Close() error {
	l.life.End(context.Canceled)
	return nil
}

// Do runs f on the session as it is stored now, and saves what f has written, together with what others saved meanwhile. If
// f returns an error nothing is saved, and the error is f's. It sends no cookie and does not move the session's end. f may
// Destroy; it may not use Login, Regenerate, Remember or SetCookie, since no cookie can tell of them. Config.Valid and
// BeforeSave are not called. The error is ErrEnded if the session has ended or was renewed.
func (l *Live) Do(ctx context.Context, f func(s Session) error) error {
	if alive := l.life.Context(); alive.Err() != nil {
		return &Error{Op: "do", Err: errors.Join(ErrEnded, context.Cause(alive))}
	}
	r := l.m.requests.Get().(*request)
	t := r.bindLive(ctx, &l.id)
	defer func() {
		if r.guard.Leave() == guard.Held {
			r.guard.Unlock()
		}
		_ = t.Close()
	}()
	s := t.session()
	if err := s.Refresh(); err != nil {
		return wrap("do", err)
	}
	if !s.Exists() {
		return &Error{Op: "do", Err: ErrEnded}
	}
	if err := f(s); err != nil {
		return err
	}
	r.guard.Lock()
	defer r.guard.Unlock()
	return wrap("do", r.concludeLate(true))
}

// errInsideDo is why a session in Live.Do cannot be moved.
var errInsideDo = &ownError{errors.New("sess: Live.Do: Login, Regenerate, Remember and SetCookie need a request that can send a cookie")}

// bindLive makes r a request of a Live: it presents id, and can send nothing.
func (r *request) bindLive(ctx context.Context, id *ident.ID) *ticket {
	r.ctx, r.came = &fasthttp.RequestCtx{}, time.Now()
	var sig []byte
	if r.m.ring != nil {
		sig = r.m.ring.Sign(nil, id)
	}
	r.signed = r.jar.Take(id.Bytes(), sig, r.m.ring)
	r.alone, r.loaded, r.at = true, !r.signed, r.came
	if !r.m.shelf.local {
		r.base = ctx
	}
	r.guard.Begin(true)
	return r.ticket()
}

// Format prints nothing of the session, for every verb.
func (l *Live) Format(f fmt.State, _ rune) { io.WriteString(f, "sess.Live") }

// Close ends every [Live] of m, with the cause ErrClosed, and what watches for them. Requests are served on, and the store
// stays open. A second call does nothing.
func (m *Manager) Close() error {
	m.lives.Close()
	m.polling.Lock()
	poller := m.poller
	m.poller = nil
	m.polling.Unlock()
	if poller != nil {
		poller.Close()
	}
	return nil
}

// watcher returns the store's Watcher, or that of the store that it decorates; else one that asks.
func (m *Manager) watcher() Watcher {
	if w, ok := capability[Watcher](m.config.Store); ok {
		return w
	}
	m.polling.Lock()
	defer m.polling.Unlock()
	if m.poller == nil {
		m.poller = live.NewPoller(m.config.StoreTimeout, func(ctx context.Context, id *ident.ID) (*record.Record, error) {
			return m.shelf.read(ctx, id, true)
		})
	}
	return polling{m.poller}
}

// polling is the Watcher of a store that is none.
type polling struct{ *live.Poller }

func (p polling) Watch(ctx context.Context, id ID, seen func(*Record, error)) (stop func(), err error) {
	return p.Poller.Watch(ctx, ident.ID(id), func(r *record.Record, err error) { seen((*Record)(r), err) })
}
