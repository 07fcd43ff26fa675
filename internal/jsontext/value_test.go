package jsontext

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"
)

type (
	namedBool    bool
	namedInt     int16
	namedUint    uint8
	namedFloat   float32
	namedComplex complex64
	namedString  string
	namedBytes   []byte
	account      struct {
		Name string `json:"name"`
		Tags []string
	}
)

// level is a named scalar with its own text.
type level int

func (l level) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "level-%d", int(l)), nil }

func (l *level) UnmarshalText(b []byte) error {
	_, err := fmt.Sscanf(string(b), "level-%d", (*int)(l))
	return err
}

// flipped is a named scalar with its own JSON, by pointer.
type flipped bool

func (f *flipped) MarshalJSON() ([]byte, error) { return json.Marshal(!*f) }

func (f *flipped) UnmarshalJSON(b []byte) error {
	*f = string(b) == "false"
	return nil
}

// rude is a type whose methods do what they must not.
type rude struct{ out string }

func (r rude) MarshalJSON() ([]byte, error) {
	if r.out == "" {
		return nil, errors.New("hunter2")
	}
	return []byte(r.out), nil
}

func encode[T any](t testing.TB, v T) string {
	t.Helper()
	b, err := AppendValue([]byte("x"), v)
	if err != nil {
		t.Fatalf("appendValue(%T): got %v, want JSON", v, err)
	}
	return string(b[1:])
}

// roundTrip checks that v is written as want and read as v again.
func roundTrip[T any](t *testing.T, v T, want string) {
	t.Helper()
	raw := encode(t, v)
	if raw != want {
		t.Errorf("%T: got %s, want %s", v, raw, want)
	}
	if got, ok := DecodeValue[T](raw); !ok || !reflect.DeepEqual(got, v) {
		t.Errorf("%T from %s: got %#v, %v, want %#v", v, raw, got, ok, v)
	}
}

// reads checks what raw is as a T.
func reads[T comparable](t *testing.T, raw string, want T) {
	t.Helper()
	if got, ok := DecodeValue[T](raw); !ok || got != want {
		t.Errorf("%T from %s: got %v, %v, want %v", got, raw, got, ok, want)
	}
}

// refuses checks that raw is no T.
func refuses[T any](t *testing.T, raw string) {
	t.Helper()
	var zero T
	if got, ok := DecodeValue[T](raw); ok || !reflect.DeepEqual(got, zero) {
		t.Errorf("%T from %s: got %v, %v, want the zero value and false", got, raw, got, ok)
	}
}

