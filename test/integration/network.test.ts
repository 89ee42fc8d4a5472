/** What clients and networks do to a real cluster (SCENARIOS.md, "Clients and the network"). */

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import test, { type ExecutionContext } from 'ava';
import { KVClient } from 'quorumkv-client';

import { type Cluster, startCluster } from './cluster.js';

const CALL_MS = 30_000;

interface Addresses {
  readonly http: string;
  readonly rpc: string;
  readonly raft: string;
}

/** An election tells of what the test does, and not of what else the machine has to do meanwhile. */
const CALM = {
  electionTimeout: ['2s', '4s'],
  heartbeatInterval: '200ms',
  diskStallTimeout: '10s',
  loopStallTimeout: '10s',
};

async function statusOf(url: string): Promise<{ term: number; addresses: Addresses }> {
  return (await (await fetch(`${url}/status`)).json()) as { term: number; addresses: Addresses };
}

async function opened(t: ExecutionContext, address: string, text: string): Promise<Socket> {
  const [host = '', port = ''] = address.split(':');
  const socket = connect({ host, port: Number(port) });
  socket.on('error', () => undefined);
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

test.serial('thousands of slow and idle connections on every port: consensus goes on', async (t) => {
  t.timeout(120_000);
  const cluster = await startCluster(t, { raft: CALM });
  const leader = await cluster.leader();
  const { term, addresses } = await statusOf(cluster.url(leader));
  const texts = [
    '',
    'POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{',
    'GET /get?key=a HTTP/1.1\r\nHo',
  ];
  const slow: Socket[] = [];
  for (let i = 0; i < 2400; i += 120) {
    const some = Array.from({ length: 120 }, (_, at) =>
      opened(t, Object.values(addresses)[at % 3] as string, texts[(i + at) % texts.length] ?? ''),
    );
    slow.push(...(await Promise.all(some)));
  }
  t.is(slow.filter(({ destroyed }) => destroyed).length, 0, 'they are taken');
  const startMs = performance.now();
  for (let i = 0; i < 100; i += 1)
    t.is((await cluster.http.set(cluster.url(leader), `k${i}`, 'v')).status, 200);
  t.true(performance.now() - startMs < 10_000, 'a hundred writes while they are there');
  t.is((await statusOf(cluster.url(leader))).term, term, 'no election');
  for (const socket of slow) socket.destroy();
});

test.serial(
  'JSON-RPC as nobody should send it: the codes of its specification, and the term stays',
  async (t) => {
    t.timeout(60_000);
    const cluster = await startCluster(t, { raft: CALM });
    const url = cluster.url(await cluster.leader());
    const { term, addresses } = await statusOf(url);
    const post = async (address: string, body: unknown): Promise<unknown> => {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      return (await fetch(`http://${address}/rpc`, { method: 'POST', body: text })).json();
    };
    const codeOf = (answer: unknown): unknown => (answer as { error?: { code?: number } }).error?.code;
    for (const address of [addresses.raft, addresses.rpc]) {
      t.is(codeOf(await post(address, '{"jsonrpc"')), -32700);
      t.is(codeOf(await post(address, { jsonrpc: '2.0', method: 1, id: 1 })), -32600);
      t.is(codeOf(await post(address, { jsonrpc: '2.0', method: 'nope', id: 1 })), -32601);
      const batch = Array.from({ length: 10_000 }, (_, id) => ({ jsonrpc: '2.0', method: 'nope', id }));
      t.is(codeOf(await post(address, batch)), -32600, 'a batch of 10,000');
    }
    const { clusterId, id } = (await (await fetch(`${url}/status`)).json()) as {
      clusterId: string;
      id: string;
    };
    for (const wrong of [2 ** 53, -1, 1.5, '1', null, true, [], {}]) {
      for (const method of ['raft.requestVote', 'raft.preVote', 'raft.appendEntries', 'raft.timeoutNow']) {
        const params = {
          cluster: 'test',
          clusterId,
          from: { id: 'x', incarnation: 'x' },
          to: { id, incarnation: 'x' },
          term: wrong,
        };
        const code = Number(codeOf(await post(addresses.raft, { jsonrpc: '2.0', method, params, id: 1 })));
        t.true(code <= -32000, `${method} with the term ${JSON.stringify(wrong)}`);
      }
    }
    t.is((await statusOf(url)).term, term);
  },
);

test.serial('SIGTERM of each node in turn, under load: the client sees no error', async (t) => {
  t.timeout(120_000);
  const cluster = await startCluster(t);
  const kv = new KVClient({ endpoints: cluster.urls, timeoutMs: CALL_MS });
  t.teardown(() => kv.close());
  let stopping = false;
  let done = 0;
  const errors: unknown[] = [];
  const load = Array.from({ length: 16 }, async (_, worker) => {
    for (let i = 0; !stopping; i += 1) {
      try {
        await kv.set(`w${worker}`, String(i));
        if ((await kv.get(`w${worker}`)) !== String(i)) errors.push(`w${worker} is not ${i}`);
        done += 1;
      } catch (error) {
        errors.push(error);
      }
    }
  });
  for (const id of cluster.ids) {
    const before = done;
    await cluster.waitFor('the load goes on', () => done > before + 100, CALL_MS);
    const leader = await cluster.leader();
    t.is(await cluster.stop(leader, 5_000), 0, `${leader} in the round of ${id}`);
    await cluster.restart(leader);
  }
  stopping = true;
  await Promise.all(load);
  t.deepEqual(errors, []);
});

async function clusterWithClock(
  t: ExecutionContext,
): Promise<{ cluster: Cluster; readonly setClock: (ms: number) => Promise<void> }> {
  const preload = pathToFileURL(path.resolve('dist/test/integration/clock-jump.js')).href;
  const folder = mkdtempSync(path.join(tmpdir(), 'quorumkv-clock-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'clock');
  process.env['NODE_OPTIONS'] = `--import=${preload}`;
  process.env['KV_TEST_CLOCK'] = file;
  try {
    const cluster = await startCluster(t, { raft: CALM });
    return {
      cluster,
      async setClock(ms) {
        writeFileSync(file, String(ms));
        // Until every process has looked again; nothing tells that from outside.
        await delay(100);
      },
    };
  } finally {
    delete process.env['NODE_OPTIONS'];
    delete process.env['KV_TEST_CLOCK'];
  }
}

test.serial(
  'the wall clock jumps by an hour, either way: no election, no early or late expiry',
  async (t) => {
    t.timeout(90_000);
    const { cluster, setClock } = await clusterWithClock(t);
    const leader = await cluster.leader();
    const url = cluster.url(leader);
    const { term } = await statusOf(url);
    const get = (key: string): Promise<number> => fetch(`${url}/get?key=${key}`).then(({ status }) => status);
    const set = async (key: string, ttlMs: number): Promise<void> => {
      const body = JSON.stringify({ key, value: 'v', ttlMs });
      t.is((await fetch(`${url}/set`, { method: 'POST', body })).status, 200);
    };
    for (const hours of [1, -1]) {
      await set('long', 600_000);
      await set('short', 3000);
      const setMs = performance.now();
      await setClock(hours * 3_600_000);
      t.is(await get('long'), 200);
      if (performance.now() - setMs < 2900) t.is(await get('short'), 200, 'not early');
      await cluster.waitFor('the short one expires', async () => (await get('short')) === 404, 10_000);
      t.true(performance.now() - setMs >= 2900, 'not early');
      t.is(await get('long'), 200);
      const { ttlMs } = (await (await fetch(`${url}/get?key=long`)).json()) as { ttlMs: number };
      t.true(ttlMs > 500_000 && ttlMs <= 600_000, `${ttlMs} ms are left`);
    }
    t.is((await statusOf(url)).term, term, 'no election');
    t.is(await cluster.leader(), leader);
  },
);
