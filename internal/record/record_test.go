package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/jsontext"
)

// koaRecord is what Koa's session middleware writes.
const koaRecord = `{"cookie":{"httpOnly":true,"path":"/","overwrite":true,"signed":true,"maxAge":86400000},"count":1}`

// typicalRecord has ten members in 334 bytes.
const typicalRecord = `{"cookie":{"httpOnly":true,"path":"/","overwrite":true,"signed":true,"maxAge":86400000},` +
	`"user":"alice.liddell@example.com","count":12,"lang":"en","theme":"dark","cart":[1017,2044,3891],` +
	`"csrf":"Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4","last":"2024-05-06T07:08:09Z","roles":["admin","editor","owner"],` +
	`"$":{"c":1700000000000,"e":1700086400000}}`

func mustParse(t testing.TB, s string) *Record {
	t.Helper()
	r, err := ParseRecord(s)
	if err != nil {
		t.Fatalf("ParseRecord(%s): got %v, want a record", s, err)
	}
	return r
}

func TestRecordWrittenByKoaIsRead(t *testing.T) {
	r := mustParse(t, koaRecord)
	if got := r.JSON(); got != koaRecord {
		t.Errorf("JSON: got %s, want the bytes that were parsed", got)
	}
	if got, ok := r.Raw("count"); got != "1" || !ok {
		t.Errorf("Raw(count): got %q, %v, want 1, true", got, ok)
	}
	if got, _ := r.Raw("cookie"); got != koaRecord[len(`{"cookie":`):len(koaRecord)-len(`,"count":1}`)] {
		t.Errorf("Raw(cookie): got %s, want the object of Koa's", got)
	}
	if got := slices.Collect(r.Keys()); !slices.Equal(got, []string{"count"}) {
		t.Errorf("Keys: got %q, want count", got)
	}
	if r.Len() != 1 || r.Size() != len(koaRecord) {
		t.Errorf("Len, Size: got %d, %d, want 1, %d", r.Len(), r.Size(), len(koaRecord))
	}
	if !r.Created().IsZero() || !r.Expires().IsZero() {
		t.Errorf("Created, Expires: got %v, %v, want none", r.Created(), r.Expires())
	}
}

func TestRecordIsFoundByDecodedName(t *testing.T) {
	r := mustParse(t, ` { "caf\u00e9" : 1 , "\ud83d\ude00":2,"a\"\\\/\b\f\n\r\t":3,"\ud800":4,"plain":5,"":6 } `)
	for key, want := range map[string]string{
		"café": "1", "😀": "2", "a\"\\/\b\f\n\r\t": "3", "\ufffd": "4", "plain": "5", "": "6",
	} {
		if got, ok := r.Raw(key); got != want || !ok {
			t.Errorf("Raw(%q): got %q, %v, want %s, true", key, got, ok, want)
		}
	}
	for _, key := range []string{`caf\u00e9`, "caf", "cafés", "plai", "plainer", "😀😀", "\xff"} {
		if got, ok := r.Raw(key); ok {
			t.Errorf("Raw(%q): got %q, want none", key, got)
		}
	}
	want := []string{"café", "😀", "a\"\\/\b\f\n\r\t", "\ufffd", "plain", ""}
	if got := slices.Collect(r.Keys()); !slices.Equal(got, want) {
		t.Errorf("Keys: got %q, want %q", got, want)
	}
	for range r.Keys() {
		break // stopping early must not panic
	}
}

func TestRecordReservedMembersAreNotKeys(t *testing.T) {
	r := mustParse(t, `{"\u0063ookie":null,"x":1,"\u0024":{}}`)
	if got := slices.Collect(r.Keys()); !slices.Equal(got, []string{"x"}) || r.Len() != 1 {
		t.Errorf("Keys, Len: got %q, %d, want x, 1", got, r.Len())
	}
	if got, ok := r.Raw("cookie"); got != "null" || !ok {
		t.Errorf("Raw(cookie): got %q, %v, want null, true", got, ok)
	}
}

