'use strict'

// Reads, as JSON from its standard input, what a client sends to a Koa application and how the application's cookie is
// called, and answers what the real cookies package reads there and what it sends for the same value. Texts have one
// character for each byte, as Node's headers have.

const Cookies = require('cookies')

const { keys, requests } = JSON.parse(require('fs').readFileSync(0, 'utf8'))

console.log(JSON.stringify(requests.map(({ name, cookie }) => {
  const sent = []
  const response = { getHeader: () => sent, setHeader: () => {} }
  const cookies = new Cookies({ headers: { cookie }, socket: {} }, response, { keys })
  const value = cookies.get(name, { signed: true })
  cookies.set(name, value, { signed: true })
  return { value, sent }
})))
