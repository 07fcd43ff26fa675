package jsontext

import (
	"encoding/json"
	"reflect"
	"strings"
)

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

// plainNumbersIn is plainNumbers for what any values hold that stand somewhere in v, which was decoded and can be set.
// What a type has read by a method of its own is left alone.
func plainNumbersIn(v reflect.Value) {
	switch t := v.Type(); {
	case v.Kind() == reflect.Interface:
		if t.NumMethod() == 0 && !v.IsNil() {
			v.Set(reflect.ValueOf(plainNumbers(v.Interface())))
		}
		return
	case v.Kind() == reflect.Pointer:
		if !v.IsNil() {
			plainNumbersIn(v.Elem())
		}
		return
	case isScalar(t.Kind()) || readsItself(t):
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() || v.Type().Field(i).Anonymous {
				plainNumbersIn(f)
			}
		}
	case reflect.Slice, reflect.Array:
		if isScalar(v.Type().Elem().Kind()) {
			return
		}
		for i := range v.Len() {
			plainNumbersIn(v.Index(i))
		}
	case reflect.Map:
		if isScalar(v.Type().Elem().Kind()) {
			return
		}
		value := reflect.New(v.Type().Elem()).Elem() // What a map holds cannot be set in place.
		for each := v.MapRange(); each.Next(); {
			value.Set(each.Value())
			plainNumbersIn(value)
			v.SetMapIndex(each.Key(), value)
		}
	}
}
