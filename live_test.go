package sess_test

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/sesstest"
)

// opened is a Live of the session that the browser holds.
func (st *portal) opened(c *client) *sess.Live {
	st.Helper()
	id, err := sess.ParseID(c.id())
	if err != nil {
		st.Fatal(err)
	}
	live, err := st.m.Open(st.Context(), id)
	if err != nil {
		st.Fatalf("Open: got the error %+v, want none", err)
	}
	st.Cleanup(func() { live.Close() })
	return live
}

// wantEnd waits until live has ended.
func (st *portal) wantEnd(what string, live *sess.Live, want error) {
	st.Helper()
	select {
	case <-live.Done():
	case <-time.After(5 * time.Second):
		st.Fatalf("a Live after %s: got no end within 5 s, want one", what)
	}
	if got := context.Cause(live.Context()); !errors.Is(got, want) {
		st.Errorf("a Live after %s: got the cause %v, want %v", what, got, want)
	}
}

func (st *portal) wantGoesOn(what string, live *sess.Live) {
	st.Helper()
	select {
	case <-live.Done():
		st.Errorf("a Live after %s: got ended, %v, want that it goes on", what, context.Cause(live.Context()))
	case <-time.After(20 * time.Millisecond):
	}
}

func TestLiveEndsWithItsSessionWhereverThatEnds(t *testing.T) {
	more := routes{
		"regenerate": func(_ *fiber.Ctx, s sess.Session) error { s.Regenerate(); return nil },
	}
	onEveryStore(t, sess.Config{}, more, func(t *testing.T, here, there *portal) {
		elsewhere := func(c *client) *client { return &client{there.app.Handler(), c.jar} }
		for what, do := range map[string]struct {
			act  func(c *client)
			want error
		}{
			"a logout":      {func(c *client) { elsewhere(c).get("/out") }, sess.ErrEnded},
			"EndAll":        {func(*client) { _, _ = there.m.User("ann").EndAll(t.Context()) }, sess.ErrEnded},
			"a renewal":     {func(c *client) { elsewhere(c).get("/regenerate") }, sess.ErrRenewed},
			"another login": {func(c *client) { elsewhere(c).get("/in") }, sess.ErrRenewed},
		} {
			c, bob := here.loggedIn("ann"), here.loggedIn("bob")
			live, other := here.opened(c), here.opened(bob)
			elsewhere(c.twin()).get("/set?key=other")
			here.wantGoesOn("another request's save", live)
			do.act(c)
			here.wantEnd(what, live, do.want)
			here.wantGoesOn(what+" of another's session", other)
			if err := live.Do(t.Context(), func(sess.Session) error { return nil }); !errors.Is(err, sess.ErrEnded) {
				t.Errorf("Do after %s: got the error %v, want ErrEnded", what, err)
			}
		}
	})
}

func TestLiveEndsWhenTheTimeIsOverAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newPortal(t, sess.Config{Store: sess.NewMemoryStore(), TTL: time.Hour}, nil)
		c := st.loggedIn("ann")
		live := st.opened(c)
		time.Sleep(50 * time.Minute)
		c.get("/set?key=later") // It moves the end.
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		if live.Context().Err() != nil {
			t.Error("a Live whose session was saved meanwhile: got ended, want that it goes on")
		}
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		if got := context.Cause(live.Context()); got != sess.ErrExpired {
			t.Errorf("a Live after its session's time: got the cause %v, want ErrExpired", got)
		}
	})
}

func TestLiveDoSavesAndSendsNothing(t *testing.T) {
	before := 0
	config := sess.Config{BeforeSave: func(ctx *fasthttp.RequestCtx, _ sess.Session) error { before++; return nil }}
	onEveryStore(t, config, nil, func(t *testing.T, here, there *portal) {
		c := here.loggedIn("ann")
		live, ends := here.opened(c), here.sessions("ann")[0].Expires
		before = 0
		err := live.Do(t.Context(), func(s sess.Session) error {
			c.get("/set?key=request")
			sess.Set(s, "live", true)
			return nil
		})
		if err != nil {
			t.Errorf("Do: got the error %+v, want none", err)
		}
		for _, key := range []string{"live", "request"} {
			here.wantReply(key, c.get("/has?key="+key), 200, "true")
		}
		if before != 1 {
			t.Errorf("BeforeSave: got %d calls, want 1, the request's", before)
		}
		if got := here.sessions("ann")[0].Expires; got.Before(ends) {
			t.Error("the end after Do: got an earlier one, want it unmoved")
		}
		failed := errors.New("failed")
		err = live.Do(t.Context(), func(s sess.Session) error { sess.Set(s, "failed", true); return failed })
		if here.wantReply("what a failing Do wrote", c.get("/has?key=failed"), 200, "false"); err != failed {
			t.Errorf("Do whose function fails: got the error %v, want the function's", err)
		}
		for name, f := range map[string]func(s sess.Session) error{
			"Login":      func(s sess.Session) error { s.Login("bob"); return nil },
			"Regenerate": func(s sess.Session) error { s.Regenerate(); return nil },
			"Remember":   func(s sess.Session) error { return s.Remember(time.Hour) },
			"SetCookie":  func(s sess.Session) error { return s.SetCookie(s.Cookie()) },
		} {
			if err := live.Do(t.Context(), f); err == nil {
				t.Errorf("%s in Do: got no error, want one", name)
			}
		}
		here.wantUser("after all that", c, "ann")
		if err := live.Do(t.Context(), func(s sess.Session) error { s.Destroy(); return nil }); err != nil {
			t.Errorf("Destroy in Do: got the error %+v, want none", err)
		}
		here.wantEnd("Destroy in Do", live, sess.ErrEnded)
		here.wantUser("after Destroy in Do", c, "")
	})
}

