// Package sesstest helps to test stores for sess, and programs that use one.
//
//   - [TestStore] holds a store to the contract of [sess.Store] and of the capabilities it has beside it.
//   - [NewFaulty] makes a store fail, hang or return garbage on order.
//   - [NewGate] stops a chosen call before or after it reaches the store, so that a test forces an interleaving
//     instead of sleeping and hoping for it.
package sesstest

import (
	"testing"
	"testing/synctest"

	"github.com/fibersess/sess"
)

// TestStore checks every promise of [sess.Store], each in a subtest of its own, and those of [sess.Swapper],
// [sess.Ender], [sess.Peeker], [sess.Refresher], [sess.Watcher], and [sess.UserIndex] with [sess.UserMarker] where the
// store has these methods. A failure names the promise that broke.
//
// newStore is called once per subtest. It returns a store nobody else uses, and closes it with t.Cleanup if it must be
// closed. The ids of different subtests differ, except for a few of one byte and a few odd ones, so the stores may
// share a server.
//
// The clock is the real one: TTLs are 150 ms, and an expired record has 5 s to be gone. With -short the suite does a
// tenth of the work where it counts on load. Run it with -race.
func TestStore(t *testing.T, newStore func(t *testing.T) sess.Store) {
	for _, p := range promises() {
		t.Run(p.name, func(t *testing.T) {
			p.check(t, newStore(t))
		})
	}
}

// TestStoreBriefly is [TestStore] with a tenth of the work where it counts on load, as -short makes it. It is for the
// further configurations of a store that passes TestStore in one.
func TestStoreBriefly(t *testing.T, newStore func(t *testing.T) sess.Store) {
	for _, p := range promises() {
		t.Run(p.name, func(t *testing.T) {
			p.hold(t, newStore(t), true)
		})
	}
}

// TestStoreInBubble is [TestStore] with every subtest in a testing/synctest bubble: time is virtual and nothing waits.
// It is for stores without I/O that take the time from time.Now, and newStore runs inside the bubble.
func TestStoreInBubble(t *testing.T, newStore func(t *testing.T) sess.Store) {
	for _, p := range promises() {
		t.Run(p.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p.check(t, newStore(t))
			})
		})
	}
}

// promise is one sentence of the contract and the check that holds a store to it.
type promise struct {
	name string // of the subtest
	text string // the promise in plain words, printed when it is broken
	keep func(p *probe)
}

// promises returns all of them, the simple ones first: what breaks first explains what breaks after it.
func promises() []promise {
	var all []promise
	all = append(all, storePromises...)
	all = append(all, ttlPromises...)
	all = append(all, contextPromises...)
	for _, p := range swapPromises {
		all = append(all, p.unless(func(s sess.Store) bool { _, ok := s.(sess.Swapper); return !ok }, "Swapper"))
	}
	for _, p := range endPromises {
		all = append(all, p.unless(func(s sess.Store) bool { _, ok := s.(sess.Ender); return !ok }, "Ender"))
	}
	for _, p := range peekPromises {
		all = append(all, p.unless(func(s sess.Store) bool { _, ok := s.(sess.Peeker); return !ok }, "Peeker"))
	}
	for _, p := range refreshPromises {
		all = append(all, p.unless(func(s sess.Store) bool { _, ok := s.(sess.Refresher); return !ok }, "Refresher"))
	}
	for _, p := range watchPromises {
		all = append(all, p.unless(func(s sess.Store) bool { _, ok := s.(sess.Watcher); return !ok }, "Watcher"))
	}
	for _, p := range userPromises {
		all = append(all, p.unless(func(s sess.Store) bool { _, ok := s.(userStore); return !ok }, "UserIndex and UserMarker"))
	}
	return all
}

// unless returns p, skipped for a store that lacks the capability.
func (p promise) unless(lacks func(sess.Store) bool, capability string) promise {
	keep := p.keep
	p.keep = func(p *probe) {
		if lacks(p.store) {
			p.Skipf("the store is not a sess.%s", capability)
		}
		keep(p)
	}
	return p
}

// check holds store to the promise.
func (p promise) check(t tester, store sess.Store) {
	t.Helper()
	p.hold(t, store, false)
}

// hold is check, with a tenth of the work if brief.
func (p promise) hold(t tester, store sess.Store, brief bool) {
	t.Helper()
	if store == nil {
		t.Fatalf("newStore: got nil, want a store")
	}
	probe := newProbe(t, p.text, store)
	probe.brief = brief
	p.keep(probe)
}
