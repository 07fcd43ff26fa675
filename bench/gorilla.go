package main

import (
	"io"
	"net/http"
	"strconv"

	"github.com/boj/redistore"
	"github.com/gorilla/sessions"
)

// gorillaRedis signs its cookie, as gorilla/sessions cannot do without, and keeps redistore's default, gob.
var gorillaRedis = contestant{
	id: "gorilla-redis", name: "gorilla/sessions, redistore", bare: "nethttp", redis: true,
	lacks:   []string{noMiddleware, noMerge},
	modules: []string{"github.com/gorilla/sessions", "github.com/boj/redistore", "github.com/gomodule/redigo"},
	open: func(address string) (app, error) {
		store, err := redistore.NewRediStore(redisPool, "tcp", address, "", "", []byte("a key of 32 bytes, for all alike"))
		if err != nil {
			return app{}, err
		}
		store.SetMaxLength(0) // no bound in place of 4 kB: W2 has sessions of 60
		return gorillaSession(store), nil
	},
}

func gorillaSession(store sessions.Store) app {
	with := func(f func(w http.ResponseWriter, r *http.Request, s *sessions.Session)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			s, err := store.Get(r, "session")
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			f(w, r, s)
		}
	}
	change := func(f func(values map[any]any)) http.HandlerFunc {
		return with(func(w http.ResponseWriter, r *http.Request, s *sessions.Session) {
			f(s.Values)
			if err := s.Save(r, w); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			sayOKHTTP(w, r)
		})
	}
	return routeHTTP(work[http.HandlerFunc]{
		login: func(fields []field) http.HandlerFunc {
			return change(func(values map[any]any) {
				for _, f := range fields {
					values[f.key] = f.value
				}
			})
		},
		read: with(func(w http.ResponseWriter, _ *http.Request, s *sessions.Session) {
			name, _ := s.Values["name"].(string)
			email, _ := s.Values["email"].(string)
			sayProfileHTTP(w, name, email)
		}),
		count: change(func(values map[any]any) { values["count"] = asInt(values["count"]) + 1 }),
		peek: with(func(w http.ResponseWriter, _ *http.Request, s *sessions.Session) {
			io.WriteString(w, strconv.Itoa(asInt(s.Values["count"])))
		}),
		create:    change(func(values map[any]any) { values["name"] = profileName }),
		anonymous: sayOKHTTP,
	}, nil)
}
