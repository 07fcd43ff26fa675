package redistest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// answer is what a proxy says to some commands in the server's place.
type answer struct {
	command []string // its first words, in capitals
	reply   string   // RESP
}

// Answer makes the proxy answer every command that begins with these words itself, with the given bytes of RESP: the
// server never hears of it. The last call for the same words counts; an empty reply ends it. It concerns the connections
// that are made from now on.
func (p *Proxy) Answer(reply string, command ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = slices.DeleteFunc(slices.Clone(p.answers), func(a answer) bool { return slices.Equal(a.command, command) })
	if reply != "" {
		p.answers = append(p.answers, answer{command, reply})
	}
}

// script changes what goes through one connection. A command to be answered is replaced by an ECHO of a mark of its own,
// so that the server says the mark when its turn has come, and the mark by the answer.
type script struct {
	answers []answer
	up      []byte // the beginning of a command
	down    []byte // what may be the beginning of a mark
}

// mark is what the server sends in place of the answer i.
func mark(i int) string {
	text := fmt.Sprintf("redistest: the place of the answer %d", i)
	return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)
}

// filter returns what goes on in place of b, which may keep its end back until more comes.
func (s *script) filter(way Direction, b []byte) []byte {
	switch {
	case len(s.answers) == 0:
		return b
	case way == Up:
		return s.commands(b)
	default:
		return s.replies(b)
	}
}

func (s *script) commands(b []byte) (out []byte) {
	s.up = append(s.up, b...)
	for {
		args, n := cutCommand(s.up)
		if n == 0 {
			return out
		}
		if i := slices.IndexFunc(s.answers, func(a answer) bool { return begins(args, a.command) }); i >= 0 {
			out = append(out, "*2\r\n$4\r\nECHO\r\n"+mark(i)...)
		} else {
			out = append(out, s.up[:n]...)
		}
		s.up = s.up[n:]
	}
}

func begins(args, words []string) bool {
	return len(args) >= len(words) && slices.EqualFunc(args[:len(words)], words, strings.EqualFold)
}

// cutCommand returns the first command in b and its length, 0 if it has not come to its end.
func cutCommand(b []byte) (args []string, length int) {
	at := 0
	number := func() int { // of a line that is a kind and a number; -1: it is not all there
		end := bytes.Index(b[at:], []byte("\r\n"))
		if end < 1 {
			return -1
		}
		n, err := strconv.Atoi(string(b[at+1 : at+end]))
		if err != nil {
			return -1
		}
		at += end + 2
		return n
	}
	for range number() {
		n := number()
		if n < 0 || at+n+2 > len(b) {
			return nil, 0
		}
		args = append(args, string(b[at:at+n]))
		at += n + 2
	}
	if args == nil {
		return nil, 0
	}
	return args, at
}

func (s *script) replies(b []byte) (out []byte) {
	text := append(s.down, b...)
	for i, a := range s.answers {
		text = bytes.ReplaceAll(text, []byte(mark(i)), []byte(a.reply))
	}
	keep := 0
	for i := range s.answers {
		m := mark(i)
		for n := min(len(m)-1, len(text)); n > keep; n-- {
			if bytes.HasSuffix(text, []byte(m[:n])) {
				keep = n
			}
		}
	}
	s.down = bytes.Clone(text[len(text)-keep:])
	return text[:len(text)-keep]
}
