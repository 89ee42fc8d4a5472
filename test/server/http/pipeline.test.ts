import test from 'ava';

import { PIPELINE_OPS_MAX } from '../../../api/limits.js';
import type { PipelineResponse } from '../../../api/types.js';
import { VALUE_BYTES_MAX, assertProblem, postJson, startNode } from './harness.js';

async function results(response: Response): Promise<PipelineResponse['results']> {
  if (response.status !== 200) throw new Error(await response.text());
  return ((await response.json()) as PipelineResponse).results;
}

test('each operation is answered with what it would have got by itself, in order', async (t) => {
  const { url, service } = await startNode(t);
  service.store.set('a', { key: 'a', value: Buffer.from('1'), revision: 5, ttlMs: 9 });
  const answer = await results(
    await postJson(`${url}/pipeline?consistency=lease`, {
      ops: [
        { op: 'get', key: 'a' },
        { op: 'get', key: 'none' },
        { op: 'set', key: 'b', value: '2', ttlMs: 1000, session: '7/5/3' },
        { op: 'set', key: 'b', valueBase64: '/w==', ifAbsent: true },
        { op: 'delete', key: 'a', ifRevision: '5', session: '7/6/3' },
        { op: 'delete', key: 'none' },
        { op: 'set', key: 'refused', value: 'v' },
      ],
    }),
  );
  t.deepEqual(answer.slice(2, 3), [{ status: 200, result: { success: true, key: 'b', revision: '2' } }]);
  t.like(answer, [
    { status: 200, result: { key: 'a', value: '1', revision: '5', ttlMs: 9 } },
    { status: 404, error: { code: 'key-not-found' } },
    { status: 200 },
    { status: 412, error: { code: 'revision-mismatch', currentRevision: '2' } },
    { status: 200, result: { status: 'deleted', deleted: true } },
    { status: 200, result: { status: 'not-found', deleted: false } },
    { status: 429, error: { code: 'overloaded', retryable: true, outcome: 'not-applied' } },
  ]);
  t.is(answer.length, 7);
  const [ops] = service.pipelines;
  t.like(ops?.[2], { ttlMs: 1000, session: { clientId: 7, seq: 5, lowestPending: 3 } });
  t.like(ops?.[4], { ifRevision: 5, session: { clientId: 7, seq: 6, lowestPending: 3 } });
  t.deepEqual(service.reads, ['lease']);
});

test('a fault is that of its operation, and of those behind it on its key; the others go on', async (t) => {
  const { url, service } = await startNode(t);
  const answer = await results(
    await postJson(`${url}/pipeline`, {
      ops: [
        { op: 'set', key: 'a', value: 'v'.repeat(VALUE_BYTES_MAX + 1) },
        { op: 'set', key: 'b', value: 'v' },
        { op: 'set', key: 'a', value: 'v' },
        { op: 'get', key: 'a' },
        { op: 'set', key: 'c', value: 'v', session: 'x' },
        { op: 'put', key: 'd' },
        { op: 'get', key: '' },
        { op: 'get', key: 'b', session: '1/1/1' },
        5,
        { op: 'set', key: 'e', value: 'v', ifRevision: '1', ifAbsent: true },
        { op: 'get', key: 'f' },
      ],
    }),
  );
  t.deepEqual(
    answer.map(({ status }) => status),
    [413, 200, 413, 413, 400, 400, 400, 400, 400, 400, 404],
  );
  const fields = answer.map((one) => ('error' in one ? one.error.field : undefined));
  t.deepEqual(fields, [
    'ops.0.value',
    undefined,
    'ops.2.key',
    'ops.3.key',
    'ops.4.session',
    'ops.5.op',
    'ops.6.key',
    'ops.7.session',
    'ops.8',
    'ops.9.ifRevision',
    'key',
  ]);
  t.deepEqual(
    service.pipelines.flat().map(({ key }) => key),
    ['b', 'f'],
  );
});

test('a pipeline that is none is refused as a whole', async (t) => {
  const { url, service } = await startNode(t);
  const get = { op: 'get', key: 'k' };
  for (const [body, field] of [
    [{}, 'ops'],
    [{ ops: {} }, 'ops'],
    [{ ops: [get], consistency: 'stale' }, 'consistency'],
    [{ ops: Array(PIPELINE_OPS_MAX + 1).fill(get) }, 'ops'],
  ] as const)
    await assertProblem(t, await postJson(`${url}/pipeline`, body), 400, 'bad-request', field);
  for (const [name, value] of [
    ['KV-Session', '1/1/1'],
    ['If-None-Match', '*'],
  ] as const) {
    const tagged = await postJson(`${url}/pipeline`, { ops: [get] }, { headers: { [name]: value } });
    await assertProblem(t, tagged, 400, 'bad-request', name);
  }
  const unknown = await postJson(`${url}/pipeline?consistency=x`, { ops: [get] });
  await assertProblem(t, unknown, 400, 'bad-request', 'consistency');
  t.deepEqual(service.pipelines, []);
  t.deepEqual(await results(await postJson(`${url}/pipeline`, { ops: [] })), []);
});

test('a pipeline follows a redirect like any write', async (t) => {
  const { url, service } = await startNode(t);
  service.leading = false;
  for (const path of ['/pipeline', '/txn']) {
    const response = await postJson(`${url}${path}?redirect=true`, { ops: [] }, { redirect: 'manual' });
    t.is(response.status, 307);
    t.is(response.headers.get('location'), `http://127.0.0.1:8080${path}?redirect=true`);
  }
});
