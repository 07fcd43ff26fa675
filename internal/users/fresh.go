package users

import (
	"cmp"
	"context"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// fresh is a new record while it is being made. Nobody else knows its id until the old record is retired.
type fresh struct {
	*Protocol
	id    ident.ID
	user  string // whose entry there is; empty: nobody's
	login int64  // of the entry

	stored  *record.Record // what is there, as far as it is known
	attempt *record.Record // what may be there instead: a swap to it was not answered
}

// create stores n where nothing is. It reports whether the id is another session's.
func (f *fresh) create(ctx context.Context, n *record.Record, ttl time.Duration) (taken bool, err error) {
	f.attempt = n
	there, ok, err := f.swap(ctx, &f.id, nil, n, ttl)
	if err != nil {
		return false, err
	}
	f.attempt = nil
	if !ok {
		if there == nil || there.Grave() {
			return false, ErrEnded
		}
		return true, nil
	}
	f.stored = n
	return false, nil
}

// replace stores n in the place of what is there.
func (f *fresh) replace(ctx context.Context, n *record.Record, ttl time.Duration) error {
	f.attempt = n
	_, ok, err := f.swap(ctx, &f.id, f.stored, n, ttl)
	if err != nil {
		return err
	}
	f.attempt = nil
	if !ok {
		return ErrEnded
	}
	f.stored = n
	return nil
}

// complete gives the record its full life, whoever has joined it meanwhile. It returns what stands then, nil if nothing.
func (f *fresh) complete(ctx context.Context, build Builder) (*record.Record, error) {
	n := f.stored
	for {
		if _, provisional := n.Provisional(); !provisional {
			f.stored = nil // From now on it is not this request's alone.
			return n, nil
		}
		full, ttl, err := build.Keep(&f.id, n, f.HeaderOn(&f.id, n))
		if err != nil {
			return nil, err
		}
		now, ok, err := f.swap(ctx, &f.id, n, full, ttl)
		switch {
		case err != nil:
			return nil, err
		case ok:
			n = full
		case now == nil || !now.Live():
			f.stored = nil
			return nil, nil
		default:
			n = now
		}
	}
}

// takeBack removes the record if it is as this request has stored it: else another login has joined. Where the request's time is
// not enough for that, it is tried once more when the request has been answered. What cannot be removed then ends soon.
func (f *fresh) takeBack(ctx context.Context) {
	left := *f // The pooled request may serve another client when the goroutine runs.
	f.attempt, f.stored = nil, nil
	if _, bounded := ctx.Deadline(); left.remove(ctx) != nil && bounded {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), left.Timeout)
			defer cancel()
			_ = left.remove(ctx)
		}()
	}
}

// remove removes what is there if this request has stored it, and then its entry.
func (f *fresh) remove(ctx context.Context) error {
	gone := f.attempt == nil && f.stored == nil
	var failed error
	for _, r := range [...]*record.Record{f.attempt, f.stored} {
		if r == nil || gone {
			continue
		}
		now, ok, err := f.swap(ctx, &f.id, r, nil, 0)
		gone = ok || err == nil && now == nil
		failed = cmp.Or(failed, err)
	}
	if !gone {
		return failed
	}
	f.leave(ctx, f.user, f.id, f.login)
	return nil
}
