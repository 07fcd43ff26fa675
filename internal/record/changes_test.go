package record

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fibersess/sess/internal/jsontext"
)

// seen checks what a request sees under key.
func seen(t *testing.T, c *Changes, base *Record, key, want string) {
	t.Helper()
	if got, ok := c.Raw(base, key); got != want || ok != (want != "") {
		t.Errorf("%q: got %q, %v, want %q", key, got, ok, want)
	}
}

func TestChangesAreSeenOnTopOfTheRecord(t *testing.T) {
	base := mustParse(t, `{"a":1,"b":"x","caf\u00e9":2,"cookie":{},"$":{"c":1}}`)
	c := new(Changes)
	for _, err := range []error{
		Set(c, "n", 5), Set(c, "b", "y"), c.Delete(base, "a"), c.Delete(base, "z"), Set(c, "n", 6),
		c.Update(base, "café", counter), c.Update(base, "n", counter), c.Update(base, "m", counter), c.Update(base, "a", counter),
	} {
		if err != nil {
			t.Fatalf("got %v, want nil", err)
		}
	}
	seen(t, c, base, "n", `7`)
	seen(t, c, base, "b", `"y"`)
	seen(t, c, base, "café", `3`)
	seen(t, c, base, "m", `1`)
	seen(t, c, base, "a", `1`) // It was deleted, then counted from nothing.
	seen(t, c, base, "z", ``)
	seen(t, c, base, "cookie", ``)
	seen(t, c, base, "$", ``)
	if got, want := slices.Collect(c.Keys(base)), []string{"a", "b", "café", "n", "m"}; !slices.Equal(got, want) {
		t.Errorf("Keys: got %q, want %q", got, want)
	}
	if !c.HoldsValue() || c.Len() != 6 || c.Empty() {
		t.Errorf("got HoldsValue %v, Len %d, Empty %v, want true, 6, false", c.HoldsValue(), c.Len(), c.Empty())
	}
	c.Wipe()
	seen(t, c, base, "b", ``)
	if got := slices.Collect(c.Keys(base)); got != nil || c.Empty() || c.HoldsValue() || !c.Wiped() {
		t.Errorf("wiped: got keys %q, Empty %v, HoldsValue %v, Wiped %v, want none, false, false, true", got, c.Empty(), c.HoldsValue(), c.Wiped())
	}
	if err := c.Update(base, "b", counter); err != nil {
		t.Fatal(err)
	}
	seen(t, c, base, "b", `1`)
	if c.Clear(); !c.Empty() || c.Wiped() || c.Bytes() != 0 {
		t.Errorf("cleared: got Empty %v, Wiped %v, %d bytes, want true, false, 0", c.Empty(), c.Wiped(), c.Bytes())
	}
	seen(t, c, base, "b", `"x"`)
}

func TestUpdateRunsAgainOnAnotherRecord(t *testing.T) {
	first, second := mustParse(t, `{"n":1,"m":1}`), mustParse(t, `{"n":10,"o":1}`)
	c := new(Changes)
	for _, key := range []string{"n", "m", "n"} {
		if err := c.Update(first, key, counter); err != nil {
			t.Fatal(err)
		}
	}
	if got := mustMerge(t, second, c, Header{}).JSON(); got != `{"n":12,"o":1,"m":1}` {
		t.Errorf("merged with the second: got %s, want n counted twice and m once", got)
	}
	seen(t, c, second, "n", `12`)
	seen(t, c, first, "n", `3`)
	seen(t, c, nil, "n", `2`)
	if got := mustMerge(t, first, c, Header{}).JSON(); got != `{"n":3,"m":2}` {
		t.Errorf("merged with the first: got %s, want n counted twice and m once", got)
	}
}

func TestTakeGivesTheValueOnTopOfWhatTheStoreHeld(t *testing.T) {
	base := mustParse(t, `{"n":1}`)
	for _, c := range []struct {
		name   string
		writes []write
		raw    string
		want   string
	}{
		{"nothing written", nil, "1", "1"},
		{"nothing written or stored", nil, "", ""},
		{"set", []write{set("n", "2")}, "1", "2"},
		{"deleted", []write{remove("n")}, "1", ""},
		{"updated", []write{update(base, "n", "2", counter)}, "5", "6"},
		{"updated, and gone meanwhile", []write{update(base, "n", "2", counter)}, "", "1"},
	} {
		changes := pending(c.writes...)
		got, ok, err := changes.Take("n", c.raw, c.raw != "")
		if got != c.want || ok != (c.want != "") || err != nil {
			t.Errorf("%s: got %q, %v, %v, want %q", c.name, got, ok, err, c.want)
		}
		seen(t, changes, nil, "n", "")
	}
	boom := errors.New("boom")
	changes := pending(update(base, "n", "2", updaterFunc(func([]byte, string, bool) ([]byte, error) { return nil, boom })))
	if _, ok, err := changes.Take("n", "1", true); ok || err != boom {
		t.Errorf("an update that fails: got %v, %v, want false, boom", ok, err)
	}
}

