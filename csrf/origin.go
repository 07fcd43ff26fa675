package csrf

import (
	"fmt"
	"net/url"
	"strings"
)

// validOrigin refuses what no browser ever sends as an Origin, since it would never match.
func validOrigin(origin string) error {
	wrong := func(want string) error {
		return fmt.Errorf("csrf: Config.TrustedOrigins: %q; want %s", origin, want)
	}
	if origin == "null" {
		return wrong("the origin of a site; every sandboxed frame and local file has this one")
	}
	if strings.Contains(origin, "*") {
		return wrong("each origin by itself; there are no wildcards")
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || u.User != nil {
		return wrong("scheme://host or scheme://host:port, such as https://pay.example.com")
	}
	if origin != u.Scheme+"://"+u.Host {
		return wrong("the origin alone, in lower case: no path, no slash behind it, no query")
	}
	for _, r := range u.Host {
		if r >= 0x80 || r >= 'A' && r <= 'Z' {
			return wrong("the host as browsers send it: in lower case, and in Punycode (xn--) if it has other letters than a to z")
		}
	}
	if strings.HasSuffix(u.Host, ":") || u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		return wrong("no port where it is the scheme's own, since browsers leave it out")
	}
	return nil
}
