package otelsess_test

import (
	"context"
	"strings"
	"testing"

	"github.com/fibersess/sess"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// newProvider returns a provider that collects when it is asked to.
func newProvider(t testing.TB) (*sdk.MeterProvider, *sdk.ManualReader) {
	t.Helper()
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return provider, reader
}

// collected is what a reader found: of each metric what it is, and of each series its value or, of a histogram, its count.
type collected struct {
	metrics map[string]metricdata.Metrics
	values  map[string]int64 // under the metric's name and its attributes: "sess.live.active{sess.name=sid}"
}

func collect(t testing.TB, reader *sdk.ManualReader) collected {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatalf("Collect: got the error %v, want none", err)
	}
	c := collected{map[string]metricdata.Metrics{}, map[string]int64{}}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			c.metrics[m.Name] = m
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					c.values[m.Name+labels(p.Attributes)] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					c.values[m.Name+labels(p.Attributes)] = int64(p.Count)
				}
			default:
				t.Errorf("%s: got a %T, want a sum or a histogram", m.Name, data)
			}
		}
	}
	return c
}

func labels(set attribute.Set) string {
	var parts []string
	for _, a := range set.ToSlice() {
		parts = append(parts, string(a.Key)+"="+a.Value.String())
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (c collected) want(t *testing.T, series string, want int64) {
	t.Helper()
	if got, ok := c.values[series]; !ok || got != want {
		t.Errorf("%s: got %d (there: %t), want %d", series, got, ok, want)
	}
}

// site is an app with sessions, and a browser on it.
type site struct {
	manager *sess.Manager
	handler fasthttp.RequestHandler
	jar     map[string]string
}

func newSite(t testing.TB, config sess.Config) *site {
	t.Helper()
	config.Keys = sess.Keys("a key of these tests, 32 bytes..")
	m, err := sess.NewManager(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(m.Handle)
	app.Get("/login", func(c *fiber.Ctx) error {
		sess.From(c).Login("ann")
		return nil
	})
	app.Get("/set", func(c *fiber.Ctx) error {
		sess.Update(sess.From(c), "n", func(n int, _ bool) int { return n + 1 })
		return nil
	})
	app.Get("/look", func(c *fiber.Ctx) error {
		sess.From(c).Has("n")
		return nil
	})
	app.Get("/logout", func(c *fiber.Ctx) error {
		sess.From(c).Destroy()
		return nil
	})
	return &site{m, app.Handler(), map[string]string{}}
}

// get sends a request with the cookies of the jar, and returns the status.
func (s *site) get(path string) int {
	var ctx fasthttp.RequestCtx
	ctx.Request.SetRequestURI(path)
	for name, value := range s.jar {
		ctx.Request.Header.SetCookie(name, value)
	}
	s.handler(&ctx)
	for name, line := range ctx.Response.Header.Cookies() {
		value, _, _ := strings.Cut(strings.TrimPrefix(string(line), string(name)+"="), ";")
		if s.jar[string(name)] = value; value == "" {
			delete(s.jar, string(name))
		}
	}
	status := ctx.Response.StatusCode()
	ctx.ResetUserValues() // as the server does when the response has left
	return status
}