// bomb is a value whose encoding fails, or panics, behind other values.
type bomb struct{ panics bool }

func (b bomb) MarshalJSON() ([]byte, error) {
	if b.panics {
		panic("hunter2")
	}
	return nil, errors.New("hunter2")
}

func TestWriteThatFailsStaysWithItsKeyUntilItIsTakenBack(t *testing.T) {
	base := mustParse(t, `{"a":1,"b":2}`)
	failing := map[string]func(c *Changes) error{
		"a value":         func(c *Changes) error { return Set(c, "a", bomb{}) },
		"a value, new":    func(c *Changes) error { return Set(c, "new", bomb{}) },
		"a reserved key":  func(c *Changes) error { return Set(c, "cookie", 1) },
		"another of them": func(c *Changes) error { return c.Update(base, "$", counter) },
		"a key":           func(c *Changes) error { return Set(c, "\xff", 1) },
		"an Update": func(c *Changes) error {
			return c.Update(base, "a", UpdateFunc[any](func(any, bool) any { return bomb{} }))
		},
		"told":      func(c *Changes) error { return c.Fail("a", ErrReserved) },
		"too large": func(c *Changes) error { return Set(c, "a", strings.Repeat("x", 100)) },
	}
	keys := map[string]string{"a value, new": "new", "a reserved key": "cookie", "another of them": "$", "a key": "\xff"}
	for name, fail := range failing {
		key := "a"
		if k, ok := keys[name]; ok {
			key = k
		}
		for undo, f := range map[string]func(c *Changes){
			"a deletion": func(c *Changes) { _ = c.Delete(base, key) },
			"a write": func(c *Changes) {
				if CheckKey(key) != nil || Set(c, key, 3) != nil {
					_ = c.Delete(base, key)
				}
			},
			"an Update": func(c *Changes) {
				if CheckKey(key) != nil || c.Update(base, key, counter) != nil {
					_ = c.Delete(base, key)
				}
			},
			"Clear": func(c *Changes) { c.Clear() },
			"Wipe":  func(c *Changes) { c.Wipe() },
		} {
			c := &Changes{Limit: 50}
			_ = Set(c, "other", 1)
			want := fail(c)
			if want == nil || c.Err() != want {
				t.Errorf("%s: got %v, Err %v, want an error and the same", name, want, c.Err())
			}
			seen(t, c, base, "a", "1")
			if _, err := Merge(base, c, Header{}, maxRecord); err != want {
				t.Errorf("%s: Merge: got %v, want %v", name, err, want)
			}
			if err := Set(c, "other", 2); err != nil || c.Err() != want {
				t.Errorf("%s, then another key: got %v, want it to stay", name, c.Err())
			}
			if f(c); c.Err() != nil {
				t.Errorf("%s, then %s: got %v, want nil", name, undo, c.Err())
			}
			mustMerge(t, base, c, Header{})
		}
	}
}

func TestErrIsTheFailureThatHasStoodTheLongest(t *testing.T) {
	c := new(Changes)
	errs := make([]error, 5)
	for i := range errs {
		_ = Set(c, "good"+strconv.Itoa(i), i)
		errs[i] = c.Fail("bad"+strconv.Itoa(i), fmt.Errorf("error %d", i))
	}
	for i, err := range errs {
		if c.Err() != err {
			t.Errorf("got %v, want %v", c.Err(), err)
		}
		_ = c.Delete(nil, "bad"+strconv.Itoa(i))
	}
	if c.Err() != nil {
		t.Errorf("all taken back: got %v, want nil", c.Err())
	}
	_, _, want := c.Fail("good3", errs[3]), c.Fail("good0", errs[0]), c.Fail("good1", errs[1])
	_ = c.Delete(nil, "good3")
	_ = Set(c, "good0", 0)
	c.DropIdle(mustParse(t, `{"good0":0}`))
	if c.Err() != want {
		t.Errorf("the first two taken back: got %v, want %v", c.Err(), want)
	}
	_ = Set(c, "good1", 1)
	if c.Err() != nil || c.first != 0 || c.last != 0 {
		t.Errorf("all taken back again: got %v, listed from %d to %d, want nil and none", c.Err(), c.first, c.last)
	}
}

