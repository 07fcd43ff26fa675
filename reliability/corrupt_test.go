package reliability

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
)

// reader is a node that counts what its hooks hear.
type reader struct {
	*node
	corrupt, otherwise, expired, failed atomic.Int64
}

// newReaders starts a node with near cache and one without.
func newReaders(t testing.TB, server *redistest.Server) (readers []*reader) {
	for i, config := range []sess.RueidisConfig{{}, {NoNearCache: true}} {
		r := &reader{}
		r.node = startNode(t, at(server.Addr), config, func(c *sess.Config) {
			c.Hooks.Rejected = func(e sess.Event) {
				if e.Reason == sess.ReasonCorrupt {
					r.corrupt.Add(1)
				} else {
					r.otherwise.Add(1)
				}
			}
			c.Hooks.Expired = func(sess.Event) { r.expired.Add(1) }
			c.Hooks.StoreError = func(sess.Event) { r.failed.Add(1) }
		}, userRoutes)
		if got := r.store.Stats().NearCache; got != (i == 0) {
			t.Fatalf("near cache of node %d: got %t, want %t", i, got, i == 0)
		}
		readers = append(readers, r)
	}
	return readers
}

// stored returns the bytes of a session that a node has stored.
func stored(t testing.TB, server *redistest.Server, n *node) string {
	t.Helper()
	b := newBrowser(t)
	b.must(t, n, "/login?user=user-7")
	b.must(t, n, "/hit")
	return server.Do("GET", "koa:sess:"+b.id()).(string)
}

// present returns a browser with validly signed cookies for id.
func (b *browser) present(id string) *browser {
	mac := hmac.New(sha256.New, []byte(siteKey))
	mac.Write([]byte("koa.sid=" + id))
	c := b.twin()
	c.jar = map[string]string{"koa.sid": id, "koa.sid.sig": base64.RawURLEncoding.EncodeToString(mac.Sum(nil))}
	return c
}

// wantCorrupt reads id twice on each node and wants no session, one event each time, and the cookie left alone.
func wantCorrupt(t testing.TB, readers []*reader, b *browser, what string) {
	t.Helper()
	for i, r := range readers {
		for _, path := range []string{"/read", "/hit"} {
			before, jar := r.corrupt.Load(), maps.Clone(b.jar)
			a, err := b.get(r.node, path)
			if err != nil || a.status != http.StatusUnauthorized {
				t.Fatalf("%s: node %d, %s: got (%d, %v), want 401: no session", what, i, path, a.status, err)
			}
			if got := r.corrupt.Load() - before; got != 1 {
				t.Fatalf("%s: node %d, %s: got %d events Rejected with the reason corrupt, want 1", what, i, path, got)
			}
			if len(a.header.Values("Set-Cookie")) > 0 || !maps.Equal(b.jar, jar) {
				t.Fatalf("%s: node %d, %s: got a Set-Cookie header, want the cookie left alone", what, i, path)
			}
		}
	}
}

// wantNothingElse checks that nothing but corrupt records was heard of.
func wantNothingElse(t testing.TB, readers []*reader) {
	t.Helper()
	for i, r := range readers {
		if other, failed := r.otherwise.Load(), r.failed.Load(); other+failed != 0 {
			t.Errorf("node %d: got %d other rejections and %d store errors, want none", i, other, failed)
		}
	}
}

func TestForeignValueIsNoSession(t *testing.T) {
	server := redistest.Start(t)
	readers := newReaders(t, server)
	good, b := stored(t, server, readers[0].node), newBrowser(t)
	values := map[string]string{
		"nothing":                     "",
		"an array":                    `["user","user-7"]`,
		"a string":                    `"user-7"`,
		"a number":                    `7`,
		"null":                        `null`,
		"true":                        `true`,
		"text":                        `user-7`,
		"a member twice":              `{"user":"user-7","user":"user-8"}`,
		"a member twice, one escaped": `{"user":"user-7","\u0075ser":"user-8"}`,
		"the header twice":            `{"$":{},"user":"user-7","$":{}}`,
		"no UTF-8":                    "{\"user\":\"user-7\xff\"}",
		"a lone surrogate's bytes":    "{\"user\":\"user-7\xed\xa0\x80\"}",
		"NUL behind it":               good + "\x00",
		"another behind it":           good + good,
		"a BOM before it":             "\ufeff" + good,
		"single quotes":               `{'user':'user-7'}`,
		"a trailing comma":            `{"user":"user-7",}`,
		"a foreign header":            `{"user":"user-7","$":"x"}`,
		"a negative end":              `{"user":"user-7","$":{"e":-1}}`,
		"an end beyond time":          `{"user":"user-7","$":{"e":99999999999999999999}}`,
		"1 MiB":                       `{"user":"user-7","text":"` + strings.Repeat(".", 1<<20) + `"}`,
		"1 MiB of nothing":            strings.Repeat("\x00", 1<<20),
		"100,000 arrays deep":         `{"user":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`,
		"100,000 objects deep":        strings.Repeat(`{"user":`, 100_000) + `1` + strings.Repeat("}", 100_000),
		"100,000 arrays open":         `{"user":` + strings.Repeat("[", 100_000),
	}
	n := 0
	for what, value := range values {
		n++
		id := fmt.Sprintf("foreign-%08d", n)
		server.Do("SET", "koa:sess:"+id, value, "EX", "1000")
		wantCorrupt(t, readers, b.present(id), what)
		if got := server.Do("GET", "koa:sess:"+id); got != value {
			t.Errorf("%s: got another value afterwards, want it left alone", what)
		}
	}
	for what, write := range map[string][]string{
		"list": {"RPUSH", good}, "hash": {"HSET", "user", "user-7"}, "set": {"SADD", good}, "sorted set": {"ZADD", "1", good}, "stream": {"XADD", "*", "user", "user-7"},
	} {
		id := "a-key-that-holds-a-" + strings.ReplaceAll(what, " ", "-")
		server.Do(append([]string{write[0], "koa:sess:" + id}, write[1:]...)...)
		wantCorrupt(t, readers, b.present(id), "a "+what)
	}
	wantNothingElse(t, readers)
}

