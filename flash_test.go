package sess_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fibersess/sess"
)

// threeMethods is a store that can do no more than it must.
type threeMethods struct{ store sess.Store }

func (s threeMethods) Get(ctx context.Context, id sess.ID) (*sess.Record, error) {
	return s.store.Get(ctx, id)
}

func (s threeMethods) Set(ctx context.Context, id sess.ID, r *sess.Record, ttl time.Duration) error {
	return s.store.Set(ctx, id, r, ttl)
}

func (s threeMethods) Destroy(ctx context.Context, id sess.ID) error { return s.store.Destroy(ctx, id) }

// wantFlashes checks the messages that a visit finds.
func wantFlashes(b *browser, what string, want ...string) {
	b.t.Helper()
	b.visit(func(s sess.Session) {
		got, err := sess.Flashes[string](s)
		if err != nil || !slices.Equal(got, want) {
			b.t.Errorf("%s: got %q and %v, want %q and no error", what, got, err, want)
		}
	})
}

func TestAFlashIsShownOnceOnEveryStore(t *testing.T) {
	for name, store := range map[string]sess.Store{
		"with Swap": sess.NewMemoryStore(), "without": threeMethods{sess.NewMemoryStore()},
	} {
		b := newSite(t, sess.Config{Store: store}).browser(t)
		wantFlashes(b, name+": none yet")
		if len(b.cookies) != 0 {
			t.Errorf("%s: a look: got a session, want none", name)
		}
		b.visit(func(s sess.Session) {
			sess.AddFlash(s, "saved")
			sess.AddFlash(s, "and sent")
		})
		wantFlashes(b, name+": the next page", "saved", "and sent")
		wantFlashes(b, name+": the page behind it")
	}
}

func TestAFlashCanBeShownInTheRequestThatAddsIt(t *testing.T) {
	b := newSite(t, sess.Config{}).browser(t)
	b.visit(func(s sess.Session) {
		sess.AddFlash(s, "at once")
		if got, err := sess.Flashes[string](s); err != nil || !slices.Equal(got, []string{"at once"}) {
			t.Errorf("got %q and %v, want the message", got, err)
		}
	})
	wantFlashes(b, "the next page")
}

func TestAFlashIsOfAnyType(t *testing.T) {
	type message struct{ Kind, Text string }
	b := newSite(t, sess.Config{}).browser(t)
	b.visit(func(s sess.Session) { sess.AddFlash(s, message{"error", "wrong password"}) })
	b.visit(func(s sess.Session) {
		if got, err := sess.Flashes[message](s); err != nil || !slices.Equal(got, []message{{"error", "wrong password"}}) {
			t.Errorf("got %v and %v, want the message", got, err)
		}
	})
}

func TestASessionKeepsTheLast32Flashes(t *testing.T) {
	b := newSite(t, sess.Config{}).browser(t)
	var want []string
	for i := range 40 {
		text := fmt.Sprint(i)
		b.visit(func(s sess.Session) { sess.AddFlash(s, text) })
		want = append(want, text)
	}
	wantFlashes(b, "after 40", want[8:]...)
}

func TestParallelRequestsLoseNoFlashAndShowNoneTwice(t *testing.T) {
	site := newSite(t, sess.Config{})
	b := site.browser(t)
	b.visit(setN)
	const n = 16
	parallel := func(do func(s sess.Session, i int)) {
		var all sync.WaitGroup
		for i := range n {
			other := site.browser(t)
			for name, value := range b.cookies {
				other.cookies[name] = value
			}
			all.Go(func() { other.visit(func(s sess.Session) { do(s, i) }) })
		}
		all.Wait()
	}
	parallel(func(s sess.Session, i int) { sess.AddFlash(s, i) })
	var mu sync.Mutex
	var shown []int
	parallel(func(s sess.Session, _ int) {
		got, err := sess.Flashes[int](s)
		if err != nil {
			t.Errorf("Flashes: got %v, want no error", err)
		}
		mu.Lock()
		defer mu.Unlock()
		shown = append(shown, got...)
	})
	slices.Sort(shown)
	if want := 0; len(shown) != n || shown[0] != want || shown[n-1] != n-1 {
		t.Errorf("got the messages %v, want each of 0 to %d once", shown, n-1)
	}
}
