package sesstest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/fibersess/sess"
)

var endPromises = []promise{
	{"End", "End removes the session that is there and returns it, or ErrNotFound if there is none", (*probe).end},
	{"End keeps tombstones", "End leaves what is no session where it is and returns it, and removes every session", (*probe).endKeepsTombstones},
	{"End against writers", "End is done at once while others swap the session, which then stays gone", (*probe).endAgainstWriters},
	{"End context", "End under a cancelled context returns its error and does nothing", (*probe).endContext},
}

// wantEnded calls End, which must remove what is there.
func (p *probe) wantEnded(id sess.ID, r *sess.Record, what string) {
	p.Helper()
	if was, err := p.store.(sess.Ender).End(p.ctx, id); err != nil || was == nil || was.JSON() != r.JSON() {
		p.giveUp("End of %s: got (%s, %v), want it and no error", what, show(was), err)
	}
	p.wantGone(id, "after End of "+what)
}

func (p *probe) end() {
	id, other := p.newID(), p.newID()
	missing := func(what string) {
		p.Helper()
		if left, err := p.store.(sess.Ender).End(p.ctx, id); left != nil || !errors.Is(err, sess.ErrNotFound) {
			p.broken("End %s: got (%s, %v), want nil and ErrNotFound", what, show(left), err)
		}
	}
	missing("of an id that was never stored")
	p.set(other, p.number(9), longTTL)
	for n := range 3 {
		p.set(id, p.number(n), longTTL)
		p.wantKept(id, p.number(n), "before End")
		p.wantEnded(id, p.number(n), "a session")
		missing("after End")
	}
	p.wantKept(other, p.number(9), "after End of another id")
	p.set(id, p.number(1), shortTTL)
	p.outlive()
	missing("of an expired session")
}

// endKeepsTombstones has sessions that hold, at some place, what the header of a tombstone holds.
func (p *probe) endKeepsTombstones() {
	for i, text := range []string{
		`{"$":{"to":"successor"}}`,
		`{"$":{"c":1,"e":2,"to":"successor"}}`,
		`{"$":{"g":true}}`,
		`{ "\u0024" : { "t\u006f" : "successor" } }`,
		`{"$":{"foreign":[{}],"to":"successor"}}`,
	} {
		r, err := sess.ParseRecord(text)
		if err != nil || r.IsSession() {
			p.giveUp("tombstone %d: got a session or the error %v, want neither", i, err)
		}
		id := p.newID()
		p.set(id, r, longTTL)
		left, err := p.store.(sess.Ender).End(p.ctx, id)
		if err != nil || left == nil || left.JSON() != r.JSON() {
			p.broken("End of what is no session: got (%s, %v), want it and no error", show(left), err)
		}
		p.wantKept(id, r, "after End of what is no session")
	}
	for _, text := range []string{
		`{}`,
		`{"to":"a"}`,
		`{"g":true}`,
		`{"v":{"$":{"to":"a"}}}`,
		`{"v":"\"$\":{\"to\":\"a\"}"}`,
		`{"v":1,"$":{"c":1,"e":2}}`,
		`{"$":{"c":1,"foreign":{"to":"a"}}}`,
		`{"$":{"from":"an-older-id","e":1}}`,
		`{"path":"C:\\g\\to"}`,
		`{"n":1e400,"b":"\\"}`,
		`{"deep":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `,"b":"\\"}`,
		fmt.Sprintf(`{"wide":%q,"to":1}`, strings.Repeat("x", 50_000)),
	} {
		r, err := sess.ParseRecord(text)
		if err != nil || !r.IsSession() {
			p.giveUp("session %.40q: got no session or the error %v", text, err)
		}
		id := p.newID()
		p.set(id, r, longTTL)
		p.wantEnded(id, r, fmt.Sprintf("a session of %d bytes", len(text)))
	}
}

// endAgainstWriters lets others swap the session without pause; each End must find one that it can remove.
func (p *probe) endAgainstWriters() {
	if _, ok := p.store.(sess.Swapper); !ok {
		p.Skipf("the store is not a sess.Swapper")
	}
	const writers, rounds = 8, 20
	for range rounds {
		id := p.newID()
		p.set(id, p.number(0), longTTL)
		var over atomic.Bool
		p.parallel(writers+1, func(g int) {
			if g == writers {
				was, err := p.store.(sess.Ender).End(p.ctx, id)
				if err != nil || was == nil {
					p.broken("End while others swap: got (%s, %v), want what was there and no error", show(was), err)
				}
				over.Store(true)
				return
			}
			current := p.number(0)
			for n := 1; !over.Load(); n++ {
				next := p.number(1000*(g+1) + n)
				there, err := p.swap(id, current, next, longTTL)
				if err != nil {
					return // the session has ended
				}
				current = there
			}
		})
		p.wantGone(id, "after End while others swapped")
	}
}

func (p *probe) endContext() {
	id := p.newID()
	p.set(id, p.number(1), longTTL)
	ctx := p.cancelled()
	if _, err := p.store.(sess.Ender).End(ctx, id); !errors.Is(err, ctx.Err()) {
		p.broken("End under a cancelled context: got the error %v, want %v", err, ctx.Err())
	}
	p.wantKept(id, p.number(1), "after End under a cancelled context")
}
