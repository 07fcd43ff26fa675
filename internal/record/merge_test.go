package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/jsontext"
)

// updaterFunc is a function as an updater.
type updaterFunc func(dst []byte, raw string, ok bool) ([]byte, bool, error)

func (f updaterFunc) Update(dst []byte, raw string, ok bool) ([]byte, bool, error) {
	return f(dst, raw, ok)
}

func set(key, val string) Change { return Change{Key: jsontext.AppendName(nil, key), Val: []byte(val)} }

func remove(key string) Change { return Change{Key: jsontext.AppendName(nil, key), Kind: ChangeDelete} }

// increment is the change that Update makes of a counter.
func increment(key string) Change {
	return Change{Key: jsontext.AppendName(nil, key), Kind: ChangeUpdate,
		Update: updaterFunc(func(dst []byte, raw string, ok bool) ([]byte, bool, error) {
			n, _ := jsontext.DecodeValue[int](raw)
			return strconv.AppendInt(dst, int64(n)+1, 10), true, nil
		})}
}

// leave is an update that always leaves the member as it is, and scribbles on what it must not keep.
func leave(key string) Change {
	return Change{Key: jsontext.AppendName(nil, key), Kind: ChangeUpdate,
		Update: updaterFunc(func(dst []byte, _ string, _ bool) ([]byte, bool, error) { return append(dst, "junk"...), false, nil })}
}

func mustMerge(t testing.TB, base *Record, wipe bool, changes []Change, h Header) *Record {
	t.Helper()
	r, _, err := Merge(base, wipe, changes, h, maxRecord, nil)
	if err != nil {
		t.Fatalf("merge: got %v, want a record", err)
	}
	mustEqualParsed(t, r)
	return r
}

// mustEqualParsed checks that the index made while writing is the one that parsing makes.
func mustEqualParsed(t testing.TB, r *Record) {
	t.Helper()
	if parsed := mustParse(t, r.JSON()); *parsed != *r {
		t.Fatalf("merged %s: got fields %q, want those of the parsed record", r.JSON(), [][]any{
			{r.data, r.created, r.ends, r.size, r.members, r.escaped, r.shape, r.cookie},
			{parsed.data, parsed.created, parsed.ends, parsed.size, parsed.members, parsed.escaped, parsed.shape, parsed.cookie}})
	}
}

