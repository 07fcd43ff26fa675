package cookies

import (
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func headerValues(h *fasthttp.ResponseHeader, name string) (values []string) {
	for _, v := range h.PeekAll(name) {
		values = append(values, string(v))
	}
	return values
}

func TestNoStoreIsSetUnlessTheResponseIsPrivateAlready(t *testing.T) {
	for _, c := range []struct {
		name         string
		before, want []string
	}{
		{"none", nil, []string{"no-store"}},
		{"public", []string{"public, max-age=60"}, []string{"no-store"}},
		{"two lines", []string{"public", "max-age=60"}, []string{"no-store"}},
		{"empty", []string{""}, []string{"no-store"}},
		{"no-store", []string{"no-store"}, []string{"no-store"}},
		{"private", []string{"private, max-age=60"}, []string{"private, max-age=60"}},
		{"upper case, blanks", []string{"max-age=60 ,\tNo-Store"}, []string{"max-age=60 ,\tNo-Store"}},
		{"private in the second line", []string{"max-age=60", "Private"}, []string{"max-age=60", "Private"}},
		{"private for one field", []string{`private="X-A"`}, []string{"no-store"}},
		{"private in quotes", []string{`ext="a, private, b"`}, []string{"no-store"}},
		{"other words", []string{"no-storeX, xprivate, no-cache"}, []string{"no-store"}},
	} {
		var h fasthttp.ResponseHeader
		for _, v := range c.before {
			h.Add("Cache-Control", v)
		}
		for _, state := range []string{"once", "twice"} {
			NoStore(&h)
			if got := headerValues(&h, "Cache-Control"); !slices.Equal(got, c.want) {
				t.Errorf("%s, %s: got %q, want %q", c.name, state, got, c.want)
			}
		}
	}
}

func TestVaryNamesTheFieldOnce(t *testing.T) {
	for _, c := range []struct {
		name         string
		before, want []string
	}{
		{"none", nil, []string{"Cookie"}},
		{"another", []string{"Accept-Encoding"}, []string{"Accept-Encoding", "Cookie"}},
		{"it", []string{"Cookie"}, []string{"Cookie"}},
		{"it among others", []string{"Origin, cookie ,Accept"}, []string{"Origin, cookie ,Accept"}},
		{"it in the second line", []string{"Origin", "COOKIE"}, []string{"Origin", "COOKIE"}},
		{"everything", []string{"*"}, []string{"*"}},
		{"part of a name", []string{"X-Cookie, Cookie2"}, []string{"X-Cookie, Cookie2", "Cookie"}},
		{"the Kelvin sign is no k", []string{"Coo\u212aie"}, []string{"Coo\u212aie", "Cookie"}},
	} {
		var h fasthttp.ResponseHeader
		for _, v := range c.before {
			h.Add("Vary", v)
		}
		for _, state := range []string{"once", "twice"} {
			AddVary(&h, "Cookie")
			if got := headerValues(&h, "Vary"); !slices.Equal(got, c.want) {
				t.Errorf("%s, %s: got %q, want %q", c.name, state, got, c.want)
			}
		}
	}
	var h fasthttp.ResponseHeader
	NoStore(&h)
	AddVary(&h, "Cookie")
	if got, want := string(h.Header()), "Cache-Control: no-store\r\nVary: Cookie\r\n"; !strings.Contains(got, want) {
		t.Errorf("on the wire: got %q, want %q in it", got, want)
	}
}
