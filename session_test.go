package sess_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// The rules of a session's life, in their order; those on its end are in session_end_test.go.

// signed returns what a manager without Koa signs an id with, computed by the book.
func signed(newHash func() hash.Hash, key, name, id string) string {
	mac := hmac.New(newHash, []byte(key))
	mac.Write([]byte(name + "=" + id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// carry puts id into the jar, with the signature of the sites' usual key.
func (b *browser) carry(id string) {
	b.cookies["koa.sid"], b.cookies["koa.sid.sig"] = id, signed(sha256.New, testKey, "koa.sid", id)
}

const inventedID = "an-id-that-a-client-has-invented"

func TestRule01WithoutAnIDTheSessionIsNewAndTheStoreIsNotAsked(t *testing.T) {
	site := newSite(t, sess.Config{AllowEmpty: true})
	b := site.browser(t)
	b.get("/").forbidCookie(t, "untouched")
	site.store.wantCalls(t, "untouched", 0, 0)

	site = newSite(t, sess.Config{})
	b = site.browser(t)
	r := b.visit(func(s sess.Session) {
		if s.Exists() || len(s.Keys()) != 0 || s.Has("n") || !s.Created().IsZero() || s.Err() != nil {
			t.Errorf("got Exists %v, %d keys, Err %v; want a new and empty session", s.Exists(), len(s.Keys()), s.Err())
		}
	})
	r.forbidCookie(t, "read only")
	site.store.wantCalls(t, "read only", 0, 0)
}

func TestRule02AnIDThatTheStoreDoesNotKnowIsNeverAdopted(t *testing.T) {
	for name, config := range map[string]sess.Config{
		"at once":  {},
		"deferred": {Defer: true},
		"unsigned": {Cookie: sess.Cookie{DangerouslyUnsigned: true}},
	} {
		site := newSite(t, config)
		b := site.browser(t)
		b.carry(inventedID)
		b.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
		site.store.wantCalls(t, name, 1, 1)
		if got := b.id(); got == inventedID || got == "" {
			t.Errorf("%s: got the presented id or none, want a new one", name)
		}
		if site.store.kept(t, inventedID) != "" {
			t.Errorf("%s: got a record under the presented id, want none", name)
		}
		wantValue(b, "n", 1)
	}
}

func TestRule02ASessionThatValidRefusesIsReplacedAndItsRecordStays(t *testing.T) {
	refuse := false
	site := newSite(t, sess.Config{Valid: func(_ *fasthttp.RequestCtx, s sess.Session) bool {
		n, ok := sess.Get[int](s, "n")
		return !refuse || !ok || n != 1
	}})
	b := site.browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
	old := b.id()
	before := site.store.kept(t, old)
	refuse = true
	b.visit(func(s sess.Session) {
		if s.Exists() || s.Has("n") {
			t.Error("got the refused session, want a new one")
		}
		sess.Set(s, "m", 2)
	})
	if b.id() == old {
		t.Error("got the id of the refused session, want another")
	}
	if got := site.store.kept(t, old); got != before {
		t.Errorf("record of the refused session: got %s, want %s", got, before)
	}
}

func TestRule03TheSignatureIsAnHMACOfTheCookiesBytes(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  sess.Config
		newHash func() hash.Hash
		want    string
	}{
		{"by default", sess.Config{}, sha256.New, "; path=/; HttpOnly; SameSite=Lax"},
		{"for Koa", sess.Config{Koa: true}, sha1.New, "; max-age=86400; path=/; HttpOnly; SameSite=Lax"},
		{"by a SHA-1 key", sess.Config{Keys: []sess.Key{sess.SHA1Key(testKey)}}, sha1.New, "; path=/; HttpOnly; SameSite=Lax"},
	} {
		b := newSite(t, c.config).browser(t)
		r := b.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
		if len(b.id()) != 32 {
			t.Errorf("%s: got an id of %d characters, want 32", c.name, len(b.id()))
		}
		if got, want := b.cookies["koa.sid.sig"], signed(c.newHash, testKey, "koa.sid", b.id()); got != want {
			t.Errorf("%s: got signature %s, want %s", c.name, got, want)
		}
		for _, line := range r.header["Set-Cookie"] {
			if _, got, _ := strings.Cut(line, ";"); ";"+got != c.want {
				t.Errorf("%s: got attributes %q, want %q", c.name, ";"+got, c.want)
			}
		}
		wantValue(b, "n", 1)
	}
}

func TestRule04WithoutAGoodSignatureTheStoreIsNotAsked(t *testing.T) {
	site := newSite(t, sess.Config{})
	owner := site.browser(t)
	owner.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
	good := owner.cookies["koa.sid.sig"]
	site.store.calls()
	for _, sig := range []string{"", "x", good[1:], good + "A", strings.ToUpper(good), good[:len(good)-2] + "--", good + "="} {
		thief := owner.clone()
		thief.cookies["koa.sid.sig"] = sig
		wantNone(thief, "n")
	}
	site.store.wantCalls(t, "wrong signatures", 0, 0)
	thief := owner.clone()
	delete(thief.cookies, "koa.sid.sig")
	wantNone(thief, "n")
	site.store.wantCalls(t, "no signature", 0, 0)
}

func TestRule04AnOlderKeyIsAcceptedAndTheCookiesAreSentAgainInFull(t *testing.T) {
	store := sess.NewMemoryStore()
	cookie := sess.Cookie{MaxAge: time.Hour, Path: "/", Domain: "shop.test", SameSite: sess.SameSiteStrict}
	const older = "the key of last year, of some length"
	b := newSite(t, sess.Config{Store: store, Keys: sess.Keys(older), Cookie: cookie}).browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
	id := b.id()

	rotated := newSite(t, sess.Config{Store: store, Keys: sess.Keys(testKey, older), Cookie: cookie})
	b.serve = rotated.app.Handler()
	r := b.get("/")
	r.wantCookies(t, "after the rotation")
	for name, c := range r.cookies {
		if c.Path != "/" || c.Domain != "shop.test" || c.SameSite != http.SameSiteStrictMode || !c.HttpOnly || c.MaxAge < 3590 || c.MaxAge > 3600 {
			t.Errorf("cookie %s: got attributes %v, want those of the configuration for the hour that is left", name, c.Raw)
		}
	}
	if got, want := b.cookies["koa.sid.sig"], signed(sha256.New, testKey, "koa.sid", id); b.id() != id || got != want {
		t.Errorf("got signature %s, want %s for the same id", got, want)
	}
	b.get("/").forbidCookie(t, "signed by the first key")

	unknown := rotated.browser(t)
	unknown.cookies["koa.sid"], unknown.cookies["koa.sid.sig"] = inventedID, signed(sha256.New, older, "koa.sid", inventedID)
	unknown.get("/").forbidCookie(t, "an unknown id signed by an older key")
}

func TestRule05TheFirstValidlySignedCookieWins(t *testing.T) {
	site := newSite(t, sess.Config{})
	first, second := site.browser(t), site.browser(t)
	first.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
	second.visit(func(s sess.Session) { sess.Set(s, "n", 2) })
	pair := func(b *browser) string {
		return "koa.sid=" + b.id() + "; koa.sid.sig=" + b.cookies["koa.sid.sig"]
	}
	bogus := "koa.sid=" + inventedID
	for _, c := range []struct {
		name, header string
		want         int // 0: no session
	}{
		{"both good", pair(first) + "; " + pair(second), 1},
		{"both good, other order", pair(second) + "; " + pair(first), 2},
		{"a bogus one in front", bogus + "; " + pair(first), 1},
		{"three bogus ones in front", bogus + "; " + bogus + "; " + bogus + "; " + pair(first), 1},
		{"four times the same bogus one in front", bogus + "; " + bogus + "; " + bogus + "; " + bogus + "; " + pair(first), 1},
		{"four bogus ones in front", bogus + "; " + bogus + "1; " + bogus + "2; " + bogus + "3; " + pair(first), 0},
		{"a bogus signature in front", "koa.sid.sig=" + strings.Repeat("A", 43) + "; " + pair(first), 1},
	} {
		b := site.browser(t)
		b.prepare = func(r *fasthttp.Request) { r.Header.Set("Cookie", c.header) }
		b.visit(func(s sess.Session) {
			if got, _ := sess.Get[int](s, "n"); got != c.want {
				t.Errorf("%s: got session %d, want %d", c.name, got, c.want)
			}
		})
	}
}

func TestRule06OnlyADifferentValueIsAChange(t *testing.T) {
	site := newSite(t, sess.Config{})
	b := site.browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "n", 1); sess.Set(s, "text", "a") })
	for name, c := range map[string]struct {
		do   func(s sess.Session)
		want bool
	}{
		"read":              {func(s sess.Session) { sess.Get[int](s, "n"); s.Keys() }, false},
		"set to the same":   {func(s sess.Session) { sess.Set(s, "n", 1) }, false},
		"there and back":    {func(s sess.Session) { sess.Set(s, "n", 2); sess.Set(s, "n", int64(1)) }, false},
		"set and deleted":   {func(s sess.Session) { sess.Set(s, "new", 2); s.Delete("new") }, false},
		"deleted and set":   {func(s sess.Session) { s.Delete("text"); sess.Set(s, "text", "a") }, false},
		"delete of nothing": {func(s sess.Session) { s.Delete("none") }, false},
		"set":               {func(s sess.Session) { sess.Set(s, "text", "b") }, true},
		"set to null":       {func(s sess.Session) { sess.Set[any](s, "null", nil) }, true},
		"deleted":           {func(s sess.Session) { s.Delete("n") }, true},
	} {
		other := newSite(t, sess.Config{Store: site.store})
		id := b.id()
		before := site.store.kept(t, id)
		b.serve = other.app.Handler()
		site.store.calls()
		r := b.visit(c.do)
		_, writes := site.store.calls()
		if got := writes > 0; got != c.want {
			t.Errorf("%s: got stored %v, want %v", name, got, c.want)
		}
		if got := len(r.cookies) > 0; got != c.want {
			t.Errorf("%s: got a cookie %v, want %v", name, got, c.want)
		}
		site.store.keep(t, id, before)
	}
}

