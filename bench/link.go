package main

import (
	"net"
	"sync"
	"time"
)

// A link is the way to a server that is far away: what passes arrives after a delay, in order and at full speed.
type link struct {
	address string // where to connect to
	ln      net.Listener
	delay   time.Duration // one way
	mu      sync.Mutex
	conns   []net.Conn // guarded by mu
}

// newLink listens on loopback for connections to a server that is a round trip away.
func newLink(server string, roundTrip time.Duration) (*link, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &link{address: ln.Addr().String(), ln: ln, delay: roundTrip / 2}
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", server)
			if err != nil {
				near.Close()
				continue
			}
			l.mu.Lock()
			l.conns = append(l.conns, near, far)
			l.mu.Unlock()
			go l.carry(far, near)
			go l.carry(near, far)
		}
	}()
	return l, nil
}

// A parcel is what was read at once, and when it is due at the other end.
type parcel struct {
	bytes []byte
	due   time.Time
}

// carry moves what from sends to to, delayed, until one of them closes.
func (l *link) carry(to, from net.Conn) {
	defer from.Close()
	parcels := make(chan parcel, 1024)
	go func() {
		defer to.Close()
		for p := range parcels {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.bytes); err != nil {
				from.Close()
				break
			}
		}
		for range parcels { // the reader must not wait for a writer that gave up
		}
	}()
	defer close(parcels)
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			parcels <- parcel{buffer[:n], time.Now().Add(l.delay)}
		}
		if err != nil {
			return
		}
	}
}

func (l *link) close() {
	l.ln.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.Close()
	}
}
