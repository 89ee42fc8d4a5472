import test from 'ava';

import { TXN_CHECKS_MAX, TXN_OPS_MAX } from '../../../api/limits.js';
import { ServiceError } from '../../../server/service.js';
import { VALUE_BYTES_MAX, assertProblem, postJson, startNode } from './harness.js';

test('a transaction is one command, and each operation is answered as the single request would be', async (t) => {
  const { url, service } = await startNode(t);
  service.store.set('a', { key: 'a', value: Buffer.from('1'), revision: 5, ttlMs: 70 });
  service.store.set('d', { key: 'd', value: Buffer.from([0xff]), revision: 6 });
  const response = await postJson(
    `${url}/txn`,
    {
      checks: [
        { key: 'a', revision: '5' },
        { key: 'none', revision: null },
      ],
      ops: [
        { op: 'get', key: 'a' },
        { op: 'get', key: 'd' },
        { op: 'get', key: 'none' },
        { op: 'set', key: 'a', value: '2', ttlMs: 1000 },
        { op: 'set', key: 'b', valueBase64: '/w==' },
        { op: 'delete', key: 'd' },
        { op: 'delete', key: 'none' },
      ],
    },
    { headers: { 'KV-Session': '7/5/3' } },
  );
  t.is(response.status, 200);
  t.is(response.headers.get('kv-revision'), '2');
  t.deepEqual(await response.json(), {
    succeeded: true,
    revision: '2',
    results: [
      { key: 'a', value: '1', revision: '5', ttlMs: 70 },
      { key: 'd', valueBase64: '/w==', revision: '6' },
      null,
      { success: true, key: 'a', revision: '2' },
      { success: true, key: 'b', revision: '2' },
      { success: true, key: 'd', status: 'deleted', deleted: true, revision: '2' },
      { success: true, key: 'none', status: 'not-found', deleted: false, revision: '2' },
    ],
  });
  t.like(service.proposed[0], { op: 'txn', session: { clientId: 7, seq: 5, lowestPending: 3 } });
  t.deepEqual([...service.store.keys()], ['a', 'b']);
});

test('a check that fails is 409, and names the keys', async (t) => {
  const { url, service } = await startNode(t);
  service.store.set('a', { key: 'a', value: Buffer.from('1'), revision: 5 });
  const response = await postJson(`${url}/txn`, {
    checks: [
      { key: 'a', revision: '5' },
      { key: 'a', revision: null },
      { key: 'b', revision: '9' },
    ],
    ops: [{ op: 'set', key: 'a', value: '2' }],
  });
  const problem = await assertProblem(t, response, 409, 'check-failed');
  t.like(problem, { succeeded: false, failed: ['a', 'b'], outcome: 'not-applied' });
});

const OP = { op: 'delete', key: 'k' };
const REFUSED: readonly [body: unknown, status: number, field: string][] = [
  [{}, 400, 'ops'],
  [{ ops: [] }, 400, 'ops'],
  [{ ops: {} }, 400, 'ops'],
  [{ ops: [OP], checks: 'x' }, 400, 'checks'],
  [{ ops: [OP], more: 1 }, 400, 'more'],
  [{ ops: [7] }, 400, 'ops.0'],
  [{ ops: [OP, null] }, 400, 'ops.1'],
  [{ ops: [{ op: 'set', key: 'k' }] }, 400, 'ops.0.value'],
  [{ ops: [{ op: 'set', key: 'k', value: 'v', ifAbsent: true }] }, 400, 'ops.0.ifAbsent'],
  [{ ops: [{ op: 'set', key: 'k', value: 'v', ttlMs: 0 }] }, 400, 'ops.0.ttlMs'],
  [{ ops: [{ op: 'set', key: 'k', value: 'v'.repeat(VALUE_BYTES_MAX + 1) }] }, 413, 'ops.0.value'],
  [{ ops: [{ op: 'delete', key: '' }] }, 400, 'ops.0.key'],
  [{ ops: [{ op: 'delete', key: 'k', value: 'v' }] }, 400, 'ops.0.value'],
  [{ ops: [{ op: 'put', key: 'k' }] }, 400, 'ops.0.op'],
  [{ ops: [{ key: 'k' }] }, 400, 'ops.0.op'],
  [{ checks: [{ key: 'k' }] }, 400, 'checks.0.revision'],
  [{ checks: [{ key: 'k', revision: 5 }] }, 400, 'checks.0.revision'],
  [{ checks: [{ key: 'k', revision: '0' }] }, 400, 'checks.0.revision'],
  [{ checks: [{ key: 3, revision: null }] }, 400, 'checks.0.key'],
  [{ ops: Array(TXN_OPS_MAX + 1).fill(OP) }, 400, 'ops'],
  [{ checks: Array(TXN_CHECKS_MAX + 1).fill({ key: 'k', revision: null }) }, 400, 'checks'],
];

test('whatever is wrong with a transaction is named, and nothing is proposed', async (t) => {
  const { url, service } = await startNode(t);
  for (const [body, status, field] of REFUSED) {
    const code = status === 413 ? 'too-large' : 'bad-request';
    await assertProblem(t, await postJson(`${url}/txn`, body), status, code, field);
  }
  const ops = { ops: [OP] };
  await assertProblem(t, await postJson(`${url}/txn?x=1`, ops), 400, 'bad-request', 'x');
  const conditional = await postJson(`${url}/txn`, ops, { headers: { 'If-Match': '"1"' } });
  await assertProblem(t, conditional, 400, 'bad-request', 'If-Match');
  const raw = await postJson(`${url}/txn`, ops, { headers: { 'Content-Type': 'application/octet-stream' } });
  await assertProblem(t, raw, 415, 'unsupported-media-type');
  const got = await fetch(`${url}/txn`);
  await assertProblem(t, got, 405, 'method-not-allowed');
  t.is(got.headers.get('allow'), 'POST');
  t.deepEqual(service.proposed, []);
});

test('DELETE /kv takes a prefix, and only that: not even an empty one', async (t) => {
  const { url, service } = await startNode(t);
  for (const key of ['p/1', 'p/2', 'q'])
    service.store.set(key, { key, value: Buffer.from('v'), revision: 1 });
  const remove = (query: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${url}/kv${query}`, { method: 'DELETE', ...init });
  await assertProblem(t, await remove(''), 400, 'bad-request', 'prefix');
  await assertProblem(t, await remove('?prefix='), 400, 'bad-request', 'prefix');
  await assertProblem(t, await remove('?prefix=p&limit=3'), 400, 'bad-request', 'limit');
  await assertProblem(
    t,
    await remove('?prefix=p', { headers: { 'If-Match': '"1"' } }),
    400,
    'bad-request',
    'If-Match',
  );
  await assertProblem(t, await remove('?prefix=p', { body: '{}' }), 400, 'bad-request', 'body');
  t.deepEqual(service.proposed, []);
  const response = await remove('?prefix=p%2F', { headers: { 'KV-Session': '7/5/3' } });
  t.deepEqual(await response.json(), { deleted: 2, revision: '2' });
  t.like(service.proposed[0], { op: 'delete-prefix', prefix: 'p/', session: { clientId: 7 } });
  t.deepEqual([...service.store.keys()], ['q']);
  service.failure = new ServiceError('too-large', 'too many keys begin with it');
  const refused = await assertProblem(t, await remove('?prefix=q'), 413, 'too-large');
  t.is(refused.outcome, 'not-applied');
});
