// Package users is the protocol of sessions that belong to users: what a login, a renewal, a logout and the end of all
// of a user's sessions do at the store, in which order, so that they hold whatever runs beside them and whenever a process
// dies. It knows no request and no cookie.
//
// Records and index may lie on different servers: no step touches both. There may be entries without a record for a
// moment, never a record without its entry.
//
// Words: a session is renewed under a new id by a renewal, which continues it, or by a login, which begins one. The new
// record is provisional until the old one is retired: it has a short TTL and names the id that it is made from. A
// retired record leaves a tombstone, which names its successor, for as long. A grave stands where a login under way must not
// create a record any more.
package users

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// Records are the records of a store. What they read is what the server has, and no cache's.
type Records interface {
	// Refresh returns the record of id. The error is [record.ErrNotFound] if there is none, and [record.ErrCorrupt] if
	// what is there is not one.
	Refresh(ctx context.Context, id *ident.ID) (*record.Record, error)

	// Swap is the root's Swapper.Swap.
	Swap(ctx context.Context, id *ident.ID, old, next *record.Record, ttl time.Duration) (*record.Record, error)

	// End removes the session of id, or what is there and is no record. It returns what was there, nil if nothing was; a
	// tombstone and a grave stay. seen is what the caller has seen there last, nil if nothing.
	End(ctx context.Context, id *ident.ID, seen *record.Record) (*record.Record, error)
}

// Index is the root's UserIndex and UserMarker.
type Index interface {
	Enter(ctx context.Context, user string, e record.UserEntry, keep, grace time.Duration) error
	Entries(ctx context.Context, user, cursor string) (record.UserPage, error)
	Leave(ctx context.Context, user string, entries []record.UserEntry, grace time.Duration) error
	Admit(ctx context.Context, user string, id ident.ID, keep time.Duration, a record.LoginAttempt) (login int64, err error)
	Mark(ctx context.Context, user string, a record.LoginAttempt) (pass int64, err error)
}

// Protocol is how sessions of users begin, go on and end in one store. It is immutable and safe for concurrent use.
type Protocol struct {
	Records Records
	Index   Index // nil: the store has none, and no session is listed

	// Timeout bounds a clean-up, and a call whose context has no deadline ten times over.
	Timeout time.Duration

	// Step is the interval at which an entry is moved: at most once in it, and always before the record's end passes
	// until when the entry is kept. It is the TTL of most sessions.
	Step time.Duration

	// Max is how many sessions a user may have; 0: any number.
	Max int

	// Provisional says that records which are being made have a short TTL. It takes a store that swaps.
	Provisional bool

	// Tombstones says that a retired record leaves one. Without, it is removed.
	Tombstones bool

	// Owner returns whose the session of id is, by its record, empty if nobody's. nil: as the record says.
	Owner func(id *ident.ID, r *record.Record) string

	// Revoked makes ends final beside a writer that looks at nothing. The Records check what they read and store. nil: there
	// is none.
	Revoked *Revocations
}

var (
	// ErrEnded: the session has ended, or a login is void because of that.
	ErrEnded = errors.New("the session has ended")

	// ErrRenewed: another request has renewed the session.
	ErrRenewed = errors.New("another request has renewed the session")

	// ErrTaken: there is a record under an id that was made for a new one.
	ErrTaken = errors.New("sess: GenerateID: got the id of another session; want one that nobody has")
)

// shortest is how long provisional records, tombstones and graves live at least.
const shortest = 10 * time.Second

// Short is how long provisional records, tombstones and graves live.
func (p *Protocol) Short() time.Duration { return max(shortest, 2*p.Timeout) }

// grace is how long an entry may lack its record.
func (p *Protocol) grace() time.Duration { return max(time.Minute, 2*p.Timeout) }

// HeaderOn is the header of a record that is stored on top of r, nil for none, which stands under id, and is not
// provisional any more. A user that others have written into r is not taken along.
func (p *Protocol) HeaderOn(id *ident.ID, r *record.Record) (h record.Header) {
	h = r.Header()
	h.From = nil
	if h.User != "" && p.owner(id, r) != h.User {
		h.User, h.Login, h.MAC = "", 0, ""
	}
	return h
}

// UserOf returns whose the session of id is, by its record, empty if nobody's.
func (p *Protocol) UserOf(id *ident.ID, r *record.Record) string {
	if r == nil {
		return ""
	}
	return p.owner(id, r)
}

func (p *Protocol) owner(id *ident.ID, r *record.Record) string {
	if p.Owner == nil || r.Tombstone() {
		return r.User()
	}
	return p.Owner(id, r)
}

// read returns the record of id, nil if there is none.
func (p *Protocol) read(ctx context.Context, id *ident.ID) (*record.Record, error) {
	r, err := p.Records.Refresh(ctx, id)
	if errors.Is(err, record.ErrNotFound) || errors.Is(err, record.ErrCorrupt) {
		return nil, nil
	}
	return r, err
}

// swap replaces old by next. If that is not what is there, it returns what is, nil if nothing.
func (p *Protocol) swap(ctx context.Context, id *ident.ID, old, next *record.Record, ttl time.Duration) (now *record.Record, ok bool, err error) {
	now, err = p.Records.Swap(ctx, id, old, next, ttl)
	if errors.Is(err, record.ErrNotFound) || errors.Is(err, record.ErrCorrupt) {
		return nil, false, nil
	}
	return now, err == nil && now == next, err
}

