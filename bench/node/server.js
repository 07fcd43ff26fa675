'use strict';

// One Node contestant in one process.
//
//   node server.js serve ID REDIS      listens on loopback, prints its address, ends when stdin closes
//   node server.js resident ID COUNT   fills the contestant's memory store, prints what it costs as JSON

const contestants = require('./contestants');

async function main([mode, id, argument]) {
  const open = contestants[id];
  if (!open) throw new Error(`contestant ${id}: unknown`);
  if (mode === 'serve') await serve(open, argument);
  else if (mode === 'resident') await resident(open, Number(argument));
  else throw new Error(`mode ${mode}: want serve or resident`);
}

async function serve(open, redis) {
  const { listener } = await open(redis);
  const server = require('http').createServer(listener);
  server.keepAliveTimeout = 60_000; // ms; the default of 5 s would close connections between two measurements
  server.listen(0, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`));
  process.stdin.on('end', () => process.exit(0)).resume();
}

async function resident(open, count) {
  const { store } = await open('');
  const before = measure();
  for (let i = 0; i < count; i++) await store(i);
  const after = measure();
  await store(0); // keeps the store alive until here
  console.log(JSON.stringify({
    heapPerSession: (after.heap - before.heap) / count,
    rssPerSession: (after.rss - before.rss) / count,
    gcMillis: after.gcMillis,
  }));
  process.exit(0);
}

// measure collects twice: what the first run of finalizers frees belongs to nobody.
function measure() {
  global.gc();
  const start = process.cpuUsage();
  global.gc();
  const { user, system } = process.cpuUsage(start); // µs
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed + external, rss, gcMillis: (user + system) / 1000 };
}

main(process.argv.slice(2)).catch((err) => {
  console.error(err);
  process.exit(1);
});
