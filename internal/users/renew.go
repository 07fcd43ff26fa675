package users

import (
	"context"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// Renew continues the session of the id old, last seen as r, under the id next. The error is ErrEnded if it has ended, and
// ErrRenewed if another request has renewed it.
func (p *Protocol) Renew(ctx context.Context, old, next ident.ID, r *record.Record, build Builder) (made Made, err error) {
	w := renewal{fresh: fresh{Protocol: p, id: next}, ctx: ctx, old: old, r: r, build: build}
	if err = w.create(); err == nil {
		err = w.retire()
	}
	if err == nil {
		made = Made{ID: next, Old: old}
		made.Record, err = w.complete(ctx, build)
	}
	if err != nil {
		w.takeBack(ctx)
		return made, err
	}
	p.leave(ctx, w.r.User(), old, w.r.LoginMS())
	if made.Record == nil {
		return made, ErrEnded
	}
	return made, nil
}

// renewal is a Renew under way.
type renewal struct {
	fresh
	ctx   context.Context
	old   ident.ID
	r     *record.Record // what stands under old
	build Builder
}

// write makes the new record on top of what stands under the old id.
func (w *renewal) write() (*record.Record, time.Duration, error) {
	h := w.HeaderOn(&w.old, w.r)
	if w.Provisional {
		from := w.old
		h.From = &from
	}
	return w.build.Write(&w.id, w.r, h)
}

// create enters the new session in the index, and then stores it.
func (w *renewal) create() error {
	n, ttl, err := w.write()
	if err != nil {
		return err
	}
	if user := n.User(); user != "" && w.Index != nil {
		w.user, w.login = user, n.LoginMS()
		e := record.UserEntry{ID: w.id, Login: w.login}
		if err := w.Index.Enter(w.ctx, user, e, w.keep(n.EndsMS()), w.grace()); err != nil {
			return err
		}
	}
	taken, err := w.fresh.create(w.ctx, n, w.life(n, ttl))
	if err == nil && taken {
		err = ErrTaken
	}
	return err
}

// retire leaves a tombstone under the old id, with all that others save there meanwhile taken along.
func (w *renewal) retire() error {
	for lost := false; ; lost = true {
		tombstone, err := w.tombstone(w.id, w.r.User(), false)
		if err != nil {
			return err
		}
		now, ok, err := w.swap(w.ctx, &w.old, w.r, tombstone, w.Short())
		if err != nil && lost {
			err = record.Conflicting(err)
		}
		if err != nil || ok {
			return err
		}
		if now.Tombstone() {
			return ErrRenewed
		}
		if now == nil || !now.Live() {
			return ErrEnded
		}
		w.r = now
		n, ttl, err := w.write()
		if err == nil {
			err = w.replace(w.ctx, n, w.life(n, ttl))
		}
		if err != nil {
			return err
		}
	}
}
