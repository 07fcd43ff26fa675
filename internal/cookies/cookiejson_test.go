package cookies

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const koaCookie = `{"httpOnly":true,"path":"/","overwrite":true,"signed":true,"maxAge":86400000}`

func defaultCookie() Cookie { return Cookie{}.WithDefaults() }

func TestTheCookieObjectOfKoaIsRead(t *testing.T) {
	base := Cookie{Name: "n", Path: "/base", Domain: "base.example", MaxAge: time.Minute, Secure: SecureAlways, SameSite: SameSiteStrict}
	with := func(change func(*Cookie)) Cookie { c := base; change(&c); return c }
	noon := time.Date(2031, 2, 3, 12, 0, 0, 500e6, time.UTC)
	for _, c := range []struct {
		raw  string
		want Cookie
	}{
		{``, base},
		{`{}`, base},
		{`null`, base},
		{`true`, base},
		{`[1,{"path":"/x"}]`, base},
		{`"path"`, base},
		{koaCookie, with(func(c *Cookie) { c.Path, c.MaxAge = "/", 24*time.Hour })},
		{`{"path":"/x"}`, with(func(c *Cookie) { c.Path = "/x" })},
		{" { \"path\" : \"/x\" }"[1:], with(func(c *Cookie) { c.Path = "/x" })},
		{`{"p\u0061th":"\/x"}`, with(func(c *Cookie) { c.Path = "/x" })},
		{`{"a":{"path":"/y"},"b":["}",{"path":"/z"}],"c":"\",\"path\":\"/u","path":"/x"}`, with(func(c *Cookie) { c.Path = "/x" })},
		{`{"path":"/a;b"}`, base},
		{`{"path":"/a\r\nSet-Cookie: b"}`, base},
		{`{"path":"/a\u003bb"}`, base},
		{`{"path":""}`, base},
		{`{"path":null}`, base},
		{`{"path":1}`, base},
		{`{"path":["/x"]}`, base},
		{`{"Path":"/x","PATH":"/y"}`, base},
		{`{"domain":"x.example"}`, with(func(c *Cookie) { c.Domain = "x.example" })},
		{`{"domain":null}`, with(func(c *Cookie) { c.Domain = "" })},
		{`{"domain":"x y"}`, base},
		{`{"domain":false}`, base},
		{`{"httpOnly":false}`, with(func(c *Cookie) { c.DangerouslyScriptReadable = true })},
		{`{"httpOnly":true}`, base},
		{`{"httpOnly":0}`, base},
		{`{"httpOnly":"false"}`, base},
		{`{"secure":true}`, with(func(c *Cookie) { c.Secure = SecureAlways })},
		{`{"secure":false}`, with(func(c *Cookie) { c.Secure = SecureNever })},
		{`{"secure":"auto"}`, base},
		{`{"secure":null}`, base},
		{`{"sameSite":"lax"}`, with(func(c *Cookie) { c.SameSite = SameSiteLax })},
		{`{"sameSite":"LAX"}`, with(func(c *Cookie) { c.SameSite = SameSiteLax })},
		{`{"sameSite":"Strict"}`, base},
		{`{"sameSite":true}`, base},
		{`{"sameSite":"none"}`, with(func(c *Cookie) { c.SameSite = SameSiteNone })},
		{`{"sameSite":false}`, with(func(c *Cookie) { c.SameSite = SameSiteDangerouslyUnset })},
		{`{"sameSite":"None; Secure"}`, base},
		{`{"sameSite":null}`, base},
		{`{"sameSite":2}`, base},
		{`{"maxAge":1500}`, with(func(c *Cookie) { c.MaxAge = 1500 * time.Millisecond })},
		{`{"maxAge":1500.5}`, with(func(c *Cookie) { c.MaxAge = 1500500 * time.Microsecond })},
		{`{"maxAge":1.5e3}`, with(func(c *Cookie) { c.MaxAge = 1500 * time.Millisecond })},
		{`{"maxAge":0}`, with(func(c *Cookie) { c.MaxAge = 0 })},
		{`{"maxAge":null}`, with(func(c *Cookie) { c.MaxAge = 0 })},
		{`{"maxAge":-1}`, base},
		{`{"maxAge":-1e300}`, base},
		{`{"maxAge":"1500"}`, base},
		{`{"maxAge":true}`, base},
		{`{"maxAge":315360000000}`, with(func(c *Cookie) { c.MaxAge = MaxAge })},
		{`{"maxAge":1e300}`, with(func(c *Cookie) { c.MaxAge = MaxAge })},
		{`{"maxAge":1e999}`, base},
		{`{"expires":"2031-02-03T12:00:00.500Z"}`, with(func(c *Cookie) { c.Expires = noon })},
		{`{"expires":"2031-02-03T13:00:00.500+01:00"}`, with(func(c *Cookie) { c.Expires = noon })},
		{`{"expires":null}`, base},
		{`{"expires":"tomorrow"}`, base},
		{`{"expires":"+275760-09-13T00:00:00.000Z"}`, base},
		{`{"expires":1}`, base},
		{`{"partitioned":true}`, with(func(c *Cookie) { c.Partitioned = true })},
		{`{"partitioned":1}`, base},
		{`{"signed":false,"overwrite":false,"name":"x","key":"x","priority":"high"}`, base},
		{`{"path":"/x","path":"/y"}`, with(func(c *Cookie) { c.Path = "/y" })},

		// Combinations that browsers refuse: the attributes that the rules are about go back to the defaults.
		{`{"sameSite":"none","secure":false,"maxAge":1500}`, with(func(c *Cookie) { c.MaxAge = 1500 * time.Millisecond })},
		{`{"partitioned":true,"secure":false}`, base},
	} {
		got := ParseJSON(c.raw, base)
		if !got.Expires.Equal(c.want.Expires) {
			t.Errorf("%s: got Expires %v, want %v", c.raw, got.Expires, c.want.Expires)
		}
		got.Expires, c.want.Expires = time.Time{}, time.Time{}
		if got != c.want {
			t.Errorf("%s:\n got %+v,\nwant %+v", c.raw, got, c.want)
		}
	}
	host := Cookie{Name: "__Host-n", Path: "/", Secure: SecureAlways}
	for _, raw := range []string{`{"path":"/x"}`, `{"domain":"x.example"}`, `{"secure":false}`} {
		if got := ParseJSON(raw, host); got != host {
			t.Errorf("%s under __Host-: got %+v, want the defaults", raw, got)
		}
	}
}