func TestParseRecordRefusesWhatIsNotARecord(t *testing.T) {
	const secret = "hunter2"
	for _, s := range []string{
		``, ` `, `null`, `[]`, `1`, `"x"`, `{`, `}`, `{}x`, `{} {}`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1 "b":2}`,
		`{"a":1,,"b":2}`, `{a:1}`, `{'a':1}`, `{"a":1]`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[1}`,
		`{"a":01}`, `{"a":-}`, `{"a":+1}`, `{"a":.5}`, `{"a":1.}`, `{"a":1e}`, `{"a":1e+}`, `{"a":0x1}`, `{"a":NaN}`, `{"a":--1}`,
		`{"a":tru}`, `{"a":TRUE}`, `{"a":nul`, `{"a":"` + secret, `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":"\u12`, `{"a":"` + "\n" + `"}`,
		`{"a":"` + "\x00" + `"}`, `{"a":"` + "\xff" + `"}`, `{"` + "\xc3\x28" + `":1}`, `{"a":"` + "\xed\xa0\x80" + `"}`,
		`{"` + secret + `":1,"` + secret + `":2}`, `{"a":1,"b":2,"\u0061":3}`, `{"\ud800":1,"\udc00":2}`, `{"cookie":1,"cookie":2}`,
		"\xef\xbb\xbf{}", "{\v}", `{"a":1/**/}`,
	} {
		r, err := ParseRecord(s)
		if !errors.Is(err, ErrCorrupt) || r != nil {
			t.Errorf("ParseRecord(%q): got %v, %v, want ErrCorrupt", s, r, err)
		}
		if strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("ParseRecord(%q): got content in %q, want none", s, err)
		}
	}
}

func TestParseRecordFindsTheDuplicateAmongMany(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, `"k%d":%d,`, i, i)
	}
	mustParse(t, "{"+b.String()+`"z":0}`)
	if _, err := ParseRecord("{" + b.String() + `"k17":0}`); !errors.Is(err, ErrCorrupt) {
		t.Errorf("5001 members, two alike: got %v, want ErrCorrupt", err)
	}
}

func TestParseRecordBoundsDepthAndSize(t *testing.T) {
	nested := func(open, end string, levels int) string {
		return `{"a":` + strings.Repeat(open, levels-1) + "0" + strings.Repeat(end, levels-1) + "}"
	}
	for _, brackets := range [][2]string{{"[", "]"}, {`{"b":`, "}"}} {
		mustParse(t, nested(brackets[0], brackets[1], 128))
		for _, levels := range []int{129, 1 << 20} {
			if _, err := ParseRecord(nested(brackets[0], brackets[1], levels)); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%d levels of %s: got %v, want ErrCorrupt", levels, brackets[0], err)
			}
		}
	}
	sized := func(n int) string { return `{"a":"` + strings.Repeat("x", n-len(`{"a":""}`)) + `"}` }
	mustParse(t, sized(16<<20))
	if _, err := ParseRecord(sized(16<<20 + 1)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("16 MiB and a byte: got %v, want ErrCorrupt", err)
	}
}

func TestRecordIndexIsRightOnBothSidesOf64KiB(t *testing.T) {
	for _, size := range []int{1<<16 - 1, 1 << 16, 1<<16 + 1} {
		frame := `{"first":1,"big":"","last":[2]}`
		s := strings.Replace(frame, `""`, `"`+strings.Repeat("x", size-len(frame))+`"`, 1)
		r := mustParse(t, s)
		first, _ := r.Raw("first")
		last, _ := r.Raw("last")
		big, _ := r.Raw("big")
		if r.Size() != size || first != "1" || last != "[2]" || len(big) != size-len(frame)+2 {
			t.Errorf("%d bytes: got %s, %s and a string of %d bytes, want 1, [2] and %d", size, first, last, len(big),
				size-len(frame)+2)
		}
	}
}

// TestTheIndexSaysWhatTheScannerDoes, whatever stands between members.
func TestTheIndexSaysWhatTheScannerDoes(t *testing.T) {
	large := strings.Repeat("x", wideRecord)
	for _, text := range []string{
		`{}`, `{ }`, `{"":""}`, `{"a":1}`, `{"a":1,"b":[2, 3],"c":{"d": 4}}`, `{"a":1,"b":2 ,"c":3}`, `{"a": 1}`, `{ "a":1}`, ` {"a":1,"b":2}`,
		`{"a":1,"b":2} `, `{"a":1,"b":2 }`, `{"a" :1,"b":2}`, `{"a":1, "b":2}`, `{"\u0061":1,"b":2}`,
		`{"a":1,"b":"` + large + `","c":3}`, `{"a":1,"b":"` + large + `", "c":3}`, `{"a":"` + large[:wideRecord-9] + `"}`, `{"a":"` + large[:wideRecord-8] + `"}`,
	} {
		r := mustParse(t, text)
		want, _ := jsontext.Members(nil, text)
		if r.count() != len(want) {
			t.Fatalf("%.40s: got %d members, want %d", text, r.count(), len(want))
		}
		for i := range want {
			if got := r.member(i); got != want[i] {
				t.Errorf("%.40s, member %d: got %v, want %v", text, i, got, want[i])
			}
		}
	}
}

