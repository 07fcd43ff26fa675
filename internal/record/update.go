package record

import "github.com/fibersess/sess/internal/jsontext"

// Updater makes the new value of a member. It appends it to dst, made from the present one, which is raw if ok. It runs
// once for every record that the session is stored on top of.
type Updater interface {
	Update(dst []byte, raw string, ok bool) (out []byte, err error)
}

// UpdateFunc is the updater of the root's Update: a function, so that an interface holds it without an allocation.
type UpdateFunc[T any] func(old T, ok bool) T

func (f UpdateFunc[T]) Update(dst []byte, raw string, ok bool) ([]byte, error) {
	var old T
	if ok {
		old, ok = jsontext.DecodeValue[T](raw)
	}
	return jsontext.AppendValue(dst, f(old, ok))
}

// updates are two updaters of one value, the first one first.
type updates struct{ first, second Updater }

func (u *updates) Update(dst []byte, raw string, ok bool) ([]byte, error) {
	between, err := u.first.Update(nil, raw, ok)
	if err != nil {
		return dst, err
	}
	return u.second.Update(dst, string(between), true)
}
