package cookies

// PathMatch reports whether a cookie of cookiePath is sent to requestPath (RFC 6265 section 5.1.4): the paths are the
// same, or the cookie's is a directory above the request's. "/app" is above "/app/x" and not above "/application".
func PathMatch[T string | []byte](cookiePath string, requestPath T) bool {
	n := len(cookiePath)
	if n <= 1 {
		return true // "/" is above everything, a request for "*" included
	}
	if len(requestPath) < n || string(requestPath[:n]) != cookiePath {
		return false
	}
	return len(requestPath) == n || cookiePath[n-1] == '/' || requestPath[n] == '/'
}