func TestTheCookieObjectIsWrittenAsKoaWritesIt(t *testing.T) {
	day := Cookie{Path: "/", MaxAge: 24 * time.Hour}
	with := func(change func(*Cookie)) Cookie { c := day; change(&c); return c }
	strict := Cookie{Path: "/", SameSite: SameSiteStrict, Domain: "example.com", Partitioned: true, Secure: SecureAlways}
	for _, c := range []struct {
		name, raw string
		cookie    Cookie
		defaults  Cookie
		want      string
	}{
		{"fresh", ``, day, day, koaCookie},
		{"fresh, from something else", `[1]`, day, day, koaCookie},
		{"fresh, browser session", ``, defaultCookie(), day, `{"httpOnly":true,"path":"/","overwrite":true,"signed":true,"maxAge":null}`},
		{"fresh, unsigned", ``, with(func(c *Cookie) { c.DangerouslyUnsigned = true }), day, `{"httpOnly":true,"path":"/","overwrite":true,"signed":false,"maxAge":86400000}`},
		{"fresh, everything", ``, Cookie{Path: "/a", Domain: "x.example", MaxAge: 1500 * time.Microsecond, Expires: time.Date(2031, 2, 3, 13, 0, 0, 5e6, time.FixedZone("", 3600)), Secure: SecureAlways, SameSite: SameSiteNone, Partitioned: true, DangerouslyScriptReadable: true}, day,
			`{"httpOnly":false,"path":"/a","overwrite":true,"signed":true,"maxAge":1.5,"expires":"2031-02-03T12:00:00.005Z","domain":"x.example","secure":true,"sameSite":"none","partitioned":true}`},
		{"never", ``, with(func(c *Cookie) { c.Secure = SecureNever }), day, koaCookie[:len(koaCookie)-1] + `,"secure":false}`},
		{"SameSite unset", ``, with(func(c *Cookie) { c.SameSite = SameSiteDangerouslyUnset }), day, koaCookie[:len(koaCookie)-1] + `,"sameSite":false}`},
		{"other than the defaults", ``, day, strict, koaCookie[:len(koaCookie)-1] + `,"domain":null,"sameSite":"lax","partitioned":false}`},
		{"unchanged", koaCookie, day, day, koaCookie},
		{"changed in place", koaCookie, with(func(c *Cookie) { c.Path, c.MaxAge = "/x", 0 }), day, `{"httpOnly":true,"path":"/x","overwrite":true,"signed":true,"maxAge":null}`},
		{"unknown ones stay", `{"priority":"high","path":"/","x":{"path" : [1, 2.50]},"maxAge":1}`, day, day,
			`{"priority":"high","path":"/","x":{"path" : [1, 2.50]},"maxAge":86400000,"httpOnly":true,"overwrite":true,"signed":true}`},
		{"names stay as they are spelled", `{"p\u0061th":"/x","\u0078":1}`, day, day, `{"p\u0061th":"/","\u0078":1,"httpOnly":true,"overwrite":true,"signed":true,"maxAge":86400000}`},
		{"blanks between members go", " { \"path\" : \"/\" ,\t\"x\" :\n1 } "[1:], day, day, `{"path":"/","x":1,"httpOnly":true,"overwrite":true,"signed":true,"maxAge":86400000}`},
		{"nothing known", `{}`, day, day, koaCookie},
		{"an end is taken back", `{"expires":"2031-02-03T12:00:00.000Z"}`, day, day, `{"expires":null,"httpOnly":true,"path":"/","overwrite":true,"signed":true,"maxAge":86400000}`},
		{"secure is taken back, first", `{"secure":true,"path":"/"}`, day, day, `{"path":"/","httpOnly":true,"overwrite":true,"signed":true,"maxAge":86400000}`},
		{"secure is taken back, last", `{"path":"/","secure":true}`, day, day, `{"path":"/","httpOnly":true,"overwrite":true,"signed":true,"maxAge":86400000}`},
		{"secure is taken back, alone", `{"secure":true}`, day, day, koaCookie},
		{"twice becomes once", `{"path":"/x","path":"/y"}`, day, day, `{"path":"/","httpOnly":true,"overwrite":true,"signed":true,"maxAge":86400000}`},
	} {
		if got := string(AppendJSON([]byte("before "), c.raw, c.cookie, c.defaults)); got != "before "+c.want {
			t.Errorf("%s:\n got %s,\nwant %s", c.name, got, "before "+c.want)
		}
	}
}

