package engine

import (
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/record"
)

func (h Handle) Delete(key string) {
	if r := h.enterToWrite(); r != nil {
		defer r.guard.Unlock()
		r.noteWrite()
		r.draft.Delete(key)
	}
}

func (h Handle) Clear() {
	if r := h.enterToWrite(); r != nil {
		defer r.guard.Unlock()
		r.noteWrite()
		r.draft.Clear()
	}
}

func (h Handle) ForceSave() {
	if r := h.enterToWrite(); r != nil {
		defer r.guard.Unlock()
		r.noteWrite()
		r.forced, r.discarded = true, false
	}
}

func (h Handle) Discard() {
	if r := h.enter(); r != nil {
		defer r.guard.Unlock()
		r.noteWrite()
		r.discarded, r.forced = true, false
	}
}

func (h Handle) Regenerate() {
	if r := h.enterToWrite(); r != nil && r.lookUp() {
		defer r.guard.Unlock()
		r.noteWrite()
		r.regenerate()
	}
}

// enterAnyway is enter for what is allowed in a session that has ended. The Dropped hook hears of a handle that is not alive.
func (h Handle) enterAnyway() *request {
	r := h.enter()
	if r == nil {
		h.dropped()
	}
	return r
}

func (h Handle) Destroy() {
	if r := h.enterAnyway(); r != nil && r.lookUp() {
		defer r.guard.Unlock()
		r.noteWrite()
		r.destroy()
	}
}

func (h Handle) Login(user string) {
	if r := h.enterAnyway(); r != nil && r.lookUp() {
		defer r.guard.Unlock()
		r.noteWrite()
		r.logIn(user)
	}
}

func (h Handle) Remember(d time.Duration) error {
	r, err := h.mustEnter("remember")
	if err != nil {
		return err
	}
	defer r.guard.Unlock()
	return r.logged("remember", r.remember(d))
}

func (h Handle) SetCookie(c cookies.Cookie) error {
	r, err := h.mustEnter("cookie")
	if err != nil {
		return err
	}
	defer r.guard.Unlock()
	return r.logged("cookie", r.setCookie(c))
}

func (h Handle) Token(purpose string) string {
	r := h.look()
	if r == nil {
		return ""
	}
	defer r.guard.Unlock()
	if r.dead() {
		return ""
	}
	return r.token(purpose)
}

func (h Handle) Save() error {
	r := h.enter()
	if r == nil {
		return released("save")
	}
	defer r.guard.Unlock()
	return wrap("save", r.save())
}

// enterToWrite is enter. The Dropped hook hears of a write through a handle that is not alive any more, and of one to a
// session that has ended.
func (h Handle) enterToWrite() *request {
	r := h.enterAnyway()
	if r != nil && r.dead() {
		r.guard.Unlock()
		r.drop(Event{Reason: ReasonGone})
		return nil
	}
	return r
}

// mustEnter is enterToWrite, with the reason why not.
func (h Handle) mustEnter(op string) (*request, error) {
	r := h.enterAnyway()
	switch {
	case r == nil:
		return nil, released(op)
	case r.dead():
		r.guard.Unlock()
		return nil, wrap(op, record.ErrEnded)
	}
	return r, nil
}

// dropped tells of a write through a handle that is not alive.
func (h Handle) dropped() {
	if h.t == nil {
		sayNoSession()
		return
	}
	h.t.r.drop(Event{Reason: ReasonReleased}) // drop reads the manager and the stripe, which never change: no lock is needed.
}

// logged is wrap, and logs the error too: it may be the caller's mistake, and callers often ignore it.
func (r *request) logged(op string, err error) error {
	if err != nil {
		r.m.log.Failing("a call was refused", op, err)
	}
	return wrap(op, err)
}
