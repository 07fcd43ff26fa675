package cookies

import (
	"strconv"
	"time"

	"github.com/fibersess/sess/internal/jsontext"
)

// ParseJSON returns the Cookie that a record's member "cookie" describes, as Koa writes it:
//
//	path, domain   string, or null: none (a domain only)
//	httpOnly       boolean
//	secure         boolean: SecureAlways, SecureNever
//	sameSite       true or "strict", "lax", "none" in any case, false: not sent
//	maxAge         number of milliseconds, or null: browser session
//	expires        ISO 8601 string, or null: none
//	partitioned    boolean
//
// What is missing, of another type or against a rule of Cookie.validate is taken from defaults, so that a record can
// never make a bad header. Name and signature are the configuration's alone. raw is part of a valid record.
func ParseJSON(raw string, defaults Cookie) Cookie {
	c := defaults
	for w := jsontext.WalkObject(raw); w.Next(); {
		c.setAttribute(jsontext.Unquoted(w.Name), w.Value)
	}
	if c.conflicts() != nil {
		c.Path, c.Domain = defaults.Path, defaults.Domain
		c.Secure, c.SameSite, c.Partitioned = defaults.Secure, defaults.SameSite, defaults.Partitioned
		c.DangerouslyScriptReadable = defaults.DangerouslyScriptReadable
	}
	return c
}

// setAttribute sets the field for an attribute if its value is good.
func (c *Cookie) setAttribute(name, value string) {
	switch name {
	case "path":
		if s, ok := jsontext.Text(value); ok && pathFault(s) == "" {
			c.Path = s
		}
	case "domain":
		if s, ok := jsontext.Text(value); ok && domainFault(s) == "" {
			c.Domain = s
		} else if value == "null" {
			c.Domain = ""
		}
	case "httpOnly":
		if b, ok := attributeBool(value); ok {
			c.DangerouslyScriptReadable = !b
		}
	case "secure":
		if b, ok := attributeBool(value); ok && b {
			c.Secure = SecureAlways
		} else if ok {
			c.Secure = SecureNever
		}
	case "sameSite":
		if s, ok := attributeSameSite(value); ok {
			c.SameSite = s
		}
	case "maxAge":
		if d, ok := attributeMillis(value); ok {
			c.MaxAge = d
		}
	case "expires":
		if t, ok := attributeTime(value); ok {
			c.Expires = t
		}
	case "partitioned":
		if b, ok := attributeBool(value); ok {
			c.Partitioned = b
		}
	}
}

// AppendJSON appends the member "cookie" that describes c: what parseCookieJSON with the same defaults reads as
// c, and Koa as the same cookie. Attributes of raw, the object before (or ""), stay where they are, those that we do
// not know byte for byte; new ones follow in Koa's own order.
//
// One thing cannot be told: SecureAuto, which Koa does not have, is written as nothing and read as the default.
func AppendJSON(dst []byte, raw string, c, defaults Cookie) []byte {
	dst = append(dst, '{')
	start := len(dst)
	var present uint
	for w := jsontext.WalkObject(raw); w.Next(); {
		name := jsontext.Unquoted(w.Name)
		i := attributeIndex(name)
		if i >= 0 && present&(1<<i) != 0 || name == "secure" && c.Secure == SecureAuto {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, w.Name), ':')
		if i < 0 {
			dst = append(dst, w.Value...)
			continue
		}
		dst = c.appendAttribute(dst, name)
		present |= 1 << i
	}
	for i, name := range writtenAttributes {
		if present&(1<<i) != 0 || !c.needs(name, &defaults) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), name...), '"', ':')
		dst = c.appendAttribute(dst, name)
	}
	return append(dst, '}')
}

// writtenAttributes are the attributes that we write, in the order in which Koa writes a new object.
var writtenAttributes = [...]string{
	"httpOnly", "path", "overwrite", "signed", "maxAge", "expires", "domain", "secure", "sameSite", "partitioned",
}

