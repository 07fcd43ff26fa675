package main

import (
	"io"
	"net/http"
	"strconv"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"
	redigo "github.com/gomodule/redigo/redis"
)

var scsMemory = contestant{
	id: "scs-memory", name: "scs, memory", bare: "nethttp",
	lacks:   []string{noSignature, noMerge},
	modules: []string{"github.com/alexedwards/scs/v2"},
	open:    func(string) (app, error) { return scsSession(scs.New()), nil },
}

var scsRedis = contestant{
	id: "scs-redis", name: "scs, redisstore", bare: "nethttp", redis: true,
	lacks:   []string{noSignature, noMerge},
	modules: []string{"github.com/alexedwards/scs/v2", "github.com/alexedwards/scs/redisstore", "github.com/gomodule/redigo"},
	open: func(address string) (app, error) {
		sessions := scs.New()
		sessions.Store = redisstore.New(&redigo.Pool{
			MaxIdle: redisPool,
			Dial:    func() (redigo.Conn, error) { return redigo.Dial("tcp", address) },
		})
		return scsSession(sessions), nil
	},
}

// scsSession keeps scs's defaults: its gob codec, its unsigned cookie, LoadAndSave around everything.
func scsSession(sessions *scs.SessionManager) app {
	return routeHTTP(work[http.HandlerFunc]{
		login: func(values []field) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				for _, f := range values {
					sessions.Put(r.Context(), f.key, f.value)
				}
				sayOKHTTP(w, r)
			}
		},
		read: func(w http.ResponseWriter, r *http.Request) {
			sayProfileHTTP(w, sessions.GetString(r.Context(), "name"), sessions.GetString(r.Context(), "email"))
		},
		count: func(w http.ResponseWriter, r *http.Request) {
			sessions.Put(r.Context(), "count", sessions.GetInt(r.Context(), "count")+1)
			sayOKHTTP(w, r)
		},
		peek: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, strconv.Itoa(sessions.GetInt(r.Context(), "count")))
		},
		create: func(w http.ResponseWriter, r *http.Request) {
			sessions.Put(r.Context(), "name", profileName)
			sayOKHTTP(w, r)
		},
		anonymous: sayOKHTTP,
	}, sessions.LoadAndSave)
}
