package sess

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
)

// updaterFunc is a function as an updater.
type updaterFunc func(dst []byte, raw string, ok bool) ([]byte, bool, error)

func (f updaterFunc) update(dst []byte, raw string, ok bool) ([]byte, bool, error) {
	return f(dst, raw, ok)
}

func set(key, val string) change { return change{key: appendName(nil, key), val: []byte(val)} }

func remove(key string) change { return change{key: appendName(nil, key), kind: changeDelete} }

// increment is the change that Update makes of a counter.
func increment(key string) change {
	return change{key: appendName(nil, key), kind: changeUpdate,
		update: updaterFunc(func(dst []byte, raw string, ok bool) ([]byte, bool, error) {
			n, _ := decodeValue[int](raw)
			return strconv.AppendInt(dst, int64(n)+1, 10), true, nil
		})}
}

// leave is an update that always leaves the member as it is, and scribbles on what it must not keep.
func leave(key string) change {
	return change{key: appendName(nil, key), kind: changeUpdate,
		update: updaterFunc(func(dst []byte, _ string, _ bool) ([]byte, bool, error) { return append(dst, "junk"...), false, nil })}
}

func mustMerge(t testing.TB, base *Record, wipe bool, changes []change, h header) *Record {
	t.Helper()
	r, _, err := merge(base, wipe, changes, h, maxRecord, nil)
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
			{r.data, r.created, r.ends, r.size, r.members, r.escaped, r.renewed, r.foreign, r.cookie},
			{parsed.data, parsed.created, parsed.ends, parsed.size, parsed.members, parsed.escaped, parsed.renewed, parsed.foreign, parsed.cookie}})
	}
}

