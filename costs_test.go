package sess_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/sesstest"
)

// What a request costs is no square of what its client, or a foreign writer of records, sends. Costs are counted: calls of
// the store, encodings, and objects on the heap where each look at a thing makes one. The counts of names that are compared
// stand in internal/record, those of HMACs in internal/sign, those of a thousand cookies beside the other edges.

// wantLinear reports if cost grows faster than its argument does. Each cost may have a part that is the same for all.
func wantLinear(t *testing.T, what string, cost func(n int) float64) {
	t.Helper()
	few, many := cost(400), cost(1600)
	if many > 4.4*few+100 {
		t.Errorf("%s: got a cost of %.0f for 400 and of %.0f for 1600, want at most four times as much", what, few, many)
	}
}

// A logout and a login with an id from before n renewals make one call for each renewal.
func TestRenewalsBehindAnIDCostOneCallEach(t *testing.T) {
	logIn := func(_ *fiber.Ctx, s sess.Session) error { s.Login("ann"); return nil }
	renew := func(_ *fiber.Ctx, s sess.Session) error { s.Regenerate(); return nil }
	for _, renewals := range []int{0, 10, 40} {
		for path, most := range map[string]int{"/logout": renewals + 2, "/in": renewals + 6} {
			store := newSpyStore()
			c := newClient(routed(sess.Config{Store: store}, routes{"in": logIn, "renew": renew}))
			c.get("/login")
			old := c.twin()
			for range renewals {
				c.get("/renew")
			}
			store.count()
			old.get(path)
			if got := store.count(); got > most {
				t.Errorf("%s behind %d renewals: got %d calls, want at most %d", path, renewals, got, most)
			}
		}
	}
}

// However often a handler asks for a new id, the session is moved once.
func TestManyRegeneratesOfOneRequestAreOneMove(t *testing.T) {
	store := newSpyStore()
	c := newClient(routed(sess.Config{Store: store}, routes{"renew": func(_ *fiber.Ctx, s sess.Session) error {
		for range 1000 {
			s.Regenerate()
			s.ID()
		}
		return nil
	}}))
	c.get("/login")
	store.count()
	c.get("/renew")
	if got := store.count(); got > 4 {
		t.Errorf("calls of the store: got %d, want at most 4", got)
	}
}

// A login does not read the sessions of the user's other logins, unless these are more than Config.MaxPerUser.
func TestALoginCostsTheSameHoweverManyTheUserHas(t *testing.T) {
	faulty := sesstest.NewFaulty(sess.NewMemoryStore())
	app := routed(sess.Config{Store: faulty.Store()}, routes{"in": func(_ *fiber.Ctx, s sess.Session) error { s.Login("ann"); return nil }})
	cost := func() int {
		before := faulty.Calls(sesstest.Any)
		newClient(app).get("/in")
		return faulty.Calls(sesstest.Any) - before
	}
	first := cost()
	for range 200 {
		if got := cost(); got != first {
			t.Fatalf("calls of a later login: got %d, want %d as of the first", got, first)
		}
	}
}

// encoded is a message that counts how often it is encoded.
type encoded struct{ times *int }

func (e encoded) MarshalJSON() ([]byte, error) { *e.times++; return []byte(`{}`), nil }

func (*encoded) UnmarshalJSON([]byte) error { return nil }

func TestFlashMessagesAreEncodedAsOftenAsTheyAreKept(t *testing.T) {
	wantLinear(t, "messages of one request", func(n int) float64 {
		times := 0
		newClient(routed(sess.Config{}, routes{"flash": func(_ *fiber.Ctx, s sess.Session) error {
			for range n {
				// Messages that were decoded cannot count: their encoding is that of the text which stands there.
				sess.Update(s, "flash", func(kept []encoded, _ bool) []encoded {
					kept = append(kept, encoded{})
					kept = kept[max(0, len(kept)-32):]
					for i := range kept {
						kept[i].times = &times
					}
					return kept
				})
			}
			return nil
		}})).get("/flash")
		return float64(times)
	})
}

