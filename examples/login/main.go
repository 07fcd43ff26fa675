// Login is a small site with accounts: register, log in, "remember me", a page of one's sessions on which to end them, a
// change of password, and a word on every page the moment its session has ended elsewhere.
//
//	go run ./examples/login
//	go run ./examples/login -redis redis://127.0.0.1:6379
//
// Without -redis accounts and sessions are in this process's memory. With it several processes are one site, if they have
// the same SESSION_KEY. site.go has the routes, account.go and devices.go what they do.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/redis/rueidis"

	"github.com/fibersess/sess"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on")
	redis := flag.String("redis", "", "`URL` of a Redis 6.2 or later, such as redis://127.0.0.1:6379 (default: this process's memory)")
	https := flag.Bool("https", false, "browsers come by https, which a proxy on this machine ends that sets X-Real-Ip: the cookie is __Host-sid then")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *redis, *https); err != nil {
		fmt.Fprintln(os.Stderr, "examples/login:", err)
		os.Exit(1)
	}
}

// run serves the site until ctx ends.
func run(ctx context.Context, addr, redis string, https bool) error {
	o := defaults()
	o.https = https
	o.key = cmp.Or(os.Getenv("SESSION_KEY"), o.key)
	if redis != "" {
		done, err := o.useRedis(redis)
		if err != nil {
			return err
		}
		defer done()
	}
	s, err := newSite(o)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() {
		_ = s.sessions.Close() // ends the event streams
		_ = s.app.ShutdownWithTimeout(time.Second)
	})
	fmt.Printf("login: http://%s/\n", addr)
	return s.app.Listen(addr)
}

// options are what tests change.
type options struct {
	store      sess.Store
	accounts   accounts
	key        string        // signs the cookies
	https      bool          // browsers come by https
	fresh      time.Duration // how old a login may be for what is delicate
	iterations int           // of PBKDF2
	guesses    int           // wrong passwords a minute from one address
}

func defaults() options {
	return options{
		store:      sess.NewMemoryStore(),
		accounts:   &memoryAccounts{kept: map[string]string{}},
		key:        rand.Text(), // for this run
		fresh:      10 * time.Minute,
		iterations: iterations,
		guesses:    10,
	}
}

// useRedis keeps sessions and accounts in the Redis of a URL. The error does not repeat it, since it may hold a password.
func (o *options) useRedis(url string) (done func(), err error) {
	option, err := rueidis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("-redis: got no URL of a Redis; want one like redis://user:password@host:6379")
	}
	store, err := sess.NewRueidisStore(option, sess.RueidisConfig{})
	if err != nil {
		return nil, err
	}
	option.DisableCache = true // sess has its own
	client, err := rueidis.NewClient(option)
	if err != nil {
		store.Close()
		return nil, fmt.Errorf("-redis: %w", err)
	}
	o.store, o.accounts = store, redisAccounts{client}
	return func() {
		client.Close()
		store.Close()
	}, nil
}