func TestTruncatedSessionIsNoSession(t *testing.T) {
	server := redistest.Start(t)
	readers := newReaders(t, server)
	good, b := stored(t, server, readers[0].node), newBrowser(t)
	for n := range len(good) {
		id := fmt.Sprintf("truncated-to-%08d", n)
		server.Do("SET", "koa:sess:"+id, good[:n], "EX", "1000")
		wantCorrupt(t, readers, b.present(id), fmt.Sprintf("truncated to %d of %d bytes", n, len(good)))
	}
	wantNothingElse(t, readers)
	report(t, "%d truncations of a session of %d bytes: each was no session", len(good), len(good))
}

// TestFlippedBitGivesNoSessionOrARecordThatIsValid judges with encoding/json: what that refuses must be no session.
// What it takes is a record like any other, unless its header is broken, and must do no harm.
func TestFlippedBitGivesNoSessionOrARecordThatIsValid(t *testing.T) {
	server := redistest.Start(t)
	readers := newReaders(t, server)
	good, b := stored(t, server, readers[0].node), newBrowser(t)
	if os.Getenv("SESS_ALL_BITS") == "" { // The text is one word many times over.
		good = strings.Replace(good, textOf("user-7"), "user-7.user-7.", 1)
	}
	var refused, broken, ended, foreign, shown int
	for i := range len(good) {
		for bit := range 8 {
			flipped := []byte(good)
			flipped[i] ^= 1 << bit
			id := fmt.Sprintf("flipped-%08d-%d", i, bit)
			server.Do("SET", "koa:sess:"+id, string(flipped), "EX", "1000")
			what := fmt.Sprintf("bit %d of byte %d", bit, i)
			if !json.Valid(flipped) || !utf8.Valid(flipped) || flipped[0] != '{' {
				refused++
				wantCorrupt(t, readers, b.present(id), what)
				continue
			}
			for n, r := range readers {
				corrupt, expired := r.corrupt.Load(), r.expired.Load()
				visitor := b.present(id)
				a, err := visitor.get(r.node, "/read")
				if err != nil || a.status != http.StatusOK && a.status != http.StatusUnauthorized || visitor.id() != id {
					t.Fatalf("%s: node %d: got (%d, %v), want 200 or 401 and the cookie left alone", what, n, a.status, err)
				}
				switch corrupt, expired = r.corrupt.Load()-corrupt, r.expired.Load()-expired; {
				case corrupt+expired > 1 || corrupt+expired == 1 && a.status == http.StatusOK:
					t.Fatalf("%s: node %d: got %d events corrupt, %d expired and the status %d, want one outcome", what, n, corrupt, expired, a.status)
				case n > 0:
				case corrupt == 1:
					broken++
				case expired == 1:
					ended++
				case a.status == http.StatusUnauthorized:
					foreign++
				default:
					shown++
				}
				if a, err = visitor.get(r.node, "/hit"); err != nil || a.status != http.StatusOK && a.status != http.StatusUnauthorized {
					t.Fatalf("%s: node %d, writing: got (%d, %v), want 200 or 401", what, n, a.status, err)
				}
			}
		}
	}
	wantNothingElse(t, readers)
	report(t, "%d flipped bits of a session of %d bytes: %d no JSON in UTF-8 and no session; of the valid ones %d with a broken header and %d ended, "+
		"both no session, %d without a user, %d a session of other text", 8*len(good), len(good), refused, broken, ended, foreign, shown)
}
