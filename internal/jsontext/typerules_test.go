package jsontext

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

type (
	jsMap  map[string]any // as fiber.Map is
	jsList []any
	boxed  struct {
		V any            `json:"v"`
		M map[string]any `json:"m,omitempty"`
	}
	embedding struct {
		boxed
		*Shown
		_    any
		List []any
	}
	Shown struct{ S any }
	node  struct {
		Next  *node
		Value any
	}
	generic[T any] struct{ V T }
)

// ownReader reads its any itself.
type ownReader struct{ V any }

func (o *ownReader) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &o.V) }

// TestNumberInAnyIsExactWhereverTheAnyStands: the number is one that no float64 holds, beside one that every float64
// holds.
func TestNumberInAnyIsExactWhereverTheAnyStands(t *testing.T) {
	const big, small = json.Number("9007199254740993"), 1.5
	anywhere(t, `9007199254740993`, any(big))
	anywhere(t, `[9007199254740993,1.5]`, []any{big, small})
	anywhere(t, `[9007199254740993,1.5]`, jsList{big, small})
	anywhere(t, `[9007199254740993,1.5]`, [2]any{big, small})
	anywhere(t, `{"a":9007199254740993,"b":1.5}`, map[string]any{"a": big, "b": small})
	anywhere(t, `{"a":9007199254740993,"b":1.5}`, jsMap{"a": big, "b": small})
	anywhere(t, `{"a":{"a":[9007199254740993,null]},"b":1.5}`, jsMap{"a": map[string]any{"a": []any{big, nil}}, "b": small})
	anywhere(t, `[{"a":9007199254740993},{"b":1.5}]`, []map[string]any{{"a": big}, {"b": small}})
	anywhere(t, `[{"a":9007199254740993},null]`, []jsMap{{"a": big}, nil})
	anywhere(t, `{"1":9007199254740993,"2":1.5}`, map[int]any{1: big, 2: small})
	anywhere(t, `{"a":{"v":9007199254740993},"b":{"v":1.5}}`, map[string]boxed{"a": {V: big}, "b": {V: small}})
	anywhere(t, `{"v":9007199254740993,"m":{"x":1.5}}`, boxed{big, map[string]any{"x": small}})
	anywhere(t, `{"v":9007199254740993}`, &boxed{V: big})
	anywhere(t, `[{"v":9007199254740993},null]`, []*boxed{{V: big}, nil})
	anywhere(t, `{"v":1.5,"S":9007199254740993,"List":[9007199254740993]}`,
		embedding{boxed: boxed{V: small}, Shown: &Shown{big}, List: []any{big}})
	anywhere(t, `{"Next":{"Next":null,"Value":9007199254740993},"Value":1.5}`, node{&node{nil, big}, small})
	anywhere(t, `{"V":[9007199254740993]}`, generic[jsList]{jsList{big}})
	x := any(big)
	anywhere(t, `9007199254740993`, &x)
	y := any([]any{big})
	anywhere(t, `[[9007199254740993]]`, []*any{&y})
}

// anywhere checks that raw is read as want, and that want is written as raw: an Update must not round what it leaves.
func anywhere[T any](t *testing.T, raw string, want T) {
	t.Helper()
	got, ok := DecodeValue[T](raw)
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%T from %s: got %#v, %v, want %#v", want, raw, got, ok, want)
	}
	if again := encode(t, got); again != raw {
		t.Errorf("%T from %s: written back as %s, want the same", want, raw, again)
	}
}

func TestWhatATypeReadsItselfIsLeftAlone(t *testing.T) {
	got, ok := DecodeValue[map[string]*ownReader](`{"a":9007199254740993}`)
	if !ok || got["a"].V != any(float64(9007199254740992)) {
		t.Errorf("got %v, %v, want what its own UnmarshalJSON makes of it", got["a"], ok)
	}
	if got, ok := DecodeValue[[]json.Number](`[1,9007199254740993]`); !ok || got[0] != "1" || got[1] != "9007199254740993" {
		t.Errorf("json.Number: got %v, %v, want the digits", got, ok)
	}
}

