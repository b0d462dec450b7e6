'use strict';
// What Node's own clients do, through the address in the first argument: the classic http client with an agent that keeps connections,
// and fetch (undici). It prints "ok" when every answer was right, and otherwise ends with a stack trace.
const assert = require('node:assert');
const http = require('node:http');
const base = process.argv[2];

/** Asks and comes back with the answer and its body; calls `speak` with the request, which ends it. */
function ask(path, options, speak) {
  return new Promise((resolve, reject) => {
    const request = http.request(base + path, options, response => {
      const pieces = [];
      response.on('data', piece => pieces.push(piece));
      response.on('end', () => resolve({ response, body: Buffer.concat(pieces) }));
      response.on('error', reject);
    });
    request.on('error', reject);
    speak(request);
  });
}

async function keepAliveAgent() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const sockets = new Set();
  await Promise.all(Array.from({ length: 300 }, async (_, i) => {
    const sent = Buffer.alloc(i * 97, String.fromCharCode(97 + i % 26));
    // Node sends a length when it knows it and chunks when it does not.
    const headers = i % 2 ? { 'Content-Length': sent.length } : {};
    const { response, body } = await ask('/echo', { method: 'POST', agent, headers }, request => {
      request.on('socket', socket => sockets.add(socket));
      request.write(sent.subarray(0, sent.length / 2));
      request.end(sent.subarray(sent.length / 2));
    });
    assert.strictEqual(response.statusCode, 200);
    assert.ok(body.equals(sent), `echo ${i} came back as ${body.length} bytes`);
  }));
  assert.ok(sockets.size <= 4, `${sockets.size} connections for an agent that keeps 4`);
  agent.destroy();
}

async function expectContinue() {
  const sent = Buffer.alloc(500_000, 'e');
  let continued = false;
  const { body } = await ask('/echo', { method: 'PUT', headers: { Expect: '100-continue', 'Content-Length': sent.length } }, request => {
    request.on('continue', () => { continued = true; request.end(sent); });
    request.flushHeaders();
  });
  assert.ok(continued, 'the worker asked for the body');
  assert.ok(body.equals(sent));
}

async function fetches() {
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => fetch(`${base}/bytes/${i * 31}`)));
  for (const [i, answer] of answers.entries()) {
    assert.strictEqual(answer.status, 200);
    assert.strictEqual((await answer.arrayBuffer()).byteLength, i * 31);
  }

  // A body of unknown length, sent while its answer is read.
  const pieces = Array.from({ length: 50 }, (_, i) => Buffer.alloc(10_000, String(i % 10)));
  const streamed = await fetch(`${base}/echo`, { method: 'POST', duplex: 'half', body: ReadableStream.from(pieces) });
  assert.ok(Buffer.from(await streamed.arrayBuffer()).equals(Buffer.concat(pieces)));

  // A client that loses interest in the middle of an answer, and asks again.
  for (let i = 0; i < 20; i++) {
    const controller = new AbortController();
    const large = await fetch(`${base}/bytes/50000000`, { signal: controller.signal });
    await large.body.getReader().read();
    controller.abort();
  }
  assert.strictEqual((await (await fetch(`${base}/bytes/77`)).arrayBuffer()).byteLength, 77);
}

(async () => {
  await keepAliveAgent();
  await expectContinue();
  await fetches();
  console.log('ok');
})();
