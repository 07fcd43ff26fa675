package httpstatus_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess/internal/httpstatus"
)

// failure is an error with a status.
type failure struct{}

func (failure) Error() string      { return "failure" }
func (failure) As(target any) bool { return httpstatus.As(target, 503) }

// otherFramework is an error of a framework that has the fields in another order.
type otherFramework struct {
	Message string
	Code    int
}

func (*otherFramework) Error() string { return "" }

// The errors that are not a framework's.
type (
	threeFields struct {
		Code          int
		Message, More string
	}
	otherTypes struct {
		Code    string
		Message string
	}
	hidden struct {
		code    int
		message string
	}
	number int
)

func (*threeFields) Error() string { return "" }
func (*otherTypes) Error() string  { return "" }
func (*hidden) Error() string      { return "" }
func (*number) Error() string      { return "" }

func TestAnErrorIsEachFrameworksOwnOfItsStatus(t *testing.T) {
	if e, ok := errors.AsType[*fiber.Error](failure{}); !ok || e.Code != 503 || e.Message != "Service Unavailable" {
		t.Errorf("Fiber v2: got %v, %v; want 503 Service Unavailable", e, ok)
	}
	if e, ok := errors.AsType[*otherFramework](failure{}); !ok || e.Code != 503 || e.Message != "Service Unavailable" {
		t.Errorf("fields in another order: got %v, %v; want 503 Service Unavailable", e, ok)
	}
}

func TestAnErrorIsNothingElse(t *testing.T) {
	err := error(failure{})
	var (
		three  *threeFields
		types  *otherTypes
		unseen = &hidden{code: 1, message: "kept"}
		n      *number
		path   *fs.PathError
		face   interface{ Timeout() bool }
	)
	for name, target := range map[string]any{
		"three fields": &three, "other types": &types, "hidden fields": &unseen, "no struct": &n, "a PathError": &path, "an interface": &face,
	} {
		if errors.As(err, target) {
			t.Errorf("%s: got a match, want none", name)
		}
	}
	if unseen.code != 1 || unseen.message != "kept" {
		t.Errorf("a target that does not match: got %v, want it untouched", unseen)
	}
}
