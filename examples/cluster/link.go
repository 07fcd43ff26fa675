package main

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// lateness is how late a slow link brings what Redis says. A login on such a node, which asks Redis some times, still
// ends within StoreTimeout.
const lateness = 250 * time.Millisecond

// link is the way of one node to Redis. When it is slow, the node hears of changes late that others have made.
type link struct {
	net.Listener
	redis string
	slow  atomic.Bool
}

func newLink(redis string) (*link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &link{Listener: l, redis: redis}
	go k.serve()
	return k, nil
}

// serve takes the node's connections until the link is closed.
func (k *link) serve() {
	for {
		node, err := k.Accept()
		if err != nil {
			return
		}
		redis, err := net.Dial("tcp", k.redis)
		if err != nil {
			node.Close()
			continue
		}
		go func() {
			defer redis.Close()
			_, _ = io.Copy(redis, node)
		}()
		go func() {
			defer node.Close()
			k.deliver(node, redis)
		}()
	}
}

// piece is something that Redis said, and when the node may hear it.
type piece struct {
	text []byte
	at   time.Time
}

// deliver brings the node what Redis says, in order.
func (k *link) deliver(node io.Writer, redis io.Reader) {
	said := make(chan piece, 1024)
	go func() {
		defer close(said)
		for {
			text := make([]byte, 32<<10)
			n, err := redis.Read(text)
			if err != nil {
				return
			}
			p := piece{text[:n], time.Now()}
			if k.slow.Load() {
				p.at = p.at.Add(lateness)
			}
			said <- p
		}
	}()
	for p := range said {
		time.Sleep(time.Until(p.at))
		_, _ = node.Write(p.text) // if the node is gone Redis will hear of it by the other direction
	}
}