// A checksum of 32 bits would take these two for the same, as the CRC-32 of the records that they make.
func TestRule06ValuesThatACRC32ConfusesAreDifferent(t *testing.T) {
	site := newSite(t, sess.Config{})
	b := site.browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "word", "plumless") })
	b.visit(func(s sess.Session) { sess.Set(s, "word", "buckeroo") })
	wantValue(b, "word", "buckeroo")
}

func TestRule07TheEndOfARequestFollowsItsOrder(t *testing.T) {
	write := func(s sess.Session) { sess.Set(s, "n", 2) }
	for name, c := range map[string]struct {
		allowEmpty, fresh bool
		do                func(s sess.Session)
		want              []string
	}{
		"discard beats a write":        {do: func(s sess.Session) { write(s); s.Discard() }},
		"discard beats destroy":        {do: func(s sess.Session) { s.Discard(); s.Destroy() }},
		"discard beats regenerate":     {do: func(s sess.Session) { s.Regenerate(); s.Discard() }},
		"destroy beats force":          {do: func(s sess.Session) { s.ForceSave(); s.Destroy() }, want: []string{"end"}},
		"destroy beats a write":        {do: func(s sess.Session) { write(s); s.Destroy() }, want: []string{"end"}},
		"a write after destroy":        {do: func(s sess.Session) { s.Destroy(); write(s) }, want: []string{"end", "create"}},
		"force saves the unchanged":    {do: func(s sess.Session) { s.ForceSave() }, want: []string{"change"}},
		"force saves the new":          {fresh: true, do: func(s sess.Session) { s.ForceSave() }, want: []string{"create"}},
		"the last of the two counts":   {do: func(s sess.Session) { s.Discard(); s.ForceSave() }, want: []string{"change"}},
		"new and empty":                {fresh: true, do: func(s sess.Session) { s.ID(); s.Clear() }},
		"new and empty, allowed":       {fresh: true, allowEmpty: true, do: func(s sess.Session) { s.ID() }, want: []string{"create"}},
		"new, regenerated and empty":   {fresh: true, do: func(s sess.Session) { s.Regenerate() }},
		"emptied":                      {do: func(s sess.Session) { s.Clear() }, want: []string{"change"}},
		"unchanged":                    {do: func(s sess.Session) { s.Keys() }},
		"a write and nothing to do it": {fresh: true, do: func(s sess.Session) { write(s); s.Delete("n") }},
	} {
		site := newSite(t, sess.Config{AllowEmpty: c.allowEmpty})
		b := site.browser(t)
		if !c.fresh {
			b.visit(func(s sess.Session) { sess.Set(s, "n", 1) })
		}
		site.store.log = nil
		r := b.visit(c.do)
		if !slices.Equal(site.store.log, c.want) {
			t.Errorf("%s: the store heard %v, want %v", name, site.store.log, c.want)
		}
		if got, want := len(r.cookies) > 0, len(c.want) > 0; got != want {
			t.Errorf("%s: got cookies %v, want %v", name, got, want)
		}
	}
}

