package sess

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/engine"
	"github.com/fibersess/sess/internal/ident"
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

// overriding is a store that embeds one of ours and has a Swap of its own.
type overriding struct {
	*MemoryStore
	swaps *int
}

func (o overriding) Swap(context.Context, ID, *Record, *Record, time.Duration) (*Record, error) {
	*o.swaps++
	return nil, ErrConflict
}

// TestWhatAStoreOverridesIsAsked: also where it embeds a store of ours, or the nil pointer to one.
func TestWhatAStoreOverridesIsAsked(t *testing.T) {
	for _, memory := range []*MemoryStore{NewMemoryStore(), nil} {
		swaps := 0
		can := abilities(overriding{memory, &swaps})
		if _, err := can.Swapper.Swap(t.Context(), ident.ID{}, nil, nil, time.Hour); !errors.Is(err, ErrConflict) || swaps != 1 {
			t.Errorf("the Swap of a store that embeds %v: got %v and %d calls of its own, want ErrConflict and 1", memory, err, swaps)
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
