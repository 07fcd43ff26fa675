package sess

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// Transport carries a session's token between client and server in place of the two cookies. A token is the id, a
// dot and the signature; a transport moves it and need not look inside. Set one in Config.Transport and cookies are
// neither read nor written. Transports are safe for concurrent use.
type Transport interface {
	// Read returns the request's token, nil if there is none. It may be a view of the request's buffer.
	Read(ctx *fasthttp.RequestCtx) []byte

	// Write sends token with the response. ttl is how long the session lives if it is left alone.
	Write(ctx *fasthttp.RequestCtx, token string, ttl time.Duration)

	// Expire tells the client that its token is worth nothing any more.
	Expire(ctx *fasthttp.RequestCtx)

	// Field names the request header that Read looks at, for the response's Vary.
	Field() string
}

// HeaderTransport carries the token in a request header and a response header of one name, for clients that are not
// browsers. An ended session is told by an empty header. It fails to start if name is not a header name.
//
// A token in a header is out of reach of cross-site requests, and in reach of every script of the page that holds it.
func HeaderTransport(name string) Transport { return headerTransport(name) }

type headerTransport string

func (t headerTransport) Read(ctx *fasthttp.RequestCtx) []byte {
	return ctx.Request.Header.Peek(string(t))
}

func (t headerTransport) Write(ctx *fasthttp.RequestCtx, token string, _ time.Duration) {
	ctx.Response.Header.Set(string(t), token)
}

func (t headerTransport) Expire(ctx *fasthttp.RequestCtx) { ctx.Response.Header.Set(string(t), "") }

func (t headerTransport) Field() string { return string(t) }

// validate refuses a name that would break the response apart.
func (t headerTransport) validate() error {
	if t == "" || strings.IndexFunc(string(t), func(r rune) bool { return !isTokenRune(r) }) >= 0 {
		return fmt.Errorf("sess: Config.Transport: header name %q; want letters, digits and hyphens", string(t))
	}
	if strings.EqualFold(string(t), "Cookie") || strings.EqualFold(string(t), "Set-Cookie") {
		return errors.New("sess: Config.Transport: a cookie header; leave Transport nil to use cookies")
	}
	return nil
}

func isTokenRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// cutToken splits a token at its last dot, which no signature holds.
func cutToken(token []byte) (id, sig []byte) {
	if i := bytes.LastIndexByte(token, '.'); i >= 0 {
		return token[:i], token[i+1:]
	}
	return token, nil
}