type (
	latin     string
	latinText struct{ s string }
	latinJSON struct{ s string }
	page      struct {
		Title string
		Tags  []latin           `json:",omitempty"`
		Attrs map[latin]*string `json:",omitempty"`
		Raw   []byte            `json:",omitempty"`
		Skip  string            `json:"-"`
	}
	section struct {
		page
		*Shown
		skip string
	}
)

func (l latinText) MarshalText() ([]byte, error) { return []byte(l.s), nil }

func (l *latinText) UnmarshalText(b []byte) error { l.s = string(b); return nil }

func (l latinJSON) MarshalJSON() ([]byte, error) { return []byte(l.s), nil }

func TestTextThatIsNotUTF8IsRefusedWhereverItStands(t *testing.T) {
	const bad = "\xe9t\xe9 hunter2"
	text := bad
	for _, v := range []any{
		bad, latin(bad), &text, []string{"a", bad}, [1]string{bad}, map[string]string{"a": bad}, map[string]int{bad: 1}, map[latin]bool{bad: true},
		map[string]any{"a": []any{1, bad}}, jsMap{"a": map[string]any{bad: nil}}, []map[string]any{{"a": latin(bad)}},
		page{Title: bad}, &page{Title: bad}, page{Tags: []latin{bad}}, page{Attrs: map[latin]*string{"x": &text}},
		page{Attrs: map[latin]*string{bad: nil}}, section{page: page{Title: bad}}, section{Shown: &Shown{bad}}, struct{ V any }{page{Title: bad}},
		latinText{bad}, &latinText{bad}, []latinText{{bad}}, map[string]latinText{"a": {bad}}, map[latinText]int{{bad}: 1},
		latinJSON{`"` + bad + `"`}, json.RawMessage(`"` + bad + `"`), generic[string]{bad}, node{Value: node{Value: bad}},
	} {
		got, err := AppendValue([]byte("kept"), v)
		if err == nil || string(got) != "kept" {
			t.Errorf("%T: got %q, %v, want an error and nothing written", v, got, err)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "UTF-8") && !strings.Contains(err.Error(), "MarshalJSON") {
			t.Errorf("%T: got %q, want that it is not UTF-8, and nothing of the content", v, err)
		}
	}
	_, err := AppendValue(nil, bad)
	if want := "sess: value of type string: cannot be stored: it has text that is not UTF-8; use []byte for bytes"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err = AppendValue(nil, latin(bad)); err == nil || !strings.Contains(err.Error(), "use []byte") {
		t.Errorf("got %v, want the remedy", err)
	}
}

func TestTextThatLooksLikeAReplacementIsStored(t *testing.T) {
	const fffd = "\ufffd \\ufffd"
	for _, v := range []any{
		fffd, latin(fffd), []string{fffd}, map[string]any{fffd: latin(fffd)}, page{Title: fffd, Raw: []byte("\xff"), Skip: "\xff"},
		section{page: page{Title: fffd}, skip: "\xff"}, latinText{fffd}, latinJSON{`"\ufffd"`}, json.RawMessage(`["\ufffd"]`), []byte("\xff\xfe"),
		map[string]any{"a": []byte("\xff"), "b": fffd}, struct{ B namedBytes }{namedBytes("\xff\ufffd")}, (*page)(nil), []*page{nil, {Title: fffd}},
	} {
		if _, err := AppendValue(nil, v); err != nil {
			t.Errorf("%T: got %v, want it stored", v, err)
		}
	}
}

type (
	stringer struct{ S fmt.Stringer }
	deep     struct {
		M map[string][]*struct{ E error }
	}
	loop    struct{ Next *loop }
	badLoop struct {
		Next *badLoop
		C    chan int
	}
	codec interface {
		json.Marshaler
		json.Unmarshaler
	}
	private struct {
		err error
		Out error `json:"-"`
		OK  bool
	}
	inner    struct{ F func() }
	embedded struct{ inner }
	hidden   struct{ error }
)

// grade writes itself as text, and does not read that.
type grade int

func (g grade) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "grade %d", int(g)), nil }

// wrapped has kinds that JSON does not have, and methods that read and write them.
type wrapped func() string

func (w wrapped) MarshalJSON() ([]byte, error) { return json.Marshal(w()) }

