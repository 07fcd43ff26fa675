package sesstest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fibersess/sess"
)

const (
	// shortTTL is long enough for a store to answer once before it passes, and short enough to wait for.
	shortTTL = 150 * time.Millisecond

	// longTTL does not pass during a test.
	longTTL = time.Hour

	// early is how much before its TTL a record may go: clocks that count in milliseconds and are read a little late.
	early = 20 * time.Millisecond

	// soon is what a store gets for what has no bound of its own: to let an expired record go, to tell a watcher, to
	// return when a context has ended.
	soon = 5 * time.Second

	// patience bounds a whole subtest, for a store that hangs but obeys its context.
	patience = 2 * time.Minute
)

// tester is what the suite uses of *testing.T: the suite's own tests watch it fail.
type tester interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Skipf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// probe asks one store about one promise. Methods that may end the test are for its goroutine only; parallel and
// those it is given use call's results and broken.
type probe struct {
	tester
	promise string
	store   sess.Store
	ctx     context.Context
	brief   bool // a tenth of the work
}

func newProbe(t tester, promise string, store sess.Store) *probe {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return &probe{tester: t, promise: promise, store: store, ctx: ctx}
}

// broken reports that the promise does not hold and goes on.
func (p *probe) broken(format string, args ...any) {
	p.Helper()
	p.Errorf("broken promise: %s\n\t%s", p.promise, fmt.Sprintf(format, args...))
}

// giveUp reports that the promise does not hold and ends the subtest.
func (p *probe) giveUp(format string, args ...any) {
	p.Helper()
	p.Fatalf("broken promise: %s\n\t%s", p.promise, fmt.Sprintf(format, args...))
}

// newID returns an id nobody has.
func (p *probe) newID() sess.ID {
	p.Helper()
	return p.idOf("sesstest-" + rand.Text())
}

func (p *probe) idOf(text string) sess.ID {
	p.Helper()
	id, err := sess.ParseID(text)
	if err != nil {
		p.Fatalf("sesstest: sess.ParseID refuses an id of the suite: %v", err)
	}
	return id
}

// record returns the record of a JSON text, a new one each time.
func (p *probe) record(json string) *sess.Record {
	p.Helper()
	r, err := sess.ParseRecord(json)
	if err != nil {
		p.Fatalf("sesstest: sess.ParseRecord refuses %s: %v", excerpt(json), err)
	}
	return r
}

// number returns the record {"n":n}, a new one each time.
func (p *probe) number(n int) *sess.Record {
	p.Helper()
	return p.record(fmt.Sprintf(`{"n":%d}`, n))
}

// set stores r, or ends the subtest.
func (p *probe) set(id sess.ID, r *sess.Record, ttl time.Duration) {
	p.Helper()
	if err := p.store.Set(p.ctx, id, r, ttl); err != nil {
		p.giveUp("Set: got the error %v, want nil", err)
	}
}

// destroy removes what is kept under id, or ends the subtest.
func (p *probe) destroy(id sess.ID) {
	p.Helper()
	if err := p.store.Destroy(p.ctx, id); err != nil {
		p.giveUp("Destroy: got the error %v, want nil", err)
	}
}

// wantKept checks that Get returns exactly the bytes of want.
func (p *probe) wantKept(id sess.ID, want *sess.Record, when string) {
	p.Helper()
	got, err := p.store.Get(p.ctx, id)
	switch {
	case err != nil:
		p.broken("Get %s: got the error %v, want %s", when, err, excerpt(want.JSON()))
	case got == nil:
		p.broken("Get %s: got a nil record and no error, want %s", when, excerpt(want.JSON()))
	case got.JSON() != want.JSON():
		p.broken("Get %s: got %s, want %s", when, excerpt(got.JSON()), excerpt(want.JSON()))
	}
}

// wantGone checks that Get finds nothing.
func (p *probe) wantGone(id sess.ID, when string) {
	p.Helper()
	got, err := p.store.Get(p.ctx, id)
	switch {
	case got != nil:
		p.broken("Get %s: got %s and the error %v, want a nil record and ErrNotFound", when, excerpt(got.JSON()), err)
	case !errors.Is(err, sess.ErrNotFound):
		p.broken("Get %s: got the error %v, want ErrNotFound", when, err)
	}
}

// wantExpiry checks that what was stored under id at or after start is there until ttl has passed, and gone soon
// after.
func (p *probe) wantExpiry(id sess.ID, start time.Time, ttl time.Duration, when string) {
	p.Helper()
	for {
		_, err := p.store.Get(p.ctx, id)
		age := time.Since(start)
		switch {
		case errors.Is(err, sess.ErrNotFound):
			if age < ttl-early {
				p.broken("Get %s: got ErrNotFound after %v, want the record until its TTL of %v has passed", when, age, ttl)
			}
			return
		case err != nil:
			p.giveUp("Get %s: got the error %v, want the record or ErrNotFound", when, err)
		case age > ttl+soon:
			p.broken("Get %s: got a record %v after it was stored, want ErrNotFound since its TTL of %v has passed", when, age, ttl)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// outlive waits until a record with the short TTL that is stored now has expired, by the store's own clock.
func (p *probe) outlive() {
	p.Helper()
	canary := p.newID()
	start := time.Now()
	p.set(canary, p.record(`{"canary":true}`), shortTTL)
	p.wantExpiry(canary, start, shortTTL, "of a record with a short TTL")
}

// parallel runs f in n goroutines that start together, and waits for all.
func (p *probe) parallel(n int, f func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// excerpt returns s, shortened: the records of the suite are no secrets, but some are long.
func excerpt(s string) string {
	const most = 120
	s = strings.ToValidUTF8(s, "?")
	if len(s) > most {
		return fmt.Sprintf("%.*q… (%d bytes)", most, s, len(s))
	}
	return fmt.Sprintf("%q", s)
}