func TestRecordHeaderIsRead(t *testing.T) {
	r := mustParse(t, `{"$":{"c":1700000000000,"x":[{}],"\u0065":1.7000864e12,"to":"abc\/def"}}`)
	if got := r.Created().UnixMilli(); got != 1700000000000 {
		t.Errorf("Created: got %d, want 1700000000000", got)
	}
	if got := r.Expires().UnixMilli(); got != 1700086400000 {
		t.Errorf("Expires: got %d, want 1700086400000", got)
	}
	if id, ok := r.Successor(); id.Value() != "abc/def" || !ok {
		t.Errorf("successor: got %q, %v, want abc/def, true", id.Value(), ok)
	}
	r = mustParse(t, `{"$":{"c":0,"e":253402300799999}}`)
	if got := r.Expires().UTC().Year(); got != 9999 || !r.Created().IsZero() {
		t.Errorf("the last instant: got year %d and created %v, want 9999 and none", got, r.Created())
	}
	if id, ok := r.Successor(); ok || !id.IsZero() {
		t.Errorf("successor: got %q, want none", id.Value())
	}
}

func TestRecordHeaderOfAnotherKindIsCorrupt(t *testing.T) {
	for _, header := range []string{
		`null`, `1`, `"x"`, `[]`, `true`, `{"c":"1"}`, `{"c":null}`, `{"c":-1}`, `{"c":1.5}`, `{"e":253402300800000}`, `{"e":1e99}`,
		`{"e":true}`, `{"e":[]}`, `{"to":1}`, `{"to":null}`, `{"to":""}`, `{"to":"a b"}`, `{"to":"a;b"}`, `{"to":"caf\u00e9"}`,
		`{"to":"` + strings.Repeat("x", 64) + `"}`, `{"c":1,"c":1}`, `{"c":1,"\u0063":1}`,
	} {
		if _, err := ParseRecord(`{"a":1,"$":` + header + `}`); !errors.Is(err, ErrCorrupt) {
			t.Errorf("$ is %s: got %v, want ErrCorrupt", header, err)
		}
	}
}

func TestRecordNilAndZeroAreTheEmptyObject(t *testing.T) {
	for _, r := range []*Record{nil, new(Record), mustParse(t, `{}`)} {
		if _, ok := r.Raw("a"); ok || r.JSON() != "{}" || r.Size() != 2 || r.Len() != 0 {
			t.Errorf("got %s, %d bytes, %d members, Raw %v, want {}, 2, 0, false", r.JSON(), r.Size(), r.Len(), ok)
		}
		for key := range r.Keys() {
			t.Errorf("Keys: got %q, want none", key)
		}
		if _, ok := r.Successor(); ok || !r.Created().IsZero() || !r.Expires().IsZero() {
			t.Errorf("header: got something, want nothing")
		}
		end := time.UnixMilli(1700000000000)
		if got := r.WithExpires(end); !got.Expires().Equal(end) || got.JSON() != "{}" {
			t.Errorf("WithExpires: got %v, %s, want %v, {}", got.Expires(), got.JSON(), end)
		}
	}
}

func TestRecordWithExpiresLeavesTheRecordAlone(t *testing.T) {
	r := mustParse(t, typicalRecord)
	end := time.UnixMilli(1900000000123)
	moved := r.WithExpires(end.Add(999 * time.Microsecond))
	if !moved.Expires().Equal(end) || moved.JSON() != r.JSON() || !moved.Created().Equal(r.Created()) {
		t.Errorf("moved: got %v, created %v, want %v, the same bytes and creation", moved.Expires(), moved.Created(), end)
	}
	if got := r.Expires().UnixMilli(); got != 1700086400000 {
		t.Errorf("the record it came from: got an end at %d, want 1700086400000", got)
	}
	if got := r.WithExpires(time.Time{}); !got.Expires().IsZero() {
		t.Errorf("zero time: got %v, want none", got.Expires())
	}
}

func TestRecordNeverShowsItsContent(t *testing.T) {
	r := mustParse(t, `{"password":"hunter2","$":{"to":"hunter2"}}`)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "r", r, "v", *r, "s", []*Record{r})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "r", r, "v", *r, "s", []*Record{r}, "n", (*Record)(nil))
	shown := []string{log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T"} {
		shown = append(shown, fmt.Sprintf(verb, r), fmt.Sprintf(verb, *r), fmt.Sprintf(verb, (*Record)(nil)),
			fmt.Sprintf(verb, []any{r, *r}))
	}
	shown = append(shown, fmt.Sprintf("%v %+[1]v %#[1]v", struct{ r *Record }{r}))
	out, _ := json.Marshal(r)
	shown = append(shown, string(out))
	for _, s := range shown {
		if strings.Contains(s, "hunter2") || strings.Contains(s, "password") || strings.Contains(s, "68756e74657232") {
			t.Errorf("got %s, want no content", s)
		}
	}
	if got := fmt.Sprint(r); got != "sess.Record(43 bytes)" {
		t.Errorf("got %s, want sess.Record(43 bytes)", got)
	}
}

