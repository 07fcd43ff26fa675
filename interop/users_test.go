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

// koaSavesBehind has Koa read the session of v, which is somebody's, runs end, and lets Koa save it only then. It returns the
// browser in which Koa's request was under way: it has kept the cookie of before.
func koaSavesBehind(v *visitor, end func()) *visitor {
	v.w.t.Helper()
	slow := v.twin()
	done := make(chan struct{})
	go func() {
		defer close(done)
		slow.koa(`Object.assign(ctx.session, {"n":1}); await gate('saving')`)
	}()
	v.w.visitor().koa(`await arrived('saving')`)
	end()
	v.w.visitor().koa(`open('saving')`)
	<-done
	return slow
}

// TestNobodyBecomesAUserByASaveOfKoaThatIsUnderWay: Koa stores what it has read, without a look at what is there, so the
// session that has ended is back, with its user and his proof. It is nobody's all the same, on every way to it.
func TestNobodyBecomesAUserByASaveOfKoaThatIsUnderWay(t *testing.T) {
	for name, end := range map[string]func(ann *visitor){
		"logout":  func(ann *visitor) { ann.sess(func(s sess.Session) any { s.Destroy(); return nil }) },
		"clear":   func(ann *visitor) { ann.sess(func(s sess.Session) any { s.Clear(); return nil }) },
		"login":   func(ann *visitor) { logIn(ann, "ann") },
		"renewal": func(ann *visitor) { ann.sess(func(s sess.Session) any { s.Regenerate(); return nil }) },
		"EndAll": func(ann *visitor) {
			if n, err := ann.w.sess.manager.User("ann").EndAll(t.Context()); n != 1 || err != nil {
				t.Errorf("EndAll: got (%d, %v), want 1 session and no error", n, err)
			}
		},
		"end by id": func(ann *visitor) {
			id, err := sess.ParseID(ann.cookie("koa.sid"))
			if err == nil {
				err = ann.w.sess.manager.End(t.Context(), id)
			}
			if err != nil {
				t.Errorf("End: got the error %v, want nil", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{near: true})
			ann := w.visitor()
			logIn(ann, "ann")
			slow := koaSavesBehind(ann, func() { end(ann) })
			if slow.record() == "" {
				t.Fatal("what Koa has saved: got nothing, want the session")
			}
			for _, read := range []string{"first", "second"} {
				wantEqual(t, "the user of the cookie of before, at the "+read+" look", userOf(slow), "")
			}
			wantEqual(t, "what is left of the session that came back", slow.record(), "")
			if name == "login" || name == "renewal" {
				wantEqual(t, "the user of the browser with the new cookie", userOf(ann), "ann")
			}
		})
	}
}
