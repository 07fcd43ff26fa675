package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/fibersess/sess/internal/record"
	"github.com/redis/rueidis"
)

const (
	// The pauses between two tries to connect double from the first to the last.
	firstStartPause = 20 * time.Millisecond
	lastStartPause  = time.Second

	// complaintInterval is how often the log hears that a lazy store is not connected.
	complaintInterval = time.Minute
)

// starting is a store that is not connected yet.
type starting struct {
	ready chan struct{} // closed when it is; what is set before that does not change any more
	gone  chan struct{} // closed when the first try has failed
	last  error         // why the last try failed; guarded by mu

	complained time.Time // when the log last heard of it
}

// start connects the store with connect, before it returns or, if the store is lazy, behind its back.
func (s *Store) start(connect func(context.Context) (rueidis.Client, error)) (*Store, error) {
	if s.Lazy {
		s.beats.Go(func() { _ = s.keepTrying(s.life, connect) })
		return s, nil
	}
	ctx, cancel := context.WithTimeout(s.life, s.StartTimeout)
	defer cancel()
	if err := s.keepTrying(ctx, connect); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// keepTrying calls connect until it succeeds or ctx ends; unless the store is lazy, also until it fails for a reason that
// will last.
func (s *Store) keepTrying(ctx context.Context, connect func(context.Context) (rueidis.Client, error)) error {
	begun := time.Now()
	var last error
	for pause := firstStartPause; ; pause = min(2*pause, lastStartPause) {
		client, err := s.tryOnce(ctx, connect)
		switch {
		case err == nil:
			s.opened(client)
			return nil
		case ctx.Err() != nil && last != nil: // what it fails with now is the end of ctx
		default:
			last = err
		}
		if !s.Lazy && !passes(last) {
			return last
		}
		s.failed(last, begun)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; tried again for %v", last, time.Since(begun).Round(time.Millisecond))
		case <-time.After(pause):
		}
	}
}

// tryOnce calls connect under StartTimeout.
func (s *Store) tryOnce(ctx context.Context, connect func(context.Context) (rueidis.Client, error)) (rueidis.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, s.StartTimeout)
	defer cancel()
	return connect(ctx)
}

// opened makes the store one that is connected by client, unless it was closed meanwhile.
func (s *Store) opened(client rueidis.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		if s.ownsClient {
			client.Close()
		}
		return
	}
	s.client = client
	close(s.ready)
	if s.cache != nil {
		s.beats.Go(s.heartbeats)
		s.beats.Go(func() { s.cache.Run(s.done) })
	}
	if client.Mode() == rueidis.ClientModeCluster {
		s.beats.Go(s.keepLearning)
	}
	if !s.complained.IsZero() {
		s.Logger.Info("sess: redis start: connected")
	}
}

// failed notes why a try failed, and tells the log of what will not pass by itself, or has not for a while.
func (s *Store) failed(err error, begun time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		close(s.gone)
	}
	s.last = err
	lasts := !passes(err) || time.Since(begun) > s.StartTimeout
	if s.Lazy && s.life.Err() == nil && lasts && time.Since(s.complained) > complaintInterval {
		s.complained = time.Now()
		s.Logger.Error(fmt.Sprintf("sess: redis start: not connected, so requests with sessions fail; it is tried again: %v", err))
	}
}

// connected waits until the store is connected or the first try has failed.
func (s *Store) connected(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	default:
	}
	select {
	case <-s.ready:
		return nil
	case <-s.done:
		return record.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case <-s.gone:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.life.Err() != nil {
			return record.ErrClosed
		}
		return &notConnected{s.last}
	}
}

// notConnected is why a lazy store cannot do anything yet.
type notConnected struct{ cause error }

func (e *notConnected) Error() string { return fmt.Sprintf("not connected yet: %v", e.cause) }
func (e *notConnected) Unwrap() error { return e.cause }

// passes reports whether that for which a store cannot be opened may pass by itself.
func passes(err error) bool {
	var (
		told        *Error
		refusal     *refusal
		certificate *tls.CertificateVerificationError
		header      tls.RecordHeaderError
		alert       tls.AlertError
	)
	switch {
	case errors.As(err, &told):
		return saysItPasses(told.Code, told.Text)
	case errors.As(err, &refusal), errors.Is(err, ErrVersion), errors.Is(err, errNoRESP),
		errors.As(err, &certificate), errors.As(err, &header), errors.As(err, &alert):
		return false
	default:
		return true
	}
}

// keepLearning asks again and again which master serves what.
func (s *Store) keepLearning() {
	tick := time.NewTicker(ownersInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(s.life, opTimeout)
		_ = s.slots.learn(ctx, s.client) // It goes on with what it knows.
		cancel()
	}
}
