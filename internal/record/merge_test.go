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
type updaterFunc func(dst []byte, raw string, ok bool) ([]byte, error)

func (f updaterFunc) Update(dst []byte, raw string, ok bool) ([]byte, error) { return f(dst, raw, ok) }

// write is something done to Changes.
type write func(c *Changes)

// pending returns the changes that the writes make.
func pending(writes ...write) *Changes {
	c := new(Changes)
	for _, w := range writes {
		w(c)
	}
	return c
}

// wiped are changes behind a Wipe.
func wiped(writes ...write) *Changes {
	c := new(Changes)
	c.Wipe()
	for _, w := range writes {
		w(c)
	}
	return c
}

// set makes val, which is JSON, the value of key.
func set(key, val string) write {
	return func(c *Changes) {
		i, err := c.write(key, append(c.arena, val...))
		if err != nil {
			panic(err)
		}
		c.settle(i)
		c.list[i].kind, c.list[i].update = kindSet, nil
	}
}

func remove(key string) write {
	return func(c *Changes) {
		if err := c.Delete(nil, key); err != nil {
			panic(err)
		}
	}
}

// update lists an Update that was made of base and gave val; u is to run on other records.
func update(base *Record, key, val string, u Updater) write {
	return func(c *Changes) {
		if err := c.Update(base, key, constant(val)); err != nil {
			panic(err)
		}
		c.list[c.find(key)].update = u
	}
}

// increment is an Update of a counter, made of another record.
func increment(key string) write { return update(new(Record), key, "-1", counter) }

var counter = updaterFunc(func(dst []byte, raw string, ok bool) ([]byte, error) {
	n, _ := jsontext.DecodeValue[int](raw)
	return strconv.AppendInt(dst, int64(n)+1, 10), nil
})

// constant is an Update that makes val of everything.
func constant(val string) Updater {
	return updaterFunc(func(dst []byte, _ string, _ bool) ([]byte, error) { return append(dst, val...), nil })
}

func mustMerge(t testing.TB, base *Record, c *Changes, h Header) *Record {
	t.Helper()
	r, err := Merge(base, c, h, maxRecord)
	if err != nil {
		t.Fatalf("merge: got %v, want a record", err)
	}
	mustEqualParsed(t, r)
	return r
}

// mustEqualParsed checks that the index made while writing is the one that parsing makes.
func mustEqualParsed(t testing.TB, r *Record) {
	t.Helper()
	parsed := mustParse(t, r.JSON())
	if got, want := *r, *parsed; !sameBytes(got, want) {
		t.Fatalf("merged %.500s: got index %.200q, %d, %d, %b, want %.200q, %d, %d, %b, those of the parsed record", r.JSON(),
			got.data.all()[got.size:], got.created, got.ends, got.shape, want.data.all()[want.size:], want.created, want.ends, want.shape)
	}
	for i := range r.count() {
		name := jsontext.Unquoted(r.name(r.member(i)))
		if _, at := search(r, name); at != i {
			t.Fatalf("merged %s: got %q at %d, want it at %d", r.JSON(), name, at, i)
		}
	}
}

// sameBytes reports whether two records are equal, and have the same index.
func sameBytes(a, b Record) bool {
	return a.data.all() == b.data.all() && a.created == b.created && a.ends == b.ends && a.size == b.size && a.shape == b.shape
}

