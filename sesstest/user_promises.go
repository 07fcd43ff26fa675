package sesstest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fibersess/sess"
)

var userPromises = []promise{
	{"Enter", "Enter adds an entry, once, and it has the id and the login time that it was given", (*probe).enter},
	{"Enter is apart", "an entry and a record know nothing of each other", (*probe).enterIsApart},
	{"Entries of each user", "each user has entries of its own, whatever the name", (*probe).entriesOfEach},
	{"Entries in pages", "the pages hold every entry that is there all the time", (*probe).entriesInPages},
	{"Entries tell of additions", "Added is another after an entry was added, and the same while none is", (*probe).entriesAdded},
	{"Leave", "Leave removes the entries it is given, and none else", (*probe).leaves},
	{"Leave spares the young", "Leave with a grace spares what may be under way, and removes what cannot be", (*probe).leaveSpares},
	{"Leave after its grace", "Leave with a grace removes an entry when the grace that Enter was given has passed", (*probe).leaveAfter},
	{"Admit", "Admit adds an entry with the login time that it returns", (*probe).admit},
	{"Admit asks", "Admit of the zero ID adds nothing", (*probe).admitAsks},
	{"Mark bars", "a mark bars the logins of its user whose request began before it, and only those", (*probe).markBars},
	{"Mark lets its own pass", "Admit lets the mark pass that the same request has left, and no other", (*probe).markPasses},
	{"Mark of a barred request", "Mark returns zero to a request that an earlier mark bars", (*probe).markOfBarred},
	{"Mark is one step", "who was admitted beside a mark is in the entries that are read after it", (*probe).markIsOneStep},
	{"Users context cancelled", "the calls of an index under a cancelled context return its error", (*probe).usersCancelled},
}

// userStore is a store with an index.
type userStore interface {
	sess.UserIndex
	sess.UserMarker
}

func (p *probe) users() userStore { return p.store.(userStore) }

// newUser returns a user nobody has.
func (p *probe) newUser() string { return "ann " + p.newID().Value() }

// entry returns an entry of a new id and the given age.
func (p *probe) entry(age time.Duration) sess.UserEntry {
	return sess.UserEntry{ID: p.newID(), Login: time.UnixMilli(time.Now().Add(-age).UnixMilli() | 1)}
}

// enterAll enters entries that have records, or will not get any.
func (p *probe) enterAll(user string, entries ...sess.UserEntry) {
	p.Helper()
	for _, e := range entries {
		if err := p.users().Enter(p.ctx, user, e, longTTL, 0); err != nil {
			p.giveUp("Enter: got the error %v, want nil", err)
		}
	}
}

func (p *probe) leaveAll(user string, grace time.Duration, entries ...sess.UserEntry) {
	p.Helper()
	if err := p.users().Leave(p.ctx, user, entries, grace); err != nil {
		p.giveUp("Leave: got the error %v, want nil", err)
	}
}

// page returns one page.
func (p *probe) page(user, cursor string) sess.UserPage {
	p.Helper()
	page, err := p.users().Entries(p.ctx, user, cursor)
	if err != nil {
		p.giveUp("Entries: got the error %v, want nil", err)
	}
	return page
}

// entries returns what all pages hold, and how often.
func (p *probe) entries(user string) map[sess.UserEntry]int {
	p.Helper()
	seen := map[sess.UserEntry]int{}
	for cursor := ""; ; {
		page := p.page(user, cursor)
		for _, e := range page.Entries {
			seen[e]++
		}
		if cursor = page.Cursor; cursor == "" {
			return seen
		}
	}
}

// wantEntries checks that a user has exactly these.
func (p *probe) wantEntries(user, when string, want ...sess.UserEntry) {
	p.Helper()
	got := p.entries(user)
	for _, e := range want {
		if got[e] != 1 {
			p.broken("Entries %s: got an entry %d times, want it once", when, got[e])
		}
	}
	if len(got) != len(want) {
		p.broken("Entries %s: got %d, want %d", when, len(got), len(want))
	}
}

func (p *probe) enter() {
	user, a, b := p.newUser(), p.entry(0), p.entry(30*24*time.Hour)
	p.wantEntries(user, "of a user without any")
	p.enterAll(user, a, b)
	p.wantEntries(user, "after two were entered", a, b)
	p.enterAll(user, b)
	if err := p.users().Enter(p.ctx, user, a, shortTTL, 0); err != nil {
		p.broken("Enter of an entry that is there: got the error %v, want nil", err)
	}
	p.wantEntries(user, "after both were entered again", a, b)
	p.outlive()
	p.wantEntries(user, "after a shorter time than the first call gave has passed", a, b)
}

func (p *probe) enterIsApart() {
	user, a, b := p.newUser(), p.entry(0), p.entry(0)
	p.enterAll(user, a)
	p.wantGone(a.ID, "of an id that has only an entry")
	p.set(b.ID, p.number(1), longTTL)
	p.wantEntries(user, "after a record was stored that has none", a)
	p.leaveAll(user, 0, a)
	p.wantKept(b.ID, p.number(1), "after an entry has left")
}

