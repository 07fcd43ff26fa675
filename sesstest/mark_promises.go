package sesstest

import (
	"errors"
	"sync"
	"time"

	"github.com/fibersess/sess"
)

func (p *probe) admit() {
	user, last := p.newUser(), time.Time{}
	var want []sess.UserEntry
	for range 3 {
		id := p.newID()
		login, err := p.users().Admit(p.ctx, user, id, longTTL, sess.LoginAttempt{Began: time.Now()})
		if err != nil {
			p.giveUp("Admit: got the error %v, want nil", err)
		}
		if login.Before(last) || login.UnixNano()%int64(time.Millisecond) != 0 {
			p.broken("Admit: got a login time before the one before, or not in whole milliseconds, want neither")
		}
		last = login
		want = append(want, sess.UserEntry{ID: id, Login: login})
	}
	p.wantEntries(user, "after Admit", want...)
}

func (p *probe) admitAsks() {
	user := p.newUser()
	if _, err := p.users().Admit(p.ctx, user, sess.ID{}, longTTL, sess.LoginAttempt{Began: time.Now()}); err != nil {
		p.broken("Admit of the zero ID: got the error %v, want nil", err)
	}
	p.wantEntries(user, "after Admit of the zero ID")
	began := time.Now()
	p.mark(user, sess.LoginAttempt{Began: began})
	p.wantBarred(user, sess.ID{}, sess.LoginAttempt{Began: began}, "of the zero ID, which began before the mark")
	p.wantEntries(user, "after Admit of the zero ID")
}

func (p *probe) mark(user string, a sess.LoginAttempt) sess.UserMark {
	p.Helper()
	m, err := p.users().Mark(p.ctx, user, a)
	if err != nil {
		p.giveUp("Mark: got the error %v, want nil", err)
	}
	return m
}

func (p *probe) wantBarred(user string, id sess.ID, a sess.LoginAttempt, what string) {
	p.Helper()
	if login, err := p.users().Admit(p.ctx, user, id, longTTL, a); !errors.Is(err, sess.ErrLoginRefused) || !login.IsZero() {
		p.broken("Admit %s: got a login time %t and the error %v, want none and ErrLoginRefused", what, !login.IsZero(), err)
	}
}

func (p *probe) wantAdmitted(user string, a sess.LoginAttempt, what string) {
	p.Helper()
	if login, err := p.users().Admit(p.ctx, user, p.newID(), longTTL, a); err != nil || login.IsZero() {
		p.broken("Admit %s: got a login time %t and the error %v, want one and nil", what, !login.IsZero(), err)
	}
}

// later returns a moment that a store can tell from those before it: the way to it and back is part of its doubt.
func later() time.Time {
	time.Sleep(early)
	return time.Now()
}

func (p *probe) markBars() {
	user, other, kept := p.newUser(), p.newUser(), p.entry(0)
	p.enterAll(user, kept)
	before := time.Now()
	p.mark(user, sess.LoginAttempt{Began: before})
	p.wantBarred(user, p.newID(), sess.LoginAttempt{Began: before}, "of a login that began before the mark")
	p.wantBarred(user, p.newID(), sess.LoginAttempt{Began: before.Add(-time.Hour)}, "of a login that began long before the mark")
	p.wantEntries(user, "after the mark and two logins that it bars", kept)
	p.wantAdmitted(other, sess.LoginAttempt{Began: before}, "of another user")
	p.wantAdmitted(user, sess.LoginAttempt{Began: later()}, "of a login that began after the mark")
	p.enterAll(user, p.entry(0)) // a renewal asks for no mark
}

func (p *probe) markPasses() {
	user, began := p.newUser(), time.Now()
	own := p.mark(user, sess.LoginAttempt{Began: began})
	if own == 0 {
		p.giveUp("Mark of a user without one: got zero, want a mark")
	}
	p.wantAdmitted(user, sess.LoginAttempt{Began: began, Pass: own}, "past the mark of the same request")
	again := p.mark(user, sess.LoginAttempt{Began: began, Pass: own})
	if again == 0 || again == own {
		p.broken("a second mark of the same request: got zero or the first one again, want another")
	}
	p.wantAdmitted(user, sess.LoginAttempt{Began: began, Pass: again}, "past the second mark of the same request")
	p.wantBarred(user, p.newID(), sess.LoginAttempt{Began: began, Pass: own}, "past the first of two marks")
	p.mark(user, sess.LoginAttempt{Began: time.Now()})
	p.wantBarred(user, p.newID(), sess.LoginAttempt{Began: began, Pass: again}, "past one's own mark, with another behind it")
}

func (p *probe) markOfBarred() {
	user, began := p.newUser(), time.Now()
	first := p.mark(user, sess.LoginAttempt{Began: began})
	if m := p.mark(user, sess.LoginAttempt{Began: began}); m != 0 {
		p.broken("Mark of a request that the mark before it bars: got a mark, want zero")
	}
	p.wantBarred(user, p.newID(), sess.LoginAttempt{Began: began, Pass: first}, "after a second mark")
	if m := p.mark(user, sess.LoginAttempt{Began: later()}); m == 0 {
		p.broken("Mark of a request that began after the mark before it: got zero, want a mark")
	}
}

// markIsOneStep lets logins that began before a mark run beside it. Who reads the entries after it must find all that
// were admitted, or somebody lives on whom nobody ends.
func (p *probe) markIsOneStep() {
	for range p.rounds(40) {
		user, began := p.newUser(), time.Now()
		var mu sync.Mutex
		admitted := map[sess.ID]bool{}
		listed := map[sess.UserEntry]int{}
		p.parallel(9, func(g int) {
			if g == 0 {
				if _, err := p.users().Mark(p.ctx, user, sess.LoginAttempt{Began: time.Now()}); err != nil {
					p.broken("Mark beside logins: got the error %v, want nil", err)
				}
				listed = p.entries(user)
				return
			}
			for range 4 {
				id := p.newID()
				_, err := p.users().Admit(p.ctx, user, id, longTTL, sess.LoginAttempt{Began: began})
				switch {
				case err == nil:
					mu.Lock()
					admitted[id] = true
					mu.Unlock()
				case !errors.Is(err, sess.ErrLoginRefused):
					p.broken("Admit beside a mark: got the error %v, want nil or ErrLoginRefused", err)
				}
			}
		})
		for e := range listed {
			delete(admitted, e.ID)
		}
		if len(admitted) > 0 {
			p.giveUp("Admit beside a mark: got %d logins that began before the mark and are not in the entries behind it, want none", len(admitted))
		}
	}
}

func (p *probe) usersCancelled() {
	ctx, user, e := p.cancelled(), p.newUser(), p.entry(0)
	_, admit := p.users().Admit(ctx, user, e.ID, longTTL, sess.LoginAttempt{Began: time.Now()})
	_, mark := p.users().Mark(ctx, user, sess.LoginAttempt{Began: time.Now()})
	_, entries := p.users().Entries(ctx, user, "")
	for what, err := range map[string]error{
		"Enter": p.users().Enter(ctx, user, e, longTTL, 0), "Leave": p.users().Leave(ctx, user, []sess.UserEntry{e}, 0),
		"Admit": admit, "Mark": mark, "Entries": entries,
	} {
		if !errors.Is(err, ctx.Err()) {
			p.broken("%s under a cancelled context: got the error %v, want %v", what, err, ctx.Err())
		}
	}
	p.wantEntries(user, "after calls under a cancelled context")
}
