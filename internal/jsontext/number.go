package jsontext

import (
	"math"
	"math/bits"
	"strconv"
)

// appendFloat appends f, which is finite. Whole numbers that a 64-bit integer can hold are written digit by digit, so
// that integers and floats agree on what they are; all else as JavaScript writes it: the fewest digits that give f.
func appendFloat(dst []byte, f float64) []byte {
	abs := math.Abs(f)
	if abs < 1<<64 && abs == math.Trunc(abs) {
		if math.Signbit(f) {
			dst = append(dst, '-')
		}
		return strconv.AppendUint(dst, uint64(abs), 10)
	}
	if 1e-6 <= abs && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); string(dst[n-4:n-1]) == "e-0" { // JavaScript: e-7
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// isFinite reports whether JSON can say f.
func isFinite(f float64) bool { return f-f == 0 }

// parseSigned returns the whole number that the JSON value raw is, if an int64 holds it.
func parseSigned(raw string) (n int64, ok bool) {
	negative, abs, ok := parseInteger(raw)
	switch {
	case !ok:
		return 0, false
	case negative:
		return -int64(abs), abs <= 1<<63
	default:
		return int64(abs), abs < 1<<63
	}
}

// parseUnsigned returns the whole number that the JSON value raw is, if a uint64 holds it.
func parseUnsigned(raw string) (n uint64, ok bool) {
	negative, n, ok := parseInteger(raw)
	return n, ok && (!negative || n == 0)
}

// parseFloat returns the number that the JSON value raw is, if a float64 holds it, or if raw is how JavaScript and
// encoding/json write that float64: the shortest digits that name it, and zeros. 1152921504606847000 is 2^60.
func parseFloat(raw string) (f float64, ok bool) {
	f, ok = parseExactFloat(raw)
	if !ok && len(raw) >= len("9007199254740993") {
		var room [32]byte
		ok = string(strconv.AppendFloat(room[:0], f, 'f', -1, 64)) == raw
	}
	return f, ok
}

// parseExactFloat returns the number that the JSON value raw is, if a float64 holds it. Whole numbers of 64 bits are
// taken at their digits: 2^53+1 is none of them. Any other number is the float64 nearest to it, as in JavaScript.
func parseExactFloat(raw string) (f float64, ok bool) {
	negative, abs, ok := parseInteger(raw)
	if ok {
		if f = float64(abs); negative {
			f = -f
		}
		return f, bits.Len64(abs)-bits.TrailingZeros64(abs) <= 53
	}
	if raw == "" || raw[0] != '-' && !isDigit(raw[0]) {
		return 0, false
	}
	f, err := strconv.ParseFloat(raw, 64)
	return f, err == nil && f != 0 // 0: not a zero, or it had been an integer, but too small
}

// parseInteger returns the whole number that the JSON value raw is, in sign and magnitude, if 64 bits hold that. It
// takes every way of writing one: 1000, 1000.0, 1e3, 10000e-1.
func parseInteger(raw string) (negative bool, abs uint64, ok bool) {
	i := 0
	if raw != "" && raw[0] == '-' {
		negative, i = true, 1
	}
	if len(raw)-i > 19 { // 19 digits always fit
		return parseAnyInteger(raw[i:], negative)
	}
	for j := i; j < len(raw); j++ {
		if !isDigit(raw[j]) {
			return parseAnyInteger(raw[i:], negative)
		}
		abs = abs*10 + uint64(raw[j]-'0')
	}
	return negative, abs, i < len(raw)
}

// parseAnyInteger is parseInteger for what is not just a few digits: digits with a point somewhere, then an exponent.
func parseAnyInteger(raw string, sign bool) (negative bool, abs uint64, ok bool) {
	if raw == "" || !isDigit(raw[0]) {
		return sign, 0, false
	}
	end, exponent := splitExponent(raw)
	zeros := 0 // zeros not yet multiplied in: they may be behind the last digit that counts
	point := false
	for _, c := range []byte(raw[:end]) {
		if c == '.' {
			point = true
			continue
		}
		if !isDigit(c) {
			return sign, 0, false
		}
		if point {
			exponent--
		}
		zeros++
		if c == '0' {
			continue
		}
		if abs, ok = shift(abs, zeros); !ok || abs > math.MaxUint64-uint64(c-'0') {
			return sign, 0, false
		}
		abs += uint64(c - '0')
		zeros = 0
	}
	if abs == 0 {
		return sign, 0, true
	}
	if exponent += zeros; exponent < 0 {
		return sign, 0, false
	}
	abs, ok = shift(abs, exponent)
	return sign, abs, ok
}

// splitExponent returns where the exponent of a number begins and what it is. Beyond 2^26 it no longer matters: no
// value holds as many digits.
func splitExponent(raw string) (at, exponent int) {
	for at < len(raw) && raw[at] != 'e' && raw[at] != 'E' {
		at++
	}
	if at == len(raw) {
		return at, 0
	}
	digits := raw[at+1:]
	negative := digits[0] == '-'
	if negative || digits[0] == '+' {
		digits = digits[1:]
	}
	for i := 0; i < len(digits) && exponent < 1<<26; i++ {
		exponent = exponent*10 + int(digits[i]-'0')
	}
	if negative {
		exponent = -exponent
	}
	return at, exponent
}

// shift returns n with the given number of decimal zeros behind it, if 64 bits hold that.
func shift(n uint64, zeros int) (shifted uint64, ok bool) {
	if n == 0 {
		return 0, true
	}
	for ; zeros > 0; zeros-- {
		high, low := bits.Mul64(n, 10)
		if high != 0 {
			return 0, false
		}
		n = low
	}
	return n, true
}
