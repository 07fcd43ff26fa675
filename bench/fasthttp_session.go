package main

import (
	"strconv"

	"github.com/fasthttp/session/v2"
	"github.com/fasthttp/session/v2/providers/memory"
	"github.com/fasthttp/session/v2/providers/redis"
	"github.com/valyala/fasthttp"
)

var fasthttpSessionMemory = contestant{
	id: "fasthttpsession-memory", name: "fasthttp/session, memory", bare: "fasthttp",
	lacks:   []string{noMiddleware, noSignature, noMerge, noRefusal},
	modules: []string{"github.com/fasthttp/session/v2"},
	open: func(string) (app, error) {
		provider, err := memory.New(memory.Config{})
		if err != nil {
			return app{}, err
		}
		return fasthttpSession(provider)
	},
}

var fasthttpSessionRedis = contestant{
	id: "fasthttpsession-redis", name: "fasthttp/session, Redis", bare: "fasthttp", redis: true,
	lacks:   []string{noMiddleware, noSignature, noMerge, noRefusal},
	modules: []string{"github.com/fasthttp/session/v2"},
	open: func(address string) (app, error) {
		provider, err := redis.New(redis.Config{KeyPrefix: "session", Addr: address, PoolSize: redisPool})
		if err != nil {
			return app{}, err
		}
		return fasthttpSession(provider)
	},
}

// fasthttpSession encodes as MessagePack, the faster of the two encodings the library ships and the one its example
// takes, and saves only where it changed something.
func fasthttpSession(provider session.Provider) (app, error) {
	config := session.NewDefaultConfig()
	config.EncodeFunc, config.DecodeFunc = session.MSGPEncode, session.MSGPDecode
	sessions := session.New(config)
	if err := sessions.SetProvider(provider); err != nil {
		return app{}, err
	}

	with := func(f func(ctx *fasthttp.RequestCtx, s *session.Store)) fasthttp.RequestHandler {
		return func(ctx *fasthttp.RequestCtx) {
			s, err := sessions.Get(ctx)
			if err != nil {
				ctx.Error(err.Error(), fasthttp.StatusInternalServerError)
				return
			}
			f(ctx, s)
		}
	}
	change := func(f func(s *session.Store)) fasthttp.RequestHandler {
		return with(func(ctx *fasthttp.RequestCtx, s *session.Store) {
			f(s)
			if err := sessions.Save(ctx, s); err != nil {
				ctx.Error(err.Error(), fasthttp.StatusInternalServerError)
				return
			}
			ctx.WriteString("ok")
		})
	}
	return routeFasthttp(work[fasthttp.RequestHandler]{
		login: func(values []field) fasthttp.RequestHandler {
			return change(func(s *session.Store) {
				for _, f := range values {
					s.Set(f.key, f.value)
				}
			})
		},
		read: with(func(ctx *fasthttp.RequestCtx, s *session.Store) {
			name, _ := s.Get("name").(string)
			email, _ := s.Get("email").(string)
			ctx.WriteString(name)
			ctx.WriteString("\n")
			ctx.WriteString(email)
		}),
		count: change(func(s *session.Store) { s.Set("count", asInt(s.Get("count"))+1) }),
		peek: with(func(ctx *fasthttp.RequestCtx, s *session.Store) {
			ctx.WriteString(strconv.Itoa(asInt(s.Get("count"))))
		}),
		create:    change(func(s *session.Store) { s.Set("name", profileName) }),
		anonymous: func(ctx *fasthttp.RequestCtx) { ctx.WriteString("ok") },
	}), nil
}
