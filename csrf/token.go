package csrf

import (
	"bytes"
	"errors"
	"log/slog"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// Where a request has its token. The header is looked at first; a token in the address would end in logs and is not taken.
const (
	HeaderName = "X-Csrf-Token" // of a request that a script sends
	FieldName  = "csrf"         // of a form, urlencoded or multipart
	Purpose    = "csrf"         // of the token, for sess.Session.Token
)

// Token returns a token for a form or a script of this page. It is another text each time, so that a compressed page gives
// nothing away; all of a session's tokens are good until it is renewed or ends. Login and Regenerate renew it: a page that
// was opened before is refused with [ErrToken] then. A new session is stored for the sake of its token.
func Token(c *fiber.Ctx) string { return sess.From(c).Token(Purpose) }

// checkToken returns nil if the request has a token of its session, or no session.
func checkToken(ctx *fasthttp.RequestCtx) error {
	s := sess.FromRequest(ctx)
	if s.Exists() {
		if s.CheckToken(Purpose, string(token(ctx))) {
			return nil
		}
		return ErrToken
	}
	switch err := s.Err(); {
	case err == nil, errors.Is(err, sess.ErrEnded):
		return nil
	case errors.Is(err, sess.ErrReleased):
		outside.Do(func() { // For the log; the client is told the status alone.
			slog.Error("csrf: no session here; register sess in front of csrf: app.Use(sess.New()), and a path under its Cookie.Path")
		})
		return err
	default: // The store failed: whether there is a session to protect is not known.
		return err
	}
}

// outside says once per process that tokens are asked for where no session middleware runs.
var outside sync.Once

// token returns the token that the request presents.
func token(ctx *fasthttp.RequestCtx) []byte {
	if t := ctx.Request.Header.Peek(HeaderName); len(t) > 0 {
		return t
	}
	if !bytes.HasPrefix(bytes.ToLower(ctx.Request.Header.ContentType()), []byte("multipart/form-data")) {
		return ctx.PostArgs().Peek(FieldName)
	}
	form, err := ctx.MultipartForm()
	if err != nil || len(form.Value[FieldName]) == 0 {
		return nil
	}
	return []byte(form.Value[FieldName][0])
}
