package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/near"
	"github.com/redis/rueidis"
)

// The reasons for which a store cannot be opened, as the root says them.
var (
	ErrVersion = errors.New("sess: redis version: got less than 6.2; want 6.2 or later")
	ErrReplica = errors.New("sess: redis role: got a replica; want the master's address, or Sentinels or a cluster that know it")
	ErrAuth    = errors.New("sess: redis auth: got a refusal; want a user and password that may read and write the keys of the store")
)

const (
	// startTimeout bounds opening a store.
	startTimeout = 5 * time.Second

	// probeTimeout is how long the server may take to report the change that the self-test makes.
	probeTimeout = time.Second

	// probeTTL is how long the key of the self-test lives if it is not removed.
	probeTTL = 10 * time.Second

	roleMaster = "master"
)

var (
	errStartTimeout = fmt.Errorf("sess: redis connect: got no client within %v; want a server that answers", startTimeout)
	errNoReports    = errors.New("the server does not report changes")
)

// Open connects a store. Where the server cannot report changes it does so again, without near cache.
func Open(settings Settings, option rueidis.ClientOption) (*Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	s := newStore(settings)
	if s.cache != nil {
		option.NewCacheStoreFn = s.newLink
	}
	err := s.open(ctx, option)
	if err == nil {
		return s, nil
	}
	if s.cache == nil || !errors.Is(err, errNoReports) && !errors.Is(err, rueidis.ErrNoCache) {
		return nil, err
	}
	settings.NearBytes = 0
	option.DisableCache, option.NewCacheStoreFn = true, nil
	s = newStore(settings)
	if err := s.open(ctx, option); err != nil {
		return nil, err
	}
	settings.Logger.Warn("sess: redis near cache: off, because the server does not report changes; every read asks the server. " +
		"Use a server that supports CLIENT TRACKING, with no proxy before it, or set RueidisConfig.NoNearCache")
	return s, nil
}

// open connects, examines what it finds and starts the heartbeats. If it fails it leaves nothing behind.
func (s *Store) open(ctx context.Context, option rueidis.ClientOption) error {
	s.conns.of(&option)
	client, err := newClient(ctx, option)
	if err != nil {
		return connectFailure(err)
	}
	if err := s.examine(client); err != nil {
		client.Close()
		return err
	}
	s.client, s.ownsClient = client, true
	if s.cache == nil {
		return nil
	}
	if err := s.selfTest(ctx); err != nil {
		client.Close()
		return err
	}
	s.beats.Go(s.heartbeats)
	s.beats.Go(func() { s.cache.Run(s.done) })
	return nil
}

// OpenOn returns a store on a client of the application's, without near cache.
func OpenOn(client rueidis.Client, settings Settings) (*Store, error) {
	settings.NearBytes = 0
	s := newStore(settings)
	if err := s.examine(client); err != nil {
		return nil, err
	}
	s.client = client
	return s, nil
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
		return nil, errStartTimeout
	}
}

// connectFailure returns what a caller is told of an error at start-up.
func connectFailure(err error) error {
	if errors.Is(err, rueidis.ErrNoCache) || errors.Is(err, errStartTimeout) {
		return err
	}
	switch code, _ := errorCode(err); code {
	case "WRONGPASS", "NOAUTH", "NOPERM":
		return fmt.Errorf("%w (%s)", ErrAuth, code)
	default:
		return failure("connect", err)
	}
}

// greeted is what a server says of itself.
type greeted struct {
	major, minor int // of the version
	role         string
}

// greeting reads the reply to HELLO.
func greeting(reply rueidis.RedisMessage) (g greeted, err error) {
	fields, err := reply.AsStrMap()
	if err != nil {
		return g, err
	}
	if _, err := fmt.Sscanf(fields["version"], "%d.%d", &g.major, &g.minor); err != nil {
		return g, ErrVersion
	}
	g.role = fields["role"]
	return g, nil
}

// examine checks each server of the client that answers: its version, and unless others will do, its role.
func (s *Store) examine(client rueidis.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var unreachable error
	answered := false
	for _, node := range client.Nodes() {
		reply, err := node.Do(ctx, node.B().Hello().Protover(3).Build()).ToMessage()
		if _, replied := errorCode(err); err != nil && !replied {
			unreachable = err
			continue
		}
		if code, _ := errorCode(err); code == "ERR" || code == "NOPROTO" { // Redis before 6.0
			return ErrVersion
		}
		if err != nil {
			return connectFailure(err)
		}
		g, err := greeting(reply)
		switch {
		case err != nil:
			return err
		case g.major < 6 || g.major == 6 && g.minor < 2:
			return fmt.Errorf("%w (%d.%d)", ErrVersion, g.major, g.minor)
		case g.role != roleMaster && client.Mode() == rueidis.ClientModeStandalone:
			return ErrReplica
		}
		answered = true
	}
	if !answered {
		return connectFailure(unreachable)
	}
	return nil
}

// selfTest checks that a change made on another connection is reported on the one that read: some managed servers and
// proxies accept the command that asks for it, and then never report anything. The error is errNoReports if so.
func (s *Store) selfTest(ctx context.Context) error {
	// No id holds a space: this is nobody's key.
	p := &probe{key: s.Prefix + "self test " + rand.Text(), seen: make(chan struct{}, 1)}
	s.probe.Store(p)
	defer s.probe.Store(nil)

	set := func(c rueidis.CoreClient, value string) error {
		return c.Do(ctx, c.B().Set().Key(p.key).Value(value).Px(probeTTL).Build()).Error()
	}
	if err := set(s.client, "1"); err != nil {
		return connectFailure(err)
	}
	defer s.client.Do(ctx, s.client.B().Del().Key(p.key).Build())
	read := s.client.B().Get().Key(p.key).Cache().ToStaticTTL()
	if err := s.client.DoCache(ctx, read, near.TTL).Error(); err != nil {
		return connectFailure(err)
	}
	other, release := s.client.Dedicate()
	defer release()
	defer other.Close() // it would idle in a pool for ever
	if err := set(other, "2"); err != nil {
		return connectFailure(err)
	}
	select {
	case <-p.seen:
		return nil
	case <-time.After(probeTimeout):
	case <-ctx.Done():
	}
	return errNoReports
}

// heartbeats asks every server four times per MaxStale whether it is there and a master, which extends the leases of
// the near cache, and at once when a connection was made.
func (s *Store) heartbeats() {
	tick := time.NewTicker(s.MaxStale / 4)
	defer tick.Stop()
	beating := new(sync.Map) // addresses of servers that have not answered yet
	for {
		select {
		case <-s.done:
			return
		case <-s.connect:
		case <-tick.C:
		}
		for addr, node := range s.client.Nodes() {
			if _, busy := beating.LoadOrStore(addr, true); busy {
				continue
			}
			s.beats.Go(func() {
				defer beating.Delete(addr)
				hello := rueidis.Cacheable(node.B().Hello().Protover(3).Build())
				node.DoCache(context.Background(), hello.ToStaticTTL(), near.TTL) // its link takes the reply
			})
		}
	}
}

// Counters returns what Stats does.
func (s *Store) Counters() near.Stats {
	stats := near.Stats{InFlight: len(s.slots)}
	select {
	case <-s.done: // Close keeps all slots
		stats.InFlight = 0
	default:
	}
	if s.cache != nil {
		s.cache.AddTo(&stats)
	}
	return stats
}
