package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/redis/rueidis"
)

// Open returns a store that makes its own client. Unless it is to be lazy it is connected.
func Open(settings Settings, option rueidis.ClientOption) (*Store, error) {
	s := newStore(settings)
	s.ownsClient = true
	s.conns.of(&option)
	password := passwordOf(&option)
	return s.start(func(ctx context.Context) (rueidis.Client, error) {
		client, err := s.open(ctx, option)
		return client, s.connectFailure(err, &option, password())
	})
}

// OpenOn returns a store on a client of the application's, without near cache.
func OpenOn(client rueidis.Client, settings Settings) (*Store, error) {
	settings.NearBytes = 0
	s := newStore(settings)
	return s.start(func(ctx context.Context) (rueidis.Client, error) {
		return client, s.connectFailure(s.try(ctx, client), nil, "")
	})
}

// passwordOf makes option remember the password that it last gave to a server, and returns what tells it.
func passwordOf(option *rueidis.ClientOption) func() string {
	ask := option.AuthCredentialsFn
	if ask == nil {
		return func() string { return option.Password }
	}
	var last atomic.Pointer[string]
	option.AuthCredentialsFn = func(c rueidis.AuthCredentialsContext) (rueidis.AuthCredentials, error) {
		given, err := ask(c)
		last.Store(&given.Password)
		return given, err
	}
	return func() string {
		if p := last.Load(); p != nil {
			return *p
		}
		return ""
	}
}

// open makes a client that hears of changes, if there is to be a near cache and the server lets it, else one that does
// not, and tries what the store will do.
func (s *Store) open(ctx context.Context, option rueidis.ClientOption) (rueidis.Client, error) {
	var silent *unreported
	if s.cache != nil {
		option.NewCacheStoreFn = s.newLink
		client, err := s.tried(ctx, option)
		if err == nil {
			return client, nil
		}
		if silent = whyUnreported(err); silent == nil {
			return nil, err
		}
	}
	option.DisableCache, option.NewCacheStoreFn = true, nil
	client, err := s.tried(ctx, option)
	if code, text, ok := replied(err); ok && refusesHello(code, text) {
		option.AlwaysRESP2 = true
		client, err = s.tried(ctx, option)
	}
	if err == nil && silent != nil {
		s.withoutReports(silent)
	}
	return client, err
}

// withoutReports makes the store one that hears of no changes.
func (s *Store) withoutReports(why *unreported) {
	s.cache.WithoutReports()
	s.Logger.Warn(fmt.Sprintf("sess: redis near cache: every change of another node is seen up to MaxStale late, %v, since %v, "+
		"or set RueidisConfig.NoNearCache", s.MaxStale, why))
}

// tried makes a client and tries it. If that fails it leaves nothing behind.
func (s *Store) tried(ctx context.Context, option rueidis.ClientOption) (rueidis.Client, error) {
	client, err := newClient(ctx, option)
	if err != nil {
		return nil, err
	}
	if err = s.try(ctx, client); err == nil && !option.DisableCache {
		err = s.hearsOfChanges(ctx, client)
	}
	if err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

// try does all that the store will do, but for hearing of changes.
func (s *Store) try(ctx context.Context, client rueidis.Client) error {
	policies, err := s.examine(ctx, client)
	if err != nil {
		return err
	}
	if client.Mode() == rueidis.ClientModeCluster {
		if err := s.slots.learn(ctx, client); err != nil {
			return err
		}
	}
	if err := s.selfTest(ctx, client); err != nil {
		return err
	}
	s.warnOfEviction(policies)
	return nil
}

// newClient makes a client under the deadline of ctx, which rueidis does not ask for. One that comes too late is closed.
func newClient(ctx context.Context, option rueidis.ClientOption) (rueidis.Client, error) {
	type outcome struct {
		client rueidis.Client
		err    error
	}
	ended := make(chan outcome)
	go func() {
		client, err := rueidis.NewClient(option)
		if err != nil && client != nil {
			client.Close()
			client = nil
		}
		select {
		case ended <- outcome{client, err}:
		case <-ctx.Done():
			if client != nil {
				client.Close()
			}
		}
	}()
	select {
	case o := <-ended:
		return o.client, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// connectFailure returns what a caller is told of an error at start-up. option is nil for a client of the application's.
func (s *Store) connectFailure(err error, option *rueidis.ClientOption, password string) error {
	code, text, ok := replied(err)
	switch {
	case err == nil, errors.As(err, new(*refusal)), errors.Is(err, ErrReplica), errors.Is(err, ErrVersion):
		return err
	case !ok:
		return fmt.Errorf("sess: redis connect: %w%s", err, hint(err, option))
	}
	secrets := []string{password}
	if option != nil {
		secrets = append(secrets, option.Sentinel.Password)
	}
	text = sentence(text, secrets)
	switch {
	case code == "NOPERM" && permission(text) != "":
		return refused("%w: the server replied %q; want the permission %s", ErrAuth, text, permission(text))
	case code == "NOPERM", code == "WRONGPASS", code == "NOAUTH", strings.Contains(text, "without any password configured"):
		return refused("%w: the server replied %q", ErrAuth, text)
	case option != nil && len(option.InitAddress) > 1 && strings.Contains(text, "cluster support disabled"):
		return refused("sess: redis connect: got %d addresses of servers that are no cluster; want one address, or a cluster's, "+
			"or those of Sentinels together with Sentinel.MasterSet, which know the master", len(option.InitAddress))
	}
	return &Error{Op: "connect", Code: code, Text: text, as: s.As}
}

// hint is what an operator may look at where a server ends a connection without a word.
func hint(err error, option *rueidis.ClientOption) string {
	switch silent := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE); {
	case !silent || option == nil:
		return ""
	case option.TLSConfig == nil:
		return "; want a TLSConfig, if this port speaks TLS"
	case len(option.TLSConfig.Certificates) == 0 && option.TLSConfig.GetClientCertificate == nil:
		return "; want Certificates in TLSConfig, if the server asks for one"
	default:
		return ""
	}
}
