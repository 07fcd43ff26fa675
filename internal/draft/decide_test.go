package draft

import (
	"iter"
	"testing"
)

// everything yields all combinations of Facts.
func everything() iter.Seq[Facts] {
	return func(yield func(Facts) bool) {
		const bools = 13
		for bits := range 1 << bools {
			bit := func(n int) bool { return bits>>n&1 != 0 }
			for fate := Keep; fate <= End; fate++ {
				f := Facts{
					Discarded: bit(0), Fate: fate, Faulty: bit(1), Unknown: bit(2), Looked: bit(3), Loaded: bit(4), Stored: bit(5),
					Ended: bit(6), Dirty: bit(7), Forced: bit(8), Holds: bit(9), Empty: bit(10), Changed: bit(11), Last: bit(12),
				}
				if !yield(f) {
					return
				}
			}
		}
	}
}

// possible reports whether a request can come to f.
func possible(f Facts) bool {
	switch {
	case f.Loaded && !f.Looked:
	case (f.Forced || f.Fate != Keep || f.Changed || f.Holds) && !f.Dirty:
	case f.Stored && f.Holds, !f.Stored && f.Changed:
	case f.Stored && f.Empty:
	default:
		return true
	}
	return false
}

// healthy reports whether nothing stands against a save.
func healthy(f Facts) bool {
	return !f.Discarded && f.Fate != End && !f.Faulty && !f.Unknown && f.Loaded
}

// rules are what a verdict must keep, whatever the order of the cases in Decide. Each reports whether v keeps it.
var rules = map[string]func(f Facts, v Verdict) bool{
	"what the handler discarded is let alone": func(f Facts, v Verdict) bool {
		return !f.Discarded || v == Nothing
	},
	"a destroyed session is ended before anything that can fail": func(f Facts, v Verdict) bool {
		return f.Discarded || f.Fate != End || v == Finish
	},
	"only what was destroyed is ended": func(f Facts, v Verdict) bool {
		return v != Finish || f.Fate == End
	},
	"nothing is created without a value, unless forced or allowed": func(f Facts, v Verdict) bool {
		return v != Create || f.Holds || f.Forced || f.Empty
	},
	"what is stored is not created": func(f Facts, v Verdict) bool {
		return v != Create || !f.Stored
	},
	"what is not stored is neither saved nor moved nor touched": func(f Facts, v Verdict) bool {
		return v != Save && v != Move && v != Touch || f.Stored
	},
	"a session that has ended is not saved, moved or touched": func(f Facts, v Verdict) bool {
		return v != Save && v != Move && v != Touch || !f.Ended
	},
	"behind a session that has ended another one begins only if asked for": func(f Facts, v Verdict) bool {
		return v != Create || !f.Ended || f.Forced
	},
	"what was written to a session that has ended is told to be lost": func(f Facts, v Verdict) bool {
		return !healthy(f) || !f.Ended || !f.Dirty || f.Fate == Begin || f.Forced && !f.Stored || v == Drop
	},
	"only what was written is dropped, to a session that has ended": func(f Facts, v Verdict) bool {
		return v != Drop || f.Dirty && f.Ended
	},
	"a write that failed stores nothing": func(f Facts, v Verdict) bool {
		return !f.Faulty || !v.Stores() && v != Touch
	},
	"a write that failed is told": func(f Facts, v Verdict) bool {
		return f.Discarded || f.Fate == End || !f.Faulty || v == Refuse
	},
	"only a write that failed is refused": func(f Facts, v Verdict) bool {
		return v != Refuse || f.Faulty
	},
	"a save whose outcome is not known is never made again": func(f Facts, v Verdict) bool {
		return !f.Unknown || !v.Stores() && v != Touch
	},
	"only a save whose outcome is not known is told again": func(f Facts, v Verdict) bool {
		return v != Repeat || f.Unknown
	},
	"nothing is stored before the session was loaded": func(f Facts, v Verdict) bool {
		return !v.Stores() && v != Touch && v != Drop || f.Loaded
	},
	"a session is loaded once": func(f Facts, v Verdict) bool {
		return v != Load || !f.Loaded
	},
	"who asks for nothing costs no look-up": func(f Facts, v Verdict) bool {
		return v != Load || f.Looked || f.Dirty
	},
	"a load that failed is told, also to who only reads": func(f Facts, v Verdict) bool {
		return f.Discarded || f.Fate == End || f.Faulty || f.Unknown || !f.Looked || f.Loaded || v == Load
	},
	"a login begins a session, whatever became of the one before": func(f Facts, v Verdict) bool {
		return !healthy(f) || f.Fate != Begin || v == LogIn
	},
	"only a login logs in": func(f Facts, v Verdict) bool {
		return v != LogIn || f.Fate == Begin
	},
	"a renewed session moves, changed or not": func(f Facts, v Verdict) bool {
		return !healthy(f) || f.Fate != Renew || f.Ended || !f.Stored || v == Move
	},
	"only a renewed session moves": func(f Facts, v Verdict) bool {
		return v != Move || f.Fate == Renew
	},
	"a change is stored": func(f Facts, v Verdict) bool {
		wanted := f.Dirty && (f.Changed && f.Stored || f.Holds && !f.Stored || f.Forced)
		return !healthy(f) || f.Ended || !wanted || v.Stores()
	},
	"what changes nothing is not saved, unless forced": func(f Facts, v Verdict) bool {
		return v != Save || f.Changed || f.Forced
	},
	"the end moves only at the end of the request": func(f Facts, v Verdict) bool {
		return v != Touch || f.Last
	},
	"the end moves only where no save moves it": func(f Facts, v Verdict) bool {
		return v != Touch || f.Fate == Keep && !(f.Dirty && (f.Changed || f.Forced))
	},
	"at the end of the request an unchanged session may be touched": func(f Facts, v Verdict) bool {
		return !healthy(f) || f.Ended || !f.Stored || f.Fate != Keep || f.Dirty && (f.Changed || f.Forced) || !f.Last || v == Touch
	},

	// The caller finds out what is needed, and no more.
	"what costs a look at the changes is not asked for in vain": func(f Facts, v Verdict) bool {
		if !f.Loaded || f.Discarded || f.Faulty {
			f.Holds, f.Empty, f.Changed = false, false, false
		}
		if f.Stored {
			f.Holds, f.Empty = false, false
		} else {
			f.Changed = false
		}
		return Decide(f) == v
	},
	"behind a load it is not loaded": func(f Facts, v Verdict) bool {
		f.Looked, f.Loaded = true, true
		return v != Load || Decide(f) != Load
	},
	"behind an end it is not ended": func(f Facts, v Verdict) bool {
		f.Fate = Keep
		return v != Finish || Decide(f) != Finish
	},
	"in the middle of a request it is as at the end, but for the touch": func(f Facts, v Verdict) bool {
		f.Last = !f.Last
		w := Decide(f)
		return v == w || v == Touch && w == Nothing || v == Nothing && w == Touch
	},
}

