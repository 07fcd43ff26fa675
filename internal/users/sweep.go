package users

import (
	"context"
	"errors"
	"sync"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// Swept is what EndAll has done.
type Swept struct {
	Pass  int64             // the mark, for a login of the same request; 0: that is refused
	Ended map[ident.ID]bool // the sessions that it has ended, those that were being made included
}

// EndAll ends every session of a user. When it has returned without an error, no session lives whose login request began
// before it, unless that is the session spare, or what that was renewed into, or what is being made of it.
func (p *Protocol) EndAll(ctx context.Context, user string, spare ident.ID, a record.LoginAttempt) (Swept, error) {
	ctx, cancel := p.patience(ctx)
	defer cancel()
	w := &sweep{Protocol: p, user: user, spare: spare, done: Swept{Ended: map[ident.ID]bool{}}}
	var err error
	if w.done.Pass, err = p.Index.Mark(ctx, user, a); err != nil {
		return w.done, err
	}
	for again := true; again && err == nil; {
		again, err = w.pass(ctx)
	}
	return w.done, err
}

// patience gives ctx a deadline if it has none.
func (p *Protocol) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, 10*p.Timeout)
}

// sweep is an EndAll under way.
type sweep struct {
	*Protocol
	user  string
	spare ident.ID // zero: none

	mu   sync.Mutex // guards what follows: some entries are ended at a time
	met  bool       // a session or a tombstone, in this pass
	gone []record.UserEntry
	done Swept
}

// pass goes through all entries once. again says that it has met a session or a tombstone, or that an entry was added
// meanwhile: then there may be a session that it has not met.
func (w *sweep) pass(ctx context.Context) (again bool, err error) {
	w.met = false
	page := record.UserPage{}
	for added, first := uint64(0), true; first || page.Cursor != ""; first = false {
		if page, err = w.Index.Entries(ctx, w.user, page.Cursor); err != nil {
			return false, err
		}
		if first {
			added = page.Added
		}
		w.met = w.met || page.Added != added
		w.gone = w.gone[:0]
		err = each(len(page.Entries), func(i int) error { return w.end(ctx, page.Entries[i]) })
		if len(w.gone) > 0 {
			err = errors.Join(err, w.Index.Leave(ctx, w.user, w.gone, 0))
		}
		if err != nil {
			return false, err
		}
	}
	return w.met, nil
}

// end ends the session of one entry, unless that is spared.
func (w *sweep) end(ctx context.Context, e record.UserEntry) error {
	if e.ID == w.spare {
		return nil
	}
	for {
		r, spared, err := w.extinguish(ctx, e.ID)
		if err != nil || spared {
			return err
		}
		if r == nil {
			buried, err := w.bury(ctx, e.ID)
			if err != nil {
				return err
			}
			if !buried {
				continue // A login was faster, and has created its record.
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.gone = append(w.gone, e)
		if r != nil && r.Live() {
			w.met, w.done.Ended[e.ID] = true, true
		}
		w.met = w.met || r.Tombstone()
		return nil
	}
}

// extinguish ends the session of id, unless that is spared, and returns what was there. Where a session is spared it looks
// before it ends: first at this one, then along the chain, since who completes a session has retired the old one before. Where
// nothing stands then it ends nothing, since a session that is to be spared may have been created meanwhile.
func (w *sweep) extinguish(ctx context.Context, id ident.ID) (r *record.Record, spared bool, err error) {
	if !w.spare.IsZero() {
		if r, err = w.read(ctx, &id); err != nil || r == nil || !r.Live() {
			return r, false, err
		}
		if spared, err = w.spares(ctx, id, r); err != nil || spared {
			return r, spared, err
		}
	}
	r, err = w.Records.End(ctx, &id, r)
	return r, false, err
}

// spares reports whether id, where r stands, is what spare was renewed into, or is being made from that.
func (w *sweep) spares(ctx context.Context, id ident.ID, r *record.Record) (bool, error) {
	from, provisional := r.Provisional()
	for x := w.spare; ; {
		if id == x || provisional && from == x {
			return true, nil
		}
		now, err := w.read(ctx, &x)
		if err != nil || !now.Tombstone() || now.ByLogin() && now.User() != w.user {
			return false, err
		}
		x, _ = now.Successor()
	}
}

// bury puts a grave where nothing stands, so that a login under way cannot create its record any more.
func (w *sweep) bury(ctx context.Context, id ident.ID) (buried bool, err error) {
	grave, err := w.grave()
	if err != nil {
		return false, err
	}
	_, buried, err = w.swap(ctx, &id, nil, grave, w.Short())
	return buried, err
}
