package sess_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

const tooMany = "-ERR max number of clients reached\r\n"

// TestRueidisAServerThatRefusesALateConnectionEndsNoProcess has the server refuse a connection whose command has been
// given up while it was dialed: nobody has asked the server anything, and its refusal answers nothing. The client library
// ends the process when it reads that.
func TestRueidisAServerThatRefusesALateConnectionEndsNoProcess(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	slow := make(chan time.Duration, 1)
	slow <- 0
	option := addresses(proxy.Addr)
	option.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
		c, err := d.DialContext(ctx, "tcp", addr)
		pause := <-slow
		time.Sleep(pause) // as long as a dial may take
		slow <- pause
		return c, err
	}
	for _, config := range []sess.RueidisConfig{{}, {NoNearCache: true}} {
		s := openRueidis(t, option, config)
		<-slow
		slow <- 60 * time.Millisecond
		proxy.Greet(tooMany)
		proxy.Reset()
		id := redisID(t, "refused")
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			if _, err := s.Refresh(ctx, id); err == nil || errors.Is(err, sess.ErrNotFound) {
				t.Errorf("Refresh without a connection: got the error %v, want one that says it could not tell", err)
			}
			cancel()
		}
		proxy.Greet("")
		<-slow
		slow <- 0
		eventually(t, "the store works again", func() bool {
			_, err := s.Refresh(t.Context(), id)
			return errors.Is(err, sess.ErrNotFound)
		})
	}
}

// TestRueidisSomethingUnaskedEndsNoProcess has a proxy speak by itself on connections that are in use and that are not.
func TestRueidisSomethingUnaskedEndsNoProcess(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	for _, config := range []sess.RueidisConfig{{}, {NoNearCache: true}} {
		s := openRueidis(t, addresses(proxy.Addr), config)
		id := redisID(t, "unasked")
		for _, text := range []string{tooMany, "+OK\r\n", "$3\r\nabc\r\n", ":1\r\n", "HTTP/1.1 408 Request Timeout\r\n\r\n", "\x15\x03\x03\x00\x02\x02\x28"} {
			proxy.Say(text)
			eventually(t, "the store works", func() bool {
				_, err := s.Refresh(t.Context(), id)
				return errors.Is(err, sess.ErrNotFound)
			})
		}
	}
}
