package cookies

// cookieAttributes walks over the members of a record's object "cookie", in order:
//
//	for a := attributesOf(raw); a.next(); {
//		use(a.name, a.value)
//	}
type cookieAttributes struct {
	name    string // without quotes and escapes
	rawName string // as it stands there
	value   string // JSON text

	raw string
	at  int // byte offset in raw behind the last member
}

// attributesOf returns the walk over raw. raw is part of a record, so it is valid JSON; if it is something other than
// an object there is nothing to walk over.
func attributesOf(raw string) cookieAttributes {
	if raw == "" || raw[0] != '{' {
		return cookieAttributes{}
	}
	return cookieAttributes{raw: raw, at: 1}
}

// next goes on to the next member and reports whether there is one.
func (a *cookieAttributes) next() (ok bool) {
	a.rawName, a.at = nextToken(a.raw, a.at, ':')
	if a.name, ok = attributeText(a.rawName); !ok {
		return false
	}
	a.value, a.at = nextToken(a.raw, a.at, ',')
	return a.value != ""
}

// nextToken returns the JSON text between i and the next end, or the brace that closes the object, without the blanks
// around it, and the index behind that end. It passes over strings, objects and arrays.
func nextToken(raw string, i int, end byte) (token string, next int) {
	for i < len(raw) && isJSONBlank(raw[i]) {
		i++
	}
	start, depth := i, 0
	for ; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			i = stringEnd(raw, i)
		case depth == 0 && (c == end || c == '}'):
			return trimJSONBlanks(raw[start:i]), i + 1
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return "", len(raw)
}

// stringEnd returns the index of the quote that closes the string which opens at i.
func stringEnd(raw string, i int) int {
	for i++; i < len(raw) && raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i
}

func trimJSONBlanks(s string) string {
	for s != "" && isJSONBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isJSONBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
