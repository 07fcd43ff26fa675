'use strict';

// The Node contestants by id. Each opens to a listener for http.createServer and, where it keeps its sessions in
// memory, a function that stores the i-th session of many.

const crypto = require('crypto');
const { koaApp, koaStore } = require('./koa');
const { expressApp, expressStore } = require('./express');

// profile is the session of profile.go.
const profile = () => ({
  user_id: '3f2b8c1e-9d47-4a6b-8e05-7c1d2f9a6b34',
  name: 'Ada Lovelace',
  email: 'ada.lovelace@example.org',
  roles: ['editor', 'reviewer', 'billing', 'translator'],
  csrf: 'q3Zr0V5n2mXkT8yLw1HbJd6cPfEsUaGiRoNtMvBhQzY',
  signed_in: '2026-03-14T09:26:53.589Z',
  seen: '2026-03-14T15:09:26.535Z',
  verified: true,
  remember: false,
  count: 0,
});

const bareCookie = () => `koa.sid=${crypto.randomBytes(56).toString('base64url')}`;

module.exports = {
  koa: async () => ({ listener: koaApp({ profile, bareCookie }) }),
  'koa-memory': async () => {
    const store = koaStore.memory();
    return {
      listener: koaApp({ profile, store }),
      store: (i) => store.set(`session-${i}-with-32-characters`.padEnd(32, 'x'), {
        cookie: { httpOnly: true, path: '/', overwrite: true, signed: true, maxAge: 86400000 },
        ...JSON.parse(JSON.stringify(profile())),
      }),
    };
  },
  'koa-redis': async (redis) => ({ listener: koaApp({ profile, store: koaStore.redis(redis) }) }),

  express: async () => ({ listener: expressApp({ profile, bareCookie }) }),
  'express-memory': async () => {
    const store = expressStore.memory();
    return {
      listener: expressApp({ profile, store }),
      store: (i) => new Promise((resolve) => store.set(`session-${i}-with-32-characters`.padEnd(32, 'x'), {
        cookie: { originalMaxAge: 86400000, httpOnly: true, path: '/' },
        ...profile(),
      }, resolve)),
    };
  },
  'express-redis': async (redis) => ({ listener: expressApp({ profile, store: await expressStore.redis(redis) }) }),
};