// A request that has one key fail and be written again and again, before another that stays failed, looks at no other.
func TestAFailureThatIsTakenBackMakesNobodyLookForTheNext(t *testing.T) {
	c := new(Changes)
	for i := range 1000 {
		_ = Set(c, strconv.Itoa(i), i)
	}
	want := c.Fail("999", errKey)
	for range 100 {
		_ = c.Fail("0", ErrReserved)
		if c.Err() != want {
			t.Fatalf("got %v, want %v: it stands the longest", c.Err(), want)
		}
		_ = Set(c, "0", 0)
	}
	if c.first != 1000 || c.list[999].before != 0 || c.list[999].behind != 0 {
		t.Errorf("listed as failed: got place %d, want 1000 alone", c.first)
	}
}

func TestAReadThatRunsAnUpdateAgainTakesNoFailureBack(t *testing.T) {
	c := new(Changes)
	if err := c.Update(mustParse(t, `{"n":1}`), "n", counter); err != nil {
		t.Fatal(err)
	}
	want := Set(c, "n", bomb{})
	seen(t, c, mustParse(t, `{"n":5}`), "n", "6")
	if c.Err() != want {
		t.Errorf("got %v, want %v", c.Err(), want)
	}
}

func TestChangesBeyondTheLimitAreRefusedAtOnce(t *testing.T) {
	c := &Changes{Limit: 40}
	if err := Set(c, "a", "0123456789"); err != nil || c.Bytes() != len(`"a":"0123456789",`) {
		t.Fatalf("got %v, %d bytes, want nil, %d", err, c.Bytes(), len(`"a":"0123456789",`))
	}
	if err := Set(c, "b", strings.Repeat("x", 17)); !errors.Is(err, ErrTooLarge) || !errors.Is(c.Err(), ErrTooLarge) {
		t.Errorf("one byte beyond: got %v, Err %v, want ErrTooLarge", err, c.Err())
	}
	seen(t, c, nil, "b", "")
	if err := Set(c, "b", strings.Repeat("x", 16)); err != nil || c.Err() != nil || c.Bytes() != 40 {
		t.Errorf("up to the limit: got %v, %v, %d bytes, want nil, nil, 40", err, c.Err(), c.Bytes())
	}
	if err := Set(c, "a", "0123456789+"); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a longer value: got %v, want ErrTooLarge", err)
	}
	seen(t, c, nil, "a", `"0123456789"`)
	if err := Set(c, "a", "short"); err != nil || c.Err() != nil || c.Bytes() != 35 {
		t.Errorf("a shorter value: got %v, %v, %d bytes, want nil, nil, 35", err, c.Err(), c.Bytes())
	}
	if err := Set(c, "cc", 1); !errors.Is(err, ErrTooLarge) || c.Len() != 2 || !errors.Is(c.Err(), ErrTooLarge) {
		t.Errorf("no room for the key: got %v, Err %v, %d keys, want ErrTooLarge, 2", err, c.Err(), c.Len())
	}
	_ = c.Delete(nil, "b")
	if !errors.Is(c.Err(), ErrTooLarge) {
		t.Error("a key that could not be listed: got no error after another key was deleted, want ErrTooLarge, since it is lost")
	}
	if c.Clear(); c.Err() != nil || Set(c, "cc", 1) != nil {
		t.Errorf("cleared: got %v, want nil", c.Err())
	}
}

func TestDeletionsBeyondTheLimitAreOfWhatIsThere(t *testing.T) {
	base := mustParse(t, `{"aaaaaaaa":1,"bbbbbbbb":2,"cccccccc":3}`)
	c := &Changes{Limit: 20}
	for _, key := range []string{"aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"} {
		if err := c.Delete(base, key); err != nil {
			t.Errorf("%s: got %v, want nil", key, err)
		}
	}
	if got := mustMerge(t, base, c, Header{}).JSON(); got != `{}` || c.Len() != 3 {
		t.Errorf("got %s, %d changes, want {}, 3", got, c.Len())
	}
	if err := c.Delete(nil, "eeeeeeee"); !errors.Is(err, ErrTooLarge) || !errors.Is(c.Err(), ErrTooLarge) {
		t.Errorf("of a record that is not known: got %v, want ErrTooLarge", err)
	}
}

