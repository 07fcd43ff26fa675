package jsontext

import "unicode/utf8"

// MaxDepth is how deep a text may nest, in levels: the outermost object or array is the first.
const MaxDepth = 128

// Member says where a member of an object stands, in byte offsets: its name without the quotes, and its value.
type Member struct{ Name, NameEnd, Value, ValueEnd uint32 }

// Fault is a rule of JSON that a text breaks, and the byte offset where it does. The zero Fault is none.
type Fault struct {
	Rule string
	At   int
}

// Members reads all of s, of less than 4 GiB, as one object and appends its members to into, in their order. It is
// strict in everything but names that are there twice.
func Members(into []Member, s string) ([]Member, Fault) {
	p := scanner{s: s}
	i := p.space(0)
	if p.peek(i) != '{' {
		p.fail(i, "not an object")
		return into, p.fault
	}
	m, i, more := p.step(i+1, 1, true)
	for more {
		into = append(into, m)
		m, i, more = p.step(i, 1, false)
	}
	if i >= 0 {
		if i = p.space(i); i != len(s) {
			p.fail(i, "something behind the object")
		}
	}
	return into, p.fault
}

// Walk goes over the members of an object, in their order:
//
//	for w := WalkObject(text); w.Next(); {
//		use(w.Name, w.Value)
//	}
type Walk struct {
	Name  string // as it stands between the quotes, see [Unquoted] and [EqualText]
	Value string // JSON

	p      scanner
	behind int // byte offset behind the last member, or behind the opening brace; -1: there are no more
	first  bool
}

// WalkObject returns the walk over the object that text is. It is meant for JSON that was checked before: over
// something other than an object it has no member, and in an object that breaks a rule it ends before that place.
func WalkObject(text string) Walk {
	w := Walk{p: scanner{s: text}, behind: 1, first: true}
	if text == "" || text[0] != '{' {
		w.behind = -1
	}
	return w
}

// Next goes on to the next member and reports whether there is one.
func (w *Walk) Next() bool {
	if w.behind < 0 {
		return false
	}
	m, behind, more := w.p.step(w.behind, 1, w.first)
	if !more {
		w.behind = -1
		return false
	}
	w.Name, w.Value = w.p.s[m.Name:m.NameEnd], w.p.s[m.Value:m.ValueEnd]
	w.behind, w.first = behind, false
	return true
}

// scanner checks JSON text and finds where its parts end. It is strict: RFC 8259 and valid UTF-8, which the RFC asks
// of what is exchanged, so that a string read later needs no second look.
//
// A method takes a position in s and returns the position behind what it read, or -1 once s has broken a rule; fault
// tells which and where. Recursion ends at MaxDepth.
type scanner struct {
	s     string
	fault Fault
}

// step reads one member of an object from i, which is behind the opening brace (first) or behind the member before.
// When there is no more member, next is behind the closing brace. depth is the object's own level.
func (p *scanner) step(i, depth int, first bool) (m Member, next int, more bool) {
	i = p.space(i)
	c := p.peek(i)
	if c == '}' {
		return m, i + 1, false
	}
	if !first {
		if c != ',' {
			return m, p.fail(i, "no comma or closing brace behind a member"), false
		}
		i = p.space(i + 1)
		c = p.peek(i)
	}
	if c != '"' {
		return m, p.fail(i, "no name where a member begins"), false
	}
	m.Name = uint32(i + 1)
	if i = p.text(i); i < 0 {
		return m, i, false
	}
	m.NameEnd = uint32(i - 1)
	if i = p.space(i); p.peek(i) != ':' {
		return m, p.fail(i, "no colon behind a name"), false
	}
	i = p.space(i + 1)
	m.Value = uint32(i)
	i = p.value(i, depth)
	m.ValueEnd = uint32(i)
	return m, i, i >= 0
}

// value reads the value that begins at i inside something of level depth.
func (p *scanner) value(i, depth int) int {
	switch c := p.peek(i); c {
	case '"':
		return p.text(i)
	case '{', '[':
		if depth >= MaxDepth {
			return p.fail(i, "nested deeper than 128 levels")
		}
		if c == '{' {
			return p.object(i, depth+1)
		}
		return p.array(i, depth+1)
	case 't':
		return p.literal(i, "true")
	case 'f':
		return p.literal(i, "false")
	case 'n':
		return p.literal(i, "null")
	default:
		return p.number(i)
	}
}

