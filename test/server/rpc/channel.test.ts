import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { crc32 } from 'node:zlib';
import test from 'ava';
import type { Channel } from '../../../server/rpc/channel.js';
import { createDispatcher } from '../../../server/rpc/dispatch.js';
import type { Methods } from '../../../server/rpc/dispatch.js';
import { ChannelError, outcomeOf, RpcError } from '../../../server/rpc/errors.js';
import { connectChannel } from '../../../server/rpc/upgrade.js';
import type { ConnectOptions } from '../../../server/rpc/upgrade.js';
import { recorder, rejection, serve, silent, until } from './fixtures.js';

function open(
  address: string,
  options: Partial<ConnectOptions> = {},
  methods: Methods = {},
): Promise<Channel> {
  const dispatcher = createDispatcher(methods, silent);
  return connectChannel(address, { dispatcher, logger: silent, connectTimeoutMs: 2000, ...options });
}

test('both sides call each other on one connection', async (t) => {
  const served = await serve({
    back: async (params, { channel }) => channel?.request('own', { asked: params }, 1000),
  });
  t.teardown(served.close);
  const channel = await open(served.address, {}, { own: (params) => ({ got: params }) });
  t.deepEqual(await channel.request('back', { a: 'é€😀' }, 1000), { got: { asked: { a: 'é€😀' } } });
  channel.close('done');
});

test('64 calls under way are answered, each its own, in one write and in order', async (t) => {
  const order: number[] = [];
  const served = await serve({
    echo: (params) => {
      order.push((params as { n: number }).n);
      return params;
    },
  });
  t.teardown(served.close);
  const channel = await open(served.address);
  const numbers = Array.from({ length: 64 }, (_, n) => n);
  const answered: number[] = [];
  const results = await Promise.all(
    numbers.map(async (n) => {
      const result = await channel.request('echo', { n }, 1000);
      answered.push(n);
      return result;
    }),
  );
  t.deepEqual(
    results,
    numbers.map((n) => ({ n })),
  );
  t.deepEqual(order, numbers);
  t.deepEqual(answered, numbers);
  channel.close('done');
});

test('a slow call does not hold up the ones behind it', async (t) => {
  let finish: (value: string) => void = () => undefined;
  const slow = new Promise<string>((resolve) => (finish = resolve));
  const served = await serve({ slow: () => slow, fast: () => 'fast' });
  t.teardown(served.close);
  const channel = await open(served.address);
  const waiting = channel.request('slow', {}, 2000);
  t.is(await channel.request('fast', {}, 1000), 'fast');
  finish('slow');
  t.is(await waiting, 'slow');
  channel.close('done');
});

test('errors of the other side arrive with code and data', async (t) => {
  const served = await serve({
    refuse: () => {
      throw new RpcError('no', -32003, { field: 'from' });
    },
  });
  t.teardown(served.close);
  const channel = await open(served.address);
  const refused = (await rejection(t, channel.request('refuse', {}, 1000))) as RpcError;
  t.true(refused instanceof RpcError);
  t.deepEqual([refused.code, refused.message, refused.data], [-32003, 'no', { field: 'from' }]);
  t.is(outcomeOf(refused), 'not-applied');
  const unknown = (await rejection(t, channel.request('unknown', {}, 1000))) as RpcError;
  t.is(unknown.code, -32601);
  channel.close('done');
});

test('calls under way when the connection breaks are lost, later ones are never sent', async (t) => {
  const served = await serve({ never: () => new Promise(() => undefined) });
  t.teardown(served.close);
  const channel = await open(served.address);
  const calls = [1, 2, 3].map((n) => rejection(t, channel.request('never', { n }, 10_000)));
  await until(() => served.sockets.some((socket) => socket.bytesRead > 150), 'the calls arrive');
  for (const socket of served.sockets) socket.destroy();
  for (const error of await Promise.all(calls)) {
    t.true(error instanceof ChannelError && error.fault === 'lost');
    t.is(outcomeOf(error), 'unknown');
  }
  t.is(typeof (await channel.closed), 'string');
  t.false(channel.isOpen());
  const later = await rejection(t, channel.request('never', {}, 1000));
  t.true(later instanceof ChannelError && later.fault === 'never-sent');
  t.is(outcomeOf(later), 'not-applied');
});

