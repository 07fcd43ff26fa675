// Package httpstatus gives errors an HTTP status in the types of frameworks that this module does not import.
package httpstatus

import (
	"net/http"
	"reflect"
)

// As is the As method of an error of the status code. It makes target the error of a framework, if target is what errors.As
// passes for one: a pointer to a pointer to a struct with the fields Code, an int, and Message, a string. The fiber.Error
// of Fiber v2 and that of v3 are two such types, which do not convert into each other.
func As(target any, code int) bool {
	p := reflect.ValueOf(target).Elem()
	if p.Kind() != reflect.Pointer || p.Type().Elem().Kind() != reflect.Struct || p.Type().Elem().NumField() != 2 {
		return false
	}
	e := reflect.New(p.Type().Elem())
	codeField, message := e.Elem().FieldByName("Code"), e.Elem().FieldByName("Message")
	if !codeField.IsValid() || codeField.Kind() != reflect.Int || !message.IsValid() || message.Kind() != reflect.String {
		return false
	}
	codeField.SetInt(int64(code))
	message.SetString(http.StatusText(code))
	p.Set(e)
	return true
}
