package otelsess_test

import (
	"context"
	"fmt"
	"log"

	"github.com/fibersess/sess"
	otelsess "github.com/fibersess/sess/otel"
	"github.com/gofiber/fiber/v2"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// The provider is the application's, with the exporter of its choice as its reader.
func ExampleRegister() {
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))

	hooks, err := otelsess.Hooks(provider)
	if err != nil {
		log.Fatal(err)
	}
	store := sess.NewMemoryStore()
	sessions, err := sess.NewManager(sess.Config{Store: store, Hooks: hooks})
	if err != nil {
		log.Fatal(err)
	}
	registration, err := otelsess.Register(provider, sessions, store)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = registration.Unregister() }()

	app := fiber.New()
	app.Use(sessions.Handle)

	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		log.Fatal(err)
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if m.Name == "sess.memory.limit" {
			fmt.Println(m.Name, m.Unit, m.Data.(metricdata.Sum[int64]).DataPoints[0].Value)
		}
	}
	// Output: sess.memory.limit {session} 1048576
}

// A program with two Redis servers gives each store a name.
func ExampleNamed() {
	provider := sdk.NewMeterProvider(sdk.WithReader(sdk.NewManualReader()))
	staff, guests := sess.NewMemoryStore(), sess.NewMemoryStore()
	sessions, err := sess.NewManager(sess.Config{Store: staff})
	if err != nil {
		log.Fatal(err)
	}
	_, err = otelsess.Register(provider, sessions, otelsess.Named("staff", staff), otelsess.Named("guests", guests))
	fmt.Println(err)
	// Output: <nil>
}

// The other hooks are the application's.
func ExampleHooks() {
	provider := sdk.NewMeterProvider(sdk.WithReader(sdk.NewManualReader()))
	hooks, err := otelsess.Hooks(provider)
	if err != nil {
		log.Fatal(err)
	}
	hooks.Displaced = func(e sess.Event) { fmt.Println("a session made room for a login") }
	_, err = sess.NewManager(sess.Config{Hooks: hooks})
	fmt.Println(err)
	// Output: <nil>
}
