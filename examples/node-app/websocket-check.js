// node websocket-check.js ws://127.0.0.1:8000/ws: sends messages of up to 5 MB through the balancer, and lets either side close.
'use strict';

const { randomBytes } = require('node:crypto');
const WebSocket = require('ws');

const url = process.argv[2] ?? 'ws://127.0.0.1:8000/ws';

function conversation(sizes, end) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { maxPayload: 64 * 1024 * 1024 });
    const messages = sizes.map((size) => randomBytes(size));
    let received = 0;
    socket.on('open', () => messages.forEach((message) => socket.send(message)));
    socket.on('message', (data) => {
      if (!messages[received].equals(data)) {
        reject(new Error(`message ${received} came back changed`));
      }

      received += 1;
      if (received === messages.length) {
        end(socket);
      }
    });
    socket.on('close', (code) => (received === messages.length ? resolve(code) : reject(new Error(`closed with ${code} after ${received} messages`))));
    socket.on('error', reject);
  });
}

async function main() {
  const polite = await conversation([1, 125, 126, 65_535, 65_536, 5 * 1024 * 1024], (socket) => socket.close(1000, 'done'));
  if (polite !== 1000) {
    throw new Error(`a clean close ended with ${polite}`);
  }

  const abrupt = await conversation([5 * 1024 * 1024], (socket) => socket.terminate());
  if (abrupt !== 1006) {
    throw new Error(`a connection that was cut ended with ${abrupt}`);
  }

  console.log('ok');
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