func TestMergeKeepsWhatItDoesNotKnow(t *testing.T) {
	to, _ := ident.ParseID("next")
	for _, c := range []struct {
		name    string
		base    string
		wipe    bool
		changes []Change
		h       Header
		want    string
	}{
		{"nothing of nothing", ``, false, nil, Header{}, `{}`},
		{"first member", ``, false, []Change{set("a", "1")}, Header{}, `{"a":1}`},
		{"set in place, new ones behind", `{"a":1,"b":2}`, false, []Change{set("c", "3"), set("a", "9")}, Header{},
			`{"a":9,"b":2,"c":3}`},
		{"values byte for byte, space between them gone", "{ \"a\" : [ 1,  2.50e+1 ] ,\n\"\\u0062\":2 }", false,
			[]Change{set("c", `" "`)}, Header{}, `{"a":[ 1,  2.50e+1 ],"\u0062":2,"c":" "}`},
		{"set by decoded name", `{"caf\u00e9":1,"b":2}`, false, []Change{set("café", "3")}, Header{}, `{"caf\u00e9":3,"b":2}`},
		{"delete", `{"a":1,"b":2,"c":3}`, false, []Change{remove("a"), remove("c"), remove("z")}, Header{}, `{"b":2}`},
		{"update", `{"n":41}`, false, []Change{increment("n"), increment("m")}, Header{}, `{"n":42,"m":1}`},
		{"update leaves", `{"a":1,"n":"x"}`, false, []Change{leave("n"), leave("m")}, Header{}, `{"a":1,"n":"x"}`},
		{"new name escaped as JavaScript does", ``, false, []Change{set("<\"\\\n\x01\u2028é\x7f", "1")}, Header{},
			`{"<\"\\\n\u0001` + "\u2028é\x7f" + `":1}`},
		{"name that is not UTF-8", ``, false, []Change{set("a\xffb", "1")}, Header{}, `{"a` + "\ufffd" + `b":1}`},
		{"wipe keeps the cookie", `{"a":1,"cookie":{"path":"/"},"$":{"c":5,"k":1},"b":2}`, true,
			[]Change{set("b", "3"), increment("a"), remove("x")}, Header{Created: 5}, `{"cookie":{"path":"/"},"b":3,"a":1,"$":{"c":5,"k":1}}`},
		{"cookie in place", `{"a":1,"cookie":{},"b":2}`, false, nil, Header{Cookie: []byte(`{"x":1}`)}, `{"a":1,"cookie":{"x":1},"b":2}`},
		{"cookie new", `{"a":1}`, false, nil, Header{Cookie: []byte(`{}`)}, `{"a":1,"cookie":{}}`},
		{"header", `{"a":1}`, false, nil, Header{Created: 1, Ends: 2, Successor: to}, `{"a":1,"$":{"c":1,"e":2,"to":"next"}}`},
		{"header moves behind", `{"$":{"c":1},"a":1}`, false, nil, Header{Ends: 7}, `{"a":1,"$":{"e":7}}`},
		{"header gone", `{"a":1,"$":{"c":1,"e":2,"to":"x"}}`, false, nil, Header{}, `{"a":1}`},
		{"foreign header members", "{\"$\":{ \"c\":1, \"z\" : [ 1 ] ,\"\\u0065\":2,\"y\":{\"c\":3}}}", false, nil, Header{Created: 9},
			`{"$":{"c":9,"z":[ 1 ],"y":{"c":3}}}`},
		{"only foreign header members", `{"$":{"z":1}}`, false, nil, Header{}, `{"$":{"z":1}}`},
		{"header out of range", ``, false, nil, Header{Created: -1, Ends: 1 << 62}, `{"$":{"e":253402300799999}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var base *Record
			if c.base != "" {
				base = mustParse(t, c.base)
			}
			if got := mustMerge(t, base, c.wipe, c.changes, c.h).JSON(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestMergeRefusesARecordAboveTheLimit(t *testing.T) {
	base := mustParse(t, `{"a":1}`)
	const want = `{"a":1,"b":"xxxx"}`
	if r, _, err := Merge(base, false, []Change{set("b", `"xxxx"`)}, Header{}, len(want), nil); err != nil || r.JSON() != want {
		t.Errorf("at the limit: got %v, want %s", err, want)
	}
	r, buf, err := Merge(base, false, []Change{set("b", `"xxxx"`)}, Header{}, len(want)-1, nil)
	if !errors.Is(err, ErrTooLarge) || r != nil || cap(buf) == 0 {
		t.Errorf("a byte above: got %v, %v, want ErrTooLarge and the scratch back", r, err)
	}
	huge := set("b", `"`+strings.Repeat("x", maxRecord)+`"`)
	if _, _, err = Merge(base, false, []Change{huge}, Header{}, 1<<40, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("above what can be read again: got %v, want ErrTooLarge", err)
	}
}

func TestMergeReturnsTheErrorOfAnUpdate(t *testing.T) {
	boom := errors.New("boom")
	failing := Change{Key: []byte("a"), Kind: ChangeUpdate,
		Update: updaterFunc(func(dst []byte, _ string, _ bool) ([]byte, bool, error) { return nil, true, boom })}
	for _, base := range []*Record{nil, mustParse(t, `{"a":1}`)} {
		r, buf, err := Merge(base, false, []Change{failing}, Header{}, 100, make([]byte, 0, 64))
		if r != nil || err != boom || cap(buf) < 64 {
			t.Errorf("got %v, %v, %d bytes of scratch, want boom and the scratch back", r, err, cap(buf))
		}
	}
}

func TestMergedRecordDoesNotShareTheScratch(t *testing.T) {
	r, buf, _ := Merge(nil, false, []Change{set("a", `"one"`)}, Header{Created: 3}, 100, nil)
	for i := range buf[:cap(buf)] {
		buf[:cap(buf)][i] = 'X'
	}
	if got, _ := r.Raw("a"); got != `"one"` || r.JSON() != `{"a":"one","$":{"c":3}}` {
		t.Errorf("after the scratch was used again: got %s, want what was merged", r.JSON())
	}
}

func TestMergeWritesTheIndexOnBothSidesOf64KiB(t *testing.T) {
	for _, size := range []int{1<<16 - 1, 1 << 16, 1<<16 + 1} {
		big := `"` + strings.Repeat("x", size-len(`{"a":1,"b":"","c":2}`)) + `"`
		r := mustMerge(t, mustParse(t, `{"a":1}`), false, []Change{set("b", big), set("c", "2")}, Header{})
		if c, _ := r.Raw("c"); c != "2" || r.Size() != size {
			t.Errorf("got %s, %d bytes, want 2, %d bytes", c, r.Size(), size)
		}
	}
}

func TestChangedIsExact(t *testing.T) {
	base := mustParse(t, `{"a":1,"b":"x","caf\u00e9":[1, 2],"cookie":{"path":"/"},"$":{"c":1}}`)
	evaluated := func(key, val string) Change {
		c := leave(key)
		c.MadeOf = base
		if val != "" {
			c.Val = []byte(val)
		}
		return c
	}
	older := evaluated("a", "1")
	older.MadeOf = mustParse(t, `{"a":0}`)
	all := []Change{set("a", "1"), set("b", `"x"`), set("café", "[1, 2]")}
	for _, c := range []struct {
		name    string
		base    *Record
		wipe    bool
		changes []Change
		cookie  string
		want    bool
	}{
		{"nothing", base, false, nil, "", false},
		{"nothing of nothing", nil, false, nil, "", false},
		{"wipe of nothing", nil, true, nil, "", false},
		{"wipe of the cookie alone", mustParse(t, `{"cookie":{},"$":{}}`), true, nil, "", false},
		{"equal", base, false, all, "", false},
		{"other bytes", base, false, []Change{set("a", "1.0")}, "", true},
		{"other bytes under an escaped name", base, false, []Change{set("café", "[1,2]")}, "", true},
		{"new", base, false, []Change{set("z", "1")}, "", true},
		{"new of nothing", nil, false, []Change{set("z", "null")}, "", true},
		{"delete", base, false, []Change{remove("a")}, "", true},
		{"delete what is not there", base, false, []Change{remove("z")}, "", false},
		{"update to the same, of an older record", base, false, []Change{older}, "", true},
		{"update to the same", base, false, []Change{evaluated("a", "1")}, "", false},
		{"update", base, false, []Change{evaluated("a", "2")}, "", true},
		{"update leaves", base, false, []Change{evaluated("a", ""), evaluated("z", "")}, "", false},
		{"wipe", base, true, nil, "", true},
		{"wipe and all again", base, true, all, "", false},
		{"wipe and most again", base, true, all[:2], "", true},
		{"wipe, update leaves", base, true, []Change{all[0], all[1], evaluated("café", "")}, "", true},
		{"cookie equal", base, false, nil, `{"path":"/"}`, false},
		{"cookie other", base, false, nil, `{"path":"/x"}`, true},
		{"cookie new", nil, false, nil, `{}`, true},
	} {
		var cookie []byte
		if c.cookie != "" {
			cookie = []byte(c.cookie)
		}
		if got := Changed(c.base, c.wipe, c.changes, cookie); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		if got := testing.AllocsPerRun(10, func() { Changed(c.base, c.wipe, c.changes, cookie) }); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", c.name, got)
		}
	}
	long := strings.Repeat("k", 100)
	r, changes := mustParse(t, `{"`+long+`":1}`), []Change{set(long, "1")}
	if got := testing.AllocsPerRun(10, func() { Changed(r, true, changes, nil) }); got != 0 {
		t.Errorf("a long name: got %v allocations, want 0", got)
	}
}

func TestOneNewValueIsPatchedIntoTheRecord(t *testing.T) {
	base := mustMerge(t, mustParse(t, typicalRecord), false, nil, Header{Created: 1, Ends: 1800000000000})
	h := Header{Created: 1, Ends: 1900000000000}
	wide := mustMerge(t, nil, false, []Change{set("a", "1"), set("b", `"`+strings.Repeat("x", wideRecord-100)+`"`)}, h)
	made, remade := increment("count"), increment("count")
	made.Val, made.MadeOf, made.Update = []byte("14"), base, nil
	remade.Val, remade.MadeOf = []byte("15"), wide // that is, of another record: to be made again
	for _, c := range []struct {
		name    string
		base    *Record
		change  Change
		h       Header
		patched bool
	}{
		{"of the same length", base, set("count", "13"), h, true},
		{"shorter", base, set("count", "1"), h, true},
		{"longer", base, set("count", `"thirteen"`), h, true},
		{"an early member", base, set("user", `"a longer name than there was before, by a lot"`), h, true},
		{"another length of header", base, set("count", "1"), Header{Ends: 7}, true},
		{"an update", base, increment("count"), h, true},
		{"an update of this record", base, made, h, true},
		{"an update of another record", base, remade, h, true},
		{"an update that leaves", base, leave("count"), h, true},
		{"the widest narrow one", wide, set("a", `"`+strings.Repeat("y", wideRecord-1-wide.Size()-1)+`"`), h, true},
		{"too wide", wide, set("a", `"`+strings.Repeat("y", wideRecord-wide.Size()-1)+`"`), h, false},
		{"wide before", mustMerge(t, wide, false, []Change{set("c", wide.JSON())}, h), set("a", "2"), h, false},
		{"a new member", base, set("new", "1"), h, false},
		{"a deletion", base, remove("count"), h, false},
		{"a successor", base, set("count", "13"), Header{Created: 1, Successor: testID(t, "next")}, false},
		{"a cookie", base, set("count", "13"), Header{Created: 1, Cookie: []byte("{}")}, false},
		{"no header any more", base, set("count", "13"), Header{}, false},
		{"no header before", mustParse(t, `{"count":1}`), set("count", "13"), h, false},
		{"a header before the end", mustParse(t, `{"$":{"c":1},"count":1}`), set("count", "13"), h, false},
		{"a header with more in it", mustParse(t, `{"count":1,"$":{"c":1,"x":2}}`), set("count", "13"), h, false},
		{"white space", mustParse(t, `{"count": 1,"$":{"c":1}}`), set("count", "13"), h, false},
		{"white space at the end", mustParse(t, `{"count":1,"$":{"c":1} }`), set("count", "13"), h, false},
		{"white space in front", mustParse(t, ` {"count":1,"$":{"c":1}}`), set("count", "13"), h, false},
		{"an escaped name", mustParse(t, `{"c\u006funt":1,"$":{"c":1}}`), set("count", "13"), h, false},
		{"nothing there", nil, set("count", "13"), h, false},
	} {
		r, _, err := patch(c.base, &c.change, &c.h, maxRecord, nil)
		if err != nil || (r != nil) != c.patched {
			t.Errorf("%s: got patched %v, %v, want %v", c.name, r != nil, err, c.patched)
			continue
		}
		want, _, _ := rebuild(c.base, false, []Change{c.change}, c.h, maxRecord, nil)
		if got, _, err := Merge(c.base, false, []Change{c.change}, c.h, maxRecord, nil); err != nil || *got != *want {
			t.Errorf("%s: got %s, %v, want %s", c.name, got.JSON(), err, want.JSON())
		}
		if c.patched && *r != *want {
			t.Errorf("%s: got %s, want %s", c.name, r.JSON(), want.JSON())
		}
	}
	changes := []Change{set("count", "13")}
	size := mustMerge(t, base, false, changes, h).Size()
	for limit, want := range map[int]error{size: nil, size - 1: ErrTooLarge} {
		if _, buf, err := patch(base, &changes[0], &h, limit, nil); err != want || cap(buf) == 0 {
			t.Errorf("%d bytes of %d: got %v, want %v and the scratch back", size, limit, err, want)
		}
	}
	boom := errors.New("boom")
	changes[0] = Change{Key: []byte("count"), Kind: ChangeUpdate,
		Update: updaterFunc(func([]byte, string, bool) ([]byte, bool, error) { return nil, true, boom })}
	if r, buf, err := Merge(base, false, changes, h, maxRecord, nil); r != nil || err != boom || cap(buf) == 0 {
		t.Errorf("an update that fails: got %v, %v, want boom and the scratch back", r, err)
	}
}

func TestMergeAllocatesTheRecordAndItsData(t *testing.T) {
	buf := make([]byte, 0, 4096)
	to, _ := ident.ParseID("next")
	long := strings.Repeat("k", 100)
	base := mustMerge(t, mustParse(t, typicalRecord), false, []Change{set(long, "1")}, Header{})
	changes := []Change{increment("count"), set("new", "1"), remove("lang"), set(long, "2")}
	h := Header{Created: 1, Ends: 2, Successor: to, Cookie: []byte(`{}`)}
	for _, r := range []*Record{nil, base} {
		if got := testing.AllocsPerRun(100, func() { _, buf, _ = Merge(r, false, changes, h, 4096, buf) }); got != 2 {
			t.Errorf("merge into %v: got %v allocations, want 2", r, got)
		}
	}
}

// FuzzMerge holds merge to a model: an ordinary map of the members.
func FuzzMerge(f *testing.F) {
	f.Add(koaRecord, uint64(1))
	f.Add(typicalRecord, uint64(2))
	f.Add(`{"k0":1,"\u006b1":"x","$":{"x":1,"to":"y"},"k\"2":[]}`, uint64(3))
	for i := range uint64(50) {
		f.Add(`{"k1":1,"k2":{},"cookie":{}}`, i)
	}
	f.Fuzz(func(t *testing.T, s string, seed uint64) {
		base, err := ParseRecord(s)
		if err != nil {
			return
		}
		random := rand.New(rand.NewPCG(seed, 1))
		wipe, changes, h := randomMerge(random, base)
		model := modelMerge(base, wipe, changes, h)

		r, buf, err := Merge(base, wipe, changes, h, maxRecord, nil)
		if err != nil {
			t.Fatalf("merge: got %v, want a record", err)
		}
		mustEqualParsed(t, r)
		got, _ := topLevel(r.JSON())
		delete(got, headerMember)
		if !maps.EqualFunc(got, model, func(a json.RawMessage, b string) bool { return string(a) == b }) {
			t.Fatalf("%s: got %s, want the members %q", s, r.JSON(), model)
		}
		if r.created != h.Created || r.ends != h.Ends {
			t.Fatalf("header: got %d, %d, want %d, %d", r.created, r.ends, h.Created, h.Ends)
		}
		if id, ok := r.Successor(); id != h.Successor || ok == id.IsZero() {
			t.Fatalf("successor: got %v, %v, want %v", id, ok, h.Successor)
		}
		if want := !maps.Equal(model, members(base)); Changed(base, wipe, changes, h.Cookie) != want {
			t.Fatalf("changed: got %v, want %v: %s to %s", !want, want, s, r.JSON())
		}
		for i := range changes {
			h.Ends = random.Int64N(maxInstant)
			got, _, err := Merge(r, false, changes[i:i+1], h, maxRecord, nil)
			want, _, _ := rebuild(r, false, changes[i:i+1], h, maxRecord, nil)
			if err != nil || *got != *want {
				t.Fatalf("one change of %s: got %s, %v, want %s", r.JSON(), got.JSON(), err, want.JSON())
			}
		}
		h.Ends = r.ends
		again, _, err := Merge(r, false, nil, h, maxRecord, buf)
		if err != nil || *again != *r {
			t.Fatalf("merging nothing into the result: got %s, want %s", again.JSON(), r.JSON())
		}
	})
}

// randomMerge makes changes of keys that base has and of keys that it has not, each once.
func randomMerge(random *rand.Rand, base *Record) (wipe bool, changes []Change, h Header) {
	keys := slices.Collect(base.Keys())
	for i := range 1 + random.IntN(40) {
		keys = append(keys, "k"+strconv.Itoa(i), "k\""+strconv.Itoa(i))
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, key := range keys[:random.IntN(min(len(keys), 40)+1)] {
		raw, _ := base.Raw(key)
		switch random.IntN(5) {
		case 0:
			changes = append(changes, remove(key))
		case 1:
			c := leave(key)
			c.MadeOf = base
			changes = append(changes, c)
		case 2:
			c := Change{Key: []byte(key), Kind: ChangeUpdate, Val: []byte(`[7]`), MadeOf: base}
			c.Update = updaterFunc(func(dst []byte, _ string, _ bool) ([]byte, bool, error) { return append(dst, `"again"`...), true, nil })
			changes = append(changes, c)
		case 3:
			changes = append(changes, set(key, fmt.Sprintf(`{"v":%d}`, random.IntN(9))))
		case 4:
			if raw != "" {
				changes = append(changes, set(key, raw))
			}
		}
	}
	if random.IntN(2) == 0 {
		h.Created, h.Ends = random.Int64N(maxInstant), random.Int64N(maxInstant)
	}
	if random.IntN(3) == 0 {
		h.Successor, _ = ident.ParseID("id" + strconv.Itoa(random.IntN(1000)))
	}
	if random.IntN(3) == 0 {
		h.Cookie = []byte(`{"path":"/x"}`)
	}
	return random.IntN(4) == 0, changes, h
}

// members is a record as a map, without the header.
func members(r *Record) map[string]string {
	all, _ := topLevel(r.JSON())
	m := make(map[string]string, len(all))
	for name, value := range all {
		m[name] = string(value)
	}
	delete(m, headerMember)
	return m
}

func modelMerge(base *Record, wipe bool, changes []Change, h Header) map[string]string {
	m := members(base)
	if wipe {
		maps.DeleteFunc(m, func(name, _ string) bool { return name != cookieMember })
	}
	for _, c := range changes {
		switch {
		case c.Kind == ChangeDelete:
			delete(m, string(c.Key))
		case c.Val != nil:
			m[string(c.Key)] = string(c.Val)
		}
	}
	if h.Cookie != nil {
		m[cookieMember] = string(h.Cookie)
	}
	return m
}

func BenchmarkMergeOneCounter(b *testing.B) {
	base := mustParse(b, typicalRecord)
	changes := []Change{set("count", "13")}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if _, buf, err = Merge(base, false, changes, Header{Created: 1700000000000, Ends: 1700086400000}, 1<<16, buf); err != nil {
			b.Fatal(err)
		}
	}
}
