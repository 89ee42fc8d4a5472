/** Arguments that are refused unsent, and values on their way there and back. */

import test from 'ava';
import { codecs, InvalidArgumentError, KVClient, type KVClientOptions } from 'quorumkv-client';
import { clientOf, errorOf } from './helpers.js';
import { found, ok, scripted, written } from './scripted-server.js';

test('bad arguments reject with the field named, without a request', async (t) => {
  const node = await scripted(t, written());
  const kv = clientOf(t, node.address);
  const never = 1 as never;
  const cases: [string, () => Promise<unknown>][] = [
    ['key', () => kv.get('')],
    ['key', () => kv.get('k'.repeat(4_097))],
    ['key', () => kv.getEntry('é'.repeat(2_049))],
    ['key', () => kv.has('\ud800')],
    ['key', () => kv.set('a\udc00b', 'v')],
    ['key', () => kv.delete(never)],
    ['value', () => kv.set('k', never)],
    ['value', () => kv.set('k', undefined as never)],
    ['value', () => kv.set('k', 'x\ud800')],
    ['ttlMs', () => kv.set('k', 'v', { ttlMs: 0 })],
    ['ttlMs', () => kv.set('k', 'v', { ttlMs: 1.5 })],
    ['ifRevision', () => kv.set('k', 'v', { ifRevision: 'x' })],
    ['ifRevision', () => kv.delete('k', { ifRevision: never })],
    ['ifAbsent', () => kv.set('k', 'v', { ifAbsent: true, ifRevision: '1' })],
    ['timeoutMs', () => kv.get('k', { timeoutMs: 0 })],
    ['timeoutMs', () => kv.get('k', { timeoutMs: Number.POSITIVE_INFINITY })],
    ['consistency', () => kv.get('k', { consistency: 'strong' as never })],
    ['signal', () => kv.get('k', { signal: never })],
    ['ttl', () => kv.set('k', 'v', { ttl: 1 } as never)],
    ['options', () => kv.get('k', null as never)],
    ['prefix', () => kv.list({ prefix: '\ud800' }).next()],
    ['limit', () => kv.list({ limit: 0 }).next()],
  ];
  for (const [field, call] of cases) {
    const error = await errorOf(t, call());
    t.true(error instanceof InvalidArgumentError && error.field === field, `${field}: ${error.message}`);
    t.is(error.code, 'invalid-argument');
    t.is(error.outcome, 'not-applied');
    t.false(error.retryable);
  }
  t.is(node.seen.length + node.openings.length, 0);
});

test('bad options of the client throw with the option named', (t) => {
  const cases: [string, unknown][] = [
    ['endpoints', []],
    ['endpoints', ''],
    ['endpoints', 'ftp://host:1'],
    ['endpoints', 'http://host:1/path'],
    ['endpoints', 'http://user:pw@host:1'],
    ['endpoints', 'host:99999'],
    ['endpoints', ['localhost:1', 7]],
    ['endpoints', {}],
    ['timeout', { endpoints: 'h:1', timeout: 5 }],
    ['timeoutMs', { endpoints: 'h:1', timeoutMs: '5s' }],
    ['consistency', { endpoints: 'h:1', consistency: 'eventual' }],
    ['retry.attempts', { endpoints: 'h:1', retry: { attempts: 3 } }],
    ['retry.attemptsMax', { endpoints: 'h:1', retry: { attemptsMax: 0 } }],
    ['codec', { endpoints: 'h:1', codec: { encode: 1 } }],
    ['auth.tokens', { endpoints: 'h:1', auth: { tokens: 'a' } }],
    ['auth.token', { endpoints: 'h:1', auth: {} }],
    ['auth.token', { endpoints: 'h:1', auth: { token: 'a\r\nb' } }],
    ['tls.pem', { endpoints: 'h:1', tls: { pem: 'x' } }],
    ['tls.cert', { endpoints: 'h:1', tls: { cert: 'x' } }],
    ['endpoints', ['http://h:1', 'https://h:2']],
    ['endpoints', { endpoints: ['http://h:1', 'h:2'], tls: {} }],
    ['options', null],
  ];
  for (const [field, options] of cases) {
    const error = t.throws(() => new KVClient(options as KVClientOptions), {
      instanceOf: InvalidArgumentError,
    });
    t.is(error.field, field, error.message);
  }
});

