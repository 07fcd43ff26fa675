package record

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/jsontext"
)

// The member "$" is an object. Of its members these are ours, in the order in which they are written. All are optional;
// each has one type, or the record is corrupt. Members that are not ours are kept byte for byte, behind ours.
//
//	"c":    number    Created
//	"e":    number    Ends
//	"r":    number    Life
//	"u":    string    User
//	"l":    number    Login, only beside "u"
//	"m":    string    MAC, only beside "u"
//	"from": string    From
//	"to":   string    Successor, not beside "from"
//	"by":   "login"   ByLogin, only beside "to"
//	"g":    true      Grave, not beside "from" or "to"
const (
	headerCreated = iota
	headerEnds
	headerLife
	headerUser
	headerLogin
	headerMAC
	headerFrom
	headerSuccessor
	headerByLogin
	headerGrave
	headerOther // not ours
)

const (
	maxUser = 256 // bytes of a user's name
	maxMAC  = 128 // bytes of a MAC: SHA-512 in hexadecimal
)

// readHeader makes r what its header says.
func (r *Record) readHeader() error {
	text := r.headerText()
	if text == "" {
		return nil
	}
	h, broken := parseHeader(text)
	if broken == "" {
		broken = h.fault()
	}
	if broken != "" {
		return fmt.Errorf("%w: a %q that is not one of ours: %s", ErrCorrupt, headerMember, broken)
	}
	r.created, r.ends = h.Created, h.Ends
	r.shape |= h.shape()
	return nil
}

// headerText returns the JSON text of the header, empty if r has none.
func (r *Record) headerText() string {
	m, at := r.headerMember()
	if at < 0 {
		return ""
	}
	return r.value(m)
}

// headerMember returns the member that is the header, and its place, -1 if there is none. It is last in every record that
// we have made.
func (r *Record) headerMember() (m member, at int) {
	last := r.count() - 1
	if last < 0 {
		return member{}, -1
	}
	if m = r.member(last); r.name(m) == headerMember {
		return m, last
	}
	return search(r, headerMember)
}

// parseHeader reads a header from valid JSON. If that is no header, broken says which rule it breaks.
func parseHeader(text string) (h Header, broken string) {
	if text[0] != '{' {
		return h, "not an object"
	}
	var seen [headerOther]bool
	for w := jsontext.WalkObject(text); w.Next(); {
		field := headerField(w.Name)
		if field == headerOther {
			h.foreign = true
			continue
		}
		if seen[field] || !h.read(field, w.Value) {
			return h, "a member of the wrong type, out of range, or there twice"
		}
		seen[field] = true
	}
	return h, ""
}

// read takes the value of a member, and reports whether that is good.
func (h *Header) read(field int, value string) (ok bool) {
	switch field {
	case headerCreated:
		h.Created, ok = parseInstant(value)
	case headerEnds:
		h.Ends, ok = parseInstant(value)
	case headerLife:
		h.Life, ok = parseInstant(value)
	case headerUser:
		h.User, ok = jsontext.Text(value)
		ok = ok && CheckUser(h.User) == nil && !jsontext.HasHalfPair(value)
	case headerLogin:
		h.Login, ok = parseInstant(value)
	case headerMAC:
		h.MAC, ok = jsontext.Text(value)
		ok = ok && h.MAC != "" && len(h.MAC) <= maxMAC
	case headerFrom:
		h.From, ok = parseID(value)
	case headerSuccessor:
		h.Successor, ok = parseID(value)
	case headerByLogin:
		h.ByLogin = value == `"login"`
		ok = h.ByLogin
	case headerGrave:
		h.Grave = value == "true"
		ok = h.Grave
	}
	return ok
}

// headerField returns which of our members the inside of a JSON string names.
func headerField(name string) int {
	if strings.IndexByte(name, '\\') >= 0 {
		name = jsontext.Unquoted(name)
	}
	switch name {
	case "c":
		return headerCreated
	case "e":
		return headerEnds
	case "r":
		return headerLife
	case "u":
		return headerUser
	case "l":
		return headerLogin
	case "m":
		return headerMAC
	case "from":
		return headerFrom
	case "to":
		return headerSuccessor
	case "by":
		return headerByLogin
	case "g":
		return headerGrave
	default:
		return headerOther
	}
}

func parseInstant(value string) (ms int64, ok bool) {
	ms, ok = jsontext.DecodeValue[int64](value)
	if !ok || ms < 0 || ms > maxInstant {
		return 0, false
	}
	return ms, true
}

func parseID(value string) (*ident.ID, bool) {
	text, ok := jsontext.Text(value)
	if !ok {
		return nil, false
	}
	id, ok := ident.MakeID(text)
	return &id, ok
}

// appendHeader appends h as a header, with the members of the header old that are not ours behind it. It returns dst
// as it is if there is nothing to write.
func appendHeader(dst []byte, h *Header, old string) []byte {
	begin := len(dst)
	if h.Created != 0 {
		dst = appendInstant(append(dst, `,"c":`...), h.Created)
	}
	if h.Ends != 0 {
		dst = appendInstant(append(dst, `,"e":`...), h.Ends)
	}
	if h.Life != 0 {
		dst = strconv.AppendInt(append(dst, `,"r":`...), h.Life, 10)
	}
	if h.User != "" {
		dst = jsontext.AppendText(append(dst, `,"u":`...), h.User)
		if h.Login != 0 {
			dst = appendInstant(append(dst, `,"l":`...), h.Login)
		}
		if h.MAC != "" {
			dst = jsontext.AppendText(append(dst, `,"m":`...), h.MAC)
		}
	}
	if h.From != nil {
		dst = append(dst, `,"from":"`...) // the bytes of an id need no escape
		dst = append(h.From.AppendTo(dst), '"')
	}
	if h.Successor != nil {
		dst = append(dst, `,"to":"`...)
		dst = append(h.Successor.AppendTo(dst), '"')
	}
	if h.ByLogin {
		dst = append(dst, `,"by":"login"`...)
	}
	if h.Grave {
		dst = append(dst, `,"g":true`...)
	}
	for w := jsontext.WalkObject(old); w.Next(); {
		if headerField(w.Name) == headerOther {
			dst = append(append(append(dst, `,"`...), w.Name...), `":`...)
			dst = append(dst, w.Value...)
		}
	}
	if len(dst) == begin {
		return dst
	}
	dst[begin] = '{' // in place of the first comma
	return append(dst, '}')
}

// appendInstant appends ms, which is not negative, in decimal. A time of our days has 13 digits; all at once they take a
// fifth of what package strconv needs for them one by one.
func appendInstant(dst []byte, ms int64) []byte {
	if ms < 1e12 || ms >= 1e13 {
		return strconv.AppendInt(dst, ms, 10)
	}
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], eightDigits(uint32(ms/1e8)))
	binary.LittleEndian.PutUint64(b[8:], eightDigits(uint32(ms%1e8)))
	return append(dst, b[3:]...)
}

// eightDigits returns n, below 10^8, as eight decimal digits, the first one in the lowest byte. It divides what it has in
// two halves, then both halves at once, then the four quarters: n*10486>>20 is n/100 below 10^4, and n*103>>10 is n/10
// below 10^2.
func eightDigits(n uint32) uint64 {
	halves := uint64(n/1e4) | uint64(n%1e4)<<32
	hundreds := halves * 10486 >> 20 & 0x7f_0000_007f
	quarters := hundreds | (halves-100*hundreds)<<16
	tens := quarters * 103 >> 10 & 0x000f_000f_000f_000f
	return (tens | (quarters-10*tens)<<8) + 0x3030_3030_3030_3030
}