func TestValueOfEveryKindRoundTrips(t *testing.T) {
	roundTrip(t, true, `true`)
	roundTrip(t, namedBool(false), `false`)
	roundTrip(t, -7, `-7`)
	roundTrip(t, int8(math.MinInt8), `-128`)
	roundTrip(t, namedInt(300), `300`)
	roundTrip(t, int32(math.MaxInt32), `2147483647`)
	roundTrip(t, int64(math.MinInt64), `-9223372036854775808`)
	roundTrip(t, int64(math.MaxInt64), `9223372036854775807`)
	roundTrip(t, uint(7), `7`)
	roundTrip(t, namedUint(255), `255`)
	roundTrip(t, uint16(7), `7`)
	roundTrip(t, uint32(7), `7`)
	roundTrip(t, uint64(math.MaxUint64), `18446744073709551615`)
	roundTrip(t, uintptr(7), `7`)
	roundTrip(t, 3.5, `3.5`)
	roundTrip(t, 3.0, `3`)
	roundTrip(t, 1e-7, `1e-7`)
	roundTrip(t, 1e20, `100000000000000000000`)
	roundTrip(t, 1e21, `1e+21`)
	roundTrip(t, math.MaxFloat64, `1.7976931348623157e+308`)
	roundTrip(t, math.SmallestNonzeroFloat64, `5e-324`)
	roundTrip(t, float64(1<<60+256), `1152921504606847232`)
	roundTrip(t, float32(0.1), `0.10000000149011612`)
	roundTrip(t, namedFloat(-2.5), `-2.5`)
	roundTrip(t, complex(1, -2.5), `[1,-2.5]`)
	roundTrip(t, namedComplex(complex(0.5, 3)), `[0.5,3]`)
	roundTrip(t, "", `""`)
	roundTrip(t, "a<b>&\u2028é😀\x7f", "\"a<b>&\u2028é😀\x7f\"")
	roundTrip(t, "\"\\/\b\f\n\r\t\x00\x1f", `"\"\\/\b\f\n\r\t\u0000\u001f"`)
	roundTrip(t, namedString("x\ny"), `"x\ny"`)
	roundTrip(t, []byte("hello?>"), `"aGVsbG8/Pg=="`)
	roundTrip(t, []byte{}, `""`)
	roundTrip(t, []byte(nil), `null`)
	roundTrip(t, namedBytes("hi"), `"aGk="`)
	roundTrip(t, time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.UTC), `"2024-05-06T07:08:09.123456789Z"`)
	roundTrip(t, 90*time.Second, `90000000000`)
	roundTrip(t, time.March, `3`)
	roundTrip(t, []string{"a", "b"}, `["a","b"]`)
	roundTrip(t, []int(nil), `null`)
	roundTrip(t, [2]bool{true}, `[true,false]`)
	roundTrip(t, map[string]int{"b": 1, "a": 2}, `{"a":2,"b":1}`)
	roundTrip(t, account{"<Ann>", []string{"x"}}, `{"name":"<Ann>","Tags":["x"]}`)
	roundTrip(t, &account{Name: "Ann"}, `{"name":"Ann","Tags":null}`)
	roundTrip(t, (*account)(nil), `null`)
	roundTrip(t, new(int), `0`)
	roundTrip(t, json.Number("12.50"), `12.50`)
	roundTrip(t, json.RawMessage(`{"a":1}`), `{"a":1}`)
	roundTrip(t, level(3), `"level-3"`)
	roundTrip(t, flipped(true), `false`)
	roundTrip(t, netip.MustParseAddr("::1"), `"::1"`)
	roundTrip(t, big.NewInt(7), `7`)
	roundTrip[any](t, nil, `null`)
	roundTrip[any](t, 2.5, `2.5`)
	roundTrip[any](t, "x", `"x"`)
	roundTrip[any](t, true, `true`)
	roundTrip[any](t, []any{1.0, nil, map[string]any{"a": "b"}}, `[1,null,{"a":"b"}]`)
	roundTrip(t, map[string]any{"a": 1.0}, `{"a":1}`)
	roundTrip(t, []any{"x"}, `["x"]`)
}

func TestValueOfAnInterfaceIsWrittenByWhatItHolds(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{namedInt(3), `3`}, {level(3), `"level-3"`}, {float32(0.5), `0.5`}, {[]byte("hi"), `"aGk="`}, {json.Number("1e2"), `1e2`},
		{time.Unix(0, 0).UTC(), `"1970-01-01T00:00:00Z"`}, {account{Name: "x"}, `{"name":"x","Tags":null}`}, {(*int)(nil), `null`},
	} {
		if got := encode(t, c.v); got != c.want {
			t.Errorf("%T: got %s, want %s", c.v, got, c.want)
		}
	}
}

