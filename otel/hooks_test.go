package otelsess_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fibersess/sess"
	otelsess "github.com/fibersess/sess/otel"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestHooksMeasureEachCallOfTheStore(t *testing.T) {
	provider, reader := newProvider(t)
	hooks, err := otelsess.Hooks(provider)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, sess.Config{Hooks: hooks})
	s.get("/set")
	s.get("/set")
	s.get("/logout")
	got := collect(t, reader)
	got.want(t, "sess.store.operation.duration{sess.store.operation=swap}", 2)
	got.want(t, "sess.store.operation.duration{sess.store.operation=end}", 1)
	m := got.metrics["sess.store.operation.duration"]
	data := m.Data.(metricdata.Histogram[float64])
	if m.Unit != "s" || len(data.DataPoints[0].Bounds) != 14 || data.DataPoints[0].Bounds[0] != .0001 {
		t.Errorf("got the unit %q and the bounds %v, want s and 14 bounds from 0.1 ms", m.Unit, data.DataPoints[0].Bounds)
	}
}

func TestADurationIsInSecondsAndSaysWhyTheCallFailed(t *testing.T) {
	provider, reader := newProvider(t)
	hooks, err := otelsess.Hooks(provider)
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"timeout":  fmt.Errorf("redis: %w", context.DeadlineExceeded),
		"canceled": context.Canceled,
		"conflict": sess.ErrConflict,
		"corrupt":  sess.ErrCorrupt,
		"closed":   sess.ErrClosed,
		"OOM":      &sess.RedisError{Op: "set", Code: "OOM", Text: "command not allowed"},
		"_OTHER":   errors.New("a text with an id in it"),
	} {
		hooks.Store("get", time.Second, err)
		collect(t, reader).want(t, "sess.store.operation.duration{error.type="+want+",sess.store.operation=get}", 1)
	}
	hooks.Store("an operation of later", 1500*time.Millisecond, nil)
	for _, p := range collect(t, reader).metrics["sess.store.operation.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
		if op, _ := p.Attributes.Value("sess.store.operation"); op.AsString() == "an operation of later" && p.Sum != 1.5 {
			t.Errorf("1500 ms: got the sum %v, want 1.5 s", p.Sum)
		}
	}
}

func TestHooksRefuseNoProvider(t *testing.T) {
	if _, err := otelsess.Hooks(nil); err == nil {
		t.Error("got no error, want one")
	}
}

func TestAnObservationOfACallThatSucceededDoesNotAllocate(t *testing.T) {
	provider, _ := newProvider(t)
	hooks, err := otelsess.Hooks(provider)
	if err != nil {
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(1000, func() { hooks.Store("get", time.Millisecond, nil) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func BenchmarkHooksStore(b *testing.B) {
	provider, _ := newProvider(b)
	hooks, err := otelsess.Hooks(provider)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		hooks.Store("get", time.Millisecond, nil)
	}
}

func BenchmarkCollect(b *testing.B) {
	provider, reader := newProvider(b)
	store := sess.NewMemoryStore()
	s := newSite(b, sess.Config{Store: store})
	if _, err := otelsess.Register(provider, s.manager, store); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		collect(b, reader)
	}
}
