package engine

import (
	"errors"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/group"
	"github.com/fibersess/sess/internal/record"
)

// takeKey removes key from the stored record in one swap of its own, and from what is written here.
func (r *request) takeKey(key string) (string, bool, error) {
	switch {
	case record.IsReserved(key):
		return "", false, record.ErrReserved
	case !r.m.shelf.atomic:
		return "", false, ErrUnsupported
	case r.ended:
		return "", false, record.ErrEnded
	}
	if err := r.load(); err != nil {
		return "", false, err
	}
	raw, ok := "", false
	if r.draft.Reads() {
		var err error
		raw, ok, err = r.takeStored(key)
		switch {
		case errors.Is(err, errRenewed):
			return "", false, r.die(ReasonRenewed)
		case errors.Is(err, record.ErrNotFound):
			return "", false, r.die(ReasonGone)
		case errors.Is(err, record.ErrCorrupt):
			return "", false, r.die(ReasonCorrupt)
		case err != nil:
			return "", false, r.storeError("take", *r.storedID(), err)
		}
	}
	return r.draft.Taken(key, raw, ok)
}

// takeStored removes key from the stored record. It tries again until that is stored or the key is not there.
func (r *request) takeStored(key string) (raw string, ok bool, err error) {
	ctx, cancel := r.phase()
	defer cancel()
	var without record.Changes
	if err := without.Delete(nil, key); err != nil {
		return "", false, err
	}
	id := r.storedID()
	next, _, err := r.m.shelf.amend(ctx, id, r.draft.Base(), group.BuildFunc(func(now *record.Record) (*record.Record, time.Duration, error) {
		if !now.Live() {
			return nil, 0, noSession(now)
		}
		if raw, ok = now.Raw(key); !ok {
			return now, 0, nil
		}
		rest := draft.Rest(time.Now(), now)
		h := r.m.users.HeaderOn(id, now)
		if h.Created == 0 {
			h.Created = r.created
		}
		r.setEnd(id, &h, rest.Ends)
		next, err := record.Merge(now, &without, h, r.m.config.MaxRecordBytes)
		return next, rest.TTL, err
	}))
	if err == nil {
		r.draft.Rebase(next)
		if r.fate == draft.Renew {
			r.left = next
		}
	}
	return raw, ok, err
}
