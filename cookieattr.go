package sess

import "iter"

// cookieAttribute is one member of a record's object "cookie".
type cookieAttribute struct {
	name    string // without quotes and escapes
	rawName string // as it stands there
	value   string // JSON text
}

// cookieAttributes yields the members of the JSON object raw, in order. raw is part of a record, so it is valid JSON;
// if it is something other than an object there are none.
func cookieAttributes(raw string) iter.Seq[cookieAttribute] {
	return func(yield func(cookieAttribute) bool) {
		if raw == "" || raw[0] != '{' {
			return
		}
		for i := 1; i < len(raw); {
			var a cookieAttribute
			if a.rawName, i = nextToken(raw, i, ':'); a.rawName == "" {
				return
			}
			a.value, i = nextToken(raw, i, ',')
			name, ok := attributeText(a.rawName)
			a.name = name
			if !ok || a.value == "" || !yield(a) {
				return
			}
		}
	}
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
