import { once } from 'node:events';

import test from 'ava';
import { pino } from 'pino';

import { createRpcApp } from '../../../server/http/app.js';
import { stopHttpServer } from '../../../server/http/http-server.js';
import { CONFIG, assertProblem, rawConnection, startNode } from './harness.js';
import { memoryService } from './memory-service.js';

test('an address of JSON-RPC alone serves nothing else', async (t) => {
  const { url } = await startNode(t, {
    listener: createRpcApp({
      service: memoryService(),
      config: CONFIG,
      logger: pino({ level: 'silent' }),
      rpc: { endpoint: (body) => Promise.resolve(body) },
    }),
  });
  t.is(await (await fetch(`${url}/rpc`, { method: 'POST', body: '{}' })).text(), '{}');
  await assertProblem(t, await fetch(`${url}/get?key=k`), 404, 'no-such-route');
});

test('stopping answers what is in flight, then closes', async (t) => {
  const { server, service, port } = await startNode(t);
  let open = (): void => undefined;
  service.gate = new Promise((resolve) => (open = resolve));
  const body = '{"key":"k","value":"v"}';
  const idle = await rawConnection(t, port);
  idle.socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
  await idle.until(/"alive"/);
  const busy = await rawConnection(t, port);
  const arrived = once(server, 'request');
  busy.socket.write(`POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  await arrived;

  const stopped = stopHttpServer(server, 60_000);
  await idle.all;
  open();
  t.regex(await busy.all, /"success":true/);
  await stopped;
});

test('what is in flight longer than the grace is broken', async (t) => {
  const { server, service, port } = await startNode(t);
  service.gate = new Promise(() => undefined);
  const body = '{"key":"k","value":"v"}';
  const busy = await rawConnection(t, port);
  const arrived = once(server, 'request');
  busy.socket.write(`POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  await arrived;
  await stopHttpServer(server, 20);
  t.is(await busy.all, '');
});
