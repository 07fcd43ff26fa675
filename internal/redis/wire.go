package redis

import (
	"bytes"
	"errors"
	"math"
)

// wire follows one direction of a connection to a server and finds where messages begin:
//
//	message = ( "+" | "-" | ":" | "_" | "," | "#" | "(" ) text CRLF
//	        | ( "$" | "!" | "=" ) length CRLF bytes CRLF
//	        | ( "*" | "~" | ">" ) count CRLF *message
//	        | "%" count CRLF *( message message )
//	        | "|" count CRLF *( message message ) message
//
// A length or a count of -1 stands for nil, and has nothing behind it. It looks at each line, and at no byte of a string.
// The zero wire is before the first message. What it has seen of a message it need not see again.
type wire struct {
	open   int64 // messages that have not ended, those inside of others included; 0: the next byte begins one
	skip   int64 // bytes of a string that are still to come, its CRLF included
	number int64 // the length or count as far as it was read
	kind   byte  // of the line that is being read; 0: none is
	minus  bool  // the number is negative
}

// maxOnWire bounds a length or a count: no server sends more, and no sum of two can overflow.
const maxOnWire = math.MaxInt32

var errNoRESP = errors.New("the server sent what is no reply of Redis; want a Redis server at this port, and TLS on both ends or on none")

// between reports whether the next byte begins a message.
func (w *wire) between() bool { return w.open == 0 }

// follow takes one part of b, which is not empty, and returns its length: the rest of a string, or a line or as much of
// it as there is.
func (w *wire) follow(b []byte) (int, error) {
	if w.skip > 0 {
		n := min(w.skip, int64(len(b)))
		w.skip -= n
		if w.skip == 0 {
			w.open--
		}
		return int(n), nil
	}
	n := 0
	if w.kind == 0 {
		if w.open == 0 {
			w.open = 1
		}
		w.kind, w.number, w.minus = b[0], 0, false
		n = 1
	}
	switch w.kind {
	case '+', '-', ':', '_', ',', '#', '(':
		end := bytes.IndexByte(b[n:], '\n')
		if end < 0 {
			return len(b), nil
		}
		w.kind = 0
		w.open--
		return n + end + 1, nil
	case '$', '!', '=', '*', '~', '>', '%', '|':
		return w.count(b, n)
	default:
		return 0, errNoRESP
	}
}

// count is follow for the rest of a line, from b[n] on, that is a length or a count.
func (w *wire) count(b []byte, n int) (int, error) {
	for ; n < len(b); n++ {
		switch c := b[n]; {
		case c == '\n':
			return n + 1, w.counted()
		case c == '\r':
		case c == '-' && w.number == 0 && !w.minus:
			w.minus = true
		case '0' <= c && c <= '9' && w.number < maxOnWire/10:
			w.number = 10*w.number + int64(c-'0')
		default:
			return n, errNoRESP
		}
	}
	return n, nil
}

// counted ends a line that is a length or a count.
func (w *wire) counted() error {
	kind := w.kind
	w.kind = 0
	if w.minus {
		if w.number != 1 {
			return errNoRESP
		}
		w.open--
		return nil
	}
	switch kind {
	case '$', '!', '=':
		w.skip = w.number + 2
	case '*', '~', '>':
		w.open += w.number - 1
	case '%':
		w.open += 2*w.number - 1
	case '|': // belongs to the message behind it, which ends both
		w.open += 2 * w.number
	}
	return nil
}
