package sess_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersess/sess"
)

// hardened are the two Configs, and the limits that each promises.
var hardened = []struct {
	name           string
	config         func(...sess.Key) sess.Config
	idle, lifetime time.Duration
	sameSite       http.SameSite
}{
	{"Hardened", sess.Hardened, time.Hour, 24 * time.Hour, http.SameSiteLaxMode},
	{"HardenedAAL3", sess.HardenedAAL3, 15 * time.Minute, 12 * time.Hour, http.SameSiteStrictMode},
}

func TestAHardenedCookieHasEveryAttribute(t *testing.T) {
	for _, h := range hardened {
		r := newSite(t, h.config(sess.Keys(testKey)...)).browser(t).visit(setN)
		for _, name := range []string{"__Host-sid", "__Host-sid.sig"} {
			c := r.cookies[name]
			if c == nil {
				t.Errorf("%s: got no cookie %s, want one", h.name, name)
				continue
			}
			if !c.Secure || !c.HttpOnly || c.SameSite != h.sameSite || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || !c.Expires.IsZero() {
				t.Errorf("%s: %s: got Secure %v, HttpOnly %v, SameSite %v, path %q, domain %q, an end: %v; want true, true, %v, /, none, false",
					h.name, name, c.Secure, c.HttpOnly, c.SameSite, c.Path, c.Domain, c.MaxAge != 0 || !c.Expires.IsZero(), h.sameSite)
			}
			if n := len(c.Name) + len(c.Value); n > 4096 {
				t.Errorf("%s: %s: got %d bytes, want at most 4096", h.name, name, n)
			}
		}
	}
}

func TestAHardenedSessionEndsWhenNobodyUsesIt(t *testing.T) {
	for _, h := range hardened {
		synctest.Test(t, func(t *testing.T) {
			b := newSite(t, h.config(sess.Keys(testKey)...)).browser(t)
			b.visit(setN)
			for range 4 { // Used, if only to be read, it lives on.
				time.Sleep(h.idle * 9 / 10)
				wantValue(b, "n", 1)
			}
			time.Sleep(h.idle)
			wantNone(b, "n")
		})
	}
}

func TestAHardenedSessionEndsHoweverMuchItIsUsed(t *testing.T) {
	for _, h := range hardened {
		synctest.Test(t, func(t *testing.T) {
			b := newSite(t, h.config(sess.Keys(testKey)...)).browser(t)
			b.visit(setN)
			step := h.idle / 2
			for used := step; used < h.lifetime; used += step {
				time.Sleep(step)
				wantValue(b, "n", 1)
			}
			time.Sleep(step)
			wantNone(b, "n")
		})
	}
}

func TestAHardenedRecordHasAtMost16KiB(t *testing.T) {
	for _, h := range hardened {
		b := newSite(t, h.config(sess.Keys(testKey)...)).browser(t)
		b.visit(setN)
		r := b.send(http.MethodGet, "/", func(s sess.Session) {
			sess.Set(s, "large", strings.Repeat("x", 16<<10))
			if err := s.Save(); !errors.Is(err, sess.ErrTooLarge) {
				t.Errorf("%s: Save: got %v, want ErrTooLarge", h.name, err)
			}
		})
		if r.status != http.StatusInternalServerError {
			t.Errorf("%s: got status %d, want 500", h.name, r.status)
		}
	}
}

func TestAHardenedConfigWantsKeysForAStoreThatOutlivesTheProcess(t *testing.T) {
	config := sess.Hardened()
	config.Store = &witness{MemoryStore: sess.NewMemoryStore()}
	if err := config.Validate(); err == nil || !strings.Contains(err.Error(), "Config.Keys: none") {
		t.Errorf("got %v, want an error about Keys", err)
	}
}

// docs/security.md says which test holds each requirement. A test that was renamed or dropped must not go on protecting it.
func TestTheSecurityPageNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t)
	named, folder := 0, regexp.MustCompile(`\[([a-z0-9/]+)\]\(\.\./([a-z0-9/]+)\): `)
	for _, group := range regexp.MustCompile(`(\[[a-z0-9/]+\]\(\.\./[a-z0-9/]+\): )?\bTest[A-Z]\w+(, Test[A-Z]\w+)*`).FindAllString(string(page), -1) {
		where := "."
		if link := folder.FindStringSubmatch(group); link != nil {
			if where = link[1]; link[2] != where {
				t.Errorf("[%s]: got a link to %s, want one to the folder of that name", where, link[2])
			}
		}
		for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(group, -1) {
			if named++; !tests[where+"/"+name] {
				t.Errorf("%s in folder %s: got no such test, want the page to name one that exists, and where", name, where)
			}
		}
	}
	if named < 40 {
		t.Errorf("got %d tests named, want the page to name them", named)
	}
	for _, row := range []string{
		"7.1.1", "7.1.2", "7.1.3", "7.2.1", "7.2.2", "7.2.3", "7.2.4", "7.3.1", "7.3.2", "7.4.1", "7.4.2", "7.4.3", "7.4.4", "7.4.5",
		"7.5.1", "7.5.2", "7.5.3", "7.6.1", "7.6.2", "3.3.1", "3.3.2", "3.3.3", "3.3.4", "3.3.5", "3.5.1", "3.5.2", "3.5.3",
	} {
		if !strings.Contains(string(page), fmt.Sprintf("\n| %s |", row)) {
			t.Errorf("got no row %s, want every requirement", row)
		}
	}
}

// testNames returns the names of all tests of this repository, and each behind its folder and a slash.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				names[f.Name.Name] = true
				names[filepath.ToSlash(filepath.Dir(path))+"/"+f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
