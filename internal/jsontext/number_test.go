package jsontext

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestNumberIsReadByEveryTypeThatHoldsItExactly(t *testing.T) {
	raw := encode(t, int64(1<<53+1))
	reads(t, raw, int64(1<<53+1))
	reads(t, raw, uint64(1<<53+1))
	reads(t, raw, time.Duration(1<<53+1))
	refuses[float64](t, raw)
	refuses[float32](t, raw)
	refuses[int32](t, raw)
	refuses[namedUint](t, raw)
	refuses[string](t, raw)
	refuses[bool](t, raw)

	raw = encode(t, uint64(math.MaxUint64))
	refuses[int64](t, raw)
	refuses[float64](t, raw)
	raw = encode(t, int64(math.MinInt64))
	reads(t, raw, -0x1p63)
	refuses[uint64](t, raw)
	raw = encode(t, 0x1p63)
	reads(t, raw, uint64(1<<63))
	refuses[int64](t, raw)
	refuses[int64](t, `-9223372036854775809`)
	refuses[uint64](t, `18446744073709551616`)
	reads(t, `18446744073709551616`, 0x1p64)
	reads(t, `9007199254740994`, float64(1<<53+2))

	for _, raw := range []string{`3`, `3.0`, `3e0`, `30E-1`, `0.03e+2`, `0.0000000000000000000000003e25`, `3000000000000000000000000e-24`} {
		reads(t, raw, 3)
		reads(t, raw, int8(3))
		reads(t, raw, uint64(3))
		reads(t, raw, 3.0)
		reads(t, raw, namedFloat(3))
	}
	reads(t, `1e3`, 1000)
	reads(t, `1e19`, uint64(1e19))
	refuses[uint64](t, `1e20`)
	reads(t, `1.8446744073709551615e19`, uint64(math.MaxUint64))
	for _, raw := range []string{`3.5`, `1e-1`, `1e999999999999`, `1e-999999999999`, `1e18446744073709551617`, `0.30`, `33e-1`} {
		refuses[int](t, raw)
		refuses[uint8](t, raw)
	}
	refuses[float64](t, `1e309`)
	refuses[float64](t, `1e-400`)
	for _, raw := range []string{`0`, `0.000`, `0e5`, `0E-999999999999`, `-0`, `-0.0`} {
		reads(t, raw, 0)
		reads(t, raw, uint8(0))
		reads(t, raw, 0.0)
	}
	refuses[uint](t, `-1`)
	reads(t, `0.1`, 0.1)
	refuses[float32](t, `0.1`)
	reads(t, encode(t, float32(0.1)), float64(float32(0.1)))
	refuses[float32](t, encode(t, 1e300))
	refuses[complex64](t, `[0.1,0]`)

	raw = encode(t, math.Copysign(0, -1))
	if f, ok := DecodeValue[float64](raw); !ok || !math.Signbit(f) {
		t.Errorf("-0: got %v, %v, want -0", f, ok)
	}
	reads(t, raw, 0)
}

func TestAFloatIsReadAsJavaScriptWritesIt(t *testing.T) {
	for raw, want := range map[string]float64{
		"1152921504606847000":  1 << 60,
		"-1152921504606847000": -1 << 60,
		"1795434509705000000":  1795434509705000000,
		"18446744073709552000": 1 << 64,
		"9007199254740992":     1 << 53,
	} {
		if got, ok := DecodeValue[float64](raw); !ok || got != want {
			t.Errorf("%s: got %v, %v, want %v, true", raw, got, ok, want)
		}
		if got, _ := DecodeValue[any](raw); got != json.Number(raw) && got != want {
			t.Errorf("%s as any: got %v, want the digits or the number", raw, got)
		}
	}
	for _, raw := range []string{"9007199254740993", "1152921504606846977", "1152921504606847001", "1795434509705000001"} {
		if got, ok := DecodeValue[float64](raw); ok {
			t.Errorf("%s: got %v, true, want false: no float64 is written so", raw, got)
		}
	}
	if got, _ := DecodeValue[any]("1152921504606847000"); got != json.Number("1152921504606847000") {
		t.Errorf("as any: got %v, want the digits: it may be a whole number of somebody's", got)
	}
}

func TestAnyKeepsIntegersThatAFloatCannotHold(t *testing.T) {
	const raw = `{"a":[9007199254740993,9007199254740992,1e400,0.1],"b":18446744073709551615}`
	want := map[string]any{
		"a": []any{json.Number("9007199254740993"), 9007199254740992.0, json.Number("1e400"), 0.1},
		"b": json.Number("18446744073709551615"),
	}
	if got, ok := DecodeValue[any](raw); !ok || !reflect.DeepEqual(got, any(want)) {
		t.Errorf("any: got %#v, %v, want %#v", got, ok, want)
	}
	if got, ok := DecodeValue[map[string]any](raw); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("map: got %#v, %v, want %#v", got, ok, want)
	}
	if got, ok := DecodeValue[any](`9007199254740993`); !ok || got != any(json.Number("9007199254740993")) {
		t.Errorf("number: got %#v, %v, want a json.Number", got, ok)
	}
}

