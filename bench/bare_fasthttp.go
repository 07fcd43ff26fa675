package main

import (
	"net"

	"github.com/valyala/fasthttp"
)

var bareFasthttp = contestant{
	id: "fasthttp", name: "bare fasthttp", bare: "fasthttp",
	modules: []string{"github.com/valyala/fasthttp"},
	open: func(string) (app, error) {
		ok := func(ctx *fasthttp.RequestCtx) { ctx.WriteString("ok") }
		return routeFasthttp(work[fasthttp.RequestHandler]{
			login: func([]field) fasthttp.RequestHandler {
				return func(ctx *fasthttp.RequestCtx) {
					for _, cookie := range bareCookies() {
						ctx.Response.Header.Add("Set-Cookie", cookie)
					}
					ctx.WriteString("ok")
				}
			},
			read: func(ctx *fasthttp.RequestCtx) {
				ctx.WriteString(profileName)
				ctx.WriteString("\n")
				ctx.WriteString(profileEmail)
			},
			count:     ok,
			peek:      func(ctx *fasthttp.RequestCtx) { ctx.WriteString("0") },
			create:    ok,
			anonymous: ok,
		}), nil
	},
}

// routeFasthttp is an app of plain fasthttp handlers.
func routeFasthttp(w work[fasthttp.RequestHandler]) app {
	routes := w.routes()
	handler := func(ctx *fasthttp.RequestCtx) {
		if h := routes[string(ctx.Path())]; h != nil {
			h(ctx)
			return
		}
		ctx.SetStatusCode(fasthttp.StatusNotFound)
	}
	return fasthttpApp(handler, func(ln net.Listener) error { return fasthttp.Serve(ln, handler) })
}
