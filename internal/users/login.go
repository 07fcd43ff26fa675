package users

import (
	"context"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/record"
)

// Builder makes the records of a request. It fills in what the header says of the record's end, and returns how long
// the record lives.
type Builder interface {
	// Write makes the record that the request stores under id on top of on, nil for an empty one, with the header h.
	Write(id *ident.ID, on *record.Record, h record.Header) (next *record.Record, ttl time.Duration, err error)

	// Keep makes on, which stands under id, again, with the header h.
	Keep(id *ident.ID, on *record.Record, h record.Header) (next *record.Record, ttl time.Duration, err error)
}

// Login is what a login stands on.
type Login struct {
	User string
	Old  ident.ID // what the request has presented; zero: nothing
	New  ident.ID // for the session
	Seen bool     // this request has seen the presented session as this user's

	Attempt record.LoginAttempt
	Swept   map[ident.ID]bool // what this request's own EndAll has ended

	Build Builder
}

// Made is the session that a login or a renewal has made.
type Made struct {
	ID      ident.ID
	Record  *record.Record
	Old     ident.ID   // what was retired for it; zero: nothing was
	Joined  bool       // another login has made it
	Trimmed []ident.ID // ended, as the user has too many
}

// login is a Login under way.
type login struct {
	*Protocol
	Login
	ctx  context.Context
	x    ident.ID       // the presented session, where renewals have brought it
	r    *record.Record // what stands there, nil: nothing
	step bool           // x was seen as this user's
	head record.Header  // of the new record
	new  fresh
}

// Login begins a session of a user. The error is ErrEnded if the request is a step-up of a session that has ended
// meanwhile, or if its own has; and [record.ErrLoginRefused] if all sessions of the user were ended after the request
// began, or if the login is itself too many.
func (p *Protocol) Login(ctx context.Context, l Login) (made Made, err error) {
	g := &login{Protocol: p, Login: l, ctx: ctx, x: l.Old, step: l.Seen}
	if !g.x.IsZero() {
		if err := g.follow(); err != nil {
			return made, err
		}
	}
	if joinable, to := g.joinable(); joinable {
		if made, done, err := g.join(to); done || err != nil {
			return made, err
		}
	} else if g.void() {
		return made, ErrEnded
	}
	return g.begin()
}

// follow reads what stands at x, and goes on where a renewal has left a tombstone.
func (g *login) follow() (err error) {
	for {
		if g.r, err = g.read(g.ctx, &g.x); err != nil {
			return err
		}
		if !g.renewed() {
			g.step = g.step || g.live() && g.owner(&g.x, g.r) == g.User
			return nil
		}
		g.pass()
	}
}

func (g *login) live() bool    { return g.r != nil && g.r.Live() }
func (g *login) renewed() bool { return g.r.Tombstone() && !g.r.ByLogin() }

// pass goes to the successor of the tombstone at x.
func (g *login) pass() {
	g.step = g.step || g.r.User() == g.User
	g.x, _ = g.r.Successor()
}

// joinable reports whether another login of this user has begun a session with x, and which.
func (g *login) joinable() (bool, ident.ID) {
	if !g.r.ByLogin() || g.r.User() != g.User {
		return false, ident.ID{}
	}
	to, _ := g.r.Successor()
	return true, to
}

// void reports whether the session was this user's and is not any more: a login with it would outlive its logout.
func (g *login) void() bool {
	return !g.x.IsZero() && !g.live() && g.step && !g.Swept[g.x]
}

// kept is what of the presented session the new one takes along: all of one that stands and was nobody's or this user's.
func (g *login) kept() *record.Record {
	if !g.live() {
		return nil
	}
	if owner := g.owner(&g.x, g.r); owner != "" && owner != g.User {
		return nil
	}
	return g.r
}

// header is that of the new record.
func (g *login) header(at int64) record.Header {
	h := record.Header{Created: at, User: g.User, Login: at}
	if g.Provisional && g.live() {
		from := g.x // A copy: a login goes on to where renewals have brought the session.
		h.From = &from
	}
	return h
}

// begin makes the session, and retires the presented one.
func (g *login) begin() (made Made, err error) {
	h := g.header(time.Now().UnixMilli())
	n, ttl, err := g.Build.Write(&g.New, g.kept(), h) // What cannot be made touches no store.
	if err != nil {
		return made, err
	}
	if g.Index != nil {
		at, err := g.Index.Admit(g.ctx, g.User, g.New, g.keep(n.EndsMS()), g.Attempt)
		if err != nil {
			return made, err
		}
		h = g.header(at)
		if n, ttl, err = g.Build.Write(&g.New, g.kept(), h); err != nil {
			g.leave(g.ctx, g.User, g.New, at)
			return made, err
		}
	}
	g.head = h
	return g.create(n, ttl)
}