// FuzzValue holds that what is written is read again, by encoding/json too, and that reading never panics.
func FuzzValue(f *testing.F) {
	f.Add("a\"\\\n\xff\u2028😀", uint64(0x3ff8000000000000), int64(-1), `[1,2.5e-3]`)
	f.Add("", math.Float64bits(1e21), int64(1<<53+1), `-0.00e-5`)
	f.Add("é", math.Float64bits(1<<60), int64(math.MinInt64), `123456789012345678901e-2`)
	f.Fuzz(func(t *testing.T, s string, bits uint64, n int64, raw string) {
		fuzzText(t, s)
		if got, ok := DecodeValue[int64](encode(t, n)); !ok || got != n {
			t.Fatalf("%d: got %d, %v", n, got, ok)
		}
		if got, ok := DecodeValue[float64](encode(t, n)); ok != (big.NewInt(n).Cmp(floatToBig(float64(n))) == 0 || strconv.FormatFloat(float64(n), 'f', -1, 64) == strconv.FormatInt(n, 10)) {
			t.Fatalf("%d as a float64: got %v, %v", n, got, ok)
		}
		x := math.Float64frombits(bits)
		fuzzFloat(t, x)
		fuzzFloat(t, float64(float32(x)))
		b := []byte(s)
		if got, ok := DecodeValue[[]byte](encode(t, b)); !ok || !bytes.Equal(got, b) {
			t.Fatalf("%q as bytes: got %q, %v", s, got, ok)
		}
		if when := time.Unix(n%1e10, int64(bits%1e9)).UTC(); when.Year() < 10000 && when.Year() >= 0 {
			if got, ok := DecodeValue[time.Time](encode(t, when)); !ok || !got.Equal(when) {
				t.Fatalf("%v: got %v, %v", when, got, ok)
			}
		}
		if json.Valid([]byte(raw)) {
			fuzzForeign(t, strings.TrimSpace(raw))
		}
	})
}

func fuzzText(t *testing.T, s string) {
	inside := map[string]any{"x": []any{s}}
	text, err := AppendValue(nil, s)
	_, nested := AppendValue(nil, inside)
	if valid := utf8.ValidString(s); (err == nil) != valid || (nested == nil) != valid {
		t.Fatalf("%q: got %v, in a map %v, want an error if it is not UTF-8, which is %v", s, err, nested, valid)
	}
	if err != nil {
		return
	}
	var likeJSON string
	if err := json.Unmarshal(text, &likeJSON); err != nil || likeJSON != s {
		t.Fatalf("%q: got %s, which encoding/json reads as %q, %v", s, text, likeJSON, err)
	}
	if got, ok := DecodeValue[string](string(text)); !ok || got != s {
		t.Fatalf("%q: got %q, %v, want it back", s, got, ok)
	}
	if got := TextSize(s); got != len(text) {
		t.Fatalf("%q: got a size of %d, want %d", s, got, len(text))
	}
}

func floatToBig(f float64) *big.Int {
	n, _ := big.NewFloat(f).Int(nil)
	return n
}

func fuzzFloat(t *testing.T, x float64) {
	if !isFinite(x) {
		if out, err := AppendValue(nil, x); err == nil || out != nil {
			t.Fatalf("%v: got %s, want an error", x, out)
		}
		return
	}
	raw := encode(t, x)
	got, ok := DecodeValue[float64](raw)
	if !ok || math.Float64bits(got) != math.Float64bits(x) {
		t.Fatalf("%v: got %s, read as %v, %v", x, raw, got, ok)
	}
	n, ok := DecodeValue[int64](raw)
	if want := x == math.Trunc(x) && x >= -0x1p63 && x < 0x1p63; ok != want || ok && float64(n) != x {
		t.Fatalf("%s as an int64: got %d, %v, want %v", raw, n, ok, want)
	}
	single, ok := DecodeValue[float32](raw)
	if want := float64(float32(x)) == x; ok != want || ok && float64(single) != x {
		t.Fatalf("%s as a float32: got %v, %v, want %v", raw, single, ok, want)
	}
}

// fuzzForeign reads raw as types of every way of decoding, and holds numbers to exact arithmetic.
func fuzzForeign(t *testing.T, raw string) {
	DecodeValue[string](raw)
	DecodeValue[namedBool](raw)
	DecodeValue[complex128](raw)
	DecodeValue[time.Time](raw)
	DecodeValue[[]byte](raw)
	DecodeValue[account](raw)
	if _, ok := DecodeValue[any](raw); !ok && raw[0] != '{' && raw[0] != '[' {
		t.Fatalf("%s as any: got false, want its value", raw)
	}
	n, ok := DecodeValue[int64](raw)
	if c := raw[0]; c != '-' && !isDigit(c) || len(raw) > 100 || strings.ContainsAny(raw, "eE") {
		return // too large for exact arithmetic
	}
	exact, _ := new(big.Rat).SetString(raw)
	if want := exact.IsInt() && exact.Num().IsInt64(); ok != want || ok && exact.Num().Int64() != n {
		t.Fatalf("%s as an int64: got %d, %v, want %v", raw, n, ok, want)
	}
}
