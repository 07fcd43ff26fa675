// Command metrics is a site whose sessions Prometheus can watch:
//
//	cd examples/metrics && go run . -redis 127.0.0.1:6379
//
// serves the site on one address, and its numbers on another one, /metrics, which is not for the public. Without -redis the
// sessions are in the memory of the process. It is a module of its own, so that who imports sess or its otel does not import an
// exporter.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/fibersess/sess"
	otelsess "github.com/fibersess/sess/otel"
	"github.com/gofiber/fiber/v2"
	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/rueidis"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` of the site")
	metrics := flag.String("metrics", "127.0.0.1:9464", "`host:port` of /metrics")
	redis := flag.String("redis", "", "`host:port` of a Redis; without it the sessions are in memory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *metrics, *redis, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "examples/metrics:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. All that it started has ended when it returns.
func run(ctx context.Context, addr, metrics, redis string, out io.Writer) error {
	store := sess.Store(sess.NewMemoryStore())
	if redis != "" {
		s, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{redis}})
		if err != nil {
			return err
		}
		defer s.Close()
		store = s
	}
	s, err := newSite(sess.Config{Store: store, Keys: sess.Keys(rand.Text())})
	if err != nil {
		return err
	}
	defer s.close()
	public, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("%w; want an -addr that is free", err)
	}
	defer public.Close()
	private, err := net.Listen("tcp", metrics)
	if err != nil {
		return fmt.Errorf("%w; want a -metrics that is free", err)
	}
	numbers := &http.Server{Handler: s.metrics}
	ended := make(chan error, 2)
	go func() { ended <- numbers.Serve(private) }()
	go func() { ended <- s.app.Listener(public) }()
	defer func() {
		_ = errors.Join(numbers.Close(), s.app.Shutdown())
		<-ended
	}()
	fmt.Fprintf(out, "the site: http://%s\nits numbers: http://%s/metrics\n", public.Addr(), private.Addr())
	select {
	case err := <-ended:
		ended <- err
		return err
	case <-ctx.Done():
		return nil
	}
}

// site is what to copy: an app with sessions, and the handler that tells Prometheus of them.
type site struct {
	app      *fiber.App
	sessions *sess.Manager
	metrics  http.Handler
	close    func()
}

func newSite(config sess.Config) (*site, error) {
	// The exporter is a reader of the provider: it collects when Prometheus asks.
	registry := client.NewRegistry()
	exporter, err := prometheus.New(prometheus.WithRegisterer(registry), prometheus.WithoutScopeInfo())
	if err != nil {
		return nil, err
	}
	provider := metric.NewMeterProvider(metric.WithReader(exporter))

	if config.Hooks, err = otelsess.Hooks(provider); err != nil {
		return nil, err
	}
	sessions, err := sess.NewManager(config)
	if err != nil {
		return nil, err
	}
	if _, err := otelsess.Register(provider, sessions, config.Store); err != nil {
		return nil, err
	}

	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(sessions.Handle)
	app.Get("/", visit)
	app.Post("/login", login)
	app.Post("/logout", logout)
	metrics := http.NewServeMux()
	metrics.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return &site{app, sessions, metrics, func() { _ = errors.Join(sessions.Close(), provider.Shutdown(context.Background())) }}, nil
}

// visit counts in sessions that are there, and tells how often.
func visit(c *fiber.Ctx) error {
	s := sess.From(c)
	user, ok := s.User()
	if !ok {
		return c.SendString("nobody is logged in\n")
	}
	if c.Query("count") == "" {
		return c.SendString("hello " + user + "\n")
	}
	sess.Update(s, "visits", func(n int, _ bool) int { return n + 1 })
	n, _ := sess.Get[int](s, "visits")
	return c.SendString(fmt.Sprintf("hello %s, visit %d\n", user, n))
}

// login begins a session for user. A real one asks for more than a name.
func login(c *fiber.Ctx) error {
	user := c.FormValue("user", "ann")
	sess.From(c).Login(user)
	return c.SendString("hello " + user + "\n")
}

func logout(c *fiber.Ctx) error {
	sess.From(c).Destroy()
	return c.SendString("logged out\n")
}
