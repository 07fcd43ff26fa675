'use strict';

const express = require('express');
const session = require('express-session');
const { RedisStore } = require('connect-redis');
const redis = require('redis');

const expressStore = {
  memory: () => new session.MemoryStore(),
  redis: async (address) => new RedisStore({ client: await redis.createClient({ url: `redis://${address}` }).connect() }),
};

// expressApp does the work of contestant.go on Express: without sessions if store is missing.
function expressApp({ profile, store, bareCookie }) {
  const app = express();
  if (store) {
    app.use(session({
      store,
      secret: 'a key of 32 bytes, for all alike',
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 86400000 }, // ms: a day, as the others
    }));
  }
  const { name, email } = profile();
  const ok = (req, res) => res.end('ok');
  app.get('/anonymous', ok);
  if (!store) {
    app.get('/login', (req, res) => { res.set('Set-Cookie', bareCookie()); res.end('ok'); });
    app.get('/read', (req, res) => res.end(`${name}\n${email}`));
    app.get('/count', ok);
    app.get('/create', ok);
    app.get('/peek', (req, res) => res.end('0'));
    return app;
  }
  app.get('/login', (req, res) => { Object.assign(req.session, profile()); res.end('ok'); });
  app.get('/read', (req, res) => res.end(`${req.session.name ?? ''}\n${req.session.email ?? ''}`));
  app.get('/count', (req, res) => { req.session.count = (req.session.count ?? 0) + 1; res.end('ok'); });
  app.get('/create', (req, res) => { req.session.name = name; res.end('ok'); });
  app.get('/peek', (req, res) => res.end(String(req.session.count ?? 0)));
  return app;
}

module.exports = { expressApp, expressStore };
