package main

import (
	"crypto/rand"
	"encoding/base64"
)

// bareCookie is a Set-Cookie value as long as a signed session's, so that a bare framework parses the same requests as
// the session layer on top of it.
func bareCookie() string {
	var random [56]byte
	rand.Read(random[:])
	text := base64.RawURLEncoding.EncodeToString(random[:])
	return "koa.sid=" + text[:32] + ".sig." + text[32:]
}