func TestEveryVerdictKeepsTheRules(t *testing.T) {
	for rule, kept := range rules {
		for f := range everything() {
			if v := Decide(f); possible(f) && !kept(f, v) {
				t.Errorf("%s: got verdict %d for %+v", rule, v, f)
				break
			}
		}
	}
}

func TestEveryVerdictIsReached(t *testing.T) {
	var reached [verdicts]int
	for f := range everything() {
		if possible(f) {
			reached[Decide(f)]++
		}
	}
	for v, n := range reached {
		if n == 0 {
			t.Errorf("verdict %d: got it for no combination of facts, want it for some", v)
		}
	}
}

// TestAVerdictOfNothingIsNeverSilent: whoever wrote hears of it, unless he discarded it or it changes nothing.
func TestAVerdictOfNothingIsNeverSilent(t *testing.T) {
	for f := range everything() {
		wrote := f.Forced || f.Stored && f.Changed || !f.Stored && f.Holds || f.Fate == Begin || f.Fate == End
		if possible(f) && Decide(f) == Nothing && wrote && !f.Discarded {
			t.Errorf("got the verdict to do nothing, want a write stored, dropped or refused: %+v", f)
		}
	}
}

func TestDecideCostsNothing(t *testing.T) {
	f := Facts{Looked: true, Loaded: true, Stored: true, Dirty: true, Changed: true, Last: true}
	var v Verdict
	if n := testing.AllocsPerRun(100, func() { v = Decide(f) }); n != 0 || v != Save {
		t.Errorf("allocations of a decision: got %v, want 0", n)
	}
}
