package jsontext

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// unreadable says why no value of type t can ever be read back, empty if some can be, as far as the type tells.
func unreadable(t reflect.Type) (reason string) {
	t = plain(t)
	if isPredeclared(t) || isAny(t) {
		return ""
	}
	var s survey
	s.look(t)
	return s.unreadable
}

// holdsAny reports whether an any stands somewhere in what encoding/json decodes into t.
func holdsAny(t reflect.Type) bool {
	t = plain(t)
	if isPredeclared(t) || isAny(t) {
		return isAny(t)
	}
	var s survey
	s.look(t)
	return s.any
}

// plain returns what slices, arrays, pointers and maps without a name, which the commonest types are, are of.
func plain(t reflect.Type) reflect.Type {
	for t.Name() == "" {
		switch t.Kind() {
		case reflect.Map:
			if !isKey(t.Key().Kind()) {
				return t
			}
		case reflect.Slice, reflect.Array, reflect.Pointer:
		default:
			return t
		}
		t = t.Elem()
	}
	return t
}

// isPredeclared reports whether t is one of Go's own types of strings, booleans, integers and floats.
func isPredeclared(t reflect.Type) bool { return isScalar(t.Kind()) && t.PkgPath() == "" }

func isAny(t reflect.Type) bool { return t.Kind() == reflect.Interface && t.NumMethod() == 0 }

// survey is what a type tells of its values, found by a look at each type in it.
type survey struct {
	unreadable string // the first reason found
	any        bool
	seen       []reflect.Type
}

var (
	marshaler       = reflect.TypeFor[json.Marshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// readsItself reports whether values of t read JSON by a method of their own.
func readsItself(t reflect.Type) bool {
	if t.Name() == "" && t.Kind() != reflect.Struct { // It has no methods; a struct has those of what it embeds.
		return false
	}
	p := reflect.PointerTo(t)
	return p.Implements(unmarshaler) || p.Implements(textUnmarshaler)
}

func (s *survey) look(t reflect.Type) {
	kind := t.Kind()
	if isPredeclared(t) || slices.Contains(s.seen, t) {
		return
	}
	s.seen = append(s.seen, t)
	switch {
	case isAny(t):
		s.any = true
		return
	case kind == reflect.Interface:
		s.refuse(t, "an interface with methods")
		return
	case kind == reflect.Pointer:
		s.look(t.Elem())
		return
	case readsItself(t):
		return
	case kind == reflect.Chan, kind == reflect.Func, kind == reflect.UnsafePointer, kind == reflect.Complex64, kind == reflect.Complex128:
		s.refuse(t, "of a kind that JSON does not have")
		return
	case t.Implements(marshaler): // It may write what its kind reads.
		return
	case t.Implements(textMarshaler):
		if kind != reflect.String && kind != reflect.Slice {
			s.refuse(t, "written by MarshalText and not read by UnmarshalText")
		}
		return
	}
	switch kind {
	case reflect.Slice, reflect.Array:
		s.look(t.Elem())
	case reflect.Map:
		s.key(t.Key())
		s.look(t.Elem())
	case reflect.Struct:
		s.fields(t)
	}
}

// key looks at the type of a map's keys.
func (s *survey) key(t reflect.Type) {
	if !isKey(t.Kind()) && !reflect.PointerTo(t).Implements(textUnmarshaler) {
		s.refuse(t, "not a key that JSON can have")
	}
}

// isKey reports whether encoding/json reads keys of this kind.
func isKey(k reflect.Kind) bool {
	return k == reflect.String || reflect.Int <= k && k <= reflect.Uintptr
}

// fields looks at the fields that encoding/json takes.
func (s *survey) fields(t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		if takes(f) {
			s.look(f.Type)
		}
	}
}

// takes reports whether encoding/json takes a field: an exported one, or an embedded struct, for its exported fields.
func takes(f reflect.StructField) bool {
	if f.Tag.Get("json") == "-" {
		return false
	}
	t := f.Type
	if f.Anonymous && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return f.IsExported() || f.Anonymous && t.Kind() == reflect.Struct
}

func (s *survey) refuse(t reflect.Type, what string) {
	if s.unreadable == "" {
		s.unreadable = t.String() + " is " + what + ", and can never be read back"
	}
}

func isScalar(k reflect.Kind) bool {
	return reflect.Bool <= k && k <= reflect.Float64 || k == reflect.String
}

// maybeReplaced reports whether text, which encoding/json has made, has the character that stands in it for a byte that
// is not UTF-8. Version 1 writes it as an escape, version 2 as itself.
func maybeReplaced(text string) bool {
	return strings.Contains(text, `\ufffd`) || strings.Contains(text, "\ufffd")
}

// holdsBytes reports whether some text in v, as encoding/json takes it, is not UTF-8. encoding/json has encoded v, so it
// does not hold itself. What a MarshalJSON writes is not looked at: the scanner has.
func holdsBytes(v reflect.Value) bool {
	t := v.Type()
	switch kind := t.Kind(); {
	case kind == reflect.Interface || kind == reflect.Pointer:
		return !v.IsNil() && holdsBytes(v.Elem())
	case implements(v, marshaler):
		return false
	case implements(v, textMarshaler):
		return marshalsBytes(v)
	}
	switch t.Kind() {
	case reflect.String:
		return !utf8.ValidString(v.String())
	case reflect.Struct:
		for i := range v.NumField() {
			if takes(t.Field(i)) && holdsBytes(v.Field(i)) {
				return true
			}
		}
	case reflect.Slice, reflect.Array:
		if isPredeclared(t.Elem()) && t.Elem().Kind() != reflect.String {
			return false
		}
		for i := range v.Len() {
			if holdsBytes(v.Index(i)) {
				return true
			}
		}
	case reflect.Map:
		for each := v.MapRange(); each.Next(); {
			if holdsBytes(each.Key()) || holdsBytes(each.Value()) {
				return true
			}
		}
	}
	return false
}

// implements reports whether encoding/json finds the methods of the interface type on v.
func implements(v reflect.Value, methods reflect.Type) bool {
	return v.Type().Implements(methods) || v.CanAddr() && v.Addr().Type().Implements(methods)
}

// marshalsBytes reports whether the MarshalText of v gives bytes that are not UTF-8.
func marshalsBytes(v reflect.Value) bool {
	if !v.CanInterface() {
		return false
	}
	m, ok := v.Interface().(encoding.TextMarshaler)
	if !ok {
		m, ok = v.Addr().Interface().(encoding.TextMarshaler)
	}
	if !ok {
		return false
	}
	text, err := m.MarshalText()
	return err == nil && !utf8.Valid(text)
}
