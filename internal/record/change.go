package record

import (
	"errors"

	"github.com/fibersess/sess/internal/jsontext"
)

// change is what a request did to one key.
type change struct {
	keyAt, keyEnd int // in arena
	valAt, valEnd int // in arena: the JSON that was set, or that update last made; empty if there is none

	kind   kind
	update Updater // kindUpdate
	of     *Record // what at, m and fresh are about; nil: no record
	at     int32   // the place of the key in of, -1 if it is not there
	m      member  // the member at that place
	fresh  bool    // kindUpdate: the value was made of that in of
	err    error   // of a write that failed since

	before, behind int32 // if err: the changes that failed just before and behind, as their places + 1; 0: none

	madeAt, made int // while Merge runs: where in scratch the value is, -1: in arena, and its size
}

type kind uint8

const (
	kindNone kind = iota // there was no write but one that failed
	kindSet
	kindDelete
	kindUpdate
)

// memberBytes is what a member takes in a record beside its name and its value: quotes, colon, comma.
const memberBytes = len(`"":,`)

var errKey = errors.New("sess: key: not UTF-8; want text (bytes can be a value, as []byte)")

// isKey reports whether a session can have a value under key.
func isKey(key string) bool { return CheckKey(key) == nil }

// CheckKey returns an error if a session cannot have a value under key. The error does not tell the key.
func CheckKey(key string) error {
	switch {
	case IsReserved(key):
		return ErrReserved
	case !jsontext.IsText(key):
		return errKey
	}
	return nil
}

// gives reports whether ch gives its key a value.
func (ch *change) gives() bool { return ch.valEnd > ch.valAt }

// cost is what ch counts in bytes.
func (ch *change) cost() int { return ch.keyEnd - ch.keyAt + ch.valEnd - ch.valAt + memberBytes }

func (c *Changes) key(ch *change) []byte { return c.arena[ch.keyAt:ch.keyEnd] }

func (c *Changes) val(ch *change) []byte { return c.arena[ch.valAt:ch.valEnd] }

// value returns a copy of the value that the i-th change gives.
func (c *Changes) value(i int) (raw string, ok bool) {
	ch := &c.list[i]
	return string(c.val(ch)), ch.gives()
}

// find returns the place in the list of what was done to key, -1 if nothing was.
func (c *Changes) find(key string) int {
	if len(c.names.slots) > 0 {
		for l := c.names.look(hash(&c.names, key)); ; {
			i, ok := l.next()
			c.looks++
			if !ok || string(c.key(&c.list[i])) == key {
				return i
			}
		}
	}
	for i := range c.list {
		ch := &c.list[i]
		if ch.keyEnd-ch.keyAt == len(key) && string(c.key(ch)) == key {
			c.looks += i + 1
			return i
		}
	}
	c.looks += len(c.list)
	return -1
}

// fills reports whether a change of a key of n bytes, without a value, goes beyond the Limit.
func (c *Changes) fills(n int) bool { return c.bytes+n+memberBytes > c.limit() }

func (c *Changes) limit() int {
	if c.Limit <= 0 || c.Limit > maxRecord {
		return maxRecord
	}
	return c.Limit
}

// add lists key, of which there is no change, and returns its place. If it goes beyond the Limit, and not anyway, it
// returns -1 and notes that the list is full.
func (c *Changes) add(key string, anyway bool) int {
	if c.fills(len(key)) && !anyway {
		c.full = true
		return -1
	}
	i, from := len(c.list), len(c.arena)
	c.arena = append(c.arena, key...)
	c.list = append(c.list, change{keyAt: from, keyEnd: len(c.arena), at: -1})
	c.bytes += c.list[i].cost()
	switch {
	case i < fewMembers:
	case c.names.full():
		c.tabulate()
	default:
		c.names.add(hash(&c.names, key), i)
	}
	return i
}

// tabulate makes the table of names for the list, with room for as many again.
func (c *Changes) tabulate() {
	if len(c.list) <= fewMembers {
		c.names.slots, c.names.n = c.names.slots[:0], 0
		return
	}
	c.names = makeNames(2*len(c.list), c.names.slots)
	for i := range c.list {
		c.names.add(hash(&c.names, c.key(&c.list[i])), i)
	}
}

// write makes what out has behind the arena the value of key, and returns the place of the change.
func (c *Changes) write(key string, out []byte) (i int, err error) {
	c.touchedArena = max(c.touchedArena, len(out)+1) // encoding/json ends a value with a new line, which is cut off.
	from, size := len(c.arena), len(out)-len(c.arena)
	i = c.find(key)
	before := 0
	if i >= 0 {
		before = c.list[i].cost()
	}
	if c.bytes-before+len(key)+memberBytes+size > c.limit() {
		return -1, c.Fail(key, ErrTooLarge)
	}
	c.arena = out
	if i < 0 {
		i = c.add(key, true)
	}
	c.place(i, from, size)
	return i, nil
}