func TestDetachSavesWhatIsPending(t *testing.T) {
	var live *sess.Live
	more := routes{"detach": func(c *fiber.Ctx, s sess.Session) (err error) {
		sess.Set(s, "pending", true)
		live, err = s.Detach(c.UserContext())
		return err
	}}
	onEveryStore(t, sess.Config{}, more, func(t *testing.T, here, _ *portal) {
		c := here.browser()
		here.wantReply("Detach of a new session", c.get("/detach"), 200, "")
		here.wantReply("what was pending", c.get("/has?key=pending"), 200, "true")
		here.wantGoesOn("its request", live)
		c.get("/out")
		here.wantEnd("a logout", live, sess.ErrEnded)
	})
}

func TestLiveGoesOnWhenTheStoreIsSilentForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := sesstest.NewFaulty(struct{ sess.Store }{sess.NewMemoryStore()}) // No Watcher: it is asked.
		st := newPortal(t, sess.Config{Store: faulty.Store(), LiveSilence: 5 * time.Minute}, nil)
		defer st.m.Close()
		live := st.opened(st.loggedIn("ann"))
		faulty.Fail(sesstest.Get, sesstest.Always)
		time.Sleep(4 * time.Minute)
		faulty.Heal()
		time.Sleep(4 * time.Minute)
		if live.Context().Err() != nil {
			t.Errorf("a Live after four minutes of silence: got ended, want that it goes on")
		}
		faulty.Fail(sesstest.Get, sesstest.Always)
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if got := context.Cause(live.Context()); !errors.Is(got, sesstest.ErrInjected) {
			t.Errorf("a Live after six minutes of silence: got the cause %v, want the store's error", got)
		}
	})
}

func TestLiveOfAStoreWithoutWatcherIsPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newPortal(t, sess.Config{Store: struct{ sess.Store }{sess.NewMemoryStore()}}, nil)
		defer st.m.Close()
		c := st.loggedIn("ann")
		live := st.opened(c)
		c.get("/out")
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got := context.Cause(live.Context()); got != sess.ErrEnded {
			t.Errorf("a Live 11 s after a logout: got the cause %v, want ErrEnded", got)
		}
	})
}

func TestManagerCloseEndsEveryLive(t *testing.T) {
	st := newPortal(t, sess.Config{Store: sess.NewMemoryStore()}, nil)
	c := st.loggedIn("ann")
	live := st.opened(c)
	for range 2 {
		if err := st.m.Close(); err != nil {
			t.Errorf("Close: got the error %v, want none", err)
		}
	}
	st.wantEnd("Manager.Close", live, sess.ErrClosed)
	id, _ := sess.ParseID(c.id())
	if _, err := st.m.Open(t.Context(), id); !errors.Is(err, sess.ErrClosed) {
		t.Errorf("Open after Close: got the error %v, want ErrClosed", err)
	}
	st.wantUser("a request after Close", c, "ann")
}

func TestOpenOfNoSessionIsErrEnded(t *testing.T) {
	st := newPortal(t, sess.Config{Store: sess.NewMemoryStore()}, nil)
	c := st.loggedIn("ann")
	old, _ := sess.ParseID(c.id())
	c.get("/in")
	unknown, _ := sess.ParseID("unknown-unknown-unknown")
	for id, want := range map[sess.ID]error{old: sess.ErrRenewed, unknown: sess.ErrEnded} {
		if _, err := st.m.Open(t.Context(), id); !errors.Is(err, want) {
			t.Errorf("Open: got the error %v, want %v", err, want)
		}
	}
}

// TestManyLivesCostLittleAndNoGoroutine has 20,000 of them, and ends the sessions of one user.
func TestManyLivesCostLittleAndNoGoroutine(t *testing.T) {
	const many = 20_000
	st := newPortal(t, sess.Config{Store: sess.NewMemoryStore()}, nil)
	defer st.m.Close()
	c := st.loggedIn("ann")
	ids := make([]sess.ID, many)
	record, err := sess.ParseRecord(`{"n":1}`)
	if err != nil {
		t.Fatal(err)
	}
	store := sess.NewMemoryStore()
	other := newPortal(t, sess.Config{Store: store}, nil)
	defer other.m.Close()
	for i := range ids {
		ids[i], _ = sess.ParseID("one-of-many-lives-" + strconv.Itoa(i))
		if err := store.Set(t.Context(), ids[i], record, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	goroutines := runtime.NumGoroutine()
	runtime.GC()
	runtime.ReadMemStats(&before)
	lives := make([]*sess.Live, many)
	for i := range lives {
		if lives[i], err = other.m.Open(t.Context(), ids[i]); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := (after.HeapAlloc - before.HeapAlloc) / many; got > 1000 {
		t.Errorf("bytes of a Live: got %d, want at most 1000", got)
	}
	if got := runtime.NumGoroutine() - goroutines; got > 2 {
		t.Errorf("goroutines of %d Lives: got %d, want none", many, got)
	}
	var ended sync.WaitGroup
	for i := range 1000 {
		ended.Go(func() { <-lives[i].Done() })
		if err := other.m.End(t.Context(), ids[i]); err != nil {
			t.Fatal(err)
		}
	}
	ended.Wait()
	for _, live := range lives[1000:] {
		if live.Context().Err() != nil {
			t.Fatal("a Live of another session: got ended, want that it goes on")
		}
	}
	_ = c
}
