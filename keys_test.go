package sess_test

import (
	"strings"
	"testing"

	"github.com/fibersess/sess"
)

func TestSetKeysRotatesWhileRequestsAreServed(t *testing.T) {
	const old, next = "an old secret of sufficient length", "a new secret of sufficient length"
	site := newSite(t, sess.Config{Keys: sess.Keys(old)})
	b := site.browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
	wantFound := func(when string, want bool) {
		t.Helper()
		b.visit(func(s sess.Session) {
			if got := s.Exists(); got != want {
				t.Errorf("%s: the session is found: got %v, want %v", when, got, want)
			}
		})
	}
	wantVerified := func(when string, counts ...uint64) {
		t.Helper()
		for key, want := range counts {
			if got := site.manager.Verified(key); got != want {
				t.Errorf("%s: Verified(%d): got %d, want %d", when, key, got, want)
			}
		}
	}
	setKeys := func(secrets ...string) {
		t.Helper()
		if err := site.manager.SetKeys(sess.Keys(secrets...)...); err != nil {
			t.Fatalf("SetKeys: got %v, want nil", err)
		}
	}
	wantFound("before", true)
	wantVerified("before", 1)

	setKeys(next, old)
	before := b.cookies["koa.sid.sig"]
	wantFound("with the new key in front", true)
	if b.cookies["koa.sid.sig"] == before {
		t.Error("with the new key in front: got the old signature, want the cookie signed anew")
	}
	wantVerified("with the new key in front", 0, 2)
	wantFound("signed anew", true)
	wantVerified("signed anew", 1, 2)

	setKeys(next)
	wantFound("without the old key", true)
	b.cookies["koa.sid.sig"] = before
	wantFound("the old signature without the old key", false)
}

func TestSetKeysRefusesBadKeysAndKeepsTheOldOnes(t *testing.T) {
	site := newSite(t, sess.Config{Keys: sess.Keys(testKey)})
	b := site.browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
	for _, c := range []struct {
		keys []sess.Key
		want string
	}{
		{nil, "sess: SetKeys: no keys; want one or more"},
		{[]sess.Key{{}}, "sess: SetKeys[0]: empty; want"},
		{sess.Keys(testKey, "short"), "sess: SetKeys[1]: 5 bytes; want 16 or more"},
	} {
		if err := site.manager.SetKeys(c.keys...); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	b.visit(func(s sess.Session) {
		if !s.Exists() {
			t.Error("after keys that were refused: got no session, want it found")
		}
	})
	unsigned := newSite(t, sess.Config{Cookie: sess.Cookie{DangerouslyUnsigned: true}})
	if err := unsigned.manager.SetKeys(sess.Keys(testKey)...); err == nil {
		t.Error("unsigned: got nil, want an error")
	}
	if got := unsigned.manager.Verified(0); got != 0 {
		t.Errorf("unsigned: Verified: got %d, want 0", got)
	}
}