test('a call without an answer times out, and its late answer is ignored', async (t) => {
  let finish: () => void = () => undefined;
  const slow = new Promise<void>((resolve) => (finish = resolve));
  const served = await serve({ slow: () => slow, fast: () => 1 });
  t.teardown(served.close);
  const channel = await open(served.address);
  const error = await rejection(t, channel.request('slow', {}, 20));
  t.true(error instanceof ChannelError && error.fault === 'timed-out');
  t.is(outcomeOf(error), 'unknown');
  finish();
  t.is(await channel.request('fast', {}, 1000), 1);
  channel.close('done');
});

test('a frame over the bound is not sent; one that comes closes the connection', async (t) => {
  const { logger, lines } = recorder();
  const served = await serve({ echo: (params) => params }, { frameBytesMax: 1000, logger });
  t.teardown(served.close);
  const careful = await open(served.address, { frameBytesMax: 1000 });
  const error = await rejection(t, careful.request('echo', { x: 'x'.repeat(1000) }, 1000));
  t.true(error instanceof ChannelError && error.fault === 'never-sent');
  t.deepEqual(await careful.request('echo', { x: 1 }, 1000), { x: 1 });
  careful.close('done');

  const careless = await open(served.address);
  const lost = await rejection(t, careless.request('echo', { x: 'x'.repeat(1000) }, 5000));
  t.true(lost instanceof ChannelError && lost.fault === 'lost');
  t.is(lines.filter(({ level }) => level === 'warn').length, 1);
});

