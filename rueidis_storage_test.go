package sess_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/redistest"
	"github.com/gofiber/fiber/v2"
)

func TestRueidisStorageKeepsThePromisesOfAFiberStorage(t *testing.T) {
	store := openRueidis(t, addresses(redistest.Start(t).Addr))
	testFiberStorage(t, func(prefix string) fiber.Storage { return store.Storage(prefix) })
}

func TestRueidisStorageKeepsItsPromisesOnACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes seconds to form")
	}
	store := openRueidis(t, addresses(redistest.StartCluster(t, 3, 1).Addrs()...))
	testFiberStorage(t, func(prefix string) fiber.Storage { return store.Storage(prefix) })
}

func TestRueidisStorageObeysTheContextOfFiberV3(t *testing.T) {
	storage := openRueidis(t, addresses(redistest.Start(t).Addr)).Storage("ours:")
	if err := storage.SetWithContext(t.Context(), "key", []byte("value"), time.Minute); err != nil {
		t.Fatalf("SetWithContext: got the error %v, want nil", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := storage.GetWithContext(ended, "key")
	for name, err := range map[string]error{
		"GetWithContext": err, "SetWithContext": storage.SetWithContext(ended, "key", []byte("other"), 0),
		"DeleteWithContext": storage.DeleteWithContext(ended, "key"), "ResetWithContext": storage.ResetWithContext(ended),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s under an ended context: got the error %v, want context.Canceled", name, err)
		}
	}
	if got, err := storage.GetWithContext(t.Context(), "key"); err != nil || string(got) != "value" {
		t.Errorf("GetWithContext behind them: got %q and the error %v, want value", got, err)
	}
	if err := storage.ResetWithContext(t.Context()); err != nil {
		t.Errorf("ResetWithContext: got the error %v, want nil", err)
	}
	if got, err := storage.GetWithContext(t.Context(), "key"); err != nil || got != nil {
		t.Errorf("GetWithContext behind a reset: got %q and the error %v, want nil", got, err)
	}
}

// testFiberStorage holds what open returns, each time under a prefix of its own, to what Fiber's middleware relies on.
func testFiberStorage(t *testing.T, open func(prefix string) fiber.Storage) {
	get := func(t *testing.T, s fiber.Storage, key string) []byte {
		t.Helper()
		value, err := s.Get(key)
		if err != nil {
			t.Errorf("Get: got the error %v, want nil", err)
		}
		return value
	}
	set := func(t *testing.T, s fiber.Storage, key, value string, ttl time.Duration) {
		t.Helper()
		if err := s.Set(key, []byte(value), ttl); err != nil {
			t.Errorf("Set: got the error %v, want nil", err)
		}
	}
	promises := map[string]func(t *testing.T, s fiber.Storage){
		"Get of nothing is nil and no error": func(t *testing.T, s fiber.Storage) {
			if got := get(t, s, "nothing"); got != nil {
				t.Errorf("Get of nothing: got %q, want nil", got)
			}
		},
		"Get returns what Set kept": func(t *testing.T, s fiber.Storage) {
			for _, value := range []string{"a", "\x00\xff\r\n", string(bytes.Repeat([]byte("x"), 1<<20))} {
				set(t, s, "key", value, time.Minute)
				if got := get(t, s, "key"); string(got) != value {
					t.Errorf("Get: got %d other bytes, want the %d that were set", len(got), len(value))
				}
			}
		},
		"keys are any bytes": func(t *testing.T, s fiber.Storage) {
			for i, key := range []string{"/path?q=1_GET", "a b", "\x00", "*", "{slot}", "ключ"} {
				set(t, s, key, fmt.Sprint("value", i), 0)
			}
			if got := get(t, s, "*"); string(got) != "value3" {
				t.Errorf("Get: got %q, want value3", got)
			}
		},
		"an empty key or value is ignored": func(t *testing.T, s fiber.Storage) {
			set(t, s, "", "value", 0)
			set(t, s, "kept", "value", 0)
			set(t, s, "kept", "", 0)
			if got := get(t, s, ""); got != nil {
				t.Errorf("Get of the empty key: got %q, want nil", got)
			}
			if got := get(t, s, "kept"); string(got) != "value" {
				t.Errorf("Get after Set of an empty value: got %q, want value", got)
			}
			if err := s.Delete(""); err != nil {
				t.Errorf("Delete of the empty key: got the error %v, want nil", err)
			}
		},
		"the arguments are copied and the result may be written to": func(t *testing.T, s fiber.Storage) {
			value := []byte("value")
			if err := s.Set("key", value, 0); err != nil {
				t.Fatalf("Set: got the error %v, want nil", err)
			}
			copy(value, "wrong")
			copy(get(t, s, "key"), "wrong")
			if got := get(t, s, "key"); string(got) != "value" {
				t.Errorf("Get: got %q, want value", got)
			}
		},
		"what has passed its TTL is gone": func(t *testing.T, s fiber.Storage) {
			set(t, s, "short", "value", time.Millisecond)
			set(t, s, "passed", "value", 0)
			set(t, s, "passed", "value", -time.Second)
			for start := time.Now(); get(t, s, "short") != nil; {
				if time.Since(start) > 5*time.Second {
					t.Fatal("Get after a TTL of 1ms: got the value for 5s, want nil")
				}
			}
			if got := get(t, s, "passed"); got != nil {
				t.Errorf("Get after a TTL of -1s: got %q, want nil", got)
			}
		},
		"Delete removes one key": func(t *testing.T, s fiber.Storage) {
			set(t, s, "a", "value", 0)
			set(t, s, "ab", "value", 0)
			for range 2 {
				if err := s.Delete("a"); err != nil {
					t.Errorf("Delete: got the error %v, want nil", err)
				}
			}
			if a, ab := get(t, s, "a"), get(t, s, "ab"); a != nil || ab == nil {
				t.Errorf("Get of the deleted key and of another: got %q and %q, want nil and a value", a, ab)
			}
		},
		"parallel calls do not disturb each other": func(t *testing.T, s fiber.Storage) {
			var wg sync.WaitGroup
			for g := range 16 {
				wg.Go(func() {
					for n := range 50 {
						key, want := fmt.Sprint("g", g), fmt.Sprint(g, " ", n)
						if err := s.Set(key, []byte(want), time.Minute); err != nil {
							t.Errorf("Set: got the error %v, want nil", err)
						}
						if got, err := s.Get(key); err != nil || string(got) != want {
							t.Errorf("Get: got %q and the error %v, want %q", got, err, want)
						}
					}
				})
			}
			wg.Wait()
		},
	}
	for name, keep := range promises {
		t.Run(name, func(t *testing.T) { keep(t, open(t.Name()+":")) })
	}
	t.Run("Reset removes all of its own and nothing else", func(t *testing.T) {
		mine, other := open("[mine]*:"), open("m:")
		for i := range 2000 {
			set(t, mine, fmt.Sprint(i), "value", 0)
		}
		set(t, other, "0", "value", 0)
		if err := mine.Reset(); err != nil {
			t.Fatalf("Reset: got the error %v, want nil", err)
		}
		for i := range 2000 {
			if get(t, mine, fmt.Sprint(i)) != nil {
				t.Fatalf("Get after Reset: got a value, want nil")
			}
		}
		if got := get(t, other, "0"); string(got) != "value" {
			t.Errorf("Get of another storage after Reset: got %q, want value", got)
		}
	})
}

func TestRueidisStorageLeavesTheSessionsAlone(t *testing.T) {
	store := openRueidis(t, addresses(redistest.Start(t).Addr))
	if err := store.Set(t.Context(), storedID(t), storedRecord(t), time.Minute); err != nil {
		t.Fatalf("Set: got the error %v, want nil", err)
	}
	storage := store.Storage("csrf:")
	if err := errors.Join(storage.Reset(), storage.Close()); err != nil {
		t.Fatalf("Reset and Close: got the error %v, want nil", err)
	}
	if _, err := store.Refresh(t.Context(), storedID(t)); err != nil {
		t.Errorf("Refresh after Reset and Close of a Storage: got the error %v, want the session", err)
	}
}

func TestRueidisStorageRefusesThePrefixOfTheSessions(t *testing.T) {
	store := openRueidis(t, addresses(redistest.Start(t).Addr))
	for _, prefix := range []string{"", "k", "koa:", "koa:sess:", "koa:sess:csrf:"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Storage(%q): got no panic, want one", prefix)
				}
			}()
			store.Storage(prefix)
		}()
	}
}

func TestRueidisStorageAnswersWhileRedisHangs(t *testing.T) {
	server := redistest.Start(t)
	storage := openRueidis(t, addresses(server.Addr)).Storage("csrf:")
	server.Pause()
	defer server.Resume()
	for name, call := range map[string]func() error{
		"Get":    func() error { _, err := storage.Get("key"); return err },
		"Set":    func() error { return storage.Set("key", []byte("value"), time.Minute) },
		"Delete": func() error { return storage.Delete("key") },
		"Reset":  storage.Reset,
	} {
		start := time.Now()
		if err := call(); err == nil {
			t.Errorf("%s while Redis hangs: got no error, want one", name)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s while Redis hangs: got an answer after %v, want it after a second", name, took)
		}
	}
}
