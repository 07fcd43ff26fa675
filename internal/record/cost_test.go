package record

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/fibersess/sess/internal/jsontext"
)

// What reading and writing cost, by counting: names that were compared, records that were searched, objects and bytes.

// sized returns a record of about so many bytes with n keys and a counter behind them, as Merge writes it.
func sized(t testing.TB, n, bytes int) *Record {
	t.Helper()
	c := new(Changes)
	value := strings.Repeat("v", max(0, bytes/n-len(`"key000":"",`)))
	for i := range n {
		if err := Set(c, fmt.Sprintf("key%03d", i), value); err != nil {
			t.Fatal(err)
		}
	}
	if err := Set(c, "count", 100); err != nil {
		t.Fatal(err)
	}
	return mustMerge(t, nil, c, Header{Created: 1700000000000, Ends: 1700086400000})
}

var sizes = []struct {
	name        string
	keys, bytes int
}{{"330 B", 8, 270}, {"10 kB", 10, 10_000}, {"60 kB", 10, 60_000}, {"100 kB", 10, 100_000}, {"100 short keys", 100, 2_400}, {"100 keys", 100, 4_000}, {"1000 keys", 1000, 40_000}}

// TestOneWriteSearchesOnce: a write that nobody contends for looks for its key in the record once, however it is made
// and decided about, also behind a read of the same key. So does each try of one that is contended for.
func TestOneWriteSearchesOnce(t *testing.T) {
	for _, size := range sizes {
		base := sized(t, size.keys, size.bytes)
		for name, write := range map[string]func(c *Changes) error{
			"Set":    func(c *Changes) error { return Set(c, "count", 101) },
			"Update": func(c *Changes) error { return c.Update(base, "count", counter) },
			"Delete": func(c *Changes) error { return c.Delete(base, "count") },
			"Raw and Set": func(c *Changes) error {
				seen(t, c, base, "count", "100")
				return Set(c, "count", 101)
			},
			"Raw of others, Raw and Set": func(c *Changes) error {
				seen(t, c, base, "none", "")
				seen(t, c, base, "count", "100")
				c.searches = 1
				return Set(c, "count", 101)
			},
		} {
			c := new(Changes)
			if err := write(c); err != nil {
				t.Fatal(err)
			}
			c.DropIdle(base)
			if !c.Alter(base, nil) {
				t.Fatalf("%s of %s: got no change", name, size.name)
			}
			next := mustMerge(t, base, c, base.Header())
			if c.searches != 1 {
				t.Errorf("%s of %s: got %d searches, want 1", name, size.name, c.searches)
			}
			_, _ = Merge(next, c, base.Header(), maxRecord)
			if c.searches != 2 {
				t.Errorf("%s of %s, tried again: got %d searches, want 2", name, size.name, c.searches)
			}
		}
	}
}

// TestOneWriteAllocatesTheRecordAndNoMore holds a write to two objects: the Record, and a text of exactly its size.
func TestOneWriteAllocatesTheRecordAndNoMore(t *testing.T) {
	for _, size := range sizes {
		base := sized(t, size.keys, size.bytes)
		for _, value := range []int{101, 1_000_000} { // of the same length, and longer
			c := new(Changes)
			if err := Set(c, "count", value); err != nil {
				t.Fatal(err)
			}
			h := base.Header()
			h.Ends = 1700086400001
			next := mustMerge(t, base, c, h)
			want := bytesOf(func() { sinkBytes = make([]byte, len(next.data.all())) }) + bytesOf(func() { sinkRecord = new(Record) })
			if got := bytesOf(func() { sinkRecord, _ = Merge(base, c, h, maxRecord) }); got != want {
				t.Errorf("%s: got %d bytes, want %d: text and index are of %d", size.name, got, want, len(next.data.all()))
			}
			if got := testing.AllocsPerRun(20, func() { sinkRecord, _ = Merge(base, c, h, maxRecord) }); got != 2 {
				t.Errorf("%s: got %v objects, want 2", size.name, got)
			}
			if size.bytes >= 2_400 && float64(want) > 1.3*float64(next.Size()) {
				t.Errorf("%s: got %d bytes for a record of %d, want at most 1.3 times as many", size.name, want, next.Size())
			}
		}
		if got := testing.AllocsPerRun(20, func() { sinkRecord, _ = Merge(base, nil, Header{Ends: 1700086400001}, maxRecord) }); got != 2 {
			t.Errorf("%s, touched: got %v objects, want 2", size.name, got)
		}
	}
	if got := bytesOf(func() { sinkRecord = new(Record) }); got != 48 {
		t.Errorf("a Record: got %d bytes, want 48", got)
	}
}

