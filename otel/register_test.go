package otelsess_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	otelsess "github.com/fibersess/sess/otel"
	"github.com/redis/rueidis"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

func register(t *testing.T, provider metric.MeterProvider, m *sess.Manager, stores ...sess.Store) metric.Registration {
	t.Helper()
	r, err := otelsess.Register(provider, m, stores...)
	if err != nil {
		t.Fatalf("Register: got the error %v, want none", err)
	}
	return r
}

func TestRegisterObservesWhatHappensToSessions(t *testing.T) {
	store := sess.NewMemoryStore(sess.MemoryConfig{MaxSessions: 2})
	s := newSite(t, sess.Config{Store: store, MaxPerUser: 1})
	provider, reader := newProvider(t)
	register(t, provider, s.manager, store)

	s.get("/set")
	s.get("/set")
	s.get("/login")
	s.get("/logout")
	old := s.jar
	s.jar = map[string]string{"koa.sid": "an-id-that-is-nobodys-0123456789", "koa.sid.sig": "forged"}
	s.get("/look")
	for range 3 {
		s.jar = map[string]string{}
		s.get("/set")
	}
	for range 2 {
		time.Sleep(2 * time.Millisecond) // of two logins in one millisecond either may be the older one
		s.jar = map[string]string{}
		s.get("/login")
	}
	id, err := sess.ParseID(s.jar["koa.sid"])
	if err != nil {
		t.Fatalf("the cookie of %d others: %v", len(old), err)
	}
	live, err := s.manager.Open(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()

	got := collect(t, reader)
	for series, want := range map[string]int64{
		"sess.session.loads{sess.name=koa.sid}":                            3,
		"sess.session.writes{sess.name=koa.sid,sess.write=change}":         1,
		"sess.session.renewals{sess.name=koa.sid}":                         1,
		"sess.session.ends{sess.name=koa.sid,sess.reason=destroyed}":       1,
		"sess.session.ends{sess.name=koa.sid,sess.reason=displaced}":       1,
		"sess.session.rejections{sess.name=koa.sid,sess.reason=signature}": 1,
		"sess.session.rejections{sess.name=koa.sid,sess.reason=_OTHER}":    0,
		"sess.session.conflicts{sess.name=koa.sid}":                        0,
		"sess.store.errors{sess.name=koa.sid}":                             0,
		"sess.live.active{sess.name=koa.sid}":                              1,
		"sess.memory.limit{sess.store.name=memory}":                        2,
		"sess.memory.sessions{sess.store.name=memory}":                     int64(store.Len()),
		"sess.memory.evictions{sess.store.name=memory}":                    int64(store.Stats().Evicted),
	} {
		got.want(t, series, want)
	}
	if store.Stats().Evicted == 0 {
		t.Error("evictions: got 0, want some, or the test shows nothing")
	}
}

// waitUntilNoCallIsInFlight waits for the calls whose answers are there: each lets go of its place a moment later.
func waitUntilNoCallIsInFlight(t *testing.T, store *sess.RueidisStore) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); store.Stats().InFlight > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("calls in flight when every answer is there: got %d, want 0", store.Stats().InFlight)
		}
	}
}