func TestMergeKeepsWhatItDoesNotKnow(t *testing.T) {
	to, _ := ident.ParseID("next")
	for _, c := range []struct {
		name    string
		base    string
		changes *Changes
		h       Header
		want    string
	}{
		{"nothing of nothing", ``, nil, Header{}, `{}`},
		{"first member", ``, pending(set("a", "1")), Header{}, `{"a":1}`},
		{"set in place, new ones behind", `{"a":1,"b":2}`, pending(set("c", "3"), set("a", "9")), Header{},
			`{"a":9,"b":2,"c":3}`},
		{"values byte for byte, space between them gone", "{ \"a\" : [ 1,  2.50e+1 ] ,\n\"\\u0062\":2 }",
			pending(set("c", `" "`)), Header{}, `{"a":[ 1,  2.50e+1 ],"\u0062":2,"c":" "}`},
		{"set by decoded name", `{"caf\u00e9":1,"b":2}`, pending(set("café", "3")), Header{}, `{"caf\u00e9":3,"b":2}`},
		{"delete", `{"a":1,"b":2,"c":3}`, pending(remove("a"), remove("c"), remove("z")), Header{}, `{"b":2}`},
		{"delete all", `{"a":1,"b":2}`, pending(remove("b"), remove("a")), Header{}, `{}`},
		{"update", `{"n":41}`, pending(increment("n"), increment("m")), Header{}, `{"n":42,"m":1}`},
		{"new name escaped as JavaScript does", ``, pending(set("<\"\\\n\x01\u2028é\x7f", "1")), Header{},
			`{"<\"\\\n\u0001` + "\u2028é\x7f" + `":1}`},
		{"wipe keeps the cookie", `{"a":1,"cookie":{"path":"/"},"$":{"c":5,"k":1},"b":2}`,
			wiped(set("b", "3"), set("a", "1"), remove("x")), Header{Created: 5}, `{"cookie":{"path":"/"},"b":3,"a":1,"$":{"c":5,"k":1}}`},
		{"wipe with another cookie", `{"a":1,"cookie":{"path":"/"}}`, wiped(set("b", "3")), Header{Cookie: []byte(`{}`)}, `{"cookie":{},"b":3}`},
		{"wipe and a first cookie", `{"a":1,"b":2}`, wiped(), Header{Cookie: []byte(`{}`)}, `{"cookie":{}}`},
		{"wipe all", `{"a":1,"$":{"c":5}}`, wiped(), Header{}, `{}`},
		{"cookie in place", `{"a":1,"cookie":{},"b":2}`, nil, Header{Cookie: []byte(`{"x":1}`)}, `{"a":1,"cookie":{"x":1},"b":2}`},
		{"cookie new", `{"a":1}`, nil, Header{Cookie: []byte(`{}`)}, `{"a":1,"cookie":{}}`},
		{"header", `{"a":1}`, nil, Header{Created: 1, Ends: 2, Successor: &to}, `{"a":1,"$":{"c":1,"e":2,"to":"next"}}`},
		{"header moves behind", `{"$":{"c":1},"a":1}`, nil, Header{Ends: 7}, `{"a":1,"$":{"e":7}}`},
		{"header and cookie in the middle", `{"a":1,"$":{"c":1},"cookie":{},"b":2}`, pending(set("a", "0"), set("b", "3")),
			Header{Ends: 7, Cookie: []byte(`[]`)}, `{"a":0,"cookie":[],"b":3,"$":{"e":7}}`},
		{"header gone", `{"a":1,"$":{"c":1,"e":2,"to":"x"}}`, nil, Header{}, `{"a":1}`},
		{"foreign header members", "{\"$\":{ \"c\":1, \"z\" : [ 1 ] ,\"\\u0065\":2,\"y\":{\"c\":3}}}", nil, Header{Created: 9},
			`{"$":{"c":9,"z":[ 1 ],"y":{"c":3}}}`},
		{"only foreign header members", `{"$":{"z":1}}`, nil, Header{}, `{"$":{"z":1}}`},
		{"header out of range", ``, nil, Header{Created: -1, Ends: 1 << 62, User: "u", Login: 1 << 62}, `{"$":{"e":253402300799999,"u":"u","l":253402300799999}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var base *Record
			if c.base != "" {
				base = mustParse(t, c.base)
			}
			if got := mustMerge(t, base, c.changes, c.h).JSON(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestMergeRefusesARecordAboveTheLimit(t *testing.T) {
	base := mustParse(t, `{"a":1}`)
	const want = `{"a":1,"b":"xxxx"}`
	if r, err := Merge(base, pending(set("b", `"xxxx"`)), Header{}, len(want)); err != nil || r.JSON() != want {
		t.Errorf("at the limit: got %v, want %s", err, want)
	}
	if r, err := Merge(base, pending(set("b", `"xxxx"`)), Header{}, len(want)-1); !errors.Is(err, ErrTooLarge) || r != nil {
		t.Errorf("a byte above: got %v, %v, want ErrTooLarge", r, err)
	}
	huge := pending(set("b", `"`+strings.Repeat("x", maxRecord-len(`{"b":""}`))+`"`))
	if r, err := Merge(nil, huge, Header{}, 1<<40); err != nil || r.Size() != maxRecord {
		t.Errorf("what can just be read again: got %v, want a record", err)
	}
	if _, err := Merge(base, huge, Header{}, 1<<40); !errors.Is(err, ErrTooLarge) {
		t.Errorf("above what can be read again: got %v, want ErrTooLarge", err)
	}
}

func TestMergeReturnsTheErrorOfAnUpdate(t *testing.T) {
	boom := errors.New("boom")
	failing := updaterFunc(func(dst []byte, _ string, _ bool) ([]byte, error) { return nil, boom })
	for _, base := range []*Record{nil, mustParse(t, `{"a":1}`)} {
		c := pending(update(new(Record), "a", "1", failing))
		for range 2 { // A failure leaves the changes as they were.
			if r, err := Merge(base, c, Header{}, 100); r != nil || err != boom {
				t.Errorf("got %v, %v, want boom", r, err)
			}
		}
	}
}

func TestMergeReturnsTheErrorOfAChange(t *testing.T) {
	c := pending(set("a", "1"))
	want := Set(c, "b", make(chan int))
	if r, err := Merge(nil, c, Header{}, 100); r != nil || err != want || want == nil {
		t.Errorf("got %v, %v, want %v", r, err, want)
	}
}

func TestMergedRecordDoesNotShareTheScratch(t *testing.T) {
	c := pending(set("a", `"one"`), increment("n"))
	r := mustMerge(t, nil, c, Header{Created: 3})
	for _, b := range [][]byte{c.arena[:cap(c.arena)], c.scratch[:cap(c.scratch)]} {
		for i := range b {
			b[i] = 'X'
		}
	}
	if got := r.JSON(); got != `{"a":"one","n":1,"$":{"c":3}}` {
		t.Errorf("after the scratch was used again: got %s, want what was merged", got)
	}
}

func TestMergeWritesTheIndexOnBothSidesOf64KiB(t *testing.T) {
	const rest = len(`{"a":1,"b":"","c":2}`)
	for _, size := range []int{1<<16 - 1, 1 << 16, 1<<16 + 1} {
		big := `"` + strings.Repeat("x", size-rest) + `"`
		grown := mustMerge(t, mustParse(t, `{"a":1}`), pending(set("b", big), set("c", "2")), Header{})
		for _, r := range []*Record{
			grown,
			mustMerge(t, grown, pending(set("a", "5")), Header{}),
			mustMerge(t, mustMerge(t, grown, pending(set("a", "11")), Header{}), pending(set("a", "1")), Header{}),
		} {
			if c, _ := r.Raw("c"); c != "2" || r.Size() != size {
				t.Errorf("got %s, %d bytes, want 2, %d bytes", c, r.Size(), size)
			}
		}
	}
}

func TestChangedIsExact(t *testing.T) {
	base := mustParse(t, `{"a":1,"b":"x","caf\u00e9":[1, 2],"cookie":{"path":"/"},"$":{"c":1}}`)
	made := func(key, val string) write { return update(base, key, val, counter) }
	older := update(mustParse(t, `{"a":0}`), "a", "1", counter)
	all := []write{set("a", "1"), set("b", `"x"`), set("café", "[1, 2]")}
	for _, c := range []struct {
		name    string
		base    *Record
		changes *Changes
		cookie  string
		want    bool
	}{
		{"nothing", base, pending(), "", false},
		{"nothing of nothing", nil, pending(), "", false},
		{"wipe of nothing", nil, wiped(), "", false},
		{"wipe of the cookie alone", mustParse(t, `{"cookie":{},"$":{}}`), wiped(), "", false},
		{"equal", base, pending(all...), "", false},
		{"other bytes", base, pending(set("a", "1.0")), "", true},
		{"other bytes under an escaped name", base, pending(set("café", "[1,2]")), "", true},
		{"new", base, pending(set("z", "1")), "", true},
		{"new of nothing", nil, pending(set("z", "null")), "", true},
		{"delete", base, pending(remove("a")), "", true},
		{"delete what is not there", base, pending(remove("z")), "", false},
		{"set and deleted again", base, pending(set("z", "1"), remove("z")), "", false},
		{"update to the same, of an older record", base, pending(older), "", true},
		{"update to the same", base, pending(made("a", "1")), "", false},
		{"update", base, pending(made("a", "2")), "", true},
		{"wipe", base, wiped(), "", true},
		{"wipe and all again", base, wiped(all...), "", false},
		{"wipe and most again", base, wiped(all[:2]...), "", true},
		{"cookie equal", base, pending(), `{"path":"/"}`, false},
		{"cookie other", base, pending(), `{"path":"/x"}`, true},
		{"cookie new", nil, pending(), `{}`, true},
	} {
		var cookie []byte
		if c.cookie != "" {
			cookie = []byte(c.cookie)
		}
		if got := c.changes.Alter(c.base, cookie); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		if got := testing.AllocsPerRun(10, func() { c.changes.Alter(c.base, cookie) }); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", c.name, got)
		}
	}
	long := strings.Repeat("k", 100)
	r, c := mustParse(t, `{"`+long+`":1}`), wiped(set(long, "1"))
	if got := testing.AllocsPerRun(10, func() { c.Alter(r, nil) }); got != 0 {
		t.Errorf("a long name: got %v allocations, want 0", got)
	}
}

// TestMergeWritesWhatIsMeant holds merge to merged, on bases and changes of every kind.
func TestMergeWritesWhatIsMeant(t *testing.T) {
	base := mustMerge(t, mustParse(t, typicalRecord), nil, Header{Created: 1, Ends: 1800000000000})
	h, next := Header{Created: 1, Ends: 1900000000000}, testID(t, "next")
	wide := mustMerge(t, nil, pending(set("a", "1"), set("b", `"`+strings.Repeat("x", wideRecord-100)+`"`)), h)
	many := new(Changes)
	for i := range 100 {
		set("k"+strconv.Itoa(i), strconv.Itoa(i))(many)
	}
	hundred := mustMerge(t, nil, many, h)
	for _, c := range []struct {
		name   string
		base   *Record
		change write
		h      Header
	}{
		{"of the same length", base, set("count", "13"), h},
		{"shorter", base, set("count", "1"), h},
		{"longer", base, set("count", `"thirteen"`), h},
		{"an early member", base, set("user", `"a longer name than there was before, by a lot"`), h},
		{"another length of header", base, set("count", "1"), Header{Ends: 7}},
		{"an update", base, increment("count"), h},
		{"an update of this record", base, update(base, "count", "14", nil), h},
		{"an update of another record", base, update(wide, "count", "15", counter), h},
		{"the widest narrow one", wide, set("a", `"`+strings.Repeat("y", wideRecord-1-wide.Size()-1)+`"`), h},
		{"too wide", wide, set("a", `"`+strings.Repeat("y", wideRecord-wide.Size()-1)+`"`), h},
		{"wide before", mustMerge(t, wide, pending(set("c", wide.JSON())), h), set("a", "2"), h},
		{"wide no more", mustMerge(t, wide, pending(set("c", wide.JSON())), h), remove("c"), h},
		{"a new member", base, set("new", "1"), h},
		{"a new member of many", hundred, set("new", "1"), h},
		{"a member of many", hundred, set("k50", `"fifty"`), h},
		{"a deletion", base, remove("count"), h},
		{"a deletion of many", hundred, remove("k50"), h},
		{"a successor", base, set("count", "13"), Header{Created: 1, Successor: &next}},
		{"a cookie", base, set("count", "13"), Header{Created: 1, Cookie: []byte("{}")}},
		{"a first cookie of many", hundred, set("k50", "13"), Header{Created: 1, Cookie: []byte("{}")}},
		{"no header any more", base, set("count", "13"), Header{}},
		{"no header of many any more", hundred, set("k7", "13"), Header{}},
		{"no header before", mustParse(t, `{"count":1}`), set("count", "13"), h},
		{"a header before the end", mustParse(t, `{"$":{"c":1},"count":1}`), set("count", "13"), h},
		{"a header with more in it", mustParse(t, `{"count":1,"$":{"c":1,"x":2}}`), set("count", "13"), h},
		{"white space", mustParse(t, `{"count": 1,"$":{"c":1}}`), set("count", "13"), h},
		{"white space at the end", mustParse(t, `{"count":1,"$":{"c":1} }`), set("count", "13"), h},
		{"white space in front", mustParse(t, ` {"count":1,"$":{"c":1}}`), set("count", "13"), h},
		{"an escaped name", mustParse(t, `{"c\u006funt":1,"$":{"c":1}}`), set("count", "13"), h},
		{"nothing there", nil, set("count", "13"), h},
	} {
		changes := pending(c.change)
		want := merged(c.base, changes, c.h)
		if got := mustMerge(t, c.base, changes, c.h).JSON(); got != want {
			t.Errorf("%s:\ngot  %.200s\nwant %.200s", c.name, got, want)
		}
	}
}

func TestMergeAllocatesTheRecordAndItsText(t *testing.T) {
	to, _ := ident.ParseID("next")
	long := strings.Repeat("k", 100)
	base := mustMerge(t, mustParse(t, typicalRecord), pending(set(long, "1")), Header{})
	changes := pending(increment("count"), set("new", "1"), remove("lang"), set(long, "2"))
	h := Header{Created: 1, Ends: 2, User: "ann@shop.test", Login: 3, Successor: &to, Cookie: []byte(`{}`)}
	for _, r := range []*Record{nil, base} {
		for _, c := range []*Changes{changes, nil} {
			if got := testing.AllocsPerRun(100, func() { _, _ = Merge(r, c, h, 4096) }); got != 2 {
				t.Errorf("merge into %v: got %v allocations, want 2", r, got)
			}
		}
	}
}

// FuzzMerge holds merge to merged, and the rest to a model: an ordinary map of the members.
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
		changes, h := randomMerge(random, base)
		model := modelMerge(base, changes, h)

		r := mustMerge(t, base, changes, h)
		if got, want := r.JSON(), merged(base, changes, h); got != want {
			t.Fatalf("%s:\ngot  %s\nwant %s", s, got, want)
		}
		got, _ := topLevel(r.JSON())
		delete(got, headerMember)
		if !maps.EqualFunc(got, model, func(a json.RawMessage, b string) bool { return string(a) == b }) {
			t.Fatalf("%s: got %s, want the members %q", s, r.JSON(), model)
		}
		if r.created != h.Created || r.ends != h.Ends {
			t.Fatalf("header: got %d, %d, want %d, %d", r.created, r.ends, h.Created, h.Ends)
		}
		if id, ok := r.Successor(); id != idOf(h.Successor) || ok == id.IsZero() {
			t.Fatalf("successor: got %v, %v, want %v", id, ok, h.Successor)
		}
		if want := !maps.Equal(model, members(base)); changes.Alter(base, h.Cookie) != want {
			t.Fatalf("changed: got %v, want %v: %s to %s", !want, want, s, r.JSON())
		}
		for key, want := range model {
			if raw, ok := changes.Raw(base, key); !IsReserved(key) && (!ok || raw != want) {
				t.Fatalf("%s: Raw(%q): got %q, %v, want %q", s, key, raw, ok, want)
			}
		}
		h.Ends = r.ends
		if again := mustMerge(t, r, nil, h); !sameBytes(*again, *r) && h.Cookie == nil {
			t.Fatalf("merging nothing into the result: got %s, want %s", again.JSON(), r.JSON())
		}
		idle := mustMerge(t, base, changes, h).JSON()
		if got := changes.DropIdle(base); !changes.Wiped() && got == !changes.Alter(base, nil) {
			t.Fatalf("a change that alters the record: DropIdle has met one %v, want %v, as Alter says", got, !got)
		}
		if mustMerge(t, base, changes, h).JSON() != idle {
			t.Fatalf("without idle changes: got another record than %s", idle)
		}
	})
}

// randomMerge makes changes of keys that base has and of keys that it has not.
func randomMerge(random *rand.Rand, base *Record) (c *Changes, h Header) {
	keys := slices.Collect(base.Keys())
	for i := range 1 + random.IntN(40) {
		keys = append(keys, "k"+strconv.Itoa(i), "k\""+strconv.Itoa(i))
	}
	if c = new(Changes); random.IntN(4) == 0 {
		c.Wipe()
	}
	for range random.IntN(60) {
		key := keys[random.IntN(len(keys))]
		raw, _ := base.Raw(key)
		switch w := random.IntN(5); {
		case w == 0:
			remove(key)(c)
		case w == 1 && c.find(key) < 0:
			update(base, key, raw+"0"[:max(0, 1-len(raw))], constant("never"))(c)
		case w == 2 && c.find(key) < 0:
			update(base, key, `[7]`, constant("never"))(c)
		case w == 3:
			set(key, fmt.Sprintf(`{"v":%d}`, random.IntN(9)))(c)
		case w == 4 && raw != "":
			set(key, raw)(c)
		}
	}
	if random.IntN(2) == 0 {
		h.Created, h.Ends = random.Int64N(maxInstant), random.Int64N(maxInstant)
	}
	if random.IntN(3) == 0 {
		to, _ := ident.ParseID("id" + strconv.Itoa(random.IntN(1000)))
		h.Successor = &to
	}
	if random.IntN(3) == 0 {
		h.Cookie = []byte(`{"path":"/x"}`)
	}
	return c, h
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

// modelMerge is Merge on maps, for changes of which each Update was made of base.
func modelMerge(base *Record, c *Changes, h Header) map[string]string {
	m := members(base)
	if c.Wiped() {
		maps.DeleteFunc(m, func(name, _ string) bool { return name != cookieMember })
	}
	for i := range c.list {
		ch := &c.list[i]
		switch {
		case ch.kind == kindDelete:
			delete(m, string(c.key(ch)))
		case ch.gives():
			m[string(c.key(ch))] = string(c.val(ch))
		}
	}
	if h.Cookie != nil {
		m[cookieMember] = string(h.Cookie)
	}
	return m
}

// merged is the text of what Merge is to make, put together member by member.
func merged(base *Record, c *Changes, h Header) string {
	var parts []string
	put := func(name string, value []byte) { parts = append(parts, `"`+name+`":`+string(value)) }
	value := func(ch *change, raw string, ok bool) []byte {
		if ch.kind == kindDelete {
			return nil
		}
		if ch.kind == kindUpdate && !(ch.of == base && ch.fresh) {
			out, _ := ch.update.Update(nil, raw, ok)
			return out
		}
		return c.val(ch)
	}
	cookie := h.Cookie
	for i := range base.count() {
		m := base.member(i)
		key := jsontext.Unquoted(base.name(m))
		at := c.find(key)
		switch {
		case key == headerMember:
		case key == cookieMember:
			if cookie == nil {
				cookie = []byte(base.value(m))
			}
			put(base.name(m), cookie)
			cookie = nil
		case c.Wiped():
		case at < 0:
			put(base.name(m), []byte(base.value(m)))
		default:
			if v := value(&c.list[at], base.value(m), true); len(v) > 0 {
				put(base.name(m), v)
			}
		}
	}
	for i := range c.list {
		ch := &c.list[i]
		if _, at := search(base, c.key(ch)); at >= 0 && !c.Wiped() {
			continue
		}
		if v := value(ch, "", false); len(v) > 0 {
			name := jsontext.AppendText(nil, c.key(ch))
			put(string(name[1:len(name)-1]), v)
		}
	}
	if cookie != nil {
		put(cookieMember, cookie)
	}
	if header := appendHeader(nil, &h, map[bool]string{true: base.headerText()}[base.is(foreign)]); len(header) > 0 {
		put(headerMember, header)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func BenchmarkMergeOneCounter(b *testing.B) {
	base := mustParse(b, typicalRecord)
	c := pending(set("count", "13"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Merge(base, c, Header{Created: 1700000000000, Ends: 1700086400000}, 1<<16); err != nil {
			b.Fatal(err)
		}
	}
}