// object reads the object whose brace is at i.
func (p *scanner) object(i, depth int) int {
	_, i, more := p.step(i+1, depth, true)
	for more {
		_, i, more = p.step(i, depth, false)
	}
	return i
}

// array reads the array whose bracket is at i.
func (p *scanner) array(i, depth int) int {
	i = p.space(i + 1)
	if p.peek(i) == ']' {
		return i + 1
	}
	for {
		if i = p.value(i, depth); i < 0 {
			return i
		}
		i = p.space(i)
		switch p.peek(i) {
		case ']':
			return i + 1
		case ',':
			i = p.space(i + 1)
		default:
			return p.fail(i, "no comma or closing bracket behind an element")
		}
	}
}

// text reads the string whose opening quote is at i.
func (p *scanner) text(i int) int {
	s := p.s
	for i++; ; {
		for i+8 <= len(s) && allPlain(uint64At(s[i:])) {
			i += 8
		}
		for i < len(s) && isPlain[s[i]] {
			i++
		}
		if i >= len(s) {
			return p.fail(i, "no end of a string")
		}
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			n := escapeLen(s[i:])
			if n == 0 {
				return p.fail(i, "an escape that JSON does not have")
			}
			i += n
		case c < 0x20:
			return p.fail(i, "a control character in a string")
		default:
			_, n := utf8.DecodeRuneInString(s[i:])
			if n == 1 {
				return p.fail(i, "not UTF-8")
			}
			i += n
		}
	}
}

// isPlain has the bytes that stand for themselves in a string, and for a whole character.
var isPlain = func() (plain [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// allPlain reports whether isPlain has each of eight bytes.
//
// A subtraction sets the highest bit of a byte that is below what is taken from it: of a control character when 0x20 is,
// and of a quote or a backslash, whose difference to itself is 0, when 1 is. No byte borrows from the next one but such a
// byte, so it is enough that one of the highest bits is set.
func allPlain(eight uint64) bool {
	const each, highest = 0x0101_0101_0101_0101, 0x8080_8080_8080_8080
	control := eight - 0x20*each
	quote := (eight ^ '"'*each) - each
	backslash := (eight ^ '\\'*each) - each
	return (eight|control|quote|backslash)&highest == 0
}

// uint64At returns the number at the start of s, little-endian. The compiler makes one load of it.
func uint64At(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// escapeLen returns the length of the escape at the start of s, in bytes: 2, 6 for \uXXXX, or 0 if it is none.
func escapeLen(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(s); ok {
			return 6
		}
	}
	return 0
}

// literal reads word at i.
func (p *scanner) literal(i int, word string) int {
	if len(p.s)-i < len(word) || p.s[i:i+len(word)] != word {
		return p.fail(i, "not a value")
	}
	return i + len(word)
}

// number reads a number at i:
//
//	number = [ "-" ] ( "0" / digit1-9 *digit ) [ "." 1*digit ] [ ( "e" / "E" ) [ "+" / "-" ] 1*digit ]
func (p *scanner) number(i int) int {
	begin := i
	if p.peek(i) == '-' {
		i++
	}
	n := p.digits(i)
	if n == i {
		return p.fail(begin, "not a value")
	}
	if n > i+1 && p.s[i] == '0' {
		return p.fail(i, "a number with a leading zero")
	}
	i = n
	if p.peek(i) == '.' {
		if n = p.digits(i + 1); n == i+1 {
			return p.fail(n, "a number without digits behind its point")
		}
		i = n
	}
	if c := p.peek(i); c == 'e' || c == 'E' {
		if i++; p.peek(i) == '+' || p.peek(i) == '-' {
			i++
		}
		if n = p.digits(i); n == i {
			return p.fail(n, "a number without digits in its exponent")
		}
		i = n
	}
	return i
}

// digits returns the position behind the digits at i; i itself if there are none.
func (p *scanner) digits(i int) int {
	for i < len(p.s) && isDigit(p.s[i]) {
		i++
	}
	return i
}

// space returns the position behind the white space at i.
func (p *scanner) space(i int) int {
	for i < len(p.s) {
		switch p.s[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// peek returns the byte at i, and at the end NUL, which is valid nowhere outside a string.
func (p *scanner) peek(i int) byte {
	if i < len(p.s) {
		return p.s[i]
	}
	return 0
}

// fail notes the first rule that s breaks.
func (p *scanner) fail(at int, rule string) int {
	p.fault = Fault{rule, at}
	return -1
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
