package users

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// Listed is a session of a user.
type Listed struct {
	record.UserEntry
	Record *record.Record
}

// Sessions returns the sessions of a user, some hundreds at a time, those of a page in the order of their logins. Those
// that are being made are not among them. It removes entries whose session is gone.
func (p *Protocol) Sessions(ctx context.Context, user string) iter.Seq2[[]Listed, error] {
	return func(yield func([]Listed, error) bool) {
		ctx, cancel := p.patience(ctx)
		defer cancel()
		page := record.UserPage{}
		for first := true; first || page.Cursor != ""; first = false {
			var err error
			if page, err = p.Index.Entries(ctx, user, page.Cursor); err != nil {
				yield(nil, err)
				return
			}
			listed, err := p.look(ctx, user, page.Entries)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(listed, nil) {
				return
			}
		}
	}
}

// look reads the records of entries, and returns those that are sessions of the user. Where there is no record the entry
// goes, unless a session may be being made under it.
func (p *Protocol) look(ctx context.Context, user string, entries []record.UserEntry) ([]Listed, error) {
	records := make([]*record.Record, len(entries))
	err := each(len(entries), func(i int) (err error) {
		records[i], err = p.read(ctx, &entries[i].ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	var listed []Listed
	var gone []record.UserEntry
	for i, r := range records {
		_, provisional := r.Provisional()
		switch {
		case r == nil:
			gone = append(gone, entries[i])
		case r.Live() && !provisional && p.owner(&entries[i].ID, r) == user:
			listed = append(listed, Listed{entries[i], r})
		}
	}
	if len(gone) > 0 {
		if err := p.Index.Leave(ctx, user, gone, p.grace()); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(listed, func(a, b Listed) int { return compare(a.UserEntry, b.UserEntry) })
	return listed, nil
}

// compare puts logins in order, those of one millisecond too.
func compare(a, b record.UserEntry) int {
	return cmp.Or(cmp.Compare(a.Login, b.Login), slices.Compare(a.ID.Whole()[:], b.ID.Whole()[:]))
}

// excess returns the oldest sessions of a user who has more than Max; none where they cannot be read.
func (p *Protocol) excess(ctx context.Context, user string) []Listed {
	entries, err := p.entries(ctx, user)
	if err != nil || len(entries) <= p.Max {
		return nil
	}
	listed, err := p.look(ctx, user, entries)
	if err != nil {
		return nil
	}
	return listed[:max(0, len(listed)-p.Max)]
}

// trim ends the oldest logins of a user who has more than Max sessions. The error is [record.ErrLoginRefused] if y, the one
// that was just begun, is among them. What else fails leaves the sessions to the next login.
func (p *Protocol) trim(ctx context.Context, user string, y *ident.ID) (trimmed []ident.ID, err error) {
	if p.Max <= 0 || p.Index == nil {
		return nil, nil
	}
	for _, l := range p.excess(ctx, user) {
		r, err := p.Records.End(ctx, &l.ID, l.Record)
		if err != nil {
			if l.ID == *y {
				return trimmed, err
			}
			return trimmed, nil
		}
		p.leave(ctx, user, l.ID, l.Login)
		if l.ID == *y {
			return trimmed, record.ErrLoginRefused
		}
		if r != nil && r.Live() {
			trimmed = append(trimmed, l.ID)
		}
	}
	return trimmed, nil
}

// entries returns all entries of a user, each once.
func (p *Protocol) entries(ctx context.Context, user string) (all []record.UserEntry, err error) {
	page := record.UserPage{}
	for first := true; first || page.Cursor != ""; first = false {
		if page, err = p.Index.Entries(ctx, user, page.Cursor); err != nil {
			return nil, err
		}
		all = append(all, page.Entries...)
	}
	slices.SortFunc(all, compare)
	return slices.Compact(all), nil
}