func (p *probe) entriesOfEach() {
	base := p.newUser()
	names := []string{base, base + " ", base + "{x}", strings.ToUpper(base), base + "\x00", base + "ä\u2028\"", base + strings.Repeat("n", 256-len(base))}
	entries := make([]sess.UserEntry, len(names))
	for i, name := range names {
		entries[i] = p.entry(0)
		p.enterAll(name, entries[i])
	}
	for i, name := range names {
		p.wantEntries(name, fmt.Sprintf("of the user %q", name), entries[i])
	}
}

func (p *probe) entriesInPages() {
	user, count := p.newUser(), 1500
	stay, go_ := make([]sess.UserEntry, count), make([]sess.UserEntry, count)
	for i := range count {
		stay[i], go_[i] = p.entry(time.Duration(i)*time.Second), p.entry(time.Duration(i)*time.Second)
	}
	p.parallel(8, func(g int) {
		for i := g; i < count; i += 8 {
			if err := errors.Join(p.users().Enter(p.ctx, user, stay[i], longTTL, 0), p.users().Enter(p.ctx, user, go_[i], longTTL, 0)); err != nil {
				p.broken("Enter: got the error %v, want nil", err)
			}
		}
	})
	seen, pages := map[sess.ID]bool{}, 0
	for cursor := ""; ; pages++ {
		page := p.page(user, cursor)
		if len(page.Entries) > count {
			p.broken("a page: got %d entries, want some hundreds", len(page.Entries))
		}
		for _, e := range page.Entries {
			seen[e.ID] = true
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
		p.enterAll(user, p.entry(0), p.entry(40*24*time.Hour))
		p.leaveAll(user, 0, go_[pages*count/8:(pages+1)*count/8]...)
		if pages == 7 {
			p.leaveAll(user, 0, go_...)
			pages = -1000 // there is no more to take away
		}
	}
	for _, e := range stay {
		if !seen[e.ID] {
			p.giveUp("the pages of %d entries, of which half left meanwhile: got one of the others in none, want it in one", 2*count)
		}
	}
}

func (p *probe) entriesAdded() {
	user, a, b := p.newUser(), p.entry(0), p.entry(0)
	seen := map[uint64]bool{p.page(user, "").Added: true}
	isNew := func(when string, want bool) {
		p.Helper()
		added := p.page(user, "").Added
		if seen[added] == want {
			p.broken("Added %s: got new %t, want %t", when, !want, want)
		}
		seen[added] = true
	}
	isNew("of a user without entries", false)
	p.enterAll(user, a)
	isNew("after Enter", true)
	if _, err := p.users().Admit(p.ctx, user, b.ID, longTTL, sess.LoginAttempt{Began: time.Now()}); err != nil {
		p.giveUp("Admit: got the error %v, want nil", err)
	}
	isNew("after Admit", true)
	p.enterAll(user, a)
	isNew("after Enter of what is there", false)
	p.leaveAll(user, 0, a)
	isNew("after Leave", false)
	p.enterAll(user, a)
	isNew("after Enter of what had left", true)
}

func (p *probe) leaves() {
	user, a, b, c := p.newUser(), p.entry(0), p.entry(time.Hour), p.entry(0)
	p.enterAll(user, a, b, c)
	p.leaveAll(user, 0, a, b, p.entry(0))
	p.wantEntries(user, "after two of three have left", c)
	p.leaveAll(user, 0, a)
	p.leaveAll(user, 0)
	p.wantEntries(user, "after one left twice", c)
	p.leaveAll(user, 0, c)
	p.wantEntries(user, "after all have left")
}

func (p *probe) leaveSpares() {
	user, old, young, renewed, b := p.newUser(), p.entry(time.Hour), p.entry(0), p.entry(time.Hour), p.entry(0)
	const grace = time.Minute
	p.enterAll(user, old, young)
	if err := p.users().Enter(p.ctx, user, renewed, longTTL, grace); err != nil {
		p.giveUp("Enter: got the error %v, want nil", err)
	}
	login, err := p.users().Admit(p.ctx, user, b.ID, longTTL, sess.LoginAttempt{Began: time.Now()})
	if err != nil {
		p.giveUp("Admit: got the error %v, want nil", err)
	}
	admitted := sess.UserEntry{ID: b.ID, Login: login}
	p.leaveAll(user, grace, old, young, renewed, admitted)
	p.wantEntries(user, "after Leave with a grace", young, renewed, admitted)
	p.enterAll(user, renewed)
	p.leaveAll(user, grace, renewed)
	p.wantEntries(user, "after one was moved whose record is there", young, admitted)
}

func (p *probe) leaveAfter() {
	user, e, start := p.newUser(), p.entry(time.Hour), time.Now()
	if err := p.users().Enter(p.ctx, user, e, longTTL, shortTTL); err != nil {
		p.giveUp("Enter: got the error %v, want nil", err)
	}
	for {
		p.leaveAll(user, shortTTL, e)
		switch left, age := len(p.entries(user)) == 0, time.Since(start); {
		case left && age < shortTTL-early:
			p.broken("Leave with a grace: got an entry removed after %v, want it spared for %v", age, shortTTL)
			return
		case left:
			return
		case age > shortTTL+soon:
			p.broken("Leave with a grace: got an entry spared after %v, want it removed since %v have passed", age, shortTTL)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
