package jsontext

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// AppendValue appends v as JSON. What it promises beyond encoding/json:
//
//   - A number is written so that every numeric type reads it that holds it exactly.
//   - Text is written as by JSON.stringify: <, >, & and the line separators stay as they are.
//   - Scalars, also of named types, strings and time.Time take no allocation.
//   - dst is returned as it was if there is an error, and the error names the type and never the content.
func AppendValue[T any](dst []byte, v T) ([]byte, error) {
	switch x := any(v).(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return AppendText(dst, x), nil
	case bool:
		return strconv.AppendBool(dst, x), nil
	case int:
		return strconv.AppendInt(dst, int64(x), 10), nil
	case int64:
		return strconv.AppendInt(dst, x, 10), nil
	case float64:
		if isFinite(x) {
			return appendFloat(dst, x), nil
		}
	case []byte:
		if x != nil {
			dst = append(dst, '"')
			return append(base64.StdEncoding.AppendEncode(dst, x), '"'), nil
		}
	case time.Time:
		return appendTime(dst, x)
	case json.Number:
		return appendJSON(dst, v) // a string by kind only
	}
	if !isMarshaler(any(v)) && !isMarshaler(any((*T)(nil))) {
		if out, scalar, err := appendScalar(dst, reflect.ValueOf(any(v))); scalar {
			return out, err
		}
	}
	return appendJSON(dst, v)
}

// isMarshaler reports whether the type of v says itself what it is in JSON.
func isMarshaler(v any) bool {
	if _, ok := v.(json.Marshaler); ok {
		return true
	}
	_, ok := v.(encoding.TextMarshaler)
	return ok
}

func appendTime(dst []byte, t time.Time) ([]byte, error) {
	out, err := t.AppendText(append(dst, '"'))
	if err != nil {
		return dst, errValue(reflect.TypeFor[time.Time](), "its year or its zone is beyond RFC 3339")
	}
	return append(out, '"'), nil
}

// appendScalar appends v if it is a scalar by its kind.
func appendScalar(dst []byte, v reflect.Value) (out []byte, scalar bool, err error) {
	switch v.Kind() {
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool()), true, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(dst, v.Int(), 10), true, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.AppendUint(dst, v.Uint(), 10), true, nil
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); isFinite(f) {
			return appendFloat(dst, f), true, nil
		}
		return dst, true, errValue(v.Type(), notFinite)
	case reflect.Complex64, reflect.Complex128:
		c := v.Complex()
		if !isFinite(real(c)) || !isFinite(imag(c)) {
			return dst, true, errValue(v.Type(), notFinite)
		}
		out = appendFloat(append(dst, '['), real(c))
		out = appendFloat(append(out, ','), imag(c))
		return append(out, ']'), true, nil
	case reflect.String:
		return AppendText(dst, v.String()), true, nil
	default:
		return dst, false, nil
	}
}

const notFinite = "it is NaN or infinite; want a finite number"

// appendJSON appends v as encoding/json has it. It stands alone because v escapes here, and a variable that escapes
// anywhere in a function is on the heap everywhere in it. It gives the address of v, so that methods with a pointer
// receiver count.
//
//go:noinline
func appendJSON[T any](dst []byte, v T) ([]byte, error) {
	w := jsonWriter(dst)
	e := json.NewEncoder(&w)
	e.SetEscapeHTML(false)
	if err := e.Encode(&v); err != nil {
		return dst, errValue(reflect.TypeOf(any(v)), jsonReason(err))
	}
	out := w[:len(w)-1] // Encode ends with a new line
	p := scanner{s: string(out[len(dst):])}
	if p.value(0, 1); p.fault.Rule != "" {
		return dst, errValue(reflect.TypeOf(any(v)), p.fault.Rule)
	}
	return out, nil
}

// jsonWriter appends what is written to it.
type jsonWriter []byte

func (w *jsonWriter) Write(b []byte) (int, error) {
	*w = append(*w, b...)
	return len(b), nil
}

// jsonReason says why encoding/json refuses a value, in words that hold nothing of the value. Its own would.
func jsonReason(err error) string {
	if e, ok := errors.AsType[*json.UnsupportedTypeError](err); ok {
		return "JSON has no " + e.Type.String()
	}
	if _, ok := errors.AsType[*json.UnsupportedValueError](err); ok {
		return "it holds NaN, an infinity, or itself"
	}
	if e, ok := errors.AsType[*json.MarshalerError](err); ok {
		return "the MarshalJSON or MarshalText of " + e.Type.String() + " failed"
	}
	return "encoding/json refused it"
}

func errValue(t reflect.Type, reason string) error {
	return fmt.Errorf("sess: value of type %v: cannot be encoded: %s", t, reason)
}

