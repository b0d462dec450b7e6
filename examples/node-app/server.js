'use strict';

// A plain Node HTTP server that any process manager could start. FastLB tells each process by its environment where to
// listen (PORT: a port, or with "transport: unix" the path of a socket) and which worker it is.

const http = require('node:http');
const { randomUUID } = require('node:crypto');
const { WebSocketServer } = require('ws');

const port = process.env.PORT ?? 3000;
const worker = process.env.FASTLB_WORKER ?? 'alone';
const generation = process.env.FASTLB_GENERATION ?? '-';

// Sessions live in this process only, so a client has to come back to it: that is what FastLB's sticky cookie is for.
// The oldest session goes when there are too many.
const maxSessions = 10_000;
const sessions = new Map();

function sessionOf(request) {
  const cookie = /(?:^|;\s*)SESSION=([0-9a-f-]{36})(?:;|$)/.exec(request.headers.cookie ?? '');
  const id = cookie?.[1];
  if (id !== undefined && sessions.has(id)) {
    return { id, session: sessions.get(id), isNew: false };
  }

  const created = { id: randomUUID(), session: { visits: 0 }, isNew: true };
  sessions.set(created.id, created.session);
  if (sessions.size > maxSessions) {
    sessions.delete(sessions.keys().next().value);
  }

  return created;
}

const server = http.createServer((request, response) => {
  const path = request.url.split('?')[0];
  if (path === '/healthz') {
    response.end('ok\n');
    return;
  }

  if (path !== '/') {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('there is only /, /healthz and the WebSocket /ws\n');
    return;
  }

  const { id, session, isNew } = sessionOf(request);
  session.visits++;
  if (isNew) {
    response.setHeader('set-cookie', `SESSION=${id}; Path=/; HttpOnly; SameSite=Lax`);
  }

  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(`Hello from ${worker} (generation ${generation}, pid ${process.pid}): visit ${session.visits} of this session\n`);
});

// FastLB keeps connections to its workers open and lets each rest for less than this (Node's usual 5 s), so that a
// request does not meet a connection that is just being closed. Do not set it lower than 5 s.
server.keepAliveTimeout = 5_000;

const sockets = new WebSocketServer({ server, path: '/ws', maxPayload: 64 * 1024 * 1024 });
sockets.on('connection', (socket) => {
  socket.on('error', () => socket.terminate());
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});

server.on('error', (error) => {
  console.error(`cannot listen on ${port}: ${error.message}`);
  process.exit(1);
});

server.listen(port, typeof port === 'string' && port.startsWith('/') ? undefined : '127.0.0.1', () => console.log(`${worker} listens on ${port}`));

// FastLB sends no new requests from here on. What runs is finished, WebSockets are told to come back, then the process ends.
process.once('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  for (const socket of sockets.clients) {
    socket.close(1001, 'the worker stops');
  }
});
