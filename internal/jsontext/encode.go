package jsontext

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendValue appends v as JSON. What it promises beyond encoding/json:
//
//   - A number is written so that every numeric type reads it that holds it exactly.
//   - Text is written as by JSON.stringify: <, >, & and the line separators stay as they are.
//   - Text that is not UTF-8 is refused, wherever it stands in v, and so is a type that can never be read back.
//   - Scalars, also of named types, strings and time.Time take no allocation.
//   - dst is returned as it was if there is an error, and the error names the type and never the content.
func AppendValue[T any](dst []byte, v T) ([]byte, error) {
	switch x := any(v).(type) {
	case nil:
		if !isMethodSet[T]() {
			return append(dst, "null"...), nil
		}
	case string:
		if IsText(x) {
			return AppendText(dst, x), nil
		}
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
		if !isMethodSet[T]() {
			return appendTime(dst, x)
		}
	case json.Number:
		if !isMethodSet[T]() {
			return appendJSON(dst, v) // a string by kind only
		}
	}
	if isMethodSet[T]() {
		return dst, errValue(reflect.TypeFor[T](), unreadable(reflect.TypeFor[T]()))
	}
	if !isMarshaler(any(v)) && !isMarshaler(any((*T)(nil))) {
		if out, scalar, err := appendScalar(dst, reflect.ValueOf(any(v))); scalar {
			return out, err
		}
	}
	return appendJSON(dst, v)
}

// isMethodSet reports whether T is an interface with methods: nothing tells which type to read such a value as.
func isMethodSet[T any]() bool {
	t := reflect.TypeFor[T]()
	return t.Kind() == reflect.Interface && t.NumMethod() > 0
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
		if s := v.String(); utf8.ValidString(s) {
			return AppendText(dst, s), true, nil
		}
		return dst, true, errValue(v.Type(), notUTF8)
	default:
		return dst, false, nil
	}
}

const (
	notFinite = "it is NaN or infinite; want a finite number"
	notUTF8   = "it has text that is not UTF-8; use []byte for bytes"
)

// appendJSON appends v as encoding/json has it. It stands alone because v escapes here, and a variable that escapes
// anywhere in a function is on the heap everywhere in it. It gives the address of v, so that methods with a pointer
// receiver count.
//
//go:noinline
func appendJSON[T any](dst []byte, v T) ([]byte, error) {
	if reason := unreadable(reflect.TypeFor[T]()); reason != "" {
		return dst, errValue(reflect.TypeOf(any(v)), reason)
	}
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
	if maybeReplaced(p.s) && holdsBytes(reflect.ValueOf(&v)) {
		return dst, errValue(reflect.TypeOf(any(v)), notUTF8)
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
	return fmt.Errorf("sess: value of type %v: cannot be stored: %s", t, reason)
}