func attributeIndex(name string) int {
	for i, n := range writtenAttributes {
		if n == name {
			return i
		}
	}
	return -1
}

// needs reports whether an object without the attribute called name would not describe c. Koa needs the first five;
// the others are written if they say something, or if the default does and must not be read in their place.
func (c *Cookie) needs(name string, defaults *Cookie) bool {
	switch name {
	case "expires":
		return !c.Expires.IsZero() || !defaults.Expires.IsZero()
	case "domain":
		return c.Domain != "" || defaults.Domain != ""
	case "secure":
		return c.Secure != SecureAuto
	case "sameSite":
		return c.SameSite != SameSiteLax || defaults.SameSite != SameSiteLax
	case "partitioned":
		return c.Partitioned || defaults.Partitioned
	}
	return true
}

// appendAttribute appends the value of the attribute called name. Path and domain need no escapes: validate admits
// neither quotes nor backslashes.
func (c *Cookie) appendAttribute(dst []byte, name string) []byte {
	switch name {
	case "httpOnly":
		return strconv.AppendBool(dst, !c.DangerouslyScriptReadable)
	case "path":
		return appendQuoted(dst, c.Path)
	case "overwrite":
		return append(dst, "true"...) // what we do, whatever the object says
	case "signed":
		return strconv.AppendBool(dst, !c.DangerouslyUnsigned)
	case "maxAge":
		if c.MaxAge == 0 {
			return append(dst, "null"...)
		}
		return strconv.AppendFloat(dst, float64(c.MaxAge)/float64(time.Millisecond), 'f', -1, 64)
	case "expires":
		if c.Expires.IsZero() {
			return append(dst, "null"...)
		}
		return append(c.Expires.UTC().AppendFormat(append(dst, '"'), "2006-01-02T15:04:05.000Z07:00"), '"')
	case "domain":
		if c.Domain == "" {
			return append(dst, "null"...)
		}
		return appendQuoted(dst, c.Domain)
	case "secure":
		return strconv.AppendBool(dst, c.Secure == SecureAlways)
	case "sameSite":
		return append(dst, jsonSameSite[c.SameSite]...)
	}
	return strconv.AppendBool(dst, c.Partitioned)
}

func appendQuoted(dst []byte, s string) []byte { return append(append(append(dst, '"'), s...), '"') }

var jsonSameSite = [...]string{
	SameSiteLax:              `"lax"`,
	SameSiteStrict:           `"strict"`,
	SameSiteNone:             `"none"`,
	SameSiteDangerouslyUnset: `false`,
}

func attributeBool(value string) (b, ok bool) {
	return value == "true", value == "true" || value == "false"
}

func attributeSameSite(value string) (s SameSite, ok bool) {
	if b, ok := attributeBool(value); ok && b {
		return SameSiteStrict, true
	} else if ok {
		return SameSiteDangerouslyUnset, true
	}
	text, _ := jsontext.Text(value)
	switch {
	case equalFold(text, "lax"):
		return SameSiteLax, true
	case equalFold(text, "strict"):
		return SameSiteStrict, true
	case equalFold(text, "none"):
		return SameSiteNone, true
	}
	return 0, false
}

// attributeMillis returns a number of milliseconds as a duration. More than browsers grant becomes what they grant:
// ten years say "keep it", which the default might not.
func attributeMillis(value string) (d time.Duration, ok bool) {
	if value == "null" {
		return 0, true
	}
	if value == "" || value[0] == '"' {
		return 0, false
	}
	ms, err := strconv.ParseFloat(value, 64)
	if err != nil || !(ms >= 0) {
		return 0, false
	}
	return time.Duration(min(ms*float64(time.Millisecond), float64(MaxAge))), true
}

func attributeTime(value string) (t time.Time, ok bool) {
	if value == "null" {
		return time.Time{}, true
	}
	text, ok := jsontext.Text(value)
	if !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, text)
	return t, err == nil
}
