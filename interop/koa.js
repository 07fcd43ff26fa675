'use strict'

// A Koa app whose handler is the request's body: JavaScript that runs with `ctx`, so that a scenario of the Go test
// reads as what it does on both sides. The answer is what the body returned, as JSON.
//
// It takes its configuration as one JSON argument, prints its port when it listens on loopback, and ends with its
// standard input, so that it cannot outlive the test. It runs whatever it is sent: for tests only.

const Koa = require('koa')
const Keygrip = require('keygrip')
const redisStore = require('koa-redis')

const { redis, keys, hash, koaSess, options } = JSON.parse(process.argv[2])

const store = redisStore({ host: '127.0.0.1', port: redis })
const gates = new Map() // name → { arrived, opened }: two promises and what resolves them
const app = new Koa()
app.keys = hash ? new Keygrip(keys, hash) : keys
app.silent = true

// What a body may use beside ctx. `gate` stops it until another request has called `open` with the same name, and
// `arrived` waits until it has stopped there: how a test decides who writes first.
const tools = {
  app, keys, Keygrip, store,
  gate (name) { at(name).arrive(); return at(name).opened },
  arrived (name) { return at(name).arrived },
  open (name) { at(name).open(); gates.delete(name) }
}
const AsyncFunction = (async () => {}).constructor

app.use(koaSess ? oldSession() : require('koa-generic-session')({ ...options, store }))
app.use(async ctx => {
  let body = ''
  for await (const chunk of ctx.req) body += chunk
  const run = new AsyncFunction('ctx', 'tools', `with (tools) { ${body} }`)
  ctx.body = JSON.stringify(await run(ctx, tools) ?? null)
  ctx.type = 'json'
})

function at (name) {
  if (!gates.has(name)) {
    const g = {}
    g.arrived = new Promise(resolve => { g.arrive = resolve })
    g.opened = new Promise(resolve => { g.open = resolve })
    gates.set(name, g)
  }
  return gates.get(name)
}

// oldSession is the middleware as it was first: a generator, which today's Koa must be handed through co.
function oldSession () {
  console.warn = () => {} // It says that it has been renamed.
  const co = require('co')
  const session = require('koa-sess')({ ...options, store })
  return (ctx, next) => co(session.call(ctx, (function * () { yield next() })()))
}

const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.resume().on('end', () => process.exit())
