package cookies

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// The header fields that are asked for in every request, as fasthttp keeps their names.
var (
	setCookieField    = []byte(fasthttp.HeaderSetCookie)
	cacheControlField = []byte(fasthttp.HeaderCacheControl)
	varyField         = []byte(fasthttp.HeaderVary)
)

// NoStore keeps a response that sets a session's cookie out of shared caches: unless its Cache-Control already holds
// no-store or private, no-store takes the place of what is there.
func NoStore(h *fasthttp.ResponseHeader) {
	if h.PeekCanonical(cacheControlField) == nil {
		h.SetCanonical(cacheControlField, []byte("no-store"))
		return
	}
	lines := h.PeekAll(fasthttp.HeaderCacheControl)
	if holdsToken(lines, "no-store") || holdsToken(lines, "private") {
		return
	}
	if len(lines) > 1 {
		h.Del(fasthttp.HeaderCacheControl) // Set replaces the first line only
	}
	h.SetCanonical(cacheControlField, []byte("no-store"))
}

// AddVary tells caches that the response depends on the request's header field, unless Vary already says so or holds
// "*". It adds a line of its own, which means the same as a longer list.
func AddVary(h *fasthttp.ResponseHeader, field string) {
	if h.PeekCanonical(varyField) == nil {
		h.SetCanonical(varyField, []byte(field))
		return
	}
	lines := h.PeekAll(fasthttp.HeaderVary)
	if !holdsToken(lines, field) && !holdsToken(lines, "*") {
		h.Add(fasthttp.HeaderVary, field)
	}
}

// holdsToken reports whether token is an element of the comma-separated lists, regardless of case. A line with a
// quoted string in it is taken to hold nothing: a comma in there would look like the end of an element, and both
// callers err on the safe side with a token too many.
func holdsToken(lines [][]byte, token string) bool {
	for _, line := range lines {
		if bytes.IndexByte(line, '"') >= 0 {
			continue
		}
		for len(line) > 0 {
			element := line
			if i := bytes.IndexByte(line, ','); i >= 0 {
				element, line = line[:i], line[i+1:]
			} else {
				line = nil
			}
			if equalFold(bytes.Trim(element, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// equalFold reports whether b and s are equal regardless of the case of ASCII letters. (Unicode's folding would take
// the Kelvin sign for a k.)
func equalFold[T string | []byte](b T, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range len(b) {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