test('endpoints come in every form', async (t) => {
  const node = await scripted(t, found());
  for (const endpoints of [
    node.origin,
    `${node.origin}/`,
    node.address,
    [node.address],
    [node.address, node.origin],
  ]) {
    const kv = new KVClient(endpoints);
    t.is(await kv.get('k'), 'v');
    await kv.close();
  }
});

test('keys and strings of every kind pass unchanged', async (t) => {
  const node = await scripted(t, found('\ufeffbom \u2028 \u0000 \u{1f600}'));
  const kv = clientOf(t, node.address);
  for (const key of ['a b+c', 'a/../b', '?&=#%', '\u0000', 'ключ/\u{1f600}', "it's", 'k'.repeat(4_096)]) {
    t.is(await kv.get(key), '\ufeffbom \u2028 \u0000 \u{1f600}');
    t.is(node.seen.at(-1)!.query.get('key'), key);
  }
  t.is(node.seen.at(-1)!.path, '/get');
});

test('getEntry has the revision and the remaining time', async (t) => {
  const node = await scripted(t, ok({ key: 'k', value: 'v', revision: '18446744073709551', ttlMs: 5 }));
  t.deepEqual(await clientOf(t, node.address).getEntry('k'), {
    key: 'k',
    value: 'v',
    revision: '18446744073709551',
    ttlMs: 5,
  });
});

test('set sends its conditions; delete tells whether there was a key', async (t) => {
  const node = await scripted(t, written(), ok({ status: 'deleted' }), ok({ status: 'not-found' }));
  const kv = clientOf(t, node.address);
  await kv.set('k', '', { ttlMs: 50, ifAbsent: true });
  t.deepEqual(node.seen[0]!.body, { key: 'k', value: '', ttlMs: 50, ifAbsent: true });
  t.true(await kv.delete('a&b'));
  t.false(await kv.delete('k'));
  t.is(node.seen[1]!.query.get('key'), 'a&b');
});

test('codecs: bytes and json', async (t) => {
  const node = await scripted(t, written());
  const bytes = new KVClient({ endpoints: node.address, codec: codecs.bytes });
  const json = new KVClient({ endpoints: node.address, codec: codecs.json<{ n: number }>() });
  t.teardown(async () => Promise.all([bytes.close(), json.close()]));
  await bytes.set('k', Buffer.from([0xff, 0, 1]));
  t.deepEqual(node.seen[0]!.body, { key: 'k', valueBase64: '/wAB' });
  await json.set('k', { n: 1 });
  t.deepEqual(node.seen[1]!.body, { key: 'k', value: '{"n":1}' });
  t.is((await errorOf(t, bytes.set('k', 'text' as never))).code, 'invalid-argument');
  t.is((await errorOf(t, json.set('k', undefined as never))).code, 'invalid-argument');
  t.is((await errorOf(t, json.set('k', { n: 1n } as never))).code, 'invalid-argument');

  node.script(ok({ key: 'k', valueBase64: '/wAB', revision: '1' }));
  t.deepEqual(await bytes.get('k'), new Uint8Array([0xff, 0, 1]));
  t.is((await errorOf(t, json.get('k'))).code, 'bad-response');
  t.regex((await errorOf(t, clientOf(t, node.address).get('k'))).message, /not UTF-8.*codecs\.bytes/);
  node.script(found('{"n":2}'));
  t.is((await json.get('k'))?.n, 2);
  t.deepEqual(await bytes.get('k'), new TextEncoder().encode('{"n":2}'));
});

test('an answer without what it should have is a bad response', async (t) => {
  for (const body of [{ key: 'k', revision: '1' }, { key: 'k', value: 'v' }, {}, []]) {
    const node = await scripted(t, ok(body));
    const error = await errorOf(t, clientOf(t, node.address).get('k'));
    t.is(error.code, 'bad-response');
    t.is(error.outcome, 'not-applied');
  }
});
