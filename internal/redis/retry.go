package redis

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/fibersess/sess/internal/record"
	"github.com/redis/rueidis"
)

// The pauses between tries double, in milliseconds, from 2 to 64.
const (
	firstPause = 2 * time.Millisecond
	maxPause   = 64 * time.Millisecond
)

// passingCodes are the errors of a server that did nothing and will say something else soon: after it has loaded its
// data, after a failover, when another client's script has ended, when a slot has moved.
var passingCodes = []string{"LOADING", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "READONLY", "BUSY"}

// retry calls f, which only reads, until it succeeds, fails for a reason that will last, or ctx is about to end.
func (s *Store) retry(ctx context.Context, f func() error) error {
	return s.retryIf(ctx, f, func(err error) bool {
		_, replied := errorCode(err)
		return !replied || didNothing(err)
	})
}

// retryUnsent is retry for what writes: only when the server surely did nothing.
func (s *Store) retryUnsent(ctx context.Context, f func() error) error {
	return s.retryIf(ctx, f, didNothing)
}

// didNothing reports whether an error says that the server surely did nothing, and that this will pass.
func didNothing(err error) bool {
	if err == nil {
		return false
	}
	if code, text, ok := replied(err); ok {
		return saysItPasses(code, text)
	}
	var dial *dialError
	var network *net.OpError // of a client of the application's
	return errors.As(err, &dial) || errors.As(err, &network) && network.Op == "dial" || errors.Is(err, rueidis.ErrNoSlot)
}

// saysItPasses reports whether a server's reply says that it did nothing, and why, and that this will pass.
func saysItPasses(code, text string) bool {
	return slices.Contains(passingCodes, code) || strings.HasPrefix(text, tooManyClients)
}

// tooManyClients is a server's word when it has no connection left. It says so before it is asked anything.
const tooManyClients = "ERR max number of clients reached"

func (s *Store) retryIf(ctx context.Context, f func() error, passing func(error) bool) error {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		sent := time.Now()
		err := f()
		if !unseen(err) || rueidis.IsRedisNil(err) || isContext(err) || ctx.Err() != nil || !passing(err) {
			return err
		}
		if code, _ := errorCode(err); code == "READONLY" {
			s.redial(sent)
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) <= pause {
			return err
		}
		select {
		case <-s.done:
			return record.ErrClosed
		case <-time.After(pause):
		}
	}
}

// redialPause is the least time between two dials because of one server that is a replica.
const redialPause = 100 * time.Millisecond

// redial gives up the connections to servers that have turned out to be replicas when they were asked at the given
// instant: behind their address another server may have become the master. The nodes of a cluster tell which one is.
func (s *Store) redial(asked time.Time) {
	if !s.ownsClient || s.client.Mode() == rueidis.ClientModeCluster {
		return
	}
	for addr := range s.client.Nodes() {
		s.conns.giveUp(addr, asked.Add(-redialPause))
	}
}
