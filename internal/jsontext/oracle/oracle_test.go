package oracle_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	theirs "github.com/go-json-experiment/json/jsontext"

	"github.com/fibersess/sess/internal/jsontext"
)

// An escape that is half of a surrogate pair is the one thing on which the two differ on purpose: JSON.stringify writes
// it, so it must be read. The oracle is told to pass it over, and then passes bytes over that are not UTF-8.
var options = []theirs.Options{theirs.AllowDuplicateNames(true), theirs.AllowInvalidUTF8(true)}

// member is what the oracle finds.
type member struct {
	name, value     string // the name decoded
	from, valueFrom int    // byte offsets of the name behind its quote, and of the value
}

// read is what jsontext.Members is to find in s.
func read(s string) (members []member, valid bool) {
	if !utf8.ValidString(s) {
		return nil, false
	}
	d := theirs.NewDecoder(strings.NewReader(s), options...)
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return nil, false
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, false
		}
		m := member{name: name.String()}
		end := int(d.InputOffset())
		value, err := d.ReadValue()
		if err != nil || depth(value) >= jsontext.MaxDepth {
			return nil, false
		}
		m.value, m.valueFrom = string(value), int(d.InputOffset())-len(value)
		m.from = strings.LastIndexByte(s[:opening(s, end)], '"') + 1
		members = append(members, m)
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	_, err := d.ReadToken()
	return members, errors.Is(err, io.EOF)
}

// opening returns the offset behind the quote that opens the string which ends at end.
func opening(s string, end int) int {
	for i := end - 2; ; i-- {
		if s[i] != '"' {
			continue
		}
		slashes := 0
		for s[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
}

// depth returns how many levels the value nests.
func depth(value theirs.Value) (deepest int) {
	d := theirs.NewDecoder(strings.NewReader(string(value)), options...)
	for {
		if _, err := d.ReadToken(); err != nil {
			return deepest
		}
		deepest = max(deepest, d.StackDepth())
	}
}

var seeds = []string{
	`{}`, ` {"a\u0062":[1,-0.5e+3,"\ud83d\ude00",{"x":null}] } `, `{"a":1,"\u0061":2,"a":3}`, `{"$":{"c":1,"to":"x"}}`, `{"a":"` + "\xff" + `"}`,
	`[1]`, `{"a":1.}`, `{"a":01}`, `{"a":-}`, `{"\\\"":"\\"}`, `{"\ud800":"\udc00\ud800"}`, `{"a":tru}`, `{"a":1}}`, `{"a":1} x`, "{\"a\":\"\x1f\"}",
	`{"a":` + strings.Repeat("[", 127) + strings.Repeat("]", 127) + `}`, `{"a":` + strings.Repeat("[", 128) + strings.Repeat("]", 128) + `}`,
	`{"a":"plain text of more than eight bytes","b":"é and \n and \u00e9 and 😀 in the middle of a text"}`, `{"a":1e400,"b":-0,"c":9007199254740993}`,
}

// FuzzMembers holds the scanner to the oracle: what is an object, where its members stand, and what their names are.
func FuzzMembers(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, valid := read(s)
		got, fault := jsontext.Members(nil, s)
		if (fault.Rule == "") != valid {
			t.Fatalf("%q: got the fault %+v, want valid %v", s, fault, valid)
		}
		if !valid {
			if fault.At < 0 || fault.At > len(s) {
				t.Fatalf("%q: got a fault at %d, want it in the text", s, fault.At)
			}
			return
		}
		if len(got) != len(want) {
			t.Fatalf("%q: got %d members, want %d", s, len(got), len(want))
		}
		walk := jsontext.WalkObject(strings.TrimLeft(s, " \t\r\n"))
		for i, m := range got {
			w := want[i]
			name, value := s[m.Name:m.NameEnd], s[m.Value:m.ValueEnd]
			if jsontext.Unquoted(name) != w.name || !jsontext.EqualText(name, w.name) || value != w.value || int(m.Name) != w.from || int(m.Value) != w.valueFrom {
				t.Fatalf("%q: got %q at %d, %s at %d, want %q at %d, %s at %d", s, name, m.Name, value, m.Value, w.name, w.from, w.value, w.valueFrom)
			}
			if !walk.Next() || walk.Name != name || walk.Value != value {
				t.Fatalf("%q: walked to %q, %s, want %q, %s", s, walk.Name, walk.Value, name, value)
			}
		}
		if walk.Next() {
			t.Fatalf("%q: walked to %q behind the end", s, walk.Name)
		}
	})
}

// FuzzText holds strings to the oracle, in both directions.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "<>&\u2028\u2029é😀\ufffd", "\xff", "a text of more than eight bytes\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := jsontext.AppendValue(nil, s)
		want, refusal := theirs.AppendQuote(nil, s)
		if (err == nil) != (refusal == nil) {
			t.Fatalf("%q: got %v, want %v", s, err, refusal)
		}
		if err != nil {
			return
		}
		if string(got) != string(want) || len(got) != jsontext.TextSize(s) {
			t.Fatalf("%q: got %s of %d bytes, want %s", s, got, jsontext.TextSize(s), want)
		}
		if back, ok := jsontext.DecodeValue[string](string(got)); !ok || back != s {
			t.Fatalf("%q: got %q, %v back", s, back, ok)
		}
	})
}

// FuzzScalar holds what is read of numbers and strings to the oracle, wherever that says it exactly.
func FuzzScalar(f *testing.F) {
	for _, s := range []string{`0`, `-0`, `1e3`, `9007199254740993`, `18446744073709551615`, `-9223372036854775808`, `1.5e-7`, `"\ud83d\ude00\ud800"`, `"é"`, `1e400`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) || !theirs.Value(s).IsValid(options...) {
			return
		}
		s = strings.Trim(s, " \t\r\n")
		d := theirs.NewDecoder(strings.NewReader(s), options...)
		token, err := d.ReadToken()
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		switch token.Kind() {
		case '"':
			if got, ok := jsontext.DecodeValue[string](s); !ok || got != token.String() {
				t.Fatalf("%s: got %q, %v, want %q", s, got, ok, token.String())
			}
		case '0':
			float, err := token.Float()
			if got, ok := jsontext.DecodeValue[float64](s); ok && (err != nil || got != float) {
				t.Fatalf("%s: got %v, want %v, %v", s, got, float, err)
			}
			plain := strings.TrimLeft(strings.TrimPrefix(s, "-"), "0123456789") == ""
			whole, err := token.Int()
			if got, ok := jsontext.DecodeValue[int64](s); plain && (ok != (err == nil) || ok && got != whole) {
				t.Fatalf("%s: got %d, %v, want %d, %v", s, got, ok, whole, err)
			}
		default:
			_, text := jsontext.DecodeValue[string](s)
			_, number := jsontext.DecodeValue[float64](s)
			if text || number {
				t.Fatalf("%s: got a string %v, a number %v, want neither", s, text, number)
			}
		}
	})
}
