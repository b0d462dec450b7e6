// A plain Node server as FastLB runs it. The only thing that it has to do for FastLB is to listen on PORT.
'use strict';

const http = require('node:http');
const { randomUUID } = require('node:crypto');
const { WebSocketServer } = require('ws');

const slot = process.env.FASTLB_SLOT ?? '0';
const generation = process.env.FASTLB_GENERATION ?? '0';

// Sessions live in this process alone. That works because FastLB keeps a client at its worker (sticky, in fastlb.yaml).
const sessions = new Map();

const server = http.createServer((request, response) => {
  request.resume();
  if (request.url === '/healthz') {
    response.end('ok\n');
    return;
  }

  const known = /(?:^|;\s*)session=([\w-]+)/.exec(request.headers.cookie ?? '');
  const id = known && sessions.has(known[1]) ? known[1] : randomUUID();
  const visits = (sessions.get(id) ?? 0) + 1;
  sessions.set(id, visits);
  response.setHeader('Set-Cookie', `session=${id}; Path=/; HttpOnly`);
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end(`Hello from slot ${slot}, generation ${generation}, pid ${process.pid}: visit ${visits} of your session\n`);
});

// Longer than the 4 s for which FastLB keeps an idle connection, so that it is FastLB that lets go.
server.keepAliveTimeout = 5_000;

const sockets = new WebSocketServer({ server, path: '/ws', maxPayload: 64 * 1024 * 1024 });
sockets.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});

server.listen(process.env.PORT ?? 3000, process.env.HOST ?? '127.0.0.1', () => {
  console.log(`slot ${slot} listens on ${process.env.PORT ?? 3000}`);
});

// FastLB has finished this worker's requests before it sends SIGTERM; what is left are WebSockets, which are told to come back.
process.on('SIGTERM', () => {
  for (const socket of sockets.clients) {
    socket.close(1012, 'restarting');
  }

  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