// place makes the size bytes at from, which is the end of the arena or was before the key came there, the value of the
// i-th change: where the last value was, if they fit.
func (c *Changes) place(i, from, size int) {
	ch := &c.list[i]
	room := ch.valEnd - ch.valAt
	c.bytes += size - room
	if size <= room {
		copy(c.arena[ch.valAt:], c.arena[from:from+size])
		ch.valEnd = ch.valAt + size
		c.waste += room - size
		if from+size == len(c.arena) {
			c.arena = c.arena[:from]
		}
		return
	}
	ch.valAt, ch.valEnd = from, from+size
	if c.waste += room; c.waste > len(c.arena)/2 && c.waste > 4<<10 {
		c.compact()
	}
}

// compact copies the keys and values of the list to an arena without waste.
func (c *Changes) compact() {
	arena := make([]byte, 0, 2*(len(c.arena)-c.waste))
	for i := range c.list {
		ch := &c.list[i]
		key, val := c.key(ch), c.val(ch)
		ch.keyAt = len(arena)
		arena = append(arena, key...)
		ch.keyEnd, ch.valAt = len(arena), len(arena)
		arena = append(arena, val...)
		ch.valEnd = len(arena)
	}
	c.arena, c.waste = arena, 0
}

// line puts the i-th change behind the others that have failed. They are a linked list, so that a client who has one fail
// and taken back again and again makes nobody look for the next.
func (c *Changes) line(i int) {
	c.list[i].before, c.list[i].behind = c.last, 0
	*c.behind(c.last) = int32(i + 1)
	c.last = int32(i + 1)
}

// behind is where the change behind the one at place + 1 is noted, before is where the change before it is.
func (c *Changes) behind(place int32) *int32 {
	if place == 0 {
		return &c.first
	}
	return &c.list[place-1].behind
}

func (c *Changes) before(place int32) *int32 {
	if place == 0 {
		return &c.last
	}
	return &c.list[place-1].before
}

// settle takes back a write to the i-th key that failed.
func (c *Changes) settle(i int) {
	if ch := &c.list[i]; ch.err != nil {
		ch.err = nil
		*c.behind(ch.before), *c.before(ch.behind) = ch.behind, ch.before
	}
}

// updated returns the arena with what u makes of raw behind it. If u fails, key does.
func (c *Changes) updated(key string, u Updater, raw string, ok bool) ([]byte, error) {
	unsure := c.unsure
	c.unsure = true
	out, err := u.Update(c.arena, raw, ok)
	if err != nil {
		return nil, c.Fail(key, err)
	}
	c.unsure = unsure
	return out, nil
}

// freshen makes the value of an Update anew if it was made of another record than base, as after a Refresh.
func (c *Changes) freshen(i int, base *Record) error {
	ch := &c.list[i]
	at := c.locate(ch, base)
	if ch.kind != kindUpdate || ch.fresh {
		return nil
	}
	raw, ok := "", at >= 0
	if ok {
		raw = base.value(ch.m)
	}
	key := string(c.key(ch))
	out, err := c.updated(key, ch.update, raw, ok)
	if err != nil {
		return err
	}
	if i, err = c.write(key, out); err != nil {
		return err
	}
	c.list[i].fresh = true
	return nil
}

// make makes the value that ch gives to a member of base, where raw is the present one if ok. It is called when ch is
// located in base.
func (c *Changes) make(ch *change, raw string, ok bool) error {
	ch.madeAt, ch.made = -1, ch.valEnd-ch.valAt
	if ch.kind != kindUpdate || ch.fresh {
		return nil
	}
	unsure := c.unsure
	c.unsure = true
	out, err := ch.update.Update(c.scratch, raw, ok)
	if err != nil {
		return err
	}
	c.unsure = unsure
	c.touchedScratch = max(c.touchedScratch, len(out)+1)
	ch.madeAt, ch.made = len(c.scratch), len(out)-len(c.scratch)
	c.scratch = out
	return nil
}

// result returns what make has made, empty where the member goes.
func (c *Changes) result(ch *change) []byte {
	if ch.madeAt < 0 {
		return c.val(ch)
	}
	return c.scratch[ch.madeAt : ch.madeAt+ch.made]
}

// locate returns the place of ch's key in base, -1 if it is not there. It searches once for each base, and not for the
// member that was read last.
func (c *Changes) locate(ch *change, base *Record) int {
	if ch.of == base {
		return int(ch.at)
	}
	key, m, at := c.key(ch), c.readMember, int(c.readAt)
	if base == nil || c.read != base || !named(base, m, key) {
		m, at = searchFor(c, base, key)
	}
	ch.of, ch.at, ch.m, ch.fresh = base, int32(at), m, false
	return at
}

// searchFor is search, counted.
func searchFor[K string | []byte](c *Changes, base *Record, key K) (m member, at int) {
	c.searches++
	return search(base, key)
}

// alters reports whether ch makes something else of base, or may: an Update of another record's value tells only when
// it runs.
func (c *Changes) alters(ch *change, base *Record) bool {
	at := c.locate(ch, base)
	switch {
	case ch.kind == kindNone:
		return false
	case ch.kind == kindDelete:
		return at >= 0
	case ch.kind == kindUpdate && !ch.fresh:
		return true
	default:
		return at < 0 || base.value(ch.m) != string(c.val(ch))
	}
}

// touch notes how far list and arena are written to, before they are cut.
func (c *Changes) touch() {
	c.touchedList = max(c.touchedList, len(c.list))
	c.touchedArena = max(c.touchedArena, len(c.arena))
}