test('what waits for a peer that never reads is bounded', async (t) => {
  const accepted: Duplex[] = [];
  const server = createServer();
  server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: quorumkv-rpc\r\n\r\n');
    socket.on('error', () => undefined);
    socket.pause();
    accepted.push(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of accepted) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const channel = await open(`127.0.0.1:${port}`, { queueBytesMax: 1024 * 1024, silenceMs: 60_000 });
  const faults: string[] = [];
  const text = 'x'.repeat(64 * 1024);
  const calls: Promise<void>[] = [];
  // The kernel takes some megabytes; far less than these 64.
  for (let n = 0; n < 1024; n += 1) {
    calls.push(
      channel.request('echo', { text }, 60_000).then(
        () => undefined,
        (error: unknown) => void faults.push(error instanceof ChannelError ? error.fault : 'other'),
      ),
    );
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.true(faults.length > 512, `${faults.length} dropped`);
  t.true(faults.every((fault) => fault === 'never-sent'));
  channel.close('done');
  await Promise.all(calls);
  t.is(faults.length, 1024);
});

test('calls under way are bounded on both sides', async (t) => {
  const served = await serve({ never: () => new Promise(() => undefined) }, { inboundCallsMax: 2 });
  t.teardown(served.close);
  const channel = await open(served.address, { pendingCallsMax: 3 });
  const first = [1, 2].map((n) => rejection(t, channel.request('never', { n }, 10_000)));
  const third = (await rejection(t, channel.request('never', {}, 10_000))) as RpcError;
  t.deepEqual([third.code, third.data], [-32010, { code: 'overloaded', outcome: 'not-applied' }]);
  const more = [3, 4].map((n) => rejection(t, channel.request('never', { n }, 10_000)));
  const fourth = await more[1];
  t.true(fourth instanceof ChannelError && fourth.fault === 'never-sent');
  channel.close('done');
  await Promise.all([...first, ...more]);
});

test('a peer that says nothing at all is given up', async (t) => {
  const accepted: Duplex[] = [];
  const server = createServer();
  server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: quorumkv-rpc\r\n\r\n');
    accepted.push(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of accepted) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const channel = await open(`127.0.0.1:${port}`, { silenceMs: 60 });
  const error = await rejection(t, channel.request('x', {}, 60_000));
  t.true(error instanceof ChannelError && error.fault === 'lost');
  t.regex(await channel.closed, /silent for 60 ms/);
});

test('an idle connection to a live peer stays, thanks to its pings', async (t) => {
  const served = await serve({ echo: (params) => params });
  t.teardown(served.close);
  let pings = 0;
  const channel = await open(served.address, { silenceMs: 150 });
  served.sockets[0]?.on('data', () => (pings += 1));
  await until(() => pings > 5, 'more than a silence passes');
  t.true(channel.isOpen());
  t.deepEqual(await channel.request('echo', { a: 1 }, 1000), { a: 1 });
  channel.close('done');
});

test('what is no JSON-RPC is answered as such, and the connection goes on', async (t) => {
  const served = await serve({ echo: (params) => params });
  t.teardown(served.close);
  const socket = connect(served.port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.write('GET /rpc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: quorumkv-rpc\r\n\r\n');
  const frame = (text: string | Buffer): void => {
    const bytes = Buffer.from(text);
    const header = Buffer.alloc(8);
    header.writeUInt32BE(bytes.length);
    header.writeUInt32BE(crc32(bytes), 4);
    socket.write(Buffer.concat([header, bytes]));
  };
  let heard = '';
  socket.on('data', (chunk) => (heard += chunk.toString('latin1')));
  frame('nonsense');
  frame(Buffer.from([0xff]));
  frame('null');
  frame('{"jsonrpc":"2.0","id":99,"result":1}');
  frame('{"error":null}');
  frame('[{"jsonrpc":"2.0","id":7,"method":"echo","params":[1]}]');
  await until(() => heard.includes('"id":7'), 'the last one is answered');
  t.is(heard.split('-32700').length - 1, 2);
  t.is(heard.split('-32600').length - 1, 1);
});

test('an upgrade to something else, or somewhere else, is refused', async (t) => {
  const served = await serve({});
  t.teardown(served.close);
  for (const [path, protocol, status] of [
    ['/rpc', 'websocket', '426'],
    ['/other', 'quorumkv-rpc', '404'],
  ]) {
    const socket = connect(served.port, '127.0.0.1');
    socket.write(
      `GET ${path ?? ''} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${protocol ?? ''}\r\n\r\n`,
    );
    const [data] = (await once(socket, 'data')) as [Buffer];
    t.is(data.toString().split(' ')[1], status);
    socket.destroy();
  }
});

test('connections beyond the bound are refused', async (t) => {
  const served = await serve({ echo: (params) => params }, { channelsMax: 1 });
  t.teardown(served.close);
  const channel = await open(served.address);
  const error = await rejection(t, open(served.address));
  t.regex(String(error), /answered 503/);
  channel.close('done');
});

test('why no connection came about is said', async (t) => {
  const server = createTcpServer(() => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.teardown(() => server.close());
  const mute = await rejection(t, open(`127.0.0.1:${port}`, { connectTimeoutMs: 30 }));
  t.true(mute instanceof ChannelError && mute.fault === 'never-sent');
  t.regex(String(mute), /no connection within 30 ms/);
  const nobody = await serve({});
  await nobody.close();
  t.regex(String(await rejection(t, open(`localhost:${nobody.port}`))), /ECONNREFUSED/);
  t.regex(String(await rejection(t, open('nowhere'))), /is not host:port/);
  t.regex(String(await rejection(t, open('127.0.0.1:99999'))), /is not host:port/);
  const http = createServer((_request, response) => response.writeHead(404).end());
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(() => http.close());
  const plain = `127.0.0.1:${(http.address() as AddressInfo).port}`;
  t.regex(String(await rejection(t, open(plain))), /does not speak quorumkv-rpc/);
});
