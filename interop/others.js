'use strict'

// Begins one session with a library of Node, as its application would, and prints the cookies of its answer as JSON:
//
//   node others.js express-session REDIS_PORT
//   node others.js koa-session

const [library, redisPort] = process.argv.slice(2)
const secret = 'the old application\'s secret'

async function express () {
  const { createClient } = require('redis')
  const session = require('express-session')
  const { RedisStore } = require('connect-redis')
  const client = createClient({ socket: { host: '127.0.0.1', port: Number(redisPort) } })
  await client.connect()
  const app = require('express')()
  app.use(session({ store: new RedisStore({ client }), secret, resave: false, saveUninitialized: false, cookie: { maxAge: 3600000 } }))
  app.get('/', (req, res) => {
    Object.assign(req.session, { user: 'ann', n: 7 })
    res.end()
  })
  return app
}

function koa () {
  const Koa = require('koa')
  const { createSession } = require('koa-session')
  const app = new Koa()
  app.keys = [secret]
  app.use(createSession ? createSession({ maxAge: 3600000 }, app) : require('koa-session')({ maxAge: 3600000 }, app))
  app.use(ctx => {
    Object.assign(ctx.session, { user: 'ann', n: 7 })
    ctx.body = ''
  })
  return app
}

async function main () {
  const app = library === 'koa-session' ? koa() : await express()
  const server = app.listen(0, '127.0.0.1', async () => {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/`)
    console.log(JSON.stringify(answer.headers.getSetCookie()))
    process.exit(0)
  })
}

main()
