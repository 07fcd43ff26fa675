package jsontext

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestIsTextIsValidString(t *testing.T) {
	for n := range 2 * fewBytes {
		ascii := strings.Repeat("a", n)
		for _, end := range []string{"", "é", "\xff", "\xc3", "\x00", "é\xff"} {
			if got, want := IsText(ascii+end), utf8.ValidString(ascii+end); got != want {
				t.Errorf("IsText of %d letters and %q: got %t, want %t", n, end, got, want)
			}
		}
	}
}