// until returns until when the entry of a session is kept that ends at ends, in Unix milliseconds: more than one step
// beyond.
func (p *Protocol) until(ends int64) int64 {
	step := max(p.Step.Milliseconds(), 1)
	return (ends/step + 2) * step
}

// keep is until as a time from now.
func (p *Protocol) keep(ends int64) time.Duration {
	return time.Duration(p.until(ends)-time.Now().UnixMilli()) * time.Millisecond
}

// Move keeps the entry of a session whose end is about to move from that of old to that of next, if the new end is
// beyond what the entry is kept for. It is called before next is stored.
func (p *Protocol) Move(ctx context.Context, id *ident.ID, old, next *record.Record) error {
	if err := p.Revoked.Cleared(ctx, id, old, next); err != nil {
		return err
	}
	if p.Index == nil || next.User() == "" || old != nil && old.User() != "" && p.until(next.EndsMS()) <= p.until(old.EndsMS()) {
		return nil
	}
	return p.Index.Enter(ctx, next.User(), record.UserEntry{ID: *id, Login: next.LoginMS()}, p.keep(next.EndsMS()), 0)
}

// leave removes the entry of the session of id, as its record names it. What it cannot remove is removed by who lists.
func (p *Protocol) leave(ctx context.Context, user string, id ident.ID, login int64) {
	if p.Index != nil && user != "" {
		_ = p.Index.Leave(ctx, user, []record.UserEntry{{ID: id, Login: login}}, 0)
	}
}

// Forget removes the entry of a session that is nobody's any more.
func (p *Protocol) Forget(ctx context.Context, id ident.ID, was *record.Record) {
	p.leave(ctx, was.User(), id, was.LoginMS())
}

// tombstone makes what a record leaves that was renewed under the id next. It is nil if there are no tombstones.
func (p *Protocol) tombstone(next ident.ID, user string, byLogin bool) (*record.Record, error) {
	if !p.Tombstones {
		return nil, nil
	}
	h := p.shortHeader()
	h.Successor, h.User, h.ByLogin = &next, user, byLogin
	return bare(h)
}

func (p *Protocol) grave() (*record.Record, error) {
	h := p.shortHeader()
	h.Grave = true
	return bare(h)
}

// bare makes a record that says nothing but what its header does.
func bare(h record.Header) (*record.Record, error) {
	return record.Merge(nil, nil, h, 1<<12)
}

func (p *Protocol) shortHeader() record.Header {
	now := time.Now()
	return record.Header{Created: now.UnixMilli(), Ends: now.Add(p.Short()).UnixMilli()}
}

// Destroyed is what a logout has met.
type Destroyed struct {
	Ended   bool // there was a session
	ByLogin bool // at the end stands the tombstone of a login: send no cookie, since that login may have set it
}

// Destroy ends the session of id, last seen as seen, also where it was renewed, but not where a login has taken its place.
func (p *Protocol) Destroy(ctx context.Context, id ident.ID, seen *record.Record) (d Destroyed, err error) {
	for {
		r, err := p.Records.End(ctx, &id, seen)
		if err != nil {
			return d, err
		}
		seen = nil
		next, tombstone := r.Successor()
		switch {
		case r == nil || r.Grave():
			return d, nil
		case tombstone && r.ByLogin():
			d.ByLogin = true
			return d, nil
		case !tombstone:
			d.Ended = true
			p.leave(ctx, r.User(), id, r.LoginMS())
			return d, nil
		}
		id = next
	}
}

// life is the TTL of a record: short if it is provisional.
func (p *Protocol) life(r *record.Record, ttl time.Duration) time.Duration {
	if _, provisional := r.Provisional(); provisional {
		return min(ttl, p.Short())
	}
	return ttl
}

// EndEntry ends the session of the entry of a user that is chosen, also where it was renewed. It returns
// the id that it has ended, zero if there is none.
func (p *Protocol) EndEntry(ctx context.Context, user string, chosen func(id *ident.ID) bool) (ended ident.ID, err error) {
	ctx, cancel := p.patience(ctx)
	defer cancel()
	entries, err := p.entries(ctx, user)
	if err != nil {
		return ended, err
	}
	for _, e := range entries {
		if !chosen(&e.ID) {
			continue
		}
		w := &sweep{Protocol: p, user: user}
		for {
			d, err := p.Destroy(ctx, e.ID, nil)
			if err != nil {
				return ended, err
			}
			if d.Ended {
				ended = e.ID
			}
			if d.Ended || d.ByLogin {
				break
			}
			if buried, err := w.bury(ctx, e.ID); err != nil {
				return ended, err
			} else if buried {
				break
			}
		}
		return ended, p.Index.Leave(ctx, user, []record.UserEntry{e}, 0)
	}
	return ended, nil
}

// each calls f for every one of n, some at a time, and returns the first error.
func each(n int, f func(i int) error) error {
	const atOnce = 16
	var (
		wg    sync.WaitGroup
		once  sync.Once
		first error
		next  = make(chan int)
	)
	for range min(atOnce, n) {
		wg.Go(func() {
			for i := range next {
				if err := f(i); err != nil {
					once.Do(func() { first = err })
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return first
}
