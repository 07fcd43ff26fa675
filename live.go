package sess

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/guard"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/poll"
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
	m      *Manager
	id     ident.ID
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	stop   func()      // of the watch; nil: it is not there yet, or the Live has ended
	timer  *time.Timer // runs until the Live must end if nothing is heard
	ends   time.Time   // of the session; zero: unknown
	silent time.Time   // since when the store cannot tell; zero: it can
	reason error       // why it cannot
	ended  bool
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
	if m.lives.closed() {
		return nil, &Error{Op: "open", Err: ErrClosed}
	}
	l := &Live{m: m, id: ident.ID(id)}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	ctx, cancel := context.WithTimeout(ctx, m.config.StoreTimeout)
	defer cancel()
	stop, err := m.watcher().Watch(ctx, id, l.hear)
	if err != nil {
		l.end(err)
		return nil, &Error{Op: "open", Err: err}
	}
	l.mu.Lock()
	ended := l.ended
	if !ended {
		l.stop = stop
		m.lives.add(l)
	}
	l.mu.Unlock()
	if ended {
		stop()
		return nil, &Error{Op: "open", Err: context.Cause(l.ctx)}
	}
	return l, nil
}

// Done is closed when the session has ended for this Live, and by Close.
func (l *Live) Done() <-chan struct{} { return l.ctx.Done() }

// Context ends when Done is closed. Its context.Cause says why: ErrEnded, ErrRenewed, ErrExpired; the store's error, if the
// store could not tell for Config.LiveSilence; ErrClosed behind Manager.Close; context.Canceled behind Close.
func (l *Live) Context() context.Context { return l.ctx }

// Close lets go of the session, which goes on. A second call does nothing.
func (l *Live) Close() error {
	l.end(context.Canceled)
	return nil
}

// Do runs f on the session as it is stored now, and saves what f has written, together with what others saved meanwhile. If
// f returns an error nothing is saved, and the error is f's. It sends no cookie and does not move the session's end. f may
// Destroy; it may not use Login, Regenerate, Remember or SetCookie, since no cookie can tell of them. Config.Valid and
// BeforeSave are not called. The error is ErrEnded if the session has ended or was renewed.
func (l *Live) Do(ctx context.Context, f func(s Session) error) error {
	if l.ctx.Err() != nil {
		return &Error{Op: "do", Err: errors.Join(ErrEnded, context.Cause(l.ctx))}
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

// hear is told what the store keeps.
func (l *Live) hear(r *Record, err error) {
	switch {
	case err == nil && r.inner().Tombstone():
		l.end(ErrRenewed)
	case err == nil && !r.inner().Live(), errors.Is(err, ErrCorrupt):
		l.end(ErrEnded)
	case err == nil:
		l.goOn(r.Expires())
	case errors.Is(err, ErrNotFound):
		l.end(l.gone())
	case errors.Is(err, ErrClosed):
		l.end(ErrClosed)
	default:
		l.deaf(err)
	}
}

// gone tells an end by time from any other.
func (l *Live) gone() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ends.IsZero() && !time.Now().Before(l.ends) {
		return ErrExpired
	}
	return ErrEnded
}

// goOn notes when the session ends that the store keeps.
func (l *Live) goOn(ends time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends, l.silent, l.reason = ends, time.Time{}, nil
	l.wait()
}

// deaf notes that the store cannot tell.
func (l *Live) deaf(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.silent.IsZero() {
		l.silent = time.Now()
	}
	l.reason = err
	l.wait()
}

// until is when the Live must end if nothing more is heard, and the reason; zero: never. The lock is held.
func (l *Live) until() (at time.Time, why error) {
	at, why = l.ends, ErrExpired
	if !l.silent.IsZero() {
		if deaf := l.silent.Add(l.m.config.LiveSilence); at.IsZero() || deaf.Before(at) {
			at, why = deaf, l.reason
		}
	}
	return at, why
}

// wait sets the timer. The lock is held.
func (l *Live) wait() {
	at, _ := l.until()
	switch {
	case l.ended:
	case at.IsZero():
		if l.timer != nil {
			l.timer.Stop()
		}
	case l.timer == nil:
		l.timer = time.AfterFunc(time.Until(at), l.due)
	default:
		l.timer.Reset(time.Until(at))
	}
}

// due is called when the timer has run out. Something may have been heard meanwhile.
func (l *Live) due() {
	l.mu.Lock()
	at, why := l.until()
	due := !at.IsZero() && !time.Now().Before(at)
	if !due {
		l.wait()
	}
	l.mu.Unlock()
	if due {
		l.end(why)
	}
}

// end ends l, once.
func (l *Live) end(cause error) {
	l.mu.Lock()
	stop := l.stop
	again := l.ended
	l.ended, l.stop = true, nil
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	if again {
		return
	}
	if stop != nil {
		stop()
		l.m.lives.remove(l)
	}
	l.cancel(cause)
}

// Format prints nothing of the session, for every verb.
func (l *Live) Format(f fmt.State, _ rune) { io.WriteString(f, "sess.Live") }

// lives are the Lives of a Manager, for its Close.
type lives struct {
	mu   sync.Mutex
	all  map[*Live]struct{}
	poll *poll.Poller // of a store that is no Watcher; nil: not needed yet
	shut bool
}

func (ls *lives) add(l *Live) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.all == nil {
		ls.all = map[*Live]struct{}{}
	}
	ls.all[l] = struct{}{}
}

func (ls *lives) remove(l *Live) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	delete(ls.all, l)
}

func (ls *lives) closed() bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.shut
}

// Close ends every [Live] of m, with the cause ErrClosed, and what watches for them. Requests are served on, and the store
// stays open. A second call does nothing.
func (m *Manager) Close() error {
	m.lives.mu.Lock()
	all, poller := m.lives.all, m.lives.poll
	m.lives.all, m.lives.poll, m.lives.shut = nil, nil, true
	m.lives.mu.Unlock()
	for l := range all {
		l.end(ErrClosed)
	}
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
	m.lives.mu.Lock()
	defer m.lives.mu.Unlock()
	if m.lives.poll == nil {
		m.lives.poll = poll.New(m.config.StoreTimeout, func(ctx context.Context, id *ident.ID) (*record.Record, error) {
			return m.shelf.read(ctx, id, true)
		})
	}
	return polling{m.lives.poll}
}

// polling is the Watcher of a store that is none.
type polling struct{ *poll.Poller }

func (p polling) Watch(ctx context.Context, id ID, seen func(*Record, error)) (stop func(), err error) {
	return p.Poller.Watch(ctx, ident.ID(id), func(r *record.Record, err error) { seen((*Record)(r), err) })
}
