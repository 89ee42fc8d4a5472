/** Tokens, rights and rates: who is let in, with what, how often. */

import test from 'ava';

import { createHash } from 'node:crypto';

import { accessCheck } from '../../../server/http/access.js';
import { createRateLimit } from '../../../server/http/rate-limit.js';
import { CONFIG, type Node, assertProblem, problemOf, startNode } from './harness.js';

const TOKENS = { read: 'reader-0123456789', write: 'writer-0123456789', admin: 'admin-0123456789' } as const;
const PEER = 'peers-0123456789';
const clients = (['read', 'write', 'admin'] as const).map((rights) => ({
  name: rights,
  sha256: createHash('sha256').update(TOKENS[rights]).digest('hex'),
  rights,
}));
const auth = { clients, peerSecret: PEER };

interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly body?: object;
}

function ask({ url }: Node, { method = 'GET', path, body }: Ask, token?: string): Promise<Response> {
  return fetch(`${url}${path}`, {
    method,
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

const READS: readonly Ask[] = [
  { path: '/get?key=a' },
  { path: '/kv' },
  { path: '/kv/a' },
  { path: '/status' },
  { path: '/cluster/status' },
  { path: '/cluster/members' },
  { path: '/cluster/log' },
  { method: 'POST', path: '/pipeline', body: { ops: [{ op: 'get', key: 'a' }] } },
];
const WRITES: readonly Ask[] = [
  { method: 'POST', path: '/set', body: { key: 'w', value: 'v' } },
  { method: 'PUT', path: '/kv/w', body: { value: 'v' } },
  { method: 'POST', path: '/kv/w', body: { value: 'v' } },
  { method: 'PUT', path: '/kv/put', body: { key: 'w', value: 'v' } },
  { method: 'POST', path: '/kv/del', body: { key: 'w' } },
  { method: 'DELETE', path: '/delete?key=w' },
  { method: 'DELETE', path: '/kv/w' },
  { method: 'DELETE', path: '/kv?prefix=w' },
  { method: 'POST', path: '/txn', body: { ops: [{ op: 'get', key: 'w' }] } },
  { method: 'POST', path: '/sessions' },
];
const CHANGES: readonly Ask[] = [
  { path: '/snapshot' },
  { method: 'POST', path: '/snapshot' },
  { method: 'POST', path: '/cluster/members', body: { id: 'n9', raft: 'h:1', rpc: 'h:2', http: 'h:3' } },
  { method: 'DELETE', path: '/cluster/members/n9' },
  { method: 'PATCH', path: '/cluster/members/n9', body: { raft: 'h:9' } },
  { method: 'POST', path: '/cluster/members/n9/promote' },
  { method: 'POST', path: '/cluster/transfer', body: {} },
];

test('each token does what its rights include, and nothing else; nothing is proposed of what is refused', async (t) => {
  const node = await startNode(t, { auth });
  const { store, proposed, clusterRequests } = node.service;
  store.set('a', { key: 'a', value: Buffer.from('v'), revision: 5 });
  const levels = [READS, WRITES, CHANGES];
  for (const [level, rights] of (['read', 'write', 'admin'] as const).entries()) {
    for (const [needed, asks] of levels.entries()) {
      for (const one of asks) {
        const before = proposed.length + clusterRequests.length;
        const response = await ask(node, one, TOKENS[rights]);
        const what = `${rights}: ${one.method ?? 'GET'} ${one.path}`;
        if (needed <= level) t.true(response.status < 300, `${what}: ${await response.text()}`);
        else {
          await assertProblem(t, response, 403, 'forbidden', 'Authorization');
          t.is(proposed.length + clusterRequests.length, before, what);
        }
      }
    }
  }
});

test('without a token, or with one that is not known: 401 that says how, and nothing is carried out', async (t) => {
  const node = await startNode(t, { auth });
  for (const one of [...READS, ...WRITES, ...CHANGES]) {
    for (const token of [undefined, 'nobody-0123456789', '', `${TOKENS.admin}x`]) {
      const response = await ask(node, one, token);
      t.is(response.headers.get('www-authenticate'), 'Bearer realm="quorumkv"');
      const problem = await assertProblem(t, response, 401, 'unauthenticated', 'Authorization');
      t.is(problem.outcome, 'not-applied');
      t.false(problem.retryable);
    }
  }
  const basic = await fetch(`${node.url}/status`, { headers: { Authorization: `Basic ${TOKENS.admin}` } });
  t.is(basic.status, 401);
  t.deepEqual(node.service.proposed, []);
  t.deepEqual(node.service.clusterRequests, []);
  t.is((await ask(node, { path: '/nowhere' })).status, 401, 'what routes there are is not told either');
});

test('probes and the document ask for nothing', async (t) => {
  const node = await startNode(t, { auth, requestsPerSecond: 1 });
  for (let round = 0; round < 3; round += 1)
    for (const path of ['/health', '/livez', '/readyz', '/openapi.json'])
      t.is((await ask(node, { path })).status, 200, path);
});

test('another node may read, and is not counted', async (t) => {
  const node = await startNode(t, { auth, requestsPerSecond: 1 });
  for (let round = 0; round < 3; round += 1) t.is((await ask(node, { path: '/status' }, PEER)).status, 200);
  t.is((await ask(node, { method: 'POST', path: '/set', body: { key: 'a', value: 'v' } }, PEER)).status, 403);
});

test('of a pipeline, a token that may only read has its reads', async (t) => {
  const node = await startNode(t, { auth });
  node.service.store.set('a', { key: 'a', value: Buffer.from('v'), revision: 5 });
  const ops = [
    { op: 'get', key: 'a' },
    { op: 'set', key: 'b', value: 'w' },
    { op: 'get', key: 'b' },
    { op: 'delete', key: 'a' },
  ];
  const pipeline = { method: 'POST', path: '/pipeline', body: { ops } };
  const response = await ask(node, pipeline, TOKENS.read);
  const { results } = (await response.json()) as { results: { status: number; error?: { code: string } }[] };
  t.deepEqual(
    results.map(({ status, error }) => error?.code ?? status),
    [200, 'forbidden', 'forbidden', 'forbidden'],
  );
  t.deepEqual([...node.service.store.keys()], ['a']);
  const written = (await (await ask(node, pipeline, TOKENS.write)).json()) as typeof results & {
    results: { status: number }[];
  };
  t.deepEqual(
    written.results.map(({ status }) => status),
    [200, 200, 200, 200],
  );
});

test('so many requests a second, counted by address or by token, and 429 with Retry-After for more', async (t) => {
  const node = await startNode(t, { requestsPerSecond: 0.01 });
  t.is((await ask(node, { path: '/status' })).status, 200);
  const refused = await ask(node, { method: 'POST', path: '/set', body: { key: 'a', value: 'v' } });
  const seconds = Number(refused.headers.get('retry-after'));
  t.true(seconds >= 90 && seconds <= 100, String(seconds));
  const problem = await assertProblem(t, refused, 429, 'rate-limited');
  t.is(problem.outcome, 'not-applied');
  t.true(problem.retryable);
  t.deepEqual(node.service.proposed, []);

  const known = await startNode(t, { auth, requestsPerSecond: 0.01 });
  for (const token of [TOKENS.read, TOKENS.write]) {
    t.is((await ask(known, { path: '/status' }, token)).status, 200);
    t.is((await ask(known, { path: '/status' }, token)).status, 429);
  }
  t.is((await ask(known, { path: '/status' }, 'guess-0123456789')).status, 401);
  t.is((await problemOf(await ask(known, { path: '/status' }, 'guess-9876543210'))).code, 'rate-limited');
});

test('the rate: a second of requests at once, then one an interval', (t) => {
  const rate = createRateLimit(10);
  for (let request = 0; request < 10; request += 1) t.is(rate.take('a', 1000), 0, String(request));
  t.true(Math.abs(rate.take('a', 1000) - 100) < 1e-6);
  t.is(rate.take('b', 1000), 0, 'another client');
  t.is(rate.take('a', 1100), 0);
  t.true(rate.take('a', 1150) > 0, 'a refused request is not counted, and none comes early');
  t.is(rate.take('a', 1200), 0);
  for (let request = 0; request < 10; request += 1) t.is(rate.take('a', 9000), 0, 'after a pause');
  t.true(rate.take('a', 9000) > 0);
});

test('of ten thousand clients, the one that was longest unheard of is forgotten', (t) => {
  const rate = createRateLimit(1);
  for (let client = 0; client < 10_001; client += 1) rate.take(String(client), 0);
  t.true(rate.take('10000', 0) > 0);
  t.true(rate.take('1', 0) > 0);
  t.is(rate.take('0', 0), 0);
});

test('where nothing is set, nothing is looked at', (t) => {
  t.is(accessCheck(CONFIG), undefined);
});
