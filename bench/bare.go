package main

import (
	"crypto/rand"
	"encoding/base64"
)

// bareCookies are Set-Cookie values as long as those of a signed session, so that a bare framework parses the same
// requests as the session layer on top of it.
func bareCookies() [2]string {
	var random [56]byte
	rand.Read(random[:])
	text := base64.RawURLEncoding.EncodeToString(random[:])
	return [2]string{"koa.sid=" + text[:32], "koa.sid.sig=" + text[32:]}
}