func TestMergeKeepsWhatItDoesNotKnow(t *testing.T) {
	to, _ := ParseID("next")
	for _, c := range []struct {
		name    string
		base    string
		wipe    bool
		changes []change
		h       header
		want    string
	}{
		{"nothing of nothing", ``, false, nil, header{}, `{}`},
		{"first member", ``, false, []change{set("a", "1")}, header{}, `{"a":1}`},
		{"set in place, new ones behind", `{"a":1,"b":2}`, false, []change{set("c", "3"), set("a", "9")}, header{},
			`{"a":9,"b":2,"c":3}`},
		{"values byte for byte, space between them gone", "{ \"a\" : [ 1,  2.50e+1 ] ,\n\"\\u0062\":2 }", false,
			[]change{set("c", `" "`)}, header{}, `{"a":[ 1,  2.50e+1 ],"\u0062":2,"c":" "}`},
		{"set by decoded name", `{"caf\u00e9":1,"b":2}`, false, []change{set("café", "3")}, header{}, `{"caf\u00e9":3,"b":2}`},
		{"delete", `{"a":1,"b":2,"c":3}`, false, []change{remove("a"), remove("c"), remove("z")}, header{}, `{"b":2}`},
		{"update", `{"n":41}`, false, []change{increment("n"), increment("m")}, header{}, `{"n":42,"m":1}`},
		{"update leaves", `{"a":1,"n":"x"}`, false, []change{leave("n"), leave("m")}, header{}, `{"a":1,"n":"x"}`},
		{"new name escaped as JavaScript does", ``, false, []change{set("<\"\\\n\x01\u2028é\x7f", "1")}, header{},
			`{"<\"\\\n\u0001` + "\u2028é\x7f" + `":1}`},
		{"name that is not UTF-8", ``, false, []change{set("a\xffb", "1")}, header{}, `{"a` + "\ufffd" + `b":1}`},
		{"wipe keeps the cookie", `{"a":1,"cookie":{"path":"/"},"$":{"c":5,"k":1},"b":2}`, true,
			[]change{set("b", "3"), increment("a"), remove("x")}, header{created: 5}, `{"cookie":{"path":"/"},"b":3,"a":1,"$":{"c":5,"k":1}}`},
		{"cookie in place", `{"a":1,"cookie":{},"b":2}`, false, nil, header{cookie: []byte(`{"x":1}`)}, `{"a":1,"cookie":{"x":1},"b":2}`},
		{"cookie new", `{"a":1}`, false, nil, header{cookie: []byte(`{}`)}, `{"a":1,"cookie":{}}`},
		{"header", `{"a":1}`, false, nil, header{created: 1, ends: 2, successor: to}, `{"a":1,"$":{"c":1,"e":2,"to":"next"}}`},
		{"header moves behind", `{"$":{"c":1},"a":1}`, false, nil, header{ends: 7}, `{"a":1,"$":{"e":7}}`},
		{"header gone", `{"a":1,"$":{"c":1,"e":2,"to":"x"}}`, false, nil, header{}, `{"a":1}`},
		{"foreign header members", "{\"$\":{ \"c\":1, \"z\" : [ 1 ] ,\"\\u0065\":2,\"y\":{\"c\":3}}}", false, nil, header{created: 9},
			`{"$":{"c":9,"z":[ 1 ],"y":{"c":3}}}`},
		{"only foreign header members", `{"$":{"z":1}}`, false, nil, header{}, `{"$":{"z":1}}`},
		{"header out of range", ``, false, nil, header{created: -1, ends: 1 << 62}, `{"$":{"e":253402300799999}}`},
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
	if r, _, err := merge(base, false, []change{set("b", `"xxxx"`)}, header{}, len(want), nil); err != nil || r.JSON() != want {
		t.Errorf("at the limit: got %v, want %s", err, want)
	}
	r, buf, err := merge(base, false, []change{set("b", `"xxxx"`)}, header{}, len(want)-1, nil)
	if !errors.Is(err, ErrTooLarge) || r != nil || cap(buf) == 0 {
		t.Errorf("a byte above: got %v, %v, want ErrTooLarge and the scratch back", r, err)
	}
	huge := set("b", `"`+strings.Repeat("x", maxRecord)+`"`)
	if _, _, err = merge(base, false, []change{huge}, header{}, 1<<40, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("above what can be read again: got %v, want ErrTooLarge", err)
	}
}

func TestMergeReturnsTheErrorOfAnUpdate(t *testing.T) {
	boom := errors.New("boom")
	failing := change{key: []byte("a"), kind: changeUpdate,
		update: updaterFunc(func(dst []byte, _ string, _ bool) ([]byte, bool, error) { return nil, true, boom })}
	for _, base := range []*Record{nil, mustParse(t, `{"a":1}`)} {
		r, buf, err := merge(base, false, []change{failing}, header{}, 100, make([]byte, 0, 64))
		if r != nil || err != boom || cap(buf) < 64 {
			t.Errorf("got %v, %v, %d bytes of scratch, want boom and the scratch back", r, err, cap(buf))
		}
	}
}

func TestMergedRecordDoesNotShareTheScratch(t *testing.T) {
	r, buf, _ := merge(nil, false, []change{set("a", `"one"`)}, header{created: 3}, 100, nil)
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
		r := mustMerge(t, mustParse(t, `{"a":1}`), false, []change{set("b", big), set("c", "2")}, header{})
		if c, _ := r.Raw("c"); c != "2" || r.Size() != size {
			t.Errorf("got %s, %d bytes, want 2, %d bytes", c, r.Size(), size)
		}
	}
}

func TestChangedIsExact(t *testing.T) {
	base := mustParse(t, `{"a":1,"b":"x","caf\u00e9":[1, 2],"cookie":{"path":"/"},"$":{"c":1}}`)
	evaluated := func(key, val string) change {
		c := leave(key)
		c.madeOf = base
		if val != "" {
			c.val = []byte(val)
		}
		return c
	}
	older := evaluated("a", "1")
	older.madeOf = mustParse(t, `{"a":0}`)
	all := []change{set("a", "1"), set("b", `"x"`), set("café", "[1, 2]")}
	for _, c := range []struct {
		name    string
		base    *Record
		wipe    bool
		changes []change
		cookie  string
		want    bool
	}{
		{"nothing", base, false, nil, "", false},
		{"nothing of nothing", nil, false, nil, "", false},
		{"wipe of nothing", nil, true, nil, "", false},
		{"wipe of the cookie alone", mustParse(t, `{"cookie":{},"$":{}}`), true, nil, "", false},
		{"equal", base, false, all, "", false},
		{"other bytes", base, false, []change{set("a", "1.0")}, "", true},
		{"other bytes under an escaped name", base, false, []change{set("café", "[1,2]")}, "", true},
		{"new", base, false, []change{set("z", "1")}, "", true},
		{"new of nothing", nil, false, []change{set("z", "null")}, "", true},
		{"delete", base, false, []change{remove("a")}, "", true},
		{"delete what is not there", base, false, []change{remove("z")}, "", false},
		{"update to the same, of an older record", base, false, []change{older}, "", true},
		{"update to the same", base, false, []change{evaluated("a", "1")}, "", false},
		{"update", base, false, []change{evaluated("a", "2")}, "", true},
		{"update leaves", base, false, []change{evaluated("a", ""), evaluated("z", "")}, "", false},
		{"wipe", base, true, nil, "", true},
		{"wipe and all again", base, true, all, "", false},
		{"wipe and most again", base, true, all[:2], "", true},
		{"wipe, update leaves", base, true, []change{all[0], all[1], evaluated("café", "")}, "", true},
		{"cookie equal", base, false, nil, `{"path":"/"}`, false},
		{"cookie other", base, false, nil, `{"path":"/x"}`, true},
		{"cookie new", nil, false, nil, `{}`, true},
	} {
		var cookie []byte
		if c.cookie != "" {
			cookie = []byte(c.cookie)
		}
		if got := changed(c.base, c.wipe, c.changes, cookie); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		if got := testing.AllocsPerRun(10, func() { changed(c.base, c.wipe, c.changes, cookie) }); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", c.name, got)
		}
	}
	long := strings.Repeat("k", 100)
	r, changes := mustParse(t, `{"`+long+`":1}`), []change{set(long, "1")}
	if got := testing.AllocsPerRun(10, func() { changed(r, true, changes, nil) }); got != 0 {
		t.Errorf("a long name: got %v allocations, want 0", got)
	}
}

