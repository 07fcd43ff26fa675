package sess_test

import (
	"context"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/gofiber/fiber/v2"
)

// statsApp is an app on store whose requests go through the manager that it returns.
func statsApp(t *testing.T, config sess.Config) (*sess.Manager, *client) {
	t.Helper()
	config.Keys = sess.Keys(clientKey)
	m, err := sess.NewManager(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(m.Handle)
	app.Get("/set", func(c *fiber.Ctx) error {
		sess.Set(sess.From(c), "text", strings.Repeat("x", 100))
		return nil
	})
	app.Get("/in", func(c *fiber.Ctx) error {
		sess.From(c).Login("ann")
		return nil
	})
	app.Get("/look", func(c *fiber.Ctx) error {
		sess.From(c).Has("text")
		return nil
	})
	return m, newClient(app)
}

func TestStatsTellWhyWhatWasPresentedGaveNoSession(t *testing.T) {
	store := sess.NewMemoryStore()
	_, browser := statsApp(t, sess.Config{Store: store})
	browser.get("/set")
	m, c := statsApp(t, sess.Config{Store: store, MaxRecordBytes: 64}) // to which that record is none

	c.holding(browser.id()).get("/look")
	c.holding("an-id-that-is-nobodys-0123456789").get("/look")
	forged := c.holding(browser.id())
	forged.jar["koa.sid.sig"] = "forged"
	forged.get("/look")
	got := m.Stats()
	if got.Corrupt != 1 || got.Unknown != 1 || got.BadSignatures != 1 || got.Rejected != 3 {
		t.Errorf("got %+v, want one Corrupt, one Unknown, one BadSignatures, three Rejected", got)
	}
}

func TestStatsCountDisplacedSessionsAndOpenLives(t *testing.T) {
	m, c := statsApp(t, sess.Config{MaxPerUser: 1})
	c.get("/in")
	time.Sleep(2 * time.Millisecond) // of two logins in one millisecond either may be the older one
	other := &client{handler: c.handler, jar: map[string]string{}}
	other.get("/in")
	id, err := sess.ParseID(other.id())
	if err != nil {
		t.Fatal(err)
	}
	live, err := m.Open(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Stats(); got.Displaced != 1 || got.Destroyed != 1 || got.Lives != 1 {
		t.Errorf("after two logins and an Open: got %+v, want one Displaced, one Destroyed, one of Lives", got)
	}
	live.Close()
	if got := m.Stats().Lives; got != 0 {
		t.Errorf("Lives after Close: got %d, want 0", got)
	}
}

func TestMemoryStoreStatsCountEvictions(t *testing.T) {
	store := sess.NewMemoryStore(sess.MemoryConfig{MaxSessions: 2})
	_, c := statsApp(t, sess.Config{Store: store})
	for range 5 {
		clear(c.jar)
		c.get("/set")
	}
	if got, want := store.Stats(), (sess.MemoryStats{Evicted: 3, Sessions: 2, MaxSessions: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestMemoryStoreStatsDoNotCountWhatHasExpiredAsEvicted(t *testing.T) {
	store := sess.NewMemoryStore(sess.MemoryConfig{MaxSessions: 1})
	_, c := statsApp(t, sess.Config{Store: store, TTL: time.Millisecond})
	for range 3 {
		clear(c.jar)
		c.get("/set")
		time.Sleep(2 * time.Millisecond) // the store's clock is the machine's
	}
	if got := store.Stats().Evicted; got != 0 {
		t.Errorf("Evicted: got %d, want 0", got)
	}
}

func TestStatsIterateOverEveryFieldByItsName(t *testing.T) {
	for name, c := range map[string]struct {
		got  map[string]int64
		want map[string]int64
		of   any
	}{
		"Stats":        {maps.Collect(sess.Stats{Loaded: 7, Lives: 2}.All()), map[string]int64{"Loaded": 7, "Lives": 2}, sess.Stats{}},
		"MemoryStats":  {maps.Collect(sess.MemoryStats{Evicted: 3}.All()), map[string]int64{"Evicted": 3}, sess.MemoryStats{}},
		"RueidisStats": {maps.Collect(sess.RueidisStats{NearCache: true, Bytes: 9}.All()), map[string]int64{"NearCache": 1, "Bytes": 9, "Reports": 0}, sess.RueidisStats{}},
	} {
		if got, want := len(c.got), reflect.TypeOf(c.of).NumField(); got != want {
			t.Errorf("%s: got %d names, want %d", name, got, want)
		}
		for field, want := range c.want {
			if got := c.got[field]; got != want {
				t.Errorf("%s: %s: got %d, want %d", name, field, got, want)
			}
		}
	}
	for name := range (sess.Stats{}).All() {
		if name != "Loaded" {
			t.Errorf("the first name: got %q, want Loaded", name)
		}
		break
	}
}

func TestManagerIsNamedByItsCookieOrHeader(t *testing.T) {
	for want, config := range map[string]sess.Config{
		"koa.sid":   {},
		"sid":       {Cookie: sess.Cookie{Name: "sid"}},
		"x-session": {Transport: sess.HeaderTransport("X-Session")},
	} {
		m, err := sess.NewManager(config)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Name(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