// The functions of Updates run once, and once more for each swap that is lost.
func TestManyUpdatesOfOneKeyRunOncePerTry(t *testing.T) {
	const updates = 10_000
	store, runs := newSpyStore(), 0
	var other *client
	app := routed(sess.Config{Store: store}, routes{
		"one": func(_ *fiber.Ctx, s sess.Session) error { sess.Set(s, "n", 1); return nil },
		"many": func(_ *fiber.Ctx, s sess.Session) error {
			for range updates {
				sess.Update(s, "n", func(n int, _ bool) int { runs++; return n + 1 })
			}
			other.get("/one")
			return nil
		},
		"n": func(c *fiber.Ctx, s sess.Session) error { n, _ := sess.Get[int](s, "n"); return c.JSON(n) },
	})
	c := newClient(app)
	c.get("/login")
	other = c.twin()
	c.get("/many")
	if runs != 2*updates {
		t.Errorf("runs of %d updates and one lost swap: got %d, want %d", updates, runs, 2*updates)
	}
	wantReply(t, "the count", c.get("/n"), 200, fmt.Sprint(updates+1))
}

// A foreign writer's record may have any number of members, of attributes of its cookie and of members of "$". The names
// are written with escapes: each look at one makes an object.
func TestAForeignRecordCostsWhatItIsLong(t *testing.T) {
	names := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"\u006eame%d":1,`, i)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	for what, text := range map[string]func(n int) string{
		"members":               func(n int) string { return `{` + names(n) + `}` },
		"attributes":            func(n int) string { return `{"cookie":{` + names(n) + `}}` },
		"members of the header": func(n int) string { return `{"$":{` + names(n) + `}}` },
		"names in a value":      func(n int) string { return `{"v":{` + names(n) + `}}` },
	} {
		for act, do := range map[string]func(s sess.Session){
			"read":    func(s sess.Session) { sess.Get[any](s, "v") },
			"written": func(s sess.Session) { sess.Set(s, "more", 1) },
			"renewed": func(s sess.Session) { s.Regenerate() },
			"Keys":    func(s sess.Session) { s.Keys() },
			"All": func(s sess.Session) {
				for range s.All() {
				}
			},
			"each key": func(s sess.Session) {
				for _, key := range s.Keys() {
					sess.Get[int](s, key)
					sess.Set(s, key, 2)
					s.Has(key)
				}
			},
			"a cookie": func(s sess.Session) { _ = s.SetCookie(sess.Cookie{Path: "/app"}) },
		} {
			wantLinear(t, what+", "+act, func(n int) float64 {
				store := sess.NewMemoryStore()
				site := newSite(t, sess.Config{Store: store})
				b := site.browser(t)
				b.visit(setN)
				r, err := sess.ParseRecord(text(n))
				if err != nil {
					t.Fatal(err)
				}
				return testing.AllocsPerRun(1, func() {
					if err := store.Set(t.Context(), parseID(t, b.id()), r, day); err != nil {
						t.Fatal(err)
					}
					b.visit(do)
				})
			})
		}
	}
}

// What is presented as a token is looked at only if it has the length of one.
func TestATokenOfAnyLengthCostsNothing(t *testing.T) {
	long := strings.Repeat("A", 1<<20)
	newClient(routed(sess.Config{}, routes{"check": func(_ *fiber.Ctx, s sess.Session) error {
		s.Token("csrf")
		if got := testing.AllocsPerRun(10, func() { s.CheckToken("csrf", long) }); got != 0 {
			t.Errorf("objects made for a token of a megabyte: got %v, want 0", got)
		}
		return nil
	}})).get("/check")
}

// A Transport's token is bounded by what an id and a signature can be.
func TestATransportsTokenOfAnyLengthIsRefusedWithoutALookUp(t *testing.T) {
	store := newSpyStore()
	app := routed(sess.Config{Store: store, Transport: sess.HeaderTransport(headerName)}, nil)
	for _, token := range []string{strings.Repeat("a", 1<<20), strings.Repeat(".", 1<<20), strings.Repeat("a", 30) + "." + strings.Repeat("b", 1<<20)} {
		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI("/user")
		ctx.Request.Header.Set(headerName, token)
		app.Handler()(&ctx)
		ctx.ResetUserValues()
	}
	if got := store.count(); got != 0 {
		t.Errorf("calls of the store: got %d, want 0", got)
	}
}