// DecodeValue returns the value that the JSON text raw stands for; raw is valid, or empty. It reports false if that is not a T:
// the text is never bent to fit. Scalars, also of named types, time.Time and strings without escapes take no
// allocation; such a string is a slice of raw.
func DecodeValue[T any](raw string) (v T, ok bool) {
	if raw == "" {
		return v, false
	}
	switch p := any(&v).(type) {
	case *string:
		*p, ok = Text(raw)
	case *bool:
		*p, ok = raw == "true", raw == "true" || raw == "false"
	case *int:
		var n int64
		n, ok = parseSigned(raw)
		*p, ok = int(n), ok && int64(int(n)) == n
	case *int64:
		*p, ok = parseSigned(raw)
	case *float64:
		*p, ok = parseFloat(raw)
	case *time.Time:
		*p, ok = parseTime(raw)
	case *json.Number:
		if raw[0] == '-' || isDigit(raw[0]) {
			*p, ok = json.Number(raw), true
		}
	case *any:
		*p, ok = parseAny(raw)
	case *map[string]any:
		*p, ok = parseAnyAs[map[string]any](raw)
	case *[]any:
		*p, ok = parseAnyAs[[]any](raw)
	default:
		return decodeOther[T](raw)
	}
	if !ok {
		var none T
		return none, false
	}
	return v, true
}

// decodeOther is decodeValue for types that need to be looked at first.
func decodeOther[T any](raw string) (v T, ok bool) {
	if isUnmarshaler(any((*T)(nil))) {
		return decodeJSON[T](raw)
	}
	scalar, ok := decodeScalar(reflect.ValueOf(&v).Elem(), raw)
	switch {
	case !scalar:
		return decodeJSON[T](raw)
	case !ok:
		var none T
		return none, false
	}
	return v, true
}

// isUnmarshaler reports whether the type that v points to reads JSON itself.
func isUnmarshaler(v any) bool {
	if _, ok := v.(json.Unmarshaler); ok {
		return true
	}
	_, ok := v.(encoding.TextUnmarshaler)
	return ok
}

// decodeScalar sets v if it is a scalar by its kind; ok says whether it holds what raw is.
func decodeScalar(v reflect.Value, raw string) (scalar, ok bool) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(raw == "true")
		return true, raw == "true" || raw == "false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, ok := parseSigned(raw)
		v.SetInt(n)
		return true, ok && v.Int() == n
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		n, ok := parseUnsigned(raw)
		v.SetUint(n)
		return true, ok && v.Uint() == n
	case reflect.Float32, reflect.Float64:
		f, ok := parseFloat(raw)
		v.SetFloat(f)
		return true, ok && v.Float() == f
	case reflect.Complex64, reflect.Complex128:
		c, ok := parseComplex(raw)
		v.SetComplex(c)
		return true, ok && v.Complex() == c
	case reflect.String:
		s, ok := Text(raw)
		v.SetString(s)
		return true, ok
	default:
		return false, false
	}
}

// decodeJSON decodes as encoding/json does, but null only into what can be nil and into types that read it
// themselves: the zero value of another type would be a value that nobody has set. It stands alone for the reason
// appendJSON does.
//
//go:noinline
func decodeJSON[T any](raw string) (v T, ok bool) {
	if raw == "null" {
		switch reflect.TypeFor[T]().Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		default:
			if _, ok := any(&v).(json.Unmarshaler); !ok {
				return v, false
			}
		}
	}
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		var none T
		return none, false
	}
	return v, true
}

// Text returns the string that raw, which is valid JSON, is: a slice of raw if it holds no escape.
func Text(raw string) (s string, ok bool) {
	if raw == "" || raw[0] != '"' {
		return "", false
	}
	return Unquoted(raw[1 : len(raw)-1]), true
}

// parseTime returns the time that raw is, as time.Time's own UnmarshalJSON reads it.
func parseTime(raw string) (t time.Time, ok bool) {
	if raw[0] != '"' {
		return time.Time{}, false
	}
	var b [len(`"2006-01-02T15:04:05.999999999+00:00"`)]byte
	err := t.UnmarshalJSON(append(b[:0], raw...))
	return t, err == nil
}

// parseComplex returns the number that raw, an array of its real and its imaginary part, is.
func parseComplex(raw string) (c complex128, ok bool) {
	if raw[0] != '[' {
		return 0, false
	}
	first, second, _ := strings.Cut(raw[1:len(raw)-1], ",")
	re, ok := parseFloat(strings.TrimSpace(first))
	if !ok || strings.Contains(second, ",") {
		return 0, false
	}
	im, ok := parseFloat(strings.TrimSpace(second))
	return complex(re, im), ok
}

// parseAny returns raw as encoding/json has it, but a number that a float64 cannot hold is a json.Number.
func parseAny(raw string) (v any, ok bool) {
	d := json.NewDecoder(strings.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, false
	}
	return plainNumbers(v), true
}

// parseAnyAs is parseAny for one of the types it can return.
func parseAnyAs[T any](raw string) (t T, ok bool) {
	if raw == "null" {
		return t, true
	}
	v, _ := parseAny(raw)
	t, ok = v.(T)
	return t, ok
}

// plainNumbers returns v with each number in it that a float64 holds as one.
func plainNumbers(v any) any {
	switch x := v.(type) {
	case json.Number:
		if f, ok := parseExactFloat(string(x)); ok {
			return f
		}
	case []any:
		for i := range x {
			x[i] = plainNumbers(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = plainNumbers(x[k])
		}
	}
	return v
}
