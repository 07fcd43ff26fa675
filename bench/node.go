package main

// The Node contestants: node/server.js knows them by these ids. express-session is set up as its documentation
// recommends (neither resave nor saveUninitialized, which would save on every request), koa-generic-session as it
// comes; both sign their cookies.
var (
	bareKoa = contestant{
		id: "koa", name: "bare Koa", bare: "koa", node: true,
		modules: []string{"koa"},
	}
	koaMemory = contestant{
		id: "koa-memory", name: "koa-generic-session, memory", bare: "koa", node: true,
		lacks:   []string{noEnd, noIsolation},
		modules: []string{"koa", "koa-generic-session"},
	}
	koaRedis = contestant{
		id: "koa-redis", name: "koa-generic-session, koa-redis", bare: "koa", node: true, redis: true,
		lacks:   []string{noMerge},
		modules: []string{"koa", "koa-generic-session", "koa-redis", "ioredis"},
	}
	bareExpress = contestant{
		id: "express", name: "bare Express", bare: "express", node: true,
		modules: []string{"express"},
	}
	expressMemory = contestant{
		id: "express-memory", name: "express-session, memory", bare: "express", node: true,
		lacks:   []string{noMerge},
		modules: []string{"express", "express-session"},
	}
	expressRedis = contestant{
		id: "express-redis", name: "express-session, connect-redis", bare: "express", node: true, redis: true,
		lacks:   []string{noMerge},
		modules: []string{"express", "express-session", "connect-redis", "redis"},
	}
)
