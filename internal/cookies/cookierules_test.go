package cookies

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestBadCookieOptionsAreRefused(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name   string
		cookie Cookie
		want   []string // beginnings of the errors behind "sess: Config.Cookie."
	}{
		{"defaults", Cookie{}, nil},
		{"everything", Cookie{Name: "__Host-Http-sid", MaxAge: 400 * day, Secure: SecureAlways, SameSite: SameSiteNone, Partitioned: true}, nil},
		{"a name of all its marks", Cookie{Name: "a!#$&'*+-.^_`|~9Z"}, nil},
		{"__Secure- with Domain and Path", Cookie{Name: "__Secure-sid", Domain: "example.com", Path: "/a", Secure: SecureAlways}, nil},
		{"domains", Cookie{Domain: ".xn--e1afmkfd.Example.co.uk"}, nil},
		{"one label", Cookie{Domain: "localhost"}, nil},
		{"an address", Cookie{Domain: "127.0.0.1"}, nil},
		{"a path of many marks", Cookie{Path: "/a.b/..c/.d/e~!$&'()*+=:@-_/"}, nil},
		{"a directory", Cookie{Path: "/a/"}, nil},
		{"the longest name", Cookie{Name: strings.Repeat("n", 4033)}, nil},
		{"the longest path", Cookie{Path: "/" + strings.Repeat("p", 1023)}, nil},
		{"Expires", Cookie{Expires: time.Now().Add(399 * day)}, nil},
		{"Expires in the past", Cookie{Expires: time.Unix(0, 0)}, nil},

		{"name with CR", Cookie{Name: "a\rb"}, []string{`Name: "a\rb"; want an RFC 6265 token`}},
		{"name with LF", Cookie{Name: "a\nSet-Cookie: b"}, []string{"Name: "}},
		{"name with semicolon", Cookie{Name: "a;b"}, []string{"Name: "}},
		{"name with comma", Cookie{Name: "a,b"}, []string{"Name: "}},
		{"name with equals sign", Cookie{Name: "a=b"}, []string{"Name: "}},
		{"name with blank", Cookie{Name: "a b"}, []string{"Name: "}},
		{"name with tab", Cookie{Name: "a\tb"}, []string{"Name: "}},
		{"name with NUL", Cookie{Name: "a\x00b"}, []string{"Name: "}},
		{"name with DEL", Cookie{Name: "a\x7fb"}, []string{"Name: "}},
		{"name with %0d%0a", Cookie{Name: "a%0d%0ab"}, []string{"Name: "}},
		{"name with quote", Cookie{Name: `a"b`}, []string{"Name: "}},
		{"name not ASCII", Cookie{Name: "s\u0131d"}, []string{`Name: "s\u0131d"; want`}},
		{"name invalid UTF-8", Cookie{Name: "s\xffd"}, []string{`Name: "s\xffd"; want`}},
		{"name too long", Cookie{Name: strings.Repeat("n", 4034)}, []string{"Name: 4034 bytes; want 4033 bytes or less"}},

		{"path without slash", Cookie{Path: "app"}, []string{`Path: "app"; want a path that begins with "/"`}},
		{"path with CR LF", Cookie{Path: "/\r\nSet-Cookie: a=b"}, []string{"Path: "}},
		{"path with semicolon", Cookie{Path: "/;domain=evil.example"}, []string{"Path: "}},
		{"path with comma", Cookie{Path: "/a,b"}, []string{"Path: "}},
		{"path with blank", Cookie{Path: "/a b"}, []string{"Path: "}},
		{"path with NUL", Cookie{Path: "/\x00"}, []string{"Path: "}},
		{"path with %0d%0a", Cookie{Path: "/%0d%0aSet-Cookie:a=b"}, []string{"Path: "}},
		{"path with %3b", Cookie{Path: "/%3bdomain=evil.example"}, []string{"Path: "}},
		{"path with any escape", Cookie{Path: "/a%20b"}, []string{"Path: "}},
		{"path with backslash", Cookie{Path: `/a\..\b`}, []string{"Path: "}},
		{"path not ASCII", Cookie{Path: "/\u00e9"}, []string{"Path: "}},
		{"path with empty segment", Cookie{Path: "/a//b"}, []string{"Path: "}},
		{"path with dot", Cookie{Path: "/a/./b"}, []string{"Path: "}},
		{"path with dots", Cookie{Path: "/a/../b"}, []string{"Path: "}},
		{"path ends in dot", Cookie{Path: "/a/."}, []string{"Path: "}},
		{"path ends in dots", Cookie{Path: "/.."}, []string{"Path: "}},
		{"path too long", Cookie{Path: "/" + strings.Repeat("p", 1024)}, []string{"Path: 1025 bytes; want 1024 bytes or less"}},

		{"domain with CR LF", Cookie{Domain: "a.b\r\nX: y"}, []string{"Domain: "}},
		{"domain with semicolon", Cookie{Domain: "a.b;path=/x"}, []string{"Domain: "}},
		{"domain with comma", Cookie{Domain: "a,b"}, []string{"Domain: "}},
		{"domain with blank", Cookie{Domain: "a b"}, []string{"Domain: "}},
		{"domain with %0d%0a", Cookie{Domain: "a%0d%0ab"}, []string{"Domain: "}},
		{"domain with NUL", Cookie{Domain: "a\x00"}, []string{"Domain: "}},
		{"domain not ASCII", Cookie{Domain: "b\u00fccher.example"}, []string{"Domain: "}},
		{"domain with port", Cookie{Domain: "example.com:80"}, []string{"Domain: "}},
		{"domain is a URL", Cookie{Domain: "https://example.com"}, []string{"Domain: "}},
		{"domain of a dot", Cookie{Domain: "."}, []string{"Domain: "}},
		{"domain with two dots", Cookie{Domain: "a..b"}, []string{"Domain: "}},
		{"domain ends in dot", Cookie{Domain: "example.com."}, []string{"Domain: "}},
		{"domain with hyphen in front", Cookie{Domain: "-a.b"}, []string{"Domain: "}},
		{"domain with long label", Cookie{Domain: strings.Repeat("a", 64)}, []string{"Domain: "}},
		{"domain too long", Cookie{Domain: strings.Repeat("a.", 127) + "b"}, []string{"Domain: 255 bytes; want 253 bytes or less"}},

		{"401 days", Cookie{MaxAge: 401 * day}, []string{"MaxAge: 9624h0m0s; want 9600h0m0s (400 days) or less"}},
		{"negative MaxAge", Cookie{MaxAge: -time.Second}, []string{"MaxAge: -1s; want 0 for a browser session"}},
		{"Expires in 401 days", Cookie{Expires: time.Now().Add(401 * day)}, []string{"Expires: "}},
		{"no such Secure", Cookie{Secure: 3}, []string{"Secure: 3; want SecureAuto"}},
		{"no such SameSite", Cookie{SameSite: 4}, []string{"SameSite: 4; want SameSiteLax"}},
		{"None without Secure", Cookie{SameSite: SameSiteNone}, []string{"Secure: not set with SameSiteNone"}},
		{"None with SecureNever", Cookie{SameSite: SameSiteNone, Secure: SecureNever}, []string{"Secure: not set with SameSiteNone"}},
		{"Partitioned without Secure", Cookie{Partitioned: true}, []string{"Secure: not set with Partitioned"}},
		{"__Secure- without Secure", Cookie{Name: "__Secure-a"}, []string{"Secure: not set under a name"}},
		{"__secure- in lower case", Cookie{Name: "__secure-a"}, []string{"Secure: not set under a name"}},
		{"__Host- without Secure", Cookie{Name: "__Host-a"}, []string{"Secure: not set under a name"}},
		{"__Host- with Domain", Cookie{Name: "__Host-a", Domain: "a.b", Secure: SecureAlways}, []string{"Domain: set under a name"}},
		{"__host- with Path", Cookie{Name: "__host-a", Path: "/a", Secure: SecureAlways}, []string{`Path: not "/" under a name`}},
		{"__Http- without Secure", Cookie{Name: "__Http-a"}, []string{"Secure: not set under a name"}},
		{"__Http- for scripts", Cookie{Name: "__Http-a", Secure: SecureAlways, DangerouslyScriptReadable: true}, []string{"DangerouslyScriptReadable: set"}},
		{"all at once", Cookie{Name: "a b", Path: "x", Domain: "..", MaxAge: -1, Partitioned: true}, []string{"Name: ", "Path: ", "Domain: ", "MaxAge: ", "Secure: "}},
	} {
		errs := c.cookie.WithDefaults().Validate(true, false)
		if len(errs) != len(c.want) {
			t.Errorf("%s: got %v, want %q", c.name, errs, c.want)
			continue
		}
		for i, err := range errs {
			text := err.Error()
			if !strings.HasPrefix(text, "sess: Config.Cookie."+c.want[i]) || !strings.Contains(text, "; want ") {
				t.Errorf("%s: got %q, want %q", c.name, text, c.want[i])
			}
			if len(text) > 200 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
				t.Errorf("%s: got %q, want a short printable text", c.name, text)
			}
		}
	}
}

