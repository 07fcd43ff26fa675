package cookies

import (
	"fmt"
	"strings"
	"time"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/sign"
)

// Validate returns everything that is wrong with c, whose defaults are filled in; signed says that a signature goes
// with it, koa that it may have any name that Koa can send. What passes can be written to a response without a further
// look: it adds no attribute and no header line, and browsers do not refuse it.
func (c Cookie) Validate(signed, koa bool) (errs []error) {
	fault := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("sess: Config.Cookie."+field+": "+format, args...))
	}
	if rule := nameFault(c.Name, signed && !c.DangerouslyUnsigned, koa); rule != "" {
		fault("Name", "%s; want %s", shown(c.Name), rule)
	}
	if rule := pathFault(c.Path); rule != "" {
		fault("Path", "%s; want %s", shown(c.Path), rule)
	}
	if rule := domainFault(c.Domain); rule != "" {
		fault("Domain", "%s; want %s", shown(c.Domain), rule)
	}
	if c.MaxAge < 0 {
		fault("MaxAge", "%v; want 0 for a browser session, or more; a session is ended by Destroy", c.MaxAge)
	}
	if c.MaxAge > MaxAge {
		fault("MaxAge", "%v; want %v (400 days) or less, browsers grant no more", c.MaxAge, MaxAge)
	}
	if !c.Expires.IsZero() && time.Until(c.Expires) > MaxAge {
		fault("Expires", "%v; want 400 days from now or less, browsers grant no more", c.Expires.Format(time.RFC3339))
	}
	if c.Secure > SecureNever {
		fault("Secure", "%d; want SecureAuto, SecureAlways or SecureNever", c.Secure)
	}
	if c.SameSite > SameSiteDangerouslyUnset {
		fault("SameSite", "%d; want SameSiteLax, SameSiteStrict, SameSiteNone or SameSiteDangerouslyUnset", c.SameSite)
	}
	for _, rule := range c.conflicts() {
		fault(rule.field, "%s", rule.text)
	}
	return errs
}

// conflict is a rule between attributes that a Cookie breaks, and the field to mend.
type conflict struct{ field, text string }

// conflicts returns the rules between attributes that c breaks. Browsers drop, without a word, a cookie that breaks
// one.
func (c *Cookie) conflicts() (found []conflict) {
	add := func(broken bool, field, text string) {
		if broken {
			found = append(found, conflict{field, text})
		}
	}
	host, secure, httpOnly := prefixRules(c.Name)
	add(secure && c.Secure != SecureAlways, "Secure",
		"not set under a name that begins with __Secure-, __Host- or __Http-; want SecureAlways")
	add(c.SameSite == SameSiteNone && c.Secure != SecureAlways, "Secure", "not set with SameSiteNone; want SecureAlways")
	add(c.Partitioned && c.Secure != SecureAlways, "Secure", "not set with Partitioned; want SecureAlways")
	add(host && c.Domain != "", "Domain", "set under a name that begins with __Host-; want none")
	add(host && c.Path != "/", "Path", `not "/" under a name that begins with __Host-; want "/"`)
	add(httpOnly && c.DangerouslyScriptReadable, "DangerouslyScriptReadable",
		"set under a name that begins with __Http- or __Host-Http-; want false")
	return found
}

// prefixRules returns what browsers ask of a cookie because of its name, whose prefix they compare regardless of
// case (draft-ietf-httpbis-rfc6265bis section 4.1.3; __Http- and __Host-Http- are the youngest).
func prefixRules(name string) (host, secure, httpOnly bool) {
	begins := func(prefix string) bool { return len(name) >= len(prefix) && equalFold(name[:len(prefix)], prefix) }
	host = begins("__Host-")
	httpOnly = begins("__Http-") || begins("__Host-Http-")
	return host, host || httpOnly || begins("__Secure-"), httpOnly
}

