package interop

import (
	"testing"

	"github.com/fibersess/sess"
)

// While a request of sess is under way Koa saves the same session. sess compares and swaps, so it notices, and puts
// its own changes on top of what Koa wrote.
func TestSessLosesNothingToASaveOfKoa(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()
	v.koa(`ctx.session.n = 1; ctx.session.koa = 'before'`)

	v.sess(func(s sess.Session) any {
		sess.Update(s, "n", func(n int, _ bool) int { return n + 10 })
		sess.Set(s, "sess", "mine")
		interfere(t, v, `ctx.session.n++; ctx.session.koa = 'after'`)
		return nil
	})
	record := v.record()
	wantEqual(t, "n, which both changed", member(t, record, "n"), "12")
	wantEqual(t, "what Koa changed", member(t, record, "koa"), `"after"`)
	wantEqual(t, "what sess changed", member(t, record, "sess"), `"mine"`)
}

// While a request of sess is under way somebody logs out in Koa. The write is dropped and said to be.
func TestALogoutInKoaIsFinalForSess(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()
	v.koa(`ctx.session.user = 'ada'`)
	key := v.key()

	got := v.sess(func(s sess.Session) any {
		sess.Set(s, "n", 1)
		interfere(t, v, `ctx.session = null`)
		return nil
	})
	if left := w.redis.Do("GET", key); left != nil {
		t.Error("record after the logout: got one, want none")
	}
	wantEqual(t, "cookies that sess sent", len(got.setCookies), 0)
	w.sess.mu.Lock()
	defer w.sess.mu.Unlock()
	if len(w.sess.dropped) != 1 || w.sess.dropped[0] != sess.ReasonGone {
		t.Errorf("dropped changes: got %v, want one, %q", w.sess.dropped, sess.ReasonGone)
	}
}

// Koa reads, waits, and writes the whole session. What sess saved meanwhile is lost, and a session that sess ended is
// back. sess cannot prevent it; docs/from-koa.md says so, and what to do.
func TestASaveOfKoaOverwritesWhatSessSavedMeanwhile(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()
	v.koa(`ctx.session.n = 1`)

	v.duringKoa(`ctx.session.n++`, func() {
		v.sess(func(s sess.Session) any { sess.Set(s, "sess", "mine"); return nil })
		wantEqual(t, "what sess changed, before Koa saves", member(t, v.record(), "sess"), `"mine"`)
	})
	wantEqual(t, "what sess changed, after Koa saved", member(t, v.record(), "sess"), "")
	wantEqual(t, "what Koa changed", member(t, v.record(), "n"), "2")

	key := v.key()
	v.duringKoa(`ctx.session.n++`, func() {
		v.sess(func(s sess.Session) any { s.Destroy(); return nil })
		if left := w.redis.Do("GET", key); left != nil {
			t.Error("record after Destroy: got one, want none")
		}
	})
	if back := w.redis.Do("GET", key); back == nil {
		t.Error("record after Koa's save: got none; Koa no longer brings back a session, so docs/from-koa.md is wrong")
	}
}

// A request of Koa's that changes nothing writes nothing, so it brings nothing back either.
func TestAReadInKoaDoesNotUndoALogoutInSess(t *testing.T) {
	w := newWorld(t, setup{})
	v := w.visitor()
	v.koa(`ctx.session.n = 1`)
	key := v.key()
	v.duringKoa(``, func() { v.sess(func(s sess.Session) any { s.Destroy(); return nil }) })
	if back := w.redis.Do("GET", key); back != nil {
		t.Error("record after a read in Koa: got one, want none")
	}
}

// interfere runs js in Koa as another request of the same browser, from within a handler of sess.
func interfere(t *testing.T, v *visitor, js string) {
	a, err := v.twin().try(v.w.koa.url, "", js)
	if err != nil || a.status != 200 {
		t.Errorf("POST to Koa: got the status %d and the error %v, want 200", a.status, err)
	}
}

// duringKoa lets a request of Koa's load the session, calls f, and then lets Koa run js and save.
func (v *visitor) duringKoa(js string, f func()) {
	v.w.t.Helper()
	control, browser := v.w.visitor(), v.twin()
	done := make(chan error)
	go func() {
		_, err := browser.try(v.w.koa.url, "", `await gate('loaded'); `+js)
		done <- err
	}()
	control.koa(`await arrived('loaded')`)
	f()
	control.koa(`open('loaded')`)
	if err := <-done; err != nil {
		v.w.t.Fatalf("POST to Koa: got the error %v, want nil", err)
	}
}