func TestValueOfAnotherTypeIsRefused(t *testing.T) {
	for _, raw := range []string{`"x"`, `"3"`, `true`, `null`, `[3]`, `{"a":3}`, `[]`, `{}`, ``} {
		refuses[int](t, raw)
		refuses[uint16](t, raw)
		refuses[float64](t, raw)
		refuses[namedFloat](t, raw)
		refuses[json.Number](t, raw)
		refuses[time.Duration](t, raw)
		refuses[complex128](t, raw)
	}
	for _, raw := range []string{`1`, `true`, `null`, `["x"]`, `{}`} {
		refuses[string](t, raw)
		refuses[namedString](t, raw)
		refuses[time.Time](t, raw)
	}
	for _, raw := range []string{`1`, `"true"`, `null`, `[true]`} {
		refuses[bool](t, raw)
		refuses[namedBool](t, raw)
	}
	for _, raw := range []string{`[1]`, `[1,2,3]`, `[1,2,true]`, `[1,"e"]`, `["1",2]`, `[[1],2]`, `[1,2,"1e"]`, `[ ]`, `{"a":1,"b":2}`} {
		refuses[complex128](t, raw)
	}
	reads(t, `[ 1 , 2e0 ]`, complex(1, 2))
	refuses[time.Time](t, `"2024-05-06"`)
	refuses[time.Time](t, `"2024-05-06 07:08:09Z"`)
	refuses[[]byte](t, `"not base64!"`)
	refuses[[]string](t, `["a",1]`)
	refuses[map[string]int](t, `{"a":1,"b":"x"}`)
	refuses[account](t, `{"name":1}`)
	refuses[account](t, `null`)
	refuses[[2]bool](t, `null`)
	refuses[level](t, `3`)
	refuses[level](t, `null`)
	refuses[map[string]any](t, `[1]`)
	refuses[[]any](t, `{"a":1}`)
	refuses[fmt.Stringer](t, `"x"`)
	refuses[chan int](t, `1`)
}

func TestNullIsNilOfTypesThatHaveIt(t *testing.T) {
	roundTrip[[]string](t, nil, `null`)
	roundTrip[map[string]int](t, nil, `null`)
	roundTrip[map[string]any](t, nil, `null`)
	roundTrip[[]any](t, nil, `null`)
	roundTrip[*time.Time](t, nil, `null`)
	reads(t, `null`, flipped(false)) // reads null itself
}

func TestForeignTextIsRead(t *testing.T) {
	reads(t, `"caf\u00e9 \ud83d\ude00 \ud800 \/"`, "café 😀 \ufffd /")
	reads(t, `"\ud800\u0041\udc00\ud83d"`, "\ufffdA\ufffd\ufffd")
	if got, ok := DecodeValue[[]byte](`"aGVsbG8\/Pg=="`); !ok || string(got) != "hello?>" {
		t.Errorf("base64 with an escaped slash: got %q, %v, want hello?>", got, ok)
	}
	if got, ok := DecodeValue[time.Time](`"2024-05-06T07:08:09.1234567890123+05:30"`); !ok || got.Nanosecond() != 123456789 {
		t.Errorf("a long fraction: got %v, %v, want its nanoseconds", got, ok)
	}
}

// cyclic holds itself.
type cyclic struct{ Next *cyclic }

// fails checks that v gives an error that names its type, nothing of its content, and leaves dst alone.
func fails[T any](t *testing.T, v T, typeName string) {
	t.Helper()
	dst := append(make([]byte, 0, 1024), "kept"...)
	got, err := AppendValue(dst, v)
	if err == nil || string(got) != "kept" {
		t.Errorf("%s: got %.40q, %v, want an error and dst as it was", typeName, got, err)
		return
	}
	if want := "sess: value of type " + typeName + ": cannot be stored: "; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %q, want it to begin with %q", err, want)
	}
	if strings.Contains(err.Error(), "hunter2") || errors.Unwrap(err) != nil {
		t.Errorf("got %q, want nothing of the content", err)
	}
}

