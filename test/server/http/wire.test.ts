/** What only raw sockets can send, and what only a server under bounds must survive. */

import test from 'ava';

import { exchange, rawConnection, startNode } from './harness.js';

const SET_BODY = '{"key":"k","value":"v"}';
const SET = `POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: ${SET_BODY.length}\r\n\r\n${SET_BODY}`;
const CLOSE = 'GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

const refusals: [name: string, sent: string, status: number, code: string][] = [
  ['no HTTP at all', 'hello\r\n\r\n', 400, 'bad-request'],
  ['an unknown method', 'BREW /get HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad-request'],
  ['a header without end', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}`, 431, 'headers-too-large'],
  ['headers without end', `GET / HTTP/1.1\r\n${'X-Y: zzzzzzzz\r\n'.repeat(2000)}`, 431, 'headers-too-large'],
  ['a path without end', `GET /kv/${'x'.repeat(20_000)} HTTP/1.1\r\n`, 431, 'headers-too-large'],
  [
    'conflicting Content-Length and Transfer-Encoding',
    'POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
    'bad-request',
  ],
  [
    'two different Content-Lengths',
    'POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef',
    400,
    'bad-request',
  ],
  [
    'a negative Content-Length',
    'POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    400,
    'bad-request',
  ],
  [
    'a malformed chunk',
    'POST /set HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    400,
    'bad-request',
  ],
];

for (const [name, sent, status, code] of refusals) {
  test(`${name} is answered ${status}`, async (t) => {
    const { port, service } = await startNode(t);
    const answer = await exchange(t, port, sent);
    t.regex(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
    t.regex(answer, /\r\nContent-Type: application\/problem\+json\r\n/);
    t.regex(answer, /\r\nConnection: close\r\n/);
    t.regex(answer, /\r\nKV-Request-Id: \S+\r\n/);
    t.regex(answer, /\r\nKV-Leader: n1 127\.0\.0\.1:8080\r\n/);
    const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
    t.like(JSON.parse(body), { code, status, outcome: 'not-applied' });
    t.deepEqual(service.proposed, []);
  });
}

test('HTTP/1.1 without a Host is refused, HTTP/1.0 is not', async (t) => {
  const { port } = await startNode(t);
  const without = await exchange(t, port, 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n');
  t.regex(without, /^HTTP\/1\.1 400 /);
  t.regex(without, /"field":"Host"/);
  t.regex(await exchange(t, port, 'GET /livez HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 /);
});

test('keys are taken from the target as it was sent', async (t) => {
  const { port, service } = await startNode(t);
  const rest = 'HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 13\r\n\r\n{"value":"v"}';
  const put = (target: string): Promise<string> => exchange(t, port, `PUT ${target} ${rest}`);
  t.regex(await put('/kv/../a'), /"key":"\.\.\/a"/);
  t.regex(await put('/kv/a//b/'), /"key":"a\/\/b\/"/);
  t.regex(await put('http://other.host:1/kv/abs'), /"key":"abs"/);
  t.regex(await put('/kv/a#b'), /^HTTP\/1\.1 400 [^]*"field":"path"/);
  t.regex(await put('/kv/é'), /^HTTP\/1\.1 400 [^]*percent-escaped/);
  t.is(service.store.size, 3);
});

test('too long a body is refused before it was sent whole', async (t) => {
  const { port, service } = await startNode(t);
  const announced = await rawConnection(t, port);
  announced.socket.write('POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\n{');
  t.regex(await announced.until(/\}$/), /^HTTP\/1\.1 413 [^]*"code":"too-large"/);

  const chunked = await rawConnection(t, port);
  chunked.socket.write('POST /set HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
  for (let sent = 0; sent < 100; sent++) chunked.socket.write(`1000\r\n${'x'.repeat(4096)}\r\n`);
  t.regex(await chunked.until(/\}$/), /^HTTP\/1\.1 413 [^]*"code":"too-large"/);
  // The rest of the body is dropped, and the connection is good for another request.
  chunked.socket.write(`0\r\n\r\n${CLOSE}`);
  t.regex(await chunked.all, /"status":"alive"/);
  t.deepEqual(service.proposed, []);
});

test('a body without end is cut off', async (t) => {
  const { port } = await startNode(t);
  const { socket, all } = await rawConnection(t, port);
  socket.write('POST /set HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
  let sentBytes = 0;
  const pump = (): void => {
    while (!socket.destroyed && socket.write(chunk)) sentBytes += chunk.length;
  };
  socket.on('drain', pump);
  pump();
  t.regex(await all, /^HTTP\/1\.1 413 /);
  t.true(sentBytes < 100 * 1024 * 1024);
});

test('a body that stops half-way is answered 408 in time, and one that breaks off not at all', async (t) => {
  const { port, service, logged } = await startNode(t, { limits: { requestTimeoutMs: 150 } });
  const half = 'POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"key":';
  const answer = await exchange(t, port, half);
  t.regex(answer, /^HTTP\/1\.1 408 [^]*"code":"request-timeout"/);

  const broken = await rawConnection(t, port);
  broken.socket.end(half);
  await broken.all;
  t.deepEqual(service.proposed, []);
  t.deepEqual(
    logged.filter((line) => line.includes('"level":50')),
    [],
  );
});

test('slow headers and idle connections are closed', async (t) => {
  const { port } = await startNode(t, { limits: { headersTimeoutMs: 100, keepAliveTimeoutMs: 100 } });
  t.regex(await exchange(t, port, 'GET /livez HTTP/1.1\r\nHos'), /^HTTP\/1\.1 408 /);
  t.regex(await exchange(t, port, ''), /^HTTP\/1\.1 408 /);
  t.regex(await exchange(t, port, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1\.1 200 /);
});

test('connections beyond the limit are dropped; the others are served', async (t) => {
  const { port } = await startNode(t, { limits: { connectionsMax: 3 } });
  const held = [];
  for (let count = 0; count < 3; count++) {
    const connection = await rawConnection(t, port);
    connection.socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    await connection.until(/"alive"/);
    held.push(connection);
  }
  t.is(await (await rawConnection(t, port)).all, '');
  held[0]?.socket.write(CLOSE);
  t.is((await held[0]?.all)?.match(/"alive"/g)?.length, 2);
});

test('garbage behind a request in flight never passes for its answer', async (t) => {
  const { port, service } = await startNode(t);
  let open = (): void => undefined;
  service.gate = new Promise((resolve) => (open = resolve));
  const { socket, all } = await rawConnection(t, port);
  socket.write(`${SET}garbage\r\n\r\n`);
  // The write may be carried out; an answer that says `not-applied` would be a lie.
  t.is(await all, '');
  t.is(service.proposed.length, 1);
  open();
});

test('pipelined requests are answered in order', async (t) => {
  const { port } = await startNode(t);
  const answer = await exchange(t, port, SET + 'GET /get?key=k HTTP/1.1\r\nHost: x\r\n\r\n' + CLOSE);
  t.deepEqual(answer.match(/"success":true|"code":"key-not-found"|"value":"v"|"alive"/g)?.length, 3);
  t.true(answer.indexOf('"success":true') < answer.indexOf('"alive"'));
});
