package otelsess

import (
	"context"
	"errors"
	"fmt"

	"github.com/fibersess/sess"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// scope is the name of the meter.
const scope = "github.com/fibersess/sess/otel"

// Register lets the provider observe the numbers of a manager and of stores: each a [sess.RueidisStore], a [sess.MemoryStore], a
// decorator of one with a method Unwrap() sess.Store, or one of these with a name, see [Named]. The error holds every mistake
// at once; then nothing is observed.
//
// The numbers are read when the provider collects, on its goroutine. A collection of a manager and a store takes 0.1 ms with the
// SDK, and the lock of each shard of the store for a moment. Requests pay nothing. A collection may run at any time, beside requests, beside
// another, and after the store was closed.
//
// Unregister of what it returns ends that, and lets go of manager and stores; it may be called twice. Register each manager and each
// store once with a provider, a store that two managers share too: nobody can tell two observers of one number, and the provider
// would add up what both say.
func Register(provider metric.MeterProvider, manager *sess.Manager, stores ...sess.Store) (metric.Registration, error) {
	if provider == nil {
		return nil, errors.New("sess/otel: Register: the MeterProvider is nil; want the application's")
	}
	o := &observer{meter: provider.Meter(scope), instruments: map[string]metric.Int64Observable{}}
	if manager == nil {
		o.fail(errors.New("sess/otel: Register: the Manager is nil; want one of sess.NewManager"))
	} else {
		watch(o, managerSeries(), attribute.String("sess.name", manager.Name()), manager.Stats)
	}
	names := map[string]bool{}
	for i, s := range stores {
		name, err := o.store(s)
		switch {
		case err != nil:
			o.fail(fmt.Errorf("sess/otel: Register: store %d: %w", i+1, err))
		case names[name]:
			o.fail(fmt.Errorf("sess/otel: Register: store %d: got a second one with the name %q; want each store once, and a name for each by Named", i+1, name))
		}
		names[name] = true
	}
	if err := errors.Join(o.errs...); err != nil {
		return nil, err
	}
	observables := make([]metric.Observable, 0, len(o.instruments))
	for _, i := range o.instruments {
		observables = append(observables, i)
	}
	r, err := o.meter.RegisterCallback(o.observe, observables...)
	if err != nil {
		return nil, fmt.Errorf("sess/otel: Register: %w", err)
	}
	return r, nil
}

// Named gives a store the name that its metrics bear, where a program has several of one kind. What it returns is for [Register].
func Named(name string, store sess.Store) sess.Store { return named{store, name} }

type named struct {
	sess.Store
	name string
}

func (n named) Unwrap() sess.Store { return n.Store }

// observer collects what Register was given: an instrument for each metric, and a function for each manager and store.
type observer struct {
	meter       metric.Meter
	instruments map[string]metric.Int64Observable
	sources     []func(metric.Observer)
	errs        []error
}

func (o *observer) fail(err error) { o.errs = append(o.errs, err) }

func (o *observer) observe(_ context.Context, to metric.Observer) error {
	for _, source := range o.sources {
		source(to)
	}
	return nil
}

// store adds a store, and returns its name.
func (o *observer) store(s sess.Store) (name string, err error) {
	for s != nil {
		if n, ok := s.(named); ok && name == "" {
			name = n.name
		}
		switch store := s.(type) {
		case *sess.RueidisStore:
			if store == nil {
				return name, errors.New("got a nil *sess.RueidisStore; want one of sess.NewRueidisStore")
			}
			name = either(name, "redis")
			watch(o, redisSeries(), attribute.String("sess.store.name", name), store.Stats)
			return name, nil
		case *sess.MemoryStore:
			if store == nil {
				return name, errors.New("got a nil *sess.MemoryStore; want one of sess.NewMemoryStore")
			}
			name = either(name, "memory")
			watch(o, memorySeries(), attribute.String("sess.store.name", name), store.Stats)
			return name, nil
		}
		decorator, ok := s.(interface{ Unwrap() sess.Store })
		if !ok {
			return name, fmt.Errorf("got a %T, which tells no numbers; want a *sess.RueidisStore, a *sess.MemoryStore, or a decorator of one with Unwrap() sess.Store", s)
		}
		s = decorator.Unwrap()
	}
	return name, errors.New("got nil; want a *sess.RueidisStore or a *sess.MemoryStore")
}

func either(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}

// watch adds a source of numbers: what stats returns, as the series of all, each under the attribute that names the source.
func watch[S any](o *observer, all []series[S], who attribute.KeyValue, stats func() S) {
	observe := make([]func(metric.Observer, *S), len(all))
	for i, s := range all {
		instrument := o.instrument(s.metric)
		attributes := attribute.NewSet(who)
		if s.attribute.Valid() {
			attributes = attribute.NewSet(who, s.attribute)
		}
		option := metric.WithAttributeSet(attributes)
		observe[i] = func(to metric.Observer, now *S) { to.ObserveInt64(instrument, s.value(now), option) }
	}
	o.sources = append(o.sources, func(to metric.Observer) {
		now := stats() // once for all of them, so that they fit together
		for _, f := range observe {
			f(to, &now)
		}
	})
}

// instrument returns that of m, made once.
func (o *observer) instrument(m metricOf) metric.Int64Observable {
	if i, ok := o.instruments[m.name]; ok {
		return i
	}
	var i metric.Int64Observable
	var err error
	if m.grows {
		i, err = o.meter.Int64ObservableCounter(m.name, metric.WithUnit(m.unit), metric.WithDescription(m.text))
	} else {
		i, err = o.meter.Int64ObservableUpDownCounter(m.name, metric.WithUnit(m.unit), metric.WithDescription(m.text))
	}
	if err != nil {
		o.fail(fmt.Errorf("sess/otel: Register: %s: %w", m.name, err))
	}
	o.instruments[m.name] = i
	return i
}