// create stores n under the new id, retires the presented session, and takes n back if that fails.
func (g *login) create(n *record.Record, ttl time.Duration) (made Made, err error) {
	g.new = fresh{Protocol: g.Protocol, id: g.New, user: g.User, login: g.head.Login}
	taken, err := g.new.create(g.ctx, n, g.life(n, ttl))
	if err == nil && taken {
		err = ErrTaken
	}
	if err == nil {
		made, err = g.retire()
	}
	if err != nil {
		g.new.takeBack(g.ctx)
	}
	return made, err
}

// retire leaves a tombstone where the presented session stands, with all that others save there meanwhile taken along.
func (g *login) retire() (made Made, err error) {
	tombstone, err := g.tombstone(g.New, g.User, true)
	if err != nil {
		return made, err
	}
	made = Made{ID: g.New}
	for lost := false; g.live(); lost = true {
		now, ok, err := g.swap(g.ctx, &g.x, g.r, tombstone, g.Short())
		if err != nil && lost {
			err = record.Conflicting(err)
		}
		if err != nil {
			return made, err
		}
		if ok {
			return g.complete(Made{ID: g.New, Old: g.x}, g.r)
		}
		if g.r = now; g.renewed() {
			g.pass()
			if err = g.follow(); err != nil {
				return made, err
			}
		}
		if joinable, to := g.joinable(); joinable {
			g.new.takeBack(g.ctx)
			made, done, err := g.join(to)
			if !done && err == nil {
				err = ErrEnded
			}
			return made, err
		}
		if !g.live() && g.step {
			return made, ErrEnded
		}
		if err = g.merge(); err != nil {
			return made, err
		}
	}
	return g.complete(made, nil)
}

// merge makes the new record anew, of what stands at x now. What a session held that has ended is nobody's; what another
// login has taken along stays.
func (g *login) merge() error {
	if g.r != nil && !g.live() {
		return nil
	}
	if g.live() && g.Provisional {
		from := g.x
		g.head.From = &from
	}
	n, ttl, err := g.Build.Write(&g.New, g.kept(), g.head)
	if err != nil {
		return err
	}
	return g.new.replace(g.ctx, n, g.life(n, ttl))
}

// complete gives the new session its full life, and ends the oldest ones of a user who has too many.
func (g *login) complete(made Made, old *record.Record) (Made, error) {
	r, err := g.new.complete(g.ctx, g.Build)
	if err != nil {
		return made, err
	}
	if old != nil {
		g.leave(g.ctx, g.owner(&made.Old, old), made.Old, old.LoginMS())
	}
	if r == nil {
		return made, ErrEnded
	}
	made.Record = r
	made.Trimmed, err = g.trim(g.ctx, g.User, &g.New)
	return made, err
}

// join adds what the request has written to the session y, which another login of this user has begun with the same
// presented one. It is not done if that has ended, and the credentials alone may begin another.
func (g *login) join(y ident.ID) (made Made, done bool, err error) {
	if g.Index != nil {
		if _, err := g.Index.Admit(g.ctx, g.User, ident.ID{}, 0, g.Attempt); err != nil {
			return made, false, err
		}
	}
	r, err := g.read(g.ctx, &y)
	for err == nil {
		for err == nil && r.Tombstone() && (!r.ByLogin() || r.User() == g.User) {
			y, _ = r.Successor()
			r, err = g.read(g.ctx, &y)
		}
		if err != nil {
			break
		}
		if r == nil || !r.Live() || g.owner(&y, r) != g.User {
			if g.step && !g.Swept[y] {
				return made, false, ErrEnded
			}
			return made, false, nil
		}
		n, ttl, err := g.Build.Write(&y, r, g.HeaderOn(&y, r))
		if err == nil {
			err = g.Move(g.ctx, &y, r, n)
		}
		if err != nil {
			return made, false, err
		}
		now, ok, err := g.swap(g.ctx, &y, r, n, ttl)
		if err != nil {
			return made, false, err
		}
		if ok {
			return Made{ID: y, Record: n, Joined: true}, true, nil
		}
		r = now
	}
	return made, false, err
}
