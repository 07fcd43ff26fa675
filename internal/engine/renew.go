package engine

import (
	"context"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
	"github.com/fibersess/sess/internal/tally"
	"github.com/fibersess/sess/internal/users"
)

// regenerate leaves the id behind, which the commit retires.
func (r *request) regenerate() {
	if r.detached {
		r.err = errInsideDo
		return
	}
	if base := r.draft.Base(); base != nil && r.fate == draft.Keep {
		r.fate, r.leaving, r.left = draft.Renew, r.id, base
	}
	r.id = ident.ID{}
	r.renewed = false // Asked for: the session is stored under its new id.
}

// move stores the session under its new id, and only then takes the old one away: a tombstone stands there for a while. If
// the old one has ended meanwhile the new one goes too, since a logout wins.
func (r *request) move(ctx context.Context, at time.Time, ttl time.Duration) error {
	old := r.leaving
	made, err := r.m.users.Renew(ctx, old, r.id, r.left, &builder{r, at, ttl, r.draft.Wiped()})
	switch {
	case errors.Is(err, users.ErrRenewed):
		return errRenewed
	case errors.Is(err, users.ErrEnded):
		return record.ErrNotFound
	case errors.Is(err, users.ErrTaken):
		return errIDTaken
	case err != nil:
		return err
	}
	r.draft.Rebase(made.Record)
	r.settled()
	r.count(tally.Created)
	r.tell(tally.Regenerated, r.m.config.Hooks.Regenerated, Event{ID: r.id, Old: old})
	return nil
}

// builder makes the records of a request for the protocol of users' sessions.
type builder struct {
	r      *request
	at     time.Time
	ttl    time.Duration
	nobody bool // the new record is nobody's
}

func (b *builder) Write(id *ident.ID, current *record.Record, h record.Header) (*record.Record, time.Duration, error) {
	if b.r.life != 0 {
		h.Life = b.r.life.Milliseconds()
	}
	if b.nobody {
		h.User, h.Login = "", 0
	}
	return b.r.write(id, current, h, b.at, b.ttl)
}

func (b *builder) Keep(id *ident.ID, current *record.Record, h record.Header) (*record.Record, time.Duration, error) {
	ttl := b.r.complete(id, current, &h, b.at, b.ttl)
	next, err := record.Merge(current, nil, h, b.r.m.config.MaxRecordBytes)
	return next, ttl, err
}
