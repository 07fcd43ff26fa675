package sesstest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/fibersess/sess"
)

var storePromises = []promise{
	{"missing", "Get of an id under which nothing was stored returns ErrNotFound", (*probe).missing},
	{"stored", "Get returns what Set stored", (*probe).stored},
	{"overwritten", "Set replaces what is there", (*probe).overwritten},
	{"destroyed", "after Destroy nothing is kept, and the id can be used again", (*probe).destroyed},
	{"destroy missing", "Destroy of an id under which nothing is kept returns nil", (*probe).destroyMissing},
	{"bytes", "a record comes back byte for byte", (*probe).bytes},
	{"ids", "every id is a session of its own, whatever its bytes", (*probe).ids},
	{"immutable", "records are never written to: those given to the store and those it has returned", (*probe).immutable},
	{"concurrent", "all methods are safe for concurrent use, and Get returns whole records of its own id only", (*probe).concurrent},
	{"own writes", "a goroutine sees its own finished writes at once, also while others use the store", (*probe).ownWrites},
	{"secrets", "text of an id or a record never stands in an error", (*probe).secrets},
}

func (p *probe) missing() {
	p.wantGone(p.newID(), "of an id that was never stored")
}

func (p *probe) stored() {
	id, want := p.newID(), p.number(1)
	p.set(id, want, longTTL)
	p.wantKept(id, want, "after Set")
	p.wantKept(id, want, "a second time")
}

func (p *probe) overwritten() {
	id := p.newID()
	for _, want := range []string{`{"a":"first"}`, `{"a":"a second one that is longer"}`, `{}`, `{"b":3}`} {
		r := p.record(want)
		p.set(id, r, longTTL)
		p.wantKept(id, r, "after another Set of the same id")
	}
}

func (p *probe) destroyed() {
	id, again := p.newID(), p.number(2)
	p.set(id, p.number(1), longTTL)
	p.wantKept(id, p.number(1), "after Set")
	p.destroy(id)
	p.wantGone(id, "after Destroy")
	p.set(id, again, longTTL)
	p.wantKept(id, again, "after Destroy and another Set")
}

func (p *probe) destroyMissing() {
	id := p.newID()
	if err := p.store.Destroy(p.ctx, id); err != nil {
		p.broken("Destroy of an id that was never stored: got the error %v, want nil", err)
	}
	p.wantGone(id, "after Destroy of an id that was never stored")

	p.set(id, p.number(1), longTTL)
	p.destroy(id)
	if err := p.store.Destroy(p.ctx, id); err != nil {
		p.broken("a second Destroy: got the error %v, want nil", err)
	}
}

// oddRecords are texts that a store could damage: by parsing and writing them again, by taking them for C strings, by
// quoting or escaping them, by a limit on their size.
var oddRecords = map[string]string{
	"empty object":          `{}`,
	"white space":           "{\t\"a\" :\n[ 1 , 2 ]\r\n}",
	"order of members":      `{"z":1,"a":2,"m":{"y":1,"b":2}}`,
	"every short escape":    `{"a":"\"\\\/\b\f\n\r\t"}`,
	"escaped letters":       `{"\u0061":"\u00e4\u00E4\u2028"}`,
	"escaped NUL":           `{"a":"before\u0000after"}`,
	"surrogate pair":        `{"a":"\ud83d\ude00"}`,
	"line separators":       "{\"a\":\"\u2028\u2029\u0085\"}",
	"beyond ASCII":          `{"ключ":"värde","値":"😀"}`,
	"HTML":                  `{"a":"<script>&amp;</script>"}`,
	"quotes and percents":   `{"a":"' %s %d %00 ; -- $1 {}"}`,
	"DEL":                   "{\"a\":\"\x7f\"}",
	"integers beyond 2^53":  `{"a":9007199254740993,"b":-9223372036854775808,"c":18446744073709551615}`,
	"numbers as written":    `{"a":1.0,"b":1e2,"c":1E+2,"d":-0,"e":0.10,"f":1.7976931348623157e308}`,
	"literals":              `{"a":null,"b":true,"c":false}`,
	"empty member name":     `{"":""}`,
	"unknown members":       `{"cookie":{"maxAge":86400000,"partitioned":true,"x-later":[1]},"$":{"unknown":{"v":9}},"n":1}`,
	"nested":                `{"a":` + strings.Repeat(`[{"b":`, 12) + `0` + strings.Repeat(`}]`, 12) + `}`,
	"60 KiB":                `{"a":"` + strings.Repeat("0123456789abcdef", 60<<10/16-1) + `"}`,
	"looks like an error":   `{"a":"NOSCRIPT WRONGTYPE ERR"}`,
	"looks like the record": `{"a":"{\"a\":\"{}\"}"}`,
}

