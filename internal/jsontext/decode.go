package jsontext

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// DecodeValue returns the value that the JSON text raw stands for; raw is valid, or empty. It reports false if that is not a T:
// the text is never bent to fit. Wherever T has an any, a number is a float64, or a json.Number if no float64 holds it. Scalars, also of named types, time.Time and strings without escapes take no
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
	var err error
	if holdsAny(reflect.TypeFor[T]()) {
		d := json.NewDecoder(strings.NewReader(raw))
		d.UseNumber()
		if err = d.Decode(&v); err == nil {
			plainNumbersIn(reflect.ValueOf(&v).Elem())
		}
	} else {
		err = json.Unmarshal([]byte(raw), &v)
	}
	if err != nil {
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