func TestTheCookieObjectSaysWhatWasPutIn(t *testing.T) {
	var cookies []Cookie
	for _, path := range []string{"/", "/a"} {
		for _, domain := range []string{"", "x.example"} {
			for _, age := range []time.Duration{0, time.Millisecond, 1500 * time.Microsecond, 24 * time.Hour, MaxAge} {
				for _, sameSite := range []SameSite{SameSiteLax, SameSiteStrict, SameSiteNone, SameSiteDangerouslyUnset} {
					for _, flag := range []bool{false, true} {
						c := Cookie{Name: "n", Path: path, Domain: domain, MaxAge: age, SameSite: sameSite, Secure: SecureAlways, Partitioned: flag, DangerouslyScriptReadable: flag}
						cookies = append(cookies, c)
						if sameSite != SameSiteNone && !flag {
							c.Secure = SecureNever
							cookies = append(cookies, c)
						}
					}
				}
			}
		}
	}
	for i, c := range cookies {
		defaults, before := cookies[(i*7+3)%len(cookies)], cookies[(i*11+5)%len(cookies)]
		for _, raw := range []string{"", koaCookie, string(AppendJSON(nil, "", before, defaults))} {
			text := string(AppendJSON(nil, raw, c, defaults))
			if got := ParseJSON(text, defaults); got != c {
				t.Fatalf("%s over %s:\n got %+v,\nwant %+v", text, raw, got, c)
			}
			if again := string(AppendJSON(nil, text, c, defaults)); again != text {
				t.Fatalf("written again: got %s, want %s", again, text)
			}
		}
	}
}

func FuzzCookieJSON(f *testing.F) {
	f.Add(koaCookie)
	f.Add(`{"p\u0061th":"/x","a":[{"}":"\\\""}],"maxAge":1e3,"secure":true,"sameSite":"none"}`)
	f.Add(`{"expires":"2031-02-03T12:00:00.500Z","domain":"a;b","path":"/%0d"}`)
	f.Add(`{"":1,"secure":null`)
	defaults := defaultCookie()
	f.Fuzz(func(t *testing.T, raw string) {
		c := ParseJSON(raw, defaults) // whatever it is, it must not panic
		c.Expires = time.Time{}       // the one thing that is checked against a clock
		if errs := c.Validate(true, false); errs != nil {
			t.Errorf("%s: got %v, want a valid Cookie", raw, errs)
		}
		raw = strings.TrimSpace(raw)
		if !json.Valid([]byte(raw)) || !utf8.ValidString(raw) { // What stands in a record is both.
			return
		}
		text := AppendJSON(nil, raw, c, defaults)
		if !json.Valid(text) {
			t.Fatalf("%s: got %s, want JSON", raw, text)
		}
		if got := ParseJSON(string(text), defaults); got.MaxAge.Milliseconds() != c.MaxAge.Milliseconds() || got.Path != c.Path || got.Domain != c.Domain || got.SameSite != c.SameSite || got.Secure != c.Secure {
			t.Errorf("%s: got %+v, want %+v", text, got, c)
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal([]byte(raw), &before) != nil || json.Unmarshal(text, &after) != nil {
			return
		}
		for name, value := range before {
			if attributeIndex(name) < 0 && string(after[name]) != string(value) {
				t.Errorf("unknown attribute %q: got %s, want %s", name, after[name], value)
			}
		}
	})
}