// TestAnIndexEntryTakesFourBytes, and eight from 64 KiB on.
func TestAnIndexEntryTakesFourBytes(t *testing.T) {
	for _, size := range sizes {
		r, entry := sized(t, size.keys, size.bytes), 4
		if r.Size() >= 64<<10 {
			entry = 8
		}
		if got, want := len(r.data.all())-r.Size(), entry*(size.keys+3); got != want { // count, "$", and the end
			t.Errorf("%s: got an index of %d bytes, want %d", size.name, got, want)
		}
	}
}

var (
	sinkBytes  []byte
	sinkRecord *Record
)

// bytesOf returns how many bytes f allocates: the least of several counts, since the runtime allocates now and then.
func bytesOf(f func()) (least uint64) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const runs = 50
	f()
	for round := range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			f()
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / runs; round == 0 || n < least {
			least = n
		}
	}
	return least
}

// TestRecordsWithTheSameNamesShareTheirTable: a save of one value in a large session makes none.
func TestRecordsWithTheSameNamesShareTheirTable(t *testing.T) {
	base := sized(t, 100, 4000)
	h := base.Header()
	for name, c := range map[string]struct {
		changes *Changes
		h       Header
		want    bool
	}{
		"a value":         {pending(set("count", "1"), set("key050", "2")), h, true},
		"nothing":         {nil, h, true},
		"a new key":       {pending(set("new", "1")), h, false},
		"a deleted key":   {pending(remove("key050")), h, false},
		"no header":       {pending(set("count", "1")), Header{}, false},
		"a first cookie":  {pending(set("count", "1")), Header{Created: 1, Cookie: []byte("{}")}, false},
		"all keys anew":   {wiped(set("count", "1")), h, false},
		"an idle removal": {pending(remove("none")), h, true},
	} {
		next := mustMerge(t, base, c.changes, c.h)
		if got := next.names == base.names; got != c.want {
			t.Errorf("%s: got shared %v, want %v", name, got, c.want)
		}
	}
}

// TestManyKeysCostTheirNumber holds the names compared to a multiple of the keys, in a request and in the record.
func TestManyKeysCostTheirNumber(t *testing.T) {
	const n, most = 4_000, 6 // names compared for each key and step, where Set looks twice
	base := sized(t, n, 100*n)
	for name, c := range map[string]*Changes{"changes": new(Changes), "changes after Wipe": wiped()} {
		step := func(what string, f func()) {
			looks, searches := c.looks, c.searches
			f()
			if got := c.looks - looks; got > most*2*n {
				t.Errorf("%s: %s: got %d names compared for %d keys, want at most %d", name, what, got, 2*n, most*2*n)
			}
			if got := c.searches - searches; got > 2*n {
				t.Errorf("%s: %s: got %d searches for %d keys, want at most as many", name, what, got, 2*n)
			}
		}
		keys := make([]string, 0, 2*n)
		for i := range n { // half of them are there
			keys = append(keys, fmt.Sprintf("key%03d", n-1-i), "new"+strconv.Itoa(i))
		}
		step("Set", func() {
			for i, key := range keys {
				_ = Set(c, key, i)
			}
		})
		step("Set again", func() {
			for i, key := range keys {
				_ = Set(c, key, i+1)
			}
		})
		step("Raw", func() {
			for _, key := range keys {
				if _, ok := c.Raw(base, key); !ok {
					t.Fatalf("%s: got no value of %s", name, key)
				}
			}
		})
		step("Keys", func() {
			for range c.Keys(base) {
			}
		})
		step("Alter", func() { c.Alter(base, nil) })
		step("DropIdle", func() { c.DropIdle(base) })
		step("Merge", func() { mustMerge(t, base, c, Header{}) })
		step("failures", func() {
			for i := range n {
				_ = c.Fail("key"+strconv.Itoa(i), ErrReserved)
				_ = c.Err()
			}
		})
		step("Delete", func() {
			for _, key := range keys {
				_ = c.Delete(base, key)
			}
		})
	}
}