func TestRecordReadsWithoutAllocation(t *testing.T) {
	r := mustParse(t, typicalRecord)
	escaped := mustParse(t, `{"caf\u00e9":"x","count":12}`)
	checks := map[string]func() bool{
		"Raw": func() bool { _, ok := r.Raw("roles"); return ok },
		"two values": func() bool {
			user, _ := r.Raw("user")
			count, _ := r.Raw("count")
			s, ok := jsontext.DecodeValue[string](user)
			n, fine := jsontext.DecodeValue[int](count)
			return ok && fine && s == "alice.liddell@example.com" && n == 12
		},
		"escaped name": func() bool { _, ok := escaped.Raw("café"); return ok },
		"Keys": func() bool {
			n := 0
			for range r.Keys() {
				n++
			}
			return n == r.Len()
		},
		"Expires": func() bool { return !r.Expires().IsZero() },
	}
	for name, check := range checks {
		if got := testing.AllocsPerRun(100, func() {
			if !check() {
				t.Errorf("%s: got a wrong result", name)
			}
		}); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
	}
	if got := testing.AllocsPerRun(100, func() { _, _ = ParseRecord(typicalRecord) }); got != 2 {
		t.Errorf("ParseRecord: got %v allocations, want 2", got)
	}
}

// FuzzParseRecord holds the scanner to encoding/json, and to the two rules on which it is stricter.
func FuzzParseRecord(f *testing.F) {
	for _, s := range []string{koaRecord, typicalRecord, `{}`, ` {"a\u0062":[1,-0.5e+3,"\ud83d\ude00",{"x":null}] } `,
		`{"a":1,"\u0061":2}`, `{"$":{"c":1,"to":"x"}}`, `{"a":"` + "\xff" + `"}`, `[1]`, `{"a":1.}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRecord(s)
		names, valid := topLevel(s)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("error: got %v, want ErrCorrupt", err)
			}
			if _, ok := names[headerMember]; valid && !ok && strings.Count(s, "[")+strings.Count(s, "{") < jsontext.MaxDepth {
				t.Fatalf("%q: got %v, want a record as encoding/json has it", s, err)
			}
			return
		}
		if !valid {
			t.Fatalf("%q: got a record, want ErrCorrupt as encoding/json has it", s)
		}
		if r.JSON() != s || r.count() != len(names) {
			t.Fatalf("%q: got %q with %d members, want the same bytes and %d", s, r.JSON(), r.count(), len(names))
		}
		for name, want := range names {
			if got, ok := r.Raw(name); !ok || got != string(want) {
				t.Fatalf("%q: Raw(%q): got %q, %v, want %q", s, name, got, ok, want)
			}
		}
		for name := range r.Keys() {
			if _, ok := names[name]; !ok || IsReserved(name) {
				t.Fatalf("%q: Keys: got %q, want a key", s, name)
			}
		}
	})
}

// topLevel is the oracle: the members of s as encoding/json sees them, if s is an object in UTF-8 without duplicates.
func topLevel(s string) (names map[string]json.RawMessage, valid bool) {
	if !json.Valid([]byte(s)) || strings.ToValidUTF8(s, "") != s {
		return nil, false
	}
	if err := json.Unmarshal([]byte(s), &names); err != nil || names == nil {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(s))
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	n := 0
	for ; d.More(); n++ {
		var value json.RawMessage
		if _, err := d.Token(); err != nil {
			return nil, false
		}
		if err := d.Decode(&value); err != nil {
			return nil, false
		}
	}
	return names, n == len(names)
}

func BenchmarkReadTwoOfTenMembers(b *testing.B) {
	r := mustParse(b, typicalRecord)
	b.ReportAllocs()
	for b.Loop() {
		user, _ := r.Raw("user")
		theme, _ := r.Raw("theme")
		if s, _ := jsontext.DecodeValue[string](user); s == "" {
			b.Fatal("got no user")
		}
		if s, _ := jsontext.DecodeValue[string](theme); s == "" {
			b.Fatal("got no theme")
		}
	}
}

func BenchmarkParseRecord(b *testing.B) {
	b.SetBytes(int64(len(typicalRecord)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRecord(typicalRecord); err != nil {
			b.Fatal(err)
		}
	}
}
