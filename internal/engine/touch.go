package engine

import (
	"errors"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/tally"
)

// touch ends a request that changed nothing: a rolling session gets more time, if enough of it has passed, and a cookie
// that an old key signed is signed anew. Nothing of this is worth an error to the client: the session is as good as before,
// and the next request tries again.
func (r *request) touch() {
	base, config := r.draft.Base(), r.m.config
	// Whose beginning is unknown, since Koa has written it, has it noted with the first load: Lifetime counts from there.
	begins := config.Lifetime > 0 && base.CreatedMS() == 0
	if config.Rolling || begins {
		ttl := r.ttl()
		if r.wasReset() {
			return
		}
		at := time.Now()
		h := r.headerOn(base)
		span := r.span(at, base, &h, ttl)
		if begins && !config.Rolling && base.EndsMS() != 0 && base.EndsMS() < span.Ends {
			span = draft.Rest(at, base)
		}
		if begins && span.TTL > 0 || span.Due(base.EndsMS(), config.RollingThreshold) {
			r.prolong(&h, span)
			return
		}
	}
	if r.signed && r.jar.Key() > 0 && r.debt.kind == dueNothing {
		r.owe(draft.Rest(time.Now(), base).Ends, true)
	}
}

// prolong moves the session's end to that of span. If another request was faster, that one has moved it.
func (r *request) prolong(h *record.Header, span draft.Span) {
	base := r.draft.Base()
	r.setEnd(&r.id, h, span.Ends)
	next, err := record.Merge(base, nil, *h, r.m.config.MaxRecordBytes)
	if errors.Is(err, record.ErrTooLarge) && !base.HasHeader() { // No room to say when: the store's TTL does.
		next, err = base.WithExpires(time.UnixMilli(span.Ends)), nil
	}
	var winner *record.Record
	if err == nil {
		ctx, cancel := r.within()
		defer cancel()
		if err = r.m.users.Move(ctx, &r.id, base, next); err == nil {
			winner, err = r.m.shelf.swap(ctx, &r.id, base, next, span.TTL)
		}
	}
	switch {
	case errors.Is(err, record.ErrNotFound), err == nil && winner.Grave():
		_ = r.die(ReasonGone)
	case errors.Is(err, record.ErrCorrupt):
		_ = r.die(ReasonCorrupt)
	case err != nil:
		_ = r.storeError("touch", r.id, err) // Told to the hook and the log.
	case winner.Tombstone():
		_ = r.die(ReasonRenewed)
	default:
		r.draft.Rebase(winner)
		r.count(tally.Touched)
		r.owe(draft.Rest(time.Now(), winner).Ends, false)
		emit(r.m.config.Hooks.Saved, Event{ID: r.id})
	}
}