func TestRegisterObservesTheNearCacheAndFailuresOfRedis(t *testing.T) {
	server := redistest.Start(t)
	store, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{server.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	provider, reader := newProvider(t)
	hooks, err := otelsess.Hooks(provider)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, sess.Config{Store: store, Hooks: hooks, StoreTimeout: 300 * time.Millisecond})
	register(t, provider, s.manager, store)

	s.get("/set")
	for range 5 {
		s.get("/look")
	}
	waitUntilNoCallIsInFlight(t, store)
	got, stats := collect(t, reader), store.Stats()
	got.want(t, "sess.near_cache.enabled{sess.store.name=redis}", 1)
	got.want(t, "sess.near_cache.reporting{sess.store.name=redis}", 1)
	got.want(t, "sess.near_cache.reads{sess.result=hit,sess.store.name=redis}", int64(stats.Hits))
	got.want(t, "sess.near_cache.reads{sess.result=miss,sess.store.name=redis}", int64(stats.Misses))
	got.want(t, "sess.near_cache.entries{sess.store.name=redis}", 1)
	got.want(t, "sess.near_cache.size{sess.store.name=redis}", stats.Bytes)
	got.want(t, "sess.redis.in_flight{sess.store.name=redis}", 0)
	got.want(t, "sess.store.operation.duration{sess.store.operation=swap}", 1)
	if stats.Hits == 0 {
		t.Error("hits: got 0, want some, or the test shows nothing")
	}

	server.Kill()
	if status := s.get("/set"); status != 503 {
		t.Errorf("a write without Redis: got the status %d, want 503", status)
	}
	got = collect(t, reader)
	got.want(t, "sess.store.errors{sess.name=koa.sid}", 1)
	failed := int64(0)
	for series, count := range got.values {
		if strings.HasPrefix(series, "sess.store.operation.duration{error.type=") {
			failed += count
		}
	}
	if failed == 0 {
		t.Error("durations with an error.type: got none, want that of the failed call")
	}
	store.Close()
	collect(t, reader) // A closed store still tells its numbers.
}

func TestMetricsOfANearCacheThatIsOffSayZero(t *testing.T) {
	server := redistest.Start(t)
	store, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{server.Addr}}, sess.RueidisConfig{NoNearCache: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	provider, reader := newProvider(t)
	register(t, provider, newSite(t, sess.Config{Store: store}).manager, store)
	got := collect(t, reader)
	got.want(t, "sess.near_cache.enabled{sess.store.name=redis}", 0)
	got.want(t, "sess.near_cache.reporting{sess.store.name=redis}", 0)
}

func TestUnregisterEndsTheObservation(t *testing.T) {
	provider, reader := newProvider(t)
	store := sess.NewMemoryStore()
	r := register(t, provider, newSite(t, sess.Config{Store: store}).manager, store)
	if got := len(collect(t, reader).values); got == 0 {
		t.Fatal("series while registered: got none, want some")
	}
	for range 2 {
		if err := r.Unregister(); err != nil {
			t.Errorf("Unregister: got the error %v, want none", err)
		}
	}
	if got := collect(t, reader).values; len(got) != 0 {
		t.Errorf("series after Unregister: got %v, want none", got)
	}
}

// What the documentation of Register warns of, and that it can be undone.
func TestAManagerThatIsRegisteredTwiceIsCountedTwiceUntilOneIsUnregistered(t *testing.T) {
	provider, reader := newProvider(t)
	s := newSite(t, sess.Config{})
	s.get("/set")
	register(t, provider, s.manager)
	second := register(t, provider, s.manager)
	const created = "sess.session.writes{sess.name=koa.sid,sess.write=create}"
	collect(t, reader).want(t, created, 2)
	if err := second.Unregister(); err != nil {
		t.Fatal(err)
	}
	collect(t, reader).want(t, created, 1)
}

func TestManagersAndStoresAreToldApart(t *testing.T) {
	provider, reader := newProvider(t)
	staff, guests := sess.NewMemoryStore(), sess.NewMemoryStore(sess.MemoryConfig{MaxSessions: 7})
	a := newSite(t, sess.Config{Store: staff, Cookie: sess.Cookie{Name: "staff"}})
	b := newSite(t, sess.Config{Store: guests, Cookie: sess.Cookie{Name: "guest"}})
	register(t, provider, a.manager, otelsess.Named("staff", staff))
	register(t, provider, b.manager, otelsess.Named("guests", guests))
	a.get("/set")
	for range 2 {
		clear(b.jar)
		b.get("/set")
	}
	got := collect(t, reader)
	got.want(t, "sess.session.writes{sess.name=staff,sess.write=create}", 1)
	got.want(t, "sess.session.writes{sess.name=guest,sess.write=create}", 2)
	got.want(t, "sess.memory.sessions{sess.store.name=staff}", 1)
	got.want(t, "sess.memory.sessions{sess.store.name=guests}", 2)
	got.want(t, "sess.memory.limit{sess.store.name=guests}", 7)
}

