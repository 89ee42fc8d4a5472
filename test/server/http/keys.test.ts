import test from 'ava';

import { keyPath } from '../../../api/paths.js';
import { VALUE_BYTES_MAX, assertProblem, postJson, startNode } from './harness.js';

test('set, get, delete', async (t) => {
  const { url, service } = await startNode(t);
  const set = await postJson(`${url}/set`, { key: 'a b', value: 'één' });
  t.is(set.status, 200);
  t.deepEqual(await set.json(), { success: true, key: 'a b', revision: '2' });
  t.is(set.headers.get('content-type'), 'application/json');
  t.is(set.headers.get('kv-revision'), '2');
  t.is(set.headers.get('kv-leader'), 'n1 127.0.0.1:8080');
  t.truthy(set.headers.get('kv-request-id'));

  const got = await fetch(`${url}/get?key=a+b`);
  t.deepEqual(await got.json(), { key: 'a b', value: 'één', revision: '2' });
  t.is(got.headers.get('etag'), '"2"');
  t.is(got.headers.get('kv-revision'), '2');
  const head = await fetch(`${url}/get?key=a%20b`, { method: 'HEAD' });
  t.is(head.headers.get('etag'), '"2"');
  t.is(await head.text(), '');

  const deleted = await fetch(`${url}/delete?key=a%20b`, { method: 'DELETE' });
  t.deepEqual(await deleted.json(), {
    success: true,
    key: 'a b',
    status: 'deleted',
    deleted: true,
    revision: '3',
  });
  const again = await fetch(`${url}/delete?key=a%20b`, { method: 'DELETE' });
  t.is(again.status, 200);
  t.like(await again.json(), { status: 'not-found', deleted: false, success: true });
  await assertProblem(t, await fetch(`${url}/get?key=a%20b`), 404, 'key-not-found');
  t.deepEqual(service.reads, ['linearizable', 'linearizable', 'linearizable']);
});

test('a body is JSON whatever its Content-Type says', async (t) => {
  const { url } = await startNode(t);
  for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'application/json; charset=utf-8']) {
    const headers = { 'Content-Type': type };
    t.is((await postJson(`${url}/set`, { key: 'k', value: '' }, { headers })).status, 200);
  }
});

test('values that are no UTF-8 travel as base64', async (t) => {
  const { url } = await startNode(t);
  const valueBase64 = Buffer.from([0xff, 0x00, 0xfe]).toString('base64');
  t.is((await postJson(`${url}/set`, { key: 'k', valueBase64 })).status, 200);
  t.deepEqual(await (await fetch(`${url}/get?key=k`)).json(), { key: 'k', valueBase64, revision: '2' });
  await postJson(`${url}/set`, { key: 'k', valueBase64: Buffer.from('text').toString('base64') });
  t.like(await (await fetch(`${url}/get?key=k`)).json(), { value: 'text' });
});

test('a refused condition reflects what decided it, even where that is not applied yet', async (t) => {
  const { url, service } = await startNode(t);
  for (const value of ['1', '2']) await postJson(`${url}/set`, { key: 'k', value });
  service.revision = () => 2;
  const refused = await postJson(`${url}/set`, { key: 'k', value: '3', ifRevision: '2' });
  t.is((await assertProblem(t, refused, 412, 'revision-mismatch')).currentRevision, '3');
  t.is(refused.headers.get('kv-revision'), '3');
});

test('conditions of /set and /delete', async (t) => {
  const { url } = await startNode(t);
  t.is((await postJson(`${url}/set`, { key: 'k', value: '1', ifAbsent: true })).status, 200);
  const present = await postJson(`${url}/set`, { key: 'k', value: '2', ifAbsent: true });
  t.is((await assertProblem(t, present, 412, 'revision-mismatch')).currentRevision, '2');
  t.is(
    (await postJson(`${url}/set`, { key: 'k', value: '3', ifRevision: '2', ifAbsent: false })).status,
    200,
  );
  const stale = await postJson(`${url}/set`, { key: 'k', value: '4', ifRevision: '2' });
  const mismatch = await assertProblem(t, stale, 412, 'revision-mismatch');
  t.is(mismatch.currentRevision, '4');
  t.is(mismatch.outcome, 'not-applied');
  t.is(mismatch.retryable, false);
  const missing = await postJson(`${url}/set`, { key: 'other', value: '5', ifRevision: '4' });
  t.is((await assertProblem(t, missing, 412, 'revision-mismatch')).currentRevision, null);

  const kept = await fetch(`${url}/delete?key=k&ifRevision=3`, { method: 'DELETE' });
  await assertProblem(t, kept, 412, 'revision-mismatch');
  t.is((await fetch(`${url}/delete?key=k&ifRevision=4`, { method: 'DELETE' })).status, 200);
});

