package users

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// Revocations make the end of a user's session final beside a writer such as Koa, which stores what it has read without a
// look at what is there by then: the record of before the end may come back after it, with its user and a good proof of him.
//
//	sess   reads a        ends the session    revokes it    removes what came back
//	Koa        reads a                    stores a                                       stores a
//
// So the end of a session leaves a revocation under an id of its own, which nobody presents, and what is read or stored
// under the session's id afterwards is no session if it is a user's. All that comes into a cache comes from such a read or
// store: what comes between end and revocation is removed, and what comes after the revocation meets it.
//
// A nil Revocations does nothing. It is safe for concurrent use.
type Revocations struct {
	Get     func(ctx context.Context, id *ident.ID) (*record.Record, error) // past a cache
	Set     func(ctx context.Context, id *ident.ID, r *record.Record, ttl time.Duration) error
	Destroy func(ctx context.Context, id *ident.ID) error

	// Owner returns whose the session of id is, by its record, empty if nobody's.
	Owner func(id *ident.ID, r *record.Record) string

	// Keep is how long a revocation stays: as long as a session that nobody uses.
	Keep time.Duration
}

// Ended revokes the session of id, which has ended, if it was a user's, or if was is nil: nobody knows what it was. A session
// that never was is not harmed, since no id is given twice.
func (v *Revocations) Ended(ctx context.Context, id *ident.ID, was *record.Record) error {
	if v == nil || was != nil && v.Owner(id, was) == "" {
		return nil
	}
	if err := v.revoke(ctx, id); err != nil {
		return err
	}
	return v.Destroy(ctx, id)
}

// Cleared revokes the session of id, if it is a user's as was and nobody's as next. It comes before next is stored: from
// then on the session can only be nobody's.
func (v *Revocations) Cleared(ctx context.Context, id *ident.ID, was, next *record.Record) error {
	if v == nil || was == nil || next.User() != "" || v.Owner(id, was) == "" {
		return nil
	}
	return v.revoke(ctx, id)
}

// Check returns [record.ErrNotFound] if r, which was read or stored under id, is of a session that has ended, and removes
// it; else the store's error, nil if there is none.
func (v *Revocations) Check(ctx context.Context, id *ident.ID, r *record.Record) error {
	if v == nil || r == nil || v.Owner(id, r) == "" {
		return nil
	}
	at := revocationOf(id)
	_, err := v.Get(ctx, &at)
	switch {
	case errors.Is(err, record.ErrNotFound):
		return nil
	case err == nil || errors.Is(err, record.ErrCorrupt):
		err = v.Destroy(ctx, id)
	}
	if err != nil {
		return err
	}
	return record.ErrNotFound
}

func (v *Revocations) revoke(ctx context.Context, id *ident.ID) error {
	now := time.Now()
	r, err := bare(record.Header{Created: now.UnixMilli(), Ends: now.Add(v.Keep).UnixMilli(), Grave: true})
	if err != nil {
		return err
	}
	at := revocationOf(id)
	return v.Set(ctx, &at, r, v.Keep)
}

// revocationOf is the id of a session's revocation: it does not reveal that of the session.
func revocationOf(id *ident.ID) (at ident.ID) {
	sum := sha256.Sum256(append([]byte("sess ended "), id.Bytes()...))
	at, _ = ident.MakeID(base64.RawURLEncoding.EncodeToString(sum[:]))
	return at
}