// Browsers refuse a cookie whose name and value are longer than maxCookieSize together, and pass over an attribute
// that is longer than maxAttributeSize; both in bytes.
const (
	maxCookieSize    = 4096
	maxAttributeSize = 1024
)

// nameFault returns the rule that a cookie's name breaks, or "". An RFC 6265 token may hold a %; we do not take one,
// since there are readers that decode it.
func nameFault(name string, signed, koa bool) (rule string) {
	fault := tokenFault
	if koa {
		fault = koaNameFault
	}
	if rule := fault(name); rule != "" {
		return rule
	}
	if len(name)+ident.MaxIDLen > maxCookieSize || signed && len(name)+len(sigSuffix)+sign.MaxSignatureLen > maxCookieSize {
		return fmt.Sprintf("%d bytes or less", maxCookieSize-ident.MaxIDLen)
	}
	return ""
}

func tokenFault(name string) (rule string) {
	if name == "" {
		return "a name"
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}%`, c) >= 0 {
			return "an RFC 6265 token without %: letters, digits and !#$&'*+-.^_`|~"
		}
	}
	return ""
}

// koaNameFault is tokenFault for what npm's cookies can send: the characters up to U+00FF, which Node writes as one byte
// each, without ASCII's controls other than the tab, and without the separators. A blank at either end is refused beyond that, since
// browsers strip it and the cookie would never be found.
func koaNameFault(name string) (rule string) {
	if name == "" {
		return "a name"
	}
	for _, c := range name { // What is no UTF-8 reads as U+FFFD.
		if c < ' ' && c != '\t' || c == 0x7f || c == ';' || c == '=' || c > 0xff {
			return "characters up to U+00FF, in UTF-8, without ASCII's controls, ; and ="
		}
	}
	if isBlank(name[0]) || isBlank(name[len(name)-1]) {
		return "a name without blanks at its ends, which browsers strip"
	}
	return ""
}

// wireName returns a name that has passed validate as it is sent: one byte for each character, as Node does it. What is
// signed is the name itself, which is UTF-8.
func wireName(name string) string {
	wire := make([]byte, 0, len(name))
	for _, c := range name {
		wire = append(wire, byte(c))
	}
	return string(wire)
}

// pathFault returns the rule that a cookie's path breaks, or "". fasthttp decodes a path and resolves its dots before
// it sends it: what comes through unchanged is all that we take, so that no byte can be smuggled in as %3b and the
// browser compares what was meant.
func pathFault(path string) (rule string) {
	if path == "" || path[0] != '/' {
		return `a path that begins with "/"`
	}
	for i := range len(path) {
		if c := path[i]; !ident.CookieOctets[c] || c == '%' {
			return `visible ASCII without % " , ; \`
		}
	}
	closed := path + "/"
	if strings.Contains(path, "//") || strings.Contains(closed, "/./") || strings.Contains(closed, "/../") {
		return "a path without empty, . and .. segments"
	}
	if len(path) > maxAttributeSize {
		return fmt.Sprintf("%d bytes or less", maxAttributeSize)
	}
	return ""
}

// domainFault returns the rule that a cookie's domain breaks, or "". A dot in front is admitted, since browsers pass
// over it.
func domainFault(domain string) (rule string) {
	if domain == "" {
		return ""
	}
	name := strings.TrimPrefix(domain, ".")
	if len(name) > 253 {
		return "253 bytes or less"
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "a host name: labels of 1 to 63 letters, digits and inner hyphens"
		}
		for i := range len(label) {
			if c := lower(label[i]); (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return "a host name in ASCII: letters, digits, hyphens and dots (xn-- for others)"
			}
		}
	}
	return ""
}

// shown returns a configured text as an error may show it: quoted, so that nothing in it acts on a terminal or log.
func shown(s string) string {
	switch {
	case s == "":
		return "empty"
	case len(s) > 64:
		return fmt.Sprintf("%d bytes", len(s))
	}
	return fmt.Sprintf("%+q", s)
}
