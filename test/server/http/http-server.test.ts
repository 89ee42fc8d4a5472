import { once } from 'node:events';
import { Agent, get } from 'node:http';
import type { Socket } from 'node:net';

import test from 'ava';
import { pino } from 'pino';

import { createRpcApp } from '../../../server/http/app.js';
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
  const { server, stop, service, port } = await startNode(t);
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

  const stopped = stop(60_000);
  await idle.all;
  open();
  t.regex(await busy.all, /\r\nConnection: close\r\n[^]*"success":true/);
  await stopped;
});

test('what is in flight longer than the grace is broken', async (t) => {
  const { server, stop, service, port } = await startNode(t);
  service.gate = new Promise(() => undefined);
  const body = '{"key":"k","value":"v"}';
  const busy = await rawConnection(t, port);
  const arrived = once(server, 'request');
  busy.socket.write(`POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  await arrived;
  await stop(20);
  t.is(await busy.all, '');
});

test('clients that never pause meet no error while the server stops', async (t) => {
  const { stop, port } = await startNode(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  t.teardown(() => agent.destroy());
  let answered = 0;
  const ask = (): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const request = get({ port, host: '127.0.0.1', path: '/livez', agent }, (response) => {
        answered += 1;
        response.resume().on('end', () => resolve(response.statusCode));
      });
      request.on('error', reject);
    });
  const askUntilRefused = async (): Promise<string | undefined> => {
    for (;;) {
      try {
        t.is(await ask(), 200);
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    }
  };
  const clients = Promise.all(Array.from({ length: 8 }, askUntilRefused));
  while (answered < 50) await ask();
  await stop(60_000);
  t.deepEqual(new Set(await clients), new Set(['ECONNREFUSED']));
});

test('a backup that takes long to be made is no idle connection', async (t) => {
  const node = await startNode(t);
  const sockets: Socket[] = [];
  node.server.on('connection', (socket: Socket) => sockets.push(socket));
  const backup = node.service.backup.bind(node.service);
  let timeoutMs: number | undefined;
  node.service.backup = () => {
    timeoutMs = sockets.at(-1)?.timeout;
    return backup();
  };
  const response = await fetch(`${node.url}/snapshot`);
  t.is(response.status, 200);
  t.true((await response.arrayBuffer()).byteLength > 0);
  t.is(timeoutMs, 600_000);
});
