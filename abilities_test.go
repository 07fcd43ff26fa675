package sess

import (
	"strings"
	"testing"

	"github.com/fibersess/sess/internal/engine"
)

type decorator struct{ Store }

func (d decorator) Unwrap() Store { return d.Store }

// TestAbilitiesOfAStore says what a store can do by itself, with one of ours embedded, and as a decorator: users and watches
// are found behind it, and nothing else is, since the decorator would not hear of it.
func TestAbilitiesOfAStore(t *testing.T) {
	memory, redis := NewMemoryStore(), &RueidisStore{}
	for _, c := range []struct {
		name  string
		store Store
		want  string
	}{
		{"MemoryStore", memory, "swap peek end watch users local"},
		{"MemoryStore, embedded", struct{ *MemoryStore }{memory}, "swap peek end watch users local"},
		{"RueidisStore", redis, "swap peek refresh end watch users"},
		{"RueidisStore, embedded", struct{ *RueidisStore }{redis}, "swap peek refresh end watch users"},
		{"three methods", struct{ Store }{memory}, ""},
		{"a decorator", decorator{memory}, "watch users"},
		{"a decorator of a decorator", decorator{decorator{redis}}, "watch users"},
	} {
		if got := named(abilities(c.store)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// named are the abilities of s by name.
func named(s engine.Store) string {
	var names []string
	for _, a := range []struct {
		name string
		has  bool
	}{
		{"swap", s.Swapper != nil}, {"peek", s.Peeker != nil}, {"refresh", s.Refresher != nil}, {"end", s.Ender != nil},
		{"watch", s.Watcher != nil}, {"users", s.Index != nil}, {"local", s.Local},
	} {
		if a.has {
			names = append(names, a.name)
		}
	}
	return strings.Join(names, " ")
}
