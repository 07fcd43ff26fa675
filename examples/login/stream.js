'use strict'

// Says on the page when its session has ended elsewhere. The stream tells why it ended; whether this browser has a session
// all the same, by a login or a renewal of its own, only the next stream can tell. So the page speaks after that.
const notice = document.querySelector('#notice')
const user = document.body.dataset.user
const pauses = [200, 1000, 4000] // ms until the stream is opened again; an answer with the new cookie may be on its way
const texts = {
  ended: 'You were logged out elsewhere.',
  expired: 'Your session is over: it was not used for a long time.',
  renewed: 'Somebody has logged in with this session elsewhere.',
  gone: 'You are not logged in any more.'
}
let stream, timer
let tries = 0
let why = 'gone'

const say = (text, link, href) => {
  notice.textContent = text
  notice.hidden = !text
  document.body.classList.toggle('over', Boolean(text))
  if (!text) return
  const a = document.createElement('a')
  Object.assign(a, { href, textContent: link })
  notice.append(' ', a)
}

const stop = () => {
  clearTimeout(timer)
  stream?.close()
}

const again = () => {
  stop()
  if (tries < pauses.length) timer = setTimeout(listen, pauses[tries++])
}

function listen () {
  stop()
  stream = new EventSource('/events')
  stream.addEventListener('user', event => {
    tries = 0
    why = 'gone'
    if (event.data === user) say('')
    else say(`This browser is logged in as ${event.data} now.`, 'Reload', location.href)
  })
  stream.addEventListener('end', event => {
    why = event.data
    again()
  })
  stream.addEventListener('nobody', () => {
    if (why !== 'renewed' || tries === pauses.length) say(texts[why], 'Log in', '/login')
    again()
  })
  stream.onerror = () => { // the browser tries again by itself, unless the site has answered with an error
    if (stream.readyState === EventSource.CLOSED) timer = setTimeout(listen, 5000)
  }
}

// What the page does itself is not told; a browser has few connections to a site, so only a page that is seen has one.
const start = () => {
  tries = 0
  if (document.visibilityState === 'visible') listen()
  else stop()
}
addEventListener('submit', stop)
addEventListener('pageshow', start)
document.addEventListener('visibilitychange', start)

for (const time of document.querySelectorAll('time')) {
  time.textContent = new Date(time.dateTime).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })
}