func (w *wrapped) UnmarshalJSON(b []byte) error {
	var s string
	err := json.Unmarshal(b, &s)
	*w = func() string { return s }
	return err
}

// onlyWrites has a kind that JSON does not have, and only writes it.
type onlyWrites chan int

func (onlyWrites) MarshalJSON() ([]byte, error) { return []byte("1"), nil }

func TestTypeThatCanNeverBeReadBackIsRefused(t *testing.T) {
	err := errors.New("hunter2")
	neverRead[error](t, nil)
	neverRead(t, err)
	neverRead[fmt.Stringer](t, nil)
	neverRead[fmt.Stringer](t, time.Second)
	neverRead[fmt.Stringer](t, time.Now())
	neverRead[fmt.Stringer](t, json.Number("1"))
	neverRead[codec](t, nil)
	neverRead[codec](t, &big.Int{})
	neverRead(t, &err)
	neverRead(t, []error(nil))
	neverRead(t, map[string]error{})
	neverRead(t, [0]error{})
	neverRead(t, stringer{})
	neverRead(t, &stringer{})
	neverRead(t, (*stringer)(nil))
	neverRead(t, deep{})
	neverRead(t, generic[error]{})
	neverRead(t, embedded{})
	neverRead(t, badLoop{})
	neverRead(t, []chan int{})
	neverRead(t, map[string]func(){})
	neverRead(t, (*func())(nil))
	neverRead(t, []complex128{})
	neverRead(t, struct{ C *namedComplex }{})
	neverRead(t, onlyWrites(nil))
	neverRead(t, map[any]int{})
	neverRead(t, map[fmt.Stringer]int{})
	neverRead(t, map[encoding.TextMarshaler]int{})
	neverRead(t, map[float64]int{})
	neverRead(t, map[private]int(nil))
	neverRead(t, grade(1))
	neverRead(t, []grade{})
	neverRead(t, struct{ G *grade }{})
}

// neverRead checks that v is refused, and that it could not have been read.
func neverRead[T any](t *testing.T, v T) {
	t.Helper()
	name := reflect.TypeFor[T]().String()
	got, err := AppendValue([]byte("kept"), v)
	if err == nil || string(got) != "kept" {
		t.Errorf("%s: got %q, %v, want an error and nothing written", name, got, err)
		return
	}
	if want := "sess: value of type " + name + ": cannot be stored: "; !strings.HasPrefix(err.Error(), want) ||
		!strings.HasSuffix(err.Error(), ", and can never be read back") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%s: got %q, want %q and that it can never be read back", name, err, want)
	}
}

func TestTypeThatCanBeReadBackIsStored(t *testing.T) {
	stored(t, private{err: errors.New("x"), OK: true})
	stored(t, hidden{errors.New("x")})
	stored(t, loop{&loop{}})
	stored(t, []any{errors.New("x")})
	stored(t, map[string]any{"a": struct{}{}})
	stored(t, netip.MustParseAddr("::1"))
	stored(t, map[netip.Addr]netip.Prefix{netip.MustParseAddr("::1"): {}})
	stored(t, []*big.Int{big.NewInt(1)})
	stored(t, map[uint8]string{1: "a"})
	stored(t, map[latin]latin{"a": "b"})
	stored(t, wrapped(func() string { return "x" }))
	stored(t, struct{ W wrapped }{func() string { return "x" }})
	stored(t, latinJSON{`"x"`})
	stored(t, struct{ T time.Time }{time.Now()})
	stored(t, complex64(1))
}

func stored[T any](t *testing.T, v T) {
	t.Helper()
	raw, err := AppendValue(nil, v)
	if err != nil {
		t.Errorf("%T: got %v, want it stored", v, err)
		return
	}
	if _, ok := DecodeValue[T](string(raw)); !ok && reflect.TypeFor[T]() != reflect.TypeFor[latinJSON]() {
		t.Errorf("%T: got false for %s, want it read", v, raw)
	}
}

func BenchmarkStructAndBack(b *testing.B) {
	v := page{Title: "x", Tags: []latin{"a", "b"}}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = AppendValue(buf[:0], v); err != nil {
			b.Fatal(err)
		}
		if _, ok := DecodeValue[page](string(buf)); !ok {
			b.Fatal("got false")
		}
	}
}