func TestRule08BeforeSaveThenTheStoreThenTheCookies(t *testing.T) {
	var site *site
	site = newSite(t, sess.Config{BeforeSave: func(ctx *fasthttp.RequestCtx, s sess.Session) error {
		if len(site.store.log) != 0 {
			t.Errorf("BeforeSave: the store had heard %v, want nothing", site.store.log)
		}
		if got := ctx.Response.Header.Peek("Set-Cookie"); len(got) != 0 {
			t.Error("BeforeSave: got a cookie already, want none")
		}
		sess.Set(s, "seen", true)
		return nil
	}})
	b := site.browser(t)
	b.visit(func(s sess.Session) { sess.Set(s, "n", 1) }).wantCookies(t, "saved")
	site.store.log = nil
	b.visit(func(s sess.Session) {
		if seen, _ := sess.Get[bool](s, "seen"); !seen {
			t.Error("got nothing of what BeforeSave wrote, want it stored")
		}
	})
}

func TestRule08AFailedSaveLeavesNoCookie(t *testing.T) {
	refusal := errors.New("not today")
	for name, c := range map[string]struct {
		config sess.Config
		do     func(s sess.Session)
		want   int
	}{
		"the store fails":      {sess.Config{}, func(s sess.Session) { sess.Set(s, "n", 1) }, 503},
		"BeforeSave refuses":   {sess.Config{BeforeSave: func(*fasthttp.RequestCtx, sess.Session) error { return refusal }}, func(s sess.Session) { sess.Set(s, "n", 1) }, 500},
		"too large":            {sess.Config{MaxRecordBytes: 100}, func(s sess.Session) { sess.Set(s, "n", strings.Repeat("x", 100)) }, 500},
		"not a value":          {sess.Config{}, func(s sess.Session) { sess.Set(s, "n", make(chan int)) }, 500},
		"not a number":         {sess.Config{}, func(s sess.Session) { sess.Set(s, "n", math.NaN()) }, 500},
		"a reserved key":       {sess.Config{}, func(s sess.Session) { sess.Set(s, "cookie", 1) }, 500},
		"no entropy":           {sess.Config{GenerateID: func(*fasthttp.RequestCtx) (string, error) { return "", refusal }}, func(s sess.Session) { sess.Set(s, "n", 1) }, 500},
		"an id that is short":  {sess.Config{GenerateID: func(*fasthttp.RequestCtx) (string, error) { return "short", nil }}, func(s sess.Session) { sess.Set(s, "n", 1) }, 500},
		"an id that is unsafe": {sess.Config{GenerateID: func(*fasthttp.RequestCtx) (string, error) { return "sixteen;characters", nil }}, func(s sess.Session) { sess.Set(s, "n", 1) }, 500},
	} {
		site := newSite(t, c.config)
		b := site.browser(t)
		site.store.broken.Store(c.want == 503)
		r := b.handle("GET", "/", func(ctx *fiber.Ctx) error { c.do(sess.From(ctx)); return nil })
		if r.status != c.want || r.body != http.StatusText(c.want) {
			t.Errorf("%s: got %d %q, want %d %q", name, r.status, r.body, c.want, http.StatusText(c.want))
		}
		r.forbidCookie(t, name)
		if n := site.store.Len(); n != 0 {
			t.Errorf("%s: got %d records, want none", name, n)
		}
	}
}