// decorator is a store of the application's around another one.
type decorator struct{ sess.Store }

func (d decorator) Unwrap() sess.Store { return d.Store }

// opaque is one that does not say what it decorates.
type opaque struct{ sess.Store }

func TestADecoratedStoreIsFound(t *testing.T) {
	provider, reader := newProvider(t)
	m := newSite(t, sess.Config{}).manager
	register(t, provider, m, decorator{otelsess.Named("inner", decorator{sess.NewMemoryStore()})})
	collect(t, reader).want(t, "sess.memory.sessions{sess.store.name=inner}", 0)
}

func TestRegisterRefusesWhatItCannotObserve(t *testing.T) {
	provider, reader := newProvider(t)
	m := newSite(t, sess.Config{}).manager
	memory := sess.NewMemoryStore()
	for name, c := range map[string]struct {
		provider metric.MeterProvider
		manager  *sess.Manager
		stores   []sess.Store
		want     []string
	}{
		"no provider":            {nil, m, nil, []string{"the MeterProvider is nil"}},
		"no manager":             {provider, nil, nil, []string{"the Manager is nil"}},
		"nil store":              {provider, m, []sess.Store{nil}, []string{"store 1: got nil"}},
		"nil MemoryStore":        {provider, m, []sess.Store{(*sess.MemoryStore)(nil)}, []string{"store 1: got a nil *sess.MemoryStore"}},
		"nil RueidisStore":       {provider, m, []sess.Store{(*sess.RueidisStore)(nil)}, []string{"store 1: got a nil *sess.RueidisStore"}},
		"a name around nothing":  {provider, m, []sess.Store{otelsess.Named("x", nil)}, []string{"store 1: got nil"}},
		"a store without number": {provider, m, []sess.Store{opaque{memory}}, []string{"store 1: got a otelsess_test.opaque, which tells no numbers"}},
		"one store twice":        {provider, m, []sess.Store{memory, memory}, []string{`store 2: got a second one with the name "memory"`}},
		"everything at once": {provider, nil, []sess.Store{nil, memory, memory},
			[]string{"the Manager is nil", "store 1: got nil", "store 3: got a second one"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := otelsess.Register(c.provider, c.manager, c.stores...)
			if err == nil || r != nil {
				t.Fatalf("got %v and the error %v, want nil and an error", r, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got the error %q, want %q in it", err, want)
				}
			}
		})
	}
	if got := collect(t, reader).values; len(got) != 0 {
		t.Errorf("series: got %v, want none of what was refused", got)
	}
}

func TestRegisterWorksOnAProviderThatDoesNothing(t *testing.T) {
	r := register(t, noop.NewMeterProvider(), newSite(t, sess.Config{}).manager)
	if err := r.Unregister(); err != nil {
		t.Errorf("Unregister: got the error %v, want none", err)
	}
}

func TestCollectionsRunBesideRequestsAndCountersNeverFall(t *testing.T) {
	provider, reader := newProvider(t)
	store := sess.NewMemoryStore()
	m := newSite(t, sess.Config{Store: store})
	register(t, provider, m.manager, store)
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			s := &site{m.manager, m.handler, map[string]string{}}
			for range 200 {
				s.get("/login")
				s.get("/set")
				s.get("/logout")
				s.jar["koa.sid"], s.jar["koa.sid.sig"] = "an-id-that-is-nobodys-0123456789", "forged"
				s.get("/look")
				clear(s.jar)
			}
		})
	}
	done := make(chan struct{})
	go func() { users.Wait(); close(done) }()
	before := collect(t, reader)
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		now := collect(t, reader)
		for series, was := range before.values {
			if now.values[series] < was && !strings.HasPrefix(series, "sess.memory.sessions") {
				t.Fatalf("%s: got %d after %d, want no less", series, now.values[series], was)
			}
		}
		before = now
	}
	before.want(t, "sess.session.ends{sess.name=koa.sid,sess.reason=destroyed}", 800)
	before.want(t, "sess.session.rejections{sess.name=koa.sid,sess.reason=signature}", 800)
}
