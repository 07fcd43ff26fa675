package cookies

import "testing"

// Rule 12.
func TestPathsMatchAsInRFC6265(t *testing.T) {
	for _, c := range []struct {
		cookie, request string
		want            bool
	}{
		{"/", "/", true},
		{"/", "/app", true},
		{"/", "", true},
		{"/", "*", true},
		{"/app", "/app", true},
		{"/app", "/app/", true},
		{"/app", "/app/x", true},
		{"/app", "/application", false},
		{"/app", "/ap", false},
		{"/app", "/", false},
		{"/app", "", false},
		{"/app", "/App", false},
		{"/app", "/x/app", false},
		{"/app", "/app%2fx", false},
		{"/app/", "/app/", true},
		{"/app/", "/app/x", true},
		{"/app/", "/app", false},
		{"/app/", "/appx", false},
		{"/a/b", "/a/b/c", true},
		{"/a/b", "/a", false},
	} {
		if got := PathMatch(c.cookie, c.request); got != c.want {
			t.Errorf("pathMatch(%q, %q): got %v, want %v", c.cookie, c.request, got, c.want)
		}
		if got := PathMatch(c.cookie, []byte(c.request)); got != c.want {
			t.Errorf("pathMatch(%q, %q as bytes): got %v, want %v", c.cookie, c.request, got, c.want)
		}
	}
}
