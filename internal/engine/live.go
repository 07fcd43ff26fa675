package engine

import (
	"context"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/guard"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/live"
	"github.com/fibersess/sess/internal/record"
	"github.com/valyala/fasthttp"
)

// Live is the root's Live: a session outside of a request.
type Live struct {
	m    *Manager
	id   ident.ID
	life live.Life
}

// Detach returns the session as a Live. What is not saved yet is saved first.
func (h Handle) Detach(ctx context.Context) (*Live, error) {
	r := h.look()
	if r == nil {
		return nil, released("detach")
	}
	pending := r.dirty() || r.draft.Base() == nil
	if r.draft.Base() == nil {
		r.forced = true
	}
	r.guard.Unlock()
	if pending {
		if err := h.Save(); err != nil {
			return nil, err
		}
	}
	if !h.Exists() {
		return nil, &Failure{Op: "detach", Err: record.ErrEnded}
	}
	return h.t.r.m.Open(ctx, h.ID())
}

// Open returns the session of an id as a Live.
func (m *Manager) Open(ctx context.Context, id ident.ID) (*Live, error) {
	if m.lives.Closed() {
		return nil, &Failure{Op: "open", Err: record.ErrClosed}
	}
	l := &Live{m: m, id: id}
	l.life.Begin(&m.lives, m.config.LiveSilence)
	ctx, cancel := context.WithTimeout(ctx, m.config.StoreTimeout)
	defer cancel()
	if m.shelf.revoked != nil { // The watch does not look for revocations: what came back is removed before.
		_, _ = m.shelf.read(ctx, &l.id, true)
	}
	if err := m.watch(ctx, l); err != nil {
		l.life.End(err)
		return nil, &Failure{Op: "open", Err: err}
	}
	return l, nil
}

func (m *Manager) watch(ctx context.Context, l *Live) error {
	w, err := m.watcher()
	if err != nil {
		return err
	}
	stop, err := w.Watch(ctx, l.id, l.life.Hear)
	if err != nil {
		return err
	}
	return l.life.Watched(stop)
}

// Context ends with the Live. Its context.Cause says why.
func (l *Live) Context() context.Context { return l.life.Context() }

// Close lets go of the session, which goes on.
func (l *Live) Close() { l.life.End(context.Canceled) }

// Do runs f on the session as it is stored now, and saves what f has written.
func (l *Live) Do(ctx context.Context, f func(Handle) error) error {
	if alive := l.life.Context(); alive.Err() != nil {
		return &Failure{Op: "do", Err: errors.Join(record.ErrEnded, context.Cause(alive))}
	}
	r := l.m.requests.Get().(*request)
	t := r.bindLive(ctx, &l.id)
	defer func() {
		if r.guard.Leave() == guard.Held {
			r.guard.Unlock()
		}
		_ = t.Close()
	}()
	h := t.handle()
	if err := h.Refresh(); err != nil {
		return wrap("do", err)
	}
	if !h.Exists() {
		return &Failure{Op: "do", Err: record.ErrEnded}
	}
	if err := f(h); err != nil {
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
	if r.m.keyring != nil {
		sig = r.m.keyring.Sign(nil, id)
	}
	r.signed = r.jar.Take(id.Bytes(), sig, r.m.keyring)
	r.detached, r.loaded, r.at = true, !r.signed, r.came
	if !r.m.shelf.local {
		r.appContext = ctx
	}
	r.guard.Begin(true)
	return r.ticket()
}

// Close ends every Live of m, with the cause ErrClosed, and what watches for them.
func (m *Manager) Close() {
	m.lives.Close()
	m.polling.Lock()
	poller := m.poller
	m.poller = nil
	m.polling.Unlock()
	if poller != nil {
		poller.Close()
	}
}

// watcher returns the store's Watcher; where there is none, one that asks, unless m is closed: nobody would end it.
func (m *Manager) watcher() (Watcher, error) {
	if w := m.config.Store.Watcher; w != nil {
		return w, nil
	}
	m.polling.Lock()
	defer m.polling.Unlock()
	if m.lives.Closed() {
		return nil, record.ErrClosed
	}
	if m.poller == nil {
		m.poller = live.NewPoller(m.config.StoreTimeout, func(ctx context.Context, id *ident.ID) (*record.Record, error) {
			return m.shelf.read(ctx, id, true)
		})
	}
	return m.poller, nil
}