// looks returns how many names a search for key compares in a record with a table.
func looks(r *Record, key string) (n int) {
	l := r.names.look(hash(r.names, key))
	for {
		at, ok := l.next()
		if !ok {
			return n
		}
		if n++; r.name(r.member(at)) == key {
			return n
		}
	}
}

// looksFor is looks where names are written with escapes.
func looksFor(r *Record, key string) (n int) {
	l := r.names.look(hash(r.names, key))
	for {
		at, ok := l.next()
		if !ok {
			return n
		}
		if n++; jsontext.Unquoted(r.name(r.member(at))) == key {
			return n
		}
	}
}

func TestReadingOneOfManyKeysComparesAFew(t *testing.T) {
	base := sized(t, 1000, 40_000)
	worst, all := 0, 0
	for i := range base.count() {
		n := looks(base, base.name(base.member(i)))
		worst, all = max(worst, n), all+n
	}
	if all > 2*base.count() || worst > 10 {
		t.Errorf("got %d names compared for %d keys, and %d for one, want at most 2 each, and 10", all, base.count(), worst)
	}
	foreign := "{"
	for i := range 1000 {
		foreign += fmt.Sprintf(`"\u006b%d":1,`, i)
	}
	r := mustParse(t, strings.TrimSuffix(foreign, ",")+"}")
	for i := range 1000 {
		if n := looksFor(r, "k"+strconv.Itoa(i)); n > 10 {
			t.Fatalf("a name with an escape: got %d names compared, want at most 10", n)
		}
	}
	if n := looks(base, "none"); n > 10 {
		t.Errorf("a key that is not there: got %d names compared, want at most 10", n)
	}
	for _, n := range []int{fewMembers - 1, fewMembers} { // and the header
		if got, want := sized(t, n-1, 40*n).names != nil, n == fewMembers; got != want {
			t.Errorf("%d members: got a table %v, want %v", n+1, got, want)
		}
	}
}

func BenchmarkCounterPlusOne(b *testing.B) {
	for _, size := range sizes {
		base := sized(b, size.keys, size.bytes)
		c := new(Changes)
		b.Run(size.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				raw, _ := c.Raw(base, "count")
				n, _ := strconv.Atoi(raw)
				_ = Set(c, "count", n+1)
				c.DropIdle(base)
				h := base.Header()
				h.Ends = 1700086400001
				if _, err := Merge(base, c, h, maxRecord); err != nil || !c.Alter(base, nil) {
					b.Fatal(err)
				}
				c.Release(8<<10, 64)
			}
		})
	}
}

func BenchmarkLastOfThousandKeys(b *testing.B) {
	base := sized(b, 1000, 40_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := base.Raw("count"); !ok {
			b.Fatal("got none")
		}
	}
}

// BenchmarkManyKeys writes the keys of a form that somebody has made large, all of them or up to the limit, and stores
// what is allowed.
func BenchmarkManyKeys(b *testing.B) {
	const n = 64_000
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "key" + strconv.Itoa(i)
	}
	for name, limit := range map[string]int{"limit 16 MiB": 0, "limit 64 KiB": 64 << 10} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c := &Changes{Limit: limit}
				for _, key := range keys {
					_ = Set(c, key, "1")
				}
				if _, err := Merge(nil, c, Header{}, maxRecord); (err != nil) != (limit != 0) {
					b.Fatal(err)
				}
			}
		})
	}
}