// TestReleaseLeavesNothingInMemory: pooled memory is another user's next. What is looked at reaches to the capacity.
func TestReleaseLeavesNothingInMemory(t *testing.T) {
	const secret = "hunter2 hunter2 hunter2"
	base, other := mustParse(t, `{"n":"hunter2"}`), mustParse(t, `{"n":"hunter2 hunter2"}`)
	grow := UpdateFunc[string](func(s string, _ bool) string { return s + secret })
	for name, use := range map[string]func(c *Changes){
		"set":                     func(c *Changes) { _ = Set(c, "a", secret) },
		"a struct":                func(c *Changes) { _ = Set(c, secret, struct{ S, T string }{secret, secret}) },
		"set, then shorter":       func(c *Changes) { _ = Set(c, "a", secret); _ = Set(c, "a", "h") },
		"set, then deleted":       func(c *Changes) { _ = Set(c, "a", secret); _ = c.Delete(nil, "a") },
		"set, then cleared":       func(c *Changes) { _ = Set(c, "a", secret); c.Clear(); _ = Set(c, "a", 1) },
		"many, then wiped":        func(c *Changes) { fill(c, 40); c.Wipe() },
		"refused as too large":    func(c *Changes) { c.Limit = 10; _ = Set(c, "a", secret) },
		"refused behind its text": func(c *Changes) { _ = Set(c, "a", []any{secret, "\xff"}) },
		"failed":                  func(c *Changes) { _ = Set(c, "a", []any{secret, bomb{}}) },
		"panicked":                func(c *Changes) { defer func() { _ = recover() }(); _ = Set(c, "a", []any{secret, bomb{true}}) },
		"updated":                 func(c *Changes) { _ = c.Update(base, "n", grow) },
		"updated again":           func(c *Changes) { _ = c.Update(base, "n", grow); _, _ = Merge(other, c, Header{}, 1000) },
		"updated, idle, merged": func(c *Changes) {
			_ = c.Update(base, "n", grow)
			_, _ = Merge(other, c, Header{}, 1000)
			_ = Set(c, "n", "hunter2")
			c.DropIdle(base)
			_, _ = Merge(other, c, Header{}, 1000)
		},
		"updated, failed": func(c *Changes) {
			_ = c.Update(base, "n", UpdateFunc[any](func(s any, _ bool) any {
				if s == "hunter2" {
					return 1
				}
				return []any{secret, bomb{}}
			}))
			_, _ = Merge(other, c, Header{}, 1000)
		},
	} {
		c := new(Changes)
		c.arena, c.scratch, c.list = make([]byte, 0, 4096), make([]byte, 0, 4096), make([]change, 0, 64)
		for range 2 {
			use(c)
			c.Release(4096, 64)
			if cap(c.arena) != 4096 || cap(c.scratch) != 4096 || cap(c.list) != 64 {
				t.Fatalf("%s: got %d, %d, %d kept, want 4096, 4096, 64", name, cap(c.arena), cap(c.scratch), cap(c.list))
			}
			for what, b := range map[string][]byte{"keys and values": c.arena, "scratch": c.scratch} {
				if left := strings.Trim(string(b[:cap(b)]), "\x00"); left != "" {
					t.Errorf("%s: got %q left in the %s, want nothing", name, left, what)
				}
			}
			for _, ch := range c.list[:cap(c.list)] {
				if ch.update != nil || ch.of != nil || ch.err != nil || ch.keyEnd != 0 {
					t.Errorf("%s: got a change left in the list, want none", name)
				}
			}
			if !c.Empty() || c.Bytes() != 0 || c.Err() != nil {
				t.Errorf("%s: got Empty %v, %d bytes, %v, want true, 0, nil", name, c.Empty(), c.Bytes(), c.Err())
			}
		}
	}
}

func fill(c *Changes, n int) {
	for i := range n {
		_ = Set(c, "key"+strconv.Itoa(i), i)
	}
}

func TestReleaseKeepsNoMoreThanItIsTold(t *testing.T) {
	c := new(Changes)
	fill(c, 1000)
	_ = c.Update(new(Record), "u", counter)
	mustMerge(t, mustMerge(t, nil, c, Header{}), c, Header{})
	c.Release(100, 10)
	if cap(c.arena) > 100 || cap(c.scratch) > 100 || cap(c.list) > 10 || cap(c.edits) > 20 || cap(c.names.slots) > 40 {
		t.Errorf("got %d, %d, %d, %d, %d kept, want at most 100, 100, 10, 20, 40", cap(c.arena), cap(c.scratch), cap(c.list),
			cap(c.edits), cap(c.names.slots))
	}
}