func TestOneNewValueIsPatchedIntoTheRecord(t *testing.T) {
	base := mustMerge(t, mustParse(t, typicalRecord), false, nil, header{created: 1, ends: 1800000000000})
	h := header{created: 1, ends: 1900000000000}
	wide := mustMerge(t, nil, false, []change{set("a", "1"), set("b", `"`+strings.Repeat("x", wideRecord-100)+`"`)}, h)
	made, remade := increment("count"), increment("count")
	made.val, made.madeOf, made.update = []byte("14"), base, nil
	remade.val, remade.madeOf = []byte("15"), wide // that is, of another record: to be made again
	for _, c := range []struct {
		name    string
		base    *Record
		change  change
		h       header
		patched bool
	}{
		{"of the same length", base, set("count", "13"), h, true},
		{"shorter", base, set("count", "1"), h, true},
		{"longer", base, set("count", `"thirteen"`), h, true},
		{"an early member", base, set("user", `"a longer name than there was before, by a lot"`), h, true},
		{"another length of header", base, set("count", "1"), header{ends: 7}, true},
		{"an update", base, increment("count"), h, true},
		{"an update of this record", base, made, h, true},
		{"an update of another record", base, remade, h, true},
		{"an update that leaves", base, leave("count"), h, true},
		{"the widest narrow one", wide, set("a", `"`+strings.Repeat("y", wideRecord-1-wide.Size()-1)+`"`), h, true},
		{"too wide", wide, set("a", `"`+strings.Repeat("y", wideRecord-wide.Size()-1)+`"`), h, false},
		{"wide before", mustMerge(t, wide, false, []change{set("c", wide.JSON())}, h), set("a", "2"), h, false},
		{"a new member", base, set("new", "1"), h, false},
		{"a deletion", base, remove("count"), h, false},
		{"a successor", base, set("count", "13"), header{created: 1, successor: testID(t, "next")}, false},
		{"a cookie", base, set("count", "13"), header{created: 1, cookie: []byte("{}")}, false},
		{"no header any more", base, set("count", "13"), header{}, false},
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
		want, _, _ := rebuild(c.base, false, []change{c.change}, c.h, maxRecord, nil)
		if got, _, err := merge(c.base, false, []change{c.change}, c.h, maxRecord, nil); err != nil || *got != *want {
			t.Errorf("%s: got %s, %v, want %s", c.name, got.JSON(), err, want.JSON())
		}
		if c.patched && *r != *want {
			t.Errorf("%s: got %s, want %s", c.name, r.JSON(), want.JSON())
		}
	}
	changes := []change{set("count", "13")}
	size := mustMerge(t, base, false, changes, h).Size()
	for limit, want := range map[int]error{size: nil, size - 1: ErrTooLarge} {
		if _, buf, err := patch(base, &changes[0], &h, limit, nil); err != want || cap(buf) == 0 {
			t.Errorf("%d bytes of %d: got %v, want %v and the scratch back", size, limit, err, want)
		}
	}
	boom := errors.New("boom")
	changes[0] = change{key: []byte("count"), kind: changeUpdate,
		update: updaterFunc(func([]byte, string, bool) ([]byte, bool, error) { return nil, true, boom })}
	if r, buf, err := merge(base, false, changes, h, maxRecord, nil); r != nil || err != boom || cap(buf) == 0 {
		t.Errorf("an update that fails: got %v, %v, want boom and the scratch back", r, err)
	}
}