func TestValueThatCannotBeEncodedIsAnErrorAtOnce(t *testing.T) {
	fails(t, math.NaN(), "float64")
	fails(t, float32(math.Inf(-1)), "float32")
	fails(t, namedFloat(math.Inf(1)), "jsontext.namedFloat")
	fails(t, complex(0, math.NaN()), "complex128")
	fails(t, any(math.NaN()), "float64")
	fails(t, []float64{math.NaN()}, "[]float64")
	fails(t, make(chan int), "chan int")
	fails(t, func() {}, "func()")
	fails(t, struct{ F func() }{}, "struct { F func() }")
	fails(t, map[bool]int{true: 1}, "map[bool]int")
	fails(t, json.Number("hunter2"), "json.Number")
	fails(t, rude{}, "jsontext.rude")
	fails(t, rude{"hunter2"}, "jsontext.rude")
	fails(t, rude{"\"\xff\""}, "jsontext.rude")
	fails(t, rude{strings.Repeat("[", 128) + strings.Repeat("]", 128)}, "jsontext.rude")
	fails(t, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "time.Time")
	fails(t, time.Date(2024, 1, 1, 0, 0, 0, 0, time.FixedZone("", 25*3600)), "time.Time")
	loop := &cyclic{}
	loop.Next = loop
	fails(t, loop, "*jsontext.cyclic")

	deep := any(1)
	for range 127 {
		deep = []any{deep}
	}
	if _, fault := Members(nil, `{"a":`+encode(t, deep)+`}`); fault.Rule != "" {
		t.Errorf("127 levels in an object: got %q, want no fault", fault.Rule)
	}
	fails(t, any([]any{deep}), "[]interface {}")
}

func TestPanicOfAMarshalerPasses(t *testing.T) {
	defer func() {
		if got := recover(); got != "boom" {
			t.Errorf("got %v, want boom", got)
		}
	}()
	_, _ = AppendValue(nil, panicking{})
}

type panicking struct{}

func (panicking) MarshalJSON() ([]byte, error) { panic("boom") }

func TestStringWithoutEscapesIsASliceOfTheRecord(t *testing.T) {
	raw := encode(t, "hello")
	got, _ := DecodeValue[string](raw)
	if unsafe.StringData(got) != unsafe.StringData(raw[1:]) {
		t.Error("got a copy, want a slice")
	}
	b, _ := DecodeValue[json.RawMessage](raw)
	b[1] = 'X'
	if raw != `"hello"` {
		t.Errorf("after writing to what was read: got %s, want hello", raw)
	}
}

func allocations[T any](t *testing.T, v T) {
	t.Helper()
	buf := make([]byte, 0, 128)
	if got := testing.AllocsPerRun(100, func() { buf, _ = AppendValue(buf[:0], v) }); got != 0 {
		t.Errorf("appendValue(%T): got %v allocations, want 0", v, got)
	}
	raw := string(buf)
	ok := true
	if got := testing.AllocsPerRun(100, func() {
		_, fine := DecodeValue[T](raw)
		ok = ok && fine
	}); got != 0 || !ok {
		t.Errorf("decodeValue[%T]: got %v allocations, %v, want 0, true", v, got, ok)
	}
}

func TestScalarTakesNoAllocation(t *testing.T) {
	allocations(t, true)
	allocations(t, namedBool(true))
	allocations(t, 1<<40)
	allocations(t, int8(1))
	allocations(t, int16(1000))
	allocations(t, int32(100000))
	allocations(t, int64(math.MaxInt64))
	allocations(t, namedInt(1000))
	allocations(t, uint(1000))
	allocations(t, uint8(200))
	allocations(t, uint16(1000))
	allocations(t, uint32(100000))
	allocations(t, uint64(math.MaxUint64))
	allocations(t, uintptr(1000))
	allocations(t, namedUint(200))
	allocations(t, float32(0.1))
	allocations(t, 1e-300)
	allocations(t, namedFloat(0.5))
	allocations(t, complex64(complex(1000, 0.5)))
	allocations(t, complex(1000, 0.5))
	allocations(t, namedComplex(complex(1000, 0.5)))
	allocations(t, "hello, world")
	allocations(t, namedString("hello, world"))
	allocations(t, time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.UTC))
	allocations(t, time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.FixedZone("", 2*3600)))
	allocations(t, 90*time.Second)

	buf, b, escaped := make([]byte, 0, 128), []byte("hello"), "say \"hi\"\x01"
	if got := testing.AllocsPerRun(100, func() {
		buf, _ = AppendValue(buf[:0], b)
		buf, _ = AppendValue(buf[:0], escaped)
	}); got != 0 {
		t.Errorf("appendValue of []byte and text to escape: got %v allocations, want 0", got)
	}
}
