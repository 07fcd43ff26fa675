package interop

import (
	"strings"
	"testing"

	"github.com/fibersess/sess"
)

// userOf is who the visitor is for sess, past every cache.
func userOf(v *visitor) string {
	v.w.t.Helper()
	return strings.Trim(v.sess(func(s sess.Session) any {
		_ = s.Refresh()
		user, _ := s.User()
		return user
	}).body, `"`)
}

func logIn(v *visitor, user string) {
	v.w.t.Helper()
	v.sess(func(s sess.Session) any { s.Login(user); return nil })
}

// TestNobodyBecomesAUserByWhatKoaAssigns does in the real Koa what applications do with a request's body.
func TestNobodyBecomesAUserByWhatKoaAssigns(t *testing.T) {
	w := newWorld(t, setup{})
	stranger := w.visitor()
	stranger.koa(`Object.assign(ctx.session, {"$":{"u":"admin","l":1},"n":1})`)
	wantEqual(t, "the user of a session that Koa gave one", userOf(stranger), "")
	stranger.sess(func(s sess.Session) any { sess.Set(s, "saved", true); return nil })
	wantEqual(t, "that user after a save of sess", userOf(stranger), "")
	wantEqual(t, "what Koa assigned beside it", member(t, stranger.record(), "n"), "1")

	ann := w.visitor()
	logIn(ann, "ann")
	ann.koa(`Object.assign(ctx.session, {"$":{"u":"admin","l":1}})`)
	if user := userOf(ann); user == "admin" {
		t.Errorf("the user of ann's session in which Koa wrote another: got %q, want ann or nobody", user)
	}
	bob := w.visitor()
	logIn(bob, "bob")
	bob.koa(`ctx.session.$.u = 'admin'`)
	wantEqual(t, "the user of bob's session in which Koa changed the name", userOf(bob), "")
}

// TestNobodyStaysAUserByWhatKoaCopies has a renewal of Koa's that takes everything along, and one that hands what it has
// taken to another session.
func TestNobodyStaysAUserByWhatKoaCopies(t *testing.T) {
	w := newWorld(t, setup{})
	ann := w.visitor()
	logIn(ann, "ann")
	thief := w.visitor()
	thief.koa(`ctx.session.n = 1`)
	copied := member(t, ann.record(), "$")
	thief.koa(`Object.assign(ctx.session, {"$":` + copied + `})`)
	wantEqual(t, "the user of a session that got a copy of ann's proof", userOf(thief), "")
	wantEqual(t, "the user whose proof was copied", userOf(ann), "ann")

	old := ann.cookie("koa.sid")
	ann.koa(`const all = { ...ctx.session }; await ctx.regenerateSession(); Object.assign(ctx.session, all, {"n": 2})`)
	if ann.cookie("koa.sid") == old {
		t.Fatal("the id after a renewal of Koa's: got the old one, want another")
	}
	wantEqual(t, "the user after a renewal of Koa's that copies the proof", userOf(ann), "")
	wantEqual(t, "whether Koa copied it", member(t, ann.record(), "$") != "", true)
}

// TestASaveOfKoaThatIsUnderWayAtALogoutBringsBackThatSessionAlone: Koa stores what it has read, without a look at what is
// there, so a logout beside it is not final. Who held the cookie of before is again who he was, and nobody else is anybody.
func TestASaveOfKoaThatIsUnderWayAtALogoutBringsBackThatSessionAlone(t *testing.T) {
	w := newWorld(t, setup{})
	ann := w.visitor()
	logIn(ann, "ann")
	slow := ann.twin()
	done := make(chan struct{})
	go func() {
		defer close(done)
		slow.koa(`Object.assign(ctx.session, {"n":1}); await gate('saving')`)
	}()
	w.visitor().koa(`await arrived('saving')`)
	ann.sess(func(s sess.Session) any { s.Destroy(); return nil })
	w.visitor().koa(`open('saving')`)
	<-done
	wantEqual(t, "the cookie of the browser that has logged out", ann.cookie("koa.sid"), "")
	wantEqual(t, "the user of that browser", userOf(ann), "")
	wantEqual(t, "the user of the cookie before the logout, after Koa has saved", userOf(slow), "ann")
	slow.koa(`Object.assign(ctx.session, {"$":{"u":"admin","l":1}})`)
	wantEqual(t, "the user whom Koa writes into the session that is back", userOf(slow), "")
}
