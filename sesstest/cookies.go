package sesstest

import (
	"net/http"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/fibersess/sess"
)

// Cookies begins a session of m and returns its cookies: that of user, if user is not empty, with values in it. A request
// that carries them is logged in:
//
//	for _, c := range sesstest.Cookies(t, m, "ann", nil) {
//		req.AddCookie(c)
//	}
//
// It fails the test if the session cannot be stored. With a Transport in place of cookies there are none.
func Cookies(t testing.TB, m *sess.Manager, user string, values map[string]any) []*http.Cookie {
	t.Helper()
	var ctx fasthttp.RequestCtx
	var request fasthttp.Request
	request.SetRequestURI(base.String())
	ctx.Init(&request, nil, nil)
	err := m.Run(&ctx, nil, func() error {
		s := m.FromRequest(&ctx)
		for key, value := range values {
			sess.Set(s, key, value)
		}
		if user != "" {
			s.Login(user)
		}
		return s.Save()
	})
	if err != nil {
		t.Fatalf("sesstest: begin a session: got %+v, want it stored", err)
	}
	defer ctx.ResetUserValues() // as a server does when the response is written
	var cookies []*http.Cookie
	for _, line := range ctx.Response.Header.Cookies() {
		c, err := http.ParseSetCookie(string(line))
		if err != nil {
			t.Fatalf("sesstest: read a cookie of the response: %v", err)
		}
		cookies = append(cookies, c)
	}
	return cookies
}
