import test from 'ava';

import { LOG_LIMIT } from '../../../api/limits.js';
import { assertProblem, postJson, startNode } from './harness.js';

test('every form of a set takes a time to live, and every form of a read tells what is left', async (t) => {
  const { url, service } = await startNode(t);
  const octets = { 'Content-Type': 'application/octet-stream' };
  const put = (path: string, init: RequestInit): Promise<Response> =>
    fetch(`${url}${path}`, { method: 'PUT', ...init });
  await postJson(`${url}/set`, { key: 'a', value: 'v', ttlMs: 1 });
  await put('/kv/b', { body: '{"value":"v","ttlMs":2}' });
  await put('/kv/c?ttlMs=3', { body: 'v', headers: octets });
  await put('/kv/put', { body: '{"key":"d","value":"v","ttlMs":4}' });
  await put('/kv/e', { body: '{"value":"v"}' });
  t.deepEqual(
    service.proposed.map((write) => (write.op === 'set' ? write.ttlMs : write)),
    [1, 2, 3, 4, undefined],
  );
  const get = async (path: string): Promise<unknown> => (await fetch(`${url}${path}`)).json();
  t.deepEqual(await get('/get?key=a'), { key: 'a', value: 'v', revision: '2', ttlMs: 1 });
  t.like(await get('/kv/b'), { ttlMs: 2 });
  t.like(await get('/kv?prefix=c'), { entries: [{ key: 'c', value: 'v', ttlMs: 3 }] });
  t.deepEqual(await get('/kv?prefix=d&keysOnly'), {
    entries: [{ key: 'd', revision: '5', ttlMs: 4 }],
    cursor: null,
    revision: '6',
  });
  t.deepEqual(await get('/kv/e'), { key: 'e', value: 'v', revision: '6' });
});

test('a time to live in the query is for raw bytes alone, and must be one', async (t) => {
  const { url, service } = await startNode(t);
  const octets = { 'Content-Type': 'application/octet-stream' };
  for (const [path, headers] of [
    ['/kv/a?ttlMs=5', {}],
    ['/kv/a?ttlMs=0', octets],
    ['/kv/a?ttlMs=', octets],
    ['/kv/a?ttlMs=1e3', octets],
    ['/kv/a?ttlMs=3153600000001', octets],
  ] as const) {
    const response = await fetch(`${url}${path}`, { method: 'PUT', body: '{"value":"v"}', headers });
    await assertProblem(t, response, 400, 'bad-request', 'ttlMs');
  }
  t.deepEqual(service.proposed, []);
});

test('GET /cluster/log tells what the newest entries are', async (t) => {
  const { url, service } = await startNode(t);
  service.lines.push(
    { index: 3, term: 2, type: 'set', bytes: 40, key: 'a' },
    { index: 2, term: 2, type: 'noop', bytes: 0 },
  );
  const get = (query: string): Promise<Response> => fetch(`${url}/cluster/log${query}`);
  t.deepEqual(await (await get('?limit=2')).json(), {
    entries: [
      { index: 3, term: 2, type: 'set', size: 40, key: 'a' },
      { index: 2, term: 2, type: 'noop', size: 0, key: null },
    ],
  });
  t.is(((await (await get('?limit=1')).json()) as { entries: object[] }).entries.length, 1);
  for (let more = 0; more < LOG_LIMIT; more += 1) service.lines.push(service.lines[0]!);
  t.is(((await (await get('')).json()) as { entries: object[] }).entries.length, LOG_LIMIT);
  for (const limit of ['0', '-1', '1001', 'x', ''])
    await assertProblem(t, await get(`?limit=${limit}`), 400, 'bad-request', 'limit');
});
