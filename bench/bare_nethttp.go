package main

import (
	"io"
	"net"
	"net/http"
)

var bareNetHTTP = contestant{
	id: "nethttp", name: "bare net/http", bare: "nethttp",
	open: func(string) (app, error) {
		return routeHTTP(work[http.HandlerFunc]{
			login: func([]field) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					for _, cookie := range bareCookies() {
						w.Header().Add("Set-Cookie", cookie)
					}
					sayOKHTTP(w, r)
				}
			},
			read:      func(w http.ResponseWriter, _ *http.Request) { sayProfileHTTP(w, profileName, profileEmail) },
			count:     sayOKHTTP,
			peek:      func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "0") },
			create:    sayOKHTTP,
			anonymous: sayOKHTTP,
		}, nil), nil
	},
}

// routeHTTP is an app of net/http handlers behind middleware, if that is not nil.
func routeHTTP(w work[http.HandlerFunc], middleware func(http.Handler) http.Handler) app {
	mux := http.NewServeMux()
	for path, handler := range w.routes() {
		mux.Handle("GET "+path, handler)
	}
	var handler http.Handler = mux
	if middleware != nil {
		handler = middleware(mux)
	}
	return app{
		serve:  func(ln net.Listener) error { return http.Serve(ln, handler) },
		driver: func() driver { return newHTTPDriver(handler) },
	}
}

func sayOKHTTP(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }

func sayProfileHTTP(w http.ResponseWriter, name, email string) {
	io.WriteString(w, name)
	io.WriteString(w, "\n")
	io.WriteString(w, email)
}
