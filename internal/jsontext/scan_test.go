package jsontext

import (
	"slices"
	"strings"
	"testing"
)

// walked lists what a walk over text comes by, in turn name and value.
func walked(text string) (all []string) {
	for w := WalkObject(text); w.Next(); {
		all = append(all, w.Name, w.Value)
	}
	return all
}

func TestWalkGoesOverTheMembersOfAnObject(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{`{}`, nil},
		{`{ }`, nil},
		{`{"a":1}`, []string{`a`, `1`}},
		{"{ \"a\" : [ 1, {\"x\":2} ] ,\n\"\\u0062\\\"\":\"}\" , \"a\":null}", []string{`a`, `[ 1, {"x":2} ]`, `\u0062\"`, `"}"`, `a`, `null`}},
	} {
		if got := walked(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestWalkEndsWhereThereIsNoObject(t *testing.T) {
	for _, text := range []string{``, `null`, `1`, `"a"`, `[1,{"a":1}]`, `{`, `{"a`, `{"a"`, `{"a":`, `{"a":x}`, `{a:1}`} {
		if got := walked(text); got != nil {
			t.Errorf("%s: got %q, want nothing", text, got)
		}
	}
	if got, want := walked(`{"a":1,"b":x,"c":2}`), []string{"a", "1"}; !slices.Equal(got, want) {
		t.Errorf("a fault behind the first member: got %q, want %q", got, want)
	}
	w := WalkObject(`{"a":1}`)
	for w.Next() {
	}
	if w.Next() {
		t.Error("behind the end: got another member, want none")
	}
}

func TestWalkTakesNoAllocation(t *testing.T) {
	text := `{"a":[1,2],"b":{"c":"d"}}`
	if got := testing.AllocsPerRun(100, func() {
		n := 0
		for w := WalkObject(text); w.Next(); {
			n++
		}
		if n != 2 {
			t.Errorf("got %d members, want 2", n)
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func TestMembersSaysWhichRuleIsBrokenAndWhere(t *testing.T) {
	for _, c := range []struct {
		text string
		want Fault
	}{
		{`{"a":1}`, Fault{}},
		{` {} `, Fault{}},
		{`[]`, Fault{"not an object", 0}},
		{`{} x`, Fault{"something behind the object", 3}},
		{`{"a":01}`, Fault{"a number with a leading zero", 5}},
		{`{"a":` + strings.Repeat("[", MaxDepth), Fault{"nested deeper than 128 levels", 5 + MaxDepth - 1}},
	} {
		if _, got := Members(nil, c.text); got != c.want {
			t.Errorf("%.20s: got %+v, want %+v", c.text, got, c.want)
		}
	}
}

// TestEightBytesArePlainIfEachIs tries every byte in every place, beside bytes that are plain and that carry.
func TestEightBytesArePlainIfEachIs(t *testing.T) {
	for _, others := range []string{"aaaaaaaa", "        ", "!!!!!!!!", "########", "[[[[[[[[", "]]]]]]]]", "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f"} {
		for place := range 8 {
			for c := range 256 {
				b := []byte(others)
				b[place] = byte(c)
				if got := allPlain(uint64At(string(b))); got != isPlain[c] {
					t.Errorf("%q: got %v, want %v", b, got, isPlain[c])
				}
			}
		}
	}
	for c, plain := range isPlain {
		_, fault := Members(nil, `{"`+string([]byte{byte(c)})+`":1}`)
		if got := fault.Rule == ""; got != plain {
			t.Errorf("%q as a name: got accepted %v, want %v", byte(c), got, plain)
		}
	}
}
