package sess_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// everyCall returns the errors of all methods, called for id.
func everyCall(ctx context.Context, s *sess.RueidisStore, id sess.ID, old, next *sess.Record) map[string]error {
	errs := make(map[string]error)
	_, errs["Get"] = s.Get(ctx, id)
	_, errs["Refresh"] = s.Refresh(ctx, id)
	errs["Set"] = s.Set(ctx, id, next, time.Hour)
	_, errs["Swap create"] = s.Swap(ctx, id, nil, next, time.Hour)
	_, errs["Swap replace"] = s.Swap(ctx, id, old, next, time.Hour)
	_, errs["Swap renew"] = s.Swap(ctx, id, old, old, time.Hour)
	_, errs["Swap destroy"] = s.Swap(ctx, id, old, nil, 0)
	_, errs["End"] = s.End(ctx, id)
	errs["Destroy"] = s.Destroy(ctx, id)
	return errs
}

// TestRueidisErrorsKeepSecrets makes the server quote what it was sent: the reply to a command it does not know does, and
// others might.
func TestRueidisErrorsKeepSecrets(t *testing.T) {
	const secret = "s3cr3t"
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	id := redisID(t, secret)
	old, err := sess.ParseRecord(`{"password":"` + secret + `"}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ reply, code, text string }{
		{"ERR unknown command 'X', with args beginning with: '" + secret + "' '" + old.JSON() + "' ", "ERR", "ERR unknown command 'X'"},
		{"NOPERM No permissions to access the 'koa:sess:" + secret + "' key", "NOPERM", ""},
		{"ERR strange id " + secret, "ERR", ""},
		{"ODD " + old.JSON(), "ODD", ""},
		{"ODD " + old.JSON()[:8], "ODD", ""},
		{"ODD \"quoted\"", "ODD", ""},
		{"ODD " + strings.Repeat("long ", 200), "ODD", ""},
		{"NOPERM this user has no permissions to run this", "NOPERM", "NOPERM this user has no permissions to run this"},
		{"OOM command not allowed when used memory > 'maxmemory'. script: f00, on @user_script:5.", "OOM",
			"OOM command not allowed when used memory > 'maxmemory'."},
		{"ERR Error running script (call to f_00): @user_script:2: @user_script: 2: -OOM command not allowed", "OOM",
			"OOM command not allowed"},
	} {
		for _, config := range []sess.RueidisConfig{{}, {NoNearCache: true}, {NoNearCache: true, Koa: true}} {
			s := openRueidis(t, addresses(proxy.Addr), config)
			for _, command := range []string{"GET", "GETEX", "SET", "DEL", "EVALSHA"} {
				proxy.Answer("-"+c.reply+"\r\n", command)
			}
			proxy.Reset()
			for name, err := range everyCall(t.Context(), s, id, old, version(t, 1)) {
				var reply *sess.RedisError
				if !errors.As(err, &reply) || reply.Code != c.code || reply.Text != c.text {
					t.Errorf("%s: got the error %#v, want a RedisError with the code %q and the text %q", name, err, c.code, c.text)
					continue
				}
				if c.text != "" && !strings.Contains(err.Error(), c.text) {
					t.Errorf("%s: got the error %q, want one that tells %q", name, err, c.text)
				}
				for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", reply)} {
					if strings.Contains(text, secret) {
						t.Errorf("%s: the error %q quotes an id or a record", name, text)
					}
				}
			}
			for _, command := range []string{"GET", "GETEX", "SET", "DEL", "EVALSHA"} {
				proxy.Answer("", command)
			}
		}
	}
}

func TestRueidisForeignValueIsErrCorrupt(t *testing.T) {
	server := redistest.Start(t)
	server.Do("SET", "koa:sess:text", "hello")
	server.Do("SET", "koa:sess:empty", "")
	server.Do("SET", "koa:sess:array", "[1]")
	server.Do("RPUSH", "koa:sess:list", "a")
	for _, koa := range []bool{false, true} {
		s := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{Koa: koa})
		for _, name := range []string{"text", "empty", "array", "list"} {
			id := redisID(t, name)
			_, getErr := s.Get(t.Context(), id)
			_, refreshErr := s.Refresh(t.Context(), id)
			_, createErr := s.Swap(t.Context(), id, nil, version(t, 1), time.Hour)
			_, replaceErr := s.Swap(t.Context(), id, version(t, 1), version(t, 2), time.Hour)
			for call, err := range map[string]error{"Get": getErr, "Refresh": refreshErr, "Swap create": createErr, "Swap replace": replaceErr} {
				if !errors.Is(err, sess.ErrCorrupt) {
					t.Errorf("%s of a key that holds a foreign %s: got the error %v, want ErrCorrupt", call, name, err)
				}
			}
		}
	}
}

func TestRueidisSwapHoldsAgainstAForeignWriter(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	id, old, foreign := redisID(t, "foreign"), version(t, 1), version(t, 2)
	if _, err := s.Swap(t.Context(), id, nil, old, time.Hour); err != nil {
		t.Fatal(err)
	}
	put(server, id, foreign)
	got, err := s.Swap(t.Context(), id, old, version(t, 3), time.Hour)
	if err != nil || got.JSON() != foreign.JSON() {
		t.Errorf("Swap over what a foreign writer stored: got (%v, %v), want its record", got, err)
	}
	if got := server.Do("GET", "koa:sess:foreign"); got != foreign.JSON() {
		t.Error("the foreign record was overwritten, want it kept")
	}
	server.Do("DEL", "koa:sess:foreign")
	if _, err := s.Swap(t.Context(), id, foreign, version(t, 3), time.Hour); !errors.Is(err, sess.ErrNotFound) {
		t.Errorf("Swap of what a foreign writer destroyed: got the error %v, want ErrNotFound", err)
	}
}

func TestRueidisKoaEndIsTheTTL(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{Koa: true})
	id := redisID(t, "koa")
	server.Do("SETEX", "koa:sess:koa", "100", `{"count":1}`)
	check := func(what string, r *sess.Record, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: got the error %v, want none", what, err)
		}
		if left := time.Until(r.Expires()); left < 90*time.Second || left > 100*time.Second {
			t.Errorf("%s: got a record that ends in %v, want a little less than the TTL of 100s", what, left)
		}
	}
	r, err := s.Get(t.Context(), id)
	check("Get", r, err)
	r, err = s.Refresh(t.Context(), id)
	check("Refresh", r, err)
	r, err = s.Swap(t.Context(), id, version(t, 1), version(t, 2), time.Hour)
	check("Swap that loses", r, err)
	r, err = s.Swap(t.Context(), id, nil, version(t, 2), time.Hour)
	check("Swap that finds something to create over", r, err)
}

// TestRueidisReplicaNeverSaysGone demotes the master behind the store's back: it has lost everything, and knows nothing
// of what the new master holds.
func TestRueidisReplicaNeverSaysGone(t *testing.T) {
	server, master := redistest.Start(t), redistest.Start(t, "--repl-diskless-sync-delay", "0")
	s := openRueidis(t, addresses(server.Addr))
	id := redisID(t, "demoted")
	put(server, id, version(t, 1))
	host, port, _ := strings.Cut(master.Addr, ":")
	server.Do("REPLICAOF", host, port)
	eventually(t, "the replica has what the master has: nothing", func() bool {
		return server.Do("GET", "koa:sess:demoted") == nil
	})
	for name, next := range map[string]*sess.Record{"destroy": nil, "replace": version(t, 2), "renew": version(t, 1)} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := s.Swap(ctx, id, version(t, 1), next, time.Hour)
		cancel()
		if err == nil || errors.Is(err, sess.ErrNotFound) {
			t.Errorf("Swap to %s on a replica: got the error %v, want one that says it could not tell", name, err)
		}
	}
}

func TestRueidisScriptIsLoadedAgain(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	id := redisID(t, "script")
	if _, err := s.Swap(t.Context(), id, nil, version(t, 0), time.Hour); err != nil {
		t.Fatal(err)
	}
	for v := range 3 {
		server.Do("SCRIPT", "FLUSH")
		current, err := s.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		next := version(t, v+1)
		if got, err := s.Swap(t.Context(), id, current, next, time.Hour); err != nil || got != next {
			t.Errorf("Swap after SCRIPT FLUSH: got (%v, %v), want it done", got, err)
		}
	}
}

func TestRueidisDestroysWhenTheServerIsOutOfMemory(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	swapped, destroyed, r := redisID(t, "swapped"), redisID(t, "destroyed"), version(t, 1)
	put(server, swapped, r)
	put(server, destroyed, r)
	server.Do("CONFIG", "SET", "maxmemory", "1")

	var reply *sess.RedisError
	if _, err := s.Swap(t.Context(), swapped, r, version(t, 2), time.Hour); !errors.As(err, &reply) || reply.Code != "OOM" {
		t.Errorf("Swap(old, next): got the error %v, want a RedisError with the code OOM", err)
	}
	wantVersion(t, s, swapped, 1, "after a Swap that had no memory")
	if _, err := s.Swap(t.Context(), swapped, r, r, time.Hour); err != nil {
		t.Errorf("Swap(old, old): got the error %v, want none", err)
	}
	if _, err := s.Swap(t.Context(), swapped, r, nil, 0); err != nil {
		t.Errorf("Swap(old, nil): got the error %v, want none", err)
	}
	if err := s.Destroy(t.Context(), destroyed); err != nil {
		t.Errorf("Destroy: got the error %v, want none", err)
	}
	if got := server.Do("DBSIZE"); got != int64(0) {
		t.Errorf("sessions left: got %v, want 0", got)
	}
}

// TestRueidisDeadlinesHoldWhenTheServerHangs has more callers than may be in flight, again and again.
func TestRueidisDeadlinesHoldWhenTheServerHangs(t *testing.T) {
	const timeout, slack = 100 * time.Millisecond, 400 * time.Millisecond
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{MaxInFlight: 16})
	id := redisID(t, "hangs")
	put(server, id, version(t, 1))
	server.Pause()
	var slowest atomic.Int64
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			for range 3 {
				for name, call := range map[string]func(context.Context) error{
					"Get":     func(ctx context.Context) error { _, err := s.Get(ctx, id); return err },
					"Refresh": func(ctx context.Context) error { _, err := s.Refresh(ctx, id); return err },
					"Set":     func(ctx context.Context) error { return s.Set(ctx, id, version(t, 1), time.Hour) },
				} {
					ctx, cancel := context.WithTimeout(t.Context(), timeout)
					start := time.Now()
					err := call(ctx)
					took := time.Since(start)
					cancel()
					if err == nil {
						t.Errorf("%s of a server that hangs: got no error, want one", name)
					}
					for old := slowest.Load(); int64(took) > old && !slowest.CompareAndSwap(old, int64(took)); old = slowest.Load() {
					}
				}
			}
		})
	}
	all.Wait()
	t.Logf("slowest call under a deadline of %v: %v", timeout, time.Duration(slowest.Load()))
	if got := time.Duration(slowest.Load()); got > timeout+slack {
		t.Errorf("slowest call under a deadline of %v: got an answer after %v", timeout, got)
	}
	server.Resume()
	eventually(t, "the store works again", func() bool {
		_, err := s.Refresh(t.Context(), id)
		return err == nil
	})
	eventually(t, "nothing is in flight", func() bool { return s.Stats().InFlight == 0 })
}

// TestRueidisAbandonedCommandKeepsItsSlot sends as many commands as may be in flight and gives them up. They are under
// way all the same: another one is not sent.
func TestRueidisAbandonedCommandKeepsItsSlot(t *testing.T) {
	const slots = 4
	server := redistest.Start(t)
	option := addresses(server.Addr)
	option.ConnWriteTimeout = time.Minute // the connection is not given up
	proxy := redistest.NewProxy(t, server.Addr)
	option.InitAddress = []string{proxy.Addr}
	s := openRueidis(t, option, sess.RueidisConfig{MaxInFlight: slots})
	id := redisID(t, "abandoned")
	proxy.Hold(redistest.Down)
	giveUp := func() {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := s.Refresh(ctx, id); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Refresh: got the error %v, want context.DeadlineExceeded", err)
		}
	}
	for n := range slots {
		giveUp()
		if got := s.Stats().InFlight; got != n+1 {
			t.Errorf("in flight after %d commands that were given up: got %d", n+1, got)
		}
	}
	server.Do("CONFIG", "RESETSTAT")
	giveUp()
	if got := server.Info("commandstats")["cmdstat_getex"]; got != "" {
		t.Errorf("GETEX commands beyond what may be in flight: got %s, want none", got)
	}
	proxy.Release(redistest.Down)
	eventually(t, "nothing is in flight", func() bool { return s.Stats().InFlight == 0 })
}

// TestRueidisWithoutDeadlineDoesNotWaitForEver calls under a context that never ends.
func TestRueidisWithoutDeadlineDoesNotWaitForEver(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	server.Pause()
	start := time.Now()
	for name, err := range everyCall(context.Background(), s, redisID(t, "forever"), version(t, 1), version(t, 2)) {
		if err == nil {
			t.Errorf("%s of a server that hangs: got no error, want one", name)
		}
	}
	if took := time.Since(start); took > 9*2*time.Second {
		t.Errorf("nine calls without a deadline: got answers after %v, want about 1s each", took)
	}
}

func TestRueidisWorksAgainAfterARestart(t *testing.T) {
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr))
	id := redisID(t, "restart")
	for v := range 3 {
		put(server, id, version(t, v))
		cache(t, s, id)
		server.Kill()
		eventually(t, "the store knows of the loss", func() bool {
			_, ok := s.Peek(id, time.Now())
			return !ok
		})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := s.Get(ctx, id); err == nil || errors.Is(err, sess.ErrNotFound) {
			t.Errorf("Get from a killed server: got the error %v, want one that says it could not tell", err)
		}
		cancel()
		server.Restart()
		eventually(t, "the store finds the server empty", func() bool {
			_, err := s.Get(t.Context(), id)
			return errors.Is(err, sess.ErrNotFound)
		})
	}
}

// TestRueidisWatcherHearsOfWhatHappenedWhileNobodyCould changes a session while its report is held back and lost.
func TestRueidisWatcherHearsOfWhatHappenedWhileNobodyCould(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	s := openRueidis(t, addresses(proxy.Addr))
	id := redisID(t, "watched")
	put(server, id, version(t, 1))
	var calls atomic.Int64
	stop, err := s.Watch(t.Context(), id, func(*sess.Record, error) { calls.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for round := range 5 {
		proxy.Hold(redistest.Down)
		put(server, id, version(t, round+2))
		before := calls.Load()
		proxy.Reset()
		proxy.Release(redistest.Down)
		eventually(t, "the watcher was told", func() bool { return calls.Load() > before })
		eventually(t, "the connection reports again", func() bool {
			before := calls.Load()
			put(server, id, version(t, round+100))
			time.Sleep(5 * time.Millisecond) // the way of a report
			return calls.Load() > before
		})
	}
}

// TestRueidisWatchWithoutReportsCompares has no near cache, so the store looks at an interval.
func TestRueidisWatchWithoutReportsCompares(t *testing.T) {
	const maxStale = 50 * time.Millisecond
	server := redistest.Start(t)
	s := openRueidis(t, addresses(server.Addr), sess.RueidisConfig{NoNearCache: true, MaxStale: maxStale})
	id := redisID(t, "polled")
	put(server, id, version(t, 1))
	told := make(chan error, 100)
	stop, err := s.Watch(t.Context(), id, func(_ *sess.Record, err error) { told <- err })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := <-told; err != nil {
		t.Errorf("the first call of the watcher: got the error %v, want the record", err)
	}
	select {
	case <-told:
		t.Error("got a second call of the watcher while nothing changed, want none")
	case <-time.After(5 * maxStale):
	}
	server.Do("DEL", "koa:sess:polled")
	select {
	case err := <-told:
		if !errors.Is(err, sess.ErrNotFound) {
			t.Errorf("the call of the watcher after the end: got the error %v, want ErrNotFound", err)
		}
	case <-time.After(patience):
		t.Errorf("got no call of the watcher within %v of the end of its session, want one", patience)
	}
}
