package streams

import (
	"testing"

	"github.com/fibersess/sess"
)

// onEach runs f for each kind of connection, on each store, with two nodes.
func onEach(t *testing.T, f func(t *testing.T, here, there *node, open func(b *browser, at *node) connection)) {
	t.Helper()
	for kind, open := range kinds {
		t.Run(kind, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, here, there *node) { f(t, here, there, open) })
		})
	}
}

func TestLogoutInOneBrowserEndsTheConnectionsOfItsSessionAndOfNoOther(t *testing.T) {
	onEach(t, func(t *testing.T, here, there *node, open func(b *browser, at *node) connection) {
		ann, elsewhere, bob := loggedIn(t, here, "ann"), loggedIn(t, there, "ann"), loggedIn(t, here, "bob")
		hers, hersThere := open(ann, here), open(ann, there)
		others := map[string]connection{
			"ann in another browser, here": open(elsewhere, here), "ann in another browser, there": open(elsewhere, there),
			"bob, here": open(bob, here), "bob, there": open(bob, there),
		}
		ann.post(here, "/logout")
		hers.ended("on the node of the logout", sess.ErrEnded.Error())
		hersThere.ended("on the other node", sess.ErrEnded.Error())
		for who, c := range others {
			c.open(who + ", after the logout")
		}
	})
}

func TestEndAllEndsTheConnectionsOfEachSessionOfTheUser(t *testing.T) {
	onEach(t, func(t *testing.T, here, there *node, open func(b *browser, at *node) connection) {
		ann, elsewhere, bob := loggedIn(t, here, "ann"), loggedIn(t, there, "ann"), loggedIn(t, here, "bob")
		hers, hersThere, his := open(ann, here), open(elsewhere, there), open(bob, there)
		bob.post(there, "/endall", "user", "ann")
		hers.ended("ann, here", sess.ErrEnded.Error())
		hersThere.ended("ann in another browser, there", sess.ErrEnded.Error())
		his.open("bob")
	})
}

func TestARenewalEndsTheConnectionsOfTheOldIDAndTheNewCookieOpensNewOnes(t *testing.T) {
	onEach(t, func(t *testing.T, here, there *node, open func(b *browser, at *node) connection) {
		ann := loggedIn(t, here, "ann")
		before := open(ann, there)
		ann.post(here, "/renew")
		before.ended("with the old id", sess.ErrRenewed.Error())
		open(ann, there).open("with the new cookie")
	})
}

func TestOtherRequestsThatSaveTheSessionEndNoConnection(t *testing.T) {
	onEach(t, func(t *testing.T, here, there *node, open func(b *browser, at *node) connection) {
		ann := loggedIn(t, here, "ann")
		one, two := open(ann, here), open(ann, there)
		for _, text := range []string{"a", "b", "c"} {
			ann.post(here, "/save", "text", text)
			ann.post(there, "/save", "text", text)
		}
		one.open("on this node")
		two.open("on the other node")
	})
}

func TestTheLiveEndsWithItsConnection(t *testing.T) {
	onEach(t, func(t *testing.T, here, there *node, open func(b *browser, at *node) connection) {
		ann := loggedIn(t, here, "ann")
		one, two := open(ann, here), open(ann, there)
		here.wantLives(t, "with a connection", 1)
		one.leave()
		here.wantLives(t, "when the browser has left", 0)
		two.open("on the other node")
		there.wantLives(t, "on the other node", 1)
	})
}

func TestCloseOfTheManagerEndsItsConnections(t *testing.T) {
	onEach(t, func(t *testing.T, here, there *node, open func(b *browser, at *node) connection) {
		ann := loggedIn(t, here, "ann")
		one, two := open(ann, here), open(ann, there)
		here.manager.Close()
		one.ended("of the closed manager", sess.ErrClosed.Error())
		two.open("of the other one")
	})
}

func TestWhoIsNotLoggedInGetsNoConnection(t *testing.T) {
	onEveryStore(t, func(t *testing.T, here, _ *node) {
		for _, path := range []string{"/socket", "/stream"} {
			if got, want := newBrowser(t).text(here, path), "Unauthorized"; got != want {
				t.Errorf("GET %s: got %q, want %q", path, got, want)
			}
		}
		here.wantLives(t, "without a session", 0)
	})
}

func TestASocketWritesIntoTheSessionThatRequestsRead(t *testing.T) {
	onEveryStore(t, func(t *testing.T, here, there *node) {
		ann := loggedIn(t, here, "ann")
		one, two := ann.socket(here), ann.socket(there)
		for range 5 {
			one.open("one")
			two.open("two")
		}
		if got, want := ann.text(here, "/count"), "10"; got != want {
			t.Errorf("the count of both sockets: got %s, want %s", got, want)
		}
	})
}