func TestMergeAllocatesTheRecordAndItsData(t *testing.T) {
	buf := make([]byte, 0, 4096)
	to, _ := ParseID("next")
	long := strings.Repeat("k", 100)
	base := mustMerge(t, mustParse(t, typicalRecord), false, []change{set(long, "1")}, header{})
	changes := []change{increment("count"), set("new", "1"), remove("lang"), set(long, "2")}
	h := header{created: 1, ends: 2, successor: to, cookie: []byte(`{}`)}
	for _, r := range []*Record{nil, base} {
		if got := testing.AllocsPerRun(100, func() { _, buf, _ = merge(r, false, changes, h, 4096, buf) }); got != 2 {
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

		r, buf, err := merge(base, wipe, changes, h, maxRecord, nil)
		if err != nil {
			t.Fatalf("merge: got %v, want a record", err)
		}
		mustEqualParsed(t, r)
		got, _ := topLevel(r.JSON())
		delete(got, headerMember)
		if !maps.EqualFunc(got, model, func(a json.RawMessage, b string) bool { return string(a) == b }) {
			t.Fatalf("%s: got %s, want the members %q", s, r.JSON(), model)
		}
		if r.created != h.created || r.ends != h.ends {
			t.Fatalf("header: got %d, %d, want %d, %d", r.created, r.ends, h.created, h.ends)
		}
		if id, ok := r.successor(); id != h.successor || ok == id.IsZero() {
			t.Fatalf("successor: got %v, %v, want %v", id, ok, h.successor)
		}
		if want := !maps.Equal(model, members(base)); changed(base, wipe, changes, h.cookie) != want {
			t.Fatalf("changed: got %v, want %v: %s to %s", !want, want, s, r.JSON())
		}
		for i := range changes {
			h.ends = random.Int64N(maxInstant)
			got, _, err := merge(r, false, changes[i:i+1], h, maxRecord, nil)
			want, _, _ := rebuild(r, false, changes[i:i+1], h, maxRecord, nil)
			if err != nil || *got != *want {
				t.Fatalf("one change of %s: got %s, %v, want %s", r.JSON(), got.JSON(), err, want.JSON())
			}
		}
		h.ends = r.ends
		again, _, err := merge(r, false, nil, h, maxRecord, buf)
		if err != nil || *again != *r {
			t.Fatalf("merging nothing into the result: got %s, want %s", again.JSON(), r.JSON())
		}
	})
}

// randomMerge makes changes of keys that base has and of keys that it has not, each once.
func randomMerge(random *rand.Rand, base *Record) (wipe bool, changes []change, h header) {
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
			c.madeOf = base
			changes = append(changes, c)
		case 2:
			c := change{key: []byte(key), kind: changeUpdate, val: []byte(`[7]`), madeOf: base}
			c.update = updaterFunc(func(dst []byte, _ string, _ bool) ([]byte, bool, error) { return append(dst, `"again"`...), true, nil })
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
		h.created, h.ends = random.Int64N(maxInstant), random.Int64N(maxInstant)
	}
	if random.IntN(3) == 0 {
		h.successor, _ = ParseID("id" + strconv.Itoa(random.IntN(1000)))
	}
	if random.IntN(3) == 0 {
		h.cookie = []byte(`{"path":"/x"}`)
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

func modelMerge(base *Record, wipe bool, changes []change, h header) map[string]string {
	m := members(base)
	if wipe {
		maps.DeleteFunc(m, func(name, _ string) bool { return name != cookieMember })
	}
	for _, c := range changes {
		switch {
		case c.kind == changeDelete:
			delete(m, string(c.key))
		case c.val != nil:
			m[string(c.key)] = string(c.val)
		}
	}
	if h.cookie != nil {
		m[cookieMember] = string(h.cookie)
	}
	return m
}

func BenchmarkMergeOneCounter(b *testing.B) {
	base := mustParse(b, typicalRecord)
	changes := []change{set("count", "13")}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if _, buf, err = merge(base, false, changes, header{created: 1700000000000, ends: 1700086400000}, 1<<16, buf); err != nil {
			b.Fatal(err)
		}
	}
}