func (p *probe) bytes() {
	for name, text := range oddRecords {
		id, r := p.newID(), p.record(text)
		p.set(id, r, longTTL)
		p.wantKept(id, r, "of a record with "+name)
	}
}

// oddIDs are legal ids that a store could take for one another or for a pattern, a path or a key of its own.
func oddIDs() []string {
	const base = "sesstest-id"
	return []string{
		"a", "A", "b", "*", "?", "0", ".", "/", "~", // one byte
		base, base + "a", base + "aa", base[:len(base)-1], // prefixes of each other
		strings.ToUpper(base), "Sesstest-id", // case
		strings.Repeat("x", 63), strings.Repeat("x", 62), strings.Repeat("x", 62) + "y", // the longest
		base + "*", base + "?", base + "[a]", base + "{a}", "{" + base + "}", "{}" + base, base + "%00", base + "%61",
		base + ":", base + "::", ":" + base, "koa:sess:" + base, base + "/", base + "//", base + "/../" + base, "../" + base,
		base + "=", base + "==", base + "+", base + "-", base + "_", base + "'", base + "`", base + "$", base + "#",
		base + "|", base + "!", base + "<a>", base + "(a)", base + "^", base + "&", base + "@", "undefined", "null",
		base + ".sig",
	}
}

func (p *probe) ids() {
	texts := oddIDs()
	ids := make([]sess.ID, len(texts))
	records := make([]*sess.Record, len(texts))
	for i, text := range texts {
		ids[i] = p.idOf(text)
		records[i] = p.record(`{"id":` + strconv.Quote(text) + `}`)
		p.destroy(ids[i]) // an earlier run may have left it
	}
	for i := range ids {
		p.wantGone(ids[i], "of an id before its own Set, after the Set of others,")
		p.set(ids[i], records[i], longTTL)
	}
	for i := range ids {
		p.wantKept(ids[i], records[i], "of the id "+strconv.Quote(texts[i]))
	}
	for i := range ids {
		p.destroy(ids[i])
		p.wantGone(ids[i], "of the destroyed id "+strconv.Quote(texts[i]))
		if i+1 < len(ids) {
			p.wantKept(ids[i+1], records[i+1], "of an id after another was destroyed: "+strconv.Quote(texts[i+1]))
		}
	}
}

func (p *probe) immutable() {
	id := p.newID()
	first, second := p.record(`{"a":"first","n":1}`), p.record(`{"a":"other","n":2}`)
	wantFirst, wantSecond := strings.Clone(first.JSON()), strings.Clone(second.JSON())

	p.set(id, first, longTTL)
	got, err := p.store.Get(p.ctx, id)
	if err != nil {
		p.giveUp("Get after Set: got the error %v, want the record", err)
	}
	p.set(id, second, longTTL)
	p.wantKept(id, second, "after the second Set")
	p.destroy(id)
	p.set(p.newID(), p.record(`{"a":"third","n":3}`), longTTL)

	if first.JSON() != wantFirst || second.JSON() != wantSecond {
		p.broken("records given to Set: got %s and %s, want them as they were: %s and %s",
			excerpt(first.JSON()), excerpt(second.JSON()), excerpt(wantFirst), excerpt(wantSecond))
	}
	if got.JSON() != wantFirst {
		p.broken("a record Get returned, after later Sets: got %s, want it as it was: %s", excerpt(got.JSON()), excerpt(wantFirst))
	}
}

