package record

import (
	"fmt"
	"strconv"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/jsontext"
)

// Header is what the reserved member "$" says, which no handler sees:
//
//	{"c":<created>,"e":<ends>,"to":"<successor>"}
//
// Times are whole Unix milliseconds up to the end of the year 9999. All members are optional; 0, or the zero ID, stands
// for none. Members that are not ours are kept byte for byte.
type Header struct {
	Created   int64
	Ends      int64
	Known     int64 // when it ends, where "e" must not say so, because Koa moves it; 0: as Ends says
	Successor ident.ID
	foreign   bool   // it has members that are not ours
	Cookie    []byte // JSON for the member "cookie"; nil: keep what is there
}

// until returns when a record of h ends, 0 if that is unknown.
func (h *Header) until() int64 {
	if h.Known != 0 {
		return h.Known
	}
	return h.Ends
}

// Successor returns the id that a renewed session lives on under. Only the record left behind under its old id, the
// tombstone, has one.
func (r *Record) Successor() (ident.ID, bool) {
	if r == nil || !r.renewed {
		return ident.ID{}, false
	}
	h, _, _ := parseHeader(r.Header())
	return h.Successor, true
}

// readHeader fills the fields of r that the header gives.
func (r *Record) readHeader() error {
	text := r.Header()
	if text == "" {
		return nil
	}
	h, broken, ok := parseHeader(text)
	if !ok {
		return fmt.Errorf("%w: a %q that is not one of ours: %s", ErrCorrupt, headerMember, broken)
	}
	r.created, r.ends, r.renewed, r.foreign = h.Created, h.Ends, !h.Successor.IsZero(), h.foreign
	return nil
}

// Header returns the JSON text of the header, empty if r has none.
func (r *Record) Header() string {
	m, ok := find(r, headerMember)
	if !ok {
		return ""
	}
	return r.value(m)
}

// parseHeader reads a header from valid JSON. When it is not ok, broken says which rule the text breaks.
func parseHeader(text string) (h Header, broken string, ok bool) {
	if text[0] != '{' {
		return h, "not an object", false
	}
	var seen [3]bool
	for w := jsontext.WalkObject(text); w.Next(); {
		field := headerField(w.Name)
		switch field {
		case headerCreated:
			h.Created, ok = parseInstant(w.Value)
		case headerEnds:
			h.Ends, ok = parseInstant(w.Value)
		case headerSuccessor:
			h.Successor, ok = parseSuccessor(w.Value)
		default:
			h.foreign = true
			continue
		}
		if !ok || seen[field] {
			return h, "a member of the wrong type, out of range, or there twice", false
		}
		seen[field] = true
	}
	return h, "", true
}

// The members of a header that are ours.
const (
	headerOther = iota - 1
	headerCreated
	headerEnds
	headerSuccessor
)

// headerField returns which of our members the inside of a JSON string names.
func headerField(name string) int {
	switch {
	case jsontext.EqualText(name, "c"):
		return headerCreated
	case jsontext.EqualText(name, "e"):
		return headerEnds
	case jsontext.EqualText(name, "to"):
		return headerSuccessor
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

func parseSuccessor(value string) (ident.ID, bool) {
	text, ok := jsontext.Text(value)
	if !ok {
		return ident.ID{}, false
	}
	return ident.MakeID(text)
}

// appendHeader appends h as a header, with the members of the header old that are not ours behind it. It returns dst
// as it is if there is nothing to write.
func appendHeader(dst []byte, h *Header, old string) []byte {
	begin := len(dst)
	if h.Created != 0 {
		dst = strconv.AppendInt(append(dst, `,"c":`...), h.Created, 10)
	}
	if h.Ends != 0 {
		dst = strconv.AppendInt(append(dst, `,"e":`...), h.Ends, 10)
	}
	if !h.Successor.IsZero() {
		dst = append(dst, `,"to":"`...) // the bytes of an id need no escape
		dst = append(h.Successor.AppendTo(dst), '"')
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