func TestPooledChangesTakeNoAllocation(t *testing.T) {
	base := mustParse(t, typicalRecord)
	c := new(Changes)
	f := UpdateFunc[int](func(n int, _ bool) int { return n + 1 })
	if got := testing.AllocsPerRun(100, func() {
		_ = Set(c, "user", "ann@shop.test")
		_ = Set(c, "theme", true)
		_ = c.Delete(base, "lang")
		_ = c.Update(base, "count", f)
		c.DropIdle(base)
		if !c.Alter(base, nil) || c.Err() != nil {
			t.Errorf("got no change, or %v", c.Err())
		}
		c.Release(8<<10, 64)
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

// TestAValueThatIsWrittenOftenTakesNoMoreRoom: a loop in a handler is not to fill the memory.
func TestAValueThatIsWrittenOftenTakesNoMoreRoom(t *testing.T) {
	c := new(Changes)
	for i := range 10_000 {
		for _, key := range []string{"a", "b"} {
			if err := Set(c, key, strings.Repeat("x", 500+i%500)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if cap(c.arena) > 64<<10 {
		t.Errorf("got %d bytes for two values of 1,000, want at most 64 KiB", cap(c.arena))
	}
	seen(t, c, nil, "a", `"`+strings.Repeat("x", 999)+`"`)
}

// TestChangesBehaveAsAMap holds long runs of writes to a map, so that hashing, deleting and moving of values is met.
func TestChangesBehaveAsAMap(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 2))
		base := mustParse(t, `{"k0":1,"k1":"one","k2":[2],"k90":{},"other":true}`)
		model := members(base)
		c := new(Changes)
		for range 600 {
			key := "k" + strconv.Itoa(random.IntN(100))
			switch random.IntN(8) {
			case 0, 1, 2, 3:
				value := strings.Repeat("v", random.IntN(300))
				_ = Set(c, key, value)
				model[key] = `"` + value + `"`
			case 4, 5:
				_ = c.Delete(base, key)
				delete(model, key)
			case 6:
				if err := c.Update(base, key, counter); err != nil {
					t.Fatal(err)
				}
				n, _ := jsontext.DecodeValue[int](model[key])
				model[key] = strconv.Itoa(n + 1)
			case 7:
				switch random.IntN(30) {
				case 0:
					c.Wipe()
					clear(model)
				case 1:
					c.Clear()
					model = members(base)
				case 2:
					c.Release(1<<10, 40)
					model = members(base)
				default:
					c.DropIdle(base)
				}
			}
		}
		got := map[string]string{}
		for key := range c.Keys(base) {
			got[key], _ = c.Raw(base, key)
		}
		if !maps.Equal(got, model) {
			t.Fatalf("seed %d: got %q, want %q", seed, got, model)
		}
		if r := mustMerge(t, base, c, Header{}); !maps.Equal(members(r), model) {
			t.Fatalf("seed %d: merged: got %s, want %q", seed, r.JSON(), model)
		}
		bytes := 0
		for i := range c.list {
			bytes += c.list[i].cost()
		}
		if c.Bytes() != bytes {
			t.Fatalf("seed %d: got %d bytes, want %d", seed, c.Bytes(), bytes)
		}
	}
}

// TestAKeyIsTextWhereverItsBytesStand holds the check of keys to that of package utf8.
func TestAKeyIsTextWhereverItsBytesStand(t *testing.T) {
	for _, part := range []string{"", "a", "é", "\U0001f600", "\xff", "\xc3", "\x80", "\xed\xa0\x80"} {
		for _, key := range []string{part, "a" + part, part + "a", "ééé" + part + "b", strings.Repeat("a", 20) + part} {
			if got, want := CheckKey(key) == nil, utf8.ValidString(key); got != want {
				t.Errorf("%q: got it accepted %v, want %v", key, got, want)
			}
		}
	}
}

// TestASaveLooksAtItsChangesOnce: what DropIdle has met need not be asked for again.
func TestASaveLooksAtItsChangesOnce(t *testing.T) {
	base := mustParse(t, `{"a":1,"b":2}`)
	for name, c := range map[string]struct {
		changes *Changes
		want    bool
	}{
		"a value":          {pending(set("a", "2")), true},
		"the same value":   {pending(set("a", "1")), false},
		"one of two":       {pending(set("a", "1"), set("b", "1")), true},
		"an idle deletion": {pending(remove("c")), false},
		"a deletion":       {pending(remove("b")), true},
		"nothing":          {pending(), false},
		"after Wipe":       {wiped(set("a", "2")), false},
	} {
		if got := c.changes.DropIdle(base); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
