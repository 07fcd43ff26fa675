package jsontext

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// AppendText appends s, which is UTF-8, as a JSON string with the escapes that JavaScript's JSON.stringify makes and no
// others: quote, backslash, controls.
func AppendText[S string | []byte](dst []byte, s S) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	done := 0 // s[:done] is written
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[done:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		done = i + 1
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

// fewBytes is up to where a loop over the bytes takes less time than utf8.ValidString.
const fewBytes = 32

// IsText is utf8.ValidString, at a third of its cost for a few ASCII bytes, as most keys and many values are.
func IsText(s string) bool {
	if len(s) > fewBytes {
		return utf8.ValidString(s)
	}
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return utf8.ValidString(s[i:])
		}
	}
	return true
}

// Unquoted returns what the inside of a valid JSON string stands for: text itself if it holds no escape.
func Unquoted(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	b := make([]byte, 0, len(text))
	for len(text) > 0 {
		plain := strings.IndexByte(text, '\\')
		if plain < 0 {
			plain = len(text)
		}
		b = append(b, text[:plain]...)
		if text = text[plain:]; text != "" {
			r, n := unescape(text)
			b = utf8.AppendRune(b, r)
			text = text[n:]
		}
	}
	return string(b)
}

// EqualText reports whether the inside of a valid JSON string stands for s.
func EqualText[S string | []byte](text string, s S) bool {
	for len(text) > 0 {
		var b [utf8.UTFMax]byte
		r, n, size := rune(0), 1, 1
		if b[0] = text[0]; b[0] == '\\' {
			r, n = unescape(text)
			size = utf8.EncodeRune(b[:], r)
		}
		if len(s) < size || string(s[:size]) != string(b[:size]) {
			return false
		}
		text, s = text[n:], s[size:]
	}
	return len(s) == 0
}

// unescape returns the character that the escape at the start of text stands for, and the bytes it takes. Half of a
// surrogate pair stands for U+FFFD.
func unescape(text string) (r rune, n int) {
	switch text[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, _ = hex4(text)
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		low, ok := hex4(text[6:])
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return utf8.RuneError, 6
		}
		return r, 12
	default:
		return rune(text[1]), 2
	}
}

// hex4 returns the number in an escape \uXXXX at the start of s.
func hex4(s string) (r rune, ok bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	for _, c := range []byte(s[2:6]) {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// HasHalfPair reports whether the inside of a valid JSON string, or the string, has an escape that is half of a
// surrogate pair: no text has that, and it is read as U+FFFD.
func HasHalfPair(text string) bool {
	for {
		i := strings.IndexByte(text, '\\')
		if i < 0 {
			return false
		}
		r, n := unescape(text[i:])
		if r == utf8.RuneError && !strings.EqualFold(text[i+1:i+n], "ufffd") {
			return true
		}
		text = text[i+n:]
	}
}

// TextSize returns how many bytes [AppendText] appends for s.
func TextSize[S string | []byte](s S) int {
	n := len(s) + len(`""`)
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		switch c {
		case '"', '\\', '\b', '\f', '\n', '\r', '\t':
			n++
		default:
			n += len(`\u0000`) - 1
		}
	}
	return n
}
