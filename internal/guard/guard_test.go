package guard

import "testing"

// explore takes every order of every scenario.
func explore(b bug) (what broken, worlds, orders int) {
	for _, s := range scenarios {
		for _, touched := range []bool{false, true} {
			e := explorer{seen: map[world]bool{}}
			what = e.explore(begin(s.actors, touched, b))
			worlds, orders = worlds+len(e.seen), orders+e.orders
			if what != "" {
				return broken(s.what+": ") + what, worlds, orders
			}
		}
	}
	return "", worlds, orders
}

// TestEveryOrderKeepsThePromises: a state is released once, and not while the frame, the request or a handle has it;
// nobody gets in behind that; a late Close ends nobody else's generation; nobody waits for ever.
func TestEveryOrderKeepsThePromises(t *testing.T) {
	what, worlds, orders := explore(sound)
	if what != "" {
		t.Errorf("the guard: got %s", what)
	}
	t.Logf("%d worlds, %d ends", worlds, orders)
}

func TestTheModelFindsEveryBug(t *testing.T) {
	for b := sound + 1; b < bugs; b++ {
		what, _, _ := explore(b)
		if what == "" {
			t.Errorf("%v: got no broken promise, want one", b)
		}
		t.Logf("%v: %s", b, what)
	}
}
