/** A cluster that speaks TLS, asks clients for tokens, and nodes for certificates and a secret. */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { Socket } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import {
  ForbiddenError,
  KVClient,
  KVError,
  RateLimitedError,
  UnauthorizedError,
  type WatchEvent,
} from 'quorumkv-client';
import { certificates, type Certificates } from './certificates.js';
import { Cluster } from './cluster.js';

const run = promisify(execFile);
const READER = 'reader-0123456789';
const WRITER = 'writer-0123456789';
const ADMIN = 'admin-0123456789';
const PEERS = 'peers-0123456789';
const CLIENTS = [
  { name: 'reader', token: READER, rights: 'read' },
  { name: 'writer', token: WRITER, rights: 'write' },
  { name: 'admin', token: ADMIN, rights: 'admin' },
];

interface Secured {
  readonly cluster: Cluster;
  readonly files: Certificates;
  readonly endpoints: readonly string[];
  readonly client: (token: string | (() => string) | undefined) => KVClient;
}

async function secured(t: ExecutionContext, limits: object = {}): Promise<Secured> {
  const files = await certificates(t);
  const { caFile, certFile, keyFile } = files;
  const auth = { clients: CLIENTS, peerSecret: PEERS };
  const settings = { auth, tls: { caFile, certFile, keyFile }, limits };
  const cluster = await Cluster.create({ settings, raft: { electionTimeout: ['1s', '2s'] } });
  t.teardown(() => cluster.close());
  cluster.startAll();
  const endpoints = cluster.ids.map((id) => cluster.addresses(id).http);
  return {
    cluster,
    files,
    endpoints,
    client(token) {
      const client = new KVClient({
        endpoints,
        tls: { ca: files.ca },
        timeoutMs: 60_000,
        ...(token !== undefined && { auth: { token } }),
      });
      t.teardown(() => client.close());
      return client;
    },
  };
}

interface Call {
  readonly address: string;
  readonly secret?: string;
  readonly shown?: { readonly cert: Buffer; readonly key: Buffer };
  readonly upgrade?: boolean;
}

/** The status of a call between nodes: `POST /rpc`, or an upgrade to a persistent connection. */
function callAsNode({ address, secret, shown, upgrade = false }: Call, body: object): Promise<number> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const asking = request({
      host,
      port,
      path: '/rpc',
      method: upgrade ? 'GET' : 'POST',
      agent: false,
      rejectUnauthorized: false,
      ...shown,
      headers: {
        ...(upgrade && { Connection: 'Upgrade', Upgrade: 'quorumkv-rpc' }),
        ...(secret !== undefined && { Authorization: `Bearer ${secret}` }),
      },
    });
    asking.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asking.on('upgrade', (_response, socket: Socket) => {
      socket.destroy();
      resolve(101);
    });
    asking.on('error', reject);
    asking.end(upgrade ? undefined : JSON.stringify(body));
  });
}

test.serial(
  'clients with tokens over TLS; calls of nodes without credentials are refused before they are read',
  async (t) => {
    t.timeout(120_000);
    const { cluster, files, endpoints, client } = await secured(t);
    const writer = client(() => WRITER);
    await writer.set('a', 'v');
    await Promise.all(Array.from({ length: 50 }, (_, at) => writer.set(`k${at}`, 'v')));

    const reader = client(READER);
    t.is(await reader.get('a'), 'v');
    t.deepEqual(await reader.getMany(['k1', 'k2', 'none']), ['v', 'v', undefined]);
    const refused = await t.throwsAsync(reader.set('a', 'w'), { instanceOf: ForbiddenError });
    t.is(refused.outcome, 'not-applied');
    await t.throwsAsync(writer.cluster.snapshot(), { instanceOf: ForbiddenError });
    t.true((await client(ADMIN).cluster.snapshot()).done);
    await t.throwsAsync(client(undefined).get('a'), { instanceOf: UnauthorizedError });
    await t.throwsAsync(client('nobody-0123456789').set('a', 'w'), { instanceOf: UnauthorizedError });
    const tokenless = client(() => {
      throw new Error('the vault is closed');
    });
    await t.throwsAsync(tokenless.set('a', 'w'), {
      instanceOf: UnauthorizedError,
      message: /the vault is closed/,
    });
    const watched = reader.watch({ key: 'a' });
    const first: Promise<IteratorResult<WatchEvent, unknown>> = watched.next();
    await writer.set('a', 'watched');
    // It may begin behind that one.
    const later = setInterval(() => void writer.set('a', 'watched'), 500);
    const event = await first;
    t.true(event.done !== true && event.value.key === 'a');
    clearInterval(later);
    await watched.return?.(undefined);
    t.is(await writer.get('a'), 'watched', 'nothing of what was refused is there');

    const stranger = new KVClient({ endpoints, auth: { token: WRITER }, tls: {}, timeoutMs: 1000 });
    const unbelieved = await t.throwsAsync(stranger.set('a', 'w'), { instanceOf: KVError });
    t.is(unbelieved.outcome, 'not-applied', 'nothing is sent to whom the client does not believe');
    await stranger.close();

    const status = await writer.cluster.status();
    const own = { cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) };
    const other = await certificates(t);
    const foreign = { cert: readFileSync(other.certFile), key: readFileSync(other.keyFile) };
    const vote = { jsonrpc: '2.0', id: 1, method: 'raft.requestVote', params: { term: 99 } };
    for (const id of cluster.ids) {
      const { raft, rpc } = cluster.addresses(id);
      for (const address of [raft, rpc]) {
        for (const upgrade of [false, true]) {
          const as = (call: Omit<Call, 'address' | 'upgrade'>): Promise<number> =>
            callAsNode({ address, upgrade, ...call }, vote);
          t.is(await as({}), 401);
          t.is(await as({ secret: PEERS }), 401, 'no certificate');
          t.is(await as({ secret: PEERS, shown: foreign }), 401, 'of another authority');
          t.is(await as({ shown: own }), 401, 'no secret');
          t.is(await as({ secret: ADMIN, shown: own }), 401, 'the token of a client');
          t.is(await as({ secret: PEERS, shown: own }), upgrade ? 101 : 200);
        }
      }
    }
    t.is((await writer.cluster.status()).term, status.term);

    const env = { ...process.env, KV_TOKEN: ADMIN, KV_CA: files.caFile, KV_ENDPOINTS: endpoints.join(',') };
    const kv = (...args: string[]) => run(process.execPath, ['dist/cli/main.js', ...args], { env });
    t.is((await kv('get', 'a')).stdout, 'watched');
    const file = path.join(cluster.folder, 'all.snap');
    t.regex((await kv('backup', file)).stdout, /^backed up revision/);
    await t.throwsAsync(kv('--token', READER, 'set', 'a', 'w'), { message: /forbidden/ });
  },
);

test.serial('a client that asks too often is told to wait, and waits', async (t) => {
  t.timeout(90_000);
  const { client } = await secured(t, { requestsPerSecond: 5 });
  const writer = client(WRITER);
  await writer.set('a', 'v');
  const busy = client(READER);
  await Promise.all(
    Array.from({ length: 8 }, () => busy.get('a', { consistency: 'stale', timeoutMs: 20_000 })),
  );
  const calls = Array.from({ length: 60 }, () => client(READER).get('a', { timeoutMs: 2000 }));
  const results = await Promise.allSettled(calls);
  const reasons = results.flatMap((result): unknown[] =>
    result.status === 'rejected' ? [result.reason] : [],
  );
  t.true(reasons.some((reason) => reason instanceof RateLimitedError && reason.code === 'rate-limited'));
});