// TestBytesThatAreNotUTF8AreRefusedAsKeyAndAsText: they became U+FFFD, so that two keys were one, and a hash another.
func TestBytesThatAreNotUTF8AreRefusedAsKeyAndAsText(t *testing.T) {
	const bad = "k\xff"
	for name, c := range map[string]struct {
		write func(s sess.Session)
		want  string // in Err; empty: nothing was wrong
	}{
		"a key":             {func(s sess.Session) { sess.Set(s, bad, 5) }, "key: not UTF-8"},
		"a key of Update":   {func(s sess.Session) { sess.Update(s, bad, func(n int, _ bool) int { return n }) }, "key: not UTF-8"},
		"text":              {func(s sess.Session) { sess.Set(s, "hash", bad) }, "use []byte for bytes"},
		"text of Update":    {func(s sess.Session) { sess.Update(s, "hash", func(string, bool) string { return bad }) }, "use []byte for bytes"},
		"text inside":       {func(s sess.Session) { sess.Set(s, "hash", fiber.Map{"a": []any{bad}}) }, "use []byte for bytes"},
		"a key, taken back": {func(s sess.Session) { sess.Set(s, bad, 5); s.Delete(bad) }, ""},
		"bytes":             {func(s sess.Session) { sess.Set(s, "bytes", []byte(bad)) }, ""},
	} {
		app := routed(sess.Config{}, routes{"act": func(_ *fiber.Ctx, s sess.Session) error {
			c.write(s)
			if _, ok := sess.Get[int](s, bad); ok || s.Has(bad) || s.Has("k\ufffd") || s.Has("hash") {
				t.Errorf("%s: got something written, want nothing", name)
			}
			switch err := s.Err(); {
			case c.want == "" && err != nil:
				t.Errorf("%s: got %v, want nil", name, err)
			case c.want != "" && !strings.Contains(fmt.Sprintf("%+v", err), c.want):
				t.Errorf("%s: got %+v, want %q in it", name, err, c.want)
			}
			return nil
		}})
		status := 200
		if c.want != "" {
			status = 500
		}
		if got := newClient(app).get("/act"); got.status != status {
			t.Errorf("%s: got %d, want %d", name, got.status, status)
		}
	}
}

// A write that failed is taken back by a write to the same key, by its deletion, and by Clear.
func TestAFailedWriteCanBeTakenBack(t *testing.T) {
	for name, undo := range map[string]func(sess.Session){
		"a write":    func(s sess.Session) { sess.Set(s, "bad", 1) },
		"a deletion": func(s sess.Session) { s.Delete("bad") },
		"Clear":      func(s sess.Session) { s.Clear() },
	} {
		b := newSite(t, sess.Config{}).browser(t)
		r := b.visit(func(s sess.Session) {
			sess.Set(s, "bad", make(chan int))
			if s.Err() == nil {
				t.Errorf("%s: Err after a channel was set: got nil, want an error", name)
			}
			undo(s)
			if err := s.Err(); err != nil {
				t.Errorf("%s: Err after it was taken back: got %+v, want nil", name, err)
			}
			sess.Set(s, "n", 1)
		})
		r.wantCookies(t, name)
		b.visit(func(s sess.Session) {
			if n, _ := sess.Get[int](s, "n"); n != 1 {
				t.Errorf("%s: saved behind it: got %d, want 1", name, n)
			}
		})
	}
}