// concurrent lets goroutines set, read and destroy a few sessions. What a record says of itself tells whose it is and
// whether it is whole.
func (p *probe) concurrent() {
	const goroutines, sessions = 16, 4
	ids := make([]sess.ID, sessions)
	for i := range ids {
		ids[i] = p.newID()
	}
	p.parallel(goroutines, func(g int) {
		for n := range p.rounds(300) {
			i := (g + n) % sessions
			if err := p.disturb(ids[i], i, g*1_000_000+n); err != nil {
				p.broken("%v", err)
				return
			}
		}
	})
}

// disturb does one round of concurrent on session i.
func (p *probe) disturb(id sess.ID, i, n int) error {
	switch n % 8 {
	case 0:
		r, err := sess.ParseRecord(fmt.Sprintf(`{"i":%d,"n":%d,"fill":"%s","end":%d}`, i, n, strings.Repeat("f", n%500), n))
		if err != nil {
			return err
		}
		if err := p.store.Set(p.ctx, id, r, longTTL); err != nil {
			return fmt.Errorf("Set beside other calls: got the error %w, want nil", err)
		}
	case 1:
		if err := p.store.Destroy(p.ctx, id); err != nil {
			return fmt.Errorf("Destroy beside other calls: got the error %w, want nil", err)
		}
	default:
		r, err := p.store.Get(p.ctx, id)
		if errors.Is(err, sess.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("Get beside other calls: got the error %w, want a record or ErrNotFound", err)
		}
		owner, _ := r.Raw("i")
		begin, _ := r.Raw("n")
		end, _ := r.Raw("end")
		if owner != strconv.Itoa(i) || begin != end {
			return fmt.Errorf("Get beside other calls: got the record %s, want a whole one of session %d", excerpt(r.JSON()), i)
		}
	}
	return nil
}

// ownWrites gives every goroutine a session of its own in a store that others keep busy.
func (p *probe) ownWrites() {
	const goroutines = 8
	ids := make([]sess.ID, goroutines)
	for i := range ids {
		ids[i] = p.newID()
	}
	p.parallel(goroutines, func(g int) {
		for n := range p.rounds(200) {
			want, err := sess.ParseRecord(fmt.Sprintf(`{"g":%d,"n":%d}`, g, n))
			if err == nil {
				err = p.store.Set(p.ctx, ids[g], want, longTTL)
			}
			if err != nil {
				p.broken("Set: got the error %v, want nil", err)
				return
			}
			got, err := p.store.Get(p.ctx, ids[g])
			if err != nil || got.JSON() != want.JSON() {
				p.broken("Get after one's own Set: got another record or the error %v, want what was set", err)
				return
			}
			if n%4 != 3 {
				continue
			}
			if err := p.store.Destroy(p.ctx, ids[g]); err != nil {
				p.broken("Destroy: got the error %v, want nil", err)
				return
			}
			if _, err := p.store.Get(p.ctx, ids[g]); !errors.Is(err, sess.ErrNotFound) {
				p.broken("Get after one's own Destroy: got the error %v, want ErrNotFound", err)
				return
			}
		}
	})
}

// secrets provokes the errors every store has: nothing is there, and the context has ended.
func (p *probe) secrets() {
	const secret = "a-value-nobody-may-see"
	id, r := p.newID(), p.record(`{"s":"`+secret+`"}`)
	check := func(operation string, err error) {
		p.Helper()
		if err != nil && (strings.Contains(err.Error(), id.Value()) || strings.Contains(err.Error(), secret)) {
			p.broken("the error of %s: got one that quotes the id or the record, want neither in it", operation)
		}
	}
	_, err := p.store.Get(p.ctx, id)
	check("Get of a missing id", err)
	ended := p.cancelled()
	check("Set with a cancelled context", p.store.Set(ended, id, r, longTTL))
	_, err = p.store.Get(ended, id)
	check("Get with a cancelled context", err)
	check("Destroy with a cancelled context", p.store.Destroy(ended, id))
	if s, ok := p.store.(sess.Swapper); ok {
		_, err = s.Swap(p.ctx, p.newID(), r, r, longTTL)
		check("Swap of a missing id", err)
		_, err = s.Swap(ended, id, r, r, longTTL)
		check("Swap with a cancelled context", err)
	}
}

// rounds returns n, or a tenth of it under -short.
func (p *probe) rounds(n int) int {
	if p.brief || testing.Short() {
		return n / 10
	}
	return n
}
