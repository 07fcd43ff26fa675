'use strict';

const Koa = require('koa');
const session = require('koa-generic-session');
const MemoryStore = require('koa-generic-session/lib/memory_store');
const redisStore = require('koa-redis');

const koaStore = {
  memory: () => new MemoryStore(),
  redis: (address) => {
    const [host, port] = address.split(':');
    return redisStore({ host, port: Number(port) });
  },
};

// koaApp does the work of contestant.go on Koa: without sessions if store is missing.
function koaApp({ profile, store, bareCookie }) {
  const app = new Koa();
  app.keys = ['a key of 32 bytes, for all alike'];
  if (store) app.use(session({ store }));
  app.use((ctx) => (store ? withSession : bare)[ctx.path](ctx));

  const ok = (ctx) => { ctx.body = 'ok'; };
  const { name, email } = profile();
  const bare = {
    '/login': (ctx) => { ctx.set('Set-Cookie', bareCookie()); ctx.body = 'ok'; },
    '/read': (ctx) => { ctx.body = `${name}\n${email}`; },
    '/anonymous': ok,
    '/count': ok,
    '/create': ok,
    '/peek': (ctx) => { ctx.body = '0'; },
  };
  const withSession = {
    '/login': (ctx) => { Object.assign(ctx.session, profile()); ctx.body = 'ok'; },
    '/read': (ctx) => { ctx.body = `${ctx.session.name ?? ''}\n${ctx.session.email ?? ''}`; },
    '/anonymous': ok,
    '/count': (ctx) => { ctx.session.count = (ctx.session.count ?? 0) + 1; ctx.body = 'ok'; },
    '/create': (ctx) => { ctx.session.name = name; ctx.body = 'ok'; },
    '/peek': (ctx) => { ctx.body = String(ctx.session.count ?? 0); },
  };
  return app.callback();
}

module.exports = { koaApp, koaStore };