test('the REST form: PUT, POST, GET, HEAD, DELETE with keys of every kind', async (t) => {
  const { url, service } = await startNode(t);
  const keys = [
    'plain',
    'a/b/c',
    'put',
    'del',
    'get',
    '...',
    '%',
    'a%2Fb',
    'é ✓ 😀',
    '?#&=+',
    '\u0000\n',
    '__proto__',
    '/',
  ];
  for (const key of keys) {
    const at = url + keyPath(key);
    t.is((await fetch(at, { method: 'PUT', body: JSON.stringify({ value: key }) })).status, 200, key);
    t.is(service.store.get(key)?.value.toString(), key);
    t.like(await (await fetch(at)).json(), { key, value: key });
    t.is((await fetch(at, { method: 'HEAD' })).status, 200);
    t.is((await fetch(at, { method: 'POST', body: JSON.stringify({ value: 'again' }) })).status, 200);
    t.like(await (await fetch(at, { method: 'DELETE' })).json(), { key, deleted: true });
    await assertProblem(t, await fetch(at), 404, 'key-not-found');
  }
  t.is(service.store.size, 0);
});

test('If-Match and If-None-Match are the conditions of a write', async (t) => {
  const { url } = await startNode(t);
  const put = (headers: Record<string, string>, path = '/kv/k'): Promise<Response> =>
    fetch(url + path, { method: 'PUT', body: '{"value":"v"}', headers });
  t.is((await put({ 'If-None-Match': '*' })).status, 200);
  await assertProblem(t, await put({ 'If-None-Match': '*' }), 412, 'revision-mismatch');
  t.is((await put({ 'If-Match': '"2"' })).status, 200);
  await assertProblem(t, await put({ 'If-Match': '"2"' }), 412, 'revision-mismatch');
  const kept = await fetch(`${url}/kv/k`, { method: 'DELETE', headers: { 'If-Match': '"2"' } });
  await assertProblem(t, kept, 412, 'revision-mismatch');
  const set = await postJson(`${url}/set`, { key: 'k', value: 'x' }, { headers: { 'If-Match': '"2"' } });
  await assertProblem(t, set, 412, 'revision-mismatch');
  t.is((await fetch(`${url}/kv/k`, { method: 'DELETE', headers: { 'If-Match': '"4"' } })).status, 200);
});

test('If-Match: * wants a key that is there (RFC 9110 §13.1.1)', async (t) => {
  const { url } = await startNode(t);
  const headers = { 'If-Match': '*' };
  const put = (): Promise<Response> =>
    fetch(`${url}/kv/k`, { method: 'PUT', body: '{"value":"v"}', headers });
  const remove = (): Promise<Response> => fetch(`${url}/kv/k`, { method: 'DELETE', headers });
  for (const missing of [put, remove]) {
    const problem = await assertProblem(t, await missing(), 412, 'revision-mismatch');
    t.is(problem.currentRevision, null);
  }
  await postJson(`${url}/set`, { key: 'k', value: 'v' });
  t.is((await put()).status, 200);
  t.is((await remove()).status, 200);
  await assertProblem(t, await remove(), 412, 'revision-mismatch');
});

test('a GET whose ETag is current is answered 304', async (t) => {
  const { url, service } = await startNode(t);
  await postJson(`${url}/set`, { key: 'k', value: 'v' });
  for (const tags of ['"2"', 'W/"2"', '"9", "2"', '*']) {
    const same = await fetch(`${url}/kv/k`, { headers: { 'If-None-Match': tags } });
    t.is(same.status, 304);
    t.is(same.headers.get('etag'), '"2"');
    t.is(same.headers.get('kv-revision'), String(service.revision()));
    t.is(await same.text(), '');
  }
  t.is((await fetch(`${url}/kv/k`, { headers: { 'If-None-Match': '"1"' } })).status, 200);
});

