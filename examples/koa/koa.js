'use strict'

// The Koa half: an ordinary Koa app with an ordinary session. Nothing in it knows of Go.

const Koa = require('koa')
const redisStore = require('koa-redis')
const session = require('koa-generic-session')

const app = new Koa()
app.keys = process.env.SESSION_KEYS.split(' ')
app.use(session({
  store: redisStore({ host: process.env.REDIS_HOST, port: process.env.REDIS_PORT })
}))

const actions = {
  'POST /count': ctx => { ctx.session.count = (ctx.session.count || 0) + 1 },
  'POST /login': async ctx => {
    const { count } = ctx.session
    await ctx.regenerateSession() // new id, on every change of privilege
    Object.assign(ctx.session, { count, user: ctx.query.name })
  },
  'POST /logout': ctx => { ctx.session = null }
}

app.use(async ctx => {
  await actions[`${ctx.method} ${ctx.path}`]?.(ctx)
  const { user = '', count = 0 } = ctx.session || {}
  ctx.body = JSON.stringify({ by: 'Koa', user, count }) + '\n'
  ctx.type = 'json'
})

const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.resume().on('end', () => process.exit()) // ends with the Go program