func TestBesideKoaEveryNameThatItCanSendIsTaken(t *testing.T) {
	for _, name := range []string{"koss:test_sid", "app:sid", "sess[id]", "a/b", "a,b", "a b", "a\tb", `"a"`, `a\b`, "a%3bb", "{a}", "s\u00e9ss", "\u0080", "koa.sid"} {
		if errs := (Cookie{Name: name}).WithDefaults().Validate(true, true); errs != nil {
			t.Errorf("%q: got %v, want none", name, errs)
		}
	}
	for _, name := range []string{"a;b", "a=b", "a\r\nb", "a\x00", "a\x7f", " a", "a ", "\ta", "a\t", " ", "s\u0151s", "a\xff", strings.Repeat("a", 4050)} {
		if errs := (Cookie{Name: name}).WithDefaults().Validate(true, true); len(errs) != 1 {
			t.Errorf("%q: got %v, want it refused", name, errs)
		}
	}
	for _, name := range []string{"koss:test_sid", "sess[id]", "a b"} {
		if errs := (Cookie{Name: name}).WithDefaults().Validate(true, false); len(errs) != 1 {
			t.Errorf("%q without Koa: got %v, want it refused", name, errs)
		}
	}
}

// What our rules admit as a path is what fasthttp sends without changing a byte.
func TestPathsThatPassAreSentUnchanged(t *testing.T) {
	var out fasthttp.Cookie
	check := func(path string) {
		out.SetPath(path)
		if got := string(out.Path()); pathFault(path) == "" && got != path {
			t.Errorf("path %q: got %q from fasthttp, want it refused or unchanged", path, got)
		}
	}
	pieces := []string{"/", ".", "a", "%", "%2f", `\`, ";", " ", "..", "?", "#", "\r", "é"}
	for _, a := range pieces {
		for _, b := range pieces {
			for _, c := range pieces {
				for _, d := range pieces {
					check("/" + a + b + c + d)
				}
			}
		}
	}
	for c := range 256 {
		check(fmt.Sprintf("/a%cb", c))
		check("/a" + string([]byte{byte(c)}) + "b")
	}
}