test('octet-stream moves the raw bytes both ways', async (t) => {
  const { url } = await startNode(t);
  const bytes = Buffer.from([0, 0xff, 0x7b, 0x0a]);
  const headers = { 'Content-Type': 'application/octet-stream' };
  for (const key of ['bin', 'put']) {
    t.is((await fetch(`${url}/kv/${key}`, { method: 'PUT', body: bytes, headers })).status, 200);
    const raw = await fetch(`${url}/kv/${key}`, { headers: { Accept: 'application/octet-stream' } });
    t.is(raw.headers.get('content-type'), 'application/octet-stream');
    t.is(raw.headers.get('x-content-type-options'), 'nosniff');
    t.deepEqual(Buffer.from(await raw.arrayBuffer()), bytes);
  }
  for (const accept of [
    '*/*',
    'application/json',
    'text/html',
    'application/json, application/octet-stream;q=0.5',
  ]) {
    const json = await fetch(`${url}/kv/bin`, { headers: { Accept: accept } });
    t.like(await json.json(), { valueBase64: bytes.toString('base64') });
  }
  t.is((await fetch(`${url}/kv/empty`, { method: 'PUT', headers })).status, 200);
  t.like(await (await fetch(`${url}/get?key=empty`)).json(), { value: '' });
  const wrong = await postJson(`${url}/set`, { key: 'k', value: 'v' }, { headers });
  await assertProblem(t, wrong, 415, 'unsupported-media-type', 'Content-Type');
  const long = Buffer.alloc(VALUE_BYTES_MAX + 1);
  const tooLong = await fetch(`${url}/kv/bin`, { method: 'PUT', body: long, headers });
  await assertProblem(t, tooLong, 413, 'too-large');
});

test('the older verbs are recognised by their parameters, and the keys put, del, get stay usable', async (t) => {
  const { url, service } = await startNode(t);
  const put = await fetch(`${url}/kv/put`, { method: 'PUT', body: '{"key":"k","value":"v"}' });
  t.like(await put.json(), { success: true, key: 'k' });
  t.like(await (await fetch(`${url}/kv/get?key=k&consistency=stale`)).json(), { key: 'k', value: 'v' });
  t.like(await (await postJson(`${url}/kv/del`, { key: 'k' })).json(), { key: 'k', deleted: true });
  t.is(service.store.size, 0);

  for (const key of ['put', 'del', 'get']) {
    t.is((await fetch(`${url}/kv/${key}`, { method: 'PUT', body: '{"value":"own"}' })).status, 200);
    t.is((await fetch(`${url}/kv/${key}`, { method: 'POST', body: '{"value":"own"}' })).status, 200);
    t.like(await (await fetch(`${url}/kv/${key}`)).json(), { key, value: 'own' });
  }
  await assertProblem(t, await fetch(`${url}/kv/put?key=k`), 400, 'bad-request', 'key');
  await assertProblem(
    t,
    await postJson(`${url}/kv/put`, { key: 'k', value: 'v' }),
    400,
    'bad-request',
    'key',
  );
  await assertProblem(
    t,
    await postJson(`${url}/kv/del`, { key: 'k', value: 'v' }),
    400,
    'bad-request',
    'value',
  );
});

test('consistency goes to the service as it is asked for', async (t) => {
  const { url, service } = await startNode(t);
  await postJson(`${url}/set`, { key: 'k', value: 'v' });
  for (const consistency of ['linearizable', 'lease', 'stale']) {
    await fetch(`${url}/get?key=k&consistency=${consistency}`);
    await fetch(`${url}/kv/k?consistency=${consistency}`);
    await fetch(`${url}/kv?consistency=${consistency}`);
  }
  t.deepEqual(
    service.reads,
    ['linearizable', 'lease', 'stale'].flatMap((one) => [one, one, one]),
  );
  await assertProblem(
    t,
    await fetch(`${url}/get?key=k&consistency=strong`),
    400,
    'bad-request',
    'consistency',
  );
});
