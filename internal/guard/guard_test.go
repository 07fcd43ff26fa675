package guard

import "testing"

// scenarios are what the actors do. The first one is the frame of the request that is there at the beginning.
var scenarios = []struct {
	what   string
	actors []script
}{
	{"a request and a copy of it, closed twice", []script{
		leave(), join(closing(1), closing(1)), closing(1),
	}},
	{"two handles", []script{
		leave(), closing(1), enter(1), enter(1),
	}},
	{"the commit waits for a function of a handle's", []script{
		join(locked(call()), leave()), closing(1), enter(1, call(enter(1))), enter(1),
	}},
	{"a function resets the request", []script{
		join(locked(call(closing(1))), leave()), enter(1), closing(1),
	}},
	{"a function that pays resets the request", []script{
		leave(call(closing(1))), enter(1), closing(1),
	}},
	{"a function outlives the frame", []script{
		leave(), closing(1), closing(1), enter(1, call(enter(1))),
	}},
	{"a function starts a goroutine", []script{
		leave(), closing(1), enter(1, call()), join(given(2), enter(1)),
	}},
	{"a function starts a goroutine that runs another", []script{
		leave(), closing(1), enter(1, call(enter(1))), join(given(2), enter(1, call())),
	}},
	{"a function inside of a function", []script{
		join(locked(call(enter(1, call()))), leave()), closing(1), enter(1),
	}},
	{"the next request", []script{
		leave(), join(closing(1), closing(1)), enter(1), join(take(), leave(), closing(2)),
	}},
	{"the next request, whose copy closes late", []script{
		leave(), closing(1), closing(1), join(take(), leave(), closing(2)),
	}},
	{"the next request, and a handle of each", []script{
		leave(), closing(1), enter(1), join(take(), locked(call()), leave(), closing(2)), join(begun(2), enter(2)),
	}},
}

// explore takes every order of every scenario.
func explore(b bug) (broken string, worlds, orders int) {
	for _, s := range scenarios {
		for _, touched := range []bool{false, true} {
			e := explorer{seen: map[world]bool{}}
			what := e.explore(begin(s.actors, touched, b))
			worlds, orders = worlds+len(e.seen), orders+e.orders
			if what != "" {
				return s.what + ": " + what, worlds, orders
			}
		}
	}
	return "", worlds, orders
}

// TestEveryOrderKeepsThePromises: a state is released once, and not while the frame, the request or a handle has it;
// nobody gets in behind that; a late Close ends nobody else's generation; nobody waits for ever.
func TestEveryOrderKeepsThePromises(t *testing.T) {
	broken, worlds, orders := explore(sound)
	if broken != "" {
		t.Errorf("the guard: got %s", broken)
	}
	t.Logf("%d worlds, %d ends", worlds, orders)
}

func TestTheModelFindsEveryBug(t *testing.T) {
	for b := sound + 1; b < bugs; b++ {
		broken, _, _ := explore(b)
		if broken == "" {
			t.Errorf("%v: got no broken promise, want one", b)
		}
		t.Logf("%v: %s", b, broken)
	}
}
